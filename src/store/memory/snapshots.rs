//! Snapshots, claims and waste of the store in memory.

use std::ops::Bound;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Head, Life, MemoryStore, Row, State};
use crate::{
    limits,
    model::{DrawingId, Epoch, Revision},
    store::{Claim, DuePage, Snapshot, Snapshots, StoreError},
};

impl Row {
    /// Returns `true` if a snapshot is due, as [`Snapshots::due_snapshots`] says.
    fn is_due(&self, head: Head, every: u64) -> bool {
        let is_enough = |snapshot: &Snapshot| {
            let since = head.revision.0.saturating_sub(snapshot.revision.0);
            let bytes = u64::try_from(head.bytes).unwrap_or(0).saturating_sub(snapshot.log_bytes);
            since < limits::SNAPSHOT_STRETCH.max(every) && (since < every || 2 * bytes < snapshot.bytes)
        };
        head.revision.0 >= every && !self.snapshots.values().any(is_enough)
    }
}

impl State {
    /// Ends a claim that is held still and expires by `now_ms`.
    fn waste_claim(&mut self, drawing: DrawingId, snapshot_id: Uuid, now_ms: i64) -> bool {
        let Some(row) = self.whole(drawing) else { return false };
        let is_held = row.claim.is_some_and(|(id, until)| id == snapshot_id && until <= now_ms);
        if is_held {
            row.claim = None;
            self.waste.insert(snapshot_id, drawing);
        }
        is_held
    }
}

#[async_trait]
impl Snapshots for MemoryStore {
    async fn snapshots(
        &self,
        drawing: DrawingId,
        at: Revision,
        limit: u32,
    ) -> Result<Vec<Snapshot>, StoreError> {
        let state = self.lock()?;
        let Some(row) = state.drawings.get(&drawing) else { return Ok(Vec::new()) };
        Ok(row
            .snapshots
            .range(..=at)
            .rev()
            .take(limit as usize)
            .map(|(_, snapshot)| snapshot.clone())
            .collect())
    }

    async fn due_snapshots(
        &self,
        after: Option<DrawingId>,
        every: u64,
        limit: u32,
    ) -> Result<DuePage, StoreError> {
        let state = self.lock()?;
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let headed = state.drawings.range((first, Bound::Unbounded));
        let looked: Vec<_> =
            headed.filter_map(|(id, row)| Some((*id, row.head?, row))).take(limit as usize).collect();
        let next = looked.last().filter(|_| looked.len() == limit as usize).map(|(id, ..)| *id);
        let due = looked.iter().filter(|(_, head, row)| row.is_due(*head, every));
        Ok(DuePage { due: due.map(|(id, ..)| *id).collect(), next })
    }

    async fn claim_snapshot(
        &self,
        drawing: DrawingId,
        snapshot_id: Uuid,
        every: u64,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<Claim, StoreError> {
        let mut state = self.write()?;
        let Some((head, row)) = state.headed(drawing) else { return Ok(Claim::NoDrawing) };
        if !row.is_due(head, every.max(1)) {
            return Ok(Claim::NotDue);
        }
        if let Some((expired, _)) = row.claim.filter(|(_, until)| *until <= now_ms) {
            state.waste_claim(drawing, expired, now_ms);
        }
        let Some(row) = state.whole(drawing).filter(|row| row.claim.is_none()) else {
            return Ok(Claim::Busy);
        };
        row.claim = Some((snapshot_id, until_ms));
        Ok(Claim::Claimed { head: head.revision })
    }

    async fn renew_claim(
        &self,
        drawing: DrawingId,
        snapshot_id: Uuid,
        until_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut state = self.write()?;
        let claim = state.drawings.get_mut(&drawing).and_then(|row| row.claim.as_mut());
        let Some(claim) = claim.filter(|(id, _)| *id == snapshot_id) else { return Ok(false) };
        claim.1 = until_ms;
        Ok(true)
    }

    async fn add_snapshot(
        &self,
        drawing: DrawingId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<bool, StoreError> {
        let mut state = self.write()?;
        let now = state.epoch;
        let Some(row) = state.whole(drawing) else { return Ok(false) };
        let lies_on_log = row.head.is_some_and(|head| head.revision >= snapshot.revision) && now == epoch;
        if !lies_on_log || row.claim.is_none_or(|(id, _)| id != snapshot.snapshot_id) {
            return Ok(false);
        }
        row.claim = None;
        if let Some(before) = row.snapshots.insert(snapshot.revision, snapshot.clone()) {
            state.waste.insert(before.snapshot_id, drawing);
        }
        Ok(true)
    }

    async fn drop_claim(&self, drawing: DrawingId, snapshot_id: Uuid) -> Result<(), StoreError> {
        self.write()?.waste_claim(drawing, snapshot_id, i64::MAX);
        Ok(())
    }

    async fn expire_claims(&self, now_ms: i64, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.write()?;
        let whole = state.drawings.iter().filter(|(_, row)| row.life == Life::Whole);
        let expired = whole.filter_map(|(id, row)| {
            row.claim.filter(|(_, until)| *until <= now_ms).map(|(snapshot_id, _)| (*id, snapshot_id))
        });
        let expired: Vec<_> = expired.take(limit as usize).collect();
        let ended = expired.iter().filter(|(id, snapshot_id)| state.waste_claim(*id, *snapshot_id, now_ms));
        Ok(ended.count() as u64)
    }

    async fn retire_snapshots(&self, drawing: DrawingId, ids: &[Uuid]) -> Result<u64, StoreError> {
        let mut state = self.write()?;
        let Some(row) = state.whole(drawing) else { return Ok(0) };
        let retired = row.snapshots.values().filter(|snapshot| ids.contains(&snapshot.snapshot_id));
        let retired: Vec<_> = retired.map(|snapshot| (snapshot.snapshot_id, drawing)).collect();
        row.snapshots.retain(|_, snapshot| !ids.contains(&snapshot.snapshot_id));
        let count = retired.len() as u64;
        state.waste.extend(retired);
        Ok(count)
    }

    async fn snapshot_waste(&self, after: Uuid, limit: u32) -> Result<Vec<(DrawingId, Uuid)>, StoreError> {
        let state = self.lock()?;
        let waste = state.waste.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(waste.take(limit as usize).map(|(id, drawing)| (*drawing, *id)).collect())
    }

    async fn forget_waste(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        self.write()?.waste.retain(|id, _| !ids.contains(id));
        Ok(())
    }
}
