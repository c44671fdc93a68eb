//! Builds one snapshot: claim, load, encode, write the blob, then its row.
//!
//! Whoever builds holds a claim, which names the blob before it is there. Wherever a build breaks off, the claim
//! runs out, and whoever finds it gives the blob to the waste. So two never build the same, and nothing is
//! left behind.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use uuid::Uuid;

use super::retention::superseded;
use crate::{
    clock::{millis, now_ms},
    limits,
    model::{Canvas, DrawingId, Epoch, OpenUnit, Revision},
    offload::Background,
    snapshot::{
        blobs::{BlobError, Blobs},
        format,
        loader::{Base, LoadError, Loader},
        memory::{LoadPurpose, Memory},
    },
    store::{Claim, Snapshot, Snapshots, Store, StoreError, call},
    telemetry::Metrics,
};

/// Age at which waste is forgotten that no node has found in a folder of its own.
/// At the bound, the waste is forgotten.
const LOCAL_WASTE_MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Life of a claim of a worker on a snapshot, unless it is renewed.
/// At the bound, the claim runs out, and another worker may build.
const SNAPSHOT_LEASE: Duration = Duration::from_secs(60);

/// Age at which a worker renews its claim.
const SNAPSHOT_RENEW_AFTER: Duration = Duration::from_secs(10);
/// Ops that a worker replays before it looks whether its claim has to be renewed.
const SNAPSHOT_BUILD_OPS: u64 = 2_000;
/// Blobs that may fail to be removed before the others of the batch are left for another time.
const SNAPSHOT_WASTE_FAILURES: usize = 3;

/// Builds snapshots of drawings that have grown. Cheap to clone.
#[derive(Clone)]
pub struct Builder {
    snapshots: Arc<dyn Snapshots>,
    blobs: Blobs,
    loader: Loader,
    background: Background,
    metrics: Arc<Metrics>,
    /// The number of ops by which a head is ahead of the newest snapshot before the next one is built.
    every: u64,
    /// The time for which a claim holds unless it is renewed.
    lease: Duration,
    /// The waste that was tried last, so that what will not go does not keep what comes after it. Held for a look only.
    waste_tried: Arc<Mutex<Uuid>>,
}

/// The units that can still be undone in a drawing, at a revision of which there is a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHistory {
    /// The drawing.
    pub drawing_id: DrawingId,
    /// The epoch of the revision.
    pub epoch: Epoch,
    /// The revision.
    pub revision: Revision,
    /// The floor of the latest fold.
    pub floor: Revision,
    /// The open units, ascending by their first revisions.
    pub units: Vec<OpenUnit>,
}

/// The outcome of a wish to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Built {
    /// There is a new snapshot, and no other one was due.
    Snapshot(OpenHistory),
    /// There is a new snapshot at this revision, on a long way to the head: the next one is due.
    Stretch(Revision),
    /// There was nothing to do, or somebody else is at it.
    Nothing,
    /// The claim ran out before the build was done, or went with its drawing.
    Overtaken,
}

/// Why a build broke off. Its claim has been given up, unless the store did not even take that.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There was no canvas to build from.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob could not be written.
    #[error("the blob could not be written: {0}")]
    Blob(#[from] BlobError),
    /// The canvas could not be encoded.
    #[error("the canvas could not be encoded: {0}")]
    Encode(#[from] std::io::Error),
}

impl BuildError {
    /// Returns `true` if the store is away, which its health tells.
    pub(super) fn is_outage(&self) -> bool {
        matches!(self, Self::Store(error) | Self::Load(LoadError::Store(error)) if error.is_passing())
    }

    /// Returns `true` if the log is damaged, of which the store has told.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Store(error) | Self::Load(LoadError::Store(error)) if error.is_damage())
    }
}

impl Builder {
    /// Builds a snapshot of each drawing that is `every` ops past its newest.
    #[must_use]
    pub fn new(
        store: &Arc<dyn Store>,
        blobs: &Blobs,
        metrics: &Arc<Metrics>,
        every: u64,
        background: Background,
    ) -> Self {
        let loader = Loader::new(store, blobs, metrics).for_worker(background.clone());
        let lease = SNAPSHOT_LEASE;
        let (blobs, metrics) = (blobs.clone(), metrics.clone());
        Self {
            snapshots: store.clone(),
            blobs,
            loader,
            background,
            metrics,
            every,
            lease,
            waste_tried: Arc::default(),
        }
    }

    /// The same in this memory.
    #[must_use]
    pub fn with_memory(self, memory: Memory) -> Self {
        Self { loader: self.loader.with_memory(memory), ..self }
    }

    /// The same with claims that hold for `lease`.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// The number of ops by which a head is ahead of its newest snapshot when the next one is due.
    pub(super) fn every(&self) -> u64 {
        self.every
    }

    /// Builds the snapshot of a drawing, if it is due and nobody else is at it.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(&self, drawing: DrawingId) -> Result<Built, BuildError> {
        self.build_as(drawing, Uuid::now_v7()).await
    }

    /// The same under an id by which it can be given up.
    pub(super) async fn build_as(&self, drawing: DrawingId, id: Uuid) -> Result<Built, BuildError> {
        let started = Instant::now();
        let outcome = self.claim_and_build(drawing, id).await;
        match &outcome {
            Ok(Built::Snapshot(_) | Built::Stretch(_)) => {
                self.metrics.snapshots_built.increment(1);
                self.metrics.snapshot_seconds.record(started.elapsed().as_secs_f64());
                if let Err(error) = self.retire(drawing, id).await {
                    tracing::warn!(%drawing, %error, "superseded snapshots stay until the next one is built");
                }
            }
            Ok(_) => (),
            Err(_) => self.give_up(drawing, id).await,
        }
        outcome
    }

    /// Removes blobs that nobody needs any more, a few at a time; tells how many.
    ///
    /// # Errors
    /// When the store or the blob store fails; what is left is removed another time.
    pub async fn remove_waste(&self) -> Result<usize, BuildError> {
        call(self.snapshots.expire_claims(now_ms(), limits::SNAPSHOT_WASTE_BATCH)).await?;
        let after = *self.waste_tried();
        let waste = call(self.snapshots.snapshot_waste(after, limits::SNAPSHOT_WASTE_BATCH)).await?;
        let is_last = waste.len() < limits::SNAPSHOT_WASTE_BATCH as usize;
        let mut next = if is_last { Uuid::nil() } else { waste.last().map_or(Uuid::nil(), |(_, id)| *id) };
        let mut removed = Vec::with_capacity(waste.len());
        let mut failures = Vec::new();
        for (drawing, id) in waste {
            match self.blobs.delete(drawing, id).await {
                // A blob that is not here may lie with another node, which removes it.
                Ok(was_here) if !was_here && !self.blobs.are_shared() && !is_old(id) => (),
                Ok(_) => removed.push(id),
                Err(error) => failures.push(error),
            }
            // One blob that will not go should not keep the others; a store that is away should not be asked for all.
            if failures.len() > SNAPSHOT_WASTE_FAILURES {
                next = id;
                break;
            }
        }
        *self.waste_tried() = next;
        if !removed.is_empty() {
            call(self.snapshots.forget_waste(&removed)).await?;
        }
        failures.pop().map_or(Ok(removed.len()), |error| Err(error.into()))
    }

    fn waste_tried(&self) -> MutexGuard<'_, Uuid> {
        self.waste_tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a claim up, if it is held.
    pub(super) async fn give_up(&self, drawing: DrawingId, id: Uuid) {
        // If that fails too, the claim runs out.
        drop(call(self.snapshots.drop_claim(drawing, id)).await);
    }

    async fn claim_and_build(&self, drawing: DrawingId, id: Uuid) -> Result<Built, BuildError> {
        let (now, lease) = (now_ms(), millis(self.lease));
        match call(self.snapshots.claim_snapshot(drawing, id, self.every, now, now + lease)).await? {
            Claim::Claimed { head } => match self.build_claimed(drawing, id, head).await {
                // It was deleted meanwhile, and its claim with it.
                Err(BuildError::Load(LoadError::NoDrawing)) => Ok(Built::Overtaken),
                outcome => outcome,
            },
            Claim::NotDue | Claim::Busy | Claim::NoDrawing => Ok(Built::Nothing),
        }
    }

    async fn build_claimed(&self, drawing: DrawingId, id: Uuid, head: Revision) -> Result<Built, BuildError> {
        let mut renewed = Instant::now();
        let Base { mut canvas, mut log_bytes, mut share } =
            self.loader.base_for(LoadPurpose::Past, drawing, head).await?;
        let mut epoch = None;
        // No revision of the past shall be farther from a snapshot.
        let target = Revision(canvas.revision().0 + limits::SNAPSHOT_STRETCH).min(head);
        // A few ops at a time, so that the claim is kept up.
        while canvas.revision() < target {
            let portion = Revision(canvas.revision().0 + SNAPSHOT_BUILD_OPS).min(target);
            let (stand, bytes) =
                self.loader.advance(drawing, &mut canvas, Some(portion), Some(&mut share)).await?;
            log_bytes += bytes;
            if *epoch.get_or_insert(stand.branch.epoch) != stand.branch.epoch {
                return Err(LoadError::EpochChanged.into());
            }
            if !self.keep_claim(drawing, id, &mut renewed).await? {
                return Ok(Built::Overtaken);
            }
        }
        // There is nothing to do where the head is that of the newest snapshot.
        let Some(epoch) = epoch else { return Ok(Built::Nothing) };
        let Encoded { bytes, checksum, open } = self.encode(drawing, epoch, canvas).await?;
        share.shrink_to(bytes.len() as u64);
        let (size, revision) = (bytes.len() as u64, open.revision);
        if !self.keep_claim(drawing, id, &mut renewed).await? {
            return Ok(Built::Overtaken);
        }
        self.blobs.put(drawing, id, bytes).await?;
        let row =
            Snapshot { revision, snapshot_id: id, checksum, bytes: size, log_bytes, created_at: now_ms() };
        if call(self.snapshots.add_snapshot(drawing, epoch, &row)).await? {
            return Ok(if revision < head { Built::Stretch(revision) } else { Built::Snapshot(open) });
        }
        // Whoever took the claim over may have looked for the blob before it was there.
        self.blobs.delete(drawing, id).await?;
        self.give_up(drawing, id).await;
        Ok(Built::Overtaken)
    }

    /// Renews a claim that is not new any more; false when it is lost.
    async fn keep_claim(
        &self,
        drawing: DrawingId,
        id: Uuid,
        renewed: &mut Instant,
    ) -> Result<bool, StoreError> {
        if renewed.elapsed() < SNAPSHOT_RENEW_AFTER.min(self.lease) {
            return Ok(true);
        }
        *renewed = Instant::now();
        call(self.snapshots.renew_claim(drawing, id, now_ms() + millis(self.lease))).await
    }

    async fn encode(&self, drawing_id: DrawingId, epoch: Epoch, canvas: Canvas) -> std::io::Result<Encoded> {
        let work = move || {
            let (bytes, checksum) = format::encode_snapshot(drawing_id, &canvas)?;
            let (revision, floor, units) = (canvas.revision(), canvas.floor(), canvas.open_units());
            let open = OpenHistory { drawing_id, epoch, revision, floor, units };
            Ok(Encoded { bytes, checksum, open })
        };
        let encoded = self.background.run(work).await;
        encoded.unwrap_or_else(|_| Err(std::io::Error::other("the canvas could not be written")))
    }

    /// Gives up the snapshots that others have made superfluous; not the one that was just built, from which the next
    /// one goes on where newer ones cannot be read.
    async fn retire(&self, drawing: DrawingId, built: Uuid) -> Result<(), StoreError> {
        let newest = Revision(i64::MAX.unsigned_abs());
        let snapshots =
            call(self.snapshots.snapshots(drawing, newest, limits::SNAPSHOT_RETENTION_LOOK)).await?;
        let mut superseded = superseded(&snapshots);
        superseded.retain(|id| *id != built);
        if !superseded.is_empty() {
            call(self.snapshots.retire_snapshots(drawing, &superseded)).await?;
        }
        Ok(())
    }
}

/// A canvas as it is stored, and what can still be undone there.
struct Encoded {
    bytes: Bytes,
    checksum: String,
    open: OpenHistory,
}

/// Returns `true` if the owner of a blob of that id has had time to remove it.
fn is_old(id: Uuid) -> bool {
    let made = id.get_timestamp().map_or(0, |made| made.to_unix().0);
    now_ms() / 1_000 - i64::try_from(made).unwrap_or(i64::MAX) > LOCAL_WASTE_MAX_AGE.as_secs().cast_signed()
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("every", &self.every).finish_non_exhaustive()
    }
}
