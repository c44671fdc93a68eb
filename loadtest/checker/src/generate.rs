//! Correct histories, made up: several clients and drawings, requests that overlap, time-outs and retries, refusals, live
//! readers that are reset, a failover that loses ops, folds, undo, and a role that is taken away.
//!
//! Owns what a plan asks for, and how lines are written. The world in which it happens is `world`, the server in it
//! `server`. All of it follows from the seed.

pub mod random;
mod server;
mod world;

use std::io::{self, BufWriter, Write};

use crate::format::Line;

/// The plan of a history that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// The number of events, roughly.
    pub events: usize,
    /// The number of drawings.
    pub drawings: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { seed: 1, events: 10_000, drawings: 8 }
    }
}

/// Makes a correct history.
#[must_use]
pub fn history(plan: Plan) -> Vec<Line> {
    world::World::new(plan).run()
}

/// Writes lines as they stand in a file.
///
/// # Errors
/// Those of `to`.
pub fn write(lines: &[Line], to: impl Write) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 20, to);
    for line in lines {
        serde_json::to_writer(&mut to, line)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}
