//! Appending to the logs of the store in memory.

use super::{Head, Op, Row, State};
use crate::{
    model::{DrawingId, OpId, Revision, UserId},
    store::{
        AppendRequest, Appended,
        resolve::{Insert, Known, KnownHead, KnownOp, NewHead, Resolution, resolve},
    },
};

impl State {
    /// Looks up, decides, and writes, as the other back ends do in one transaction.
    pub(super) fn append(&mut self, batch: &[AppendRequest], now_ms: i64) -> Appended {
        let known = self.look_up(batch);
        let resolution = resolve(batch, known, now_ms);
        self.insert(batch, &resolution);
        let heads = resolution.appended_to();
        Appended { epoch: self.epoch, heads, outcomes: resolution.outcomes }
    }

    fn look_up(&self, batch: &[AppendRequest]) -> Known {
        let mut known = Known::default();
        for request in batch {
            let id = request.drawing_id;
            let Some((head, row)) = self.headed(id) else { continue };
            let Head { revision, floor, ts, .. } = head;
            known.heads.insert(id, KnownHead { revision, floor, ts, branch: self.branch(&head) });
            known.fog.extend(row.fog.iter().map(|object| (id, object.clone())));
            for op_id in request.ops.iter().flat_map(|op| [Some(op.op_id), op.named_unit()]).flatten() {
                if let Some((revision, op)) = row.find(op_id) {
                    known.ops.insert((id, op_id), known_op(revision, op));
                }
            }
            look_up_toggles(request, head, row, &mut known);
            look_up_conditions(request, head, row, &mut known);
        }
        known
    }

    fn insert(&mut self, batch: &[AppendRequest], resolution: &Resolution) {
        for Insert { request, op, .. } in &resolution.inserts {
            let AppendRequest { drawing_id, actor, ops, .. } = &batch[*request];
            let (Some(row), Some(head)) =
                (self.drawings.get_mut(drawing_id), resolution.heads.get(drawing_id))
            else {
                continue;
            };
            let new = &ops[*op];
            let (op_id, unit, body) = (new.op_id, new.unit, new.body.clone());
            row.push(Op { op_id, unit, actor: actor.clone(), ts: head.ts, body });
        }
        for (id, NewHead { revision, floor, ts, bytes }) in &resolution.heads {
            let epoch = self.epoch;
            let Some(head) = self.drawings.get_mut(id).and_then(|row| row.head.as_mut()) else { continue };
            let base = if head.epoch == Some(epoch) { head.base } else { head.revision };
            let (revision, floor, ts, bytes) = (*revision, *floor, *ts, head.bytes + bytes);
            *head = Head { revision, floor, ts, bytes, epoch: Some(epoch), base };
        }
        for (id, object) in &resolution.fog {
            if let Some(row) = self.drawings.get_mut(id) {
                row.fog.insert(object.clone());
            }
        }
    }
}

fn known_op(revision: Revision, op: &Op) -> KnownOp {
    KnownOp { revision, unit: op.unit, actor: op.actor.clone(), body: op.body.clone() }
}

/// Undos and redos of the units that a guarded request acts on.
fn look_up_toggles(request: &AppendRequest, head: Head, row: &Row, known: &mut Known) {
    let Some(since) = request.untoggled_since else { return };
    let units: Vec<OpId> = request.ops.iter().filter(|op| op.is_undo_redo).filter_map(|op| op.unit).collect();
    for (revision, op) in row.range(since.max(head.floor), head.revision) {
        let unit = op.unit.filter(|unit| *unit != op.op_id && units.contains(unit));
        if let Some(unit) = unit {
            known.add_toggle(request.drawing_id, unit, revision, &op.body);
        }
    }
}

/// The latest op that is no fold, and the lowest unit that was named since a fold was planned.
fn look_up_conditions(request: &AppendRequest, head: Head, row: &Row, known: &mut Known) {
    let id: DrawingId = request.drawing_id;
    if request.if_revision.is_some_and(|expected| expected < head.revision) {
        let folder = UserId::folder();
        let mut ops = row.range(Revision(0), head.revision).rev();
        let latest = ops.find(|(_, op)| op.actor != folder).map(|(revision, _)| revision);
        known.unfolded.entry(id).or_insert(latest.unwrap_or_default());
    }
    if let Some(plan) = request.fold.filter(|plan| plan.yields) {
        let named = row.range(plan.planned_at, head.revision).filter_map(|(_, op)| {
            let unit = op.unit.filter(|unit| *unit != op.op_id)?;
            row.find(unit).map(|(first, _)| first)
        });
        if let Some(lowest) = named.min() {
            let known = known.named.entry(id).or_insert(lowest);
            *known = lowest.min(*known);
        }
    }
}
