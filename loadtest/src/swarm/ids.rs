//! Which op stands at which revision, as the readers of a drawing were told.
//!
//! Readers are told it at different times and in different frames. Whenever a frame is decoded, its
//! ops are held against what was decoded before; in the end the sum over all of them is held against
//! the log, by whoever can read it.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Revisions that are remembered of a drawing, counted from the first that was told.
const MAX_REVISIONS: usize = 50_000_000;

/// The ops of a drawing that readers were told of, as one number.
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
    /// That of ops whose revisions begin at `first`.
    pub fn of(first: u64, ids: impl Iterator<Item = Uuid>) -> Option<Self> {
        let mut digest: Option<Self> = None;
        for (revision, id) in (first..).zip(ids) {
            let before = digest.map_or(0, |digest| digest.sum);
            digest = Some(Self { first, last: revision, sum: before.wrapping_add(mix(revision, id)) });
        }
        digest
    }
}

/// What the readers of one drawing were told.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// The revision of the first entry.
    first: u64,
    /// What stands at each revision from there on.
    mixed: Vec<u64>,
}

impl Ids {
    /// Takes the ops of a frame, which begin at `first`.
    pub(super) fn take(&mut self, first: u64, ids: &[Uuid]) -> anyhow::Result<()> {
        if self.mixed.is_empty() {
            self.first = first;
        }
        for (revision, id) in (first..).zip(ids) {
            let mixed = mix(revision, *id);
            // What lies before the first frame was told to one who came with an older position.
            let Some(place) = revision.checked_sub(self.first) else { continue };
            let place = usize::try_from(place)?;
            match self.mixed.get(place) {
                Some(known) => {
                    ensure!(*known == mixed, "revision {revision} is another op than it was before")
                }
                None if place < MAX_REVISIONS => {
                    ensure!(
                        place == self.mixed.len(),
                        "revision {revision} was told before the one below it"
                    );
                    self.mixed.push(mixed);
                }
                None => (),
            }
        }
        Ok(())
    }

    /// All of it as one number; nothing where nothing was told.
    pub(super) fn digest(&self) -> Option<Digest> {
        let last = self.first + u64::try_from(self.mixed.len().checked_sub(1)?).unwrap_or(u64::MAX);
        let sum = self.mixed.iter().fold(0, |sum: u64, mixed| sum.wrapping_add(*mixed));
        Some(Digest { first: self.first, last, sum })
    }
}

/// An op at a revision as one number. Both sides are this program, so any hash will do.
fn mix(revision: u64, id: Uuid) -> u64 {
    let mut hasher = DefaultHasher::new();
    (revision, id).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_op_at_a_revision_is_noticed_and_the_sum_is_that_of_the_log() {
        let log: Vec<Uuid> = (1..=9).map(Uuid::from_u128).collect();
        let mut ids = Ids::default();
        assert_eq!(ids.digest(), None);
        ids.take(4, &log[3..6]).unwrap();
        ids.take(5, &log[4..9]).unwrap();
        // One who came from further back.
        ids.take(2, &log[1..5]).unwrap();
        assert_eq!(ids.digest(), Digest::of(4, log[3..].iter().copied()));
        assert_eq!(ids.digest().map(|digest| (digest.first, digest.last)), Some((4, 9)));
        let mut swapped = log.clone();
        swapped.swap(4, 5);
        assert_ne!(Digest::of(4, swapped[3..].iter().copied()), ids.digest());
        assert!(ids.take(5, &[Uuid::from_u128(6)]).is_err());
        assert!(ids.take(12, &[Uuid::from_u128(12)]).is_err());
    }
}
