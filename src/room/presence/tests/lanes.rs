//! The task of a room's presence, over the bus inside the process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    bus::{Bus, LocalBus},
    limits,
    model::DrawingId,
    room::presence::{Presence, lane},
};

/// Two of them on one bus are two nodes.
struct Node {
    presence: Arc<Presence>,
    flushes: Arc<AtomicUsize>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Node {
    fn start(bus: &Arc<dyn Bus>) -> Self {
        let presence = Arc::new(Presence::new(DrawingId(Uuid::nil()), Uuid::new_v4()));
        let (flushes, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let counter = flushes.clone();
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let task = tokio::spawn(lane::run(presence.clone(), bus.clone(), wake, stop.clone()));
        Self { presence, flushes, stop, task }
    }

    /// Waits until so many are present.
    async fn expect_count(&self, count: usize) {
        let reached = async {
            loop {
                // Registered before the look, so that a flush in between is not missed.
                let flush = self.presence.flushes.notified();
                tokio::pin!(flush);
                flush.as_mut().enable();
                if self.presence.roster().count == count {
                    return;
                }
                flush.await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), reached).await;
        in_time.unwrap_or_else(|_| panic!("{:?}", self.presence.roster()));
    }
}

fn bus() -> Arc<dyn Bus> {
    Arc::new(LocalBus::new())
}

#[tokio::test]
async fn what_is_published_reaches_the_readers_of_every_node() {
    let bus = bus();
    let (one, other) = (Node::start(&bus), Node::start(&bus));
    one.presence.synced().await;
    other.presence.synced().await;
    one.presence.publish(&present(1, 1), state(1)).unwrap();
    one.expect_count(1).await;
    other.expect_count(1).await;
    assert!(one.flushes.load(Ordering::Relaxed) > 0 && other.flushes.load(Ordering::Relaxed) > 0);
    one.presence.leave(connection(1));
    other.expect_count(0).await;
}

#[tokio::test]
async fn a_node_that_comes_later_learns_who_is_there() {
    let bus = bus();
    let one = Node::start(&bus);
    one.presence.publish(&present(1, 1), state(1)).unwrap();
    one.expect_count(1).await;
    Node::start(&bus).expect_count(1).await;
}

#[tokio::test]
async fn a_lane_that_ends_takes_its_presences_along() {
    let bus = bus();
    let (one, other) = (Node::start(&bus), Node::start(&bus));
    one.presence.publish(&present(1, 1), state(1)).unwrap();
    other.presence.publish(&present(2, 2), state(1)).unwrap();
    other.expect_count(2).await;
    one.stop.cancel();
    one.task.await.unwrap();
    other.expect_count(1).await;
}

#[tokio::test]
async fn who_waits_until_it_is_synced_finds_what_was_done_before() {
    let node = Node::start(&bus());
    for number in 0..50 {
        node.presence.publish(&present(number, 1), state(1)).unwrap();
        node.presence.synced().await;
        assert_eq!(node.presence.roster().count, usize::from(number) + 1);
    }
    assert!(node.flushes.load(Ordering::Relaxed) >= 50);
}

#[test]
fn a_larger_room_is_told_less_often() {
    let presence = Presence::new(DrawingId(Uuid::nil()), Uuid::new_v4());
    let mut slower = Duration::ZERO;
    for (up_to, interval) in limits::PRESENCE_INTERVALS {
        presence.set_readers(up_to);
        assert_eq!(presence.interval(), interval);
        assert!(interval > slower);
        slower = interval;
    }
}
