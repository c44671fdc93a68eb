//! Snapshots in SQL. Whatever moves an id from one table to another holds the row of its drawing meanwhile.

use std::collections::BTreeSet;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Dialect, Pools, SqlBackend, Tx, query};
use crate::{
    limits,
    model::{DrawingId, Epoch, Revision},
    store::{Claim, DuePage, Snapshot, Snapshots, StoreError, revision_from_sql, revision_to_sql},
};

#[async_trait]
impl<S: SqlBackend> Snapshots for S {
    async fn snapshots(
        &self,
        drawing: DrawingId,
        at: Revision,
        limit: u32,
    ) -> Result<Vec<Snapshot>, StoreError> {
        let rows = query(
            "SELECT revision, snapshot_id, checksum, bytes, log_bytes, created_at
               FROM snapshots WHERE drawing_id = $1 AND revision <= $2
              ORDER BY revision DESC LIMIT $3",
        )
        .bind(drawing.0)
        .bind(revision_to_sql(at))
        .bind(i64::from(limit))
        .fetch_all::<(i64, Uuid, String, i64, i64, i64)>(&self.pools().read)
        .await?;
        rows.into_iter()
            .map(|(revision, snapshot_id, checksum, bytes, log_bytes, created_at)| {
                let size =
                    |bytes| u64::try_from(bytes).map_err(|_| StoreError::Corrupt("size of a snapshot"));
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
        let rows = query(
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
        .fetch_all::<(Uuid, bool)>(&self.pools().read)
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
        let mut tx = self.pools().begin_write().await?;
        if !lock_drawing(&mut tx, drawing).await? {
            return Ok(Claim::NoDrawing);
        }
        let found = query(
            "SELECT h.revision, h.revision >= $2 AND NOT EXISTS (
                        SELECT 1 FROM snapshots s
                         WHERE s.drawing_id = h.drawing_id AND s.revision > h.revision - $3
                           AND (s.revision > h.revision - $2 OR 2 * (h.bytes - s.log_bytes) < s.bytes))
               FROM heads h WHERE h.drawing_id = $1",
        )
        .bind(drawing.0)
        .bind(revision_to_sql(Revision(every.max(1))))
        .bind(revision_to_sql(Revision(limits::SNAPSHOT_STRETCH.max(every))))
        .fetch_optional::<(i64, bool)>(&mut tx)
        .await?;
        let Some((head, is_due)) = found else { return Ok(Claim::NoDrawing) };
        let head = revision_from_sql(head)?;
        if !is_due {
            return Ok(Claim::NotDue);
        }
        let expired =
            query("DELETE FROM snapshot_claims WHERE drawing_id = $1 AND until <= $2 RETURNING snapshot_id")
                .bind(drawing.0)
                .bind(now_ms)
                .fetch_optional::<Uuid>(&mut tx)
                .await?;
        if let Some(expired) = expired {
            insert_waste(&mut tx, drawing, expired).await?;
        }
        let claimed = query(
            "INSERT INTO snapshot_claims (drawing_id, snapshot_id, until) VALUES ($1, $2, $3)
                 ON CONFLICT (drawing_id) DO NOTHING",
        )
        .bind(drawing.0)
        .bind(snapshot_id)
        .bind(until_ms)
        .execute(&mut tx)
        .await?;
        if claimed == 0 {
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
        let renewed =
            query("UPDATE snapshot_claims SET until = $3 WHERE drawing_id = $1 AND snapshot_id = $2")
                .bind(drawing.0)
                .bind(snapshot_id)
                .bind(until_ms)
                .execute(&self.pools().write)
                .await?;
        Ok(renewed > 0)
    }

    async fn add_snapshot(
        &self,
        drawing: DrawingId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        if !lock_drawing(&mut tx, drawing).await? {
            return Ok(false);
        }
        let (now, _) = S::Database::current_epoch(&mut tx).await?;
        let head = query("SELECT revision FROM heads WHERE drawing_id = $1")
            .bind(drawing.0)
            .fetch_optional::<i64>(&mut tx)
            .await?;
        if now != epoch.0 || head.is_none_or(|head| head < revision_to_sql(snapshot.revision)) {
            return Ok(false);
        }
        let ended = query("DELETE FROM snapshot_claims WHERE drawing_id = $1 AND snapshot_id = $2")
            .bind(drawing.0)
            .bind(snapshot.snapshot_id)
            .execute(&mut tx)
            .await?;
        if ended == 0 {
            return Ok(false);
        }
        // There may be one that the builder could not read.
        let before =
            query("DELETE FROM snapshots WHERE drawing_id = $1 AND revision = $2 RETURNING snapshot_id")
                .bind(drawing.0)
                .bind(revision_to_sql(snapshot.revision))
                .fetch_optional::<Uuid>(&mut tx)
                .await?;
        if let Some(before) = before {
            insert_waste(&mut tx, drawing, before).await?;
        }
        query(
            "INSERT INTO snapshots (drawing_id, revision, snapshot_id, checksum, bytes, created_at, log_bytes)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(drawing.0)
        .bind(revision_to_sql(snapshot.revision))
        .bind(snapshot.snapshot_id)
        .bind(snapshot.checksum.as_str())
        .bind(i64::try_from(snapshot.bytes).unwrap_or(i64::MAX))
        .bind(snapshot.created_at)
        .bind(i64::try_from(snapshot.log_bytes).unwrap_or(i64::MAX))
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn drop_claim(&self, drawing: DrawingId, snapshot_id: Uuid) -> Result<(), StoreError> {
        waste_claim(self.pools(), drawing, snapshot_id, i64::MAX).await.map(drop)
    }

    async fn expire_claims(&self, now_ms: i64, limit: u32) -> Result<u64, StoreError> {
        let expired = query("SELECT drawing_id, snapshot_id FROM snapshot_claims WHERE until <= $1 LIMIT $2")
            .bind(now_ms)
            .bind(i64::from(limit))
            .fetch_all::<(Uuid, Uuid)>(&self.pools().read)
            .await?;
        let mut count = 0;
        for (drawing, snapshot_id) in expired {
            count += u64::from(waste_claim(self.pools(), DrawingId(drawing), snapshot_id, now_ms).await?);
        }
        Ok(count)
    }

    async fn retire_snapshots(&self, drawing: DrawingId, ids: &[Uuid]) -> Result<u64, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        if !lock_drawing(&mut tx, drawing).await? {
            return Ok(0);
        }
        let mut count = 0;
        for id in ids {
            let retired = query("DELETE FROM snapshots WHERE drawing_id = $1 AND snapshot_id = $2")
                .bind(drawing.0)
                .bind(*id)
                .execute(&mut tx)
                .await?;
            if retired > 0 {
                insert_waste(&mut tx, drawing, *id).await?;
                count += 1;
            }
        }
        tx.commit().await?;
        Ok(count)
    }

    async fn snapshot_waste(&self, after: Uuid, limit: u32) -> Result<Vec<(DrawingId, Uuid)>, StoreError> {
        let rows = query(
            "SELECT drawing_id, snapshot_id FROM snapshot_waste WHERE snapshot_id > $1
             ORDER BY snapshot_id LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all::<(Uuid, Uuid)>(&self.pools().read)
        .await?;
        Ok(rows.into_iter().map(|(drawing, id)| (DrawingId(drawing), id)).collect())
    }

    async fn forget_waste(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        // The order keeps two who forget the same ids from waiting for each other.
        let ids: BTreeSet<&Uuid> = ids.iter().collect();
        let mut tx = self.pools().begin_write().await?;
        for id in ids {
            query("DELETE FROM snapshot_waste WHERE snapshot_id = $1").bind(*id).execute(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Holds the row of a drawing until the end of the transaction; false when there is no such drawing.
async fn lock_drawing<DB: Dialect>(tx: &mut Tx<DB>, id: DrawingId) -> Result<bool, StoreError> {
    let locked =
        query("UPDATE drawings SET updated_at = updated_at WHERE drawing_id = $1 AND deleted_at IS NULL")
            .bind(id.0)
            .execute(&mut *tx)
            .await?;
    Ok(locked > 0)
}

/// Ends a claim if it has expired by `now_ms` and is held still.
async fn waste_claim<DB: Dialect>(
    pools: &Pools<DB>,
    drawing: DrawingId,
    snapshot_id: Uuid,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let mut tx = pools.begin_write().await?;
    if !lock_drawing(&mut tx, drawing).await? {
        return Ok(false);
    }
    let ended =
        query("DELETE FROM snapshot_claims WHERE drawing_id = $1 AND snapshot_id = $2 AND until <= $3")
            .bind(drawing.0)
            .bind(snapshot_id)
            .bind(now_ms)
            .execute(&mut tx)
            .await?;
    if ended == 0 {
        return Ok(false);
    }
    insert_waste(&mut tx, drawing, snapshot_id).await?;
    tx.commit().await?;
    Ok(true)
}

async fn insert_waste<DB: Dialect>(
    tx: &mut Tx<DB>,
    drawing: DrawingId,
    snapshot_id: Uuid,
) -> Result<(), StoreError> {
    query("INSERT INTO snapshot_waste (snapshot_id, drawing_id) VALUES ($1, $2)")
        .bind(snapshot_id)
        .bind(drawing.0)
        .execute(&mut *tx)
        .await?;
    Ok(())
}
