//! Where blobs are, as an operator writes it.
//!
//! Owns the forms of `--blob-url`. It opens nothing: `blobs` does.

use std::{fmt, path::PathBuf, str::FromStr};

use object_store::{aws::AmazonS3ConfigKey, path::Path};
use url::{Url, form_urlencoded};

/// A place for blobs.
///
/// | Form | Place |
/// |---|---|
/// | `file:data/blobs` | a folder, relative to the working directory |
/// | `file:///var/lib/revcast` | a folder; the path stands there as it is, without percent-encoding |
/// | `s3://bucket/prefix` | the names under `prefix/` in a bucket; the prefix may be left out |
/// | `s3://bucket/prefix?endpoint=…` | the same, with settings that go before those of the environment |
///
/// The settings are those of [`AmazonS3ConfigKey`], which are also read from the environment as `AWS_…`:
/// `access_key_id`, `secret_access_key`, `session_token`, `region`, `endpoint`, `allow_http` and others.
#[derive(Clone, PartialEq, Eq)]
pub enum BlobUrl {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A part of a bucket.
    Bucket {
        /// The name of the bucket.
        bucket: String,
        /// The beginning of the names of all blobs.
        prefix: Path,
        /// The settings of the URL. They may hold secrets.
        settings: Vec<(AmazonS3ConfigKey, String)>,
    },
}

/// Why a string is not the URL of a place for blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlobUrl {
    /// None of the known forms.
    #[error("the blob URL must read file:path, file:///path or s3://bucket/prefix")]
    Form,
    /// A setting after the `?` that nothing reads.
    #[error("the blob URL has a setting that S3 does not know")]
    Setting,
}

impl FromStr for BlobUrl {
    type Err = InvalidBlobUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBlobUrl> {
        match text.split_once(':') {
            Some(("file", path)) => parse_folder(path),
            Some(("s3", _)) => parse_bucket(text),
            _ => Err(InvalidBlobUrl::Form),
        }
    }
}

impl fmt::Debug for BlobUrl {
    /// The settings may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => f.debug_tuple("Folder").field(path).finish(),
            Self::Bucket { bucket, prefix, .. } => {
                let mut shown = f.debug_struct("Bucket");
                shown.field("bucket", bucket).field("prefix", prefix).finish_non_exhaustive()
            }
        }
    }
}

fn parse_folder(path: &str) -> Result<BlobUrl, InvalidBlobUrl> {
    let path = match path.strip_prefix("//") {
        // Text between the second and the third slash is a host, and there is only this one.
        Some(path) if !path.starts_with('/') => return Err(InvalidBlobUrl::Form),
        Some(path) => path,
        None => path,
    };
    if path.is_empty() { Err(InvalidBlobUrl::Form) } else { Ok(BlobUrl::Folder(path.into())) }
}

fn parse_bucket(text: &str) -> Result<BlobUrl, InvalidBlobUrl> {
    let url = Url::parse(text).map_err(|_| InvalidBlobUrl::Form)?;
    let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or(InvalidBlobUrl::Form)?.to_owned();
    let has_more = !url.username().is_empty() || url.password().is_some() || url.port().is_some();
    if has_more || url.fragment().is_some() {
        return Err(InvalidBlobUrl::Form);
    }
    let prefix = Path::from_url_path(url.path()).map_err(|_| InvalidBlobUrl::Form)?;
    // A plus stands for itself: secrets of S3 have it, and no setting has a space.
    let query = url.query().unwrap_or_default().replace('+', "%2B");
    let settings = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| {
        let key = name.parse().map_err(|_| InvalidBlobUrl::Setting)?;
        Ok((key, value.into_owned()))
    });
    Ok(BlobUrl::Bucket { bucket, prefix, settings: settings.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_relative_or_absolute() {
        for (text, path) in [
            ("file:data/blobs", "data/blobs"),
            ("file:/var/blobs", "/var/blobs"),
            ("file:///var/my blobs?", "/var/my blobs?"),
        ] {
            assert_eq!(text.parse(), Ok(BlobUrl::Folder(path.into())), "{text}");
        }
    }

    #[test]
    fn a_bucket_has_a_prefix_and_settings_if_need_be() {
        for (text, path) in [("s3://b-1", ""), ("s3://b-1/", ""), ("s3://b-1/a/b%20c/", "a/b c")] {
            let Ok(BlobUrl::Bucket { bucket, prefix, settings }) = text.parse() else { panic!("{text}") };
            assert_eq!((bucket.as_str(), prefix.as_ref(), settings.len()), ("b-1", path, 0), "{text}");
        }
        let text = "s3://b/p?endpoint=http://127.0.0.1:9000&secret_access_key=a+b%2Fc";
        let Ok(BlobUrl::Bucket { settings, .. }) = text.parse() else { panic!("{text}") };
        let endpoint = (AmazonS3ConfigKey::Endpoint, "http://127.0.0.1:9000".to_owned());
        assert_eq!(settings, [endpoint, (AmazonS3ConfigKey::SecretAccessKey, "a+b/c".to_owned())]);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "data/blobs",
            "file:",
            "file://",
            "file://host/path",
            "s3:",
            "s3:bucket",
            "s3://",
            "s3:///prefix",
            "s3://key:secret@bucket",
            "s3://bucket:9000",
            "s3://bucket/a//b",
            "s3://bucket/#prefix",
            "https://bucket.s3.amazonaws.com",
            "gs://bucket",
        ] {
            assert_eq!(text.parse::<BlobUrl>(), Err(InvalidBlobUrl::Form), "{text}");
        }
        assert_eq!("s3://bucket?colour=red".parse::<BlobUrl>(), Err(InvalidBlobUrl::Setting));
    }

    #[test]
    fn secrets_are_not_shown() {
        let url: BlobUrl = "s3://bucket?secret_access_key=hush".parse().unwrap();
        assert!(!format!("{url:?}").contains("hush"));
    }
}
