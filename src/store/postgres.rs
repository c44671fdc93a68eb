//! The store on PostgreSQL 15 or later.
//!
//! A batch is appended by one call of the function `append_ops`, in one round trip, as long as
//! nothing in it is out of the ordinary: it inserts first, and a duplicate shows as a violation of
//! `ops_op_id_key`. Only then, or when the function asks for care, is the batch resolved op by op
//! in a transaction of several statements.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::Arc,
};

use async_trait::async_trait;
use sqlx::{
    Connection, Postgres,
    migrate::{MigrateError, Migrator},
};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{
    AppendRequest, Appended, AppendedTo, Claim, CreateOutcome, Drawing, DrawingCursor, DuePage, Heads,
    Health, ImportStore, ImportedLog, ImportedOp, JoinedLink, Link, LogPage, Member, MemberOutcome, Meta,
    PoolOptions, Probe, ReadRange, Snapshot, SnapshotStore, Store, StoreError, StoredOp,
    columns::Columns,
    directory::{DrawingRow, impl_store, role_from_sql, user_from_sql},
    error::Verdict,
    hosts::{Hosts, show},
    import::{impl_import, ops_after},
    inspect::{
        InspectStore, InspectedDrawing, InspectedHead, InspectedOp, InspectedOpRow, InspectedOps,
        InspectedRow, impl_inspect,
    },
    log::{FIRST_STEP, OpRow, impl_log},
    resolve::{Known, KnownHead, LogRow, Resolution, fog_candidates, resolve},
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

/// The store on PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    /// Serves reads. The same pool as `write`; the names are those `directory_methods` wants.
    read: Sessions<Postgres>,
    write: Sessions<Postgres>,
    /// Where the database may be.
    hosts: Arc<Hosts>,
    health: Arc<Health>,
}

/// The advisory lock under which the schema is changed.
const MIGRATION_LOCK: i64 = 0x7265_7663_6173_7401;

const OLD_SCHEMA: &str = "the schema of the database is not up to date, and the role of --database-url may not change it: \
     run `revcast migrate` with a role that owns the tables";

const NO_SECOND_SESSION: &str = "two sessions cannot be had at the same time: a pooler between this server and Postgres has \
     too few (PgBouncer: `default_pool_size`)";

const NO_STATEMENTS: &str = "a pooler between this server and Postgres gives each transaction another session, and does not \
     know prepared statements: for PgBouncer, set `pool_mode = session`, or use 1.21 or later with \
     `max_prepared_statements` above 0";

impl PostgresStore {
    /// Connects, waiting for the server if it is not there yet, and brings the schema up to date
    /// under an advisory lock, so that any number of nodes may start at once.
    ///
    /// # Errors
    /// When the server is not there in time, is not fit, or a migration fails.
    pub async fn connect(url: &str, options: PoolOptions) -> Result<Self, StoreError> {
        let deadline = Instant::now() + options.start_timeout;
        loop {
            let hosts = Arc::new(Hosts::parse(url)?);
            hosts.wait(options).await?;
            let health = Arc::<Health>::default();
            let trust = Trust::new(health.clone());
            let sessions = Sessions::new(hosts.current().clone(), options.max_connections.max(2), &trust);
            let store = Self { read: sessions.clone(), write: sessions, hosts, health };
            match store.prepare().await {
                // It was there a moment ago, and a failover or a restart may bring it back.
                Err(error) if error.is_passing() && !error.is_refusal() && Instant::now() < deadline => {
                    tracing::warn!(%error, "the database has gone while this server starts; trying on");
                    sleep(limits::RETRY_AFTER).await;
                }
                outcome => return outcome.map(|()| store),
            }
        }
    }

    /// Sees to it that this server can work with the database.
    async fn prepare(&self) -> Result<(), StoreError> {
        self.look_for_a_pooler().await?;
        self.migrate().await?;
        self.warn_without_timeline().await
    }

    /// Connects to a database as it is, to read only: nothing is brought up to date or written. A server that is not
    /// there shows with the first call.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn open_to_read(url: &str, options: PoolOptions) -> Result<Self, StoreError> {
        let hosts = Arc::new(Hosts::parse(url)?);
        let health = Arc::<Health>::default();
        let read_only = hosts.current().clone().options([("default_transaction_read_only", "on")]);
        let sessions = Sessions::new(read_only, options.max_connections, &Trust::new(health.clone()));
        Ok(Self { read: sessions.clone(), write: sessions, hosts, health })
    }

    /// Sees to it that sessions keep what they prepare: behind a pooler that gives each transaction another session of
    /// the database, statements would be executed that another server has prepared.
    async fn look_for_a_pooler(&self) -> Result<(), StoreError> {
        let (mut one, mut other) = (self.write.lease().await?, self.write.lease().await?);
        // What fails in the middle does not go back.
        one.spend();
        other.spend();
        let by_turns = async {
            let statement_timeout = show(one.connection(), "SHOW statement_timeout").await?;
            sqlx::query("SELECT 1").execute(one.connection()).await?;
            // A pooler would give this one what the first had.
            sqlx::raw_sql("BEGIN").execute(other.connection()).await?;
            sqlx::query("SELECT 1").execute(other.connection()).await?;
            sqlx::query("SELECT 1").execute(one.connection()).await?;
            Ok(statement_timeout)
        };
        let statement_timeout = match timeout(limits::STATEMENT_TIMEOUT, by_turns).await {
            Ok(Err(error)) if loses_statements(&error) => {
                return Err(StoreError::Unfit(NO_STATEMENTS.to_owned()));
            }
            Ok(outcome) => outcome?,
            Err(_) => return Err(StoreError::Unfit(NO_SECOND_SESSION.to_owned())),
        };
        if statement_timeout == "0" {
            tracing::warn!(
                "a pooler drops this server's statement_timeout: set one for its role \
                 (ALTER ROLE … SET statement_timeout = '5s')"
            );
        }
        Ok(())
    }

    /// Says so if a promotion of a standby will not be noticed.
    async fn warn_without_timeline(&self) -> Result<(), StoreError> {
        let timeline =
            sqlx::query_scalar::<_, Option<i32>>("SELECT current_timeline()").fetch_one(&self.write).await?;
        if timeline.is_none() {
            tracing::warn!(
                "this database does not tell its timeline (pg_walfile_name, pg_current_wal_lsn): \
                 after a failover, run revcast new-epoch"
            );
        }
        Ok(())
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut migrator = sqlx::migrate!("migrations/postgres");
        // A role that may only read and write rows needs no more where there is nothing to change.
        if self.has_migrations(&migrator).await? {
            return Ok(());
        }
        let mut lease = self.write.lease().await?;
        lease.spend();
        // All of them in one transaction, which holds the lock: so a pooler leaves it alone.
        let migrate = async {
            let mut tx = lease.connection().begin().await?;
            // A migration may take longer than a statement should, and so may waiting for another node's.
            sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *tx).await?;
            // A node that is older than the schema goes on with what it knows while the others are renewed.
            migrator.set_ignore_missing(true).set_locking(false).run(&mut *tx).await?;
            Ok(tx.commit().await?)
        };
        migrate.await.map_err(|error: MigrateError| {
            let error = match error {
                MigrateError::Execute(error) => error,
                error => sqlx::Error::Migrate(Box::new(error)),
            };
            if is_forbidden(&error) {
                StoreError::Unfit(OLD_SCHEMA.to_owned())
            } else {
                StoreError::from(error)
            }
        })
    }

    /// Whether all migrations are in the database as they are here.
    async fn has_migrations(&self, migrator: &Migrator) -> Result<bool, StoreError> {
        let is_there = sqlx::query_scalar::<_, bool>("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
        if !is_there.fetch_one(&self.read).await? {
            return Ok(false);
        }
        let applied = sqlx::query_as::<_, (i64, Vec<u8>)>(
            "SELECT version, checksum FROM _sqlx_migrations WHERE success",
        )
        .fetch_all(&self.read)
        .await?;
        let applied: HashMap<i64, Vec<u8>> = applied.into_iter().collect();
        Ok(migrator
            .iter()
            .all(|known| applied.get(&known.version).is_some_and(|sum| **sum == *known.checksum)))
    }

    async fn begin_write(&self) -> Result<Tx<Postgres>, StoreError> {
        self.write.begin().await
    }

    /// Writes by the pool; where that fails or takes long, by a new connection to whichever host takes writes: if that
    /// succeeds, the fault is with the sessions, or the database is at another host.
    async fn write_probe(&self, probe: Probe) -> Result<(), StoreError> {
        let mut touch = pin!(self.touch_probe(probe));
        match timeout(limits::STORE_SLOW_CALL, &mut touch).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => {
                if Verdict::of(&error) == Verdict::NoRoom {
                    return Err(error.into());
                }
                self.hosts.follow(&self.write).await?;
                return Ok(self.touch_probe(probe).await?);
            }
            Err(_) => (),
        }
        loop {
            tokio::select! {
                outcome = &mut touch => return Ok(outcome?),
                found = self.hosts.follow(&self.write) => match found {
                    Err(error) if error.is_silence() => (),
                    found => {
                        found?;
                        return Ok(self.touch_probe(probe).await?);
                    }
                },
            }
            tokio::select! {
                outcome = &mut touch => return Ok(outcome?),
                () = sleep(limits::STORE_PROBE_PAUSE) => (),
            }
        }
    }

    async fn touch_probe(&self, probe: Probe) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO write_probe (at, filling) VALUES ($1, $2)
                 ON CONFLICT (id) DO UPDATE
                SET at = excluded.at, filling = coalesce(excluded.filling, write_probe.filling)",
        )
        .bind(now_ms())
        .bind(probe.filling())
        .execute(&self.write)
        .await?;
        self.write.wrote();
        Ok(())
    }

    /// The one round trip. `None` when the batch needs care.
    async fn append_plain(
        &self,
        batch: &[AppendRequest],
        now_ms: i64,
    ) -> Result<Option<Appended>, StoreError> {
        let columns = Columns::new(batch);
        let row = sqlx::query_as::<_, (Uuid, Vec<i64>, Vec<i64>, Vec<i64>)>(
            "SELECT log_epoch, heads_before, floors, times
               FROM append_ops($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)",
        )
        .bind(&columns.drawings)
        .bind(&columns.counts)
        .bind(&columns.sizes)
        .bind(&columns.guarded)
        .bind(&columns.op_drawing)
        .bind(&columns.op_nth)
        .bind(&columns.op_ids)
        .bind(&columns.op_units)
        .bind(&columns.op_actors)
        .bind(&columns.op_bodies)
        .bind(&columns.named_drawing)
        .bind(&columns.named_units)
        .bind(&columns.named_actors)
        .bind(&columns.epochs)
        .bind(now_ms)
        .fetch_one(&self.write)
        .await;
        let (epoch, heads_before, floors, times) = match row {
            Ok(row) => row,
            Err(error) if needs_care(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.write.wrote();
        let heads_before = heads_before.into_iter().map(revision_from_sql).collect::<Result<Vec<_>, _>>()?;
        let mut heads = HashMap::with_capacity(columns.drawings.len());
        for (id, (floor, ts)) in columns.drawings.iter().zip(floors.into_iter().zip(times)) {
            heads.insert(DrawingId(*id), AppendedTo { ts, floor: revision_from_sql(floor)? });
        }
        Ok(Some(Appended { epoch: Epoch(epoch), heads, outcomes: columns.number(batch, &heads_before) }))
    }

    /// The road that looks at each op.
    async fn append_with_care(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        let mut tx = self.begin_write().await?;
        let (epoch, known) = look_up(&mut tx, batch).await?;
        let resolution = resolve(batch, known, now_ms);
        if !resolution.inserts.is_empty() {
            write(&mut tx, batch, &resolution, epoch).await?;
        }
        // What was committed before may not have reached a synchronous standby yet: a commit of one's own waits for that.
        let found = resolution.drawings_with_duplicates(batch);
        if resolution.inserts.is_empty() && !found.is_empty() {
            sqlx::query("UPDATE heads SET revision = revision WHERE drawing_id = ANY($1)")
                .bind(&found)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        if !resolution.inserts.is_empty() {
            self.write.wrote();
        }
        Ok(Appended { epoch, heads: resolution.appended_to(), outcomes: resolution.outcomes })
    }

    async fn append_batch(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        // What is known to need care would only spoil the round trip for the others.
        let is_plain = |r: &AppendRequest| {
            let is_guarded = r.if_revision.is_some() || r.untoggled_since.is_some();
            !is_guarded && r.fold.is_none() && !r.ops.iter().any(|op| op.creates_fog)
        };
        if batch.iter().all(is_plain)
            && let Some(appended) = self.append_plain(batch, now_ms).await?
        {
            return Ok(appended);
        }
        self.append_with_care(batch, now_ms).await
    }

    async fn read_roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<Vec<(Uuid, String, String)>, StoreError> {
        let (drawings, users): (Vec<Uuid>, Vec<&str>) =
            pairs.iter().map(|(id, user)| (id.0, user.as_str())).unzip();
        let rows = sqlx::query_as(
            "SELECT m.drawing_id, m.user_id, m.role FROM unnest($1::uuid[], $2::text[]) AS w (drawing_id, user_id)
               JOIN members m ON m.drawing_id = w.drawing_id AND m.user_id = w.user_id",
        )
        .bind(drawings)
        .bind(users)
        .fetch_all(&self.read)
        .await?;
        Ok(rows)
    }

    async fn read_heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        let ids: Vec<Uuid> = drawings.iter().map(|id| id.0).collect();
        let rows = sqlx::query_as::<_, HeadRow>(
            "SELECT m.epoch, m.previous_epoch, h.drawing_id, h.revision,
                    CASE WHEN h.epoch = m.epoch THEN h.base ELSE h.revision END, h.floor
               FROM meta m LEFT JOIN heads h ON h.drawing_id = ANY($1)",
        )
        .bind(ids)
        .fetch_all(&self.read)
        .await?;
        Heads::from_rows(rows)
    }
}

impl PostgresStore {
    /// Gives the database a new epoch that goes on with nothing.
    const NEW_EPOCH: &'static str = "UPDATE meta SET epoch = $1, previous_epoch = NULL, timeline = coalesce(current_timeline(), timeline)";
}

impl_store!(PostgresStore, Postgres);
impl_log!(PostgresStore, Postgres);
impl_snapshots!(PostgresStore, Postgres);
impl_import!(PostgresStore, Postgres);
impl_inspect!(PostgresStore, "convert_to(o.actor, 'UTF8')", "convert_to(o.body, 'UTF8')");

/// Whether a statement was not there, or was there, against what the session knew.
fn loses_statements(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    // PgBouncer that gives each statement another session has no transactions.
    let is_by_statement = error.message().contains("statement pooling");
    is_by_statement || error.code().is_some_and(|code| code == "26000" || code == "42P05")
}

/// Whether the role has not the right, however deep the error says so.
fn is_forbidden(error: &sqlx::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(sqlx::Error::Database(error)) = error.downcast_ref::<sqlx::Error>()
            && error.code().is_some_and(|code| code == "42501")
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the batch must be looked at op by op: the function says so, or an `op_id` is there.
fn needs_care(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else { return false };
    database.code().is_some_and(|code| code == "RC001") || database.constraint() == Some("ops_op_id_key")
}

/// Locks the heads and looks up everything that `resolve` wants to know.
async fn look_up(tx: &mut Tx<Postgres>, batch: &[AppendRequest]) -> Result<(Epoch, Known), StoreError> {
    let drawings: Vec<Uuid> = batch.iter().map(|r| r.drawing_id.0).collect();
    let locked = sqlx::query_as::<_, (Uuid, i64, bool, i64, i64, Option<Uuid>, i64)>(
        "SELECT drawing_id, revision, has_fog, floor, ts, epoch, base
           FROM heads WHERE drawing_id = ANY($1) ORDER BY drawing_id FOR UPDATE",
    )
    .bind(&drawings)
    .fetch_all(&mut *tx)
    .await?;
    let (epoch, previous) = current_epoch(tx).await?;
    let mut known = Known::default();
    let mut foggy = Vec::new();
    for (id, revision, has_fog, floor, ts, last_epoch, base) in locked {
        let base = if last_epoch == Some(epoch) { base } else { revision };
        let branch = branch_from_sql(epoch, previous, base)?;
        let (revision, floor) = (revision_from_sql(revision)?, revision_from_sql(floor)?);
        known.heads.insert(DrawingId(id), KnownHead { revision, floor, ts, branch });
        if has_fog {
            foggy.push(id);
        }
    }
    let (mut wanted_drawings, mut wanted_ops) = (Vec::new(), Vec::new());
    for request in batch {
        for op in &request.ops {
            for id in [Some(op.op_id), op.named_unit()].into_iter().flatten() {
                wanted_drawings.push(request.drawing_id.0);
                wanted_ops.push(id.0);
            }
        }
    }
    let rows = sqlx::query_as::<_, (Uuid, Uuid, i64, Uuid, String, String)>(
        "SELECT o.drawing_id, o.op_id, o.revision, o.unit, o.actor, o.body
           FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[]) AS w (drawing_id, op_id)) AS w
           JOIN ops o ON o.drawing_id = w.drawing_id AND o.op_id = w.op_id",
    )
    .bind(&wanted_drawings)
    .bind(&wanted_ops)
    .fetch_all(&mut *tx)
    .await?;
    for row in rows {
        known.add_op(row)?;
    }
    if !foggy.is_empty() {
        let (drawings, objects): (Vec<Uuid>, Vec<&str>) = fog_candidates(batch, &foggy).unzip();
        let rows = sqlx::query_as::<_, (Uuid, String)>(
            "SELECT DISTINCT f.drawing_id, f.object_id FROM unnest($1::uuid[], $2::text[]) AS w (drawing_id, object_id)
               JOIN fog f ON f.drawing_id = w.drawing_id AND f.object_id = w.object_id",
        )
        .bind(drawings)
        .bind(objects)
        .fetch_all(&mut *tx)
        .await?;
        for row in rows {
            known.add_fog(row)?;
        }
    }
    PostgresStore::look_up_toggles(tx, batch, &mut known).await?;
    PostgresStore::look_up_conditions(tx, batch, &mut known).await?;
    Ok((Epoch(epoch), known))
}

/// The epoch in which this transaction numbers, and the one before: new ones, if Postgres was promoted since.
async fn current_epoch(tx: &mut Tx<Postgres>) -> Result<(Uuid, Option<Uuid>), StoreError> {
    let row = sqlx::query_as("SELECT epoch, previous_epoch FROM current_epoch()").fetch_one(&mut *tx).await?;
    Ok(row)
}

async fn write(
    tx: &mut Tx<Postgres>,
    batch: &[AppendRequest],
    resolution: &Resolution,
    epoch: Epoch,
) -> Result<(), StoreError> {
    insert_ops(tx, &resolution.rows(batch)).await?;
    let heads = || resolution.heads.values();
    let fog: Vec<(Uuid, &str)> = resolution.fog.iter().map(|(id, object)| (id.0, object.as_str())).collect();
    let (fog_drawings, fog_objects): (Vec<Uuid>, Vec<&str>) = fog.into_iter().unzip();
    sqlx::query(
        "UPDATE heads h
            SET revision = n.revision, floor = n.floor, ts = n.ts, bytes = h.bytes + n.bytes,
                base = CASE WHEN h.epoch = $7 THEN h.base ELSE h.revision END, epoch = $7,
                has_fog = has_fog OR h.drawing_id = ANY($6)
           FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
                AS n (drawing_id, revision, floor, ts, bytes) WHERE h.drawing_id = n.drawing_id",
    )
    .bind(resolution.heads.keys().map(|id| id.0).collect::<Vec<_>>())
    .bind(heads().map(|head| revision_to_sql(head.revision)).collect::<Vec<_>>())
    .bind(heads().map(|head| revision_to_sql(head.floor)).collect::<Vec<_>>())
    .bind(heads().map(|head| head.ts).collect::<Vec<_>>())
    .bind(heads().map(|head| head.bytes).collect::<Vec<_>>())
    .bind(&fog_drawings)
    .bind(epoch.0)
    .execute(&mut *tx)
    .await?;
    if !fog_drawings.is_empty() {
        sqlx::query("INSERT INTO fog (drawing_id, object_id) SELECT * FROM unnest($1::uuid[], $2::text[])")
            .bind(&fog_drawings)
            .bind(&fog_objects)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

async fn insert_ops(tx: &mut Tx<Postgres>, rows: &[LogRow<'_>]) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO ops (drawing_id, revision, op_id, unit, actor, ts, body)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::text[])",
    )
    .bind(rows.iter().map(|row| row.drawing_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.revision).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.op_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.unit).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.actor).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.ts).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.body).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    Ok(())
}
