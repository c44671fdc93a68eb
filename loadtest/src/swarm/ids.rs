//! The op at each revision, as the readers of a drawing were told.
//!
//! Readers are told it at different times and in different frames. Whenever a frame is decoded, its
//! ops are held against what was decoded before; in the end the sums over all of them are held against
//! the log, by whoever can read it. Nobody may have been told of some revisions: all readers of a
//! drawing were too slow, and came again further on.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU64,
};

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Revisions that are remembered of a drawing, counted from the first that was told.
const MAX_REVISIONS: usize = 50_000_000;

/// A run of ops of a drawing that readers were told of, as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The first revision.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// The sum of the ops between them.
    pub sum: u64,
}

impl Digest {
    /// Returns the digest of ops whose revisions begin at `first`.
    pub fn of(first: u64, ids: impl Iterator<Item = Uuid>) -> Option<Self> {
        let mut digest: Option<Self> = None;
        for (revision, id) in (first..).zip(ids) {
            digest = Some(Self::with(digest, revision, mix(revision, id)));
        }
        digest
    }

    fn with(before: Option<Self>, revision: u64, mixed: NonZeroU64) -> Self {
        let Self { first, sum, .. } = before.unwrap_or(Self { first: revision, last: revision, sum: 0 });
        Self { first, last: revision, sum: sum.wrapping_add(mixed.get()) }
    }
}

/// The ops that the readers of one drawing were told.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// The revision of the first entry.
    first: u64,
    /// The op at each revision from there on, mixed into a number, as far as somebody was told.
    mixed: Vec<Option<NonZeroU64>>,
}

impl Ids {
    /// Takes the ops of a frame, which begin at `first`.
    pub(super) fn take(&mut self, first: u64, ids: &[Uuid]) -> anyhow::Result<()> {
        if self.mixed.is_empty() {
            self.first = first;
        }
        for (revision, id) in (first..).zip(ids) {
            let mixed = mix(revision, *id);
            // An op before the first frame was told to a reader who came with an older position.
            let Some(place) = revision.checked_sub(self.first) else { continue };
            let place = usize::try_from(place)?;
            if place >= MAX_REVISIONS {
                continue;
            }
            if place >= self.mixed.len() {
                self.mixed.resize(place + 1, None);
            }
            let known = *self.mixed[place].get_or_insert(mixed);
            ensure!(known == mixed, "revision {revision} is another op than it was before");
        }
        Ok(())
    }

    /// All of it, a number for each run without a hole.
    pub(super) fn digests(&self) -> Vec<Digest> {
        let (mut digests, mut run) = (Vec::new(), None);
        for (revision, mixed) in (self.first..).zip(&self.mixed) {
            match mixed {
                Some(mixed) => run = Some(Digest::with(run, revision, *mixed)),
                None => digests.extend(run.take()),
            }
        }
        digests.extend(run);
        digests
    }
}

/// An op at a revision as one number. Both sides are this program, so any hash will do.
fn mix(revision: u64, id: Uuid) -> NonZeroU64 {
    let mut hasher = DefaultHasher::new();
    (revision, id).hash(&mut hasher);
    NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_op_at_a_revision_is_noticed_and_the_sum_is_that_of_the_log() {
        let log: Vec<Uuid> = (1..=9).map(Uuid::from_u128).collect();
        let mut ids = Ids::default();
        assert_eq!(ids.digests(), []);
        ids.take(4, &log[3..6]).unwrap();
        ids.take(5, &log[4..9]).unwrap();
        // One who came from further back.
        ids.take(2, &log[1..5]).unwrap();
        assert_eq!(ids.digests(), Vec::from_iter(Digest::of(4, log[3..].iter().copied())));
        assert_eq!((ids.digests()[0].first, ids.digests()[0].last), (4, 9));
        let mut swapped = log.clone();
        swapped.swap(4, 5);
        assert_ne!(Vec::from_iter(Digest::of(4, swapped[3..].iter().copied())), ids.digests());
        assert!(ids.take(5, &[Uuid::from_u128(6)]).is_err());
    }

    #[test]
    fn what_nobody_was_told_is_a_hole_until_somebody_is() {
        let log: Vec<Uuid> = (1..=9).map(Uuid::from_u128).collect();
        let run = |first: usize, last: usize| {
            Digest::of(first as u64, log[first - 1..last].iter().copied()).unwrap()
        };
        let mut ids = Ids::default();
        ids.take(1, &log[..2]).unwrap();
        ids.take(6, &log[5..8]).unwrap();
        assert_eq!(ids.digests(), [run(1, 2), run(6, 8)]);
        ids.take(2, &log[1..5]).unwrap();
        assert_eq!(ids.digests(), [run(1, 8)]);
    }
}
