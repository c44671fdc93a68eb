//! The rule for who may touch the fog, which hides the canvas.

use uuid::Uuid;

use super::known::Known;
use crate::{
    model::CheckedOp,
    store::{AppendRequest, Refusal},
};

/// The objects of which it must be known whether they are fog, in the drawings that have some: those
/// that someone names who may not touch fog, and those that are made fog again.
pub(in crate::store) fn fog_candidates<'a>(
    batch: &'a [AppendRequest],
    foggy: &'a [Uuid],
) -> impl Iterator<Item = (Uuid, &'a str)> {
    let requests = batch.iter().filter(|request| foggy.contains(&request.drawing_id.0));
    requests.flat_map(|request| {
        let matters = |op: &&CheckedOp| op.creates_fog || !request.role.may_touch_fog();
        let objects = request.ops.iter().filter(matters).flat_map(|op| &op.touches);
        objects.map(|object| (request.drawing_id.0, object.as_str()))
    })
}

/// Checks that the sender may touch the objects of the op at `index`.
pub(super) fn check_fog(
    request: &AppendRequest,
    known: &Known,
    index: usize,
    op: &CheckedOp,
) -> Result<(), Refusal> {
    let drawing = request.drawing_id;
    let touches_fog = || op.touches.iter().any(|id| known.fog.contains(&(drawing, id.clone())));
    if !known.fog.is_empty() && !request.role.may_touch_fog() && touches_fog() {
        return Err(Refusal::FogForbidden { index });
    }
    Ok(())
}
