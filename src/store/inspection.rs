//! Looking at what is stored as it is, however damaged: for `revcast verify`.
//!
//! Rows are shown, not judged. Nothing is written.

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::model::{DrawingId, Epoch, Revision};

/// The part of the store that shows its rows. Drawings that were deleted, or are being imported, are none.
#[async_trait]
pub trait Inspection: Send + Sync + 'static {
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
    /// `true` if any object of kind `fog` was ever created.
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
    /// The user who sent it.
    pub actor: Vec<u8>,
    /// When it was committed, in milliseconds since 1970.
    pub ts: i64,
    /// The client's JSON.
    pub body: Vec<u8>,
}
