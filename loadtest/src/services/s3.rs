//! A bucket that speaks S3, in this process.

use std::fs;

use anyhow::anyhow;
use async_trait::async_trait;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::SimpleAuth,
    s3_error,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tokio::{net::TcpListener, task::JoinHandle};

use super::TempFolder;

/// An S3 server with one bucket, which lets in one key alone. It stops when the handle goes.
#[derive(Debug)]
pub struct S3Server {
    /// The port that it listens on.
    pub port: u16,
    /// The name of its bucket.
    pub bucket: String,
    /// The id of the key that it lets in.
    pub access_key: String,
    /// The secret part of that key.
    pub secret_key: String,
    /// Holds the bucket as a folder, with its objects as files.
    pub folder: TempFolder,
    served: JoinHandle<()>,
}

/// Tells a bucket that is not there from an object that is not there, as S3 does; the server behind does not.
struct OneBucket(String);

#[async_trait]
impl S3Access for OneBucket {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        if request.credentials().is_none() {
            return Err(s3_error!(AccessDenied));
        }
        if request.s3_path().get_bucket_name() != Some(&self.0) {
            return Err(s3_error!(NoSuchBucket));
        }
        Ok(())
    }
}

impl S3Server {
    /// Starts one on a free port, with an empty bucket.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = TempFolder::new("s3")?;
        let (bucket, access_key, secret_key) =
            ("snapshots".to_owned(), "revcast".to_owned(), "a+secret/of=tests".to_owned());
        fs::create_dir(folder.path().join(&bucket))?;
        let files = FileSystem::new(folder.path()).map_err(|error| anyhow!("no bucket: {error:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(access_key.clone(), secret_key.clone()));
        service.set_access(OneBucket(bucket.clone()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let served = tokio::spawn(serve(listener, service.build()));
        Ok(Self { port, bucket, access_key, secret_key, folder, served })
    }

    /// The value of `--blob-url` for the names under `prefix` in its bucket.
    pub fn url(&self, prefix: &str) -> String {
        self.url_through(self.port, prefix)
    }

    /// The same through another port, which may be that of a proxy.
    pub fn url_through(&self, port: u16, prefix: &str) -> String {
        let Self { bucket, access_key, secret_key, .. } = self;
        let settings = format!("access_key_id={access_key}&secret_access_key={secret_key}&allow_http=true");
        format!("s3://{bucket}/{prefix}?endpoint=http://127.0.0.1:{port}&{settings}")
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    while let Ok((client, _)) = listener.accept().await {
        // A client that breaks off is its own business.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(client), service.clone()));
    }
}
