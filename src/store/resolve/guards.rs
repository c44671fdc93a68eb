//! The conditions of a request besides its units: the head, the epoch, the plan of a fold, and that nobody has
//! toggled the unit since.

use super::known::{Known, KnownHead};
use crate::{
    model::{DrawingId, OpId},
    store::{AppendRequest, FoldPlan, Refusal},
};

/// Checks what a request with new ops insists on besides its units.
pub(super) fn check_guards(request: &AppendRequest, known: &Known, head: KnownHead) -> Result<(), Refusal> {
    match (request.if_revision, request.epoch) {
        (Some(expected), epoch) => {
            let is_here = head.branch.check(epoch, Some(expected), head.revision).is_ok();
            let unfolded = known.unfolded.get(&request.drawing_id).copied().unwrap_or_default();
            if !is_here || expected < unfolded {
                return Err(Refusal::RevisionConflict { head: head.revision });
            }
        }
        (None, Some(epoch)) if request.untoggled_since.is_none() && epoch != head.branch.epoch => {
            return Err(Refusal::EpochChanged { head: head.revision });
        }
        _ => (),
    }
    match request.fold {
        Some(plan) if !is_foldable(plan, known, request.drawing_id, head) => Err(Refusal::FoldDropped),
        _ => Ok(()),
    }
}

/// Returns `true` if the log is as a fold was planned on.
fn is_foldable(plan: FoldPlan, known: &Known, drawing: DrawingId, head: KnownHead) -> bool {
    let is_named = known.named.get(&drawing).is_some_and(|lowest| *lowest <= plan.floor);
    plan.from == head.floor
        && plan.from < plan.floor
        && plan.floor <= head.revision
        && !(plan.yields && is_named)
}

/// Returns `true` if nobody has undone or redone the unit since the sender looked, as far as it insists on
/// that.
pub(super) fn is_untoggled(request: &AppendRequest, known: &Known, head: KnownHead, unit: OpId) -> bool {
    let Some(since) = request.untoggled_since else { return true };
    let is_here = request.epoch.is_none_or(|epoch| head.branch.goes_on_from(epoch, since));
    is_here && known.toggles.get(&(request.drawing_id, unit)).is_none_or(|last| *last <= since)
}
