//! Blobs by name: a local folder, or a bucket that speaks S3.
//!
//! Owns how a snapshot's bytes are written, read and removed, and for how long a call may wait. It knows
//! nothing of what stands in them.

mod error;
mod name;
mod open;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use uuid::Uuid;

use crate::{limits, model::DrawingId};
use error::{failure, names_no_bucket};
use name::{name, parse_name};

pub use error::BlobError;
pub use open::BlobOpenError;

/// The name of no blob: reading it tells whether the store answers.
const ABSENT: &str = "absent";
/// An empty file in a folder for blobs, which is opened for writing to tell whether that can be done.
const WRITABLE: &str = "writable";

/// The blobs of all drawings, named `<drawing_id>/<snapshot_id>.snap`. Cheap to clone.
///
/// A blob is written once, whole or not at all, and never changed: readers see all of it or none. A folder is
/// not flushed to the disk, because commits would wait on the same disk. A loss of power may therefore leave
/// short or empty blobs of the last seconds behind: their checksums tell, and an older snapshot serves instead.
/// The part of a blob that a process had written when it was killed stays beside the blobs as `….snap#1`, is
/// never read, and goes with the blob of that name.
///
/// No call waits longer than `BLOB_TIMEOUT`, attempts of a bucket's client included; nor a read longer than
/// `BLOB_ANSWER_TIMEOUT` for its answer to begin.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>, Reach);

/// The machines that have these blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All nodes of the database: what is missing here is missing.
    Shared,
    /// Perhaps this machine alone: what is missing here may lie on another one.
    Local,
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    /// The folder, if the store is one. Without it every blob would look as if it had never been there.
    folder: Option<PathBuf>,
    /// `true` if the last `put` succeeded, and before the first.
    last_put_succeeded: AtomicBool,
}

impl Blobs {
    /// The blobs of any store, under the names that it gives them.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self::with_folder(store, None)
    }

    fn with_folder(store: Arc<dyn ObjectStore>, folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { store, folder, last_put_succeeded: AtomicBool::new(true) }), Reach::Shared)
    }

    /// The same, of which other nodes of the database may not have all: nobody has said where blobs are.
    #[must_use]
    pub fn perhaps_local(self) -> Self {
        Self(self.0, Reach::Local)
    }

    /// Returns `true` if a blob that is missing here is missing everywhere.
    #[must_use]
    pub fn are_shared(&self) -> bool {
        self.1 == Reach::Shared
    }

    /// Writes a blob, at most `MAX_SNAPSHOT_BYTES` of it; replaces what has its name.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn put(&self, drawing: DrawingId, snapshot: Uuid, bytes: Bytes) -> Result<(), BlobError> {
        let outcome = self
            .call(limits::BLOB_TIMEOUT, async {
                if bytes.len() > limits::MAX_SNAPSHOT_BYTES {
                    return Err(failure(io::ErrorKind::FileTooLarge));
                }
                // A folder is made at the start alone: in a new one all that was written before would seem lost.
                self.require_folder().await?;
                self.0.store.put(&name(drawing, snapshot), bytes.into()).await.map(drop)
            })
            .await;
        self.0.last_put_succeeded.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
    }

    /// Reads a blob.
    ///
    /// # Errors
    /// See [`BlobError`].
    pub async fn get(&self, drawing: DrawingId, snapshot: Uuid) -> Result<Bytes, BlobError> {
        match self.call(limits::BLOB_TIMEOUT, self.read(&name(drawing, snapshot))).await {
            Err(BlobError::Unavailable(error)) if self.answers().await => Err(BlobError::Unreadable(error)),
            outcome => outcome,
        }
    }

    /// Removes a blob, if it is there; tells whether it may have been. A bucket does not say.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn delete(&self, drawing: DrawingId, snapshot: Uuid) -> Result<bool, BlobError> {
        let name = name(drawing, snapshot);
        if let Some(folder) = &self.0.folder {
            // Mostly there is none.
            let _ = tokio::fs::remove_file(folder.join(format!("{name}#1"))).await;
        }
        match self.call(limits::BLOB_TIMEOUT, self.0.store.delete(&name)).await {
            Ok(()) => Ok(true),
            Err(BlobError::Missing) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lists all blobs, in no order. Files that are none are passed over. The store answers in pages, and
    /// may take `BLOB_TIMEOUT` for each.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn list(&self) -> Result<Vec<(DrawingId, Uuid)>, BlobError> {
        self.call(limits::BLOB_TIMEOUT, self.require_folder()).await?;
        let mut found = Vec::new();
        let mut names = self.0.store.list(None);
        while let Some(meta) = self.call(limits::BLOB_TIMEOUT, names.try_next()).await? {
            found.extend(parse_name(&meta.location));
        }
        Ok(found)
    }

    /// Returns `true` if snapshots can be kept: the store answers, within `BLOB_PROBE_TIMEOUT`; a folder is
    /// there, and can be written to; and the last [`put`](Self::put) of this process succeeded. After one that
    /// failed the answer is no until one succeeds: a full disk, or credentials that may only read, show nowhere
    /// else.
    pub async fn probe(&self) -> bool {
        let can_write = self.call(limits::BLOB_PROBE_TIMEOUT, async {
            self.require_folder().await?;
            self.try_folder().await.map_err(|error| failure(error.kind()))
        });
        can_write.await.is_ok() && self.answers().await && self.0.last_put_succeeded.load(Ordering::Relaxed)
    }

    /// Returns `true` if the store gives what it has: it says of a blob that never exists that it is missing.
    async fn answers(&self) -> bool {
        let absent = Path::from(ABSENT);
        matches!(
            self.call(limits::BLOB_PROBE_TIMEOUT, self.read(&absent)).await,
            Ok(_) | Err(BlobError::Missing)
        )
    }

    /// Bounds a call, and tells what is missing from what is out of reach.
    async fn call<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, BlobError> {
        let outcome = async {
            match call.await {
                Err(error @ object_store::Error::NotFound { .. }) => {
                    // All blobs seem to be missing from a place that is.
                    let is_there = !names_no_bucket(&error) && self.require_folder().await.is_ok();
                    Err(if is_there { BlobError::Missing } else { BlobError::Unavailable(error) })
                }
                outcome => outcome.map_err(BlobError::Unavailable),
            }
        };
        let in_time = tokio::time::timeout(limit, outcome).await;
        in_time.unwrap_or_else(|_| Err(BlobError::Unavailable(failure(io::ErrorKind::TimedOut))))
    }

    async fn read(&self, name: &Path) -> object_store::Result<Bytes> {
        let begun = tokio::time::timeout(limits::BLOB_ANSWER_TIMEOUT, self.0.store.get(name)).await;
        let found = begun.unwrap_or_else(|_| Err(failure(io::ErrorKind::TimedOut)))?;
        if found.meta.size > limits::MAX_SNAPSHOT_BYTES as u64 {
            // No snapshot of ours, and too much to look at.
            let source = Box::new(io::Error::from(io::ErrorKind::FileTooLarge));
            return Err(object_store::Error::NotFound { path: name.to_string(), source });
        }
        found.bytes().await
    }

    /// Fails when the blobs should lie in a folder and there is none.
    async fn require_folder(&self) -> object_store::Result<()> {
        let Some(folder) = &self.0.folder else { return Ok(()) };
        match tokio::fs::metadata(folder).await {
            Ok(meta) if meta.is_dir() => Ok(()),
            Ok(_) => Err(failure(io::ErrorKind::NotADirectory)),
            Err(error) => Err(failure(error.kind())),
        }
    }

    /// Opens a file in the folder for writing.
    async fn try_folder(&self) -> io::Result<()> {
        let Some(folder) = &self.0.folder else { return Ok(()) };
        tokio::fs::File::create(folder.join(WRITABLE)).await.map(drop)
    }
}

impl fmt::Debug for Blobs {
    /// The store's own form may show its settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blobs").field(&format_args!("{}", self.0.store)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_is_given_up() {
        let blobs = Blobs::new(Arc::new(object_store::memory::InMemory::new()));
        let outcome = blobs.call::<()>(limits::MIN_PERIOD, std::future::pending()).await;
        assert!(matches!(outcome, Err(BlobError::Unavailable(_))), "{outcome:?}");
    }
}
