//! A log by itself: contiguous, and without an op that stands in it twice.

use std::collections::{HashMap, hash_map::Entry as Slot};

use crate::{case::Case, finding::Outcome};

/// The revisions of a log are 1, 2, 3 … up to its head.
pub(super) fn contiguous(case: &Case<'_>, outcome: &mut Outcome) {
    for recorded in case.truth.logs() {
        let epoch = case.epoch(recorded.log.epoch);
        let mut last = 0;
        for entry in &recorded.entries {
            outcome.examine();
            let revision = entry.revision;
            if revision == last {
                outcome.find(&[entry.at], || format!("revision {revision} of epoch {epoch} is used twice"));
            } else if revision != last + 1 {
                outcome.find(&[entry.at], || {
                    format!("epoch {epoch} has no revisions {} to {}", last + 1, revision - 1)
                });
            }
            last = revision;
        }
        if let Some(head) = recorded.log.head.filter(|&head| head != last) {
            outcome.find(&[recorded.log.at], || {
                format!("the head of epoch {epoch} is {head}, and its last op has {last}")
            });
        }
    }
}

/// An op id stands in a log once. So an op of which nobody knew what became of it was committed once at most.
pub(super) fn unique(case: &Case<'_>, outcome: &mut Outcome) {
    for recorded in case.truth.logs() {
        let mut known = HashMap::with_capacity(recorded.entries.len());
        for entry in &recorded.entries {
            outcome.examine();
            match known.entry(entry.op_id) {
                Slot::Vacant(slot) => {
                    slot.insert(*entry);
                }
                Slot::Occupied(slot) => {
                    let first = slot.get();
                    let epoch = case.epoch(recorded.log.epoch);
                    outcome.find(&[first.at, entry.at], || {
                        let (one, two) = (first.revision, entry.revision);
                        format!("the op {} stands in epoch {epoch} as {one} and as {two}", entry.op_id)
                    });
                }
            }
        }
    }
}
