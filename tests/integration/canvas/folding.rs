//! When the server folds: what a worker finds, what no worker looks at, and what is never parted.

use std::sync::Arc;

use revcast::{
    bus::{Bus, LocalBus},
    commit::{CommitOptions, Committer},
    limits,
    model::{Canvas, CheckedOp, DrawingId, LoggedOp, Revision, ServerOps},
    store::{AppendRequest, Log, Store},
    worker::{Folder, FolderQueues, OpenHistory, Worker, hints},
};
use sqlx::{PgPool, SqlitePool};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    snapshot::setup::{Setup, on_both_stores},
    store::contract::{NOW, by_alice, by_bob, joining, log, new_drawing, op, ops, undoing},
    support::eventually,
};

on_both_stores! {
    a_history_above_its_budget_is_folded_and_one_at_its_budget_is_not,
    a_gesture_that_came_at_once_is_not_parted,
    two_workers_fold_once,
    a_fold_that_was_planned_before_an_old_unit_was_undone_is_dropped,
    who_keeps_all_of_it_open_is_folded_away_at_last,
    what_a_worker_has_built_a_snapshot_of_is_folded,
    where_no_worker_looks_the_committer_has_it_folded,
    the_committer_tells_of_drawings_in_which_very_much_is_open,
}

/// An hour after everything.
const LATER: i64 = NOW + 3_600_000;
const UNIT: u64 = limits::OPEN_UNIT_WEIGHT;

/// A folder of drawings, and the committer through which it commits.
struct Folding {
    folder: Folder,
    committer: Committer,
    unattended: mpsc::Receiver<DrawingId>,
    _tasks: TaskTracker,
    stop: CancellationToken,
}

impl Folding {
    async fn new(setup: &Setup, budget: u64) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
        let (unattended, is_unattended) = mpsc::channel(8);
        let options = CommitOptions { writers: 1, snapshot_every: 500, unattended };
        let committer = Committer::start(
            &(setup.store.clone() as Arc<dyn Log>),
            &bus,
            &setup.metrics,
            options,
            &tasks,
            &stop,
        );
        let ids = ServerOps::new(setup.store.meta().await.unwrap().server_key);
        let folder = Folder::new(&setup.store, committer.clone(), ids, &setup.metrics, budget);
        Self { folder, committer, unattended: is_unattended, _tasks: tasks, stop }
    }
}

/// The units that can be undone at the head of a drawing.
async fn open_history(store: &dyn Store, drawing_id: DrawingId) -> OpenHistory {
    let mut canvas = Canvas::new();
    for op in log(store, drawing_id).await {
        canvas.apply(&LoggedOp::read(op.revision, &op.actor, op.ts, &op.body));
    }
    let epoch = store.meta().await.unwrap().epoch;
    let (revision, floor, units) = (canvas.revision(), canvas.floor(), canvas.open_units());
    OpenHistory { drawing_id, epoch, revision, floor, units }
}

async fn append_at(store: &dyn Store, request: AppendRequest, ts: i64) {
    store.append(&[request], ts).await.unwrap();
}

/// Ops that all belong to one unit, so many that all before them are far below the head, and older by so much.
async fn grow_beyond_the_latest_revisions(store: &dyn Store, drawing: DrawingId, ts: i64) {
    let first = with_type(op(), None);
    append_at(store, by_alice(drawing, std::slice::from_ref(&first)), ts).await;
    for _ in 0..limits::FOLD_KEEPS_REVISIONS / 500 + 1 {
        let joined: Vec<_> = (0..500).map(|_| with_type(joining(&first), Some(&first))).collect();
        append_at(store, by_alice(drawing, &joined), ts).await;
    }
}

/// The op with a body that says what the request does: its unit, and an undo where it is one.
fn with_type(op: CheckedOp, unit: Option<&CheckedOp>) -> CheckedOp {
    let type_name = if op.is_undo_redo { r#""undo""# } else { r#""custom.test","data":1"# };
    let unit = unit.map_or(String::new(), |unit| format!(r#","unit":"{}""#, unit.op_id));
    let body = format!(r#"{{"op_id":"{}","type":{type_name}{unit}}}"#, op.op_id);
    CheckedOp { body: body.into(), ..op }
}

async fn floors(store: &dyn Store, drawing: DrawingId) -> Vec<u64> {
    let floor = |body: &str| Some(body.split_once(r#""floor":"#)?.1.trim_end_matches('}').parse().unwrap());
    log(store, drawing).await.iter().filter_map(|op| floor(&op.body)).collect()
}

async fn a_history_above_its_budget_is_folded_and_one_at_its_budget_is_not(setup: Setup) {
    let store = &*setup.store;
    let drawing = new_drawing(store).await;
    for nth in 0..20 {
        append_at(store, by_alice(drawing, &[op()]), NOW + nth).await;
    }
    grow_beyond_the_latest_revisions(store, drawing, LATER).await;
    let open = open_history(store, drawing).await;
    assert_eq!(open.units.len(), 21);
    let at_budget = Folding::new(&setup, 21 * UNIT).await;
    assert!(!at_budget.folder.fold(&open).await.unwrap());
    let above = Folding::new(&setup, 20 * UNIT).await;
    let mut young = open.clone();
    young.units.iter_mut().for_each(|unit| unit.touched = LATER - 599_999);
    assert!(!above.folder.fold(&young).await.unwrap(), "all of it is young");
    assert!(above.folder.fold(&open).await.unwrap());
    // Eleven go, ten stay.
    assert_eq!(floors(store, drawing).await, [11]);
    let fold = log(store, drawing).await.pop().unwrap();
    assert_eq!(fold.actor, "revcast:fold");
    let id = serde_json::from_str::<serde_json::Value>(&fold.body).unwrap()["op_id"].clone();
    assert_eq!(id.as_str().unwrap().parse::<Uuid>().unwrap().get_version_num(), 8);
    assert_eq!(setup.counter("revcast_folds_total"), 1);
    // The next one goes on from there.
    let open = open_history(store, drawing).await;
    assert_eq!((open.units.len(), open.floor), (10, Revision(11)));
    assert!(Folding::new(&setup, 4 * UNIT).await.folder.fold(&open).await.unwrap());
    assert_eq!(floors(store, drawing).await, [11, 19]);
}

async fn a_gesture_that_came_at_once_is_not_parted(setup: Setup) {
    let store = &*setup.store;
    let drawing = new_drawing(store).await;
    // Ten ops of alice's at one time, ten of bob's at the same time, ten of alice's later.
    append_at(store, by_alice(drawing, &ops(10)), NOW).await;
    append_at(store, by_bob(drawing, &ops(10)), NOW).await;
    append_at(store, by_alice(drawing, &ops(10)), NOW + 1).await;
    grow_beyond_the_latest_revisions(store, drawing, LATER).await;
    let open = open_history(store, drawing).await;
    // The smallest floor that leaves half of the budget is in the midst of bob's.
    let folding = Folding::new(&setup, 30 * UNIT).await;
    let touched = |at: usize| {
        let mut open = open.clone();
        open.units[at].touched = LATER;
        open
    };
    assert!(!folding.folder.fold(&touched(17)).await.unwrap(), "a unit of bob's has to stay");
    assert!(folding.folder.fold(&touched(20)).await.unwrap());
    assert_eq!(floors(store, drawing).await, [20]);
}

async fn two_workers_fold_once(setup: Setup) {
    let store = &*setup.store;
    let drawing = new_drawing(store).await;
    for nth in 0..20 {
        append_at(store, by_alice(drawing, &[op()]), NOW + nth).await;
    }
    grow_beyond_the_latest_revisions(store, drawing, LATER).await;
    let open = open_history(store, drawing).await;
    let (one, other) = (Folding::new(&setup, 10 * UNIT).await, Folding::new(&setup, 16 * UNIT).await);
    // They do not even agree on how far.
    let folds = tokio::join!(one.folder.fold(&open), other.folder.fold(&open));
    assert!(folds.0.unwrap() != folds.1.unwrap());
    assert_eq!(floors(store, drawing).await.len(), 1);
}

async fn a_fold_that_was_planned_before_an_old_unit_was_undone_is_dropped(setup: Setup) {
    let store = &*setup.store;
    let drawing = new_drawing(store).await;
    let units = ops(20);
    for unit in &units {
        append_at(store, by_alice(drawing, std::slice::from_ref(unit)), NOW).await;
    }
    append_at(store, by_bob(drawing, &[op()]), NOW).await;
    grow_beyond_the_latest_revisions(store, drawing, LATER).await;
    let open = open_history(store, drawing).await;
    let undo = with_type(undoing(&units[3]), Some(&units[3]));
    append_at(store, by_alice(drawing, &[undo]), LATER).await;
    let folding = Folding::new(&setup, 20 * UNIT).await;
    assert!(!folding.folder.fold(&open).await.unwrap());
    // Planned anew, it leaves that unit open, and so has to wait.
    assert!(!folding.folder.fold(&open_history(store, drawing).await).await.unwrap());
    assert!(floors(store, drawing).await.is_empty());
    append_at(store, by_bob(drawing, &[op()]), LATER + 600_000).await;
    assert!(folding.folder.fold(&open_history(store, drawing).await).await.unwrap());
}

async fn who_keeps_all_of_it_open_is_folded_away_at_last(setup: Setup) {
    let store = &*setup.store;
    let drawing = new_drawing(store).await;
    let held = with_type(op(), None);
    append_at(store, by_alice(drawing, std::slice::from_ref(&held)), NOW).await;
    append_at(store, by_bob(drawing, &ops(400)), NOW).await;
    append_at(store, by_bob(drawing, &ops(100)), LATER - 500_000).await;
    // Undone and redone every minute, for an hour by now.
    append_at(store, by_alice(drawing, &[with_type(undoing(&held), Some(&held))]), LATER).await;
    let open = open_history(store, drawing).await;
    assert_eq!(open.units.len(), 501);
    // Beyond the hard bound, where other units are folded after two minutes, it is still kept open …
    let hard = Folding::new(&setup, 100 * UNIT).await;
    assert!(!hard.folder.fold(&open).await.unwrap());
    // … and not beyond the last one: but what began within ten minutes stays.
    let last = Folding::new(&setup, 7 * UNIT).await;
    assert!(last.folder.fold(&open).await.unwrap());
    assert_eq!(floors(store, drawing).await, [401]);
}

async fn what_a_worker_has_built_a_snapshot_of_is_folded(setup: Setup) {
    let store = &*setup.store;
    let drawing = new_drawing(store).await;
    for nth in 0..20 {
        append_at(store, by_alice(drawing, &[op()]), NOW + nth).await;
    }
    grow_beyond_the_latest_revisions(store, drawing, LATER).await;
    let folding = Folding::new(&setup, 10 * UNIT).await;
    let (open, is_open) = mpsc::channel(8);
    let (hints, hinted) = hints();
    let stop = folding.stop.clone();
    let worker = Worker::new(setup.store.clone(), setup.builder(), open);
    let working = tokio::spawn(worker.run(hinted, stop.clone()));
    let queues = FolderQueues { open: is_open, unattended: folding.unattended };
    let folds = tokio::spawn(folding.folder.run(queues, stop.clone()));
    hints.give(drawing);
    let floor = eventually("a fold", || async { floors(store, drawing).await.first().copied() }).await;
    assert_eq!(floor, 16);
    stop.cancel();
    working.await.unwrap();
    folds.await.unwrap();
}

/// Runs a statement on the database of a setup, with the drawing as `$1`.
async fn execute(setup: &Setup, sql: &'static str, drawing: DrawingId) {
    let url = setup.database.url();
    if url.starts_with("sqlite:") {
        let pool = SqlitePool::connect(url).await.unwrap();
        sqlx::query(sql).bind(drawing.0).execute(&pool).await.unwrap();
    } else {
        let pool = PgPool::connect(url).await.unwrap();
        sqlx::query(sql).bind(drawing.0).execute(&pool).await.unwrap();
    }
}

async fn where_no_worker_looks_the_committer_has_it_folded(setup: Setup) {
    let store = &*setup.store;
    let drawing = new_drawing(store).await;
    let folding = Folding::new(&setup, limits::UNDO_BUDGET).await;
    // As if so much had been committed.
    execute(&setup, "UPDATE heads SET revision = 262143 WHERE drawing_id = $1", drawing).await;
    let fold = |now| folding.folder.fold_unattended(drawing, now);
    assert!(!fold(LATER).await.unwrap());
    execute(&setup, "UPDATE heads SET revision = 262144 WHERE drawing_id = $1", drawing).await;
    let old = "INSERT INTO ops (drawing_id, revision, op_id, unit, actor, ts, body)
               VALUES ($1, 131072, $1, $1, 'alice', 1700000000000, '{}')";
    execute(&setup, old, drawing).await;
    let snapshot_at = |revision: u64| {
        let at = match revision {
            131_072 => {
                "INSERT INTO snapshots (drawing_id, revision, snapshot_id, checksum, bytes, created_at, log_bytes)
                 VALUES ($1, 131072, $1, '', 1, 1, 1)"
            }
            _ => "UPDATE snapshots SET revision = 131071 WHERE drawing_id = $1",
        };
        execute(&setup, at, drawing)
    };
    snapshot_at(131_072).await;
    assert!(!fold(LATER).await.unwrap(), "a worker looks after it");
    snapshot_at(131_071).await;
    assert!(!fold(NOW + 119_999).await.unwrap(), "all of it is younger than two minutes");
    assert!(fold(NOW + 120_000).await.unwrap());
    let stand = store.heads(&[drawing]).await.unwrap().stands[&drawing];
    assert_eq!((stand.head, stand.floor), (Revision(262_145), Revision(131_072)));
    assert!(!fold(LATER).await.unwrap(), "once");
}

async fn the_committer_tells_of_drawings_in_which_very_much_is_open(setup: Setup) {
    let drawing = new_drawing(&*setup.store).await;
    let mut folding = Folding::new(&setup, limits::UNDO_BUDGET).await;
    let commit = |op: CheckedOp| folding.committer.commit(by_alice(drawing, &[op]));
    execute(&setup, "UPDATE heads SET revision = 262142 WHERE drawing_id = $1", drawing).await;
    commit(op()).await.unwrap();
    assert!(folding.unattended.try_recv().is_err());
    commit(op()).await.unwrap();
    assert_eq!(folding.unattended.try_recv(), Ok(drawing));
    // Not at each op from there on, but at each step.
    commit(op()).await.unwrap();
    assert!(folding.unattended.try_recv().is_err());
    execute(&setup, "UPDATE heads SET revision = 266239 WHERE drawing_id = $1", drawing).await;
    commit(op()).await.unwrap();
    assert_eq!(folding.unattended.try_recv(), Ok(drawing));
    execute(&setup, "UPDATE heads SET revision = 270335, floor = 100000 WHERE drawing_id = $1", drawing)
        .await;
    commit(op()).await.unwrap();
    assert!(folding.unattended.try_recv().is_err(), "less is open");
}
