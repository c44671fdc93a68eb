//! Calls of the store that are dropped before they have answered, as when a client hangs up: no session is left in the
//! middle of something, and what was begun is there whole or not at all.

use std::time::Duration;

use revcast::{
    model::{DrawingId, Revision, Role},
    store::{ReadRange, Store},
};

use crate::store_contract::{NOW, append_one, by_alice, contract, log, new_drawing, op, ops, user};

contract! {
    calls_that_are_dropped_at_any_moment_leave_good_sessions(store),
}

async fn calls_that_are_dropped_at_any_moment_leave_good_sessions(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    append_one(store, by_alice(drawing, &ops(500))).await;
    // More calls than there are sessions, dropped sooner or later.
    for nth in 0..120_u64 {
        let after = Duration::from_micros(nth * 40);
        let _ = tokio::time::timeout(after, some_call(store, drawing, nth)).await;
    }
    // Each of them is dropped behind a lock.
    for _ in 0..30 {
        let calls = (0..4).map(|nth| some_call(store, drawing, nth));
        let _ = tokio::time::timeout(Duration::from_millis(1), futures_util::future::join_all(calls)).await;
    }
    append_one(store, by_alice(drawing, &[op()])).await;
    let revisions: Vec<u64> = log(store, drawing).await.iter().map(|op| op.revision.0).collect();
    assert_eq!(revisions, (1..=revisions.len() as u64).collect::<Vec<_>>());
    for nth in 0..20 {
        some_call(store, drawing, nth).await;
    }
}

async fn some_call(store: &dyn Store, drawing: DrawingId, nth: u64) {
    match nth % 4 {
        // An op that is there already takes the way through several statements.
        0 => {
            let (old, new) = (op(), op());
            append_one(store, by_alice(drawing, &[old.clone()])).await;
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
