//! The bucket of `loadtest`, for tests, which end where it does not start.

use std::ops::Deref;

/// An S3 server in this process; it stops when the handle goes.
pub struct S3Server(loadtest::services::S3Server);

impl S3Server {
    /// Starts one on a free port, with an empty bucket.
    pub async fn start() -> Self {
        Self(loadtest::services::S3Server::start().await.unwrap())
    }
}

impl Deref for S3Server {
    type Target = loadtest::services::S3Server;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
