//! The store: an undo or redo that holds only while nobody else has undone or redone its unit.

use futures_util::future::join_all;
use revcast::{
    model::{CheckedOp, DrawingId, Revision},
    store::{AppendRequest, Log, PoolOptions, PostgresStore, Refusal, Store, StoreError},
};

use crate::{
    store::contract::{
        NOW, accepted, append, append_one, by_alice, by_bob, committed, contract, duplicate, fog, folding,
        joining, log, new_drawing, new_drawing_id, op, ops, refused, undoing, with_body,
    },
    support::new_database,
};

contract! {
    a_guarded_undo_is_refused_once_its_unit_was_toggled(store),
    only_undos_and_redos_of_the_unit_count(store),
    a_guarded_undo_sees_those_before_it_in_the_batch(store),
    a_retried_guarded_undo_is_a_duplicate(store),
    of_concurrent_guarded_undos_one_wins(one, other),
    a_guard_does_not_change_what_is_refused_anyway(store),
}

/// An undo or redo of the unit of `first`, with a body that says so.
fn toggling(first: &CheckedOp, kind: &str) -> CheckedOp {
    let op = undoing(first);
    let body = format!(r#"{{"op_id":"{}","type":"{kind}","unit":"{}"}}"#, op.op_id, first.op_id);
    with_body(&op, &body)
}

/// A request of alice's that wants the unit as it was at `revision`.
fn untoggled_since(revision: u64, drawing: DrawingId, op: CheckedOp) -> AppendRequest {
    AppendRequest { untoggled_since: Some(Revision(revision)), ..by_alice(drawing, &[op]) }
}

fn toggled() -> revcast::store::AppendOutcome {
    refused(Refusal::UnitToggled { index: 0 })
}

/// A drawing with a unit at revision 1.
async fn drawing_with_unit(store: &dyn Store) -> (DrawingId, CheckedOp) {
    let (drawing, first) = (new_drawing(store).await, op());
    append_one(store, by_alice(drawing, std::slice::from_ref(&first))).await;
    (drawing, first)
}

async fn a_guarded_undo_is_refused_once_its_unit_was_toggled(store: &dyn Store) {
    let (drawing, first) = drawing_with_unit(store).await;
    let guarded = |since, kind| untoggled_since(since, drawing, toggling(&first, kind));
    assert_eq!(append_one(store, guarded(1, "undo")).await, accepted(2, [committed(2)]));
    assert_eq!(append_one(store, guarded(1, "undo")).await, toggled());
    assert_eq!(append_one(store, guarded(2, "redo")).await, accepted(3, [committed(3)]));
    for since in 0..3 {
        assert_eq!(append_one(store, guarded(since, "undo")).await, toggled());
    }
    // An undo without a guard counts too, and is not refused itself.
    assert_eq!(
        append_one(store, by_alice(drawing, &[toggling(&first, "undo")])).await,
        accepted(4, [committed(4)])
    );
    assert_eq!(append_one(store, guarded(3, "redo")).await, toggled());
    for (since, revision) in [(4, 5), (u64::MAX, 6)] {
        assert_eq!(
            append_one(store, guarded(since, "redo")).await,
            accepted(revision, [committed(revision)])
        );
    }
    assert_eq!(log(store, drawing).await.len(), 6);
}

async fn only_undos_and_redos_of_the_unit_count(store: &dyn Store) {
    let (drawing, first) = drawing_with_unit(store).await;
    let (neighbour, elsewhere) = drawing_with_unit(store).await;
    append_one(store, by_alice(neighbour, &[toggling(&elsewhere, "undo")])).await;
    let (second, word) = (op(), op());
    let joined = with_body(&joining(&first), r#"{"text":"undo","type":"custom.undo"}"#);
    let between = [joined, second.clone(), joining(&second), toggling(&second, "undo"), word];
    append_one(store, by_alice(drawing, &between)).await;
    assert_eq!(
        append_one(store, untoggled_since(5, drawing, toggling(&second, "redo"))).await,
        accepted(7, [committed(7)])
    );
    assert_eq!(
        append_one(store, untoggled_since(1, drawing, toggling(&first, "undo"))).await,
        accepted(8, [committed(8)])
    );
}

async fn a_guarded_undo_sees_those_before_it_in_the_batch(store: &dyn Store) {
    let (drawing, first) = drawing_with_unit(store).await;
    let guarded = |since| untoggled_since(since, drawing, toggling(&first, "undo"));
    let batch = [by_alice(drawing, &ops(2)), guarded(1), guarded(1), by_bob(drawing, &[op()]), guarded(4)];
    let expected = [
        accepted(6, [2, 3].map(committed)),
        accepted(6, [committed(4)]),
        toggled(),
        accepted(6, [committed(5)]),
        accepted(6, [committed(6)]),
    ];
    assert_eq!(append(store, &batch).await, expected);
}

async fn a_retried_guarded_undo_is_a_duplicate(store: &dyn Store) {
    let (drawing, first) = drawing_with_unit(store).await;
    let undo = untoggled_since(1, drawing, toggling(&first, "undo"));
    assert_eq!(append_one(store, undo.clone()).await, accepted(2, [committed(2)]));
    append_one(store, by_alice(drawing, &[toggling(&first, "redo")])).await;
    assert_eq!(
        append(store, &[undo.clone(), undo]).await,
        [accepted(3, [duplicate(2)]), accepted(3, [duplicate(2)])]
    );
}

async fn of_concurrent_guarded_undos_one_wins(one: &dyn Store, other: &dyn Store) {
    let (drawing, first) = drawing_with_unit(one).await;
    for head in 1..9 {
        let attempts = (0..16).map(|nth| {
            let store = if nth % 2 == 0 { one } else { other };
            append_one(store, untoggled_since(head, drawing, toggling(&first, "undo")))
        });
        let outcomes = join_all(attempts).await;
        let losers = outcomes.iter().filter(|outcome| **outcome == toggled()).count();
        assert_eq!(losers, 15, "{outcomes:?}");
        assert!(outcomes.contains(&accepted(head + 1, [committed(head + 1)])));
    }
}

async fn a_guard_does_not_change_what_is_refused_anyway(store: &dyn Store) {
    let (drawing, first) = drawing_with_unit(store).await;
    append_one(store, by_alice(drawing, &[toggling(&first, "undo")])).await;
    let by_editor = AppendRequest {
        actor: by_bob(drawing, &[]).actor,
        role: by_bob(drawing, &[]).role,
        ..untoggled_since(1, drawing, toggling(&first, "redo"))
    };
    assert_eq!(append_one(store, by_editor).await, refused(Refusal::UnitOfAnother { index: 0 }));
    let unknown = untoggled_since(1, drawing, toggling(&op(), "undo"));
    assert_eq!(append_one(store, unknown).await, refused(Refusal::UnknownUnit { index: 0 }));
    let nowhere = untoggled_since(1, new_drawing_id(), toggling(&first, "undo"));
    assert_eq!(append_one(store, nowhere).await, refused(Refusal::NoDrawing));
    append_one(store, folding(drawing, 0, 1)).await;
    let closed = untoggled_since(1, drawing, toggling(&first, "redo"));
    assert_eq!(append_one(store, closed).await, refused(Refusal::UnitClosed { indexes: vec![0] }));
}

/// Without the function of the plain road, what takes it fails and what needs care does not.
#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_only_what_needs_care_takes_the_careful_road() {
    let url = new_database();
    let options = PoolOptions { max_connections: 2, start_timeout: revcast::limits::STORE_START_TIMEOUT };
    let store = PostgresStore::connect(&url, options).await.unwrap();
    let (drawing, first) = drawing_with_unit(&store).await;
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query("DROP FUNCTION append_ops").execute(&pool).await.unwrap();
    for ops in [vec![op()], vec![joining(&first), toggling(&first, "undo")], ops(500)] {
        let outcome = store.append(&[by_alice(drawing, &ops)], NOW).await;
        assert!(matches!(outcome, Err(StoreError::Failed(_))), "{outcome:?}");
    }
    let at_the_head = AppendRequest { if_revision: Some(Revision(1)), ..by_alice(drawing, &[op()]) };
    let undo = untoggled_since(1, drawing, toggling(&first, "undo"));
    for (head, request) in (2..).zip([at_the_head, undo, by_alice(drawing, &[fog("f")])]) {
        assert_eq!(append_one(&store, request).await, accepted(head, [committed(head)]));
    }
}
