//! Telling of damaged logs.
//!
//! Owns how often that is told: every read that meets damage is counted, and a line is written once a while for each
//! drawing, since those who meet it come again.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    model::{DrawingId, Revision},
    telemetry,
};

/// Drawings whose damage is logged within that pause.
/// At the bound, further drawings are only counted.
const LOG_DAMAGE_TOLD: usize = 1_024;

/// Pause between two lines of the log that say that the log of one drawing is damaged.
const LOG_DAMAGE_TOLD_EVERY: Duration = Duration::from_secs(60);

/// The drawings of which it was told, and when.
#[derive(Debug, Default)]
struct ReportedDamage(HashMap<DrawingId, Instant>);

impl ReportedDamage {
    /// Returns `true` if a drawing is to be told of now. Where very many are damaged, the rest of them go
    /// untold: the first lines say what has to be done.
    fn is_due(&mut self, drawing: DrawingId, now: Instant) -> bool {
        self.0.retain(|_, then| now.duration_since(*then) < LOG_DAMAGE_TOLD_EVERY);
        let is_due = !self.0.contains_key(&drawing) && self.0.len() < LOG_DAMAGE_TOLD;
        if is_due {
            self.0.insert(drawing, now);
        }
        is_due
    }
}

/// Notes that a read has met damage.
pub(super) fn note(drawing: DrawingId, revision: Revision) {
    static REPORTED: LazyLock<Mutex<ReportedDamage>> = LazyLock::new(Mutex::default);
    telemetry::count_log_damage();
    if REPORTED.lock().unwrap_or_else(PoisonError::into_inner).is_due(drawing, Instant::now()) {
        tracing::error!(%drawing, %revision, "the log of a drawing is damaged; see revcast verify");
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_drawing_is_told_of_once_a_while() {
        let (mut told, now) = (ReportedDamage::default(), Instant::now());
        let (one, other) = (DrawingId(Uuid::from_u128(1)), DrawingId(Uuid::from_u128(2)));
        assert!(told.is_due(one, now) && told.is_due(other, now));
        let later = now + LOG_DAMAGE_TOLD_EVERY / 2;
        assert!(!told.is_due(one, later) && !told.is_due(other, later));
        assert!(told.is_due(one, now + LOG_DAMAGE_TOLD_EVERY));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut told, now) = (ReportedDamage::default(), Instant::now());
        let due = (0..).map(|n| DrawingId(Uuid::from_u128(n))).take(2 * LOG_DAMAGE_TOLD);
        assert_eq!(due.filter(|drawing| told.is_due(*drawing, now)).count(), LOG_DAMAGE_TOLD);
        let next = DrawingId(Uuid::max());
        assert!(!told.is_due(next, now));
        assert!(told.is_due(next, now + LOG_DAMAGE_TOLD_EVERY));
    }
}
