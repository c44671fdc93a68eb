//! Flags of whatever opens the store.

use clap::Args;

use super::ConfigError;
use crate::telemetry::{self, LogFormat};

/// Where the truth is.
#[derive(Clone, Args)]
pub struct StoreArgs {
    /// `sqlite://path` or `postgres://user:password@host/database`, with several hosts parted by commas if need be.
    #[arg(
        long,
        env = "REVCAST_DATABASE_URL",
        default_value = "sqlite://data/revcast.db",
        hide_env_values = true
    )]
    pub database_url: String,
    /// Connections to the database, at most (2 to 1,000).
    #[arg(long, env = "REVCAST_DATABASE_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub database_connections: u32,
    /// Form of the log: for people, or one JSON object a line.
    #[arg(long, env = "REVCAST_LOG_FORMAT", value_enum, default_value = "pretty")]
    pub log_format: LogFormat,
    /// Filter of the log, in the syntax of `RUST_LOG`.
    #[arg(long, env = "REVCAST_LOG", default_value = telemetry::LOG_FILTER)]
    pub log: String,
}

impl StoreArgs {
    /// Checks the URL as far as its kind.
    ///
    /// # Errors
    /// When it is of no known kind, or names no file.
    pub fn check(&self) -> Result<(), ConfigError> {
        let url = self.database_url.as_str();
        let is_file =
            url.strip_prefix("sqlite://").is_some_and(|path| !path.is_empty() && !path.starts_with(':'));
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if is_file || is_postgres { Ok(()) } else { Err(ConfigError::DatabaseUrl) }
    }

    /// True if the database is an SQLite file.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.database_url.starts_with("sqlite:")
    }
}

impl std::fmt::Debug for StoreArgs {
    /// The address may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreArgs").field("is_sqlite", &self.is_sqlite()).finish_non_exhaustive()
    }
}
