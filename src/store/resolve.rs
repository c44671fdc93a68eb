//! Decides what becomes of each op of a batch, once the log has been asked what it knows.
//!
//! Owns the rules of appending: duplicates, `if_revision`, units, the undo horizon, fog, numbering.
//! Pure; the back ends lock and look up before, and write what it says after.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::{
    AppendOutcome, AppendRequest, NewOp, OpOutcome, Refusal, StoreError, directory::user_from_sql,
    revision_from_sql,
};
use crate::model::{DrawingId, ObjectId, OpId, Revision, UserId, json_equal};

/// What the log knows of the drawings, ops, units and objects that a batch names.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The locked heads; a drawing that is absent does not exist.
    pub heads: BTreeMap<DrawingId, Revision>,
    /// The ops in the log whose id is that of an op or of a unit in the batch.
    pub ops: HashMap<(DrawingId, OpId), KnownOp>,
    /// The objects of kind fog.
    pub fog: HashSet<(DrawingId, ObjectId)>,
}

/// One op in the log.
#[derive(Clone, Debug)]
pub(super) struct KnownOp {
    pub revision: Revision,
    pub unit: OpId,
    pub actor: UserId,
    pub body: Box<str>,
}

impl Known {
    /// Takes in a row of the log.
    pub(super) fn add_op(
        &mut self,
        (drawing_id, op_id, revision, unit, actor, body): (Uuid, Uuid, i64, Uuid, String, String),
    ) -> Result<(), StoreError> {
        let revision = revision_from_sql(revision)?;
        let op = KnownOp { revision, unit: OpId(unit), actor: user_from_sql(&actor)?, body: body.into() };
        self.ops.insert((DrawingId(drawing_id), OpId(op_id)), op);
        Ok(())
    }

    /// Takes in a row of the table of fog.
    pub(super) fn add_fog(&mut self, (drawing_id, object): (Uuid, String)) -> Result<(), StoreError> {
        let object = object.parse().map_err(|_| StoreError::Corrupt("object id"))?;
        self.fog.insert((DrawingId(drawing_id), object));
        Ok(())
    }
}

/// An op to insert: `batch[request].ops[op]` at `revision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Insert {
    pub request: usize,
    pub op: usize,
    pub revision: Revision,
}

/// What to write, and what to answer.
#[derive(Debug)]
pub(super) struct Resolution {
    pub outcomes: Vec<AppendOutcome>,
    pub inserts: Vec<Insert>,
    /// The new heads of the drawings that got ops.
    pub heads: BTreeMap<DrawingId, Revision>,
    /// Objects of kind fog that the batch creates.
    pub fog: Vec<(DrawingId, ObjectId)>,
}

/// Decides on every request of `batch`, in order.
pub(super) fn resolve(batch: &[AppendRequest], mut known: Known) -> Resolution {
    let mut resolution =
        Resolution { outcomes: Vec::new(), inserts: Vec::new(), heads: BTreeMap::new(), fog: Vec::new() };
    for (index, request) in batch.iter().enumerate() {
        let outcome = match resolve_request(request, &known) {
            Err(refusal) => AppendOutcome::Refused(refusal),
            Ok(accepted) => accept(index, request, accepted, &mut known, &mut resolution),
        };
        resolution.outcomes.push(outcome);
    }
    // A request is told the head after the whole batch: that is what the store then holds.
    for (request, outcome) in batch.iter().zip(&mut resolution.outcomes) {
        if let AppendOutcome::Accepted { head, .. } = outcome {
            *head = known.heads.get(&request.drawing_id).copied().unwrap_or(*head);
        }
    }
    resolution
}

/// Makes an accepted request part of what is known and of what is written.
fn accept(
    index: usize,
    request: &AppendRequest,
    ops: Vec<OpOutcome>,
    known: &mut Known,
    resolution: &mut Resolution,
) -> AppendOutcome {
    let mut head = known.heads.get(&request.drawing_id).copied().unwrap_or_default();
    for (nth, (op, outcome)) in request.ops.iter().zip(&ops).enumerate() {
        let OpOutcome::Committed(revision) = *outcome else { continue };
        head = revision;
        resolution.inserts.push(Insert { request: index, op: nth, revision });
        known.ops.insert((request.drawing_id, op.op_id), known_op(request, op, revision));
        if op.creates_fog {
            for object in &op.touches {
                if known.fog.insert((request.drawing_id, object.clone())) {
                    resolution.fog.push((request.drawing_id, object.clone()));
                }
            }
        }
        known.heads.insert(request.drawing_id, head);
        resolution.heads.insert(request.drawing_id, head);
    }
    AppendOutcome::Accepted { head, ops }
}

fn known_op(request: &AppendRequest, op: &NewOp, revision: Revision) -> KnownOp {
    KnownOp { revision, unit: op.unit, actor: request.actor.clone(), body: op.body.clone() }
}

fn resolve_request(request: &AppendRequest, known: &Known) -> Result<Vec<OpOutcome>, Refusal> {
    let drawing = request.drawing_id;
    let first_head = *known.heads.get(&drawing).ok_or(Refusal::NoDrawing)?;
    let mut head = first_head;
    // Ops of this request, seen by those after them; they count only once the request is accepted.
    let mut staged: HashMap<OpId, KnownOp> = HashMap::new();
    let mut outcomes = Vec::with_capacity(request.ops.len());
    for (index, op) in request.ops.iter().enumerate() {
        let find = |id: OpId| staged.get(&id).or_else(|| known.ops.get(&(drawing, id)));
        if let Some(first) = find(op.op_id) {
            if !json_equal(&first.body, &op.body) {
                return Err(Refusal::OpIdConflict { index, revision: first.revision });
            }
            outcomes.push(OpOutcome::Duplicate(first.revision));
            continue;
        }
        if op.is_undo_redo || op.unit != op.op_id {
            check_unit(request, op, find(op.unit), head).map_err(|refuse| refuse(index))?;
        }
        let touches_fog = || op.touches.iter().any(|id| known.fog.contains(&(drawing, id.clone())));
        if !request.role.may_touch_fog() && touches_fog() {
            return Err(Refusal::FogForbidden { index });
        }
        head = head.next();
        staged.insert(op.op_id, known_op(request, op, head));
        outcomes.push(OpOutcome::Committed(head));
    }
    // A retry of a conditional request is whole already, wherever the head is now.
    let commits_some = head != first_head;
    if commits_some && request.if_revision.is_some_and(|expected| expected != first_head) {
        return Err(Refusal::RevisionConflict { head: first_head });
    }
    Ok(outcomes)
}

/// Checks that `op` may join, undo or redo the unit it names while the head is `head`.
fn check_unit(
    request: &AppendRequest,
    op: &NewOp,
    unit: Option<&KnownOp>,
    head: Revision,
) -> Result<(), fn(usize) -> Refusal> {
    let unit = match unit {
        // A unit is named by its first op, which is its own unit.
        Some(first) if first.unit == op.unit => first,
        _ => return Err(|index| Refusal::UnknownUnit { index }),
    };
    let may_act_for_others = op.is_undo_redo && request.role.may_undo_others();
    if unit.actor != request.actor && !may_act_for_others {
        return Err(|index| Refusal::UnitOfAnother { index });
    }
    if unit.revision <= head.floor() {
        return Err(|index| Refusal::UnitClosed { index });
    }
    Ok(())
}
