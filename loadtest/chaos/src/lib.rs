//! Rounds of faults against a whole deployment under load, each with a recorded history that the checker judges.
//!
//! docs/chaos.md says what a round is and how a failure is read.
//!
//! | Module | Owns |
//! |---|---|
//! | `fault`, `plan` | what can happen; what happens in a round, all of it from the seed |
//! | `issuer`, `lie`, `node`, `cluster` | who signs tokens; what lies on purpose; one server; everything that runs |
//! | `inject` | doing a fault, and undoing it |
//! | `recorder`, `hand` | the history of a client; its way to the server |
//! | `writer`, `reader`, `looker`, `scripts` | who takes part: in Rust, and in TypeScript |
//! | `verdict`, `round` | what a history says; one round from its beginning to its end |
//! | `shrink`, `state` | fewer faults that fail as well; what is done of a run |
//!
//! A module imports only from those above it.

pub mod cluster;
pub mod fault;
pub mod hand;
pub mod inject;
pub mod issuer;
mod lie;
pub mod looker;
pub mod node;
pub mod plan;
pub mod reader;
pub mod recorder;
pub mod round;
pub mod scripts;
pub mod shrink;
pub mod state;
pub mod verdict;
pub mod writer;
