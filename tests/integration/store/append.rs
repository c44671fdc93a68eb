//! The store: numbering, duplicates, and many writers at once.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use revcast::{
    model::{DrawingId, Revision},
    store::{AppendOutcome, AppendRequest, OpOutcome, Refusal, Store},
};

use crate::store::contract::{
    NOW, accepted, append, append_one, assert_log, by_alice, by_bob, committed, contract, duplicate, fog,
    log, new_drawing, op, ops, refused, with_body,
};

contract! {
    one_batch_numbers_many_drawings_without_a_hole(store),
    a_large_batch_is_written_whole_and_in_order(store),
    actor_time_and_body_are_kept_as_they_came(store),
    concurrent_writers_leave_no_hole_and_no_deadlock(one, other),
    concurrent_writers_that_need_care_leave_no_hole_and_no_deadlock(one, other),
    a_retried_op_keeps_its_first_revision(store),
    a_retry_with_other_spelling_is_the_same_op(store),
    an_op_of_an_older_log_is_the_same_op_in_lower_case(store),
    an_op_id_with_another_body_is_a_conflict(store),
    an_op_id_belongs_to_one_drawing(store),
    an_op_repeated_within_a_batch_stands_once(store),
    a_request_of_old_and_new_ops_commits_the_new_ones(store),
    the_same_op_in_concurrent_appends_is_committed_once(one, other),
    an_append_and_a_delete_at_once_leave_all_or_nothing(one, other),
}

async fn one_batch_numbers_many_drawings_without_a_hole(store: &dyn Store) {
    let drawings = [new_drawing(store).await, new_drawing(store).await, new_drawing(store).await];
    let mut heads = [0; 3];
    for _ in 0..2 {
        // Requests of 1, 2, 3 … ops, the drawings by turns and not in the order of their ids.
        let batch: Vec<AppendRequest> =
            (0..9).map(|nth| by_alice(drawings[(nth * 2) % 3], &ops(nth + 1))).collect();
        let outcomes = append(store, &batch).await;
        let before = heads;
        for request in &batch {
            heads[drawings.iter().position(|id| *id == request.drawing_id).unwrap()] +=
                request.ops.len() as u64;
        }
        let mut at = before;
        for (request, outcome) in batch.iter().zip(outcomes) {
            let place = drawings.iter().position(|id| *id == request.drawing_id).unwrap();
            let expected = request.ops.iter().map(|_| {
                at[place] += 1;
                committed(at[place])
            });
            assert_eq!(outcome, accepted(heads[place], expected.collect::<Vec<_>>()));
        }
        for (place, drawing) in drawings.into_iter().enumerate() {
            let written: Vec<_> = batch
                .iter()
                .filter(|request| request.drawing_id == drawing)
                .flat_map(|request| request.ops.iter().map(|op| op.body.to_string()))
                .collect();
            let log: Vec<_> = log(store, drawing).await.into_iter().map(|op| op.body).collect();
            assert_eq!(log[usize::try_from(before[place]).unwrap()..], written);
        }
    }
}

async fn a_large_batch_is_written_whole_and_in_order(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    // Sizes that no chunk of rows divides.
    let sent = ops(1_237);
    let batch: Vec<_> = sent.chunks(311).map(|ops| by_alice(drawing, ops)).collect();
    append(store, &batch).await;
    assert_log(store, drawing, &sent.iter().collect::<Vec<_>>()).await;
}

async fn actor_time_and_body_are_kept_as_they_came(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let body = r#"{"data":"\u0000 \ud83d\ude00 ä 😀 ' \" \\ $1 ?","x":1.50e0}"#;
    let odd = with_body(&op(), body);
    store.append(&[by_alice(drawing, &[op()])], NOW).await.unwrap();
    store.append(&[by_bob(drawing, &[odd])], NOW + 7).await.unwrap();
    let log = log(store, drawing).await;
    assert_eq!((&*log[0].actor, log[0].ts), ("alice", NOW));
    assert_eq!((&*log[1].actor, log[1].ts, &*log[1].body), ("bob", NOW + 7, body));
}

// --- Many writers -----------------------------------------------------------------------------------

const WRITERS: usize = 32;
const BATCHES: usize = 4;

/// Many writers on two nodes, every other one with its drawings in reverse order.
async fn write_at_once(
    one: &dyn Store,
    other: &dyn Store,
    request: impl Fn(DrawingId) -> AppendRequest + Copy,
) {
    let drawings = join_all((0..4).map(|_| new_drawing(one))).await;
    let writers = (0..WRITERS).map(|writer| {
        let store = if writer % 2 == 0 { one } else { other };
        let mut order = drawings.clone();
        if writer % 4 < 2 {
            order.reverse();
        }
        async move {
            let mut seen = Vec::new();
            for _ in 0..BATCHES {
                let batch: Vec<_> = order.iter().copied().map(request).collect();
                for (request, outcome) in batch.iter().zip(append(store, &batch).await) {
                    let AppendOutcome::Accepted { ops, .. } = outcome else { panic!("{outcome:?}") };
                    seen.extend(ops.into_iter().map(|op| (request.drawing_id, op)));
                }
            }
            seen
        }
    });
    let seen: Vec<_> = join_all(writers).await.concat();
    let expected = WRITERS * BATCHES * 2;
    for drawing in drawings {
        let revisions: BTreeSet<u64> = seen
            .iter()
            .filter(|(id, _)| *id == drawing)
            .map(|(_, op)| match op {
                OpOutcome::Committed(revision) => revision.0,
                OpOutcome::Duplicate(_) => panic!("every op was new"),
            })
            .collect();
        assert_eq!(revisions, (1..=expected as u64).collect());
        assert_eq!(log(one, drawing).await.len(), expected);
    }
}

async fn concurrent_writers_leave_no_hole_and_no_deadlock(one: &dyn Store, other: &dyn Store) {
    write_at_once(one, other, |drawing| by_alice(drawing, &ops(2))).await;
}

async fn concurrent_writers_that_need_care_leave_no_hole_and_no_deadlock(one: &dyn Store, other: &dyn Store) {
    // A request that creates fog is looked at op by op.
    write_at_once(one, other, |drawing| by_alice(drawing, &[op(), fog("f")])).await;
}

// --- Duplicates -------------------------------------------------------------------------------------

async fn a_retried_op_keeps_its_first_revision(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let sent = ops(3);
    append_one(store, by_alice(drawing, &sent)).await;
    append_one(store, by_alice(drawing, &ops(2))).await;
    for _ in 0..2 {
        let again = append_one(store, by_alice(drawing, &sent)).await;
        assert_eq!(again, accepted(5, [1, 2, 3].map(duplicate)));
    }
    assert_eq!(log(store, drawing).await.len(), 5);
}

async fn a_retry_with_other_spelling_is_the_same_op(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let first = with_body(&op(), r#"{"a":1,"b":{"c":[1,2.50],"d":null}}"#);
    append_one(store, by_alice(drawing, std::slice::from_ref(&first))).await;
    for body in [r#"{"b":{"d":null,"c":[1,2.50]},"a":1}"#, r#"{"a":1.0,"b":{"c":[1e0,2.5],"d":null}}"#] {
        let again = append_one(store, by_alice(drawing, &[with_body(&first, body)])).await;
        assert_eq!(again, accepted(1, [duplicate(1)]), "{body}");
    }
    // The spelling that came first stands in the log.
    assert_log(store, drawing, &[&first]).await;
}

/// Older servers kept ids as they came.
async fn an_op_of_an_older_log_is_the_same_op_in_lower_case(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let sent = op();
    let upper = sent.body.replace(&sent.op_id.to_string(), &sent.op_id.to_string().to_uppercase());
    append_one(store, by_alice(drawing, &[with_body(&sent, &upper)])).await;
    let again = append_one(store, by_alice(drawing, std::slice::from_ref(&sent))).await;
    assert_eq!(again, accepted(1, [duplicate(1)]));
    let other = with_body(&sent, &sent.body.replace("\"data\":1", "\"data\":2"));
    let refusal = append_one(store, by_alice(drawing, &[other])).await;
    assert_eq!(refusal, refused(Refusal::OpIdConflict { index: 0, revision: Revision(1) }));
}

async fn an_op_id_with_another_body_is_a_conflict(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let first = with_body(&op(), r#"{"a":1,"b":[1,2]}"#);
    append_one(store, by_alice(drawing, &[op(), first.clone()])).await;
    for body in [r#"{"a":2,"b":[1,2]}"#, r#"{"a":1,"b":[2,1]}"#, r#"{"a":1}"#, r#"{"a":"1","b":[1,2]}"#] {
        let other = with_body(&first, body);
        let conflict =
            |index, revision| refused(Refusal::OpIdConflict { index, revision: Revision(revision) });
        let outcome = append_one(store, by_alice(drawing, &[op(), other.clone()])).await;
        assert_eq!(outcome, conflict(1, 2), "{body}");
        // Also when both come within one batch.
        let fresh = op();
        let batch = [fresh.clone(), with_body(&fresh, body)].map(|op| by_alice(drawing, &[op]));
        let head = log(store, drawing).await.len() as u64 + 1;
        let expected = [accepted(head, [committed(head)]), conflict(0, head)];
        assert_eq!(append(store, &batch).await, expected);
    }
}

async fn an_op_id_belongs_to_one_drawing(store: &dyn Store) {
    let (one, other) = (new_drawing(store).await, new_drawing(store).await);
    let op = op();
    let elsewhere = with_body(&op, r#"{"another":"body"}"#);
    assert_eq!(append_one(store, by_alice(one, &[op])).await, accepted(1, [committed(1)]));
    assert_eq!(append_one(store, by_alice(other, &[elsewhere])).await, accepted(1, [committed(1)]));
}

async fn an_op_repeated_within_a_batch_stands_once(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let (one, other) = (op(), op());
    let batch = [
        by_alice(drawing, &[one.clone(), other.clone(), one.clone()]),
        by_alice(drawing, std::slice::from_ref(&other)),
    ];
    let expected = [accepted(2, [committed(1), committed(2), duplicate(1)]), accepted(2, [duplicate(2)])];
    assert_eq!(append(store, &batch).await, expected);
    assert_log(store, drawing, &[&one, &other]).await;
}

async fn a_request_of_old_and_new_ops_commits_the_new_ones(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let (old, new) = (ops(2), ops(2));
    append_one(store, by_alice(drawing, &old)).await;
    let mixed = [&new[0], &old[1], &new[1], &old[0]].map(Clone::clone);
    let expected = accepted(4, [committed(3), duplicate(2), committed(4), duplicate(1)]);
    assert_eq!(append_one(store, by_alice(drawing, &mixed)).await, expected);
    assert_log(store, drawing, &[&old[0], &old[1], &new[0], &new[1]]).await;
}

async fn the_same_op_in_concurrent_appends_is_committed_once(one: &dyn Store, other: &dyn Store) {
    let drawing = new_drawing(one).await;
    for _ in 0..8 {
        let head = log(one, drawing).await.len() as u64 + 1;
        let op = op();
        let request = by_alice(drawing, &[op]);
        let attempts = (0..16).map(|nth| append_one(if nth % 2 == 0 { one } else { other }, request.clone()));
        let outcomes = join_all(attempts).await;
        let firsts = outcomes.iter().filter(|outcome| **outcome == accepted(head, [committed(head)])).count();
        let others = outcomes.iter().filter(|outcome| **outcome == accepted(head, [duplicate(head)])).count();
        assert_eq!((firsts, others), (1, 15), "{outcomes:?}");
    }
}

async fn an_append_and_a_delete_at_once_leave_all_or_nothing(one: &dyn Store, other: &dyn Store) {
    for _ in 0..8 {
        let drawing = new_drawing(one).await;
        let appends = join_all((0..8).map(|_| append_one(one, by_alice(drawing, &ops(2)))));
        let (outcomes, deleted) = tokio::join!(appends, other.delete_drawing(drawing, NOW));
        assert!(deleted.unwrap());
        for outcome in outcomes {
            match outcome {
                AppendOutcome::Accepted { ops, .. } => assert_eq!(ops.len(), 2),
                AppendOutcome::Refused(refusal) => assert_eq!(refusal, Refusal::NoDrawing),
            }
        }
        assert_eq!(append_one(one, by_alice(drawing, &[op()])).await, refused(Refusal::NoDrawing));
    }
}
