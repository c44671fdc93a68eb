//! The order of a log against the order in time.

use std::collections::HashMap;

use crate::{
    case::{Attempt, Case},
    clock::Place,
    finding::Outcome,
    history::{EpochId, Outcome as Ended, Position},
    ids::OpId,
};

/// An op of the log: when it can have been sent at the earliest, and when it was acknowledged.
struct Timed {
    op_id: OpId,
    revision: u64,
    attempts: Vec<Place>,
    acks: Vec<Place>,
}

/// The latest begin among the ops that have been passed.
#[derive(Clone, Copy)]
struct Begin {
    time: i64,
    sent: Place,
    op_id: OpId,
    revision: u64,
}

/// An op that was acknowledged before another one was sent has a lower revision.
///
/// Going up the log it is enough to remember the latest begin so far: an op that was acknowledged before that began
/// stands too high.
pub(super) fn real_time(case: &Case<'_>, outcome: &mut Outcome) {
    for ops in ordered(case).into_values() {
        // By the clock that all share, and by that of each client.
        let mut shared: Option<Begin> = None;
        let mut own: HashMap<u32, Begin> = HashMap::new();
        for op in &ops {
            if !op.acks.is_empty() {
                outcome.examine();
            }
            let by_shared = op.acks.iter().find_map(|&ack| {
                let begin =
                    shared.filter(|begin| case.clocks.latest(ack).is_some_and(|time| time < begin.time))?;
                Some((ack, begin))
            });
            let by_own = op.acks.iter().find_map(|&ack| {
                let begin = own.get(&ack.client).filter(|begin| ack.t < begin.time)?;
                Some((ack, *begin))
            });
            if let Some((ack, begin)) = by_own.or(by_shared) {
                outcome.find(&[ack, begin.sent], || {
                    let (op_id, revision) = (op.op_id, op.revision);
                    let after =
                        format!("before the op {} was sent, which has {}", begin.op_id, begin.revision);
                    format!("the op {op_id} was acknowledged as revision {revision} {after}")
                });
            }
            let begin = |time, sent| Begin { time, sent, op_id: op.op_id, revision: op.revision };
            if let Some((time, sent)) = earliest(case, op)
                && shared.is_none_or(|before| before.time < time)
            {
                shared = Some(begin(time, sent));
            }
            if let Some(sent) = only_client(op) {
                let slot = own.entry(sent.client).or_insert_with(|| begin(i64::MIN, sent));
                if slot.time < sent.t {
                    *slot = begin(sent.t, sent);
                }
            }
        }
    }
}

/// The earliest time at which an op can have been sent, if that is known of all attempts.
fn earliest(case: &Case<'_>, op: &Timed) -> Option<(i64, Place)> {
    let times = op.attempts.iter().map(|&sent| Some((case.clocks.earliest(sent)?, sent)));
    times.collect::<Option<Vec<_>>>()?.into_iter().min_by_key(|(time, _)| *time)
}

/// The first attempt of an op that only one client has sent.
fn only_client(op: &Timed) -> Option<Place> {
    let first = op.attempts.iter().min_by_key(|sent| sent.t)?;
    op.attempts.iter().all(|sent| sent.client == first.client).then_some(*first)
}

/// The ops of each log, in its order: those of recorded logs that somebody has sent, and elsewhere what was acknowledged.
fn ordered(case: &Case<'_>) -> HashMap<EpochId, Vec<Timed>> {
    let mut found: HashMap<EpochId, Vec<Timed>> = HashMap::new();
    for recorded in case.truth.logs() {
        let epoch = recorded.log.epoch;
        let timed =
            recorded.entries.iter().filter_map(|entry| timed(case, entry.op_id, epoch, entry.revision));
        found.insert(epoch, timed.collect());
    }
    for (&op_id, attempts) in &case.ops {
        let answers = attempts.iter().filter_map(|attempt| attempt.answer);
        let mut positions: Vec<_> =
            answers.map(|(position, _)| case.truth.settle(position).position).collect();
        positions.sort_unstable();
        positions.dedup();
        for Position { epoch, revision } in positions {
            if case.truth.log(epoch).is_none() {
                found.entry(epoch).or_default().extend(timed(case, op_id, epoch, revision));
            }
        }
    }
    for ops in found.values_mut() {
        ops.sort_by_key(|op| op.revision);
    }
    found
}

fn timed(case: &Case<'_>, op_id: OpId, epoch: EpochId, revision: u64) -> Option<Timed> {
    let attempts = case.attempts(op_id);
    let may_have = |attempt: &&Attempt| case.call(attempt).may_have_committed();
    // Only an answer that names this very place says that the op was there by then.
    let names_it = |attempt: &&Attempt| {
        let settled = |(position, _)| case.truth.settle(position).position;
        attempt.answer.map(settled) == Some(Position { epoch, revision })
    };
    let ack = |attempt: &Attempt| {
        let call = case.call(attempt);
        call.ended.filter(|_| matches!(call.outcome, Ended::Committed { .. }))
    };
    let timed = Timed {
        op_id,
        revision,
        attempts: attempts.iter().filter(may_have).map(|attempt| case.call(attempt).sent).collect(),
        acks: attempts.iter().filter(names_it).filter_map(ack).collect(),
    };
    (!timed.attempts.is_empty()).then_some(timed)
}
