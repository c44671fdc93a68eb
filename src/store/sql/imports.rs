//! Imports in SQL.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Dialect, SqlBackend, Tx, query};
use crate::{
    model::{DrawingId, OpId, Revision, UserId},
    store::{
        CreateOutcome, ImportedLog, ImportedOp, Imports, StoreError, imports::ops_after, resolve::LogRow,
        revision_from_sql, revision_to_sql, unit_to_sql,
    },
};

#[async_trait]
impl<S: SqlBackend> Imports for S {
    async fn begin_import(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        let inserted = query(
            "INSERT INTO drawings (drawing_id, title, created_by, created_at, updated_at, importing_since)
             VALUES ($1, $2, $3, $4, $4, $4) ON CONFLICT DO NOTHING",
        )
        .bind(id.0)
        .bind(title)
        .bind(owner.as_str())
        .bind(now_ms)
        .execute(&mut tx)
        .await?;
        if inserted > 0 {
            tx.commit().await?;
            return Ok(CreateOutcome::Created);
        }
        let begun_by = query("SELECT created_by FROM drawings WHERE drawing_id = $1 AND importing_since > 0")
            .bind(id.0)
            .fetch_optional::<String>(&mut tx)
            .await?;
        let is_same = begun_by.as_deref() == Some(owner.as_str());
        Ok(if is_same { CreateOutcome::Exists } else { CreateOutcome::Taken })
    }

    async fn import_ops(&self, id: DrawingId, ops: &[ImportedOp]) -> Result<bool, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        // One call at a time, and none that an abort does not see.
        let locked = query(
            "UPDATE drawings SET updated_at = updated_at WHERE drawing_id = $1 AND importing_since > 0",
        )
        .bind(id.0)
        .execute(&mut tx)
        .await?;
        if locked == 0 {
            return Ok(false);
        }
        let Some(ops) = ops_after(last_imported(&mut tx, id).await?, ops) else { return Ok(false) };
        let rows: Vec<_> = ops.iter().map(|op| log_row(id, op)).collect();
        S::Database::insert_ops(&mut tx, &rows).await?;
        for object in ops.iter().filter(|op| op.op.creates_fog).flat_map(|op| &op.op.touches) {
            query("INSERT INTO fog (drawing_id, object_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(id.0)
                .bind(object.as_str())
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn finish_import(
        &self,
        id: DrawingId,
        owner: &UserId,
        log: &ImportedLog,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        let ended =
            query("UPDATE drawings SET importing_since = NULL WHERE drawing_id = $1 AND importing_since > 0")
                .bind(id.0)
                .execute(&mut tx)
                .await?;
        if ended == 0 || last_imported(&mut tx, id).await?.0 != log.head {
            return Ok(false);
        }
        // Between two attempts somebody may have touched what the first one has written.
        if let Some(hole) = first_hole(&mut tx, id).await? {
            return Err(StoreError::damaged(id, hole));
        }
        let (epoch, _) = S::Database::current_epoch(&mut tx).await?;
        query(
            "INSERT INTO heads (drawing_id, revision, has_fog, floor, epoch, base, ts, bytes)
             VALUES ($1, $2, EXISTS (SELECT 1 FROM fog WHERE drawing_id = $1), $3, $4, 0, $5, $6)",
        )
        .bind(id.0)
        .bind(revision_to_sql(log.head))
        .bind(revision_to_sql(log.floor))
        .bind(epoch)
        .bind(log.ts)
        .bind(i64::try_from(log.bytes).unwrap_or(i64::MAX))
        .execute(&mut tx)
        .await?;
        query("INSERT INTO members (drawing_id, user_id, role) VALUES ($1, $2, 'owner')")
            .bind(id.0)
            .bind(owner.as_str())
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn abort_import(&self, id: DrawingId, limit: u32) -> Result<bool, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        let marked = query(
            "UPDATE drawings SET importing_since = 0 WHERE drawing_id = $1 AND importing_since IS NOT NULL",
        )
        .bind(id.0)
        .execute(&mut tx)
        .await?;
        if marked == 0 {
            return Ok(true);
        }
        let removed = query(
            "DELETE FROM ops WHERE drawing_id = $1 AND revision IN (
                 SELECT revision FROM ops WHERE drawing_id = $1 ORDER BY revision LIMIT $2)",
        )
        .bind(id.0)
        .bind(i64::from(limit))
        .execute(&mut tx)
        .await?;
        let is_all = removed < u64::from(limit);
        if is_all {
            for statement in
                ["DELETE FROM fog WHERE drawing_id = $1", "DELETE FROM drawings WHERE drawing_id = $1"]
            {
                query(statement).bind(id.0).execute(&mut tx).await?;
            }
        }
        tx.commit().await?;
        Ok(is_all)
    }

    async fn stale_imports(&self, before_ms: i64) -> Result<Vec<DrawingId>, StoreError> {
        let ids = query("SELECT drawing_id FROM drawings WHERE importing_since < $1")
            .bind(before_ms)
            .fetch_all::<Uuid>(&self.pools().read)
            .await?;
        Ok(ids.into_iter().map(DrawingId).collect())
    }
}

/// The first op that is missing below the last one.
async fn first_hole<DB: Dialect>(tx: &mut Tx<DB>, id: DrawingId) -> Result<Option<Revision>, StoreError> {
    let hole = query(
        "SELECT w.nth FROM (SELECT revision, row_number() OVER (ORDER BY revision) AS nth
                              FROM ops WHERE drawing_id = $1) AS w
          WHERE w.revision <> w.nth ORDER BY w.nth LIMIT 1",
    )
    .bind(id.0)
    .fetch_optional::<i64>(&mut *tx)
    .await?;
    hole.map(revision_from_sql).transpose()
}

/// The last op of an import: its revision, which is 0 when there is none, and its id.
async fn last_imported<DB: Dialect>(
    tx: &mut Tx<DB>,
    id: DrawingId,
) -> Result<(Revision, Option<OpId>), StoreError> {
    let last = query("SELECT revision, op_id FROM ops WHERE drawing_id = $1 ORDER BY revision DESC LIMIT 1")
        .bind(id.0)
        .fetch_optional::<(i64, Uuid)>(&mut *tx)
        .await?;
    let Some((revision, op_id)) = last else { return Ok((Revision(0), None)) };
    Ok((revision_from_sql(revision)?, Some(OpId(op_id))))
}

/// An op as a row of the log of `drawing`.
fn log_row(drawing: DrawingId, op: &ImportedOp) -> LogRow<'_> {
    LogRow {
        drawing_id: drawing.0,
        revision: revision_to_sql(op.revision),
        op_id: op.op.op_id.0,
        unit: unit_to_sql(op.op.unit),
        actor: op.actor.as_str(),
        ts: op.ts,
        body: &op.op.body,
    }
}
