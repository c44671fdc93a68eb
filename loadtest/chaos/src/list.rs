//! Lists of faults that happen for certain, spread over the rounds of a run.

use clap::ValueEnum;
use loadtest::services::Standby;

use crate::{
    fault::{Fault, Link, Trouble},
    plan::Plan,
};

/// A list by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum List {
    /// The faults that have found most, in five rounds.
    Check,
}

/// The rounds over which a list is spread.
const ROUNDS: u64 = 5;

impl List {
    /// The argument of make that takes the list again.
    #[must_use]
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Check => " ARGS=\"--list check\"",
        }
    }

    /// The faults of a round. The fourth of five rounds is about the embedded server.
    #[must_use]
    pub fn of(self, round: u64) -> &'static [Fault] {
        let Self::Check = self;
        match round % ROUNDS {
            1 => &[Fault::RestartImmediate, Fault::Kill(1)],
            2 => &[Fault::FullDisk, Fault::Link(Link::Blobs(0), Trouble::Cut)],
            3 => &[Fault::ReplaceKeys, Fault::FailOver(Standby::Asynchronous)],
            4 => &[Fault::Kill(0), Fault::FullDisk],
            _ => &[Fault::Descriptors(2), Fault::FailOver(Standby::Synchronous)],
        }
    }
}

/// The faults of a round that happen for certain: those of a list that fit it.
#[must_use]
pub fn certain(list: Option<List>, round: u64) -> Vec<Fault> {
    let faults = list.map_or(&[][..], |list| list.of(round)).iter().copied();
    faults.filter(|fault| Plan::allows(round, *fault)).collect()
}
