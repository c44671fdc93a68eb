//! Joining rooms: what it costs the store, and that nothing is missed on the way in.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use revcast::{limits, wire::ResetReason};

use crate::support::{
    eventually,
    rooms::{Listener, Node},
};

/// No heartbeat comes by itself.
const NEVER: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_that_join_fifty_drawings_at_once_cost_one_read_a_drawing() {
    let node = Arc::new(Node::start(NEVER).await);
    let drawings = join_all((0..50).map(|_| node.drawing_with(30))).await;
    let joins = (0..1_000).map(|nth| {
        let (node, drawing) = (node.clone(), drawings[nth % 50]);
        // From the start, from the middle, from the head.
        let after = [0, 13, 29, 30][(nth / 50) % 4];
        tokio::spawn(async move { (node.join(drawing, Some(after)).await, after) })
    });
    for joined in join_all(joins).await {
        let (listener, after) = joined.unwrap();
        assert_eq!(listener.heard().revisions, (after + 1..=30).collect::<Vec<_>>());
    }
    for drawing in drawings {
        assert_eq!(node.store.reads(drawing), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_with_other_positions_resume_from_the_ring_and_the_store_in_the_middle_of_frames() {
    let node = Node::start(NEVER).await;
    let drawing = node.drawing_with(20).await;
    // The room begins at the head; what comes is told in frames of five.
    let first = node.join(drawing, None).await;
    for nth in 1..=3 {
        let head = node.commit(drawing, 5).await;
        assert_eq!(head, 20 + 5 * nth);
        first.expect(21, head).await;
    }
    let reads = node.store.reads(drawing);
    for after in 20..=35 {
        node.join(drawing, Some(after)).await.expect_now(after + 1, 35);
    }
    assert_eq!(node.store.reads(drawing), reads, "the ring has it all");
    for after in (0..20).rev() {
        node.join(drawing, Some(after)).await.expect_now(after + 1, 35);
    }
    assert_eq!(node.store.reads(drawing), reads + 1, "one read brings what is before the ring, for all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_stretch_before_the_ring_is_left_to_rest_rather_than_filled_with_a_hole() {
    let node = Node::start(NEVER).await;
    let drawing = node.drawing_with(0).await;
    // One read ends long before the head: the ops are large.
    let count = 2 * limits::ROOM_READ_BYTES / 60_000;
    for _ in 0..count {
        node.append_large(drawing, 60_000).await;
    }
    let head = count as u64;
    let quiet = node.join(drawing, None).await;
    let listener = Arc::default();
    assert_eq!(node.join_with(drawing, Some(1), &listener).await, Err(ResetReason::TooFarBehind));
    // A reader that lacks less than one read can be helped.
    node.join(drawing, Some(head - 10)).await.expect_now(head - 9, head);
    node.commit(drawing, 1).await;
    quiet.expect(head + 1, head + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_while_ops_are_committed_misses_none_and_gets_none_twice() {
    let node = Arc::new(Node::start(NEVER).await);
    let drawing = node.drawing_with(10).await;
    let writer = {
        let node = node.clone();
        tokio::spawn(async move {
            for _ in 0..150 {
                node.commit(drawing, 2).await;
            }
        })
    };
    let mut listeners: Vec<(Arc<Listener>, u64)> = Vec::new();
    while !writer.is_finished() {
        for after in [None, Some(3), Some(10)] {
            let listener = Arc::default();
            let revision = node.join_with(drawing, after, &listener).await.unwrap();
            assert_eq!(revision, after.unwrap_or(revision));
            listeners.push((listener, revision));
        }
    }
    writer.await.unwrap();
    // The last frame may be on its way still.
    let last = node.commit(drawing, 1).await;
    assert_eq!(last, 311);
    for (listener, after) in listeners {
        listener.expect(after + 1, last).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_costs_one_read_however_many_readers_wait_for_it() {
    let node = Node::start(NEVER).await;
    let drawing = node.drawing_with(5).await;
    let listeners = join_all((0..200).map(|_| node.join(drawing, Some(0)))).await;
    let reads = node.store.reads(drawing);
    node.store.hold();
    // The bus loses the first; the second reveals the hole.
    node.append(drawing, 3).await;
    node.commit(drawing, 1).await;
    eventually("the room reads", || async { (node.store.reads(drawing) > reads).then_some(()) }).await;
    // More comes by the bus while the store is slow.
    let last = node.commit(drawing, 4).await;
    assert!(listeners.iter().all(|listener| listener.heard().revisions.len() == 5), "no op before its turn");
    node.store.release();
    for listener in &listeners {
        listener.expect(1, last).await;
    }
    assert_eq!(node.store.reads(drawing), reads + 1);
    assert_eq!(node.bus.subscriptions(), 1, "the bus told of what came after the hole: it is alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_any_order_and_twice_are_told_once_in_order() {
    let node = Node::start(NEVER).await;
    let drawing = node.drawing_with(0).await;
    let listener = node.join(drawing, Some(0)).await;
    let reads = node.store.reads(drawing);
    let mut messages = Vec::new();
    for count in [2, 1, 3] {
        messages.push(node.append(drawing, count).await);
    }
    for nth in [1, 0, 1, 2, 0, 2] {
        node.publish_all(vec![messages[nth].clone()]);
    }
    listener.expect(1, 6).await;
    // A hole is given a moment to close; on a machine that is busy, that may be too short once.
    assert!(node.store.reads(drawing) <= reads + 1);
}
