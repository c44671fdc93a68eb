//! Rooms whose bus fails them: the store repairs, and a dead subscription is renewed.

use std::{sync::Arc, time::Duration};

use revcast::{bus::OpsMessage, store::Log, telemetry, wire::ResetReason};

use crate::support::{
    eventually,
    rooms::{Listener, Node},
};

const HEARTBEAT: Duration = Duration::from_millis(100);

/// The value of a counter of this process; tests beside this one count too.
fn counter(name: &str) -> u64 {
    let text = telemetry::render_metrics();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_subscription_is_noticed_by_the_heartbeat_repaired_and_renewed() {
    let node = Node::start(HEARTBEAT).await;
    let drawing = node.drawing_with(3).await;
    let listener = node.join(drawing, Some(0)).await;
    listener.expect(1, 3).await;
    let renewals = counter("revcast_bus_renewals_total");
    node.bus.deafen();
    let head = node.commit(drawing, 2).await;
    listener.expect(1, head).await;
    eventually("the subscription is renewed", || async { (node.bus.subscriptions() == 2).then_some(()) })
        .await;
    assert!(counter("revcast_bus_renewals_total") > renewals);
    // Ops come by the bus again: the store is not read for them.
    let reads = node.store.reads(drawing);
    for _ in 0..10 {
        let head = node.commit(drawing, 1).await;
        listener.expect(1, head).await;
    }
    // A heartbeat may be quicker than the bus once, on a machine that is busy.
    assert!(node.store.reads(drawing) <= reads + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_bus_is_cut_readers_follow_by_heartbeats_and_nothing_is_renewed() {
    let node = Node::start(HEARTBEAT).await;
    let drawing = node.drawing_with(0).await;
    let listener = node.join(drawing, Some(0)).await;
    node.bus.cut(true);
    for _ in 0..3 {
        let head = node.commit(drawing, 2).await;
        listener.expect(1, head).await;
        // A reader that comes now is no worse off.
        node.join(drawing, Some(0)).await.expect(1, head).await;
    }
    node.bus.cut(false);
    let reads = node.store.reads(drawing);
    for _ in 0..5 {
        let head = node.commit(drawing, 1).await;
        listener.expect(1, head).await;
    }
    assert!(node.store.reads(drawing) <= reads + 2);
    assert_eq!(node.bus.subscriptions(), 1, "it was cut, not dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_room_costs_no_read_and_tells_its_head_at_every_heartbeat() {
    let node = Node::start(HEARTBEAT).await;
    let drawing = node.drawing_with(4).await;
    let listener = node.join(drawing, None).await;
    let reads = node.store.reads(drawing);
    let heads = || async { (listener.heard().items.len() >= 3).then_some(()) };
    eventually("three heartbeats", heads).await;
    let heard = listener.heard();
    assert_eq!((heard.head, heard.revisions.len()), (Some(4), 0));
    assert_eq!(node.store.reads(drawing), reads);
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_alone_are_read_from_the_store() {
    let node = Node::start(Duration::from_secs(3_600)).await;
    let drawing = node.drawing_with(1).await;
    let listener = node.join(drawing, Some(0)).await;
    let reads = node.store.reads(drawing);
    let whole = node.append(drawing, 3).await;
    node.publish_all(vec![OpsMessage { ops: Vec::new(), ..whole }]);
    listener.expect(1, 4).await;
    assert_eq!((node.store.reads(drawing), node.bus.subscriptions()), (reads + 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_ends_every_reader_however_slow_and_serves_nothing_of_it_to_them() {
    let node = Node::start(HEARTBEAT).await;
    let drawing = node.drawing_with(5).await;
    let (brisk, slow) = (node.join(drawing, Some(5)).await, Arc::new(Listener::default()));
    node.join_with(drawing, Some(2), &slow).await.unwrap();
    node.store.new_epoch().await.unwrap();
    for listener in [&brisk, &slow] {
        let reset = || async { listener.heard().reset };
        assert_eq!(eventually("a reset", reset).await, ResetReason::EpochChanged);
    }
    // The ops before the new log are read back for those who join it.
    node.join(drawing, Some(0)).await.expect(1, 5).await;
    let head = node.commit(drawing, 1).await;
    node.join(drawing, Some(3)).await.expect(4, head).await;
    assert_eq!((brisk.heard().revisions.len(), slow.heard().revisions.len()), (0, 3));
}
