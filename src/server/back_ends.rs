//! Picks the concrete back ends, and connects to them.

use std::{sync::Arc, time::Instant};

use anyhow::Context;

use crate::{
    bus::{Bus, LocalBus, NatsBus},
    config::{DEFAULT_BLOB_URL, ServeArgs, StoreArgs},
    limits,
    snapshot::Blobs,
    store::{FileLock, Log, Meta, PoolOptions, PostgresStore, SqliteStore, Store, StoreError},
    telemetry::Metrics,
};

/// The back ends that a server stands on.
#[allow(missing_debug_implementations, reason = "made once, and never shown")]
pub struct BackEnds {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The hint.
    pub bus: Arc<dyn Bus>,
    /// Counters, which the bus may have a part in.
    pub metrics: Arc<Metrics>,
}

/// Connects to the database and brings its schema up to date.
///
/// # Errors
/// When the database cannot be reached or migrated.
pub async fn open_store(args: &StoreArgs) -> anyhow::Result<Arc<dyn Store>> {
    args.check()?;
    let options = PoolOptions {
        max_connections: args.database_connections,
        start_timeout: limits::STORE_START_TIMEOUT,
    };
    Ok(if args.is_sqlite() {
        let store = SqliteStore::connect(&args.database_url, options).await;
        Arc::new(store.context("opening the SQLite database")?)
    } else {
        let store = PostgresStore::connect(&args.database_url, options).await;
        Arc::new(store.context("connecting to the Postgres database")?)
    })
}

/// Reads what belongs to the database as a whole, waiting for a database that has gone since it was opened.
pub(super) async fn read_meta(log: &dyn Log) -> Result<Meta, StoreError> {
    let deadline = Instant::now() + limits::STORE_START_TIMEOUT;
    loop {
        match log.meta().await {
            Err(error) if error.is_passing() && Instant::now() < deadline => {
                tracing::warn!(%error, "the database has gone while this server starts; trying on");
                tokio::time::sleep(limits::RETRY_AFTER).await;
            }
            outcome => return outcome,
        }
    }
}

/// Keeps other processes from serving the file, if the database is one.
pub(super) fn lock_file(args: &StoreArgs) -> anyhow::Result<Option<FileLock>> {
    let lock = args.is_sqlite().then(|| SqliteStore::lock(&args.database_url));
    lock.transpose().context("opening the SQLite database")
}

/// Opens the database as it is, to read only: its schema stays what it was.
///
/// # Errors
/// When the URL does not do. A database that cannot be reached shows with the first call.
pub fn open_store_to_read(args: &StoreArgs) -> anyhow::Result<Arc<dyn Store>> {
    args.check()?;
    let options = PoolOptions {
        max_connections: args.database_connections,
        start_timeout: limits::STORE_START_TIMEOUT,
    };
    Ok(if args.is_sqlite() {
        Arc::new(SqliteStore::open_to_read(&args.database_url, options)?)
    } else {
        Arc::new(PostgresStore::open_to_read(&args.database_url, options)?)
    })
}

pub(super) async fn connect_bus(args: &ServeArgs, metrics: &Arc<Metrics>) -> anyhow::Result<Arc<dyn Bus>> {
    let Some(options) = args.nats.options()? else { return Ok(Arc::new(LocalBus::new())) };
    Ok(Arc::new(NatsBus::connect(&options, metrics.clone()).await.context("connecting to NATS")?))
}

pub(super) fn open_blobs(args: &ServeArgs) -> anyhow::Result<Blobs> {
    let blobs = Blobs::open(&args.blob_url).context("opening the blob store")?;
    if args.store.is_sqlite() || args.blob_url != DEFAULT_BLOB_URL {
        return Ok(blobs);
    }
    tracing::warn!(
        "snapshots are kept in a folder of this machine: give --blob-url when there are other nodes"
    );
    Ok(blobs.perhaps_local())
}
