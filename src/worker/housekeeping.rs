//! Removes what is gone or outdated, a little at a time.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::now_ms,
    http::WriteLimits,
    limits,
    store::{Store, StoreError},
    telemetry,
};

/// The interval at which the worker looks for ops of deleted drawings.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(30);
/// The interval at which rate limiters and metrics forget what is over.
const TIDY_INTERVAL: Duration = Duration::from_secs(5);
/// Pause between two removals while there is more: live writes come first.
const PURGE_PAUSE: Duration = Duration::from_millis(100);

/// Removes the ops of deleted drawings and of imports that came to nothing, a little at a time.
pub async fn purge(store: Arc<dyn Store>, stop: CancellationToken) {
    loop {
        let pause = match purge_some(&*store).await {
            Ok(false) => PURGE_PAUSE,
            Ok(true) => HOUSEKEEPING_INTERVAL,
            Err(error) => {
                crate::store::log_store_failure!(
                    error,
                    "deleted drawings and stale imports could not be purged"
                );
                HOUSEKEEPING_INTERVAL
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => (),
        }
    }
}

/// Removes some ops; true when there are no more.
async fn purge_some(store: &dyn Store) -> Result<bool, StoreError> {
    if store.purge_deleted(limits::PURGE_OPS).await? > 0 {
        return Ok(false);
    }
    let max_age = i64::try_from(limits::IMPORT_MAX_AGE.as_millis()).unwrap_or(i64::MAX);
    for import in store.stale_imports(now_ms() - max_age).await? {
        if !store.abort_import(import, limits::PURGE_OPS).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Forgets what no user has asked for in a while: the rates of their writes, and metrics.
pub async fn tidy(write_limits: Arc<WriteLimits>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TIDY_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                write_limits.tidy();
                telemetry::tidy_metrics();
            }
        }
    }
}
