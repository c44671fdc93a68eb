//! Looking at what is stored as it is, however damaged: for `revcast verify`.
//!
//! Owns the statements that read rows without judging them, in SQL that both back ends understand. It never writes.

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::model::{DrawingId, Epoch, Revision};

/// The part of the store that shows its rows. Drawings that were deleted, or are being imported, are none.
#[async_trait]
pub trait InspectStore: Send + Sync {
    /// Lists up to `limit` drawings beyond `after`, in the order of their ids.
    async fn list_drawings(&self, after: Option<DrawingId>, limit: u32)
    -> Result<Vec<DrawingId>, StoreError>;

    /// Shows the head of a drawing and the ends of its log, as they were at one moment; `None` when there is no such
    /// drawing.
    async fn inspect_drawing(&self, id: DrawingId) -> Result<Option<InspectedDrawing>, StoreError>;

    /// Shows up to `limit` rows in `(after, until]` in order, holes and all; `None` when the drawing has no head any more.
    async fn inspect_ops(
        &self,
        id: DrawingId,
        after: Revision,
        until: Revision,
        limit: u32,
    ) -> Result<Option<InspectedOps>, StoreError>;
}

/// A drawing as its rows have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InspectedDrawing {
    /// The revisions of its first and of its last op, whatever they are.
    pub ends: Option<(i64, i64)>,
    /// The row of its head; `None` where that is missing.
    pub head: Option<InspectedHead>,
}

/// The row of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InspectedHead {
    /// The epoch of the database.
    pub epoch: Epoch,
    /// The head.
    pub revision: i64,
    /// The floor of the latest fold.
    pub floor: i64,
    /// The time of the latest op, in milliseconds since 1970.
    pub ts: i64,
    /// The bytes of all ops.
    pub bytes: i64,
    /// Whether any object of kind `fog` was ever created.
    pub has_fog: bool,
}

/// A stretch of a log as its rows have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedOps {
    /// The epoch of the database.
    pub epoch: Epoch,
    /// The head, when the rows were read.
    pub head: i64,
    /// The rows.
    pub ops: Vec<InspectedOp>,
}

/// The row of an op. Texts are bytes: they may be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedOp {
    /// Its place in the log.
    pub revision: Revision,
    /// The column of its id.
    pub op_id: Uuid,
    /// The column of its unit; nil where it has none.
    pub unit: Uuid,
    /// Who sent it.
    pub actor: Vec<u8>,
    /// When it was committed, in milliseconds since 1970.
    pub ts: i64,
    /// The client's JSON.
    pub body: Vec<u8>,
}

/// A row of `inspect_drawing`: first and last op; epoch; revision, floor, ts, bytes and fog of the head.
pub(super) type InspectedRow =
    (Option<i64>, Option<i64>, Uuid, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<bool>);

/// A row of `inspect_ops`: the epoch and the head; revision, id, unit, actor, time and body of an op.
pub(super) type InspectedOpRow =
    (Uuid, i64, Option<i64>, Option<Uuid>, Option<Uuid>, Option<Vec<u8>>, Option<i64>, Option<Vec<u8>>);

/// Expands to `impl InspectStore`, as `impl_store` does; `$actor` and `$body` give the columns as bytes.
macro_rules! impl_inspect {
    ($backend:ty, $actor:literal, $body:literal) => {
        #[async_trait]
        impl InspectStore for $backend {
            async fn list_drawings(
                &self,
                after: Option<DrawingId>,
                limit: u32,
            ) -> Result<Vec<DrawingId>, StoreError> {
                // The first id to list, so that one statement serves the first page and the others.
                let first = after.map_or(Some(0), |after| after.0.as_u128().checked_add(1));
                let Some(first) = first.map(Uuid::from_u128) else { return Ok(Vec::new()) };
                let ids = sqlx::query_scalar::<_, Uuid>(
                    "SELECT drawing_id FROM drawings
                      WHERE drawing_id >= $1 AND deleted_at IS NULL AND importing_since IS NULL
                      ORDER BY drawing_id LIMIT $2",
                )
                .bind(first)
                .bind(i64::from(limit))
                .fetch_all(&self.read)
                .await?;
                Ok(ids.into_iter().map(DrawingId).collect())
            }

            async fn inspect_drawing(&self, id: DrawingId) -> Result<Option<InspectedDrawing>, StoreError> {
                let row = sqlx::query_as::<_, InspectedRow>(
                    "SELECT (SELECT min(revision) FROM ops WHERE drawing_id = $1),
                            (SELECT max(revision) FROM ops WHERE drawing_id = $1),
                            m.epoch, h.revision, h.floor, h.ts, h.bytes, h.has_fog
                       FROM drawings d CROSS JOIN meta m LEFT JOIN heads h ON h.drawing_id = d.drawing_id
                      WHERE d.drawing_id = $1 AND d.deleted_at IS NULL AND d.importing_since IS NULL",
                )
                .bind(id.0)
                .fetch_optional(&self.read)
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
                let rows = sqlx::query_as::<_, InspectedOpRow>(concat!(
                    "SELECT m.epoch, h.revision, o.revision, o.op_id, o.unit, ",
                    $actor,
                    ", o.ts, ",
                    $body,
                    "  FROM heads h CROSS JOIN meta m
                       LEFT JOIN (SELECT revision, op_id, unit, actor, ts, body FROM ops
                                   WHERE drawing_id = $1 AND revision > $2 AND revision <= $3
                                   ORDER BY revision LIMIT $4) AS o ON true
                      WHERE h.drawing_id = $1
                      ORDER BY o.revision"
                ))
                .bind(id.0)
                .bind(revision_to_sql(after))
                .bind(revision_to_sql(until))
                .bind(i64::from(limit))
                .fetch_all(&self.read)
                .await?;
                let Some((epoch, head, ..)) = rows.first() else { return Ok(None) };
                let (epoch, head, mut ops) = (Epoch(*epoch), *head, Vec::with_capacity(rows.len()));
                for row in rows {
                    let (.., Some(revision), Some(op_id), Some(unit), Some(actor), Some(ts), Some(body)) = row
                    else {
                        break;
                    };
                    let revision = revision_from_sql(revision)?;
                    ops.push(InspectedOp { revision, op_id, unit, actor, ts, body });
                }
                Ok(Some(InspectedOps { epoch, head, ops }))
            }
        }
    };
}
pub(super) use impl_inspect;
