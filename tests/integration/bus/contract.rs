//! The promises of every carrier of the bus: plain functions, run on each of them. The outages of NATS stand in
//! `bus::outages`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use revcast::{
    bus::{Bus, ControlMessage, Delivery, LocalBus, NatsBus, NatsOptions, OpsMessage, Subscription},
    limits,
    model::{CommittedOp, DrawingId, Epoch, Revision, Role},
    telemetry::Metrics,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    bus::presence::{presence_and_ops_do_not_mix, presence_arrives_as_it_was_sent_and_in_order},
    support::nats_url,
};

/// Makes one test a rule and carrier. A rule gets the bus of a node that publishes and that of one
/// that subscribes; inside one process they are the same.
macro_rules! contract {
    ($($rule:ident),+ $(,)?) => {
        mod local {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let bus = super::LocalBus::new();
                super::$rule(&bus, &bus).await;
            })+
        }
        mod nats {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let url = super::nats_url();
                let (publisher, subscriber) = (super::connect(&url).await, super::connect(&url).await);
                super::$rule(&publisher, &subscriber).await;
            })+
        }
        mod nats_on_one_node {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let bus = super::connect(&super::nats_url()).await;
                super::$rule(&bus, &bus).await;
            })+
        }
    };
}

contract! {
    what_is_published_once_a_subscription_stands_arrives,
    a_message_arrives_as_it_was_sent,
    a_range_too_large_for_one_message_arrives_as_its_revisions,
    every_subscription_gets_every_message,
    control_messages_of_all_drawings_arrive,
    messages_of_one_publisher_arrive_in_order,
    nothing_arrives_for_other_drawings,
    presence_arrives_as_it_was_sent_and_in_order,
    presence_and_ops_do_not_mix,
    a_burst_as_large_as_a_batch_is_published_whole,
    a_dropped_subscription_does_not_disturb_the_others,
    a_slow_subscriber_is_bounded_and_sees_that_it_missed_something,
    a_carrier_that_carries_is_connected,
}

pub async fn connect(url: &str) -> NatsBus {
    let options = NatsOptions { url: url.to_owned(), ..NatsOptions::default() };
    NatsBus::connect(&options, Arc::new(Metrics::new())).await.unwrap()
}

pub fn new_drawing() -> DrawingId {
    DrawingId(Uuid::now_v7())
}

fn op(revision: u64, json: impl Into<Bytes>) -> CommittedOp {
    CommittedOp { revision: Revision(revision), json: json.into() }
}

/// The commit of one small op.
pub fn commit(drawing: DrawingId, revision: u64) -> OpsMessage {
    OpsMessage::new(drawing, Epoch(Uuid::nil()), vec![op(revision, "{}")]).unwrap()
}

/// The next thing a subscription yields; panics when it does not come.
async fn next<T>(subscription: &mut Subscription<T>) -> Delivery<T> {
    let delivery = timeout(Duration::from_secs(10), subscription.next()).await;
    delivery.expect("a delivery in time").expect("the subscription goes on")
}

pub async fn next_message<T>(subscription: &mut Subscription<T>) -> T {
    match next(subscription).await {
        Delivery::Message(message) => message,
        Delivery::Lagged => panic!("the subscriber was not slow"),
    }
}

/// The deliveries that a subscription yields without waiting for more.
pub fn waiting<T>(subscription: &mut Subscription<T>) -> Vec<Delivery<T>> {
    // Tokio makes a task pause after some number of messages; that is not the end of them.
    std::iter::from_fn(|| tokio::task::unconstrained(subscription.next()).now_or_never().flatten()).collect()
}

// --- Rules of every carrier -------------------------------------------------------------------------

async fn what_is_published_once_a_subscription_stands_arrives(publisher: &dyn Bus, subscriber: &dyn Bus) {
    // Often, since a race is lost only now and then.
    for revision in 1..=50 {
        let drawing = new_drawing();
        let mut subscription = subscriber.subscribe_ops(drawing).await;
        publisher.publish_ops(commit(drawing, revision));
        assert_eq!(next_message(&mut subscription).await, commit(drawing, revision));
    }
}

async fn a_message_arrives_as_it_was_sent(publisher: &dyn Bus, subscriber: &dyn Bus) {
    let drawing = new_drawing();
    let mut subscription = subscriber.subscribe_ops(drawing).await;
    let ops = vec![op(7, "{\"a\":\"ä😀\"}"), op(8, ""), op(9, vec![b'x'; 10_000])];
    let sent = OpsMessage::new(drawing, Epoch(Uuid::now_v7()), ops).unwrap();
    publisher.publish_ops(sent.clone());
    assert_eq!(next_message(&mut subscription).await, sent);
}

async fn a_range_too_large_for_one_message_arrives_as_its_revisions(
    publisher: &dyn Bus,
    subscriber: &dyn Bus,
) {
    let drawing = new_drawing();
    let mut subscription = subscriber.subscribe_ops(drawing).await;
    let ops = (1..=500).map(|revision| op(revision, vec![b'x'; limits::MAX_OP_BYTES])).collect();
    publisher.publish_ops(OpsMessage::new(drawing, Epoch(Uuid::nil()), ops).unwrap());
    let received = next_message(&mut subscription).await;
    assert_eq!((received.first, received.last), (Revision(1), Revision(500)));
    assert!(received.ops.is_empty());
    // The largest that is sent whole is carried whole.
    let fitting = limits::MAX_BUS_MESSAGE_BYTES - 64;
    let whole = OpsMessage::new(drawing, Epoch(Uuid::nil()), vec![op(501, vec![b'x'; fitting])]).unwrap();
    assert_eq!(whole.ops.len(), 1);
    publisher.publish_ops(whole.clone());
    assert_eq!(next_message(&mut subscription).await, whole);
}

async fn every_subscription_gets_every_message(publisher: &dyn Bus, subscriber: &dyn Bus) {
    let drawing = new_drawing();
    let mut subscriptions = [
        subscriber.subscribe_ops(drawing).await,
        subscriber.subscribe_ops(drawing).await,
        publisher.subscribe_ops(drawing).await,
    ];
    for revision in 1..=3 {
        publisher.publish_ops(commit(drawing, revision));
    }
    for subscription in &mut subscriptions {
        for revision in 1..=3 {
            assert_eq!(next_message(subscription).await, commit(drawing, revision));
        }
    }
}

async fn control_messages_of_all_drawings_arrive(publisher: &dyn Bus, subscriber: &dyn Bus) {
    let mut subscription = subscriber.subscribe_control().await;
    let (one, other) = (new_drawing(), new_drawing());
    let role = |drawing_id, name: &str, role| ControlMessage::Role {
        drawing_id,
        user_id: name.parse().unwrap(),
        role,
    };
    let sent = [
        role(one, "alice", Some(Role::Viewer)),
        role(other, "ä 😀 \"quoted\"", None),
        ControlMessage::Deleted { drawing_id: one },
        role(other, "bob", Some(Role::Owner)),
    ];
    for message in &sent {
        publisher.publish_control(message.clone());
    }
    // Other tests may speak of their drawings at the same time.
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let message = next_message(&mut subscription).await;
        if [one, other].contains(&message.drawing_id()) {
            received.push(message);
        }
    }
    assert_eq!(received, sent);
}

async fn messages_of_one_publisher_arrive_in_order(publisher: &dyn Bus, subscriber: &dyn Bus) {
    let drawing = new_drawing();
    let mut subscription = subscriber.subscribe_ops(drawing).await;
    for revision in 1..=1_000 {
        publisher.publish_ops(commit(drawing, revision));
        // As a committer does, which is never faster than the store.
        if revision % 50 == 0 {
            assert_eq!(next_message(&mut subscription).await.first, Revision(revision - 49));
            for expected in revision - 48..=revision {
                assert_eq!(next_message(&mut subscription).await.first, Revision(expected));
            }
        }
    }
}

async fn nothing_arrives_for_other_drawings(publisher: &dyn Bus, subscriber: &dyn Bus) {
    let (one, other) = (new_drawing(), new_drawing());
    let mut of_one = subscriber.subscribe_ops(one).await;
    let mut of_other = subscriber.subscribe_ops(other).await;
    publisher.publish_ops(commit(one, 1));
    publisher.publish_ops(commit(new_drawing(), 2));
    publisher.publish_control(ControlMessage::Deleted { drawing_id: one });
    publisher.publish_ops(commit(other, 3));
    publisher.publish_ops(commit(one, 4));
    assert_eq!(next_message(&mut of_other).await, commit(other, 3));
    assert_eq!(next_message(&mut of_one).await, commit(one, 1));
    assert_eq!(next_message(&mut of_one).await, commit(one, 4));
    assert!(waiting(&mut of_one).is_empty() && waiting(&mut of_other).is_empty());
}

async fn a_burst_as_large_as_a_batch_is_published_whole(publisher: &dyn Bus, subscriber: &dyn Bus) {
    let burst: Vec<_> = (0..limits::MAX_BATCH_REQUESTS).map(|_| new_drawing()).collect();
    let mut subscription = subscriber.subscribe_control().await;
    // One message a drawing, and no pause between them.
    for drawing_id in &burst {
        publisher.publish_control(ControlMessage::Deleted { drawing_id: *drawing_id });
    }
    let mut missing: BTreeSet<_> = burst.into_iter().collect();
    while let Ok(delivery) = timeout(Duration::from_secs(5), subscription.next()).await {
        if let Some(Delivery::Message(message)) = delivery {
            missing.remove(&message.drawing_id());
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("{} of {} messages were lost", missing.len(), limits::MAX_BATCH_REQUESTS);
}

async fn a_dropped_subscription_does_not_disturb_the_others(publisher: &dyn Bus, subscriber: &dyn Bus) {
    let drawing = new_drawing();
    let first = subscriber.subscribe_ops(drawing).await;
    let mut second = subscriber.subscribe_ops(drawing).await;
    drop(first);
    publisher.publish_ops(commit(drawing, 1));
    assert_eq!(next_message(&mut second).await, commit(drawing, 1));
    drop(second);
    publisher.publish_ops(commit(drawing, 2));
    // A later subscription begins with what is published after it.
    publisher.flush().await;
    let mut third = subscriber.subscribe_ops(drawing).await;
    publisher.publish_ops(commit(drawing, 3));
    assert_eq!(next_message(&mut third).await, commit(drawing, 3));
}

async fn a_slow_subscriber_is_bounded_and_sees_that_it_missed_something(
    publisher: &dyn Bus,
    subscriber: &dyn Bus,
) {
    let drawing = new_drawing();
    let mut slow = subscriber.subscribe_ops(drawing).await;
    let mut quick = subscriber.subscribe_ops(drawing).await;
    let count = 2 * limits::SUBSCRIPTION_MESSAGES as u64;
    for revision in 1..=count {
        publisher.publish_ops(commit(drawing, revision));
        // The other subscription follows: it shows that nothing is lost on the way.
        assert_eq!(next_message(&mut quick).await.first, Revision(revision));
    }
    let held = waiting(&mut slow);
    assert!(held.len() <= limits::SUBSCRIPTION_MESSAGES + 1, "{} deliveries were held", held.len());
    // It goes on afterwards.
    publisher.publish_ops(commit(drawing, count + 1));
    let fresh = next(&mut slow).await;
    let (mut position, mut has_seen_loss) = (0, false);
    for delivery in held.into_iter().chain([fresh]) {
        match delivery {
            Delivery::Lagged => has_seen_loss = true,
            Delivery::Message(message) => {
                assert!(message.first.0 > position, "still in order");
                has_seen_loss |= message.first.0 > position + 1;
                position = message.first.0;
            }
        }
    }
    assert!(has_seen_loss, "what was dropped shows");
    assert_eq!(position, count + 1, "what is new arrives");
}

async fn a_carrier_that_carries_is_connected(publisher: &dyn Bus, subscriber: &dyn Bus) {
    assert!(publisher.is_connected() && subscriber.is_connected());
    timeout(Duration::from_secs(5), publisher.flush()).await.expect("flushing ends");
}

// --- Inside one process -----------------------------------------------------------------------------

#[tokio::test]
async fn the_local_bus_keeps_nothing_for_subscribers_that_left() {
    let bus = LocalBus::new();
    let drawing = new_drawing();
    let token = Arc::new([b'x'; 10]);
    let publish = |revision| {
        let json = Bytes::from_owner(Shared(token.clone()));
        let message = OpsMessage::new(drawing, Epoch(Uuid::nil()), vec![op(revision, json)]).unwrap();
        bus.publish_ops(message);
    };
    let (one, other) = (bus.subscribe_ops(drawing).await, bus.subscribe_ops(drawing).await);
    publish(1);
    assert_eq!(Arc::strong_count(&token), 2, "it is held for those who follow");
    drop(one);
    publish(2);
    assert_eq!(Arc::strong_count(&token), 3);
    drop(other);
    publish(3);
    assert_eq!(Arc::strong_count(&token), 1);
}

/// Bytes that show who still holds them.
struct Shared(Arc<[u8; 10]>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &*self.0
    }
}
