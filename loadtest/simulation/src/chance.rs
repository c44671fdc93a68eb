//! Chance that follows from a seed.
//!
//! Owns the generator: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use uuid::Uuid;

/// A stream of numbers. Streams that are split off do not disturb each other.
#[derive(Debug)]
pub struct Chance(AtomicU64);

/// The next number of a generator.
pub(crate) fn next(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    mix(state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Chance {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(mix(seed)))
    }

    /// A stream of its own for `what`.
    #[must_use]
    pub fn split(&self, what: &str) -> Self {
        let of_name = what.bytes().fold(0, |sum, byte| mix(sum ^ u64::from(byte)));
        Self::new(self.next() ^ of_name)
    }

    /// Any number.
    pub fn next(&self) -> u64 {
        next(&self.0)
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number from `first` to `last`.
    pub fn between(&self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// Decides whether something happens that does so that many times in a thousand.
    pub fn happens(&self, per_mille: u64) -> bool {
        per_mille > 0 && self.below(1_000) < per_mille
    }

    /// One of several; `None` if there is none.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.below(of.len() as u64)).unwrap_or_default())
    }

    /// A time of so many milliseconds.
    pub fn millis(&self, first: u64, last: u64) -> Duration {
        Duration::from_millis(self.between(first, last))
    }

    /// An id.
    pub fn uuid(&self) -> Uuid {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}
