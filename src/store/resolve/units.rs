//! The units that an op may join, undo or redo.

use super::known::{Known, KnownOp};
use crate::{
    model::{CheckedOp, OpId, Revision},
    store::AppendRequest,
};

/// Why an op may not join, undo or redo a unit.
pub(super) enum UnitFault {
    Unknown,
    OfAnother,
    Closed,
}

/// Checks that `op` may join, undo or redo the unit it names, which began with the op `unit`.
pub(super) fn check_unit(
    request: &AppendRequest,
    op: &CheckedOp,
    unit: Option<&KnownOp>,
    floor: Revision,
) -> Result<(), UnitFault> {
    let unit = unit.ok_or(UnitFault::Unknown)?;
    let may_act_for_others = op.is_undo_redo && request.role.may_undo_others();
    if unit.actor != request.actor && !may_act_for_others {
        return Err(UnitFault::OfAnother);
    }
    if unit.revision <= floor {
        return Err(UnitFault::Closed);
    }
    Ok(())
}

/// The new ops from `first` on whose units are at or below `floor`: whoever sends them can give all of them other units
/// at once. A unit that begins in the request itself is not.
pub(super) fn closed_from(
    request: &AppendRequest,
    known: &Known,
    first: usize,
    floor: Revision,
) -> Vec<usize> {
    let find = |id: OpId| known.ops.get(&(request.drawing_id, id));
    let is_closed = |op: &CheckedOp| {
        let unit = op.named_unit().and_then(find);
        find(op.op_id).is_none() && unit.is_some_and(|unit| unit.revision <= floor)
    };
    let ops = request.ops.iter().enumerate().skip(first);
    ops.filter(|(_, op)| is_closed(op)).map(|(index, _)| index).collect()
}
