//! Rounds of faults against a whole deployment under load, each with a recorded history that the checker judges.
//!
//! docs/chaos.md says what a round is and how a failure is read.
//!
//! | Module | Owns |
//! |---|---|
//! | `fault`, `plan`, `list` | what can happen; what happens in a round, all of it from the seed; what happens for certain |
//! | `issuer`, `lie`, `node`, `cluster` | who signs tokens; what lies on purpose; one server; everything that runs |
//! | `inject` | doing a fault, and undoing it |
//! | `account` | what of a history is looked at here |
//! | `recorder`, `hand` | the history of a client; its way to the server |
//! | `writer`, `reader`, `looker`, `leaver`, `scripts` | who takes part: in Rust, and in TypeScript |
//! | `check`, `pulse`, `delivery`, `answers` | what is held against a round besides: that nodes live and are ready, that ops come in time, what answers are worth |
//! | `verdict`, `round` | what a history says; one round from its beginning to its end |
//! | `shrink`, `state`, `run` | fewer faults that fail as well; what is done of a run; all rounds |
//!
//! A module imports only from those above it.

mod account;
mod answers;
mod check;
pub mod cluster;
mod delivery;
pub mod fault;
pub mod hand;
pub mod inject;
pub mod issuer;
mod leaver;
pub mod lie;
pub mod list;
pub mod looker;
pub mod node;
pub mod plan;
mod pulse;
pub mod reader;
pub mod recorder;
pub mod round;
pub mod run;
pub mod scripts;
pub mod shrink;
pub mod state;
mod verdict;
pub mod writer;
