//! A committer over a store in memory, which waits and fails when it is told to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use revcast::{
    bus::{Bus, Delivery, LocalBus, OpsMessage, Subscription},
    commit::{CommitError, CommitOptions, Committed, Committer},
    model::{DrawingId, Epoch, OpId, Revision},
    store::{
        AppendOutcome, AppendRequest, Appended, AppendedTo, Heads, Log, LogPage, Meta, OpOutcome, ReadRange,
        Refusal, StoreError, StoredOp,
    },
    telemetry::Metrics,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::support::eventually;

/// The epoch of the store.
pub const EPOCH: Epoch = Epoch(Uuid::nil());

/// A log in memory behind a gate: each append needs one permit.
pub struct GatedStore {
    pub gate: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    pub logs: HashMap<DrawingId, Vec<OpId>>,
    /// Every batch that was appended, failed ones included, with its time.
    pub batches: Vec<(Vec<AppendRequest>, i64)>,
    /// The errors of the next appends, before anything is written.
    pub failures: VecDeque<StoreError>,
    /// An op that no batch may hold.
    pub poison: Option<OpId>,
    /// The ops that every log had before those in `logs`.
    pub before: u64,
    /// The floor of every drawing.
    pub floor: Revision,
    /// True if the next append is written and then reported as unavailable.
    pub breaks_after_writing: bool,
    /// Called while an append is under way.
    pub while_writing: Option<Box<dyn FnMut() + Send>>,
}

impl GatedStore {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of requests in each batch so far.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.state().batches.iter().map(|(batch, _)| batch.len()).collect()
    }

    /// Lets every append pass from now on.
    pub fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    fn write(&self, batch: &[AppendRequest]) -> Result<Vec<AppendOutcome>, StoreError> {
        let mut state = self.state();
        if let Some(failure) = state.failures.pop_front() {
            return Err(failure);
        }
        let (poison, before) = (state.poison, state.before);
        if batch.iter().flat_map(|request| &request.ops).any(|op| Some(op.op_id) == poison) {
            return Err(StoreError::Failed(sqlx::Error::RowNotFound));
        }
        let mut outcomes = Vec::new();
        for request in batch {
            if request.if_revision.is_some() {
                outcomes.push(AppendOutcome::Refused(Refusal::NoDrawing));
                continue;
            }
            let log = state.logs.entry(request.drawing_id).or_default();
            let mut ops = Vec::new();
            for op in &request.ops {
                let present = log.iter().position(|id| *id == op.op_id);
                ops.push(match present {
                    Some(place) => OpOutcome::Duplicate(Revision(before + place as u64 + 1)),
                    None => {
                        log.push(op.op_id);
                        OpOutcome::Committed(Revision(before + log.len() as u64))
                    }
                });
            }
            outcomes.push(AppendOutcome::Accepted { head: Revision(before + log.len() as u64), ops });
        }
        if std::mem::take(&mut state.breaks_after_writing) {
            return Err(unavailable());
        }
        Ok(outcomes)
    }
}

#[async_trait]
impl Log for GatedStore {
    async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        let hook = {
            let mut state = self.state();
            state.batches.push((batch.to_vec(), now_ms));
            state.while_writing.take()
        };
        self.gate.acquire().await.unwrap().forget();
        if let Some(mut hook) = hook {
            hook();
            self.state().while_writing = Some(hook);
        }
        let floor = self.state().floor;
        let to = |request: &AppendRequest| (request.drawing_id, AppendedTo { ts: now_ms, floor });
        Ok(Appended { epoch: EPOCH, heads: batch.iter().map(to).collect(), outcomes: self.write(batch)? })
    }
    async fn read(&self, _: &ReadRange) -> Result<Option<LogPage>, StoreError> {
        unreachable!("a committer only appends")
    }
    async fn find_op(&self, _: DrawingId, _: OpId) -> Result<Option<StoredOp>, StoreError> {
        unreachable!("a committer only appends")
    }
    async fn revision_at(&self, _: DrawingId, _: i64) -> Result<Option<Revision>, StoreError> {
        unreachable!("a committer only appends")
    }
    async fn heads(&self, _: &[DrawingId]) -> Result<Heads, StoreError> {
        unreachable!("a committer only appends")
    }
    async fn meta(&self) -> Result<Meta, StoreError> {
        unreachable!("a committer only appends")
    }
    async fn new_epoch(&self) -> Result<Epoch, StoreError> {
        unreachable!("a committer only appends")
    }
}

pub fn unavailable() -> StoreError {
    StoreError::Unavailable(sqlx::Error::PoolTimedOut)
}

pub fn failed() -> StoreError {
    StoreError::Failed(sqlx::Error::RowNotFound)
}

// --- What the rules are made of ---------------------------------------------------------------------

pub type Pending = BoxFuture<'static, Result<Committed, CommitError>>;

/// A committer over a closed gate.
pub struct Setup {
    pub store: Arc<GatedStore>,
    pub bus: Arc<dyn Bus>,
    pub committer: Committer,
    /// The drawings in which very much is open.
    pub is_unattended: mpsc::Receiver<DrawingId>,
    pub tasks: TaskTracker,
    pub shutdown: CancellationToken,
}

impl Setup {
    pub fn new(writers: usize) -> Self {
        let store = Arc::new(GatedStore { gate: Semaphore::new(0), state: Mutex::default() });
        let log: Arc<dyn Log> = store.clone();
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let metrics = Arc::new(Metrics::new());
        let (unattended, is_unattended) = mpsc::channel(8);
        let options = CommitOptions { writers, snapshot_every: 500, unattended };
        let committer = Committer::start(&log, &bus, &metrics, options, &tasks, &shutdown);
        Self { store, bus, committer, is_unattended, tasks, shutdown }
    }

    /// Queues a request, or gives the answer that came at once.
    pub fn queue(&self, request: AppendRequest) -> Result<Pending, CommitError> {
        queue(&self.committer, request)
    }

    /// Queues a request and waits until a writer holds it in the store.
    pub async fn occupy(&self, request: AppendRequest) -> Pending {
        let before = self.store.batch_sizes().len();
        let pending = self.queue(request).unwrap();
        self.until_batches(before + 1).await;
        pending
    }

    pub async fn until_batches(&self, count: usize) {
        eventually("a batch reaches the store", || async {
            (self.store.batch_sizes().len() >= count).then_some(())
        })
        .await;
    }
}

pub fn queue(committer: &Committer, request: AppendRequest) -> Result<Pending, CommitError> {
    let committer = committer.clone();
    let mut pending: Pending = async move { committer.commit(request).await }.boxed();
    match (&mut pending).now_or_never() {
        Some(Err(error)) => Err(error),
        // A writer on another thread was quick.
        Some(Ok(committed)) => Ok(std::future::ready(Ok(committed)).boxed()),
        None => Ok(pending),
    }
}

/// The answer to a request; panics when it does not come.
pub async fn answer(pending: Pending) -> Result<Committed, CommitError> {
    timeout(Duration::from_secs(10), pending).await.expect("an answer in time")
}

pub fn revisions(committed: &Committed) -> Vec<u64> {
    committed.ops.iter().map(|op| op.revision().0).collect()
}

pub async fn next_range(subscription: &mut Subscription<OpsMessage>) -> OpsMessage {
    let delivery = timeout(Duration::from_secs(10), subscription.next()).await;
    match delivery.expect("a message in time") {
        Some(Delivery::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}
