//! Decides what becomes of each op of a batch, once the log has been asked what it knows.
//!
//! Owns the rules of appending: duplicates, guards, units, the floor, fog, numbering.
//! Pure; the back ends lock and look up before, and write what it says after.

mod fog;
mod guards;
mod known;
mod resolution;
#[cfg(test)]
mod tests;
mod units;

use std::collections::HashMap;

use super::{AppendOutcome, AppendRequest, OpOutcome, Refusal};
use crate::model::{OpId, same_op};
use fog::check_fog;
use guards::{check_guards, is_untoggled};
use units::{UnitFault, check_unit, closed_from};

pub(super) use fog::fog_candidates;
pub(super) use known::{Known, KnownHead, KnownOp};
pub(super) use resolution::{Insert, LogRow, NewHead, Resolution};

/// Decides on every request of `batch`, in order.
pub(super) fn resolve(batch: &[AppendRequest], mut known: Known, now_ms: i64) -> Resolution {
    let mut resolution = Resolution::default();
    for (index, request) in batch.iter().enumerate() {
        let outcome = match resolve_request(request, &known) {
            Err(refusal) => AppendOutcome::Refused(refusal),
            Ok(accepted) => accept(index, request, accepted, &mut known, &mut resolution, now_ms),
        };
        resolution.outcomes.push(outcome);
    }
    // A request is told the head after the whole batch: that is what the store then holds.
    for (request, outcome) in batch.iter().zip(&mut resolution.outcomes) {
        if let AppendOutcome::Accepted { head, .. } = outcome {
            *head = known.heads.get(&request.drawing_id).map_or(*head, |known| known.revision);
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
    now_ms: i64,
) -> AppendOutcome {
    let drawing = request.drawing_id;
    let Some(mut head) = known.heads.get(&drawing).copied() else {
        return AppendOutcome::Refused(Refusal::NoDrawing);
    };
    let mut bytes = 0;
    for (nth, (op, outcome)) in request.ops.iter().zip(&ops).enumerate() {
        let OpOutcome::Committed(revision) = *outcome else { continue };
        head.revision = revision;
        bytes += i64::try_from(op.body.len()).unwrap_or(i64::MAX);
        resolution.inserts.push(Insert { request: index, op: nth, revision });
        if let Some(first) = op.named_unit().and_then(|unit| known.ops.get(&(drawing, unit))) {
            let first = first.revision;
            known.named.entry(drawing).and_modify(|lowest| *lowest = first.min(*lowest)).or_insert(first);
        }
        known.ops.insert((drawing, op.op_id), KnownOp::new(request, op, revision));
        if let Some(unit) = op.unit.filter(|_| op.is_undo_redo) {
            known.toggles.insert((drawing, unit), revision);
        }
        match request.fold {
            Some(plan) => head.floor = plan.floor,
            None => drop(known.unfolded.insert(drawing, revision)),
        }
        if op.creates_fog {
            for object in &op.touches {
                if known.fog.insert((drawing, object.clone())) {
                    resolution.fog.push((drawing, object.clone()));
                }
            }
        }
    }
    if bytes > 0 {
        head.ts = head.ts.max(now_ms);
        let KnownHead { revision, floor, ts, .. } = head;
        let new = NewHead { revision, floor, ts, bytes };
        let merge = |before: &mut NewHead| *before = NewHead { bytes: before.bytes + bytes, ..new };
        resolution.heads.entry(drawing).and_modify(merge).or_insert(new);
        known.heads.insert(drawing, head);
    }
    AppendOutcome::Accepted { head: head.revision, ops }
}

fn resolve_request(request: &AppendRequest, known: &Known) -> Result<Vec<OpOutcome>, Refusal> {
    let drawing = request.drawing_id;
    let first_head = *known.heads.get(&drawing).ok_or(Refusal::NoDrawing)?;
    let mut head = first_head.revision;
    // Ops of this request, seen by those after them; they count only once the request is accepted.
    let mut staged: HashMap<OpId, KnownOp> = HashMap::new();
    let mut outcomes = Vec::with_capacity(request.ops.len());
    for (index, op) in request.ops.iter().enumerate() {
        let find = |id: OpId| staged.get(&id).or_else(|| known.ops.get(&(drawing, id)));
        if let Some(first) = find(op.op_id) {
            if !same_op(&first.body, &op.body) {
                return Err(Refusal::OpIdConflict { index, revision: first.revision });
            }
            outcomes.push(OpOutcome::Duplicate(first.revision));
            continue;
        }
        // A retry of a conditional request is whole already, wherever the head is now. For any other one, the
        // log on which it insists is looked at first: in another log its units may be missing.
        if head == first_head.revision {
            check_guards(request, known, first_head)?;
        }
        if let Some(unit) = op.named_unit() {
            check_unit(request, op, find(unit).filter(|first| first.unit == Some(unit)), first_head.floor)
                .map_err(|fault| match fault {
                    UnitFault::Unknown => Refusal::UnknownUnit { index },
                    UnitFault::OfAnother => Refusal::UnitOfAnother { index },
                    UnitFault::Closed => {
                        Refusal::UnitClosed { indexes: closed_from(request, known, index, first_head.floor) }
                    }
                })?;
            if op.is_undo_redo && !is_untoggled(request, known, first_head, unit) {
                return Err(Refusal::UnitToggled { index });
            }
        }
        check_fog(request, known, index, op)?;
        head = head.next();
        staged.insert(op.op_id, KnownOp::new(request, op, head));
        outcomes.push(OpOutcome::Committed(head));
    }
    Ok(outcomes)
}
