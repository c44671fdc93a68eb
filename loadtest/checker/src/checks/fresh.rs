//! Reads against what was acknowledged, or read, before they began.
//!
//! Pages and pictures of the head come from the primary, and so reach everything that was told to anybody before.
//! Void acknowledgements and reads bind nobody.

use std::collections::HashMap;

use super::pages::may_be_cached;
use crate::{
    case::Case,
    clock::Place,
    finding::Outcome,
    history::{EpochId, Outcome as Ended, Position, Request},
};

/// Somebody knew of this revision from then on.
#[derive(Clone, Copy)]
struct Known {
    time: i64,
    at: Place,
    revision: u64,
}

/// A read, how far it reached, and in which epoch that counts.
struct Read {
    sent: Place,
    ended: Place,
    told: Position,
    epoch: EpochId,
    reach: u64,
}

/// The revisions that were known, by time; each entry has the highest revision up to then.
#[derive(Default)]
struct Timeline(Vec<Known>);

impl Timeline {
    fn seal(&mut self) {
        self.0.sort_by_key(|known| known.time);
        for index in 1..self.0.len() {
            let before = self.0[index - 1];
            if before.revision >= self.0[index].revision {
                self.0[index] = Known { time: self.0[index].time, ..before };
            }
        }
    }

    /// The highest revision that was known before a time.
    fn before(&self, time: i64) -> Option<Known> {
        let count = self.0.partition_point(|known| known.time < time);
        count.checked_sub(1).map(|index| self.0[index])
    }
}

/// A read reaches what was known before it began.
pub(super) fn reads(case: &Case<'_>, outcome: &mut Outcome) {
    let (mut shared, mut own) = (HashMap::<EpochId, Timeline>::new(), HashMap::<_, Timeline>::new());
    for (at, told) in known(case) {
        let Position { epoch, revision } = reach(case, told);
        own.entry((epoch, at.client)).or_default().0.push(Known { time: at.t, at, revision });
        if let Some(time) = case.clocks.latest(at) {
            shared.entry(epoch).or_default().0.push(Known { time, at, revision });
        }
    }
    shared.values_mut().chain(own.values_mut()).for_each(Timeline::seal);

    for read in reads_of_the_head(case) {
        outcome.examine();
        let by_own = own.get(&(read.epoch, read.sent.client)).and_then(|line| line.before(read.sent.t));
        let by_shared = case
            .clocks
            .earliest(read.sent)
            .and_then(|time| shared.get(&read.epoch).and_then(|line| line.before(time)));
        let missed = [by_own, by_shared].into_iter().flatten().find(|known| known.revision > read.reach);
        if let Some(known) = missed {
            outcome.find(&[known.at, read.sent, read.ended], || {
                let told = case.show(read.told);
                format!("the read reaches {told}, and revision {} was known before it began", known.revision)
            });
        }
    }
}

/// Returns each place that told how far a log reaches, and the position it told. Ops that others have committed
/// meanwhile are as durable.
fn known<'a>(case: &'a Case<'_>) -> impl Iterator<Item = (Place, Position)> + 'a {
    case.history.calls.iter().filter_map(|call| {
        let position = match call.outcome {
            Ended::Committed { epoch, latest, .. } | Ended::Page { epoch, latest, .. } => {
                Position { epoch, revision: latest }
            }
            Ended::Snapshot { position, .. } => position,
            _ => return None,
        };
        Some((call.ended?, position))
    })
}

/// Reads that tell where the head is.
fn reads_of_the_head<'a>(case: &'a Case<'_>) -> impl Iterator<Item = Read> + 'a {
    case.history.calls.iter().filter_map(|call| {
        let told = match (&call.request, &call.outcome) {
            (Request::Page(asked), Ended::Page { epoch, to, latest, .. }) if !may_be_cached(asked, *to) => {
                Position { epoch: *epoch, revision: *latest }
            }
            (Request::Snapshot(asked), Ended::Snapshot { position, .. }) if asked.revision.is_none() => {
                *position
            }
            _ => return None,
        };
        let Position { epoch, revision } = reach(case, told);
        Some(Read { sent: call.sent, ended: call.ended?, told, epoch, reach: revision })
    })
}

/// Returns how far a position reaches on the line that went on; for a lost branch, that is where both are one.
fn reach(case: &Case<'_>, told: Position) -> Position {
    let mut settled = case.truth.settle(told);
    while let Some(void) = settled.void {
        settled = case.truth.settle(Position { epoch: void.next, revision: void.base });
    }
    settled.position
}
