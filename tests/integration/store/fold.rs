//! The store: folds, the floor that they leave, and what a server op does not touch.

use revcast::{
    model::{CheckedOp, DrawingId, Epoch, OpId, Revision, Role, UserId},
    store::{AppendOutcome, AppendRequest, FoldPlan, Refusal, Store},
};
use uuid::Uuid;

use crate::store::contract::{
    NOW, accepted, append, append_one, by_alice, by_bob, committed, contract, duplicate, folding, joining,
    log, new_drawing, op, ops, refused, undoing, user,
};

contract! {
    a_fold_closes_the_units_at_or_below_its_floor(store),
    a_fold_is_a_row_of_the_log_without_a_unit(store),
    a_fold_is_dropped_where_another_one_was_faster(store),
    a_fold_gives_way_to_who_has_named_one_of_its_units(store),
    two_workers_that_fold_at_once_write_one_fold(first, second),
    a_fold_among_busy_writers_closes_only_what_it_says(store, other),
    if_revision_is_met_across_folds_and_nothing_else(store),
    a_fold_touches_no_metadata(store),
    the_times_of_a_log_never_fall(store),
    the_floor_is_told_with_the_head(store),
}

/// The same fold, planned at a revision, and giving way.
fn yielding(request: AppendRequest, planned_at: u64) -> AppendRequest {
    let fold = request.fold.map(|plan| FoldPlan { planned_at: Revision(planned_at), yields: true, ..plan });
    AppendRequest { fold, ..request }
}

async fn epoch_of(store: &dyn Store) -> Epoch {
    store.meta().await.unwrap().epoch
}

async fn a_fold_closes_the_units_at_or_below_its_floor(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let units = ops(4);
    append_one(store, by_alice(drawing, &units)).await;
    let folded = append_one(store, folding(drawing, 0, 2)).await;
    assert_eq!(folded, accepted(5, [committed(5)]));
    let closed = |indexes: &[usize]| refused(Refusal::UnitClosed { indexes: indexes.to_vec() });
    for unit in &units[..2] {
        assert_eq!(append_one(store, by_alice(drawing, &[joining(unit)])).await, closed(&[0]));
        assert_eq!(append_one(store, by_alice(drawing, &[op(), undoing(unit)])).await, closed(&[1]));
    }
    let both = [joining(&units[2]), undoing(&units[3])];
    assert_eq!(append_one(store, by_alice(drawing, &both)).await, accepted(7, [committed(6), committed(7)]));
    // An op that is sent again is there, whatever has been closed since.
    assert_eq!(append_one(store, by_alice(drawing, &units[..1])).await, accepted(7, [duplicate(1)]));
}

async fn a_fold_is_a_row_of_the_log_without_a_unit(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    append_one(store, by_alice(drawing, &ops(2))).await;
    let fold = folding(drawing, 0, 1);
    append_one(store, fold.clone()).await;
    let stored = store.find_op(drawing, fold.ops[0].op_id).await.unwrap().expect("it is in the log");
    assert_eq!((stored.revision, &*stored.actor), (Revision(3), "revcast:fold"));
    assert_eq!(stored.body, *fold.ops[0].body);
    let unknown = refused(Refusal::UnknownUnit { index: 0 });
    assert_eq!(append_one(store, by_alice(drawing, &[undoing(&fold.ops[0])])).await, unknown);
    // Nor does the nil UUID, which stands in its row, name anything.
    let nil = CheckedOp { unit: Some(OpId(Uuid::nil())), is_undo_redo: true, ..op() };
    assert_eq!(append_one(store, by_alice(drawing, &[nil])).await, unknown);
}

async fn a_fold_is_dropped_where_another_one_was_faster(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    append_one(store, by_alice(drawing, &ops(5))).await;
    append_one(store, folding(drawing, 0, 2)).await;
    let dropped = refused(Refusal::FoldDropped);
    for (from, floor) in [(0, 3), (2, 2), (2, 1), (2, 7), (3, 4)] {
        assert_eq!(append_one(store, folding(drawing, from, floor)).await, dropped, "{from} to {floor}");
    }
    let epoch = Some(Epoch(Uuid::new_v4()));
    let elsewhere = AppendRequest { epoch, ..folding(drawing, 2, 4) };
    let changed = refused(Refusal::EpochChanged { head: Revision(6) });
    assert_eq!(append_one(store, elsewhere).await, changed);
    let epoch = Some(epoch_of(store).await);
    let here = AppendRequest { epoch, ..folding(drawing, 2, 4) };
    assert_eq!(append_one(store, here).await, accepted(7, [committed(7)]));
}

async fn a_fold_gives_way_to_who_has_named_one_of_its_units(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let units = ops(4);
    append_one(store, by_alice(drawing, &units)).await;
    // Named before the plan, and a unit above the floor after it.
    append_one(store, by_alice(drawing, &[undoing(&units[0])])).await;
    append_one(store, by_alice(drawing, &[joining(&units[3])])).await;
    let dropped = refused(Refusal::FoldDropped);
    assert_eq!(append_one(store, yielding(folding(drawing, 0, 2), 4)).await, dropped);
    append_one(store, by_alice(drawing, &[undoing(&units[3])])).await;
    assert_eq!(append_one(store, yielding(folding(drawing, 0, 2), 5)).await, accepted(8, [committed(8)]));
    // Alice undoes an old unit in the same batch, before it.
    let batch = [by_alice(drawing, &[undoing(&units[2])]), yielding(folding(drawing, 2, 3), 8)];
    assert_eq!(append(store, &batch).await[1], dropped);
    // At the hard bound a fold does not give way.
    assert_eq!(append_one(store, folding(drawing, 2, 3)).await, accepted(10, [committed(10)]));
}

async fn two_workers_that_fold_at_once_write_one_fold(first: &dyn Store, second: &dyn Store) {
    let drawing = new_drawing(first).await;
    append_one(first, by_alice(drawing, &ops(6))).await;
    // Both plan on the same floor, and so give it the same id; one has seen a little more.
    let plan = folding(drawing, 0, 3);
    let mut later = AppendRequest { fold: folding(drawing, 0, 4).fold, ..plan.clone() };
    later.ops[0].body = plan.ops[0].body.replace(r#""floor":3"#, r#""floor":4"#).into();
    let (a, b) = tokio::join!(append_one(first, plan), append_one(second, later));
    let is_written = |outcome: &AppendOutcome| matches!(outcome, AppendOutcome::Accepted { .. });
    assert!(is_written(&a) != is_written(&b), "{a:?}, {b:?}");
    let folds = log(first, drawing).await.iter().filter(|op| op.actor == "revcast:fold").count();
    assert_eq!(folds, 1);
}

async fn a_fold_among_busy_writers_closes_only_what_it_says(store: &dyn Store, other: &dyn Store) {
    let drawing = new_drawing(store).await;
    let old = ops(40);
    append_one(store, by_alice(drawing, &old)).await;
    let writing = async {
        let mut refused = 0;
        for unit in old.iter().rev() {
            match append_one(other, by_alice(drawing, &[undoing(unit)])).await {
                AppendOutcome::Accepted { .. } => (),
                AppendOutcome::Refused(Refusal::UnitClosed { .. }) => refused += 1,
                outcome => panic!("{outcome:?}"),
            }
        }
        refused
    };
    let folding = async {
        let mut floor = 0;
        for next in [10, 20, 30] {
            if append_one(store, folding(drawing, floor, next)).await != refused(Refusal::FoldDropped) {
                floor = next;
            }
        }
        floor
    };
    let (refusals, floor) = tokio::join!(writing, folding);
    assert_eq!(floor, 30, "nobody else folds");
    // Whatever was accepted stands before the fold that would have closed its unit. They come from the last unit down, and
    // once one is refused, so are all below it.
    let (mut closed, mut accepted) = (0, 0);
    for op in log(store, drawing).await {
        if let Some(floor) = op.body.split_once(r#""floor":"#) {
            closed = floor.1.trim_end_matches('}').parse().unwrap();
        } else if op.revision.0 > 40 {
            let unit = 40 - accepted;
            assert!(unit > closed, "unit {unit} was closed at {closed}");
            accepted += 1;
        }
    }
    assert_eq!(accepted + refusals, 40);
}

async fn if_revision_is_met_across_folds_and_nothing_else(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    append_one(store, by_alice(drawing, &ops(3))).await;
    append_one(store, folding(drawing, 0, 1)).await;
    append_one(store, folding(drawing, 1, 2)).await;
    let at = |revision| AppendRequest { if_revision: Some(Revision(revision)), ..by_bob(drawing, &[op()]) };
    let conflict = |head| refused(Refusal::RevisionConflict { head: Revision(head) });
    assert_eq!(append_one(store, at(2)).await, conflict(5));
    assert_eq!(append_one(store, at(6)).await, conflict(5));
    assert_eq!(append_one(store, at(3)).await, accepted(6, [committed(6)]));
    for revision in 3..6 {
        assert_eq!(append_one(store, at(revision)).await, conflict(6));
    }
    assert_eq!(append_one(store, at(6)).await, accepted(7, [committed(7)]));
    // In a drawing that has folds alone after nothing.
    let empty = new_drawing(store).await;
    let start = AppendRequest { if_revision: Some(Revision(0)), ..by_bob(empty, &[op()]) };
    assert_eq!(append_one(store, start).await, accepted(1, [committed(1)]));
}

async fn a_fold_touches_no_metadata(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    append_one(store, by_alice(drawing, &ops(3))).await;
    let metadata = || async { store.drawing(drawing, &user("alice")).await.unwrap().unwrap() };
    let before = metadata().await;
    store.append(&[folding(drawing, 0, 1)], NOW + 5_000).await.unwrap();
    let after = metadata().await;
    assert_eq!(after.updated_at, before.updated_at);
    assert_eq!(after.head, before.head.next());
    assert_eq!(store.members(drawing).await.unwrap().len(), 1, "the server is no member");
}

async fn the_times_of_a_log_never_fall(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    for (now, ts) in [(NOW, NOW), (NOW + 9, NOW + 9), (NOW - 7, NOW + 9), (NOW + 10, NOW + 10)] {
        let fast = store.append(&[by_alice(drawing, &[op()])], now).await.unwrap();
        let careful = store.append(&[careful(store, drawing).await], now).await.unwrap();
        assert_eq!((fast.heads[&drawing].ts, careful.heads[&drawing].ts), (ts, ts));
    }
    let times: Vec<_> = log(store, drawing).await.iter().map(|op| op.ts - NOW).collect();
    assert_eq!(times, [0, 0, 9, 9, 9, 9, 10, 10]);
}

/// A request that takes the careful road.
async fn careful(store: &dyn Store, drawing: DrawingId) -> AppendRequest {
    let head = store.heads(&[drawing]).await.unwrap().head(drawing);
    AppendRequest { if_revision: head, ..by_alice(drawing, &[op()]) }
}

async fn the_floor_is_told_with_the_head(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let floor = || async { store.heads(&[drawing]).await.unwrap().stands[&drawing].floor };
    append_one(store, by_alice(drawing, &ops(3))).await;
    assert_eq!(floor().await, Revision(0));
    let appended = store.append(&[folding(drawing, 0, 2)], NOW).await.unwrap();
    assert_eq!((appended.heads[&drawing].floor, floor().await), (Revision(2), Revision(2)));
    let appended = store.append(&[by_alice(drawing, &[op()])], NOW).await.unwrap();
    assert_eq!((appended.heads[&drawing].floor, floor().await), (Revision(2), Revision(2)));
    // The fold is the server's own, whatever its role is called.
    let fold = folding(drawing, 2, 3);
    assert_eq!((fold.actor, fold.role), (UserId::folder(), Role::Owner));
}
