//! The measurements of the writers, counted while they run.

use std::collections::BTreeMap;

use loadtest::swarm::{Histogram, Timeline};

/// The delay from which on a request counts as late, in ms after it was due: then the writer before it was still
/// waiting.
const LATE_MS: f64 = 100.0;

/// Counts of all writers together.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Ops that were due.
    pub(crate) offered: u64,
    /// Ops that were answered with a revision.
    pub(crate) acknowledged: u64,
    /// Requests that were answered so.
    pub(crate) requests: u64,
    /// Bytes of ops in them.
    pub(crate) bytes: u64,
    /// Undos for which there was nothing to undo.
    pub(crate) nothing_to_undo: u64,
    /// Answers that asked to come again, and lost connections, by what they were.
    pub(crate) hindrances: BTreeMap<String, u64>,
    /// Requests that were sent late, since the one before was not answered yet.
    pub(crate) late: u64,
    /// The times from when a request was due to its answer, without the ramp.
    pub(crate) answer: Histogram,
    /// The same times by the second, with the ramp.
    pub(crate) timeline: Timeline,
}

impl Measured {
    /// A request is about to be sent.
    pub(crate) fn sending(&mut self, ops: usize, behind_ms: f64) {
        self.offered += ops as u64;
        self.late += u64::from(behind_ms > LATE_MS);
    }

    /// A request was answered.
    pub(crate) fn answered(&mut self, ops: usize, bytes: usize, took_ms: f64, is_ramp: bool) {
        self.acknowledged += ops as u64;
        self.requests += 1;
        self.bytes += bytes as u64;
        self.timeline.count(ops as u64, bytes as u64);
        self.timeline.record(took_ms);
        if !is_ramp {
            self.answer.record(took_ms);
        }
    }

    /// A request has to be sent again.
    pub(crate) fn hindered(&mut self, why: &str) {
        *self.hindrances.entry(why.to_owned()).or_default() += 1;
    }
}
