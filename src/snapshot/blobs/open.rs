//! The way from a [`BlobUrl`] to the blobs there: a folder is made, a bucket gets its settings.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    prefix::PrefixStore,
};

use super::Blobs;
use crate::{
    limits,
    snapshot::{BlobUrl, InvalidBlobUrl},
};

/// Time to connect to a bucket.
const BLOB_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Attempts of a bucket's client after one that failed.
const BLOB_RETRIES: usize = 3;
/// Longest pause between them; the first is 100 ms.
const BLOB_RETRY_MAX: Duration = Duration::from_secs(2);

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
}

/// A client for buckets with our bounds and what the environment says.
fn bucket_settings(environment: impl Iterator<Item = (String, String)>) -> AmazonS3Builder {
    let options =
        ClientOptions::new().with_timeout(limits::BLOB_TIMEOUT).with_connect_timeout(BLOB_CONNECT_TIMEOUT);
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: BLOB_RETRY_MAX, ..BackoffConfig::default() },
        max_retries: BLOB_RETRIES,
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

    #[test]
    fn secrets_are_not_shown() {
        let url = "s3://bucket?access_key_id=key&secret_access_key=hush&region=here";
        assert!(!format!("{:?}", Blobs::open(url).unwrap()).contains("hush"));
    }
}
