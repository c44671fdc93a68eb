//! Imports: a log that comes from another server, visible only when it is whole.
//!
//! Owns the way of a drawing from the begin of its import to the end, in SQL that both back ends
//! understand. It never numbers an op and never checks one; the log was committed elsewhere.

use async_trait::async_trait;

use super::{CreateOutcome, StoreError, resolve::LogRow, revision_to_sql, unit_to_sql};
use crate::model::{CheckedOp, DrawingId, OpId, Revision, UserId};

/// The part of the store that takes in whole logs. Times are milliseconds since 1970.
///
/// Invariants every back end keeps:
///
/// 1. A drawing that is being imported shows itself to nobody, takes no op, and its id is taken.
/// 2. The ops that were imported are 1, 2, 3 … without hole, and are kept as they came.
/// 3. An import that is being undone takes nothing more, and is never finished.
#[async_trait]
pub trait ImportStore: Send + Sync {
    /// Begins an import. [`CreateOutcome::Exists`] when `owner` began it before: what was imported is
    /// there still, and it may go on or be aborted.
    async fn begin_import(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError>;

    /// Adds ops in one transaction; those that were added before are passed over, so that a call that
    /// broke off may be repeated. False, and nothing is written, when there is no such import or the
    /// ops do not follow those that are there: none is missing, and the last one is there as it came, if
    /// it comes again.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when an `op_id` stands elsewhere in the log.
    async fn import_ops(&self, id: DrawingId, ops: &[ImportedOp]) -> Result<bool, StoreError>;

    /// Makes the drawing visible, with `owner` as its owner; false, and nothing changes, when there is
    /// no such import or its last op is not the head of `log`. The log has nothing in common with one of an epoch before.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when an op of it is missing by now.
    async fn finish_import(
        &self,
        id: DrawingId,
        owner: &UserId,
        log: &ImportedLog,
    ) -> Result<bool, StoreError>;

    /// Removes up to `limit` ops of an unfinished import, and the drawing when none are left. True
    /// when all is gone, or there is no such import.
    async fn abort_import(&self, id: DrawingId, limit: u32) -> Result<bool, StoreError>;

    /// Lists the unfinished imports that began before `before_ms` or are being undone.
    async fn stale_imports(&self, before_ms: i64) -> Result<Vec<DrawingId>, StoreError>;
}

/// What a whole log comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportedLog {
    /// Its last revision.
    pub head: Revision,
    /// The floor of its latest fold.
    pub floor: Revision,
    /// The time of its latest op, in milliseconds since 1970.
    pub ts: i64,
    /// The bytes of all its ops.
    pub bytes: u64,
}

/// One op of a log that is imported, with what the other server had added to it.
#[derive(Clone, Debug)]
pub struct ImportedOp {
    /// The op.
    pub op: CheckedOp,
    /// Its place in the log.
    pub revision: Revision,
    /// Who sent it.
    pub actor: UserId,
    /// When it was committed, in milliseconds since 1970.
    pub ts: i64,
}

impl ImportedOp {
    /// The op as a row of the log of `drawing`.
    pub(super) fn row(&self, drawing: DrawingId) -> LogRow<'_> {
        LogRow {
            drawing_id: drawing.0,
            revision: revision_to_sql(self.revision),
            op_id: self.op.op_id.0,
            unit: unit_to_sql(self.op.unit),
            actor: self.actor.as_str(),
            ts: self.ts,
            body: &self.op.body,
        }
    }
}

/// The ops after `last`; `None` when they do not follow it one by one, or are those of another log: a log only grows,
/// so that two with the same op at one place are the same up to there.
pub(super) fn ops_after(last: (Revision, Option<OpId>), ops: &[ImportedOp]) -> Option<&[ImportedOp]> {
    let (last, last_id) = last;
    let known = ops.iter().take_while(|op| op.revision <= last).count();
    let (old, new) = ops.split_at(known);
    if old.iter().any(|op| op.revision == last && Some(op.op.op_id) != last_id) {
        return None;
    }
    let mut next = last;
    let is_contiguous = new.iter().all(|op| {
        next = next.next();
        op.revision == next
    });
    is_contiguous.then_some(new)
}

/// Expands to `impl ImportStore`, as `impl_store` does. The back end has a function `insert_ops`.
macro_rules! impl_import {
    ($backend:ty, $database:ty) => {
        #[async_trait]
        impl ImportStore for $backend {
        async fn begin_import(
            &self,
            id: DrawingId,
            title: &str,
            owner: &UserId,
            now_ms: i64,
        ) -> Result<CreateOutcome, StoreError> {
            let mut tx = self.begin_write().await?;
            let inserted = sqlx::query(
                "INSERT INTO drawings (drawing_id, title, created_by, created_at, updated_at, importing_since)
                 VALUES ($1, $2, $3, $4, $4, $4) ON CONFLICT DO NOTHING",
            )
            .bind(id.0)
            .bind(title)
            .bind(owner.as_str())
            .bind(now_ms)
            .execute(&mut tx)
            .await?;
            if inserted.rows_affected() > 0 {
                tx.commit().await?;
                return Ok(CreateOutcome::Created);
            }
            let begun_by = sqlx::query_scalar::<_, String>(
                "SELECT created_by FROM drawings WHERE drawing_id = $1 AND importing_since > 0",
            )
            .bind(id.0)
            .fetch_optional(&mut tx)
            .await?;
            let is_same = begun_by.as_deref() == Some(owner.as_str());
            Ok(if is_same { CreateOutcome::Exists } else { CreateOutcome::Taken })
        }

        async fn import_ops(&self, id: DrawingId, ops: &[ImportedOp]) -> Result<bool, StoreError> {
            let mut tx = self.begin_write().await?;
            // One call at a time, and none that an abort does not see.
            let locked = sqlx::query(
                "UPDATE drawings SET updated_at = updated_at WHERE drawing_id = $1 AND importing_since > 0",
            )
            .bind(id.0)
            .execute(&mut tx)
            .await?;
            if locked.rows_affected() == 0 {
                return Ok(false);
            }
            let Some(ops) = ops_after(Self::last_imported(&mut tx, id).await?, ops) else { return Ok(false) };
            let rows: Vec<_> = ops.iter().map(|op| op.row(id)).collect();
            insert_ops(&mut tx, &rows).await?;
            for object in ops.iter().filter(|op| op.op.creates_fog).flat_map(|op| &op.op.touches) {
                sqlx::query("INSERT INTO fog (drawing_id, object_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
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
            let mut tx = self.begin_write().await?;
            let ended = sqlx::query(
                "UPDATE drawings SET importing_since = NULL WHERE drawing_id = $1 AND importing_since > 0",
            )
            .bind(id.0)
            .execute(&mut tx)
            .await?;
            if ended.rows_affected() == 0 || Self::last_imported(&mut tx, id).await?.0 != log.head {
                return Ok(false);
            }
            // Between two attempts somebody may have touched what the first one has written.
            if let Some(hole) = Self::first_hole(&mut tx, id).await? {
                return Err(StoreError::damaged(id, hole));
            }
            let (epoch, _) = current_epoch(&mut tx).await?;
            sqlx::query(
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
            sqlx::query("INSERT INTO members (drawing_id, user_id, role) VALUES ($1, $2, 'owner')")
                .bind(id.0)
                .bind(owner.as_str())
                .execute(&mut tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        }

        async fn abort_import(&self, id: DrawingId, limit: u32) -> Result<bool, StoreError> {
            let mut tx = self.begin_write().await?;
            let marked = sqlx::query(
                "UPDATE drawings SET importing_since = 0 WHERE drawing_id = $1 AND importing_since IS NOT NULL",
            )
            .bind(id.0)
            .execute(&mut tx)
            .await?;
            if marked.rows_affected() == 0 {
                return Ok(true);
            }
            let removed = sqlx::query(
                "DELETE FROM ops WHERE drawing_id = $1 AND revision IN (
                     SELECT revision FROM ops WHERE drawing_id = $1 ORDER BY revision LIMIT $2)",
            )
            .bind(id.0)
            .bind(i64::from(limit))
            .execute(&mut tx)
            .await?;
            let is_all = removed.rows_affected() < u64::from(limit);
            if is_all {
                for statement in
                    ["DELETE FROM fog WHERE drawing_id = $1", "DELETE FROM drawings WHERE drawing_id = $1"]
                {
                    sqlx::query(statement).bind(id.0).execute(&mut tx).await?;
                }
            }
            tx.commit().await?;
            Ok(is_all)
        }

        async fn stale_imports(&self, before_ms: i64) -> Result<Vec<DrawingId>, StoreError> {
            let ids = sqlx::query_scalar::<_, Uuid>("SELECT drawing_id FROM drawings WHERE importing_since < $1")
                .bind(before_ms)
                .fetch_all(&self.read)
                .await?;
            Ok(ids.into_iter().map(DrawingId).collect())
        }
        }

        impl $backend {
            /// The first op that is missing below the last one.
            async fn first_hole(
                tx: &mut Tx<$database>,
                id: DrawingId,
            ) -> Result<Option<Revision>, StoreError> {
                let hole = sqlx::query_scalar::<_, i64>(
                    "SELECT w.nth FROM (SELECT revision, row_number() OVER (ORDER BY revision) AS nth
                                          FROM ops WHERE drawing_id = $1) AS w
                      WHERE w.revision <> w.nth ORDER BY w.nth LIMIT 1",
                )
                .bind(id.0)
                .fetch_optional(&mut *tx)
                .await?;
                hole.map(revision_from_sql).transpose()
            }

            /// The last op of an import: its revision, which is 0 when there is none, and its id.
            async fn last_imported(
                tx: &mut Tx<$database>,
                id: DrawingId,
            ) -> Result<(Revision, Option<OpId>), StoreError> {
                let last = sqlx::query_as::<_, (i64, Uuid)>(
                    "SELECT revision, op_id FROM ops WHERE drawing_id = $1 ORDER BY revision DESC LIMIT 1",
                )
                .bind(id.0)
                .fetch_optional(&mut *tx)
                .await?;
                let Some((revision, op_id)) = last else { return Ok((Revision(0), None)) };
                Ok((revision_from_sql(revision)?, Some(OpId(op_id))))
            }
        }
    };
}
pub(super) use impl_import;
