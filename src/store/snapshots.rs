//! Snapshots: which there are, who builds the next one, and which blobs are to go.
//!
//! Owns what is known of them, never a blob; it says which name each has.

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::model::{DrawingId, Epoch, Revision};

/// The part of the store that knows of snapshots. Times are milliseconds since 1970.
///
/// The id of a snapshot is the name of its blob. It is made by whoever claims to build it, and goes
/// one way: claimed, then a snapshot, then waste; or claimed, then waste.
///
/// Invariants every back end keeps:
///
/// 1. An id that was ever claimed is a claim, a snapshot, or waste: one of them, until its blob is
///    gone and it is forgotten. So no blob is lost from sight.
/// 2. A drawing has one claim at most: two workers never hold one drawing.
/// 3. Only who holds the claim makes its id a snapshot, and only of a drawing that exists.
/// 4. A deleted drawing has neither snapshots nor a claim; what it had is waste.
#[async_trait]
pub trait Snapshots: Send + Sync + 'static {
    /// Reads the newest `limit` snapshots at or below `at`, newest first.
    async fn snapshots(
        &self,
        drawing: DrawingId,
        at: Revision,
        limit: u32,
    ) -> Result<Vec<Snapshot>, StoreError>;

    /// Looks at the next `limit` drawings after `after`, in the order of their ids, for those of which a snapshot is due:
    /// the head is `every` revisions or more past the newest one, and what has come since has half its size or is
    /// `SNAPSHOT_STRETCH` revisions long.
    async fn due_snapshots(
        &self,
        after: Option<DrawingId>,
        every: u64,
        limit: u32,
    ) -> Result<DuePage, StoreError>;

    /// Claims the building of the next snapshot until `until_ms`, if it is due as in
    /// [`due_snapshots`](Self::due_snapshots). `snapshot_id` is new: no id is claimed twice. A claim
    /// that has expired by `now_ms` is taken over, and its id becomes waste.
    async fn claim_snapshot(
        &self,
        drawing: DrawingId,
        snapshot_id: Uuid,
        every: u64,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<Claim, StoreError>;

    /// Holds a claim for longer; false when it is not held any more.
    async fn renew_claim(
        &self,
        drawing: DrawingId,
        snapshot_id: Uuid,
        until_ms: i64,
    ) -> Result<bool, StoreError>;

    /// Makes the claimed id a snapshot and ends the claim; false, and nothing is written, when the
    /// claim is not held any more, or the revision lies on no log of now: `epoch`, in which it was built, is not the
    /// present one, or the head is below it.
    async fn add_snapshot(
        &self,
        drawing: DrawingId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<bool, StoreError>;

    /// Gives a claim up; its id becomes waste. Nothing happens when it is not held any more.
    async fn drop_claim(&self, drawing: DrawingId, snapshot_id: Uuid) -> Result<(), StoreError>;

    /// Ends up to `limit` claims that have expired by `now_ms`; their ids become waste. Returns how
    /// many.
    async fn expire_claims(&self, now_ms: i64, limit: u32) -> Result<u64, StoreError>;

    /// Makes a few snapshots of a drawing waste; returns how many of them were there still.
    async fn retire_snapshots(&self, drawing: DrawingId, ids: &[Uuid]) -> Result<u64, StoreError>;

    /// Lists up to `limit` ids whose blobs are to be removed, beyond `after`.
    async fn snapshot_waste(&self, after: Uuid, limit: u32) -> Result<Vec<(DrawingId, Uuid)>, StoreError>;

    /// Forgets ids whose blobs are gone.
    async fn forget_waste(&self, ids: &[Uuid]) -> Result<(), StoreError>;
}

/// One snapshot of a drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The revision whose state it holds.
    pub revision: Revision,
    /// Its id, and the name of its blob.
    pub snapshot_id: Uuid,
    /// The checksum of its blob.
    pub checksum: String,
    /// The size of its blob.
    pub bytes: u64,
    /// The bytes of all ops up to its revision, as they came.
    pub log_bytes: u64,
    /// When it was built, in milliseconds since 1970.
    pub created_at: i64,
}

/// The drawings that were found in one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// Those of which a snapshot is due.
    pub due: Vec<DrawingId>,
    /// The last one looked at; `None` at the end.
    pub next: Option<DrawingId>,
}

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is held now.
    Claimed {
        /// The head of the drawing.
        head: Revision,
    },
    /// The newest snapshot is not old enough.
    NotDue,
    /// Another holds it.
    Busy,
    /// There is no such drawing.
    NoDrawing,
}
