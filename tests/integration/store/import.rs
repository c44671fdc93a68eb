//! The store: logs that come from another server.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use revcast::{
    model::{CheckedOp, DrawingId, Revision, Role},
    store::{
        Claim, CreateOutcome, ImportedLog, ImportedOp, MemberOutcome, ReadRange, Refusal, Store, StoreError,
    },
};
use uuid::Uuid;

use crate::{
    store::contract::{
        NOW, accepted, append_one, by_alice, by_bob, committed, contract, duplicate, fog, joining, log,
        new_drawing, new_drawing_id, op, ops, refused, touching, undoing, user, with_body,
    },
    support::{App, eventually},
};

contract! {
    a_drawing_shows_itself_to_nobody_until_its_import_is_finished(store),
    an_imported_log_is_the_log_that_came(store),
    an_imported_log_goes_on_as_any_other(store),
    a_large_log_is_imported_in_calls_of_any_size(store),
    the_ops_of_an_import_follow_each_other_without_hole(store),
    an_op_id_stands_once_in_an_imported_log(store),
    an_import_is_finished_at_its_last_op_alone(store),
    beginning_an_import_again_is_told_from_taking(store),
    an_import_that_is_aborted_leaves_nothing(store),
    an_import_that_is_being_aborted_takes_nothing_and_is_not_finished(store),
    only_an_unfinished_import_is_aborted(store),
    imports_are_stale_once_they_began_before_a_time(store),
    of_the_same_ops_imported_at_once_each_is_there_once(one, other),
    an_import_and_its_abort_at_once_leave_nothing(one, other),
}

/// These ops as revisions from `first` on.
pub fn imported(first: u64, ops: &[CheckedOp]) -> Vec<ImportedOp> {
    let import = |(revision, op): (u64, &CheckedOp)| ImportedOp {
        op: op.clone(),
        revision: Revision(revision),
        actor: user(if revision % 2 == 0 { "alice" } else { "bob" }),
        ts: NOW - 1_000 + i64::try_from(revision).unwrap(),
    };
    (first..).zip(ops).map(import).collect()
}

async fn begin(store: &dyn Store, id: DrawingId) -> CreateOutcome {
    store.begin_import(id, "imported", &user("alice"), NOW).await.unwrap()
}

/// An import that has begun.
async fn begun(store: &dyn Store) -> DrawingId {
    let id = new_drawing_id();
    assert_eq!(begin(store, id).await, CreateOutcome::Created);
    id
}

async fn import(store: &dyn Store, id: DrawingId, first: u64, ops: &[CheckedOp]) -> bool {
    store.import_ops(id, &imported(first, ops)).await.unwrap()
}

async fn finish(store: &dyn Store, id: DrawingId, head: u64) -> bool {
    let log = ImportedLog { head: Revision(head), ..ImportedLog::default() };
    store.finish_import(id, &user("alice"), &log).await.unwrap()
}

/// A drawing of alice's that was imported.
async fn imported_drawing(store: &dyn Store, ops: &[CheckedOp]) -> DrawingId {
    let id = begun(store).await;
    assert!(import(store, id, 1, ops).await && finish(store, id, ops.len() as u64).await);
    id
}

async fn abort(store: &dyn Store, id: DrawingId, limit: u32) -> bool {
    store.abort_import(id, limit).await.unwrap()
}

/// Nobody may learn of the drawing, nor change it.
async fn assert_hidden(store: &dyn Store, id: DrawingId, op: &CheckedOp) {
    let alice = user("alice");
    assert_eq!(store.drawing(id, &alice).await.unwrap(), None);
    assert!(store.drawings(&alice, None, 10).await.unwrap().is_empty());
    assert_eq!(store.role(id, &alice).await.unwrap(), None);
    assert!(store.members(id).await.unwrap().is_empty());
    assert!(store.heads(&[id]).await.unwrap().stands.is_empty());
    let range =
        ReadRange { drawing_id: id, after: Revision(0), until: None, limit: 10, max_bytes: usize::MAX };
    assert!(store.read(&range).await.unwrap().is_none());
    assert_eq!(store.find_op(id, op.op_id).await.unwrap(), None);
    assert_eq!(store.revision_at(id, NOW).await.unwrap(), None);
    for op in [op.clone(), crate::store::contract::op()] {
        assert_eq!(append_one(store, by_alice(id, &[op])).await, refused(Refusal::NoDrawing));
    }
    assert!(!store.rename_drawing(id, "mine", NOW).await.unwrap());
    assert!(!store.delete_drawing(id, NOW).await.unwrap());
    let set = store.set_member(id, &alice, Some(Role::Owner), NOW).await.unwrap();
    assert_eq!(set, MemberOutcome::NotFound);
    assert_eq!(store.due_snapshots(None, 1, 10).await.unwrap().due, []);
    let claim = store.claim_snapshot(id, Uuid::now_v7(), 1, NOW, NOW + 1).await.unwrap();
    assert_eq!(claim, Claim::NoDrawing);
}

async fn a_drawing_shows_itself_to_nobody_until_its_import_is_finished(store: &dyn Store) {
    let (id, sent) = (begun(store).await, ops(3));
    assert_hidden(store, id, &sent[0]).await;
    assert!(import(store, id, 1, &sent).await);
    assert_hidden(store, id, &sent[0]).await;
    // A user who creates drawings does not get in its way.
    for name in ["alice", "bob"] {
        let created = store.create_drawing(id, "mine", &user(name), NOW).await.unwrap();
        assert_eq!(created, CreateOutcome::Taken);
    }
    assert!(finish(store, id, 3).await);
    let drawing = store.drawing(id, &user("alice")).await.unwrap().unwrap();
    assert_eq!((&*drawing.title, drawing.head, drawing.role), ("imported", Revision(3), Role::Owner));
    assert_eq!((drawing.created_at, drawing.snapshot_revision), (NOW, None));
    assert_eq!(store.members(id).await.unwrap().len(), 1);
    assert_eq!(store.create_drawing(id, "", &user("alice"), NOW).await.unwrap(), CreateOutcome::Exists);
}

async fn an_imported_log_is_the_log_that_came(store: &dyn Store) {
    let odd = with_body(&op(), r#"{"data":"\u0000 \ud83d\ude00 ä 😀 ' \" \\ $1 ?","x":1.50e0}"#);
    let first = op();
    let sent = [first.clone(), joining(&first), undoing(&first), odd];
    let id = imported_drawing(store, &sent).await;
    let log = log(store, id).await;
    for (op, stored) in imported(1, &sent).iter().zip(&log) {
        assert_eq!((op.actor.as_str(), op.ts, &*op.op.body), (&*stored.actor, stored.ts, &*stored.body));
        assert_eq!(store.find_op(id, op.op.op_id).await.unwrap().as_ref(), Some(stored));
        assert_eq!(store.revision_at(id, op.ts).await.unwrap(), Some(op.revision));
    }
    assert_eq!(log.len(), 4);
}

async fn an_imported_log_goes_on_as_any_other(store: &dyn Store) {
    let first = op();
    let sent = [fog("f"), first.clone(), joining(&first)];
    let id = imported_drawing(store, &sent).await;
    let no_fog = imported_drawing(store, &ops(1)).await;
    assert_eq!(append_one(store, by_bob(id, &[sent[2].clone()])).await, accepted(3, [duplicate(3)]));
    // Revision 2 is alice's; fog is for owners.
    let of_another = refused(Refusal::UnitOfAnother { index: 0 });
    assert_eq!(append_one(store, by_bob(id, &[undoing(&first)])).await, of_another);
    assert_eq!(append_one(store, by_alice(id, &[undoing(&first)])).await, accepted(4, [committed(4)]));
    let forbidden = refused(Refusal::FogForbidden { index: 0 });
    assert_eq!(append_one(store, by_bob(id, &[touching("f")])).await, forbidden);
    assert_eq!(append_one(store, by_bob(no_fog, &[touching("f")])).await, accepted(2, [committed(2)]));
    let due = store.due_snapshots(None, 4, 10).await.unwrap().due;
    assert_eq!(due, [id]);
    assert!(store.delete_drawing(id, NOW).await.unwrap());
    assert_eq!(store.purge_deleted(10).await.unwrap(), 4);
}

async fn a_large_log_is_imported_in_calls_of_any_size(store: &dyn Store) {
    let sent = ops(2_345);
    let id = begun(store).await;
    let mut first = 1;
    for chunk in sent.chunks(997) {
        assert!(import(store, id, first, chunk).await);
        first += chunk.len() as u64;
    }
    assert!(finish(store, id, 2_345).await);
    let bodies: Vec<_> = log(store, id).await.into_iter().map(|op| op.body).collect();
    assert_eq!(bodies, sent.iter().map(|op| op.body.to_string()).collect::<Vec<_>>());
}

async fn the_ops_of_an_import_follow_each_other_without_hole(store: &dyn Store) {
    let (id, sent) = (begun(store).await, ops(6));
    assert!(!import(store, id, 2, &sent[..1]).await, "it begins at 1");
    assert!(import(store, id, 1, &sent[..2]).await);
    assert!(!import(store, id, 4, &sent[3..]).await, "3 is missing");
    let hole = [imported(3, &sent[2..4]), imported(6, &sent[5..])].concat();
    assert!(!store.import_ops(id, &hole).await.unwrap(), "5 is missing");
    let reversed = [imported(4, &sent[3..4]), imported(3, &sent[2..3])].concat();
    assert!(!store.import_ops(id, &reversed).await.unwrap());
    // A call that broke off is repeated, and may bring more.
    for count in [2, 2, 4, 3, 0, 6] {
        assert!(import(store, id, 1, &sent[..count]).await);
    }
    assert!(finish(store, id, 6).await);
    assert_eq!(log(store, id).await.len(), 6);
    for missing in [id, new_drawing_id(), new_drawing(store).await] {
        assert!(!import(store, missing, 7, &ops(1)).await, "there is no such import");
    }
    assert_eq!(log(store, id).await.len(), 6);
}

async fn an_op_id_stands_once_in_an_imported_log(store: &dyn Store) {
    let (id, twice) = (begun(store).await, op());
    assert!(import(store, id, 1, std::slice::from_ref(&twice)).await);
    let outcome = store.import_ops(id, &imported(2, &[op(), twice.clone()])).await;
    assert!(matches!(outcome, Err(StoreError::Failed(_))), "{outcome:?}");
    assert!(import(store, id, 2, &[op()]).await, "nothing of it was written");
    // In another drawing it is another op.
    imported_drawing(store, &[twice]).await;
}

async fn an_import_is_finished_at_its_last_op_alone(store: &dyn Store) {
    let id = begun(store).await;
    assert!(!finish(store, id, 1).await);
    assert!(import(store, id, 1, &ops(2)).await);
    for head in [0, 1, 3, u64::MAX] {
        assert!(!finish(store, id, head).await);
    }
    assert!(import(store, id, 3, &ops(1)).await, "it goes on");
    assert!(finish(store, id, 3).await);
    assert!(!finish(store, id, 3).await, "once");
    assert!(!finish(store, new_drawing_id(), 0).await);
    let empty = imported_drawing(store, &[]).await;
    assert_eq!(append_one(store, by_alice(empty, &[op()])).await, accepted(1, [committed(1)]));
}

async fn beginning_an_import_again_is_told_from_taking(store: &dyn Store) {
    let id = begun(store).await;
    assert!(import(store, id, 1, &ops(1)).await);
    assert_eq!(begin(store, id).await, CreateOutcome::Exists);
    let by_bob = async |id| store.begin_import(id, "", &user("bob"), NOW).await.unwrap();
    assert_eq!(by_bob(id).await, CreateOutcome::Taken);
    assert!(finish(store, id, 1).await, "nothing was changed");
    let deleted = new_drawing(store).await;
    store.delete_drawing(deleted, NOW).await.unwrap();
    for id in [id, deleted, new_drawing(store).await] {
        assert_eq!(begin(store, id).await, CreateOutcome::Taken);
        assert_eq!(by_bob(id).await, CreateOutcome::Taken);
    }
}

// --- Imports that come to nothing -----------------------------------------------------------------------

async fn an_import_that_is_aborted_leaves_nothing(store: &dyn Store) {
    let (id, neighbour) = (begun(store).await, begun(store).await);
    assert!(import(store, neighbour, 1, &ops(2)).await);
    assert!(import(store, id, 1, &[ops(24), vec![fog("f")]].concat()).await);
    for is_all in [false, false, true, true] {
        assert_eq!(abort(store, id, 10).await, is_all);
    }
    assert_eq!(begin(store, id).await, CreateOutcome::Created, "its id is free");
    assert!(import(store, id, 1, &ops(1)).await && finish(store, id, 1).await);
    assert_eq!(append_one(store, by_bob(id, &[touching("f")])).await, accepted(2, [committed(2)]));
    assert!(finish(store, neighbour, 2).await);
}

async fn an_import_that_is_being_aborted_takes_nothing_and_is_not_finished(store: &dyn Store) {
    let (id, sent) = (begun(store).await, ops(4));
    assert!(import(store, id, 1, &sent).await);
    assert!(!abort(store, id, 2).await);
    assert!(!import(store, id, 1, &sent).await);
    assert!(!import(store, id, 5, &ops(1)).await);
    assert!(!finish(store, id, 4).await);
    assert_eq!(begin(store, id).await, CreateOutcome::Taken);
    assert_hidden(store, id, &sent[3]).await;
    assert!(!abort(store, id, 2).await && abort(store, id, 2).await);
}

async fn only_an_unfinished_import_is_aborted(store: &dyn Store) {
    let (drawing, finished) = (new_drawing(store).await, imported_drawing(store, &ops(2)).await);
    append_one(store, by_alice(drawing, &ops(2))).await;
    for id in [drawing, finished, new_drawing_id()] {
        assert!(abort(store, id, 1).await, "there is nothing to do");
    }
    for id in [drawing, finished] {
        assert_eq!(log(store, id).await.len(), 2);
    }
}

async fn imports_are_stale_once_they_began_before_a_time(store: &dyn Store) {
    let mut ids = Vec::new();
    for began in [NOW, NOW + 5, NOW + 9] {
        let id = new_drawing_id();
        store.begin_import(id, "", &user("alice"), began).await.unwrap();
        ids.push(id);
    }
    let (_, finished) = (new_drawing(store).await, imported_drawing(store, &[]).await);
    let stale =
        async |before| -> BTreeSet<_> { store.stale_imports(before).await.unwrap().into_iter().collect() };
    assert_eq!(stale(NOW).await, [].into());
    assert_eq!(stale(NOW + 9).await, ids[..2].iter().copied().collect());
    // One that is being undone is taken up again, whenever it began.
    assert!(import(store, ids[2], 1, &ops(2)).await && !abort(store, ids[2], 1).await);
    assert_eq!(stale(NOW).await, [ids[2]].into());
    assert!(!stale(i64::MAX).await.contains(&finished));
}

async fn of_the_same_ops_imported_at_once_each_is_there_once(one: &dyn Store, other: &dyn Store) {
    let (id, sent) = (begun(one).await, ops(50));
    let attempts = (0..8).map(|nth| import(if nth % 2 == 0 { one } else { other }, id, 1, &sent[..40 + nth]));
    assert!(join_all(attempts).await.into_iter().all(|is_imported| is_imported));
    assert!(finish(other, id, 47).await);
    assert_eq!(log(one, id).await.len(), 47);
}

async fn an_import_and_its_abort_at_once_leave_nothing(one: &dyn Store, other: &dyn Store) {
    for _ in 0..8 {
        let id = begun(one).await;
        let importing = async {
            let mut first = 1;
            while import(one, id, first, &ops(5)).await {
                first += 5;
            }
            finish(one, id, first - 1).await
        };
        let aborting = async { while !abort(other, id, 7).await {} };
        let (is_finished, ()) = tokio::join!(importing, aborting);
        assert!(!is_finished);
        assert_eq!(begin(one, id).await, CreateOutcome::Created);
        assert!(finish(one, id, 0).await, "no op is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_removes_stale_imports() {
    let database = crate::store::contract::Database::sqlite();
    let store = database.connect().await;
    let (stale, fresh) = (new_drawing_id(), new_drawing_id());
    for (id, began) in [(stale, NOW), (fresh, revcast::clock::now_ms())] {
        store.begin_import(id, "", &user("alice"), began).await.unwrap();
        assert!(import(&*store, id, 1, &ops(1_001)).await);
    }
    let _app = App::start(database.url(), &[]).await;
    eventually("the stale import is gone", || async {
        (begin(&*store, stale).await == CreateOutcome::Created).then_some(())
    })
    .await;
    assert!(finish(&*store, fresh, 1_001).await);
}
