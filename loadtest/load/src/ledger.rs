//! The ledger of acknowledgements, held against what is in the log.

use std::collections::HashMap;

use loadtest::swarm::Digest;
use serde::Deserialize;
use uuid::Uuid;

/// Faults of a kind that are told in words.
const TOLD: usize = 3;

/// The answers that one writer had about one drawing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Ops with the revision that an answer gave them.
    acknowledged: Vec<(Uuid, u64)>,
    /// Requests that never got an answer.
    unanswered: Vec<Vec<Uuid>>,
    /// Ops of requests that were refused.
    refused: Vec<Uuid>,
    /// The highest revision acknowledged.
    last: u64,
    /// Answers that cannot be true.
    faults: Vec<String>,
}

/// The result of an op, as an answer tells it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct OpResult {
    /// The id of the op.
    pub(crate) op_id: Uuid,
    /// Its place in the log.
    pub(crate) revision: u64,
    /// True if it was there before.
    pub(crate) duplicate: bool,
}

impl Ledger {
    /// Takes an answer to a request with these ops. Whatever was acknowledged before the request was sent has lower
    /// revisions.
    pub(crate) fn acknowledge(&mut self, sent: &[Uuid], results: &[OpResult]) {
        if !sent.iter().eq(results.iter().map(|result| &result.op_id)) {
            self.faults.push("an answer is about other ops than the request".to_owned());
        }
        let fresh: Vec<u64> =
            results.iter().filter(|result| !result.duplicate).map(|result| result.revision).collect();
        if let Some(first) = fresh.first()
            && *first <= self.last
        {
            self.faults.push(format!(
                "revision {first} was given after revision {} had been acknowledged",
                self.last
            ));
        }
        if fresh.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            self.faults.push(format!("the ops of one request stand apart: {fresh:?}"));
        }
        self.last = results.iter().map(|result| result.revision).fold(self.last, u64::max);
        self.acknowledged.extend(results.iter().map(|result| (result.op_id, result.revision)));
    }

    /// Takes a request that got no answer.
    pub(crate) fn give_up(&mut self, sent: &[Uuid]) {
        self.unanswered.push(sent.to_vec());
    }

    /// Takes a request that was refused.
    pub(crate) fn refuse(&mut self, sent: &[Uuid]) {
        self.refused.extend_from_slice(sent);
    }

    /// The highest revision acknowledged.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }
}

/// A log, read again after the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// Ids in the order of the log, from revision 1.
    ids: Vec<Uuid>,
    faults: Vec<String>,
}

impl Log {
    /// Takes the next op.
    pub(crate) fn push(&mut self, revision: u64, id: Uuid) {
        if revision != self.head() + 1 {
            self.faults.push(format!("revision {revision} follows {}", self.head()));
        }
        self.ids.push(id);
    }

    /// The last revision.
    pub(crate) fn head(&self) -> u64 {
        self.ids.len() as u64
    }

    /// The digest of the ops between these revisions.
    pub(crate) fn digest(&self, first: u64, last: u64) -> Option<Digest> {
        let from = usize::try_from(first.checked_sub(1)?).ok()?;
        let ids = self.ids.get(from..usize::try_from(last).ok()?)?;
        Digest::of(first, ids.iter().copied())
    }
}

/// The findings of holding one against the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audit {
    /// Acknowledged ops that were looked for.
    pub(crate) acknowledged: u64,
    /// Ops without an answer that are in the log all the same.
    pub(crate) found_unanswered: u64,
    /// Ops that were not there, or elsewhere.
    pub(crate) lost: Faults,
    /// Ops that are there twice.
    pub(crate) doubled: Faults,
    /// Holes, and answers that cannot be true.
    pub(crate) disorder: Faults,
}

/// A kind of fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The number of them.
    pub(crate) count: u64,
    /// The first of them, in words.
    pub(crate) told: Vec<String>,
}

impl Faults {
    /// Adds one.
    pub(crate) fn add(&mut self, fault: impl FnOnce() -> String) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(fault());
        }
    }
}

impl Audit {
    /// Holds the ledgers of a drawing against its log.
    pub(crate) fn look_at<'a>(
        &mut self,
        drawing: Uuid,
        log: &Log,
        ledgers: impl Iterator<Item = &'a Ledger>,
    ) {
        let mut places: HashMap<Uuid, u64> = HashMap::with_capacity(log.ids.len());
        for (revision, id) in (1..).zip(&log.ids) {
            if let Some(first) = places.insert(*id, revision) {
                self.doubled.add(|| format!("op {id} of {drawing} stands at {first} and at {revision}"));
            }
        }
        for fault in &log.faults {
            self.disorder.add(|| format!("the log of {drawing}: {fault}"));
        }
        for ledger in ledgers {
            for fault in &ledger.faults {
                self.disorder.add(|| format!("{drawing}: {fault}"));
            }
            for (id, revision) in &ledger.acknowledged {
                self.acknowledged += 1;
                match places.get(id) {
                    Some(place) if place == revision => (),
                    Some(place) => self.lost.add(|| {
                        format!("op {id} of {drawing} was acknowledged at {revision} and stands at {place}")
                    }),
                    None => {
                        self.lost.add(|| format!("op {id} of {drawing} was acknowledged and is not there"))
                    }
                }
            }
            for request in &ledger.unanswered {
                let found = request.iter().filter(|id| places.contains_key(id)).count();
                self.found_unanswered += found as u64;
                if found != 0 && found != request.len() {
                    self.disorder.add(|| {
                        format!("{drawing}: {found} of the {} ops of one request are there", request.len())
                    });
                }
            }
            for id in ledger.refused.iter().filter(|id| places.contains_key(id)) {
                self.disorder.add(|| format!("op {id} of {drawing} was refused and is there"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(nth: u64) -> Uuid {
        Uuid::from_u128(u128::from(nth))
    }

    fn result(nth: u64, revision: u64) -> OpResult {
        OpResult { op_id: id(nth), revision, duplicate: false }
    }

    fn log(ids: &[u64]) -> Log {
        let mut log = Log::default();
        for (revision, nth) in (1..).zip(ids) {
            log.push(revision, id(*nth));
        }
        log
    }

    fn audit(ledger: &Ledger, log: &Log) -> (u64, u64, u64) {
        let mut audit = Audit::default();
        audit.look_at(Uuid::nil(), log, std::iter::once(ledger));
        (audit.lost.count, audit.doubled.count, audit.disorder.count)
    }

    #[test]
    fn each_kind_of_fault_is_found() {
        let mut ledger = Ledger::default();
        ledger.acknowledge(&[id(1), id(2)], &[result(1, 1), result(2, 2)]);
        ledger.acknowledge(&[id(3)], &[result(3, 3)]);
        assert_eq!(audit(&ledger, &log(&[1, 2, 3])), (0, 0, 0));
        assert_eq!(audit(&ledger, &log(&[1, 2])), (1, 0, 0), "one is missing");
        assert_eq!(audit(&ledger, &log(&[1, 3, 2])), (2, 0, 0), "two have changed places");
        assert_eq!(audit(&ledger, &log(&[1, 2, 3, 2])), (1, 1, 0), "one is there twice");
        let mut holed = log(&[1, 2, 3]);
        holed.push(5, id(9));
        assert_eq!(audit(&ledger, &holed), (0, 0, 1), "a hole");
    }

    #[test]
    fn what_got_no_answer_is_there_whole_or_not_at_all_and_what_was_refused_is_not() {
        let mut ledger = Ledger::default();
        ledger.give_up(&[id(1), id(2)]);
        ledger.refuse(&[id(3)]);
        assert_eq!(audit(&ledger, &log(&[])), (0, 0, 0));
        assert_eq!(audit(&ledger, &log(&[1, 2])), (0, 0, 0));
        assert_eq!(audit(&ledger, &log(&[1])), (0, 0, 1), "a half of it");
        assert_eq!(audit(&ledger, &log(&[3])), (0, 0, 1), "refused");
    }

    #[test]
    fn answers_that_cannot_be_true_are_faults_and_repeated_ones_are_not() {
        let repeated = OpResult { duplicate: true, ..result(1, 1) };
        let mut ledger = Ledger::default();
        ledger.acknowledge(&[id(1)], &[result(1, 5)]);
        ledger.acknowledge(&[id(1)], &[OpResult { revision: 5, ..repeated }]);
        assert_eq!((ledger.faults.len(), ledger.last()), (0, 5));
        ledger.acknowledge(&[id(2)], &[result(2, 4)]);
        assert_eq!(ledger.faults.len(), 1, "{:?}", ledger.faults);
        ledger.acknowledge(&[id(3), id(4)], &[result(3, 6), result(4, 8)]);
        assert_eq!(ledger.faults.len(), 2, "{:?}", ledger.faults);
        ledger.acknowledge(&[id(5)], &[result(6, 9)]);
        assert_eq!(ledger.faults.len(), 3, "{:?}", ledger.faults);
    }
}
