//! The state of the blob store towards those who wait for it.
//!
//! Owns the rule for reads during an outage: one is tried now and then, so that the others learn of it at once
//! and do not queue up behind calls that hang.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::blobs::BlobError;
use crate::limits;

/// Time for which requests do without snapshots, after a read that the blob store did not answer, before one tries again.
const BLOB_READ_PAUSE: Duration = Duration::from_secs(1);

/// The state of the blob store, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct BlobOutage {
    /// When it may be tried again; `None` while it answers. Held for a look only.
    next_attempt: Mutex<Option<Instant>>,
}

impl BlobOutage {
    /// Reads, unless that has just failed.
    pub(super) async fn guard<T>(
        &self,
        read: impl Future<Output = Result<T, BlobError>>,
    ) -> Result<T, BlobError> {
        if !self.may_try(Instant::now()) {
            return Err(BlobError::away());
        }
        let outcome = read.await;
        match &outcome {
            Err(error @ BlobError::Unavailable(_)) => self.begin(Instant::now(), error),
            _ => self.end(),
        }
        outcome
    }

    fn may_try(&self, now: Instant) -> bool {
        let mut next_attempt = self.next_attempt.lock().unwrap_or_else(PoisonError::into_inner);
        match *next_attempt {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                // The outcome of the attempt will be known by then.
                *next_attempt = Some(now + limits::BLOB_VERDICT_TIMEOUT);
                true
            }
        }
    }

    fn begin(&self, now: Instant, error: &BlobError) {
        let mut next_attempt = self.next_attempt.lock().unwrap_or_else(PoisonError::into_inner);
        if next_attempt.replace(now + BLOB_READ_PAUSE).is_none() {
            tracing::warn!(%error, "snapshots cannot be read; short logs are replayed without");
        }
    }

    fn end(&self) {
        let mut next_attempt = self.next_attempt.lock().unwrap_or_else(PoisonError::into_inner);
        if next_attempt.take().is_some() {
            tracing::info!("snapshots can be read again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_the_store_answers_everybody_reads() {
        let (outage, now) = (BlobOutage::default(), Instant::now());
        assert!(outage.may_try(now) && outage.may_try(now));
        outage.begin(now, &BlobError::away());
        outage.end();
        assert!(outage.may_try(now) && outage.may_try(now));
    }

    #[test]
    fn after_a_read_that_failed_one_tries_after_a_pause() {
        let (outage, now) = (BlobOutage::default(), Instant::now());
        outage.begin(now, &BlobError::away());
        let later = now + BLOB_READ_PAUSE;
        assert!(!outage.may_try(now));
        assert!(outage.may_try(later));
        assert!(!outage.may_try(later), "one is at it");
        // It may have been given up.
        assert!(outage.may_try(later + limits::BLOB_VERDICT_TIMEOUT));
        outage.begin(later, &BlobError::away());
        assert!(!outage.may_try(later));
    }
}
