//! The store: what it refuses, and what that leaves alone: `if_revision`, units, the floor, fog.

use futures_util::future::join_all;
use revcast::{
    model::{CheckedOp, Epoch, Revision, Role},
    store::{AppendOutcome, AppendRequest, FoldPlan, Refusal, Store},
};
use uuid::Uuid;

use crate::store::contract::{
    NOW, accepted, append, append_one, by_alice, by_bob, committed, contract, duplicate, fog, folding,
    joining, log, new_drawing, new_drawing_id, op, ops, refused, touching, undoing, with_body,
};

contract! {
    a_refused_request_writes_nothing_and_its_neighbours_are_committed(store),
    if_revision_holds_against_the_log_and_within_the_batch(store),
    of_concurrent_appends_with_the_same_if_revision_one_wins(one, other),
    a_retry_with_if_revision_is_a_duplicate_wherever_the_head_is(store),
    a_drawing_that_is_unknown_or_deleted_takes_no_op(store),
    a_unit_is_begun_by_an_op_of_the_log_the_batch_or_the_request(store),
    a_unit_that_is_unknown_or_no_unit_is_refused(store),
    units_belong_to_their_actor_and_only_owners_undo_those_of_others(store),
    units_at_or_below_the_floor_are_closed(store),
    the_floor_moves_between_two_requests_of_a_batch(store),
    a_fold_is_dropped_where_the_log_is_another_than_it_was_planned_on(store),
    if_revision_looks_past_the_folds_of_the_server(store),
    only_owners_touch_fog_from_the_batch_that_creates_it(store),
    a_refused_request_creates_no_fog(store),
    a_retry_of_what_became_fog_later_is_a_duplicate(store),
}

/// The refusal of the op at an index.
type RefusalAt = fn(usize) -> Refusal;

async fn a_refused_request_writes_nothing_and_its_neighbours_are_committed(store: &dyn Store) {
    let (drawing, neighbour) = (new_drawing(store).await, new_drawing(store).await);
    let of_alice = op();
    append_one(store, by_alice(drawing, &[of_alice.clone(), fog("f")])).await;
    let mut expected: Vec<String> = log(store, drawing).await.into_iter().map(|op| op.body).collect();
    let other_body = with_body(&of_alice, r#"{"other":1}"#);
    let faults: [(CheckedOp, RefusalAt); 4] = [
        (joining(&op()), |index| Refusal::UnknownUnit { index }),
        (joining(&of_alice), |index| Refusal::UnitOfAnother { index }),
        (touching("f"), |index| Refusal::FogForbidden { index }),
        (other_body, |index| Refusal::OpIdConflict { index, revision: Revision(1) }),
    ];
    for (fault, refusal) in faults {
        let head = expected.len() as u64;
        let (before, after, aside) = (op(), op(), op());
        let batch = [
            by_bob(drawing, std::slice::from_ref(&before)),
            // Good ops on both sides of the bad one.
            by_bob(drawing, &[op(), fault, op()]),
            by_bob(drawing, std::slice::from_ref(&after)),
            by_bob(neighbour, &[aside]),
        ];
        let outcomes = append(store, &batch).await;
        assert_eq!(
            outcomes[..3],
            [
                accepted(head + 2, [committed(head + 1)]),
                refused(refusal(1)),
                accepted(head + 2, [committed(head + 2)])
            ]
        );
        assert!(matches!(outcomes[3], AppendOutcome::Accepted { .. }));
        expected.extend([before, after].map(|op| op.body.to_string()));
        let bodies: Vec<_> = log(store, drawing).await.into_iter().map(|op| op.body).collect();
        assert_eq!(bodies, expected);
    }
    assert_eq!(log(store, neighbour).await.len(), 4);
}

fn only_at(head: u64, request: AppendRequest) -> AppendRequest {
    AppendRequest { if_revision: Some(Revision(head)), ..request }
}

async fn if_revision_holds_against_the_log_and_within_the_batch(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let new = |head| only_at(head, by_alice(drawing, &ops(2)));
    let conflict = |head| refused(Refusal::RevisionConflict { head: Revision(head) });
    assert_eq!(append_one(store, new(0)).await, accepted(2, [committed(1), committed(2)]));
    assert_eq!(append_one(store, new(0)).await, conflict(2));
    assert_eq!(append_one(store, new(3)).await, conflict(2));
    assert_eq!(append_one(store, new(u64::MAX)).await, conflict(2));
    let outcomes = append(store, &[new(2), new(2), new(4), by_alice(drawing, &[op()])]).await;
    let expected = [
        accepted(7, [committed(3), committed(4)]),
        conflict(4),
        accepted(7, [committed(5), committed(6)]),
        accepted(7, [committed(7)]),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(log(store, drawing).await.len(), 7);
}

async fn of_concurrent_appends_with_the_same_if_revision_one_wins(one: &dyn Store, other: &dyn Store) {
    let drawing = new_drawing(one).await;
    for head in 0..8 {
        let attempts = (0..16).map(|nth| {
            let store = if nth % 2 == 0 { one } else { other };
            append_one(store, only_at(head, by_alice(drawing, &[op()])))
        });
        let outcomes = join_all(attempts).await;
        let conflict = refused(Refusal::RevisionConflict { head: Revision(head + 1) });
        let losers = outcomes.iter().filter(|outcome| **outcome == conflict).count();
        assert_eq!(losers, 15, "{outcomes:?}");
        assert!(outcomes.contains(&accepted(head + 1, [committed(head + 1)])));
    }
}

async fn a_retry_with_if_revision_is_a_duplicate_wherever_the_head_is(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let sent = ops(2);
    let request = only_at(0, by_alice(drawing, &sent));
    append_one(store, request.clone()).await;
    append_one(store, by_alice(drawing, &[op()])).await;
    assert_eq!(append_one(store, request).await, accepted(3, [duplicate(1), duplicate(2)]));
    let with_new = only_at(0, by_alice(drawing, &[sent[0].clone(), op()]));
    assert_eq!(append_one(store, with_new).await, refused(Refusal::RevisionConflict { head: Revision(3) }));
}

async fn a_drawing_that_is_unknown_or_deleted_takes_no_op(store: &dyn Store) {
    let (drawing, deleted) = (new_drawing(store).await, new_drawing(store).await);
    let retried = op();
    append_one(store, by_alice(deleted, std::slice::from_ref(&retried))).await;
    assert!(store.delete_drawing(deleted, NOW).await.unwrap());
    let batch = [
        by_alice(new_drawing_id(), &[op()]),
        by_alice(drawing, &[op()]),
        by_alice(deleted, &[op()]),
        // An op that was committed before is gone with the drawing.
        by_alice(deleted, &[retried]),
    ];
    let no_drawing = || refused(Refusal::NoDrawing);
    let expected = [no_drawing(), accepted(1, [committed(1)]), no_drawing(), no_drawing()];
    assert_eq!(append(store, &batch).await, expected);
    assert_eq!(append_one(store, by_alice(deleted, &[op()])).await, no_drawing());
}

// --- Units ------------------------------------------------------------------------------------------

async fn a_unit_is_begun_by_an_op_of_the_log_the_batch_or_the_request(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let (first, second) = (op(), op());
    append_one(store, by_bob(drawing, std::slice::from_ref(&first))).await;
    let batch = [
        by_bob(drawing, &[joining(&first), second.clone(), joining(&second)]),
        by_bob(drawing, &[joining(&second), undoing(&first)]),
    ];
    let expected = [accepted(6, [2, 3, 4].map(committed)), accepted(6, [5, 6].map(committed))];
    assert_eq!(append(store, &batch).await, expected);
}

async fn a_unit_that_is_unknown_or_no_unit_is_refused(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let elsewhere = new_drawing(store).await;
    let (first, other) = (op(), op());
    let second = joining(&first);
    let undo = undoing(&first);
    append_one(store, by_bob(drawing, &[first, second.clone(), undo.clone()])).await;
    append_one(store, by_bob(elsewhere, std::slice::from_ref(&other))).await;
    let own_unit = CheckedOp { is_undo_redo: true, ..op() };
    for named in [&op(), &second, &undo, &other] {
        for op in [joining(named), undoing(named), own_unit.clone()] {
            let unknown = refused(Refusal::UnknownUnit { index: 0 });
            assert_eq!(append_one(store, by_bob(drawing, &[op])).await, unknown);
        }
    }
    assert_eq!(log(store, drawing).await.len(), 3);
}

async fn units_belong_to_their_actor_and_only_owners_undo_those_of_others(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let (of_alice, of_bob) = (op(), op());
    append_one(store, by_alice(drawing, std::slice::from_ref(&of_alice))).await;
    append_one(store, by_bob(drawing, std::slice::from_ref(&of_bob))).await;
    let of_another = || refused(Refusal::UnitOfAnother { index: 0 });
    for op in [joining(&of_alice), undoing(&of_alice)] {
        assert_eq!(append_one(store, by_bob(drawing, &[op])).await, of_another());
    }
    // Not even an owner joins the unit of another.
    assert_eq!(append_one(store, by_alice(drawing, &[joining(&of_bob)])).await, of_another());
    let allowed = [
        by_alice(drawing, &[undoing(&of_bob)]),
        by_bob(drawing, &[undoing(&of_bob)]),
        by_bob(drawing, &[joining(&of_bob)]),
        // Undoing what is undone changes nothing and is legal.
        by_alice(drawing, &[undoing(&of_bob)]),
    ];
    for (head, request) in (3..).zip(allowed) {
        assert_eq!(append_one(store, request).await, accepted(head, [committed(head)]));
    }
    // An owner who has become an editor keeps what is theirs, and no more.
    let as_editor = |op| AppendRequest { role: Role::Editor, ..by_alice(drawing, &[op]) };
    assert_eq!(append_one(store, as_editor(undoing(&of_alice))).await, accepted(7, [committed(7)]));
    assert_eq!(append_one(store, as_editor(undoing(&of_bob))).await, of_another());
}

async fn units_at_or_below_the_floor_are_closed(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let mut sent = ops(2_100);
    sent[3] = joining(&sent[0]);
    for chunk in sent.chunks(700) {
        append_one(store, by_alice(drawing, chunk)).await;
    }
    let at = |revision: usize| &sent[revision - 1];
    // However long a log is, all of it is open before the first fold.
    assert_eq!(
        append_one(store, by_alice(drawing, &[undoing(at(1))])).await,
        accepted(2_101, [committed(2_101)])
    );
    assert_eq!(append_one(store, folding(drawing, 0, 900)).await, accepted(2_102, [committed(2_102)]));
    assert_eq!(append_one(store, folding(drawing, 900, 1_024)).await, accepted(2_103, [committed(2_103)]));
    let closed = |index| refused(Refusal::UnitClosed { indexes: vec![index] });
    for revision in [1, 1_000, 1_024] {
        for op in [joining(at(revision)), undoing(at(revision))] {
            assert_eq!(append_one(store, by_alice(drawing, &[op])).await, closed(0), "{revision}");
        }
    }
    let open = [joining(at(1_025)), undoing(at(1_025))];
    assert_eq!(
        append_one(store, by_alice(drawing, &open)).await,
        accepted(2_105, [2_104, 2_105].map(committed))
    );
    // A retry of an op in a closed unit is a retry still.
    let retries = [at(1).clone(), at(4).clone()];
    assert_eq!(append_one(store, by_alice(drawing, &retries)).await, accepted(2_105, [1, 4].map(duplicate)));
    let request = by_alice(drawing, &[op(), joining(at(1_024)), joining(at(1_025)), undoing(at(1))]);
    assert_eq!(append_one(store, request).await, refused(Refusal::UnitClosed { indexes: vec![1, 3] }));
}

async fn the_floor_moves_between_two_requests_of_a_batch(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let first = op();
    append_one(store, by_alice(drawing, &[first.clone(), op()])).await;
    let [before, joined, undone, after] =
        [joining(&first), joining(&first), undoing(&first), op()].map(|op| by_alice(drawing, &[op]));
    let batch = [before, folding(drawing, 0, 1), joined, undone, after];
    let closed = || refused(Refusal::UnitClosed { indexes: vec![0] });
    let expected = [
        accepted(5, [committed(3)]),
        accepted(5, [committed(4)]),
        closed(),
        closed(),
        accepted(5, [committed(5)]),
    ];
    assert_eq!(append(store, &batch).await, expected);
}

async fn a_fold_is_dropped_where_the_log_is_another_than_it_was_planned_on(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let sent = ops(9);
    append_one(store, by_alice(drawing, &sent)).await;
    let dropped = || refused(Refusal::FoldDropped);
    for (from, floor) in [(1, 3), (0, 0), (0, 10), (3, 2)] {
        assert_eq!(append_one(store, folding(drawing, from, floor)).await, dropped(), "{from} to {floor}");
    }
    assert_eq!(append_one(store, folding(drawing, 0, 3)).await, accepted(10, [committed(10)]));
    // Another worker was first; and a retry of what is there is no fold anew.
    assert_eq!(append_one(store, folding(drawing, 0, 3)).await, dropped());
    let next = folding(drawing, 3, 5);
    assert_eq!(append_one(store, next.clone()).await, accepted(11, [committed(11)]));
    assert_eq!(append_one(store, next).await, accepted(11, [duplicate(11)]));
    // It gives way to whoever has named one of its units since it was planned, in the log or in the batch.
    let yielding = |planned_at: u64, floor: u64| {
        let request = folding(drawing, 5, floor);
        let plan = FoldPlan { planned_at: Revision(planned_at), yields: true, ..request.fold.unwrap() };
        AppendRequest { fold: Some(plan), ..request }
    };
    append_one(store, by_alice(drawing, &[undoing(&sent[6])])).await;
    assert_eq!(append_one(store, yielding(11, 7)).await, dropped());
    let batch = [by_alice(drawing, &[joining(&sent[5])]), yielding(12, 6)];
    assert_eq!(append(store, &batch).await, [accepted(13, [committed(13)]), dropped()]);
    assert_eq!(append_one(store, yielding(13, 7)).await, accepted(14, [committed(14)]));
    let of_another_epoch = AppendRequest { epoch: Some(Epoch(Uuid::nil())), ..folding(drawing, 7, 8) };
    let changed = refused(Refusal::EpochChanged { head: Revision(14) });
    assert_eq!(append_one(store, of_another_epoch).await, changed);
    assert_eq!(log(store, drawing).await.len(), 14);
}

async fn if_revision_looks_past_the_folds_of_the_server(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    append_one(store, by_alice(drawing, &ops(4))).await;
    for (from, floor) in [(0, 1), (1, 2)] {
        append_one(store, folding(drawing, from, floor)).await;
    }
    let conflict = |head| refused(Refusal::RevisionConflict { head: Revision(head) });
    for head in [0, 3, 7] {
        assert_eq!(append_one(store, only_at(head, by_alice(drawing, &[op()]))).await, conflict(6));
    }
    let batch = [
        folding(drawing, 2, 3),
        only_at(4, by_alice(drawing, &[op()])),
        only_at(7, by_alice(drawing, &[op()])),
    ];
    let expected = [accepted(8, [committed(7)]), accepted(8, [committed(8)]), conflict(8)];
    assert_eq!(append(store, &batch).await, expected);
}

// --- Fog --------------------------------------------------------------------------------------------

async fn only_owners_touch_fog_from_the_batch_that_creates_it(store: &dyn Store) {
    let (drawing, other) = (new_drawing(store).await, new_drawing(store).await);
    let forbidden = |index| refused(Refusal::FogForbidden { index });
    let batch = [
        by_bob(drawing, &[touching("f")]),
        by_alice(drawing, &[fog("f"), touching("f")]),
        by_bob(drawing, &[op(), touching("f")]),
        by_bob(drawing, &[touching("g")]),
        by_bob(other, &[touching("f")]),
    ];
    let expected = [
        accepted(4, [committed(1)]),
        accepted(4, [committed(2), committed(3)]),
        forbidden(1),
        accepted(4, [committed(4)]),
        accepted(1, [committed(1)]),
    ];
    assert_eq!(append(store, &batch).await, expected);
    let both = CheckedOp { touches: ["g", "f"].map(|object| object.parse().unwrap()).to_vec(), ..op() };
    assert_eq!(append_one(store, by_bob(drawing, std::slice::from_ref(&both))).await, forbidden(0));
    assert_eq!(append_one(store, by_alice(drawing, &[both])).await, accepted(5, [committed(5)]));
    // Creating it again, as after a delete, is no failure.
    assert_eq!(append_one(store, by_alice(drawing, &[fog("f")])).await, accepted(6, [committed(6)]));
    assert_eq!(append_one(store, by_bob(other, &[touching("f")])).await, accepted(2, [committed(2)]));
}

async fn a_refused_request_creates_no_fog(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let batch = [by_alice(drawing, &[fog("f"), joining(&op())]), by_bob(drawing, &[touching("f")])];
    let expected = [refused(Refusal::UnknownUnit { index: 1 }), accepted(1, [committed(1)])];
    assert_eq!(append(store, &batch).await, expected);
    assert_eq!(append_one(store, by_bob(drawing, &[touching("f")])).await, accepted(2, [committed(2)]));
}

async fn a_retry_of_what_became_fog_later_is_a_duplicate(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let early = touching("f");
    append_one(store, by_bob(drawing, std::slice::from_ref(&early))).await;
    append_one(store, by_alice(drawing, &[fog("f")])).await;
    assert_eq!(append_one(store, by_bob(drawing, &[early])).await, accepted(2, [duplicate(1)]));
}
