//! The bench: what each row measures, and how.

pub mod bare;
pub mod canvas;
pub mod latency;
pub mod live;
pub mod load;
pub mod pace;
pub mod probe;
pub mod report;
pub mod rows;
pub mod sql;

use std::path::PathBuf;

/// The settings of a run.
#[derive(Debug)]
pub struct Bench {
    /// The server to measure.
    pub binary: PathBuf,
    /// Length of one measurement, after a second of warming up.
    pub seconds: u64,
    /// Length of the row `crowd`, which is about what lasts.
    pub crowd_seconds: u64,
    /// Most readers of a row with a swarm; for trying.
    pub max_readers: usize,
}

/// The secret of servers under measurement.
pub const SECRET: &str = "a secret of the bench, long enough for HS256";
