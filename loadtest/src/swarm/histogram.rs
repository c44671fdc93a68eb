//! Latencies of millions of deliveries in a few kilobytes.

use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram as Counts;
use serde::{Deserialize, Serialize};

/// Digits that are right: a value is off by a thousandth at most.
const DIGITS: u8 = 3;
/// The longest time that is told apart from longer ones, in µs.
const LONGEST_US: u64 = 3_600_000_000;

/// A histogram of times. It takes its memory with the first of them, and travels between processes as its values in µs
/// with their counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Histogram(Option<Box<Counts<u64>>>);

impl Histogram {
    /// Adds a time in ms. One below zero, which a clock that was set back may give, counts as zero.
    pub fn record(&mut self, ms: f64) {
        self.counts().saturating_record(micros(ms));
    }

    /// Adds all times of another one.
    pub fn add(&mut self, other: &Self) {
        if let Some(others) = &other.0 {
            // Both have the same bounds, so nothing can be out of them.
            let added = self.counts().add(&**others);
            debug_assert!(added.is_ok(), "{added:?}");
        }
    }

    /// Forgets all times, and keeps the memory.
    pub fn clear(&mut self) {
        if let Some(counts) = &mut self.0 {
            counts.reset();
        }
    }

    /// Times added.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |counts| counts.len())
    }

    /// The largest, in ms.
    pub fn max(&self) -> f64 {
        self.0.as_ref().map_or(0.0, |counts| as_f64(counts.max()) / 1e3)
    }

    /// The time below which `share` of all lie, in ms; rounded up, so that no promise looks kept that is not.
    pub fn percentile(&self, share: f64) -> f64 {
        self.0.as_ref().map_or(0.0, |counts| as_f64(counts.value_at_quantile(share)) / 1e3)
    }

    fn counts(&mut self) -> &mut Counts<u64> {
        self.0.get_or_insert_with(|| {
            Box::new(Counts::new_with_bounds(1, LONGEST_US, DIGITS).expect("the bounds are good"))
        })
    }
}

impl From<Histogram> for Vec<(u64, u64)> {
    fn from(histogram: Histogram) -> Self {
        let counts = histogram.0.iter().flat_map(|counts| counts.iter_recorded());
        counts.map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
    }
}

impl From<Vec<(u64, u64)>> for Histogram {
    fn from(values: Vec<(u64, u64)>) -> Self {
        let mut histogram = Self::default();
        for (value, count) in values {
            histogram.counts().saturating_record_n(value, count);
        }
        histogram
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float saturates, which will do"
)]
fn micros(ms: f64) -> u64 {
    (ms * 1e3) as u64
}

/// A count as a number to divide.
#[allow(clippy::cast_precision_loss, reason = "counts of a bench stay far below 2^53")]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The time of day in ms: the one clock that two processes share.
pub fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_values_and_never_below() {
        let (mut histogram, mut further) = (Histogram::default(), Histogram::default());
        assert_eq!((histogram.count(), histogram.percentile(0.5)), (0, 0.0));
        for value in 1..=1_000_u32 {
            let half = if value % 2 == 0 { &mut histogram } else { &mut further };
            half.record(f64::from(value));
        }
        histogram.add(&further);
        for (share, expected) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let got = histogram.percentile(share);
            assert!((expected..=expected * 1.002).contains(&got), "{share}: {got}");
        }
        assert_eq!(histogram.count(), 1_000);
        let sent = serde_json::to_string(&histogram).unwrap();
        let arrived: Histogram = serde_json::from_str(&sent).unwrap();
        for share in [0.0, 0.25, 0.5, 0.999, 1.0] {
            assert_eq!(arrived.percentile(share), histogram.percentile(share));
        }
        assert_eq!(arrived.count(), 1_000);
        histogram.clear();
        assert_eq!(histogram.count(), 0);
    }

    #[test]
    fn times_beyond_the_bounds_count_as_the_bound() {
        let mut histogram = Histogram::default();
        histogram.record(-5.0);
        histogram.record(1e12);
        assert_eq!(histogram.count(), 2);
        assert!(histogram.max() >= 3_600_000.0);
    }
}
