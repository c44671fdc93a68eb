//! Calls of the store as its users make them: they end, and their failures are told once.

use super::StoreError;
use crate::limits;

/// A call of the store that ends: a peer that is gone without a word is not waited for.
///
/// # Errors
/// That of the call, or [`StoreError::Unavailable`] when it takes longer than `STORE_CALL_TIMEOUT`.
pub async fn call<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(limits::STORE_CALL_TIMEOUT, answer).await.unwrap_or(Err(StoreError::timed_out()))
}

/// Logs what could not be done for want of the store, in the words of whoever wanted it. An outage is told once, by
/// [`StoreHealth`]; what depends on it then fails all the time.
macro_rules! log_store_failure {
    ($error:expr, $($told:tt)+) => {
        // The store has told of damage itself.
        if $error.is_passing() || $error.is_damage() {
            tracing::debug!(error = %$error, $($told)+);
        } else {
            tracing::error!(error = %$error, $($told)+);
        }
    };
}

pub(crate) use log_store_failure;
