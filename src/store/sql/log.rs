//! The logs in SQL, but for what is appended and how pages are read.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Dialect, SqlBackend, page::read_page, query};
use crate::{
    model::{DrawingId, Epoch, OpId, Revision},
    store::{
        AppendRequest, Appended, Heads, Log, LogPage, Meta, ReadRange, StoreError, StoredOp,
        revision_from_sql,
    },
};

/// The step with which the search for a time begins: half the revisions a drawing could ever have.
const FIRST_STEP: i64 = 1 << 40;

#[async_trait]
impl<S: SqlBackend> Log for S {
    async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        self.pools().health.admit()?;
        self.append_batch(batch, now_ms).await
    }

    async fn read(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError> {
        read_page(self.pools(), range).await
    }

    async fn find_op(&self, drawing: DrawingId, op_id: OpId) -> Result<Option<StoredOp>, StoreError> {
        // The ops of a drawing without a head are on their way in or out.
        let row = query(
            "SELECT o.revision, o.actor, o.ts, o.body
               FROM heads h JOIN ops o ON o.drawing_id = h.drawing_id
              WHERE h.drawing_id = $1 AND o.op_id = $2",
        )
        .bind(drawing.0)
        .bind(op_id.0)
        .fetch_optional::<(i64, String, i64, String)>(&self.pools().read)
        .await?;
        row.map(|(revision, actor, ts, body)| {
            Ok(StoredOp { revision: revision_from_sql(revision)?, actor, ts, body })
        })
        .transpose()
    }

    /// A binary search over the primary key, in one statement and so at one moment: `low` climbs by
    /// steps that are halved. A step past the head meets no op and is not taken; nor is one that meets a hole.
    async fn revision_at(&self, drawing: DrawingId, at_ms: i64) -> Result<Option<Revision>, StoreError> {
        let found = query(
            "WITH RECURSIVE search (low, step) AS (
                 SELECT CAST(0 AS bigint), CAST($3 AS bigint) FROM heads WHERE drawing_id = $1
                 UNION ALL
                 SELECT CASE WHEN (SELECT o.ts FROM ops o
                                    WHERE o.drawing_id = $1 AND o.revision = low + step) <= $2
                             THEN low + step ELSE low END, step / 2
                   FROM search WHERE step > 0)
             SELECT low FROM search WHERE step = 0",
        )
        .bind(drawing.0)
        .bind(at_ms)
        .bind(FIRST_STEP)
        .fetch_optional::<i64>(&self.pools().read)
        .await?;
        found.map(revision_from_sql).transpose()
    }

    async fn heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        self.read_heads(drawings).await
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        let (epoch, server_key) =
            query("SELECT epoch, server_key FROM meta").fetch_one::<(Uuid, Uuid)>(&self.pools().read).await?;
        Ok(Meta { epoch: Epoch(epoch), server_key })
    }

    async fn new_epoch(&self) -> Result<Epoch, StoreError> {
        let epoch = Uuid::new_v4();
        query(S::Database::NEW_EPOCH).bind(epoch).execute(&self.pools().write).await?;
        Ok(Epoch(epoch))
    }
}
