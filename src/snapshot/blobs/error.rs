//! The outcomes of a call that fails: gone, out of reach, or not to be read.

use std::io;

/// Why a blob could not be written, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is not there, or is larger than any snapshot: an older one may do.
    #[error("there is no such blob")]
    Missing,
    /// The store cannot be reached, did not answer in time or refused: later may do. After a `put` or a
    /// `delete` it is open whether it was done; the same call may be made again.
    #[error("the blob store is unavailable: {0}")]
    Unavailable(#[source] object_store::Error),
    /// The store answers, and does not give this one: an older one may do, and later this one.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] object_store::Error),
}

impl BlobError {
    /// The store has just failed, and was not tried again.
    pub(crate) fn away() -> Self {
        Self::Unavailable(failure(io::ErrorKind::NotConnected))
    }
}

/// Returns `true` if it is the bucket that is not there. S3 has one status for both and tells them apart in the
/// body.
pub(super) fn names_no_bucket(error: &object_store::Error) -> bool {
    error.to_string().contains("<Code>NoSuchBucket</Code>")
}

/// A failure of ours, in the words of the store.
pub(super) fn failure(kind: io::ErrorKind) -> object_store::Error {
    object_store::Error::Generic { store: "blobs", source: Box::new(io::Error::from(kind)) }
}
