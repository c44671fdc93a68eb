//! The health of the blob store, as `/readyz` tells it.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Blobs;

/// The time for which an answer of the blob store is told to others who ask.
const BLOB_PROBE_MAX_AGE: Duration = Duration::from_secs(1);

/// Asks the blob store for its health, at most once in `BLOB_PROBE_MAX_AGE` however many want to know: a probe
/// of a bucket is a request that somebody pays for.
#[derive(Debug)]
pub struct BlobHealth {
    blobs: Blobs,
    /// When the last probe ended, and what came of it.
    last: Mutex<Option<(Instant, bool)>>,
}

impl BlobHealth {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(blobs: Blobs) -> Self {
        Self { blobs, last: Mutex::default() }
    }

    /// Returns `true` if snapshots can be kept; see [`Blobs::probe`].
    pub async fn is_good(&self) -> bool {
        // A caller that comes while it is asked waits for the same answer.
        let mut last = self.last.lock().await;
        match *last {
            Some((answered_at, is_good)) if answered_at.elapsed() < BLOB_PROBE_MAX_AGE => is_good,
            _ => {
                let is_good = self.blobs.probe().await;
                // From its end: a store that hangs answers later than an answer holds.
                *last = Some((Instant::now(), is_good));
                is_good
            }
        }
    }
}
