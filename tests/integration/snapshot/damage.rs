//! Snapshots that cannot be used: they are found out, told of once and given up, and the canvas stays what it is.

use std::fs;

use bytes::Bytes;
use futures_util::future::join_all;
use revcast::{
    clock::now_ms,
    model::{Canvas, DrawingId, LoggedOp, Revision},
    snapshot::{Canvases, Extent},
    store::{Claim, Snapshot},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    snapshot::setup::{EVERY, Setup, files},
    store::contract::{Database, log},
    store::snapshots::add,
    support::{App, Logs, eventually},
};

const DAMAGED: &str = "revcast_snapshots_damaged_total";

/// A damaged snapshot: its bytes as they are found, and those of which the checksum is told; none for no blob.
struct Damage {
    found: Option<Bytes>,
    summed: Bytes,
}

impl Damage {
    /// Every kind of it, to the blob `good` of one drawing; `other` is that of another at the same revision.
    fn all(good: &Bytes, other: &Bytes, older: &Bytes) -> Vec<Self> {
        let mut flipped = good.to_vec();
        flipped[good.len() / 2] ^= 0x10;
        let wrong = |found: Bytes| Self { found: Some(found), summed: good.clone() };
        let well_summed = |found: Bytes| Self { found: Some(found.clone()), summed: found };
        vec![
            Self { found: None, summed: good.clone() },
            wrong(good.slice(..good.len() / 2)),
            wrong(Bytes::new()),
            wrong(flipped.into()),
            wrong(other.clone()),
            well_summed(other.clone()),
            well_summed(older.clone()),
            well_summed(good.slice(..good.len() / 2)),
            well_summed(Bytes::from("no snapshot at all")),
            well_summed(Bytes::new()),
        ]
    }

    /// Makes it the newest snapshot of a drawing, at its head.
    async fn plant(&self, setup: &Setup, drawing: DrawingId) -> Uuid {
        let (id, now) = (Uuid::now_v7(), now_ms());
        let claim = setup.store.claim_snapshot(drawing, id, 1, now, now + 60_000).await.unwrap();
        let Claim::Claimed { head: revision } = claim else { panic!("{claim:?}") };
        if let Some(found) = &self.found {
            setup.blobs.put(drawing, id, found.clone()).await.unwrap();
        }
        let checksum = Sha256::digest(&self.summed).iter().map(|byte| format!("{byte:02x}")).collect();
        let (bytes, created_at) = (self.summed.len() as u64, now);
        let row = Snapshot { revision, snapshot_id: id, checksum, bytes, log_bytes: 0, created_at };
        assert!(add(&*setup.store, drawing, &row).await);
        id
    }
}

/// The blob of the newest snapshot.
async fn newest_blob(setup: &Setup, drawing: DrawingId) -> Bytes {
    let rows = setup.store.snapshots(drawing, Revision(u64::MAX), 1).await.unwrap();
    setup.blobs.get(drawing, rows[0].snapshot_id).await.unwrap()
}

fn canvases(setup: &Setup) -> Canvases {
    Canvases::new(setup.loader(), TaskTracker::new(), CancellationToken::new())
}

/// Reads the canvas at the head and at revisions before it, twenty times at once on two nodes; each must be exact.
async fn read_at_once(setup: &Setup, drawing: DrawingId) {
    let mut replayed = Canvas::new();
    let mut views = vec![replayed.view()];
    for op in log(&*setup.store, drawing).await {
        replayed.apply(&LoggedOp::read(op.revision, &op.actor, op.ts, &op.body));
        views.push(replayed.view());
    }
    let stand = setup.loader().stand(drawing).await.unwrap();
    let nodes = [canvases(setup), canvases(setup)];
    let reads = (0..20).map(|nth| {
        let node = &nodes[nth % 2];
        async move {
            match nth / 2 {
                0..6 => node.picture(drawing, Extent::Whole).await.unwrap(),
                back => {
                    let at = Revision(stand.head.0 - (back as u64 - 6));
                    node.picture_at(drawing, stand.branch.epoch, at, Extent::Whole).await.unwrap()
                }
            }
        }
    });
    for picture in join_all(reads).await {
        let revision = usize::try_from(picture.revision.0).unwrap();
        assert_eq!(picture.view().unwrap(), views[revision], "at {revision}");
        let text: Vec<_> = picture.answer(Extent::Whole).text().0.map(Result::unwrap).collect();
        let json: Value = serde_json::from_slice(&text.concat()).unwrap();
        assert_eq!(json["revision"], revision);
    }
}

// One thread, so that all is logged there.
#[tokio::test]
async fn a_damaged_snapshot_is_given_up_once_and_the_one_before_serves() {
    let setup = Setup::new(Database::sqlite()).await;
    let source = setup.drawing_with_snapshots(1).await;
    let older = newest_blob(&setup, source).await;
    setup.grow(source, EVERY).await;
    setup.builder().build(source).await.unwrap();
    let good = newest_blob(&setup, source).await;
    let other = newest_blob(&setup, setup.drawing_with_snapshots(2).await).await;
    for (count, damage) in (1..).zip(Damage::all(&good, &other, &older)) {
        let logs = Logs::start();
        let drawing = setup.drawing_with_snapshots(1).await;
        setup.grow(drawing, EVERY).await;
        let id = damage.plant(&setup, drawing).await;
        setup.grow(drawing, 5).await;
        assert_eq!(setup.revisions(drawing).await, [20, 10]);
        read_at_once(&setup, drawing).await;
        assert_eq!(setup.revisions(drawing).await, [10], "damage {count}");
        assert_eq!(setup.counter(DAMAGED), count);
        let told = logs.with("a snapshot cannot be used");
        assert!(told.len() == 1 && told[0].contains(&drawing.to_string()), "{told:?}");
        assert!(setup.store.snapshot_waste(Uuid::nil(), 100).await.unwrap().contains(&(drawing, id)));
        assert_eq!(setup.builder().build(drawing).await.unwrap(), setup.built(drawing, 25).await);
        read_at_once(&setup, drawing).await;
        assert_eq!((setup.counter(DAMAGED), logs.with(" ERROR ").len()), (count, 1));
    }
    setup.assert_nothing_dangles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_snapshots_damaged_the_whole_log_is_replayed() {
    let setup = Setup::new(Database::sqlite()).await;
    let drawing = setup.drawing_with_snapshots(3).await;
    setup.grow(drawing, 5).await;
    for file in files(&setup.folder) {
        fs::write(setup.folder.path().join(file), "ruined").unwrap();
    }
    read_at_once(&setup, drawing).await;
    assert_eq!((setup.revisions(drawing).await, setup.counter(DAMAGED)), (vec![], 3));
    assert_eq!(setup.builder().build(drawing).await.unwrap(), setup.built(drawing, 35).await);
    setup.assert_exact(drawing).await;
    setup.assert_nothing_dangles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_meets_a_damaged_snapshot_builds_from_the_one_before() {
    let setup = Setup::new(Database::postgres()).await;
    let drawing = setup.drawing_with_snapshots(2).await;
    let rows = setup.store.snapshots(drawing, Revision(u64::MAX), 1).await.unwrap();
    setup.blobs.delete(drawing, rows[0].snapshot_id).await.unwrap();
    setup.grow(drawing, EVERY).await;
    assert_eq!(setup.builder().build(drawing).await.unwrap(), setup.built(drawing, 30).await);
    assert_eq!((setup.revisions(drawing).await, setup.counter(DAMAGED)), (vec![30, 10], 1));
    setup.assert_exact(drawing).await;
    setup.assert_nothing_dangles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_answers_from_the_snapshot_before_and_builds_a_new_one() {
    let folder = loadtest::services::TempFolder::new("blobs").unwrap();
    let url = format!("file:{}", folder.path().display());
    let app = App::sqlite_with(&["--snapshot-every", "20", "--blob-url", &url]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let metadata = format!("/v1/drawings/{drawing}");
    let until_snapshot = |revision: u64| {
        let (alice, metadata) = (&alice, &metadata);
        eventually("a snapshot is built", move || async move {
            (alice.get(metadata).await.json()["snapshot_revision"] == revision).then_some(())
        })
    };
    alice.commit_some(&drawing, 25).await;
    until_snapshot(25).await;
    alice.commit_some(&drawing, 5).await;
    for file in files(&folder) {
        fs::write(folder.path().join(file), "ruined").unwrap();
    }
    let told = alice.get(&format!("{metadata}/snapshot")).await.expect(200).json();
    assert_eq!((&told["revision"], &told["view"]["objects"]), (&30.into(), &serde_json::json!([])));
    assert!(told["registers"].to_string().contains("[30,"), "{told}");
    until_snapshot(30).await;
    eventually("the ruined blob is gone", || async { (files(&folder).len() == 1).then_some(()) }).await;
}
