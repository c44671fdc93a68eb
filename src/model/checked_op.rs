//! The unit of every log: one op as commit, undo, folds and imports hand it to the store.

use super::{ObjectId, Op, OpId};

/// One op that has passed every check that goes without the log, however it came.
#[derive(Clone, Debug)]
pub struct CheckedOp {
    /// Its idempotency key.
    pub op_id: OpId,
    /// Its undo unit; itself when it begins one. `None` for a type that has no unit.
    pub unit: Option<OpId>,
    /// `true` if it undoes or redoes its unit rather than joining it.
    pub is_undo_redo: bool,
    /// `true` if it creates an object of kind `fog`.
    pub creates_fog: bool,
    /// The objects it names.
    pub touches: Vec<ObjectId>,
    /// The client's JSON, compact, with its ids in lower case.
    pub body: Box<str>,
}

impl CheckedOp {
    /// The op that was parsed from `body`, compact JSON.
    #[must_use]
    pub fn new(op: &Op<'_>, body: &str) -> Self {
        Self {
            op_id: op.op_id,
            unit: op.unit,
            is_undo_redo: op.is_undo_redo(),
            creates_fog: op.creates_fog(),
            touches: op.touches().to_vec(),
            body: op.respelled(body).unwrap_or_else(|| body.into()),
        }
    }

    /// An undo or redo of a unit.
    #[must_use]
    pub fn toggle(op_id: OpId, unit: OpId, body: Box<str>) -> Self {
        Self { is_undo_redo: true, ..Self::plain(op_id, Some(unit), body) }
    }

    /// An op of the server's own, which belongs to no unit.
    #[must_use]
    pub fn without_unit(op_id: OpId, body: Box<str>) -> Self {
        Self::plain(op_id, None, body)
    }

    /// One that touches no object.
    fn plain(op_id: OpId, unit: Option<OpId>, body: Box<str>) -> Self {
        Self { op_id, unit, is_undo_redo: false, creates_fog: false, touches: Vec::new(), body }
    }

    /// Returns `true` if it begins a unit.
    #[must_use]
    pub fn begins_unit(&self) -> bool {
        !self.is_undo_redo && self.unit == Some(self.op_id)
    }

    /// The unit that it joins, undoes or redoes.
    #[must_use]
    pub fn named_unit(&self) -> Option<OpId> {
        self.unit.filter(|_| !self.begins_unit())
    }
}
