//! The order that a swarm is given, and the outcome that it tells.
//!
//! Both travel between processes as JSON.

use std::{net::SocketAddr, time::Duration};

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Digest, Histogram, Second};

/// Handshakes under way at the same time, unless a row is about just that.
const AT_ONCE: usize = 100;
/// The time that all readers may take to subscribe once they have come.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// The plan that every reader follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Nodes; the readers of each drawing spread over them.
    pub addresses: Vec<SocketAddr>,
    /// Users; readers take them in turn.
    pub tokens: Vec<String>,
    /// Drawings; readers take them in turn, one each.
    pub drawings: Vec<Uuid>,
    /// The number of the first reader, where other swarms have those before it.
    pub first: usize,
    /// The number of readers.
    pub readers: usize,
    /// The encoding that they ask the server to speak.
    pub encoding: Encoding,
    /// True if they offer permessage-deflate.
    pub deflate: bool,
    /// The revision from which they resume, for each drawing; the head where there is none.
    pub after: Option<Vec<u64>>,
    /// True if they want presence.
    pub presence: bool,
    /// True if a reader that was too slow subscribes again from the head on, instead of failing. The ops it missed do
    /// not count as delivered.
    pub rejoins: bool,
    /// Handshakes that may be under way at the same time.
    pub at_once: usize,
    /// Time over which they come, evenly; as fast as may be with 0.
    pub ramp_ms: u64,
    /// The number of times a second that each sends where its cursor is.
    pub cursors_per_second: u32,
}

/// The encoding on the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// `revcast.v1.json`.
    Json,
    /// `revcast.v1.msgpack`.
    Msgpack,
    /// Frames without a handshake or a meaning: those of the limit program. The first one stands for
    /// `subscribed`.
    Bare,
}

impl Encoding {
    /// The name of the subprotocol.
    pub(super) fn subprotocol(self) -> &'static str {
        if self == Self::Msgpack { "revcast.v1.msgpack" } else { "revcast.v1.json" }
    }
}

impl Plan {
    /// Readers of JSON from the head on, without presence.
    pub fn new(addresses: Vec<SocketAddr>, tokens: &[String], drawings: &[Uuid], readers: usize) -> Self {
        Self {
            addresses,
            tokens: tokens.to_vec(),
            drawings: drawings.to_vec(),
            first: 0,
            readers,
            encoding: Encoding::Json,
            deflate: false,
            after: None,
            presence: false,
            rejoins: false,
            at_once: AT_ONCE,
            ramp_ms: 0,
            cursors_per_second: 0,
        }
    }

    /// Readers of the limit program.
    pub fn bare(address: SocketAddr, readers: usize) -> Self {
        let plan = Self::new(vec![address], &[String::new()], &[Uuid::nil()], readers);
        Self { encoding: Encoding::Bare, ..plan }
    }

    /// Checks that every reader finds its part.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.addresses.is_empty(), "the plan names no address");
        ensure!(!self.tokens.is_empty(), "the plan names no token");
        ensure!(!self.drawings.is_empty(), "the plan names no drawing");
        let is_complete = self.after.as_ref().is_none_or(|after| after.len() == self.drawings.len());
        ensure!(is_complete, "the plan must say for each drawing where to resume");
        Ok(())
    }

    /// The time that all of them may take to subscribe.
    pub(super) fn start_patience(&self) -> Duration {
        START_PATIENCE + Duration::from_millis(self.ramp_ms)
    }

    /// The number of readers that are to have come so long after the first.
    pub(super) fn due_after(&self, elapsed: Duration) -> usize {
        let elapsed = elapsed.as_millis();
        match u128::from(self.ramp_ms) {
            ramp if elapsed < ramp => {
                let due = self.readers as u128 * elapsed / ramp + 1;
                usize::try_from(due).unwrap_or(self.readers).min(self.readers)
            }
            _ => self.readers,
        }
    }

    /// The drawing of the nth reader, as an index.
    pub(super) fn room_of(&self, reader: usize) -> usize {
        (self.first + reader) % self.drawings.len()
    }

    /// The node of the nth reader.
    pub(super) fn address_of(&self, reader: usize) -> SocketAddr {
        self.addresses[(self.first + reader) / self.drawings.len() % self.addresses.len()]
    }

    /// The user of the nth reader.
    pub(super) fn token_of(&self, reader: usize) -> &str {
        &self.tokens[(self.first + reader) % self.tokens.len()]
    }

    /// The revision from which the readers of a drawing resume.
    pub(super) fn after_of(&self, room: usize) -> Option<u64> {
        self.after.as_ref().map(|after| after[room])
    }
}

/// The report of a swarm when each reader has subscribed or failed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Started {
    /// Readers that were answered `subscribed`.
    pub subscribed: usize,
    /// Readers with which the server agreed on compression.
    pub deflated: usize,
    /// Readers that were refused, reset or closed, so far.
    pub failed: usize,
    /// The troubles of the first of them.
    pub failures: Vec<String>,
    /// The time from the first connect to each `subscribed`, in ms.
    pub subscribed_ms: Latency,
}

impl Started {
    /// Fails when a reader has.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(self.failed == 0, "{} readers failed, such as: {}", self.failed, self.failures.join("; "));
        Ok(())
    }
}

/// The report of a swarm at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The report of its beginning; its failures are those of the whole time.
    pub started: Started,
    /// Frames with ops, counted at each reader.
    pub frames: u64,
    /// Ops in them.
    pub ops: u64,
    /// Their bytes on the wire, WebSocket headers included.
    pub bytes: u64,
    /// Frames with presence.
    pub presence_frames: u64,
    /// Their bytes on the wire.
    pub presence_bytes: u64,
    /// `head` messages.
    pub heads: u64,
    /// The number of times that a reader was too slow and subscribed again.
    pub rejoined: u64,
    /// Ops that such readers were not told of.
    pub skipped: u64,
    /// The time from the first connect until all readers had what was asked for, in ms; absent if they had not.
    pub complete_ms: Option<f64>,
    /// The time from sending to arrival, for each op that bears a send time at each reader, in ms. Ops that were sent
    /// while the load grew, and say so, are not in it.
    pub latencies: Histogram,
    /// The same by the second, and with what was sent while the load grew.
    pub seconds: Vec<Second>,
    /// The ops that the readers of each drawing were told of, in runs without a hole.
    pub digests: Vec<Vec<Digest>>,
}

impl Outcome {
    /// The distribution of [`Self::latencies`].
    pub fn latency(&self) -> Latency {
        Latency::from(&self.latencies)
    }
}

/// The distribution of a time, in ms.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Times measured.
    pub count: u64,
    /// The median.
    pub p50: f64,
    /// The time that 90 of 100 keep below.
    pub p90: f64,
    /// The time that 99 of 100 keep below.
    pub p99: f64,
    /// The time that 999 of 1,000 keep below.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl From<&Histogram> for Latency {
    fn from(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count(),
            p50: histogram.percentile(0.5),
            p90: histogram.percentile(0.9),
            p99: histogram.percentile(0.99),
            p999: histogram.percentile(0.999),
            max: histogram.max(),
        }
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", self.p50, self.p99, self.max)
    }
}
