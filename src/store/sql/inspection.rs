//! Rows as they are, in SQL.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{Dialect, SqlBackend, query};
use crate::{
    model::{DrawingId, Epoch, Revision},
    store::{
        InspectedDrawing, InspectedHead, InspectedOp, InspectedOps, Inspection, StoreError,
        revision_from_sql, revision_to_sql,
    },
};

/// A row of `inspect_drawing`: first and last op; epoch; revision, floor, ts, bytes and fog of the head.
type InspectedRow =
    (Option<i64>, Option<i64>, Uuid, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<bool>);

/// A row of `inspect_ops`: the epoch and the head; revision, id, unit, actor, time and body of an op.
type InspectedOpRow =
    (Uuid, i64, Option<i64>, Option<Uuid>, Option<Uuid>, Option<Vec<u8>>, Option<i64>, Option<Vec<u8>>);

#[async_trait]
impl<S: SqlBackend> Inspection for S {
    async fn list_drawings(
        &self,
        after: Option<DrawingId>,
        limit: u32,
    ) -> Result<Vec<DrawingId>, StoreError> {
        // The first id to list, so that one statement serves the first page and the others.
        let first = after.map_or(Some(0), |after| after.0.as_u128().checked_add(1));
        let Some(first) = first.map(Uuid::from_u128) else { return Ok(Vec::new()) };
        let ids = query(
            "SELECT drawing_id FROM drawings
              WHERE drawing_id >= $1 AND deleted_at IS NULL AND importing_since IS NULL
              ORDER BY drawing_id LIMIT $2",
        )
        .bind(first)
        .bind(i64::from(limit))
        .fetch_all::<Uuid>(&self.pools().read)
        .await?;
        Ok(ids.into_iter().map(DrawingId).collect())
    }

    async fn inspect_drawing(&self, id: DrawingId) -> Result<Option<InspectedDrawing>, StoreError> {
        let row = query(
            "SELECT (SELECT min(revision) FROM ops WHERE drawing_id = $1),
                    (SELECT max(revision) FROM ops WHERE drawing_id = $1),
                    m.epoch, h.revision, h.floor, h.ts, h.bytes, h.has_fog
               FROM drawings d CROSS JOIN meta m LEFT JOIN heads h ON h.drawing_id = d.drawing_id
              WHERE d.drawing_id = $1 AND d.deleted_at IS NULL AND d.importing_since IS NULL",
        )
        .bind(id.0)
        .fetch_optional::<InspectedRow>(&self.pools().read)
        .await?;
        Ok(row.map(|(first, last, epoch, revision, floor, ts, bytes, has_fog)| {
            let head = match (revision, floor, ts, bytes, has_fog) {
                (Some(revision), Some(floor), Some(ts), Some(bytes), Some(has_fog)) => {
                    Some(InspectedHead { epoch: Epoch(epoch), revision, floor, ts, bytes, has_fog })
                }
                _ => None,
            };
            InspectedDrawing { ends: first.zip(last), head }
        }))
    }

    async fn inspect_ops(
        &self,
        id: DrawingId,
        after: Revision,
        until: Revision,
        limit: u32,
    ) -> Result<Option<InspectedOps>, StoreError> {
        let [actor, body] = S::Database::OP_TEXTS_AS_BYTES;
        let rows = query(AssertSqlSafe(format!(
            "SELECT m.epoch, h.revision, o.revision, o.op_id, o.unit, {actor}, o.ts, {body}
               FROM heads h CROSS JOIN meta m
               LEFT JOIN (SELECT revision, op_id, unit, actor, ts, body FROM ops
                           WHERE drawing_id = $1 AND revision > $2 AND revision <= $3
                           ORDER BY revision LIMIT $4) AS o ON true
              WHERE h.drawing_id = $1
              ORDER BY o.revision"
        )))
        .bind(id.0)
        .bind(revision_to_sql(after))
        .bind(revision_to_sql(until))
        .bind(i64::from(limit))
        .fetch_all::<InspectedOpRow>(&self.pools().read)
        .await?;
        let Some((epoch, head, ..)) = rows.first() else { return Ok(None) };
        let (epoch, head, mut ops) = (Epoch(*epoch), *head, Vec::with_capacity(rows.len()));
        for row in rows {
            let (.., Some(revision), Some(op_id), Some(unit), Some(actor), Some(ts), Some(body)) = row else {
                break;
            };
            let revision = revision_from_sql(revision)?;
            ops.push(InspectedOp { revision, op_id, unit, actor, ts, body });
        }
        Ok(Some(InspectedOps { epoch, head, ops }))
    }
}
