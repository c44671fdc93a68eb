//! The part of the log that a batch needs: the drawings, ops, units and objects that it names.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use crate::{
    model::{Branch, CheckedOp, DrawingId, ObjectId, Op, OpId, Revision, UserId},
    store::{AppendRequest, StoreError, revision_from_sql, user_from_sql},
};

/// The drawings, ops, units and objects that a batch names, as the log has them.
#[derive(Debug, Default)]
pub(in crate::store) struct Known {
    /// The locked heads; a drawing that is absent does not exist.
    pub heads: BTreeMap<DrawingId, KnownHead>,
    /// The ops in the log whose id is that of an op or of a unit in the batch.
    pub ops: HashMap<(DrawingId, OpId), KnownOp>,
    /// The objects of kind fog.
    pub fog: HashSet<(DrawingId, ObjectId)>,
    /// The latest undo or redo of units on which guarded requests act.
    pub toggles: HashMap<(DrawingId, OpId), Revision>,
    /// The latest op that is no fold, of drawings whose head somebody insists on; absent where there is none.
    pub unfolded: HashMap<DrawingId, Revision>,
    /// The lowest unit that was named since a fold was planned, by its first revision; absent where none was.
    pub named: HashMap<DrawingId, Revision>,
}

/// The head of a drawing, locked.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct KnownHead {
    /// The head.
    pub revision: Revision,
    /// The floor of the latest fold.
    pub floor: Revision,
    /// The time of the latest op.
    pub ts: i64,
    /// The epoch now, and how the log goes on from the one before.
    pub branch: Branch,
}

/// One op in the log.
#[derive(Clone, Debug)]
pub(in crate::store) struct KnownOp {
    pub revision: Revision,
    /// `None` for an op without a unit, which is the nil UUID in the tables.
    pub unit: Option<OpId>,
    pub actor: UserId,
    pub body: Box<str>,
}

impl Known {
    /// Takes in a row of the log.
    pub(in crate::store) fn add_op(
        &mut self,
        (drawing_id, op_id, revision, unit, actor, body): (Uuid, Uuid, i64, Uuid, String, String),
    ) -> Result<(), StoreError> {
        let revision = revision_from_sql(revision)?;
        let actor =
            user_from_sql(&actor).map_err(|_| StoreError::damaged(DrawingId(drawing_id), revision))?;
        // An op may have the nil UUID itself, and then it is its own unit.
        let unit = (!unit.is_nil() || op_id.is_nil()).then_some(OpId(unit));
        let op = KnownOp { revision, unit, actor, body: body.into() };
        self.ops.insert((DrawingId(drawing_id), OpId(op_id)), op);
        Ok(())
    }

    /// Takes in a row of the table of fog.
    pub(in crate::store) fn add_fog(
        &mut self,
        (drawing_id, object): (Uuid, String),
    ) -> Result<(), StoreError> {
        let object = object.parse().map_err(|_| StoreError::Corrupt("object id"))?;
        self.fog.insert((DrawingId(drawing_id), object));
        Ok(())
    }

    /// Takes in an op of a unit that did not begin it; one that joined it changes nothing. Nor does one
    /// of a type that this version does not know, since undo and redo it knows.
    pub(in crate::store) fn add_of_unit(
        &mut self,
        drawing_id: DrawingId,
        unit: OpId,
        (revision, body): (i64, String),
    ) -> Result<(), StoreError> {
        self.add_toggle(drawing_id, unit, revision_from_sql(revision)?, &body);
        Ok(())
    }

    /// The same for an op that was never a row.
    pub(in crate::store) fn add_toggle(
        &mut self,
        drawing_id: DrawingId,
        unit: OpId,
        revision: Revision,
        body: &str,
    ) {
        if Op::parse(body).is_ok_and(|op| op.is_undo_redo()) {
            let last = self.toggles.entry((drawing_id, unit)).or_default();
            *last = revision.max(*last);
        }
    }
}

impl KnownOp {
    /// An op of a batch, as it stands in the log once it is accepted.
    pub(super) fn new(request: &AppendRequest, op: &CheckedOp, revision: Revision) -> Self {
        Self { revision, unit: op.unit, actor: request.actor.clone(), body: op.body.clone() }
    }
}
