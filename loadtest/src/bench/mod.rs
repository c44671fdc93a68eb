//! The bench: what each row measures, and how.

pub mod latency;
pub mod load;
pub mod report;
pub mod rows;
pub mod sql;

use std::path::PathBuf;

/// What a run is given.
#[derive(Debug)]
pub struct Bench {
    /// The server to measure.
    pub binary: PathBuf,
    /// Length of one measurement, after a second of warming up.
    pub seconds: u64,
}

/// The secret of servers under measurement.
pub const SECRET: &str = "a secret of the bench, long enough for HS256";
