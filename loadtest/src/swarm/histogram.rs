//! Latencies of millions of deliveries in a few kilobytes.

use std::time::{SystemTime, UNIX_EPOCH};

/// Buckets in each doubling: a value is off by a 32nd at most.
const STEPS: u64 = 32;

/// Counts times in buckets that grow with the time.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// By bucket of microseconds; as long as the largest value needs.
    counts: Vec<u64>,
    count: u64,
    max: f64,
}

impl Histogram {
    /// Adds a time in ms. One below zero, which a clock that was set back may give, counts as zero.
    pub fn record(&mut self, ms: f64) {
        let bucket = bucket_of(micros(ms));
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(ms);
    }

    /// Times added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest, in ms.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The time below which `share` of all lie, in ms; rounded up, so that no promise looks kept that is not.
    pub fn percentile(&self, share: f64) -> f64 {
        let wanted = as_f64(self.count) * share;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if as_f64(seen) > wanted {
                return (as_f64(floor_of(bucket + 1)) / 1e3).min(self.max);
            }
        }
        self.max
    }
}

/// The bucket of a value: itself below two rounds of steps, then so many buckets for each doubling.
fn bucket_of(value: u64) -> usize {
    let shift = (value / STEPS).checked_ilog2().unwrap_or(0);
    usize::try_from(u64::from(shift) * STEPS + (value >> shift)).unwrap_or(usize::MAX)
}

/// The least value of a bucket.
fn floor_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    (bucket - shift * STEPS) << shift
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
    fn a_bucket_is_narrow_and_the_next_one_adjoins() {
        for value in (0..100_000).chain([1 << 40, u64::MAX >> 1]) {
            let floor = floor_of(bucket_of(value));
            assert!(floor <= value && value - floor <= value / STEPS, "{value}: {floor}");
            assert!(floor_of(bucket_of(value) + 1) > value, "{value}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        for value in 1..=1_000_u32 {
            histogram.record(f64::from(value));
        }
        for (share, expected) in [(0.5, 501.0), (0.99, 991.0), (1.0, 1_000.0)] {
            let got = histogram.percentile(share);
            assert!((expected * 0.999..=expected * 1.04).contains(&got), "{share}: {got}");
        }
        assert_eq!(histogram.count(), 1_000);
    }
}
