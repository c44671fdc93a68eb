//! The result of a run, as it is written to files.

use std::collections::{BTreeMap, BTreeSet};

use loadtest::swarm::{Latency, Outcome, Second};
use serde::Serialize;

use crate::scenario::Scenario;

/// Everything about a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunResult {
    /// The scenario that was to be run.
    pub(crate) scenario: Scenario,
    /// The time at which the load began, in UTC.
    pub(crate) began: String,
    /// The nodes that it went to.
    pub(crate) nodes: Vec<String>,
    /// The source of the strokes.
    pub(crate) pen_data: String,
    /// The reason why the load ended before its time.
    pub(crate) broken_off: Option<String>,
    /// The promises, and whether each was kept.
    pub(crate) checks: Vec<Check>,
    /// Counts and rates.
    pub(crate) totals: Totals,
    /// The time from when a request was due to its answer, in ms.
    pub(crate) answer: Latency,
    /// The time from when an op was due to its arrival at a reader, in ms.
    pub(crate) delivery: Latency,
    /// Requests that were sent again, by the reason.
    pub(crate) hindrances: BTreeMap<String, u64>,
    /// CPU and memory.
    pub(crate) cores: Cores,
    /// True if the server was started for the run, so that its CPU and memory are known.
    pub(crate) is_started: bool,
    /// The run by the second.
    pub(crate) seconds: Vec<Row>,
}

/// One promise.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// The promise.
    pub(crate) name: String,
    /// True if it was kept.
    pub(crate) ok: bool,
    /// The things that were looked at, or the fault.
    pub(crate) detail: String,
}

/// Counts of the whole run, and rates of the part after the ramp.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Totals {
    /// The time from the first op that was due to the last answer.
    pub(crate) seconds: f64,
    /// Ops that were due.
    pub(crate) offered: u64,
    /// Ops that were answered with a revision.
    pub(crate) acknowledged: u64,
    /// Requests that were.
    pub(crate) requests: u64,
    /// Requests that were sent more than 100 ms after they were due.
    pub(crate) late: u64,
    /// Undos that found nothing.
    pub(crate) nothing_to_undo: u64,
    /// Acknowledged ops a second, after the ramp.
    pub(crate) ops_per_second: f64,
    /// Ops that all readers together had to get.
    pub(crate) expected: u64,
    /// Ops that they got.
    pub(crate) delivered: u64,
    /// Frames they came in.
    pub(crate) frames: u64,
    /// Ops a second at all readers, after the ramp.
    pub(crate) deliveries_per_second: f64,
    /// Bytes of their frames a second, at all readers.
    pub(crate) bytes_per_second: f64,
    /// Frames of presence, at all readers.
    pub(crate) presence_frames: u64,
    /// Their bytes a second, after the ramp.
    pub(crate) presence_bytes_per_second: f64,
    /// The number of times that a reader was too slow and subscribed again.
    pub(crate) rejoined: u64,
    /// Ops that such readers missed.
    pub(crate) skipped: u64,
}

/// CPU in cores, and memory. Those of the server are known only if it was started for the run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cores {
    /// The writers; readers are processes of their own.
    pub(crate) client: f64,
    /// All nodes.
    pub(crate) server: f64,
    /// Postgres and NATS.
    pub(crate) database: f64,
    /// Most memory of a node, in KiB.
    pub(crate) server_rss: u64,
}

/// One second of the run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Row {
    /// Seconds after the first op was due.
    pub(crate) second: u64,
    /// Ops acknowledged.
    pub(crate) acknowledged: u64,
    /// The time from when they were due to the answer, in ms.
    pub(crate) answer: Latency,
    /// Ops delivered.
    pub(crate) delivered: u64,
    /// Bytes of their frames.
    pub(crate) bytes: u64,
    /// Bytes of presence delivered.
    pub(crate) presence_bytes: u64,
    /// The time from when they were due to their arrival, in ms, in the swarm of readers that waited longer.
    pub(crate) delivery: Latency,
}

impl RunResult {
    /// True if every promise was kept.
    pub(crate) fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// Puts the seconds of writers and readers side by side.
pub(crate) fn rows(writers: &[Second], outcomes: &[Outcome], start_ms: f64) -> Vec<Row> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of day in seconds")]
    let start = (start_ms / 1e3) as u64;
    let by_second =
        |seconds: &[Second]| seconds.iter().map(|second| (second.at, *second)).collect::<BTreeMap<_, _>>();
    let writers = by_second(writers);
    let readers: Vec<_> = outcomes.iter().map(|outcome| by_second(&outcome.seconds)).collect();
    // Cursors move as soon as there are readers, before the load begins.
    let all: BTreeSet<u64> = (writers.keys().chain(readers.iter().flat_map(BTreeMap::keys)).copied())
        .filter(|at| *at >= start)
        .collect();
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return Vec::new() };
    (*first..=*last)
        .map(|at| {
            let written = writers.get(&at).copied().unwrap_or_default();
            let read: Vec<Second> = readers.iter().filter_map(|seconds| seconds.get(&at)).copied().collect();
            let longest = read.iter().map(|second| second.latency).max_by(|a, b| a.p99.total_cmp(&b.p99));
            Row {
                second: at.saturating_sub(start),
                acknowledged: written.ops,
                answer: written.latency,
                delivered: read.iter().map(|second| second.ops).sum(),
                bytes: read.iter().map(|second| second.bytes).sum(),
                presence_bytes: read.iter().map(|second| second.presence_bytes).sum(),
                delivery: longest.unwrap_or_default(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_all_sides_stand_beside_each_other_and_quiet_ones_are_there() {
        let second = |at, ops, p99| Second {
            at,
            ops,
            bytes: ops * 10,
            presence_bytes: ops * 2,
            latency: Latency { p99, ..Latency::default() },
        };
        let outcome = |seconds| Outcome { seconds, ..Outcome::default() };
        let readers = [
            outcome(vec![second(9, 1, 1.0), second(11, 5, 1.0)]),
            outcome(vec![second(11, 7, 2.0), second(13, 1, 3.0)]),
        ];
        let rows = rows(&[second(10, 2, 4.0), second(11, 3, 5.0)], &readers, 10_000.0);
        let told: Vec<_> =
            rows.iter().map(|row| (row.second, row.acknowledged, row.delivered, row.delivery.p99)).collect();
        assert_eq!(told, [(0, 2, 0, 0.0), (1, 3, 12, 2.0), (2, 0, 0, 0.0), (3, 0, 1, 3.0)]);
        assert_eq!(rows.iter().map(|row| row.presence_bytes).collect::<Vec<_>>(), [0, 24, 0, 2]);
    }
}
