//! Calls of the store that are dropped before they have answered, as when a client hangs up: no session is left in the
//! middle of something, and what was begun is there whole or not at all.

use std::{pin::pin, task::Poll};

use revcast::{
    model::{DrawingId, Revision, Role},
    store::{ReadRange, Store},
};

use crate::store::contract::{NOW, append_one, by_alice, contract, log, new_drawing, op, ops, user};

contract! {
    calls_that_are_dropped_at_any_moment_leave_good_sessions(store),
}

async fn calls_that_are_dropped_at_any_moment_leave_good_sessions(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    append_one(store, by_alice(drawing, &ops(500))).await;
    // Each call is dropped at each point at which it waits: more of them than there are sessions.
    for nth in 0..CALLS {
        for points in 1.. {
            if drop_after(points, some_call(store, drawing, nth)).await {
                break;
            }
        }
    }
    // And while others wait for what it has.
    for points in 1..10 {
        let calls = (0..4 * CALLS).map(|nth| drop_after(points, some_call(store, drawing, nth)));
        futures_util::future::join_all(calls).await;
    }
    append_one(store, by_alice(drawing, &[op()])).await;
    let revisions: Vec<u64> = log(store, drawing).await.iter().map(|op| op.revision.0).collect();
    assert_eq!(revisions, (1..=revisions.len() as u64).collect::<Vec<_>>());
    for nth in 0..5 * CALLS {
        some_call(store, drawing, nth).await;
    }
}

/// Runs a call until it waits for the nth time, and drops it then. Tells whether it came to its end.
async fn drop_after(points: usize, call: impl Future<Output = ()>) -> bool {
    let (mut call, mut left) = (pin!(call), points);
    std::future::poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(false) } else { Poll::Pending }
        }
    })
    .await
}

/// Kinds of calls.
const CALLS: u64 = 4;

async fn some_call(store: &dyn Store, drawing: DrawingId, nth: u64) {
    match nth % CALLS {
        // An op that is there already takes the way through several statements.
        0 => {
            let (old, new) = (op(), op());
            append_one(store, by_alice(drawing, std::slice::from_ref(&old))).await;
            append_one(store, by_alice(drawing, &[old, new])).await;
        }
        1 => {
            let range = ReadRange {
                drawing_id: drawing,
                after: Revision(0),
                until: None,
                limit: 1_000,
                max_bytes: 1 << 20,
            };
            store.read(&range).await.unwrap().unwrap();
        }
        2 => {
            store.set_member(drawing, &user("carol"), Some(Role::Viewer), NOW).await.unwrap();
        }
        _ => {
            store.heads(&[drawing]).await.unwrap();
        }
    }
}
