//! The store: epochs that go on with the one before, and those that do not.

use revcast::{
    model::{Branch, DrawingId, Epoch, Revision, Trunk},
    store::{AppendRequest, ImportedLog, Refusal, Store},
};
use sqlx::{PgPool, SqlitePool};

use crate::store::contract::{
    Database, NOW, accepted, append_one, by_alice, committed, new_drawing, new_drawing_id, op, ops, refused,
    user,
};
use crate::store::import::imported;

/// Makes the database believe that it has been promoted since its last append: Postgres changes the epoch by itself in the
/// next one; an SQLite file, which is never promoted, is given what that would write.
pub async fn promote(database: &Database) {
    let url = database.url();
    if url.starts_with("sqlite:") {
        let pool = SqlitePool::connect(url).await.unwrap();
        let renew = "UPDATE meta SET previous_epoch = epoch, epoch = randomblob(16)";
        sqlx::query(renew).execute(&pool).await.unwrap();
    } else {
        let pool = PgPool::connect(url).await.unwrap();
        sqlx::query("UPDATE meta SET timeline = timeline - 1").execute(&pool).await.unwrap();
    }
}

async fn branch(store: &dyn Store, drawing: DrawingId) -> Branch {
    let branch = store.heads(&[drawing]).await.unwrap().stands[&drawing].branch;
    // Whoever asks is told the same.
    assert_eq!(store.drawing(drawing, &user("alice")).await.unwrap().unwrap().branch, branch);
    branch
}

async fn commit(store: &dyn Store, drawing: DrawingId, count: usize) {
    append_one(store, by_alice(drawing, &ops(count))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_after_a_promotion_goes_on_with_the_one_before_up_to_where_each_drawing_stood() {
    for database in [Database::sqlite(), Database::postgres()] {
        let store = database.connect().await;
        let store = &*store;
        let (busy, idle) = (new_drawing(store).await, new_drawing(store).await);
        commit(store, busy, 3).await;
        commit(store, idle, 5).await;
        let first = store.meta().await.unwrap().epoch;
        assert_eq!(branch(store, busy).await, Branch::cut(first));
        promote(&database).await;
        commit(store, busy, 1).await;
        let second = store.meta().await.unwrap().epoch;
        assert_ne!(second, first);
        let goes_on = |epoch, before, base| Branch {
            epoch,
            trunk: Some(Trunk { epoch: before, base: Revision(base) }),
        };
        assert_eq!(branch(store, busy).await, goes_on(second, first, 3));
        assert_eq!(branch(store, idle).await, goes_on(second, first, 5));
        // Later commits move no base.
        commit(store, busy, 1).await;
        assert_eq!(branch(store, busy).await, goes_on(second, first, 3));
        commit(store, idle, 2).await;
        assert_eq!(branch(store, idle).await, goes_on(second, first, 5));
        let young = new_drawing(store).await;
        commit(store, young, 2).await;
        assert_eq!(branch(store, young).await, goes_on(second, first, 0));
        // Two in a row, with a drawing idle in between.
        promote(&database).await;
        commit(store, busy, 1).await;
        promote(&database).await;
        commit(store, busy, 1).await;
        let last = branch(store, busy).await;
        let before = last.previous_epoch().unwrap();
        assert!(![first, second].contains(&before));
        assert_eq!(last.base(), Some(Revision(6)));
        assert_eq!(branch(store, idle).await, goes_on(last.epoch, before, 7));
        // A position that was refused once is never good again.
        assert!(!last.goes_on_from(second, Revision(1)) && !last.goes_on_from(first, Revision(0)));
        let epoch = store.new_epoch().await.unwrap();
        assert_eq!(branch(store, busy).await, Branch::cut(epoch));
        commit(store, busy, 1).await;
        assert_eq!(branch(store, busy).await, Branch::cut(epoch), "and stays so");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_who_append_after_a_promotion_make_one_epoch() {
    let database = Database::postgres();
    let store = database.connect().await;
    let drawings = futures_util::future::join_all((0..10).map(|_| new_drawing(&*store))).await;
    commit(&*store, drawings[0], 1).await;
    let first = store.meta().await.unwrap().epoch;
    promote(&database).await;
    let batches: Vec<_> = drawings.iter().map(|drawing| [by_alice(*drawing, &[op()])]).collect();
    let appended = futures_util::future::join_all(batches.iter().map(|batch| store.append(batch, NOW))).await;
    let epochs: Vec<Epoch> = appended.into_iter().map(|appended| appended.unwrap().epoch).collect();
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0] && *epoch != first), "{epochs:?}");
    let branch = branch(&*store, drawings[1]).await;
    assert_eq!((branch.epoch, branch.previous_epoch()), (epochs[0], Some(first)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_insists_on_an_epoch_is_refused_by_the_append_that_changes_it() {
    let database = Database::postgres();
    let store = database.connect().await;
    let drawing = new_drawing(&*store).await;
    commit(&*store, drawing, 4).await;
    let epoch = Some(store.meta().await.unwrap().epoch);
    let insisting = || AppendRequest { epoch, ..by_alice(drawing, &[op()]) };
    assert_eq!(append_one(&*store, insisting()).await, accepted(5, [committed(5)]));
    promote(&database).await;
    let changed = refused(Refusal::EpochChanged { head: Revision(5) });
    assert_eq!(append_one(&*store, insisting()).await, changed);
    assert_eq!(append_one(&*store, insisting()).await, changed);
    // A position of it goes on.
    let at = |revision| AppendRequest { if_revision: Some(Revision(revision)), ..insisting() };
    assert_eq!(append_one(&*store, at(5)).await, accepted(6, [committed(6)]));
    let conflict = refused(Refusal::RevisionConflict { head: Revision(6) });
    assert_eq!(append_one(&*store, at(6)).await, conflict, "that revision 6 was another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_log_has_nothing_in_common_with_one_of_an_epoch_before() {
    for database in [Database::sqlite(), Database::postgres()] {
        let store = database.connect().await;
        let other = new_drawing(&*store).await;
        commit(&*store, other, 1).await;
        promote(&database).await;
        let (drawing, alice) = (new_drawing_id(), user("alice"));
        store.begin_import(drawing, "", &alice, NOW).await.unwrap();
        let imported = imported(1, &ops(3));
        assert!(store.import_ops(drawing, &imported).await.unwrap());
        let log = ImportedLog { head: Revision(3), floor: Revision(2), ts: NOW + 50, bytes: 100 };
        assert!(store.finish_import(drawing, &alice, &log).await.unwrap());
        let branch = branch(&*store, drawing).await;
        assert_eq!(branch.base(), Some(Revision(0)));
        // It goes on where it was: with its floor, and no earlier than its last op.
        assert_eq!(store.heads(&[drawing]).await.unwrap().stands[&drawing].floor, Revision(2));
        let appended = store.append(&[by_alice(drawing, &[op()])], NOW).await.unwrap();
        assert_eq!(appended.heads[&drawing].ts, NOW + 50);
        assert_eq!(self::branch(&*store, drawing).await, branch);
    }
}
