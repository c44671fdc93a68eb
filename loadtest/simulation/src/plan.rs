//! The plan of a run, as far as the seed alone decides it: who takes part, and which faults there are.

use std::time::Duration;

use crate::chance::Chance;

/// The plan of a run. Rates are times in a thousand.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// Nodes over one store and one bus.
    pub nodes: usize,
    /// Drawings.
    pub drawings: usize,
    /// Writers of each drawing.
    pub writers: usize,
    /// Live readers of each drawing.
    pub readers: usize,
    /// The time for which the faults last; then comes the calm.
    pub storm: Duration,
    /// The interval at which a node tells and looks at heads.
    pub heartbeat: Duration,
    /// The faults that befall calls of the store.
    pub store: StoreFaults,
    /// The faults that befall messages of the bus.
    pub bus: BusFaults,
    /// The most times that a node crashes.
    pub crashes: u64,
    /// The most times that a standby is promoted.
    pub failovers: u64,
    /// True if a standby may be behind.
    pub loses_ops: bool,
    /// True if the epoch is cut once.
    pub cuts_epoch: bool,
    /// The number of times that a role is taken away and given back.
    pub revocations: u64,
}

/// The faults that befall calls of the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreFaults {
    /// The call fails, and nothing has happened.
    pub before: u64,
    /// It fails, and what it was to do is done.
    pub after: u64,
    /// It fails, and what it was to do is done later.
    pub later: u64,
    /// It is refused as a statement is that is wrong.
    pub refused: u64,
    /// It takes a while.
    pub slow: u64,
    /// No connection is to be had for a while.
    pub exhausted: u64,
    /// Times in which every call fails.
    pub outages: u64,
}

/// The faults that befall messages of the bus.
#[derive(Clone, Copy, Debug, Default)]
pub struct BusFaults {
    /// A message does not arrive.
    pub lost: u64,
    /// It arrives twice.
    pub repeated: u64,
    /// It arrives after others that were sent later.
    pub late: u64,
    /// A subscription dies without a word.
    pub deaf: u64,
    /// Messages were dropped, and the subscriber is told.
    pub lagged: u64,
    /// Times in which a node is cut off, and knows it.
    pub cuts: u64,
}

impl Plan {
    /// The plan of a seed. Not every fault befalls every run: some are found only where nothing else goes wrong.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let chance = Chance::new(seed);
        // Half of the time a fault is absent; else it is rare or frequent.
        let rate = |often: u64| match chance.below(6) {
            0..3 => 0,
            3..5 => often / 5 + 1,
            _ => often,
        };
        let some = |most: u64| chance.below(2) * chance.between(1, most);
        let store = StoreFaults {
            before: rate(60),
            after: rate(60),
            later: rate(40),
            refused: rate(15),
            slow: rate(100),
            exhausted: rate(8),
            outages: some(2),
        };
        let bus = BusFaults {
            lost: rate(300),
            repeated: rate(150),
            late: rate(300),
            deaf: rate(20),
            lagged: rate(30),
            cuts: some(2),
        };
        // Two runs of five have a store that does its work, one a bus.
        let (spares_store, spares_bus) = (chance.happens(400), chance.happens(200));
        Self {
            seed,
            nodes: usize::try_from(chance.between(1, 3)).unwrap_or(1),
            drawings: if chance.happens(300) { 2 } else { 1 },
            writers: usize::try_from(chance.between(1, 3)).unwrap_or(1),
            readers: usize::try_from(chance.between(1, 2)).unwrap_or(1),
            storm: chance.millis(3_000, 6_000),
            heartbeat: chance.millis(400, 1_500),
            store: if spares_store { StoreFaults::default() } else { store },
            bus: if spares_bus { BusFaults::default() } else { bus },
            crashes: some(3),
            failovers: some(2) * chance.below(2),
            loses_ops: chance.happens(500),
            cuts_epoch: chance.happens(60),
            revocations: some(2),
        }
    }
}
