//! Blobs by name: a local folder, or a bucket that speaks S3.
//!
//! Owns how a snapshot's bytes are written, read and removed, and for how long a call may wait. It knows
//! nothing of what stands in them.

use std::{
    fmt, fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path,
    prefix::PrefixStore,
};
use uuid::Uuid;

use super::{BlobUrl, InvalidBlobUrl};
use crate::{limits, model::DrawingId};

/// The extension of a blob's name.
const EXTENSION: &str = ".snap";
/// The name of no blob: reading it tells whether the store answers.
const ABSENT: &str = "absent";
/// An empty file in a folder for blobs, which is opened for writing to tell whether that can be done.
const WRITABLE: &str = "writable";

/// The blobs of all drawings, named `<drawing_id>/<snapshot_id>.snap`. Cheap to clone.
///
/// A blob is written once, whole or not at all, and never changed: readers see all of it or none. A folder is not
/// flushed to the disk, which would make commits wait on the same disk: a loss of power may leave short or empty
/// blobs of the last seconds behind, whose checksums tell, and an older snapshot serves instead. What a process that
/// was killed had half written stays beside the blobs as `….snap#1`, is never read, and goes with the blob of that
/// name.
///
/// No call waits longer than `BLOB_TIMEOUT`, attempts of a bucket's client included; nor a read longer than
/// `BLOB_ANSWER_TIMEOUT` for its answer to begin.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>, Reach);

/// Who else has these blobs.
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
    /// How the last `put` ended; true before the first.
    last_put_succeeded: AtomicBool,
}

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

/// Why a place for blobs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BlobOpenError {
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] InvalidBlobUrl),
    /// The folder is not there and cannot be made.
    #[error("the folder for blobs {} cannot be made: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The settings of the URL and of the environment do not do.
    #[error("the settings of the blob store do not do: {0}")]
    Settings(#[source] object_store::Error),
}

impl Blobs {
    /// The blobs at a [`BlobUrl`]. A folder is made if it is missing; a bucket is not talked to yet, and
    /// takes what the URL leaves open from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP` and the like).
    ///
    /// Its credentials must allow to list the bucket: without that S3 answers "forbidden" for "missing".
    ///
    /// # Errors
    /// See [`BlobOpenError`].
    pub fn open(url: &str) -> Result<Self, BlobOpenError> {
        match url.parse()? {
            BlobUrl::Folder(path) => Self::open_folder(path),
            BlobUrl::Bucket { bucket, prefix, settings } => {
                let client =
                    bucket_settings(std::env::vars_os().filter_map(|(name, value)| {
                        Some((name.into_string().ok()?, value.into_string().ok()?))
                    }));
                let client =
                    settings.into_iter().fold(client, |client, (key, value)| client.with_config(key, value));
                let store = client.with_bucket_name(bucket).build().map_err(BlobOpenError::Settings)?;
                Ok(Self::new(Arc::new(PrefixStore::new(store, prefix))))
            }
        }
    }

    fn open_folder(path: PathBuf) -> Result<Self, BlobOpenError> {
        // The store keeps the absolute path: a later change of the working directory does no harm.
        let made = fs::create_dir_all(&path).and_then(|()| path.canonicalize());
        let folder = made.map_err(|source| BlobOpenError::Folder { path, source })?;
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(BlobOpenError::Settings)?;
        let store = store.with_automatic_cleanup(true);
        Ok(Self::with_folder(Arc::new(store), Some(folder)))
    }

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

    /// Whether a blob that is missing here is missing everywhere.
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

    /// Whether snapshots can be kept: the store answers, within `BLOB_PROBE_TIMEOUT`; a folder is there, and can
    /// be written to; and the last [`put`](Self::put) of this process succeeded. After one
    /// that failed the answer is no until one succeeds: a full disk, or credentials that may only read, show
    /// nowhere else.
    pub async fn probe(&self) -> bool {
        let can_write = self.call(limits::BLOB_PROBE_TIMEOUT, async {
            self.require_folder().await?;
            self.try_folder().await.map_err(|error| failure(error.kind()))
        });
        can_write.await.is_ok() && self.answers().await && self.0.last_put_succeeded.load(Ordering::Relaxed)
    }

    /// Whether the store gives what it has: the blob that is never there is missing.
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

/// A client for buckets with our bounds and what the environment says.
fn bucket_settings(environment: impl Iterator<Item = (String, String)>) -> AmazonS3Builder {
    let options = ClientOptions::new()
        .with_timeout(limits::BLOB_TIMEOUT)
        .with_connect_timeout(limits::BLOB_CONNECT_TIMEOUT);
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: limits::BLOB_RETRY_MAX, ..BackoffConfig::default() },
        max_retries: limits::BLOB_RETRIES,
        retry_timeout: limits::BLOB_TIMEOUT,
    };
    let client = AmazonS3Builder::new().with_client_options(options).with_retry(retry);
    environment.fold(client, |client, (name, value)| {
        let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>());
        match key {
            // A variable that is set to nothing says nothing.
            Some(Ok(key)) if !value.is_empty() => client.with_config(key, value),
            _ => client,
        }
    })
}

fn name(drawing: DrawingId, snapshot: Uuid) -> Path {
    Path::from(format!("{drawing}/{snapshot}{EXTENSION}"))
}

fn parse_name(name: &Path) -> Option<(DrawingId, Uuid)> {
    let (drawing, file) = name.as_ref().split_once('/')?;
    let snapshot = file.strip_suffix(EXTENSION)?;
    Some((drawing.parse().ok()?, Uuid::try_parse(snapshot).ok()?))
}

/// Whether it is the bucket that is not there. S3 has one status for both and tells in the body.
fn names_no_bucket(error: &object_store::Error) -> bool {
    error.to_string().contains("<Code>NoSuchBucket</Code>")
}

/// A failure of ours, in the words of the store.
fn failure(kind: io::ErrorKind) -> object_store::Error {
    object_store::Error::Generic { store: "blobs", source: Box::new(io::Error::from(kind)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_sets_what_it_names() {
        let environment = [
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", ""),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000"),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_PAGER", "less"),
            ("REGION", "nowhere"),
        ];
        let client =
            bucket_settings(environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter());
        for (key, value) in [
            (AmazonS3ConfigKey::AccessKeyId, Some("key")),
            (AmazonS3ConfigKey::SecretAccessKey, Some("secret")),
            (AmazonS3ConfigKey::Token, None),
            (AmazonS3ConfigKey::Region, Some("eu-west-1")),
            (AmazonS3ConfigKey::Endpoint, Some("http://127.0.0.1:9000")),
        ] {
            assert_eq!(client.get_config_value(&key).as_deref(), value, "{key:?}");
        }
        assert!(client.with_bucket_name("b").build().is_ok(), "HTTP is allowed");
    }

    #[tokio::test]
    async fn a_call_that_hangs_is_given_up() {
        let blobs = Blobs::new(Arc::new(object_store::memory::InMemory::new()));
        let outcome = blobs.call::<()>(limits::MIN_PERIOD, std::future::pending()).await;
        assert!(matches!(outcome, Err(BlobError::Unavailable(_))), "{outcome:?}");
    }

    #[test]
    fn a_name_leads_back_to_its_ids() {
        let ids = (DrawingId(Uuid::now_v7()), Uuid::now_v7());
        assert_eq!(parse_name(&name(ids.0, ids.1)), Some(ids));
        for other in ["writable", "a/b.snap", &format!("{}/{}.snap", ids.0, "x"), &format!("{}/x", ids.0)] {
            assert_eq!(parse_name(&Path::from(other)), None, "{other}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let url = "s3://bucket?access_key_id=key&secret_access_key=hush&region=here";
        assert!(!format!("{:?}", Blobs::open(url).unwrap()).contains("hush"));
    }
}
