//! Refusals: nothing of a refused request is in the log, and another body under the id of an op is always refused.

use std::collections::HashMap;

use crate::{
    case::Case,
    finding::Outcome,
    history::{Entry, Position},
    ids::OpId,
    truth::Word,
};

/// An answer never accepts another body than that of the log.
pub(super) fn conflicts(case: &Case<'_>, outcome: &mut Outcome) {
    for (call, ended, epoch, results) in case.commits() {
        for (sent, placed) in call.ops().iter().zip(results) {
            let position = Position { epoch, revision: placed.revision };
            let (op_id, digest, at) = match case.truth.word(position) {
                Word::Entry(entry) => (entry.op_id, entry.digest, entry.at),
                Word::Seen(op_id, digest, at) => (op_id, digest, at),
                Word::Absent | Word::Nothing => continue,
            };
            // That another op stands there is a finding of `ack_kept`.
            if op_id != sent.op_id {
                continue;
            }
            outcome.examine();
            if digest != sent.digest {
                outcome.find(&[ended, at], || {
                    format!("the op {op_id} was accepted as {} with another body", case.show(position))
                });
            }
        }
    }
}

/// An op that was refused is not in the log, unless another attempt with the same body may have put it there.
pub(super) fn kept(case: &Case<'_>, outcome: &mut Outcome) {
    let logs: Vec<_> = case.truth.logs().filter(|recorded| case.truth.is_last(recorded.log.epoch)).collect();
    if logs.is_empty() {
        return;
    }
    let entries = || logs.iter().flat_map(|recorded| recorded.entries.iter().copied());
    let by_id: HashMap<OpId, &Entry> = entries().map(|entry| (entry.op_id, entry)).collect();
    for call in case.history.calls.iter().filter(|call| !call.may_have_committed()) {
        for sent in call.ops() {
            outcome.examine();
            let Some(entry) = by_id.get(&sent.op_id).filter(|entry| entry.digest == sent.digest) else {
                continue;
            };
            let was_accepted = case
                .attempts(sent.op_id)
                .iter()
                .any(|other| other.digest == Some(sent.digest) && case.call(other).may_have_committed());
            if !was_accepted {
                outcome.find(&[call.ended.unwrap_or(call.sent), entry.at], || {
                    format!(
                        "the op {} was refused each time, and is in the log as {}",
                        sent.op_id, entry.revision
                    )
                });
            }
        }
    }
}
