//! Long logs: snapshots along the way, where others cannot be read, and canvases that are far behind.

use std::{fs, sync::Arc};

use loadtest::services::TempFolder;
use revcast::{
    clock::now_ms,
    limits,
    model::{DrawingId, Revision},
    snapshot::{Blobs, Canvases, Extent, Loader},
    store::{Claim, Snapshot, Store},
    worker::{Builder, Built, Worker, hints},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    snapshot::blobs::folder_url,
    snapshot::setup::{EVERY, Setup, import_drawing, nobody, on_both_stores},
    store::contract::{Database, new_drawing_id},
    store::snapshots::add,
    support::{CountingStore, eventually, scripted::Script},
};

const STRETCH: u64 = limits::SNAPSHOT_STRETCH;

/// A snapshot that another node has: its blob is not here.
async fn plant_elsewhere(setup: &Setup, drawing: DrawingId, revision: u64) -> Uuid {
    let (id, now) = (Uuid::now_v7(), now_ms());
    let claim = setup.store.claim_snapshot(drawing, id, 1, now, now + 60_000).await.unwrap();
    assert!(matches!(claim, Claim::Claimed { .. }), "{claim:?}");
    let (revision, checksum, bytes, created_at) = (Revision(revision), "00".to_owned(), 1, now);
    let row = Snapshot { revision, snapshot_id: id, checksum, bytes, log_bytes: 0, created_at };
    assert!(add(&*setup.store, drawing, &row).await);
    id
}

/// A builder on a node whose folder nobody shares.
fn lonely_builder(setup: &Setup) -> Builder {
    let blobs = Blobs::open(&folder_url(&setup.folder)).unwrap().perhaps_local();
    Builder::new(&setup.store, &blobs, &setup.metrics, EVERY, setup.background.clone())
}

async fn a_builder_replaces_the_snapshots_that_it_cannot_read(setup: Setup) {
    let drawing = setup.drawing(0).await;
    setup.grow_and_fold(drawing, 2 * STRETCH).await;
    setup.grow(drawing, EVERY).await;
    let others = [
        plant_elsewhere(&setup, drawing, STRETCH).await,
        plant_elsewhere(&setup, drawing, 2 * STRETCH).await,
    ];
    let builder = lonely_builder(&setup);
    for revision in [STRETCH, 2 * STRETCH] {
        assert_eq!(builder.build(drawing).await.unwrap(), Built::Stretch(Revision(revision)));
    }
    let head = 2 * STRETCH + EVERY;
    assert_eq!(builder.build(drawing).await.unwrap(), setup.built(drawing, head).await);
    assert_eq!(setup.revisions(drawing).await, [head, 2 * STRETCH, STRETCH]);
    let waste = setup.store.snapshot_waste(Uuid::nil(), 10).await.unwrap();
    assert!(others.iter().all(|id| waste.contains(&(drawing, *id))), "{waste:?}");
    setup.assert_nothing_dangles().await;
}

async fn a_builder_that_cannot_read_what_others_have_gets_to_the_head(setup: Setup) {
    let drawing = setup.drawing(500).await;
    let builder = lonely_builder(&setup);
    assert_eq!(builder.build(drawing).await.unwrap(), setup.built(drawing, 500).await);
    setup.grow_and_fold(drawing, 2 * STRETCH).await;
    setup.grow(drawing, 520).await;
    for nth in 1..=5 {
        plant_elsewhere(&setup, drawing, nth * 4_000).await;
    }
    for revision in [STRETCH + 500, 2 * STRETCH + 500] {
        assert_eq!(builder.build(drawing).await.unwrap(), Built::Stretch(Revision(revision)));
    }
    let head = 2 * STRETCH + 1_020;
    assert_eq!(builder.build(drawing).await.unwrap(), setup.built(drawing, head).await);
    assert_eq!(builder.build(drawing).await.unwrap(), Built::Nothing);
}

on_both_stores! {
    a_builder_replaces_the_snapshots_that_it_cannot_read,
    a_builder_that_cannot_read_what_others_have_gets_to_the_head,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canvas_that_is_far_behind_goes_on_from_a_snapshot() {
    let setup = Setup::new(Database::sqlite()).await;
    let drawing = setup.drawing(100).await;
    let store = Arc::new(CountingStore::new(setup.database.connect().await.into()));
    let as_store: Arc<dyn Store> = store.clone();
    let loader = Loader::new(&as_store, &setup.blobs, &setup.metrics);
    let canvases = Canvases::new(loader, TaskTracker::new(), CancellationToken::new());
    assert_eq!(canvases.picture(drawing, Extent::Whole).await.unwrap().revision, Revision(100));
    setup.grow(drawing, 3 * STRETCH).await;
    while matches!(setup.builder().build(drawing).await.unwrap(), Built::Stretch(_)) {}
    let before = store.reads(drawing);
    let picture = canvases.picture(drawing, Extent::Whole).await.unwrap();
    assert_eq!(picture.revision, Revision(100 + 3 * STRETCH));
    // Pages: those of the first stretch, and the end of the log.
    assert!(store.reads(drawing) - before <= STRETCH / u64::from(limits::MAX_PAGE_OPS) + 2);
    let fresh = setup.loader().load(drawing, picture.revision).await.unwrap().0;
    assert_eq!(picture.view().unwrap(), fresh.view());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_drawing_keeps_no_other_one_waiting() {
    let setup = Setup::new(Database::sqlite()).await;
    let (long, short) = (new_drawing_id(), setup.drawing(EVERY).await);
    import_drawing(&*setup.store, long, 4 * STRETCH).await;
    let script = Script::idle();
    let (hints, hinted) = hints();
    let stop = CancellationToken::new();
    hints.give(long);
    let worker = Worker::new(setup.store.clone(), setup.scripted_builder(&script), nobody());
    let running = tokio::spawn(worker.run(hinted, stop.clone()));
    eventually("the long one is finished", || async {
        (setup.revisions(long).await.first() == Some(&(4 * STRETCH))).then_some(())
    })
    .await;
    eventually("the short one has its snapshot", || async {
        (setup.revisions(short).await == [EVERY]).then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    let reads = script.take_reads();
    let turn_of_short = reads.iter().position(|read| read.drawing_id == short).unwrap();
    let end_of_long = reads.iter().rposition(|read| read.drawing_id == long).unwrap();
    assert!(turn_of_short < end_of_long, "the long one was finished first: {reads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_will_not_go_keep_no_others() {
    let setup = Setup::new(Database::sqlite()).await;
    let drawing = setup.drawing_with_snapshots(3).await;
    let other = setup.drawing_with_snapshots(3).await;
    for drawing in [drawing, other] {
        setup.store.delete_drawing(drawing, now_ms()).await.unwrap();
    }
    let waste = setup.store.snapshot_waste(Uuid::nil(), 10).await.unwrap();
    assert_eq!(waste.len(), 6);
    // Folders are in their place.
    for (drawing, id) in &waste[..4] {
        let path = setup.folder.path().join(format!("{drawing}/{id}.snap"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
    }
    let builder = setup.builder();
    builder.remove_waste().await.unwrap_err();
    assert_eq!(builder.remove_waste().await.unwrap(), 2);
    for (drawing, id) in &waste[..4] {
        fs::remove_dir(setup.folder.path().join(format!("{drawing}/{id}.snap"))).unwrap();
    }
    setup.assert_nothing_dangles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waste_in_the_folder_of_another_node_is_left_to_that_node() {
    let setup = Setup::new(Database::sqlite()).await;
    let drawing = setup.drawing_with_snapshots(3).await;
    setup.store.delete_drawing(drawing, now_ms()).await.unwrap();
    let elsewhere = TempFolder::new("elsewhere").unwrap();
    let blobs = Blobs::open(&folder_url(&elsewhere)).unwrap().perhaps_local();
    let other = Builder::new(&setup.store, &blobs, &setup.metrics, EVERY, setup.background.clone());
    assert_eq!(other.remove_waste().await.unwrap(), 0);
    assert_eq!(setup.store.snapshot_waste(Uuid::nil(), 10).await.unwrap().len(), 3);
    assert_eq!(lonely_builder(&setup).remove_waste().await.unwrap(), 3);
    setup.assert_nothing_dangles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_read_is_passed_over_and_kept() {
    let setup = Setup::new(Database::sqlite()).await;
    let (drawing, other) = (setup.drawing_with_snapshots(3).await, setup.drawing_with_snapshots(1).await);
    let newest = setup.store.snapshots(drawing, Revision(u64::MAX), 1).await.unwrap().remove(0);
    let path = setup.folder.path().join(format!("{drawing}/{}.snap", newest.snapshot_id));
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    setup.grow(drawing, EVERY).await;
    // One loader: what it meets with one drawing says nothing of the other.
    let loader = setup.loader();
    for drawing in [drawing, other, drawing] {
        let head = loader.stand(drawing).await.unwrap().head;
        assert_eq!(
            loader.base(drawing, head).await.unwrap().canvas.revision().0,
            if drawing == other { 10 } else { 20 }
        );
    }
    assert_eq!(setup.revisions(drawing).await, [30, 20, 10]);
    assert_eq!(setup.builder().build(drawing).await.unwrap(), setup.built(drawing, 40).await);
    assert_eq!(setup.counter("revcast_snapshots_damaged_total"), 0);
}
