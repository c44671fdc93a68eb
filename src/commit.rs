//! Group commit: what waits together is written together.
//!
//! Owns the bounded queues in front of the store and the tasks that empty them. While a writer has
//! a batch in the store, the next one gathers in its queue; no timer delays a lone request. Each
//! drawing belongs to one writer, so its ops are committed in the order in which they came.
//!
//! It publishes what it committed and then answers. It knows no rooms.

mod traced;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bus::{Bus, ControlMessage, OpsMessage},
    clock::now_ms,
    limits,
    model::{CommittedOp, DrawingId, Epoch, Revision},
    store::{AppendOutcome, AppendRequest, Appended, AppendedTo, Log, OpOutcome, Refusal, StoreError},
    telemetry::Metrics,
    trace::RequestId,
};

/// Ops at which a batch is full. The request that crosses it still belongs to it.
/// At the bound, the rest is the next batch.
const MAX_BATCH_OPS: usize = 2_000;

/// The way into the log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Committer {
    /// One queue a writer, each of `COMMIT_QUEUE_REQUESTS`; a request for a full one is refused.
    queues: Arc<[mpsc::Sender<QueuedRequest>]>,
    /// Bytes that may still be queued; a request that finds too few is refused.
    bytes: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// The settings of the commit queues.
#[derive(Clone, Debug)]
pub struct CommitOptions {
    /// Batches that may be written at the same time.
    pub writers: usize,
    /// Whenever a head passes a multiple of this, the workers are told.
    pub snapshot_every: u64,
    /// Where it is told in which drawings `FOLD_UNATTENDED_OPEN` revisions are open.
    pub unattended: mpsc::Sender<DrawingId>,
}

/// A request whose ops are in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The epoch of the revisions.
    pub epoch: Epoch,
    /// The head of the drawing after the batch.
    pub head: Revision,
    /// One an op, in order.
    pub ops: Vec<OpOutcome>,
}

/// Why a request was not committed, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Too much is waiting already.
    #[error("the commit queue is full")]
    Overloaded,
    /// The server is stopping.
    #[error("the server is stopping")]
    Draining,
    /// The log refused it; nothing was written.
    #[error("the log refused the request")]
    Refused(Epoch, Refusal),
    /// The store failed; the request may be sent again as it is.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

/// One request on its way.
#[derive(Debug)]
struct QueuedRequest {
    request: AppendRequest,
    waiting: PendingReply,
}

/// The other end of a request: the client that waits for its outcome.
#[derive(Debug)]
struct PendingReply {
    /// Closed when the client hung up, which changes nothing for the batch.
    reply: oneshot::Sender<Result<Committed, CommitError>>,
    queued_at: Instant,
    /// The id of the request, if it came from outside.
    id: Option<RequestId>,
    /// The request's share of the queue, given back with the answer.
    _bytes: OwnedSemaphorePermit,
}

impl QueuedRequest {
    fn split(self) -> (AppendRequest, PendingReply) {
        (self.request, self.waiting)
    }
}

impl Committer {
    /// Starts the writers on `tasks`. After `shutdown` they refuse what is new, finish what
    /// is queued, and end.
    #[must_use]
    pub fn start(
        log: &Arc<dyn Log>,
        bus: &Arc<dyn Bus>,
        metrics: &Arc<Metrics>,
        options: CommitOptions,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        let CommitOptions { writers, snapshot_every, unattended } = options;
        let batches = Arc::new(AtomicU64::new(1));
        let queues = (0..writers.max(1))
            .map(|_| {
                let (sender, receiver) = mpsc::channel(limits::COMMIT_QUEUE_REQUESTS);
                // One batch may wait to be announced while the next is in the store.
                let (announcements, announced) = mpsc::channel(1);
                let (log, batches) = (log.clone(), batches.clone());
                let writer = Writer { log, metrics: metrics.clone(), batches };
                tasks.spawn(writer.run(receiver, announcements, shutdown.clone()));
                let (bus, metrics, unattended) = (bus.clone(), metrics.clone(), unattended.clone());
                let announcer = Announcer { bus, metrics, snapshot_every, unattended };
                tasks.spawn(announcer.run(announced));
                sender
            })
            .collect();
        Self { queues, bytes: Arc::new(Semaphore::new(limits::COMMIT_QUEUE_BYTES)), metrics: metrics.clone() }
    }

    /// Queues a request of the server's own and waits for its outcome.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn commit(&self, request: AppendRequest) -> Result<Committed, CommitError> {
        self.queue(request, None).await
    }

    /// The same for a request from outside, which the logs know by its id.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn commit_for(&self, id: RequestId, request: AppendRequest) -> Result<Committed, CommitError> {
        self.queue(request, Some(id)).await
    }

    async fn queue(&self, request: AppendRequest, id: Option<RequestId>) -> Result<Committed, CommitError> {
        let size: usize = request.ops.iter().map(|op| op.body.len()).sum();
        let size = u32::try_from(size).map_err(|_| CommitError::Overloaded)?;
        let overloaded = || {
            self.metrics.overloads.increment(1);
            CommitError::Overloaded
        };
        let bytes = self.bytes.clone().try_acquire_many_owned(size).map_err(|_| overloaded())?;
        let (reply, outcome) = oneshot::channel();
        let queue = &self.queues[self.writer_of(request.drawing_id)];
        let job = QueuedRequest {
            request,
            waiting: PendingReply { reply, queued_at: Instant::now(), id, _bytes: bytes },
        };
        match queue.try_send(job) {
            Ok(()) => self.metrics.queue_depth.increment(1),
            Err(mpsc::error::TrySendError::Full(_)) => return Err(overloaded()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(CommitError::Draining),
        }
        outcome.await.unwrap_or(Err(CommitError::Draining))
    }

    fn writer_of(&self, drawing: DrawingId) -> usize {
        let mut hasher = DefaultHasher::new();
        drawing.hash(&mut hasher);
        let writers = self.queues.len() as u64;
        usize::try_from(hasher.finish() % writers).unwrap_or_default()
    }
}

/// Empties one queue into the store.
struct Writer {
    log: Arc<dyn Log>,
    metrics: Arc<Metrics>,
    /// Numbers the batches of all writers, for the logs.
    batches: Arc<AtomicU64>,
}

impl Writer {
    async fn run(
        self,
        mut queue: mpsc::Receiver<QueuedRequest>,
        announcements: mpsc::Sender<Announcement>,
        shutdown: CancellationToken,
    ) {
        let mut batch = Vec::new();
        loop {
            let first = tokio::select! {
                biased;
                // This branch stands first, or a queue that is never empty would never be closed. Jobs that are
                // queued by now are still received, and then `None`.
                () = shutdown.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
                job = queue.recv() => job,
            };
            let Some(first) = first else { return };
            let mut ops = first.request.ops.len();
            batch.push(first);
            while ops < MAX_BATCH_OPS && batch.len() < limits::MAX_BATCH_REQUESTS {
                let Ok(job) = queue.try_recv() else { break };
                ops += job.request.ops.len();
                batch.push(job);
            }
            self.metrics.queue_depth.decrement(as_f64(batch.len()));
            self.metrics.batch_requests.record(as_f64(batch.len()));
            self.metrics.batch_ops.record(as_f64(ops));
            self.write(std::mem::take(&mut batch), &announcements).await;
        }
    }

    /// Appends a batch; what follows from it is left to the announcer, so that the next batch is on
    /// its way to the store meanwhile.
    async fn write(&self, batch: Vec<QueuedRequest>, announcements: &mpsc::Sender<Announcement>) {
        let (requests, waiting): (Vec<_>, Vec<_>) = batch.into_iter().map(QueuedRequest::split).unzip();
        let (batch, now_ms) = (self.batches.fetch_add(1, Ordering::Relaxed), now_ms());
        let announce = |requests, waiting, outcome| {
            // The announcer ends after the writer, whose sender it waits for.
            announcements.send(Announcement { batch, requests, waiting, outcome }).map(drop)
        };
        match self.append_patiently(&requests, now_ms).await {
            // The statement failed, not the connection: it may be one request's fault, and its
            // neighbours should not pay for it.
            Err(StoreError::Failed(_) | StoreError::Damaged { .. }) if requests.len() > 1 => {
                for (request, waiting) in requests.into_iter().zip(waiting) {
                    let outcome = self.append_patiently(std::slice::from_ref(&request), now_ms).await;
                    announce(vec![request], vec![waiting], outcome).await;
                }
            }
            outcome => announce(requests, waiting, outcome).await,
        }
    }

    /// Appends again when the connection broke or the database asks for it. That is safe: ops that
    /// an attempt committed before it broke are duplicates for the next.
    async fn append_patiently(
        &self,
        requests: &[AppendRequest],
        now_ms: i64,
    ) -> Result<Appended, StoreError> {
        let started = Instant::now();
        let mut attempt = 1;
        loop {
            let append = tokio::time::timeout(limits::STORE_CALL_TIMEOUT, self.log.append(requests, now_ms));
            match append.await.unwrap_or(Err(StoreError::timed_out())) {
                Err(StoreError::Unavailable(error))
                    if attempt < limits::COMMIT_ATTEMPTS && started.elapsed() < limits::COMMIT_PATIENCE =>
                {
                    tracing::debug!(%error, attempt, "the store broke off; appending again");
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

/// A batch that has been in the store.
struct Announcement {
    /// Its number.
    batch: u64,
    requests: Vec<AppendRequest>,
    waiting: Vec<PendingReply>,
    outcome: Result<Appended, StoreError>,
}

/// Publishes what one writer committed, and answers those who wait; in the order of the batches.
struct Announcer {
    bus: Arc<dyn Bus>,
    metrics: Arc<Metrics>,
    snapshot_every: u64,
    unattended: mpsc::Sender<DrawingId>,
}

impl Announcer {
    async fn run(self, mut announcements: mpsc::Receiver<Announcement>) {
        while let Some(announcement) = announcements.recv().await {
            self.announce(announcement);
        }
    }

    fn announce(&self, Announcement { batch, requests, waiting, outcome }: Announcement) {
        let results = match outcome {
            Ok(appended) => {
                let ids = waiting.iter().map(|waiting| waiting.id.as_ref());
                traced::committed(batch, &requests, ids, &appended.outcomes);
                self.publish(batch, &requests, &appended);
                self.count(&appended);
                let epoch = appended.epoch;
                appended.outcomes.into_iter().map(|outcome| into_result(epoch, outcome)).collect::<Vec<_>>()
            }
            Err(error) => {
                crate::store::log_store_failure!(
                    error,
                    requests = requests.len(),
                    "a batch was not committed"
                );
                let error = Arc::new(error);
                requests.iter().map(|_| Err(CommitError::Store(error.clone()))).collect()
            }
        };
        for (waiting, result) in waiting.into_iter().zip(results) {
            self.metrics.commit_seconds.record(waiting.queued_at.elapsed().as_secs_f64());
            // The client may have hung up; its ops are committed all the same.
            let _ = waiting.reply.send(result);
        }
    }

    /// Tells the rooms what is new, one message a drawing.
    fn publish(&self, batch: u64, requests: &[AppendRequest], appended: &Appended) {
        let mut ranges: BTreeMap<DrawingId, Vec<CommittedOp>> = BTreeMap::new();
        for (request, outcome) in requests.iter().zip(&appended.outcomes) {
            let AppendOutcome::Accepted { ops, .. } = outcome else { continue };
            let Some(AppendedTo { ts, .. }) = appended.heads.get(&request.drawing_id) else { continue };
            for (op, outcome) in request.ops.iter().zip(ops) {
                if let OpOutcome::Committed(revision) = *outcome {
                    let committed = CommittedOp::new(revision, &request.actor, *ts, &op.body);
                    ranges.entry(request.drawing_id).or_default().push(committed);
                }
            }
        }
        for (drawing_id, ops) in ranges {
            if let Some(message) = OpsMessage::new(drawing_id, appended.epoch, ops) {
                let passes = |step: u64| (message.first.0 - 1) / step != message.last.0 / step;
                let floor = appended.heads.get(&drawing_id).map_or(0, |head| head.floor.0);
                if message.last.0.saturating_sub(floor) >= limits::FOLD_UNATTENDED_OPEN
                    && passes(limits::FOLD_UNATTENDED_STEP)
                {
                    // One too many is told again at the next step.
                    let _ = self.unattended.try_send(drawing_id);
                }
                if passes(self.snapshot_every) {
                    self.bus.publish_control(ControlMessage::Grown { drawing_id });
                }
                traced::publishing(batch, &message);
                self.bus.publish_ops(message);
            }
        }
    }

    fn count(&self, appended: &Appended) {
        for outcome in &appended.outcomes {
            match outcome {
                AppendOutcome::Accepted { ops, .. } => {
                    let committed = ops.iter().filter(|op| matches!(op, OpOutcome::Committed(_))).count();
                    self.metrics.commits.increment(1);
                    self.metrics.ops.increment(committed as u64);
                    self.metrics.duplicates.increment((ops.len() - committed) as u64);
                }
                AppendOutcome::Refused(_) => self.metrics.refusals.increment(1),
            }
        }
    }
}

fn into_result(epoch: Epoch, outcome: AppendOutcome) -> Result<Committed, CommitError> {
    match outcome {
        AppendOutcome::Accepted { head, ops } => Ok(Committed { epoch, head, ops }),
        AppendOutcome::Refused(refusal) => Err(CommitError::Refused(epoch, refusal)),
    }
}

#[allow(clippy::cast_precision_loss, reason = "sizes of batches are far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
