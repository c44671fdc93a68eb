//! The lines at level `debug` by which one request can be followed: what became of a batch, and what was published of it.
//!
//! While nobody wants them, each costs one look at a flag.

use std::collections::BTreeMap;

use tracing::Level;

use crate::{
    bus::OpsMessage,
    model::{DrawingId, Revision},
    store::{AppendOutcome, AppendRequest, OpOutcome},
    trace::{self, RequestId},
};

/// The revisions that a batch has added to one drawing.
#[derive(Debug)]
struct Stretch<'a> {
    first: Revision,
    last: Revision,
    ops: usize,
    requests: Vec<&'a str>,
}

/// Tells which requests of a batch stand where, one line a drawing.
pub(super) fn committed<'a>(
    batch: u64,
    requests: &[AppendRequest],
    ids: impl Iterator<Item = Option<&'a RequestId>>,
    outcomes: &[AppendOutcome],
) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    let mut stretches: BTreeMap<DrawingId, Stretch<'a>> = BTreeMap::new();
    for ((request, id), outcome) in requests.iter().zip(ids).zip(outcomes) {
        let AppendOutcome::Accepted { ops, .. } = outcome else { continue };
        let revisions = || ops.iter().copied().map(OpOutcome::revision);
        let Some((first, last)) = revisions().min().zip(revisions().max()) else { continue };
        let stretch = stretches.entry(request.drawing_id).or_insert_with(|| Stretch {
            first,
            last,
            ops: 0,
            requests: Vec::new(),
        });
        (stretch.first, stretch.last) = (stretch.first.min(first), stretch.last.max(last));
        stretch.ops += ops.len();
        stretch.requests.extend(id.map(RequestId::as_str));
    }
    for (drawing, Stretch { first, last, ops, requests }) in stretches {
        let (node, requests) = (trace::node(), requests.join(" "));
        tracing::debug!(node, batch, %drawing, first = first.0, last = last.0, ops, requests, "committed");
    }
}

/// Tells what is handed to the bus.
pub(super) fn publishing(batch: u64, message: &OpsMessage) {
    let OpsMessage { drawing_id: drawing, first, last, .. } = message;
    tracing::debug!(node = trace::node(), batch, %drawing, first = first.0, last = last.0, "published");
}
