//! Pages, by themselves and against the log.

use crate::{
    case::Case,
    clock::Place,
    finding::Outcome,
    history::{Asked, Outcome as Ended, Position, Request},
};

/// A page has all ops from where it begins to where it ends.
pub(super) fn whole(case: &Case<'_>, outcome: &mut Outcome) {
    for call in &case.history.calls {
        let (Request::Page(asked), Some(ended)) = (&call.request, call.ended) else { continue };
        let Ended::Page { from, to, latest, complete, ref ops, .. } = call.outcome else { continue };
        outcome.examine();
        let mut find = |text: String| outcome.find(&[call.sent, ended], || text);
        let after = asked.revision.unwrap_or(0);
        if from != after + 1 {
            find(format!("what was asked for is after {after}, and the page begins with {from}"));
        }
        let mut wanted = from;
        for op in ops {
            if op.revision != wanted {
                find(format!("the page has {} where {wanted} has its place", op.revision));
            }
            wanted = op.revision + 1;
        }
        if to + 1 != wanted {
            find(format!("the page ends with {}, and says that it ends with {to}", wanted - 1));
        }
        let end = asked.until.map_or(latest, |until| until.min(latest));
        if to > end.max(after) {
            find(format!("the page goes to {to}, beyond {end}"));
        }
        if complete && to < end {
            find(format!("the page says that nothing is left, and ends with {to} before {end}"));
        }
    }
}

/// A page has the ops of the log of its epoch, and of no other one.
pub(super) fn equal(case: &Case<'_>, outcome: &mut Outcome) {
    for (ended, epoch, ops) in pages(case) {
        for op in ops {
            outcome.examine();
            let position = Position { epoch, revision: op.revision };
            if let Some((text, at)) = case.truth.contradiction(position, op) {
                outcome.find(&[ended, at], || {
                    format!("the page has the op {} as {}; {text}", op.op_id, case.show(position))
                });
            }
        }
    }
}

fn pages<'a>(
    case: &Case<'a>,
) -> impl Iterator<Item = (Place, crate::history::EpochId, &'a [crate::history::Seen])> {
    case.history.calls.iter().filter_map(|call| match &call.outcome {
        Ended::Page { epoch, ops, .. } => Some((call.ended?, *epoch, ops.as_slice())),
        _ => None,
    })
}

/// True if a page ends where it was asked to, so that a cache may have had it.
pub(super) fn may_be_cached(asked: &Asked, to: u64) -> bool {
    asked.until == Some(to)
}
