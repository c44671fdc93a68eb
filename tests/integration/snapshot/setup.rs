//! The parts of tests of snapshots: a database and a folder for blobs, drawings that grow, and what must hold of
//! their snapshots whatever has happened.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use loadtest::services::TempFolder;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use object_store::{ObjectStore, local::LocalFileSystem};
use revcast::{
    model::{Applied, Canvas, CheckedOp, DrawingId, LoggedOp, Revision, UserId},
    offload::Background,
    snapshot::{Blobs, Loader},
    store::{CreateOutcome, ImportedLog, Store},
    telemetry::Metrics,
    worker::{Builder, Built, OpenHistory},
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    snapshot::blobs::folder_url,
    store::contract::{
        Database, NOW, append_one, by_alice, folding, log, new_drawing, op, undoing, user, with_body,
    },
    store::import::imported,
    support::scripted::Script,
};

/// The number of revisions that make a snapshot due.
pub const EVERY: u64 = 10;
/// The length of the note that ops bear besides, in bytes.
const NOTE_BYTES: usize = 300;

/// Makes one test a rule and back end: `on_both_stores! { a_rule }`, of a function that takes a [`Setup`].
macro_rules! on_both_stores {
    ($($rule:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let database = $crate::store::contract::Database::sqlite();
                super::$rule($crate::snapshot::setup::Setup::new(database).await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let database = $crate::store::contract::Database::postgres();
                super::$rule($crate::snapshot::setup::Setup::new(database).await).await;
            })+
        }
    };
}
pub(crate) use on_both_stores;

/// A database with drawings, and a folder with their blobs.
pub struct Setup {
    pub database: Database,
    pub store: Arc<dyn Store>,
    pub folder: TempFolder,
    /// The folder for scripts, and as servers have it.
    pub objects: Arc<dyn ObjectStore>,
    pub blobs: Blobs,
    pub metrics: Arc<Metrics>,
    pub background: Background,
    /// Counts for this setup alone.
    recorder: PrometheusRecorder,
    drawings: Mutex<Vec<DrawingId>>,
}

impl Setup {
    pub async fn new(database: Database) -> Self {
        let store: Arc<dyn Store> = database.connect().await.into();
        let folder = TempFolder::new("snapshots").unwrap();
        let objects: Arc<dyn ObjectStore> =
            Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap().with_automatic_cleanup(true));
        let blobs = Blobs::open(&folder_url(&folder)).unwrap();
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = Arc::new(metrics::with_local_recorder(&recorder, Metrics::new));
        let (background, drawings) = (Background::start().unwrap(), Mutex::default());
        Self { database, store, folder, objects, blobs, metrics, background, recorder, drawings }
    }

    /// The value of a counter.
    pub fn counter(&self, name: &str) -> u64 {
        let text = self.recorder.handle().render();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }

    pub fn builder(&self) -> Builder {
        Builder::new(&self.store, &self.blobs, &self.metrics, EVERY, self.background.clone())
    }

    pub fn loader(&self) -> Loader {
        Loader::new(&self.store, &self.blobs, &self.metrics)
    }

    /// A builder to which happens what stands in a script.
    pub fn scripted_builder(&self, script: &Arc<Script>) -> Builder {
        let blobs = Blobs::new(script.objects(&self.objects));
        Builder::new(&script.store(&self.store), &blobs, &self.metrics, EVERY, self.background.clone())
    }

    /// A drawing with so many ops.
    pub async fn drawing(&self, ops: u64) -> DrawingId {
        let drawing = new_drawing(&*self.store).await;
        self.adopt(drawing);
        self.grow(drawing, ops).await;
        drawing
    }

    /// A drawing of which a snapshot was built at 10, 20, 30 and so on.
    pub async fn drawing_with_snapshots(&self, count: u64) -> DrawingId {
        let drawing = self.drawing(0).await;
        for nth in 1..=count {
            self.grow(drawing, EVERY).await;
            let built = self.builder().build(drawing).await.unwrap();
            assert_eq!(built, self.built(drawing, nth * EVERY).await);
        }
        drawing
    }

    /// The outcome of a build that has got to the head: a snapshot there, and what the log says can still be undone.
    pub async fn built(&self, drawing_id: DrawingId, revision: u64) -> Built {
        let mut replayed = Canvas::new();
        for op in log(&*self.store, drawing_id).await {
            replayed.apply(&LoggedOp::read(op.revision, &op.actor, op.ts, &op.body));
        }
        assert_eq!(replayed.revision(), Revision(revision), "the head");
        let epoch = self.store.meta().await.unwrap().epoch;
        let (floor, units) = (replayed.floor(), replayed.open_units());
        Built::Snapshot(OpenHistory { drawing_id, epoch, revision: replayed.revision(), floor, units })
    }

    /// Takes in a drawing that was made otherwise.
    pub fn adopt(&self, drawing: DrawingId) {
        self.drawings.lock().unwrap_or_else(PoisonError::into_inner).push(drawing);
    }

    /// Commits so many ops.
    pub async fn grow(&self, drawing: DrawingId, ops: u64) {
        if ops > 0 {
            append_one(&*self.store, by_alice(drawing, &drawing_ops(ops))).await;
        }
    }

    /// Commits so many ops, of which the last one folds all that are there: what is closed makes no snapshot any larger.
    pub async fn grow_and_fold(&self, drawing: DrawingId, ops: u64) {
        self.grow(drawing, ops - 1).await;
        let heads = self.store.heads(&[drawing]).await.unwrap();
        let stand = heads.stands[&drawing];
        append_one(&*self.store, folding(drawing, stand.floor.0, stand.head.0)).await;
    }

    /// The revisions of the snapshots that there are, newest first.
    pub async fn revisions(&self, drawing: DrawingId) -> Vec<u64> {
        let rows = self.store.snapshots(drawing, Revision(u64::MAX), 1_000).await.unwrap();
        rows.iter().map(|row| row.revision.0).collect()
    }

    /// A loader must make of the snapshots and the log what the log says: around each snapshot, and at the ends.
    pub async fn assert_exact(&self, drawing: DrawingId) {
        let (loader, log) = (self.loader(), log(&*self.store, drawing).await);
        let snapshots = self.revisions(drawing).await;
        let around = snapshots.iter().flat_map(|revision| [revision - 1, *revision, revision + 1]);
        let looked_at: BTreeSet<u64> = around.chain([1, log.len() as u64]).collect();
        let mut replayed = Canvas::new();
        for op in log {
            assert_eq!(
                replayed.apply(&LoggedOp::read(op.revision, &op.actor, op.ts, &op.body)),
                Applied::Next
            );
            if looked_at.contains(&op.revision.0) {
                assert_same(&loader.load(drawing, op.revision).await.unwrap().0, &replayed);
            }
        }
    }

    /// Once what is to go was removed there is a blob for each snapshot and no other; and nobody holds a claim.
    pub async fn assert_nothing_dangles(&self) {
        while self.builder().remove_waste().await.unwrap() > 0 {}
        assert_eq!(self.store.expire_claims(i64::MAX, 1_000).await.unwrap(), 0, "claims are held");
        let drawings = self.drawings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut expected = BTreeSet::new();
        for drawing in drawings {
            let rows = self.store.snapshots(drawing, Revision(u64::MAX), 1_000).await.unwrap();
            expected.extend(rows.iter().map(|row| format!("{drawing}/{}.snap", row.snapshot_id)));
        }
        assert_eq!(files(&self.folder), expected);
    }
}

/// The files of all drawings in a folder for blobs.
pub fn files(folder: &TempFolder) -> BTreeSet<String> {
    let folders = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|path| fs::read_dir(path).unwrap());
    let name = |path: std::path::PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
    files.map(|entry| name(entry.unwrap().path())).collect()
}

/// For a worker that tells nobody what can still be undone.
pub fn nobody() -> mpsc::Sender<OpenHistory> {
    mpsc::channel(1).0
}

#[track_caller]
pub fn assert_same(one: &Canvas, other: &Canvas) {
    assert_eq!(one.revision(), other.revision());
    assert_eq!((one.view(), one.registers()), (other.view(), other.registers()), "at {}", one.revision());
}

/// Makes a drawing of alice's with so many ops, quickly. Every thousandth op is a fold, so that no server folds it.
pub async fn import_drawing(store: &dyn Store, drawing: DrawingId, ops: u64) {
    let created = store.begin_import(drawing, "long", &user("alice"), NOW).await.unwrap();
    assert_eq!(created, CreateOutcome::Created);
    let (mut imported, mut floor) = (imported(1, &drawing_ops(ops)), Revision(0));
    for op in imported.iter_mut().filter(|op| op.revision.0.is_multiple_of(1_000)) {
        floor = Revision(op.revision.0 - 1);
        op.actor = UserId::folder();
        let body = format!(r#"{{"op_id":"{}","type":"fold","floor":{floor}}}"#, op.op.op_id);
        op.op = CheckedOp::without_unit(op.op.op_id, body.into());
    }
    let bytes = imported.iter().map(|op| op.op.body.len() as u64).sum();
    for ops in imported.chunks(1_000) {
        assert!(store.import_ops(drawing, ops).await.unwrap());
    }
    let log = ImportedLog { head: Revision(ops), floor, ts: NOW, bytes };
    assert!(store.finish_import(drawing, &user("alice"), &log).await.unwrap());
}

/// Ops that draw, each unlike the others; some are undone by the next one. A note in each makes them weigh more than
/// what a snapshot keeps of them, so that a few make the next one due.
pub fn drawing_ops(count: u64) -> Vec<CheckedOp> {
    let mut ops: Vec<CheckedOp> = Vec::new();
    let note = ".".repeat(NOTE_BYTES);
    for n in 0..count {
        let object = format!(r#""object_id":"o{}""#, n % 6);
        let (mut op, rest) = match (n % 5, ops.last()) {
            (0, _) => (op(), format!(r#""type":"object.create",{object},"kind":"rect","props":{{"x":{n}}}"#)),
            (3, Some(last)) => (undoing(last), format!(r#""type":"undo","unit":"{}""#, last.op_id)),
            _ => (
                op(),
                format!(r#""type":"object.update",{object},"set":{{"y":{n},"id":"{}"}}"#, Uuid::now_v7()),
            ),
        };
        let body = format!(r#"{{"op_id":"{}",{rest},"meta":{{"note":"{note}"}}}}"#, op.op_id);
        op = with_body(&op, &body);
        ops.push(op);
    }
    ops
}
