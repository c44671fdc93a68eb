//! The way from the log to a canvas: the newest snapshot that can be read, and the ops after it.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::{
    blobs::{BlobError, Blobs},
    format::{self, Damage},
    memory::{LoadPurpose, Memory, OutOfMemory, Share},
    outage::BlobOutage,
};
use crate::{
    limits,
    model::{Applied, Branch, Canvas, DrawingId, LoggedOp, Revision},
    offload::Background,
    offload::{on_another_thread, on_bytes},
    store::{Log, LogPage, ReadRange, Snapshot, Snapshots, Store, StoreError, call},
    telemetry::Metrics,
};

/// The number of times its size that an op is taken to add to a canvas, the op itself included while it is
/// applied.
const OP_LOAD_FACTOR: u64 = 2;

/// Makes canvases. Cheap to clone.
#[derive(Clone)]
pub struct Loader {
    log: Arc<dyn Log>,
    snapshots: Arc<dyn Snapshots>,
    blobs: Blobs,
    metrics: Arc<Metrics>,
    /// The memory in which canvases are loaded.
    memory: Memory,
    /// The caller for whom canvases are loaded.
    mode: Mode,
}

#[derive(Clone)]
enum Mode {
    /// For those who wait for an answer, with what they know of the blob store.
    Request(Arc<BlobOutage>),
    /// For a worker, who has time: it tries, and computes in the background.
    Worker(Background),
}

/// Why there is no canvas.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such drawing.
    #[error("there is no such drawing")]
    NoDrawing,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The snapshots cannot be read at present, and without them the log is too long.
    #[error("the snapshots are unavailable: {0}")]
    Blobs(BlobError),
    /// Too many look back already, or there is no memory for another canvas.
    #[error("too many canvases are being loaded")]
    Overloaded,
    /// The server stops.
    #[error("the server is stopping")]
    Stopped,
    /// The epoch changed meanwhile.
    #[error("the epoch has changed")]
    EpochChanged,
    /// The rendered text cannot be read back, which is a defect of ours.
    #[error("the canvas cannot be drawn: {0}")]
    Undrawable(std::io::Error),
}

impl From<OutOfMemory> for LoadError {
    fn from(_: OutOfMemory) -> Self {
        Self::Overloaded
    }
}

/// Where the log stood when a canvas was brought up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The epoch, and how the log goes on from the one before.
    pub branch: Branch,
    /// The head.
    pub head: Revision,
}

/// A canvas to go on from.
#[derive(Debug)]
pub struct Base {
    /// The canvas.
    pub canvas: Canvas,
    /// The bytes of all ops up to its revision, as they came.
    pub log_bytes: u64,
    /// The memory that it takes.
    pub share: Share,
}

impl Loader {
    /// Reads from `store` and `blobs` for those who wait for an answer: while the blob store is away, a short log is
    /// replayed without it, and of a longer one there is no canvas.
    #[must_use]
    pub fn new(store: &Arc<dyn Store>, blobs: &Blobs, metrics: &Arc<Metrics>) -> Self {
        let mode = Mode::Request(Arc::default());
        let memory = Memory::new(limits::CANVAS_MEMORY, limits::CANVAS_PATIENCE);
        Self {
            log: store.clone(),
            snapshots: store.clone(),
            blobs: blobs.clone(),
            metrics: metrics.clone(),
            memory,
            mode,
        }
    }

    /// The same in this memory.
    #[must_use]
    pub fn with_memory(self, memory: Memory) -> Self {
        Self { memory, ..self }
    }

    /// The memory that canvases are loaded in.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The same for a worker, who does nothing while the blob store is away.
    pub(crate) fn for_worker(self, background: Background) -> Self {
        Self { mode: Mode::Worker(background), ..self }
    }

    /// The canvas at `revision`, which must not be ahead of the head.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(&self, drawing: DrawingId, revision: Revision) -> Result<(Canvas, Reached), LoadError> {
        let (base, stand) = self.load_for(LoadPurpose::Past, drawing, revision).await?;
        Ok((base.canvas, stand))
    }

    /// The same with the memory that it takes.
    pub(crate) async fn load_for(
        &self,
        purpose: LoadPurpose,
        drawing: DrawingId,
        revision: Revision,
    ) -> Result<(Base, Reached), LoadError> {
        let mut base = self.base_for(purpose, drawing, revision).await?;
        let Base { canvas, share, .. } = &mut base;
        let (stand, _) = self.advance(drawing, canvas, Some(revision), Some(share)).await?;
        Ok((base, stand))
    }

    /// Where the log stands.
    ///
    /// # Errors
    /// When there is no such drawing, or the store fails.
    pub async fn stand(&self, drawing: DrawingId) -> Result<Reached, LoadError> {
        let heads = call(self.log.heads(&[drawing])).await?;
        let stand = heads.stands.get(&drawing).ok_or(LoadError::NoDrawing)?;
        Ok(Reached { branch: stand.branch, head: stand.head })
    }

    /// The newest canvas at or below `revision` that a snapshot gives; the empty one where there is none. Damaged
    /// snapshots are passed over, and given up.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn base(&self, drawing: DrawingId, revision: Revision) -> Result<Base, LoadError> {
        self.base_for(LoadPurpose::Past, drawing, revision).await
    }

    /// The same, for this purpose.
    pub(crate) async fn base_for(
        &self,
        purpose: LoadPurpose,
        drawing: DrawingId,
        revision: Revision,
    ) -> Result<Base, LoadError> {
        let mut share = self.memory.share(purpose, 0).await?;
        let empty = |share| Base { canvas: Canvas::new(), log_bytes: 0, share };
        let mut below = revision;
        let mut unreadable = None;
        loop {
            let snapshots = call(self.snapshots.snapshots(drawing, below, 1)).await?;
            let Some(snapshot) = snapshots.into_iter().next() else {
                return match unreadable {
                    // Later it may do.
                    Some(error) if revision.0 > limits::REPLAY_WITHOUT_SNAPSHOT_OPS => {
                        Err(LoadError::Blobs(error))
                    }
                    _ => Ok(empty(share)),
                };
            };
            let what = match self.blob(drawing, &snapshot).await {
                Ok(bytes) => match self.decode(bytes, drawing, &snapshot, &mut share).await? {
                    Ok(canvas) => return Ok(Base { canvas, log_bytes: snapshot.log_bytes, share }),
                    Err(damage) if damage.is_of_another_version() => None,
                    Err(damage) => Some(damage.to_string()),
                },
                // It may lie where another node put it.
                Err(BlobError::Missing) if !self.blobs.are_shared() => None,
                Err(BlobError::Missing) => Some("its blob is missing".to_owned()),
                Err(error @ BlobError::Unreadable(_)) => {
                    let revision = snapshot.revision;
                    tracing::warn!(%drawing, %revision, %error, "a snapshot is passed over");
                    unreadable = Some(error);
                    None
                }
                Err(error) => {
                    let may_replay = revision.0 <= limits::REPLAY_WITHOUT_SNAPSHOT_OPS;
                    if matches!(self.mode, Mode::Request(_)) && may_replay {
                        return Ok(empty(share));
                    }
                    return Err(LoadError::Blobs(error));
                }
            };
            // The first to give it up tells of it; the worker builds another one.
            if let Some(what) = what
                && call(self.snapshots.retire_snapshots(drawing, &[snapshot.snapshot_id])).await? > 0
            {
                self.metrics.snapshots_damaged.increment(1);
                let revision = snapshot.revision;
                tracing::error!(%drawing, %revision, what, "a snapshot cannot be used; falling back to the one before");
            }
            below = Revision(snapshot.revision.0.saturating_sub(1));
        }
    }

    /// Applies the ops up to `until`, or else up to where the head was at first, and returns how many bytes
    /// they had. Ops that have been applied stay applied when it fails. The canvas grows in `share`, or by
    /// little.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn advance(
        &self,
        drawing: DrawingId,
        canvas: &mut Canvas,
        until: Option<Revision>,
        mut share: Option<&mut Share>,
    ) -> Result<(Reached, u64), LoadError> {
        let first = self.page(drawing, canvas.revision(), until).await?;
        let stand = Reached { branch: first.branch, head: first.head };
        let until = until.map_or(first.head, |until| until.min(first.head));
        let (mut page, mut bytes) = (first, 0);
        loop {
            let page_bytes = page.ops.iter().map(|op| op.body.len() as u64).sum::<u64>();
            bytes += page_bytes;
            if let Some(share) = &mut share {
                share.grow_to(share.bytes() + page_bytes * OP_LOAD_FACTOR).await?;
            }
            self.apply(drawing, canvas, page).await?;
            if canvas.revision() >= until {
                return Ok((stand, bytes));
            }
            page = self.page(drawing, canvas.revision(), Some(until)).await?;
            if page.branch.epoch != stand.branch.epoch {
                return Err(LoadError::EpochChanged);
            }
            // A failover has lost ops, and nothing was committed since: the canvas may be one of a lost branch.
            if page.head < until {
                return Err(LoadError::EpochChanged);
            }
        }
    }

    async fn blob(&self, drawing: DrawingId, snapshot: &Snapshot) -> Result<Bytes, BlobError> {
        let read = self.blobs.get(drawing, snapshot.snapshot_id);
        match &self.mode {
            Mode::Request(outage) => outage.guard(read).await,
            Mode::Worker(_) => read.await,
        }
    }

    /// Reads a snapshot in the memory of `share`, of which it leaves what the canvas takes.
    async fn decode(
        &self,
        bytes: Bytes,
        drawing: DrawingId,
        snapshot: &Snapshot,
        share: &mut Share,
    ) -> Result<Result<Canvas, Damage>, LoadError> {
        let (compressed, checksum) = (bytes.clone(), snapshot.checksum.clone());
        let json = match self.aside(move || format::check(&compressed, &checksum)).await {
            Ok(json) => json,
            Err(damage) => return Ok(Err(damage)),
        };
        // The text, and the canvas that is made of it, which is seldom larger by so much. Before its bytes were there, they
        // were not counted: whoever waits for a blob store should keep no memory from others.
        share.grow_to(snapshot.bytes + 2 * json + json / limits::CANVAS_OVERHEAD).await?;
        let revision = snapshot.revision;
        let decode = move || {
            let canvas = format::decode(&bytes, drawing, revision)?;
            let weight = canvas.weight() as u64;
            Ok((canvas, weight))
        };
        let read = self.aside(decode).await;
        Ok(read.map(|(canvas, weight)| {
            share.shrink_to(weight + weight / limits::CANVAS_OVERHEAD);
            canvas
        }))
    }

    /// Inflating and parsing a large snapshot takes a while; other tasks of the thread should not wait for it.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Damage> + Send + 'static,
    ) -> Result<T, Damage> {
        match &self.mode {
            Mode::Worker(background) => background.run(work).await.unwrap_or(Err(Damage::Other)),
            Mode::Request(_) => match on_another_thread(work).await {
                Ok(outcome) => outcome,
                Err(error) if error.is_panic() => Err(Damage::Other),
                // The process ends, which says nothing of the snapshot.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Takes in a page of ops. A worker that is stopped meanwhile loses its canvas, which nobody else has.
    async fn apply(&self, drawing: DrawingId, canvas: &mut Canvas, page: LogPage) -> Result<(), LoadError> {
        let Mode::Worker(background) = &self.mode else {
            let bytes = page.ops.iter().map(|op| op.body.len()).sum();
            return on_bytes(bytes, || apply(drawing, canvas, &page));
        };
        let mut taken = std::mem::take(canvas);
        let work = move || {
            let outcome = apply(drawing, &mut taken, &page);
            (taken, outcome)
        };
        match background.run(work).await {
            Ok((applied, outcome)) => {
                *canvas = applied;
                outcome
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    async fn page(
        &self,
        drawing_id: DrawingId,
        after: Revision,
        until: Option<Revision>,
    ) -> Result<LogPage, LoadError> {
        let (limit, max_bytes) = (limits::MAX_PAGE_OPS, limits::MAX_PAGE_BYTES);
        let range = ReadRange { drawing_id, after, until, limit, max_bytes };
        call(self.log.read(&range)).await?.ok_or(LoadError::NoDrawing)
    }
}

fn apply(drawing: DrawingId, canvas: &mut Canvas, page: &LogPage) -> Result<(), LoadError> {
    for op in &page.ops {
        let read = LoggedOp::read(op.revision, &op.actor, op.ts, &op.body);
        // The body of an op that this version does not know is an object all the same.
        let is_unreadable = read.change.is_none() && serde_json::from_str::<IgnoredAny>(&op.body).is_err();
        if is_unreadable || canvas.apply(&read) == Applied::Gap {
            return Err(StoreError::damaged(drawing, op.revision).into());
        }
    }
    Ok(())
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").finish_non_exhaustive()
    }
}
