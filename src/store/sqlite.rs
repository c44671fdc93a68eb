//! The store on an SQLite file: write-ahead log, `synchronous=FULL`, one writer.
//!
//! There is one connection that writes and a few that read. A batch is one `BEGIN IMMEDIATE`
//! transaction of a handful of statements, whatever it holds.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    str::FromStr,
    sync::Arc,
};

use async_trait::async_trait;
use sqlx::{
    Sqlite,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use super::{
    AppendRequest, Appended, Claim, CreateOutcome, Drawing, DrawingCursor, DuePage, FileLock, Heads, Health,
    ImportStore, ImportedLog, ImportedOp, JoinedLink, Link, LogPage, Member, MemberOutcome, Meta,
    PoolOptions, Probe, ReadRange, Snapshot, SnapshotStore, Store, StoreError, StoredOp,
    directory::{DrawingRow, impl_store, role_from_sql, user_from_sql},
    import::{impl_import, ops_after},
    inspect::{
        InspectStore, InspectedDrawing, InspectedHead, InspectedOp, InspectedOpRow, InspectedOps,
        InspectedRow, impl_inspect,
    },
    log::{FIRST_STEP, OpRow, impl_log},
    resolve::{Known, KnownHead, LogRow, NewHead, Resolution, fog_candidates, resolve},
    revision_from_sql, revision_to_sql,
    sessions::{Sessions, Trust, Tx},
    snapshots::impl_snapshots,
    types::{HeadRow, branch_from_sql},
};
use crate::{
    clock::now_ms,
    limits,
    model::{DrawingId, Epoch, OpId, Revision, Role, UserId},
};

/// Rows inserted by one statement, largest first: a batch is cut into these, so that each
/// statement is prepared once.
const INSERT_ROWS: [usize; 4] = [64, 16, 4, 1];

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
    read: Sessions<Sqlite>,
    /// One connection: SQLite has one writer, and it should wait here rather than in the file.
    write: Sessions<Sqlite>,
    health: Arc<Health>,
}

impl SqliteStore {
    /// Opens the file of a `sqlite:` URL, creating it and its folder where they are missing, and
    /// brings the schema up to date under a lock of the file system.
    ///
    /// # Errors
    /// When the file cannot be opened, or a migration fails.
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
        let health = Arc::<Health>::default();
        let trust = Trust::new(health.clone());
        let with_cache = |cache| connect.clone().pragma("cache_size", cache);
        let (reads, writes) = (with_cache(READ_CACHE_KIB), with_cache(WRITE_CACHE_KIB));
        let read = Sessions::new(reads.clone(), options.max_connections.max(1), &trust);
        let write = Sessions::new(writes.clone(), 1, &trust);
        let store = Self { read, write, health };
        store.migrate(&file).await?;
        // What is missing from now on is lost, and nothing to begin anew with.
        store.read.lead_to(reads.create_if_missing(false));
        store.write.lead_to(writes.create_if_missing(false));
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
        let health = Arc::<Health>::default();
        let sessions = Sessions::new(connect, options.max_connections.max(1), &Trust::new(health.clone()));
        Ok(Self { read: sessions.clone(), write: sessions, health })
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
        let mut migrator = sqlx::migrate!("migrations/sqlite");
        // A node that is older than the schema goes on with what it knows while the others are renewed.
        let mut lease = self.write.lease().await?;
        let outcome = migrator.set_ignore_missing(true).run(lease.connection()).await;
        drop(lock);
        outcome.map_err(|error| StoreError::Failed(sqlx::Error::Migrate(Box::new(error))))
    }

    async fn begin_write(&self) -> Result<Tx<Sqlite>, StoreError> {
        self.write.begin().await
    }

    async fn write_probe(&self, probe: Probe) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO write_probe (id, at, filling) VALUES (1, $1, $2)
                 ON CONFLICT (id) DO UPDATE SET at = excluded.at, filling = coalesce(excluded.filling, filling)",
        )
        .bind(now_ms())
        .bind(probe.filling())
        .execute(&self.write)
        .await?;
        self.write.wrote();
        Ok(())
    }

    async fn append_batch(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        let mut tx = self.begin_write().await?;
        let (epoch, known) = look_up(&mut tx, batch).await?;
        let resolution = resolve(batch, known, now_ms);
        if !resolution.inserts.is_empty() {
            write(&mut tx, batch, &resolution, epoch).await?;
        }
        tx.commit().await?;
        if !resolution.inserts.is_empty() {
            self.write.wrote();
        }
        Ok(Appended { epoch, heads: resolution.appended_to(), outcomes: resolution.outcomes })
    }

    async fn read_roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<Vec<(Uuid, String, String)>, StoreError> {
        let wanted: Vec<(String, &str)> =
            pairs.iter().map(|(id, user)| (id.0.simple().to_string(), user.as_str())).collect();
        let rows = sqlx::query_as(
            "SELECT m.drawing_id, m.user_id, m.role FROM json_each($1) AS w
              CROSS JOIN members m ON m.drawing_id = unhex(w.value ->> 0) AND m.user_id = w.value ->> 1",
        )
        .bind(serde_json::json!(wanted).to_string())
        .fetch_all(&self.read)
        .await?;
        Ok(rows)
    }

    async fn read_heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        let ids = json_ids(drawings.iter().map(|id| id.0));
        let rows = sqlx::query_as::<_, HeadRow>(
            "SELECT m.epoch, m.previous_epoch, h.drawing_id, h.revision,
                    CASE WHEN h.epoch = m.epoch THEN h.base ELSE h.revision END, h.floor
               FROM meta m
               LEFT JOIN json_each($1) AS j LEFT JOIN heads h ON h.drawing_id = unhex(j.value)",
        )
        .bind(ids)
        .fetch_all(&self.read)
        .await?;
        Heads::from_rows(rows)
    }
}

/// A row of `look_up`: the epoch and the one before; id, head, fog, floor, time and base of a drawing.
type LockedRow =
    (Uuid, Option<Uuid>, Option<Uuid>, Option<i64>, Option<bool>, Option<i64>, Option<i64>, Option<i64>);

impl SqliteStore {
    /// Gives the database a new epoch that goes on with nothing.
    const NEW_EPOCH: &'static str = "UPDATE meta SET epoch = $1, previous_epoch = NULL";
}

/// The epoch in which a transaction numbers, and the one before.
async fn current_epoch(tx: &mut Tx<Sqlite>) -> Result<(Uuid, Option<Uuid>), StoreError> {
    let row = sqlx::query_as("SELECT epoch, previous_epoch FROM meta").fetch_one(&mut *tx).await?;
    Ok(row)
}

impl_store!(SqliteStore, Sqlite);
impl_log!(SqliteStore, Sqlite);
impl_snapshots!(SqliteStore, Sqlite);
impl_import!(SqliteStore, Sqlite);
impl_inspect!(SqliteStore, "CAST(o.actor AS BLOB)", "CAST(o.body AS BLOB)");

/// UUIDs as a JSON array of hexadecimal strings: SQLite's stand-in for an array parameter.
fn json_ids(ids: impl Iterator<Item = Uuid>) -> String {
    let mut json = String::from("[");
    for id in ids {
        if json.len() > 1 {
            json.push(',');
        }
        json.push('"');
        json.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
        json.push('"');
    }
    json.push(']');
    json
}

/// Looks up everything that `resolve` wants to know; the transaction is the lock.
async fn look_up(tx: &mut Tx<Sqlite>, batch: &[AppendRequest]) -> Result<(Epoch, Known), StoreError> {
    let mut ids: Vec<DrawingId> = batch.iter().map(|r| r.drawing_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = sqlx::query_as::<_, LockedRow>(
        "SELECT m.epoch, m.previous_epoch, h.drawing_id, h.revision, h.has_fog, h.floor, h.ts,
                CASE WHEN h.epoch = m.epoch THEN h.base ELSE h.revision END
           FROM meta m
           LEFT JOIN json_each($1) AS j LEFT JOIN heads h ON h.drawing_id = unhex(j.value)",
    )
    .bind(json_ids(ids.iter().map(|id| id.0)))
    .fetch_all(&mut *tx)
    .await?;
    let epoch = rows.first().map(|row| Epoch(row.0)).ok_or(StoreError::Corrupt("meta table"))?;
    let mut known = Known::default();
    let mut foggy = Vec::new();
    for row in rows {
        let (epoch, previous, Some(id), Some(revision), Some(has_fog), Some(floor), Some(ts), Some(base)) =
            row
        else {
            continue;
        };
        let branch = branch_from_sql(epoch, previous, base)?;
        let (revision, floor) = (revision_from_sql(revision)?, revision_from_sql(floor)?);
        known.heads.insert(DrawingId(id), KnownHead { revision, floor, ts, branch });
        if has_fog {
            foggy.push(id);
        }
    }
    let mut wanted = String::from("[");
    for request in batch {
        for op in &request.ops {
            let id = |id: Uuid| id.simple().to_string();
            for op_id in [Some(op.op_id), op.named_unit()].into_iter().flatten() {
                let comma = if wanted.len() > 1 { "," } else { "" };
                wanted.push_str(&format!("{comma}[\"{}\",\"{}\"]", id(request.drawing_id.0), id(op_id.0)));
            }
        }
    }
    wanted.push(']');
    let rows = sqlx::query_as::<_, (Uuid, Uuid, i64, Uuid, String, String)>(
        "SELECT o.drawing_id, o.op_id, o.revision, o.unit, o.actor, o.body
           FROM json_each($1) AS w
           CROSS JOIN ops o ON o.drawing_id = unhex(w.value ->> 0) AND o.op_id = unhex(w.value ->> 1)",
    )
    .bind(wanted)
    .fetch_all(&mut *tx)
    .await?;
    for row in rows {
        known.add_op(row)?;
    }
    if !foggy.is_empty() {
        let rows = sqlx::query_as::<_, (Uuid, String)>(
            "SELECT DISTINCT f.drawing_id, f.object_id FROM json_each($1) AS w
              CROSS JOIN fog f ON f.drawing_id = unhex(w.value ->> 0) AND f.object_id = w.value ->> 1",
        )
        .bind(
            serde_json::json!(
                fog_candidates(batch, &foggy)
                    .map(|(id, object)| (id.simple().to_string(), object))
                    .collect::<Vec<_>>()
            )
            .to_string(),
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in rows {
            known.add_fog(row)?;
        }
    }
    SqliteStore::look_up_toggles(tx, batch, &mut known).await?;
    SqliteStore::look_up_conditions(tx, batch, &mut known).await?;
    Ok((epoch, known))
}

async fn write(
    tx: &mut Tx<Sqlite>,
    batch: &[AppendRequest],
    resolution: &Resolution,
    epoch: Epoch,
) -> Result<(), StoreError> {
    insert_ops(tx, &resolution.rows(batch)).await?;
    let mut heads = String::from("[");
    for (id, NewHead { revision, floor, ts, bytes }) in &resolution.heads {
        let comma = if heads.len() > 1 { "," } else { "" };
        heads.push_str(&format!("{comma}[\"{}\",{revision},{floor},{ts},{bytes}]", id.0.simple()));
    }
    heads.push(']');
    // An upsert rather than an UPDATE … FROM, which would go through all heads: those that are named exist.
    sqlx::query(
        "INSERT INTO heads (drawing_id, revision, floor, ts, bytes, epoch)
         SELECT unhex(n.value ->> 0), n.value ->> 1, n.value ->> 2, n.value ->> 3, n.value ->> 4, $2
           FROM json_each($1) AS n WHERE true
             ON CONFLICT (drawing_id) DO UPDATE
            SET revision = excluded.revision, floor = excluded.floor, ts = excluded.ts,
                bytes = bytes + excluded.bytes,
                base = CASE WHEN epoch = excluded.epoch THEN base ELSE revision END, epoch = excluded.epoch",
    )
    .bind(heads)
    .bind(epoch.0)
    .execute(&mut *tx)
    .await?;
    for (drawing_id, object) in &resolution.fog {
        sqlx::query("INSERT INTO fog (drawing_id, object_id) VALUES ($1, $2)")
            .bind(drawing_id.0)
            .bind(object.as_str())
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE heads SET has_fog = 1 WHERE drawing_id = $1")
            .bind(drawing_id.0)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

async fn insert_ops(tx: &mut Tx<Sqlite>, mut rows: &[LogRow<'_>]) -> Result<(), StoreError> {
    for size in INSERT_ROWS {
        while let Some((chunk, rest)) = rows.split_at_checked(size) {
            insert_chunk(tx, chunk).await?;
            rows = rest;
        }
    }
    Ok(())
}

/// Inserts as many rows as one of `INSERT_ROWS` says. OR FAIL spares SQLite the journal with which it
/// would undo half a statement: a failure undoes the transaction.
async fn insert_chunk(tx: &mut Tx<Sqlite>, rows: &[LogRow<'_>]) -> Result<(), StoreError> {
    let mut builder = sqlx::QueryBuilder::<Sqlite>::new(
        "INSERT OR FAIL INTO ops (drawing_id, revision, op_id, unit, actor, ts, body) ",
    );
    builder.push_values(rows, |mut values, row| {
        values
            .push_bind(row.drawing_id)
            .push_bind(row.revision)
            .push_bind(row.op_id)
            .push_bind(row.unit)
            .push_bind(row.actor)
            .push_bind(row.ts)
            .push_bind(row.body);
    });
    builder.build().persistent(true).execute(&mut *tx).await?;
    Ok(())
}
