//! The events of each second.

use serde::{Deserialize, Serialize};

use super::{Histogram, Latency, now_ms};

/// Seconds kept: a day. Later events count as of the last one.
const MAX_SECONDS: usize = 86_400;

/// One second of a run.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Second {
    /// The second, by the clock of the day (Unix time).
    pub at: u64,
    /// Ops that arrived: answered, or delivered to a reader.
    pub ops: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Bytes of presence on the wire.
    pub presence_bytes: u64,
    /// The times that they took.
    pub latency: Latency,
}

impl Second {
    fn is_busy(&self) -> bool {
        self.ops > 0 || self.presence_bytes > 0
    }
}

/// Counts by the second, in the memory of one histogram.
#[derive(Debug, Default)]
pub struct Timeline {
    seconds: Vec<Second>,
    /// The second under way.
    now: Second,
    latency: Histogram,
}

impl Timeline {
    /// Counts ops that have just arrived.
    pub fn count(&mut self, ops: u64, bytes: u64) {
        self.go_on();
        self.now.ops += ops;
        self.now.bytes += bytes;
    }

    /// Counts presence that has just arrived.
    pub fn count_presence(&mut self, bytes: u64) {
        self.go_on();
        self.now.presence_bytes += bytes;
    }

    /// Adds a time in ms to the second in which something was last counted.
    pub fn record(&mut self, ms: f64) {
        self.latency.record(ms);
    }

    /// The seconds in which something arrived.
    pub fn seconds(&self) -> Vec<Second> {
        let mut seconds = self.seconds.clone();
        if self.now.is_busy() {
            seconds.push(Second { latency: Latency::from(&self.latency), ..self.now });
        }
        seconds
    }

    fn go_on(&mut self) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time of day in seconds"
        )]
        let at = (now_ms() / 1e3) as u64;
        if at <= self.now.at || self.seconds.len() == MAX_SECONDS {
            return;
        }
        if self.now.is_busy() {
            self.seconds.push(Second { latency: Latency::from(&self.latency), ..self.now });
            self.latency.clear();
        }
        self.now = Second { at, ..Second::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_ends_with_the_next_one() {
        let mut timeline = Timeline::default();
        timeline.count(2, 100);
        timeline.record(5.0);
        // As if that had been a second ago.
        timeline.now.at -= 1;
        timeline.count_presence(9);
        timeline.count(3, 10);
        timeline.record(7.0);
        let seconds = timeline.seconds();
        let counted: Vec<_> =
            seconds.iter().map(|second| (second.ops, second.bytes, second.presence_bytes)).collect();
        assert_eq!(counted, [(2, 100, 0), (3, 10, 9)]);
        assert_eq!(seconds[0].latency.count, 1);
        assert_eq!(seconds[1].at, seconds[0].at + 1);
        assert!((7.0..7.1).contains(&seconds[1].latency.max));
    }
}
