//! Servers whose blob store is away: everything goes on but what cannot be had without it, and all by itself again
//! once it is back.

use std::{fs, time::Instant};

use futures_util::future::join_all;
use loadtest::{proxy::Proxy, services::TempFolder};
use revcast::{
    limits,
    model::{DrawingId, Revision},
    snapshot::Blobs,
    store::Store,
    telemetry::LOG_FILTER,
    worker::{Builder, Worker, hints},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    snapshot::setup::{EVERY, Setup, import_drawing, nobody},
    store::contract::{Database, new_drawing_id},
    support::{App, Client, Logs, S3Server, eventually, new_id, op, revisions, scripted::Script},
};

/// The way in which a place for blobs fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outage {
    Cut,
    Hangs,
    FileInPlaceOfFolder,
}

/// A place for blobs: a bucket behind a proxy, or a folder.
struct Place {
    s3: S3Server,
    proxy: Proxy,
    folder: TempFolder,
    outage: Outage,
}

impl Place {
    async fn new(outage: Outage) -> Self {
        let s3 = S3Server::start().await;
        let proxy = Proxy::start(s3.port).await.unwrap();
        let folder = TempFolder::new("blobs").unwrap();
        fs::create_dir(folder.path().join("blobs")).unwrap();
        Self { s3, proxy, folder, outage }
    }

    fn url(&self) -> String {
        match self.outage {
            Outage::Cut | Outage::Hangs => self.s3.url_through(self.proxy.port, "a"),
            Outage::FileInPlaceOfFolder => format!("file:{}/blobs", self.folder.path().display()),
        }
    }

    fn fail(&self) {
        let path = |name| self.folder.path().join(name);
        match self.outage {
            Outage::Cut => self.proxy.cut(),
            Outage::Hangs => self.proxy.hold(),
            Outage::FileInPlaceOfFolder => {
                fs::rename(path("blobs"), path("aside")).unwrap();
                fs::write(path("blobs"), "").unwrap();
            }
        }
    }

    fn recover(&self) {
        let path = |name| self.folder.path().join(name);
        match self.outage {
            Outage::Cut | Outage::Hangs => self.proxy.restore(),
            Outage::FileInPlaceOfFolder => {
                fs::remove_file(path("blobs")).unwrap();
                fs::rename(path("aside"), path("blobs")).unwrap();
            }
        }
    }
}

/// Two servers on one database and one place for blobs, with a long drawing and some short ones, all with snapshots.
struct Scene {
    place: Place,
    store: Box<dyn Store>,
    /// The one that knows no canvas yet.
    cold: App,
    alice: Client,
    long: DrawingId,
    short: Vec<DrawingId>,
    /// The server that builds, and knows the canvas of the long drawing.
    _warm: App,
    _database: Database,
}

const LONG: u64 = limits::REPLAY_WITHOUT_SNAPSHOT_OPS + SHORT;
/// Its snapshots.
const ALONG: [u64; 3] = [LONG, 2 * limits::SNAPSHOT_STRETCH, limits::SNAPSHOT_STRETCH];
const SHORT: u64 = 20;

impl Scene {
    async fn new(outage: Outage) -> Self {
        let (place, database) = (Place::new(outage).await, Database::sqlite());
        let (store, long) = (database.connect().await, new_drawing_id());
        import_drawing(&*store, long, LONG).await;
        let url = place.url();
        let flags = ["--blob-url", &url, "--snapshot-every", "20"];
        let warm = App::start(database.url(), &flags).await;
        let cold = App::start(database.url(), &[&flags[..], &["--roles", "api"]].concat()).await;
        let alice = warm.client("alice").await;
        let mut short: Vec<DrawingId> = Vec::new();
        for _ in 0..12 {
            let drawing = alice.create_drawing().await;
            alice.commit_some(&drawing, SHORT).await;
            short.push(drawing.parse().unwrap());
        }
        let scene = Self { place, _database: database, store, cold, alice, long, short, _warm: warm };
        scene.until_snapshot(scene.long, LONG).await;
        for drawing in &scene.short {
            scene.until_snapshot(*drawing, SHORT).await;
        }
        scene.alice.get(&scene.path(scene.long, "snapshot")).await.expect(200);
        scene
    }

    fn path(&self, drawing: DrawingId, what: &str) -> String {
        format!("/v1/drawings/{drawing}/{what}")
    }

    /// The client at the server that knows no canvas yet.
    fn at_cold(&self) -> Client {
        self.alice.at(&self.cold.base)
    }

    async fn snapshots(&self, drawing: DrawingId) -> Vec<u64> {
        let rows = self.store.snapshots(drawing, Revision(u64::MAX), 10).await.unwrap();
        rows.iter().map(|row| row.revision.0).collect()
    }

    async fn until_snapshot(&self, drawing: DrawingId, revision: u64) {
        eventually("a snapshot is built", || async {
            (self.snapshots(drawing).await.first() == Some(&revision)).then_some(())
        })
        .await;
    }

    async fn until_ready(&self, status: &str, blobs: bool) {
        for client in [self.alice.clone(), self.at_cold()] {
            eventually(status, || async {
                let ready = client.get("/readyz").await.expect(200).json();
                assert_eq!((&ready["store"], &ready["bus"]), (&json!(true), &json!(true)));
                (ready["status"] == status && ready["blobs"] == blobs).then_some(())
            })
            .await;
        }
    }

    /// A canvas of a long drawing is not to be had from the server that does not know it; this must be said in time.
    async fn expect_unavailable(&self) {
        let (client, path) = (self.at_cold(), self.path(self.long, "snapshot"));
        let started = Instant::now();
        let answer = client.get(&path).await.expect_problem(503, "snapshots_unavailable");
        assert!(started.elapsed() < limits::REQUEST_TIMEOUT, "{:?}", started.elapsed());
        assert_eq!(
            (&answer.headers["retry-after"], &answer.json()["retryable"]),
            (&"1".parse().unwrap(), &json!(true))
        );
    }

    /// Short canvases and long ones at the server that knows none, all at once, each in time.
    async fn read_all_at_once(&self) {
        let reads = self.short.iter().chain([&self.long; 8]).map(|drawing| async {
            let started = Instant::now();
            let answer = self.at_cold().get(&self.path(*drawing, "snapshot")).await;
            assert!(started.elapsed() < limits::REQUEST_TIMEOUT, "{:?}", started.elapsed());
            if *drawing == self.long {
                answer.expect_problem(503, "snapshots_unavailable");
            } else {
                answer.expect(200);
            }
        });
        join_all(reads).await;
    }

    /// Does the things that go on during the outage.
    async fn draw_and_read(&self) {
        let (alice, drawing) = (&self.alice, self.short[0]);
        let mut reader = alice.socket().await;
        reader.subscribe(&drawing.to_string(), None).await.unwrap();
        let last = op(7);
        for ops in [vec![op(1)], (0..SHORT).map(op).collect(), vec![last.clone()]] {
            alice.commit(&drawing.to_string(), &ops).await.expect(200);
            let mut received = 0;
            while received < ops.len() {
                received += reader.receive_ops().await.unwrap().len();
            }
        }
        let head = 2 * SHORT + 2;
        assert_eq!(revisions(&alice.read_all(&drawing.to_string(), 0).await), (1..=head).collect::<Vec<_>>());
        for client in [alice.clone(), self.at_cold()] {
            let told = client.get(&self.path(drawing, "snapshot")).await.expect(200).json();
            assert_eq!(told["revision"], head);
        }
        let history = alice.get(&self.path(drawing, "history")).await.expect(200).json();
        assert_eq!(history["can_undo"], false, "no object is seen: {history}");
        let created = create();
        alice.commit(&drawing.to_string(), std::slice::from_ref(&created)).await.expect(200);
        let undone = alice.post(&self.path(drawing, "undo"), &json!({})).await.expect(200).json();
        assert_eq!(undone["unit"], created["op_id"]);
    }

    /// The long canvas where it is known: it goes on with the log.
    async fn read_warm(&self) {
        let created = create();
        self.alice.commit(&self.long.to_string(), std::slice::from_ref(&created)).await.expect(200);
        let told = self.alice.get(&self.path(self.long, "snapshot")).await.expect(200).json();
        assert_eq!(told["revision"], LONG + 1);
        let history = self.alice.get(&self.path(self.long, "history")).await.expect(200).json();
        assert_eq!(history["undo_unit"], created["op_id"]);
        let undone = self.alice.post(&self.path(self.long, "undo"), &json!({})).await.expect(200).json();
        assert_eq!(undone["unit"], created["op_id"]);
        self.at_cold()
            .post(&self.path(self.long, "undo"), &json!({}))
            .await
            .expect_problem(503, "snapshots_unavailable");
    }
}

/// An op whose undoing is seen.
fn create() -> Value {
    json!({"op_id": new_id(), "type": "object.create", "object_id": "new", "kind": "rect", "props": {}})
}

async fn ride_out(outage: Outage) {
    let scene = Scene::new(outage).await;
    scene.until_ready("ready", true).await;
    scene.place.fail();
    scene.read_all_at_once().await;
    scene.expect_unavailable().await;
    scene.draw_and_read().await;
    scene.read_warm().await;
    scene.until_ready("degraded", false).await;
    // Nobody takes an outage for damage.
    assert_eq!(scene.snapshots(scene.long).await, ALONG);
    for drawing in &scene.short {
        assert_eq!(scene.snapshots(*drawing).await, [SHORT]);
    }
    scene.place.recover();
    scene.until_snapshot(scene.short[0], 2 * SHORT + 4).await;
    scene.until_ready("ready", true).await;
    let path = scene.path(scene.long, "snapshot");
    let told = eventually("the long canvas is there", || async {
        Some(scene.at_cold().get(&path).await).filter(|answer| answer.status == 200)
    })
    .await;
    assert_eq!(told.json(), scene.alice.get(&path).await.expect(200).json());
    assert_eq!(scene.snapshots(scene.long).await, ALONG);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_rides_out_a_bucket_that_is_cut_off() {
    ride_out(Outage::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_rides_out_a_bucket_that_hangs() {
    ride_out(Outage::Hangs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_rides_out_a_folder_in_whose_place_a_file_stands() {
    ride_out(Outage::FileInPlaceOfFolder).await;
}

// --- Workers --------------------------------------------------------------------------------------

/// Attempts that are waited for.
const ATTEMPTS: usize = 3;

/// Runs a worker on due drawings while its blob store is away; it must be patient, and quiet about it.
async fn work_through_an_outage(setup: &Setup, blobs: &Blobs, fail: impl FnOnce(), recover: impl FnOnce()) {
    let logs = Logs::with_filter(&format!("{LOG_FILTER},revcast::worker::snapshots=debug"));
    let builder = Builder::new(&setup.store, blobs, &setup.metrics, EVERY, setup.background.clone());
    let mut drawings = Vec::new();
    for nth in 0..10 {
        // For every other one the last snapshot has to be read first.
        let drawing = setup.drawing(EVERY).await;
        if nth % 2 == 1 {
            builder.build(drawing).await.unwrap();
            setup.grow(drawing, EVERY).await;
        }
        drawings.push((drawing, (nth % 2 + 1) * EVERY));
    }
    fail();
    let ((hints, hinted), stop) = (hints(), CancellationToken::new());
    drawings.iter().for_each(|(drawing, _)| hints.give(*drawing));
    let started = Instant::now();
    tokio::spawn(Worker::new(setup.store.clone(), builder, nobody()).run(hinted, stop.clone()));
    let told = || logs.with("a snapshot could not be built").len();
    eventually("the worker fails", || async { (told() >= ATTEMPTS).then_some(()) }).await;
    let pauses = u32::try_from(told() - 1).unwrap();
    assert!(started.elapsed() >= pauses * limits::SNAPSHOT_RETRY_PAUSE, "{:?}", started.elapsed());
    recover();
    for (drawing, revision) in drawings {
        eventually("the snapshot is built", || async {
            (setup.revisions(drawing).await.first() == Some(&revision)).then_some(())
        })
        .await;
    }
    stop.cancel();
    // An operator is told once.
    let lines = logs.with("");
    assert_eq!(logs.with(" WARN ").len() + logs.with("ERROR").len(), 1, "{lines:#?}");
    assert!(logs.with(" object_store").is_empty(), "{lines:#?}");
    assert_eq!(setup.counter("revcast_snapshots_damaged_total"), 0);
}

#[tokio::test]
async fn a_worker_whose_blob_store_refuses_at_once_does_not_spin() {
    let setup = Setup::new(Database::sqlite()).await;
    let script = Script::idle();
    let blobs = Blobs::new(script.objects(&setup.objects));
    let away = |is_away| script.take_blobs_away(is_away);
    work_through_an_outage(&setup, &blobs, || away(true), || away(false)).await;
    setup.assert_nothing_dangles().await;
}

#[tokio::test]
async fn a_worker_whose_bucket_is_cut_off_does_not_spin() {
    let setup = Setup::new(Database::sqlite()).await;
    let s3 = S3Server::start().await;
    let proxy = Proxy::start(s3.port).await.unwrap();
    let blobs = Blobs::open(&s3.url_through(proxy.port, "a")).unwrap();
    work_through_an_outage(&setup, &blobs, || proxy.cut(), || proxy.restore()).await;
}

#[tokio::test]
async fn an_outage_is_told_once_and_its_end() {
    let setup = Setup::new(Database::sqlite()).await;
    let (logs, script) = (Logs::start(), Script::idle());
    let blobs = Blobs::new(script.objects(&setup.objects));
    let loader = revcast::snapshot::Loader::new(&setup.store, &blobs, &setup.metrics);
    let drawing = setup.drawing_with_snapshots(2).await;
    let read = || async { loader.load(drawing, Revision(15)).await.unwrap().0.revision() };
    script.take_blobs_away(true);
    for _ in 0..10 {
        assert_eq!(read().await, Revision(15));
    }
    assert_eq!(
        (script.calls(), logs.with("snapshots cannot be read").len()),
        (2, 1),
        "a read, and whether it is this one alone"
    );
    script.take_blobs_away(false);
    eventually("snapshots are read again", || async {
        read().await;
        (logs.with("snapshots can be read again").len() == 1).then_some(())
    })
    .await;
    assert_eq!(logs.with("").len(), 2);
}
