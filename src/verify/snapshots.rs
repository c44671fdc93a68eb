//! The check that the snapshots of one drawing are what its log comes to.

use std::collections::VecDeque;

use super::{
    VerifyError,
    finding::{Findings, Kind},
};
use crate::{
    model::{Canvas, DrawingId, Revision},
    snapshot::{BlobError, Blobs, decode_snapshot},
    store::{Snapshot, Snapshots, StoreError, call},
};

/// The snapshots that are still to be looked at, in the order of their revisions.
pub(super) struct SnapshotChecks<'a> {
    drawing: DrawingId,
    snapshots: &'a dyn Snapshots,
    blobs: &'a Blobs,
    due: VecDeque<Snapshot>,
    /// The number of snapshots that were looked at.
    pub(super) count: u64,
}

/// Snapshots that are listed at once.
const LISTED: u32 = 1_000;

impl<'a> SnapshotChecks<'a> {
    /// Lists the snapshots of a drawing. The head has to be read after it: what is listed lies at or below that.
    pub(super) async fn list(
        drawing: DrawingId,
        snapshots: &'a dyn Snapshots,
        blobs: &'a Blobs,
    ) -> Result<Self, StoreError> {
        let (mut due, mut below) = (VecDeque::new(), Revision(u64::MAX));
        loop {
            let listed = call(snapshots.snapshots(drawing, below, LISTED)).await?;
            let is_last = listed.len() < LISTED as usize;
            for snapshot in listed {
                below = Revision(snapshot.revision.0.saturating_sub(1));
                due.push_front(snapshot);
            }
            if is_last || below == Revision(0) {
                return Ok(Self { drawing, snapshots, blobs, due, count: 0 });
            }
        }
    }

    /// Looks at the snapshots up to `revision`. Where `canvas` is that of the log there, they are held against it; where it
    /// is unknown, what a sound snapshot holds takes its place, and the log is followed from there.
    pub(super) async fn reach(
        &mut self,
        revision: Revision,
        canvas: &mut Option<Canvas>,
        log_bytes: Option<u64>,
        found: &mut Findings,
    ) -> Result<(), VerifyError> {
        while let Some(snapshot) = self.due.pop_front_if(|snapshot| snapshot.revision <= revision) {
            self.count += 1;
            let Some(read) = self.read(&snapshot, found).await? else { continue };
            let (at, id) = (snapshot.revision, snapshot.snapshot_id);
            match canvas {
                Some(canvas) if canvas.revision() == at && !are_same(canvas, &read) => {
                    let detail = "it holds another canvas than the log comes to";
                    found.add_snapshot(Kind::SnapshotDiffers, at, id, detail);
                }
                Some(_) => (),
                None if at == revision => *canvas = Some(read),
                None => (),
            }
            if let Some(bytes) = log_bytes
                && bytes != snapshot.log_bytes
            {
                let detail = format!("its log_bytes are {}, and by the log {bytes}", snapshot.log_bytes);
                found.add_snapshot(Kind::SnapshotBytes, at, id, detail);
            }
        }
        Ok(())
    }

    /// Tells that the snapshots that are left lie beyond the head.
    pub(super) fn end(mut self, found: &mut Findings) -> u64 {
        for snapshot in self.due.drain(..) {
            self.count += 1;
            let detail = "it is of a revision that the log does not have";
            found.add_snapshot(Kind::SnapshotBeyondHead, snapshot.revision, snapshot.snapshot_id, detail);
        }
        self.count
    }

    async fn read(&self, snapshot: &Snapshot, found: &mut Findings) -> Result<Option<Canvas>, VerifyError> {
        let (kind, detail) = match self.blobs.get(self.drawing, snapshot.snapshot_id).await {
            Ok(bytes) => match decode_snapshot(&bytes, self.drawing, snapshot) {
                Ok(canvas) => return Ok(Some(canvas)),
                Err(damage) if damage.is_of_another_version() => {
                    let (drawing, revision) = (self.drawing, snapshot.revision);
                    tracing::warn!(%drawing, %revision, "a snapshot has a format that this version cannot check");
                    return Ok(None);
                }
                Err(damage) => (Kind::SnapshotDamaged, damage.to_string()),
            },
            Err(BlobError::Missing) if !self.blobs.are_shared() => {
                let (drawing, revision) = (self.drawing, snapshot.revision);
                tracing::warn!(%drawing, %revision, "the blob of a snapshot is not here; it may lie with another node");
                return Ok(None);
            }
            Err(BlobError::Missing) => (Kind::SnapshotMissing, "its blob is missing".to_owned()),
            Err(BlobError::Unreadable(error)) => (Kind::SnapshotUnreadable, error.to_string()),
            Err(error @ BlobError::Unavailable(_)) => return Err(error.into()),
        };
        // It may have been given up meanwhile, and its blob removed.
        let now = call(self.snapshots.snapshots(self.drawing, snapshot.revision, 1)).await?;
        if now.first().is_some_and(|now| now.snapshot_id == snapshot.snapshot_id) {
            found.add_snapshot(kind, snapshot.revision, snapshot.snapshot_id, detail);
        }
        Ok(None)
    }
}

/// Returns `true` if two canvases show the same, and can undo the same.
fn are_same(one: &Canvas, other: &Canvas) -> bool {
    (one.view(), one.registers()) == (other.view(), other.registers())
}
