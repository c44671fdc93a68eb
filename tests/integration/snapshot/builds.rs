//! Builds of snapshots: which are built, from what, by whom, and which of them stay.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use revcast::{
    bus::{Bus, ControlMessage, Delivery},
    limits,
    model::{DrawingId, Revision},
    snapshot::{Blobs, Loader},
    store::Store,
    worker::{Builder, Built, Worker, hints},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::contract::connect as connect_bus,
    snapshot::setup::{EVERY, Setup, files, nobody, on_both_stores},
    store::contract::{Database, NOW},
    support::{
        App, Client, S3Server, eventually, nats_url, new_database,
        scripted::{Fault, Script},
        within,
    },
};

on_both_stores! {
    a_snapshot_is_built_when_it_is_due_and_not_before,
    a_build_goes_on_from_the_last_snapshot,
    each_due_drawing_is_built_by_one_of_many_workers,
    what_a_deleted_drawing_had_is_removed,
}

async fn a_snapshot_is_built_when_it_is_due_and_not_before(setup: Setup) {
    let (drawing, builder) = (setup.drawing(EVERY - 1).await, setup.builder());
    assert_eq!(builder.build(drawing).await.unwrap(), Built::Nothing);
    setup.grow(drawing, 1).await;
    assert_eq!(builder.build(drawing).await.unwrap(), setup.built(drawing, EVERY).await);
    setup.grow(drawing, EVERY - 1).await;
    assert_eq!(builder.build(drawing).await.unwrap(), Built::Nothing);
    setup.grow(drawing, 3).await;
    assert_eq!(builder.build(drawing).await.unwrap(), setup.built(drawing, 2 * EVERY + 2).await);
    assert_eq!(builder.build(drawing).await.unwrap(), Built::Nothing);
    assert_eq!(setup.revisions(drawing).await, [22, 10]);
    for row in setup.store.snapshots(drawing, Revision(u64::MAX), 10).await.unwrap() {
        let blob = setup.blobs.get(drawing, row.snapshot_id).await.unwrap();
        assert_eq!(blob.len() as u64, row.bytes);
    }
    setup.assert_exact(drawing).await;
    setup.assert_nothing_dangles().await;
    assert_eq!(setup.counter("revcast_snapshots_built_total"), 2);
}

async fn a_build_goes_on_from_the_last_snapshot(setup: Setup) {
    let drawing = setup.drawing(0).await;
    setup.grow_and_fold(drawing, 2_500).await;
    let script = Script::idle();
    let builder = setup.scripted_builder(&script);
    builder.build(drawing).await.unwrap();
    let afters =
        |reads: &[revcast::store::ReadRange]| reads.iter().map(|read| read.after.0).collect::<Vec<_>>();
    let reads = script.take_reads();
    assert_eq!(afters(&reads), [0, 1_000, 2_000]);
    assert!(reads.iter().all(|read| read.limit <= limits::MAX_PAGE_OPS));
    setup.grow(drawing, EVERY).await;
    assert_eq!(builder.build(drawing).await.unwrap(), setup.built(drawing, 2_510).await);
    assert_eq!(afters(&script.take_reads()), [2_500]);
    // Nor does who reads the canvas.
    let (store, blobs) = (script.store(&setup.store), Blobs::new(script.objects(&setup.objects)));
    let loader = Loader::new(&store, &blobs, &setup.metrics);
    for (at, after) in [(2_500, 2_500), (2_509, 2_500), (2_510, 2_510)] {
        loader.load(drawing, Revision(at)).await.unwrap();
        assert_eq!(afters(&script.take_reads()), [after]);
    }
    setup.assert_exact(drawing).await;
}

async fn each_due_drawing_is_built_by_one_of_many_workers(setup: Setup) {
    let mut drawings = Vec::new();
    for _ in 0..20 {
        drawings.push(setup.drawing(EVERY).await);
    }
    let script = Script::idle();
    let nodes: [Arc<dyn Store>; 2] = [setup.store.clone(), setup.database.connect().await.into()];
    let workers = (0..8).map(|nth| {
        let blobs = Blobs::new(script.objects(&setup.objects));
        let builder = Builder::new(&nodes[nth % 2], &blobs, &setup.metrics, EVERY, setup.background.clone());
        let mut drawings = drawings.clone();
        drawings.rotate_left(nth / 2);
        tokio::spawn(async move {
            let mut built = 0;
            for drawing in drawings {
                built += usize::from(builder.build(drawing).await.unwrap() != Built::Nothing);
            }
            built
        })
    });
    let built: usize = join_all(workers).await.into_iter().map(Result::unwrap).sum();
    assert_eq!((built, script.puts()), (20, 20));
    for drawing in drawings {
        assert_eq!(setup.revisions(drawing).await, [EVERY]);
        setup.assert_exact(drawing).await;
    }
    setup.assert_nothing_dangles().await;
}

async fn what_a_deleted_drawing_had_is_removed(setup: Setup) {
    let (deleted, kept) = (setup.drawing_with_snapshots(3).await, setup.drawing_with_snapshots(1).await);
    // It is deleted while the next one is built: before the blob is there, and after.
    setup.grow(deleted, EVERY).await;
    for call in 1..6 {
        let drawing = setup.drawing(EVERY).await;
        let script = Script::at(call, Fault::Pauses);
        let builder = setup.scripted_builder(&script);
        let building = tokio::spawn(async move { builder.build(drawing).await.unwrap() });
        within("the call is reached", script.is_reached()).await;
        assert!(setup.store.delete_drawing(drawing, NOW).await.unwrap());
        setup.builder().remove_waste().await.unwrap();
        script.go_on();
        building.await.unwrap();
        assert_eq!(setup.revisions(drawing).await, [0; 0]);
        setup.assert_nothing_dangles().await;
    }
    assert!(setup.store.delete_drawing(deleted, NOW).await.unwrap());
    assert_eq!(setup.builder().build(deleted).await.unwrap(), Built::Nothing);
    setup.assert_nothing_dangles().await;
    assert_eq!((setup.revisions(deleted).await, setup.revisions(kept).await), (vec![], vec![10]));
    assert_eq!(files(&setup.folder).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_long_log_the_newest_stay_and_one_in_each_stretch() {
    let setup = Setup::new(Database::sqlite()).await;
    let builder = Builder::new(
        &setup.store,
        &setup.blobs,
        &setup.metrics,
        limits::SNAPSHOT_EVERY,
        setup.background.clone(),
    );
    let drawing = setup.drawing(0).await;
    for _ in 0..50 {
        setup.grow_and_fold(drawing, limits::SNAPSHOT_EVERY).await;
        builder.build(drawing).await.unwrap();
    }
    assert_eq!(setup.revisions(drawing).await, [25_000, 24_500, 24_000, 20_000, 10_000]);
    assert_eq!(files(&setup.folder).len(), 50, "nobody has removed a blob yet");
    setup.assert_nothing_dangles().await;
    assert_eq!(files(&setup.folder).len(), 5);
}

// --- Workers --------------------------------------------------------------------------------------

/// A worker, until the token is cancelled, that is given hints and finds what is due in `store`.
fn start_worker(setup: &Setup, store: &Arc<dyn Store>) -> (revcast::worker::Hints, CancellationToken) {
    let ((hints, hinted), stop) = (hints(), CancellationToken::new());
    let worker = Worker::new(store.clone(), setup.builder(), nobody());
    tokio::spawn(worker.run(hinted, stop.clone()));
    (hints, stop)
}

async fn until_snapshot(setup: &Setup, drawing: DrawingId, revision: u64) {
    eventually("a snapshot is built", || async {
        (setup.revisions(drawing).await.first() == Some(&revision)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_gives_up_what_it_builds() {
    let setup = Setup::new(Database::sqlite()).await;
    for call in 1..9 {
        let drawing = setup.drawing(EVERY).await;
        let script = Script::at(call, Fault::Pauses);
        let ((hints, hinted), stop) = (hints(), CancellationToken::new());
        let worker = Worker::new(setup.store.clone(), setup.scripted_builder(&script), nobody());
        hints.give(drawing);
        let running = tokio::spawn(worker.run(hinted, stop.clone()));
        within("the call is reached", script.is_reached()).await;
        stop.cancel();
        running.await.unwrap();
        setup.assert_nothing_dangles().await;
        // At once, though claims hold for long.
        setup.builder().build(drawing).await.unwrap();
        assert_eq!(setup.revisions(drawing).await, [EVERY]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_alone_leads_to_a_snapshot() {
    let setup = Setup::new(Database::sqlite()).await;
    // In its own store the worker finds nothing.
    let other = Setup::new(Database::sqlite()).await;
    let (hints, stop) = start_worker(&setup, &other.store);
    for nth in 1..=3 {
        let drawing = setup.drawing(EVERY).await;
        hints.give(drawing);
        until_snapshot(&setup, drawing, EVERY).await;
        // A hint too many does no harm.
        (0..nth).for_each(|_| hints.give(drawing));
    }
    assert_eq!(setup.counter("revcast_snapshots_built_total"), 3);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hints_have_missed_is_found_and_waste_is_removed() {
    let setup = Setup::new(Database::sqlite()).await;
    let (drawing, deleted) = (setup.drawing(EVERY).await, setup.drawing_with_snapshots(1).await);
    setup.store.delete_drawing(deleted, NOW).await.unwrap();
    let (_hints, stop) = start_worker(&setup, &setup.store);
    until_snapshot(&setup, drawing, EVERY).await;
    setup.grow(drawing, EVERY).await;
    until_snapshot(&setup, drawing, 2 * EVERY).await;
    eventually("the blob is removed", || async { (files(&setup.folder).len() == 2).then_some(()) }).await;
    stop.cancel();
    setup.assert_nothing_dangles().await;
}

async fn until_snapshot_revision(client: &Client, drawing: &str, revision: u64) {
    eventually("a snapshot is told", || async {
        let told = client.get(&format!("/v1/drawings/{drawing}")).await.expect(200).json();
        (told["snapshot_revision"] == revision).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_commits_past_the_step_tells_the_workers_of_other_nodes() {
    let (database, nats) = (new_database(), nats_url());
    let flags = ["--nats-url", &nats, "--snapshot-every", "20", "--roles"];
    let api = App::start(&database, &[&flags[..], &["api"]].concat()).await;
    let _worker = App::start(&database, &[&flags[..], &["worker"]].concat()).await;
    let bus = connect_bus(&nats).await;
    let mut news = bus.subscribe_control().await;
    bus.flush().await;
    let alice = api.client("alice").await;
    let drawing = alice.create_drawing().await;
    let id: DrawingId = drawing.parse().unwrap();
    for head in [20, 40, 60] {
        alice.commit_some(&drawing, 19).await;
        alice.commit_some(&drawing, 1).await;
        let hint = async {
            let is_ours = |news: &_| matches!(news, Delivery::Message(ControlMessage::Grown { drawing_id }) if *drawing_id == id);
            while !is_ours(&news.next().await.unwrap()) {}
        };
        within("the hint is given", hint).await;
        until_snapshot_revision(&alice, &drawing, head).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_builds_snapshots_into_a_bucket_and_another_reads_them() {
    let (s3, database) = (S3Server::start().await, new_database());
    let (url, nats) = (s3.url("of/tests"), nats_url());
    let flags = ["--nats-url", &nats, "--snapshot-every", "20", "--blob-url", &url];
    let one = App::start(&database, &flags).await;
    let alice = one.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 25).await;
    until_snapshot_revision(&alice, &drawing, 25).await;
    let place = s3.folder.path().join(&s3.bucket).join("of/tests").join(&drawing);
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1);
    let path = format!("/v1/drawings/{drawing}/snapshot");
    let told = alice.get(&path).await.expect(200).json();
    // The log alone would not do any more.
    forget_ops(&database, &drawing, 25).await;
    let other = App::start(&database, &[&flags[..], &["--roles", "api"]].concat()).await;
    assert_eq!(alice.at(&other.base).get(&path).await.expect(200).json(), told);
    alice.delete(&format!("/v1/drawings/{drawing}")).await.expect(204);
    eventually("the bucket is empty", || async {
        let left = std::fs::read_dir(&place).map_or(0, Iterator::count);
        (left == 0).then_some(())
    })
    .await;
}

/// Removes the first ops of a log, as nothing but a test does.
async fn forget_ops(database_url: &str, drawing: &str, count: i64) {
    use sqlx::{Connection, PgConnection};
    let mut database = PgConnection::connect(database_url).await.unwrap();
    let drawing: uuid::Uuid = drawing.parse().unwrap();
    let removed = sqlx::query("DELETE FROM ops WHERE drawing_id = $1 AND revision <= $2")
        .bind(drawing)
        .bind(count)
        .execute(&mut database)
        .await
        .unwrap();
    assert_eq!(removed.rows_affected(), count.unsigned_abs());
}
