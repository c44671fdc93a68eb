//! Snapshots: which there are, who builds the next one, and which blobs are to go.
//!
//! Owns the tables of snapshots, claims and waste, in SQL that both back ends understand. It never
//! touches a blob; it says which name each has.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Claim, DuePage, Snapshot, StoreError};
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
pub trait SnapshotStore: Send + Sync {
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

/// Expands to `impl SnapshotStore`, as `impl_store` does. Whatever moves an id from one table to another holds
/// the row of its drawing meanwhile.
macro_rules! impl_snapshots {
    ($backend:ty, $database:ty) => {
        #[async_trait]
        impl SnapshotStore for $backend {
        async fn snapshots(
            &self,
            drawing: DrawingId,
            at: Revision,
            limit: u32,
        ) -> Result<Vec<Snapshot>, StoreError> {
            let rows = sqlx::query_as::<_, (i64, Uuid, String, i64, i64, i64)>(
                "SELECT revision, snapshot_id, checksum, bytes, log_bytes, created_at
                   FROM snapshots WHERE drawing_id = $1 AND revision <= $2
                  ORDER BY revision DESC LIMIT $3",
            )
            .bind(drawing.0)
            .bind(revision_to_sql(at))
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await?;
            rows.into_iter()
                .map(|(revision, snapshot_id, checksum, bytes, log_bytes, created_at)| {
                    let size = |bytes| u64::try_from(bytes).map_err(|_| StoreError::Corrupt("size of a snapshot"));
                    let (bytes, log_bytes) = (size(bytes)?, size(log_bytes)?);
                    let revision = revision_from_sql(revision)?;
                    Ok(Snapshot { revision, snapshot_id, checksum, bytes, log_bytes, created_at })
                })
                .collect()
        }

        async fn due_snapshots(
            &self,
            after: Option<DrawingId>,
            every: u64,
            limit: u32,
        ) -> Result<DuePage, StoreError> {
            // The first id to look at, so that one statement serves the first page and the others.
            let first = after.map_or(Some(0), |after| after.0.as_u128().checked_add(1));
            let Some(first) = first.map(Uuid::from_u128) else { return Ok(DuePage::default()) };
            // CASE, so that only drawings with enough ops are looked up among the snapshots.
            let rows = sqlx::query_as::<_, (Uuid, bool)>(
                "SELECT h.drawing_id,
                        CASE WHEN h.revision >= $2 THEN NOT EXISTS (
                                 SELECT 1 FROM snapshots s
                                  WHERE s.drawing_id = h.drawing_id AND s.revision > h.revision - $4
                                    AND (s.revision > h.revision - $2 OR 2 * (h.bytes - s.log_bytes) < s.bytes))
                             ELSE false END
                   FROM heads h WHERE h.drawing_id >= $1 ORDER BY h.drawing_id LIMIT $3",
            )
            .bind(first)
            .bind(revision_to_sql(Revision(every)))
            .bind(i64::from(limit))
            .bind(revision_to_sql(Revision(limits::SNAPSHOT_STRETCH.max(every))))
            .fetch_all(&self.read)
            .await?;
            let next = rows.last().filter(|_| rows.len() == limit as usize).map(|(id, _)| DrawingId(*id));
            let due = rows.into_iter().filter(|(_, is_due)| *is_due).map(|(id, _)| DrawingId(id)).collect();
            Ok(DuePage { due, next })
        }

        async fn claim_snapshot(
            &self,
            drawing: DrawingId,
            snapshot_id: Uuid,
            every: u64,
            now_ms: i64,
            until_ms: i64,
        ) -> Result<Claim, StoreError> {
            let mut tx = self.begin_write().await?;
            if !Self::lock_drawing(&mut tx, drawing).await? {
                return Ok(Claim::NoDrawing);
            }
            let found = sqlx::query_as::<_, (i64, bool)>(
                "SELECT h.revision, h.revision >= $2 AND NOT EXISTS (
                            SELECT 1 FROM snapshots s
                             WHERE s.drawing_id = h.drawing_id AND s.revision > h.revision - $3
                               AND (s.revision > h.revision - $2 OR 2 * (h.bytes - s.log_bytes) < s.bytes))
                   FROM heads h WHERE h.drawing_id = $1",
            )
            .bind(drawing.0)
            .bind(revision_to_sql(Revision(every.max(1))))
            .bind(revision_to_sql(Revision(limits::SNAPSHOT_STRETCH.max(every))))
            .fetch_optional(&mut tx)
            .await?;
            let Some((head, is_due)) = found else { return Ok(Claim::NoDrawing) };
            let head = revision_from_sql(head)?;
            if !is_due {
                return Ok(Claim::NotDue);
            }
            let expired = sqlx::query_scalar::<_, Uuid>(
                "DELETE FROM snapshot_claims WHERE drawing_id = $1 AND until <= $2 RETURNING snapshot_id",
            )
            .bind(drawing.0)
            .bind(now_ms)
            .fetch_optional(&mut tx)
            .await?;
            if let Some(expired) = expired {
                Self::insert_waste(&mut tx, drawing, expired).await?;
            }
            let claimed = sqlx::query(
                "INSERT INTO snapshot_claims (drawing_id, snapshot_id, until) VALUES ($1, $2, $3)
                     ON CONFLICT (drawing_id) DO NOTHING",
            )
            .bind(drawing.0)
            .bind(snapshot_id)
            .bind(until_ms)
            .execute(&mut tx)
            .await?;
            if claimed.rows_affected() == 0 {
                return Ok(Claim::Busy);
            }
            tx.commit().await?;
            Ok(Claim::Claimed { head })
        }

        async fn renew_claim(
            &self,
            drawing: DrawingId,
            snapshot_id: Uuid,
            until_ms: i64,
        ) -> Result<bool, StoreError> {
            let renewed = sqlx::query(
                "UPDATE snapshot_claims SET until = $3 WHERE drawing_id = $1 AND snapshot_id = $2",
            )
            .bind(drawing.0)
            .bind(snapshot_id)
            .bind(until_ms)
            .execute(&self.write)
            .await?;
            Ok(renewed.rows_affected() > 0)
        }

        async fn add_snapshot(
            &self,
            drawing: DrawingId,
            epoch: Epoch,
            snapshot: &Snapshot,
        ) -> Result<bool, StoreError> {
            let mut tx = self.begin_write().await?;
            if !Self::lock_drawing(&mut tx, drawing).await? {
                return Ok(false);
            }
            let (now, _) = current_epoch(&mut tx).await?;
            let head = sqlx::query_scalar::<_, i64>("SELECT revision FROM heads WHERE drawing_id = $1")
                .bind(drawing.0)
                .fetch_optional(&mut tx)
                .await?;
            if now != epoch.0 || head.is_none_or(|head| head < revision_to_sql(snapshot.revision)) {
                return Ok(false);
            }
            let ended = sqlx::query("DELETE FROM snapshot_claims WHERE drawing_id = $1 AND snapshot_id = $2")
                .bind(drawing.0)
                .bind(snapshot.snapshot_id)
                .execute(&mut tx)
                .await?;
            if ended.rows_affected() == 0 {
                return Ok(false);
            }
            // There may be one that the builder could not read.
            let before = sqlx::query_scalar::<_, Uuid>(
                "DELETE FROM snapshots WHERE drawing_id = $1 AND revision = $2 RETURNING snapshot_id",
            )
            .bind(drawing.0)
            .bind(revision_to_sql(snapshot.revision))
            .fetch_optional(&mut tx)
            .await?;
            if let Some(before) = before {
                Self::insert_waste(&mut tx, drawing, before).await?;
            }
            sqlx::query(
                "INSERT INTO snapshots (drawing_id, revision, snapshot_id, checksum, bytes, created_at, log_bytes)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(drawing.0)
            .bind(revision_to_sql(snapshot.revision))
            .bind(snapshot.snapshot_id)
            .bind(&snapshot.checksum)
            .bind(i64::try_from(snapshot.bytes).unwrap_or(i64::MAX))
            .bind(snapshot.created_at)
            .bind(i64::try_from(snapshot.log_bytes).unwrap_or(i64::MAX))
            .execute(&mut tx)
            .await?;
            tx.commit().await?;
            Ok(true)
        }

        async fn drop_claim(&self, drawing: DrawingId, snapshot_id: Uuid) -> Result<(), StoreError> {
            self.waste_claim(drawing, snapshot_id, i64::MAX).await.map(drop)
        }

        async fn expire_claims(&self, now_ms: i64, limit: u32) -> Result<u64, StoreError> {
            let expired = sqlx::query_as::<_, (Uuid, Uuid)>(
                "SELECT drawing_id, snapshot_id FROM snapshot_claims WHERE until <= $1 LIMIT $2",
            )
            .bind(now_ms)
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await?;
            let mut count = 0;
            for (drawing, snapshot_id) in expired {
                count += u64::from(self.waste_claim(DrawingId(drawing), snapshot_id, now_ms).await?);
            }
            Ok(count)
        }

        async fn retire_snapshots(&self, drawing: DrawingId, ids: &[Uuid]) -> Result<u64, StoreError> {
            let mut tx = self.begin_write().await?;
            if !Self::lock_drawing(&mut tx, drawing).await? {
                return Ok(0);
            }
            let mut count = 0;
            for id in ids {
                let retired = sqlx::query("DELETE FROM snapshots WHERE drawing_id = $1 AND snapshot_id = $2")
                    .bind(drawing.0)
                    .bind(id)
                    .execute(&mut tx)
                    .await?;
                if retired.rows_affected() > 0 {
                    Self::insert_waste(&mut tx, drawing, *id).await?;
                    count += 1;
                }
            }
            tx.commit().await?;
            Ok(count)
        }

        async fn snapshot_waste(&self, after: Uuid, limit: u32) -> Result<Vec<(DrawingId, Uuid)>, StoreError> {
            let rows = sqlx::query_as::<_, (Uuid, Uuid)>(
                "SELECT drawing_id, snapshot_id FROM snapshot_waste WHERE snapshot_id > $1
                 ORDER BY snapshot_id LIMIT $2",
            )
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await?;
            Ok(rows.into_iter().map(|(drawing, id)| (DrawingId(drawing), id)).collect())
        }

        async fn forget_waste(&self, ids: &[Uuid]) -> Result<(), StoreError> {
            // In order, so that two who forget the same ids do not wait for each other.
            let ids: BTreeSet<&Uuid> = ids.iter().collect();
            let mut tx = self.begin_write().await?;
            for id in ids {
                sqlx::query("DELETE FROM snapshot_waste WHERE snapshot_id = $1").bind(id).execute(&mut tx).await?;
            }
            tx.commit().await?;
            Ok(())
        }
        }

        impl $backend {
            /// Holds the row of a drawing until the end of the transaction; false when there is no such drawing.
            async fn lock_drawing(
                tx: &mut Tx<$database>,
                id: DrawingId,
            ) -> Result<bool, StoreError> {
                let locked = sqlx::query(
                    "UPDATE drawings SET updated_at = updated_at WHERE drawing_id = $1 AND deleted_at IS NULL",
                )
                .bind(id.0)
                .execute(&mut *tx)
                .await?;
                Ok(locked.rows_affected() > 0)
            }

            /// Ends a claim if it has expired by `now_ms` and is held still.
            async fn waste_claim(
                &self,
                drawing: DrawingId,
                snapshot_id: Uuid,
                now_ms: i64,
            ) -> Result<bool, StoreError> {
                let mut tx = self.begin_write().await?;
                if !Self::lock_drawing(&mut tx, drawing).await? {
                    return Ok(false);
                }
                let ended = sqlx::query(
                    "DELETE FROM snapshot_claims WHERE drawing_id = $1 AND snapshot_id = $2 AND until <= $3",
                )
                .bind(drawing.0)
                .bind(snapshot_id)
                .bind(now_ms)
                .execute(&mut tx)
                .await?;
                if ended.rows_affected() == 0 {
                    return Ok(false);
                }
                Self::insert_waste(&mut tx, drawing, snapshot_id).await?;
                tx.commit().await?;
                Ok(true)
            }

            async fn insert_waste(
                tx: &mut Tx<$database>,
                drawing: DrawingId,
                snapshot_id: Uuid,
            ) -> Result<(), StoreError> {
                sqlx::query("INSERT INTO snapshot_waste (snapshot_id, drawing_id) VALUES ($1, $2)")
                    .bind(snapshot_id)
                    .bind(drawing.0)
                    .execute(&mut *tx)
                    .await?;
                Ok(())
            }
        }
    };
}
pub(super) use impl_snapshots;
