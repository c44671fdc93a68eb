//! The store on an SQLite file: write-ahead log, `synchronous=FULL`, one writer. It holds the differences from
//! Postgres.
//!
//! There is one connection that writes and a few that read. A batch is one `BEGIN IMMEDIATE`
//! transaction of a handful of statements, whatever it holds.

mod append;
mod lock;
mod look_up;

use std::{path::Path, str::FromStr, sync::Arc};

use sqlx::{
    Sqlite,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteQueryResult, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    AppendRequest, Appended, Heads, PoolOptions, Probe, StoreError, StoreHealth,
    resolve::{LogRow, resolve},
    sql::{Dialect, HeadRow, Pools, Sessions, SqlBackend, Trust, Tx, collect_heads, query},
};
use crate::{
    clock::now_ms,
    limits,
    model::{DrawingId, UserId},
};
use append::{insert_ops, write};
use look_up::{json_ids, look_up};

pub use lock::{FileLock, FileLockError};

/// Memory for pages in the connection that writes: 16 MiB, which SQLite counts as negative KiB.
const WRITE_CACHE_KIB: &str = "-16384";
/// The same in each connection that reads, which forgets all pages whenever something was written.
const READ_CACHE_KIB: &str = "-2048";
/// Pages in the write-ahead log at which it is folded into the file: 40 MB, since a batch over many
/// drawings touches many pages.
const CHECKPOINT_PAGES: &str = "10000";

/// The store on an SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    /// One connection writes: SQLite has one writer, and it should wait here rather than in the file.
    pools: Pools<Sqlite>,
}

impl SqliteStore {
    /// Opens the file of a `sqlite:` URL, creating it and its folder where they are missing, and
    /// brings the schema up to date under a lock of the file system. Waits for a disk that is full or fails.
    ///
    /// # Errors
    /// When the file cannot be opened, a migration fails, or the disk does not do again in time.
    pub async fn connect(url: &str, options: PoolOptions) -> Result<Self, StoreError> {
        let connect = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .busy_timeout(limits::STATEMENT_TIMEOUT);
        let file = connect.get_filename().to_owned();
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
        }
        let health = Arc::<StoreHealth>::default();
        let trust = Trust::new(health.clone());
        let with_cache = |cache| connect.clone().pragma("cache_size", cache);
        let (reads, writes) = (with_cache(READ_CACHE_KIB), with_cache(WRITE_CACHE_KIB));
        let read = Sessions::new(reads.clone(), options.max_connections.max(1), &trust);
        let write = Sessions::new(writes.clone(), 1, &trust);
        let store = Self { pools: Pools { read, write, health } };
        let deadline = Instant::now() + options.start_timeout;
        while let Err(error) = store.migrate(&file).await {
            if !error.is_of_the_disk() || Instant::now() >= deadline {
                return Err(error);
            }
            tracing::warn!(%error, "the disk of the database fails while this server starts; trying on");
            sleep(limits::RETRY_AFTER).await;
        }
        // A file that is missing from now on is lost; it must not be begun anew.
        store.pools.read.lead_to(reads.create_if_missing(false));
        store.pools.write.lead_to(writes.create_if_missing(false));
        Ok(store)
    }

    /// Takes the lock of the file of a `sqlite:` URL, which a server holds as long as it serves.
    ///
    /// # Errors
    /// When another process serves the file, or it cannot be locked.
    pub fn lock(url: &str) -> anyhow::Result<FileLock> {
        Ok(FileLock::take(SqliteConnectOptions::from_str(url)?.get_filename())?)
    }

    /// Opens the file of a `sqlite:` URL as it is, to read only: nothing is made, brought up to date or written.
    ///
    /// # Errors
    /// When the URL is none. A file that is not there shows with the first call.
    pub fn open_to_read(url: &str, options: PoolOptions) -> Result<Self, StoreError> {
        let connect = SqliteConnectOptions::from_str(url)?
            .read_only(true)
            .pragma("cache_size", READ_CACHE_KIB)
            .busy_timeout(limits::STATEMENT_TIMEOUT);
        let health = Arc::<StoreHealth>::default();
        let sessions = Sessions::new(connect, options.max_connections.max(1), &Trust::new(health.clone()));
        Ok(Self { pools: Pools { read: sessions.clone(), write: sessions, health } })
    }

    async fn migrate(&self, file: &Path) -> Result<(), StoreError> {
        let mut lock_name = file.as_os_str().to_owned();
        lock_name.push(".migrate");
        let lock = tokio::task::spawn_blocking(move || {
            let lock = std::fs::File::create(lock_name)?;
            lock.lock()?;
            Ok(lock)
        });
        let lock = lock.await.map_err(|_| sqlx::Error::WorkerCrashed)?.map_err(sqlx::Error::Io)?;
        let mut migrator = super::migrations::sqlite();
        // A node that is older than the schema goes on with what it knows while the others are renewed.
        let mut lease = self.pools.write.lease().await?;
        let outcome = migrator.set_ignore_missing(true).run(lease.connection()).await;
        drop(lock);
        outcome.map_err(|error| match error {
            MigrateError::Execute(error) => StoreError::from(error),
            error => StoreError::Failed(sqlx::Error::Migrate(Box::new(error))),
        })
    }
}

impl SqlBackend for SqliteStore {
    type Database = Sqlite;

    fn pools(&self) -> &Pools<Sqlite> {
        &self.pools
    }

    async fn append_batch(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        let mut tx = self.pools.begin_write().await?;
        let (epoch, known) = look_up(&mut tx, batch).await?;
        let resolution = resolve(batch, known, now_ms);
        if !resolution.inserts.is_empty() {
            write(&mut tx, batch, &resolution, epoch).await?;
        }
        tx.commit().await?;
        if !resolution.inserts.is_empty() {
            self.pools.write.wrote();
        }
        Ok(Appended { epoch, heads: resolution.appended_to(), outcomes: resolution.outcomes })
    }

    async fn read_roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<Vec<(Uuid, String, String)>, StoreError> {
        let wanted: Vec<(String, &str)> =
            pairs.iter().map(|(id, user)| (id.0.simple().to_string(), user.as_str())).collect();
        let rows = query(
            "SELECT m.drawing_id, m.user_id, m.role FROM json_each($1) AS w
              CROSS JOIN members m ON m.drawing_id = unhex(w.value ->> 0) AND m.user_id = w.value ->> 1",
        )
        .bind(serde_json::json!(wanted).to_string())
        .fetch_all(&self.pools.read)
        .await?;
        Ok(rows)
    }

    async fn read_heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        let ids = json_ids(drawings.iter().map(|id| id.0));
        let rows = query(
            "SELECT m.epoch, m.previous_epoch, h.drawing_id, h.revision,
                    CASE WHEN h.epoch = m.epoch THEN h.base ELSE h.revision END, h.floor
               FROM meta m
               LEFT JOIN json_each($1) AS j LEFT JOIN heads h ON h.drawing_id = unhex(j.value)",
        )
        .bind(ids)
        .fetch_all::<HeadRow>(&self.pools.read)
        .await?;
        collect_heads(rows)
    }

    async fn write_probe(&self, probe: Probe) -> Result<(), StoreError> {
        query(
            "INSERT INTO write_probe (id, at, filling) VALUES (1, $1, $2)
                 ON CONFLICT (id) DO UPDATE SET at = excluded.at, filling = coalesce(excluded.filling, filling)",
        )
        .bind(now_ms())
        .bind(probe.filling())
        .execute(&self.pools.write)
        .await?;
        self.pools.write.wrote();
        Ok(())
    }
}

impl Dialect for Sqlite {
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const NEW_EPOCH: &'static str = "UPDATE meta SET epoch = $1, previous_epoch = NULL";
    const OP_TEXTS_AS_BYTES: [&'static str; 2] = ["CAST(o.actor AS BLOB)", "CAST(o.body AS BLOB)"];

    fn rows_affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }

    async fn current_epoch(tx: &mut Tx<Self>) -> Result<(Uuid, Option<Uuid>), StoreError> {
        Ok(query("SELECT epoch, previous_epoch FROM meta").fetch_one(tx).await?)
    }

    async fn insert_ops(tx: &mut Tx<Self>, rows: &[LogRow<'_>]) -> Result<(), StoreError> {
        insert_ops(tx, rows).await
    }
}
