//! Acknowledgements: the op is in the log at the revision that was told, each time that it is told.

use crate::{
    case::{Attempt, Case},
    finding::Outcome,
    format::Placed,
    history::{Call, Outcome as Ended, Position},
    truth::Word,
};

/// An acknowledged op is in the log, at its revision. Those above the base of a later epoch are void.
pub(super) fn kept(case: &Case<'_>, outcome: &mut Outcome) {
    for (call, ended, epoch, results) in case.commits() {
        if let Some(text) = misfit(call, results) {
            outcome.find(&[call.sent, ended], || text.to_owned());
            continue;
        }
        for placed in results {
            let position = Position { epoch, revision: placed.revision };
            let settled = case.truth.settle(position);
            if let Some(void) = settled.void {
                if void.lossless {
                    outcome.find(&[ended], || {
                        let (op, at, next) = (placed.op_id, case.show(position), case.epoch(void.next));
                        format!("the op {op} was acknowledged as {at}, but {next} goes on from {}", void.base)
                    });
                }
                continue;
            }
            outcome.examine();
            let (has, at) = match case.truth.word(settled.position) {
                Word::Entry(entry) if entry.op_id == placed.op_id => continue,
                Word::Seen(op_id, _, _) if op_id == placed.op_id => continue,
                Word::Entry(entry) => (format!("has the op {} there", entry.op_id), entry.at),
                Word::Seen(op_id, _, at) => (format!("was told to have the op {op_id} there"), at),
                Word::Absent | Word::Nothing => ("does not have that".to_owned(), crate::truth::NOWHERE),
            };
            outcome.find(&[ended, at], || {
                format!(
                    "the op {} was acknowledged as {}, and the log {has}",
                    placed.op_id,
                    case.show(position)
                )
            });
        }
    }
}

/// The answer is about other ops than the request.
fn misfit(call: &Call, results: &[Placed]) -> Option<&'static str> {
    let Ended::Committed { latest, .. } = call.outcome else { return None };
    let answers_all = call.ops().is_empty()
        || call.ops().iter().map(|op| op.op_id).eq(results.iter().map(|placed| placed.op_id));
    if !answers_all {
        return Some("the answer is about other ops than the request");
    }
    let is_ahead = results.iter().any(|placed| placed.revision > latest);
    is_ahead.then_some("the answer names a revision that is ahead of the head in it")
}

/// An op that is sent again has its first revision, and only one answer says that it was committed.
pub(super) fn first(case: &Case<'_>, outcome: &mut Outcome) {
    for (op_id, attempts) in &case.ops {
        let mut first: Option<(&Attempt, u64)> = None;
        let mut maker: Option<&Attempt> = None;
        for attempt in attempts {
            let Some((position, duplicate)) = attempt.answer else { continue };
            if case.truth.settle(position).void.is_some() {
                continue;
            }
            if attempts.len() > 1 {
                outcome.examine();
            }
            let place = |attempt: &Attempt| {
                let call = case.call(attempt);
                call.ended.unwrap_or(call.sent)
            };
            let &mut (known, revision) = first.get_or_insert((attempt, position.revision));
            if revision != position.revision {
                outcome.find(&[place(known), place(attempt)], || {
                    format!(
                        "the op {op_id} was told to have revision {revision}, and again {}",
                        position.revision
                    )
                });
            }
            if !duplicate && let Some(made) = maker.replace(attempt) {
                outcome.find(&[place(made), place(attempt)], || {
                    format!("two answers say that they have committed the op {op_id}")
                });
            }
        }
    }
}
