//! Judges recorded histories: whether what clients were told agrees with the log, and with what is promised.
//!
//! Clients of any language write what they do and what they are told, a line of JSON an event; docs/history-format.md
//! describes it. The checker reads that when all is over. It knows nothing of the server's code, so that both cannot err
//! together.
//!
//! | Module | Owns |
//! |---|---|
//! | `format`, `ids` | the lines; ids and digests |
//! | `input` | files, and where the lines of each drawing stand in them |
//! | `history`, `assemble` | the history of one drawing, made of its lines |
//! | `clock` | what was before what, as far as that is certain |
//! | `truth` | logs, the line of epochs, and where a position lies on it |
//! | `follow`, `units`, `roles` | what a live reader has; which units are live; who may have had which role |
//! | `case`, `checks` | a drawing before its judges; one rule each |
//! | `judge`, `finding`, `report` | the verdict |
//! | `generate` | correct histories, to try the checker on |
//!
//! A module imports only from those above it, but for `truth`, which lets `follow` read for it.

mod assemble;
mod case;
mod checks;
pub mod clock;
mod finding;
mod follow;
pub mod format;
pub mod generate;
mod history;
pub mod ids;
mod input;
mod judge;
mod report;
mod roles;
mod truth;
mod units;

pub use finding::Finding;
pub use input::BadInput;
pub use judge::{Options, Tally, Verdict, judge};

/// The names of all checks, in the order in which they are reported, each with its rule.
pub fn checks() -> impl Iterator<Item = (&'static str, &'static str)> {
    checks::CHECKS.iter().map(|check| (check.name, check.rule))
}
