//! The store on PostgreSQL 15 or later.
//!
//! A batch is appended by one call of the function `append_ops`, in one round trip, as long as
//! nothing in it is out of the ordinary: it inserts first, and a duplicate shows as a violation of
//! `ops_op_id_key`. Only then, or when the function asks for care, is the batch resolved op by op
//! in a transaction of several statements.

use std::{
    collections::{BTreeSet, HashMap},
    str::FromStr,
};

use async_trait::async_trait;
use sqlx::{
    Connection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use super::{
    AppendRequest, Appended, AppendedTo, Claim, CreateOutcome, Drawing, DrawingCursor, DuePage, Heads,
    ImportStore, ImportedLog, ImportedOp, Link, LogPage, Member, MemberOutcome, Meta, PoolOptions, ReadRange,
    Snapshot, SnapshotStore, Store, StoreError, StoredOp,
    columns::Columns,
    directory::{DrawingRow, impl_store, role_from_sql, user_from_sql},
    import::{impl_import, ops_after},
    log::{FIRST_STEP, OpRow, impl_log},
    resolve::{Known, KnownHead, LogRow, Resolution, fog_candidates, resolve},
    revision_from_sql, revision_to_sql,
    snapshots::impl_snapshots,
    types::{HeadRow, branch_from_sql},
};
use crate::{
    limits,
    model::{DrawingId, Epoch, OpId, Revision, Role, UserId},
};

/// The store on PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    /// Serves reads. The same pool as `write`; the names are those `directory_methods` wants.
    read: PgPool,
    write: PgPool,
}

impl PostgresStore {
    /// Connects, waiting for the server if it is not there yet, and brings the schema up to date
    /// under an advisory lock, so that any number of nodes may start at once.
    ///
    /// # Errors
    /// When the server is not there in time, or a migration fails.
    pub async fn connect(url: &str, options: PoolOptions) -> Result<Self, StoreError> {
        let connect = PgConnectOptions::from_str(url)?
            .application_name("revcast")
            .options([("statement_timeout", limits::STATEMENT_TIMEOUT.as_millis().to_string())]);
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(limits::STORE_ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                // A connection in steady use needs no probe; one that idled may have died.
                Box::pin(async move {
                    if meta.idle_for > limits::STORE_PROBE_AFTER {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect);
        let store = Self { read: pool.clone(), write: pool };
        store.wait_until_reachable(options).await?;
        store.migrate().await?;
        store.warn_without_timeline().await?;
        Ok(store)
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

    async fn wait_until_reachable(&self, options: PoolOptions) -> Result<(), StoreError> {
        let deadline = tokio::time::Instant::now() + options.start_timeout;
        loop {
            match self.write.acquire().await {
                Ok(_) => return Ok(()),
                Err(error) if tokio::time::Instant::now() >= deadline => return Err(error.into()),
                Err(error) => match StoreError::from(error) {
                    StoreError::Unavailable(error) => {
                        tracing::warn!(%error, "the store is not there yet");
                        tokio::time::sleep(limits::RETRY_AFTER).await;
                    }
                    failed => return Err(failed),
                },
            }
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.write.acquire().await?;
        // Waiting for another node's migration may take longer than a statement should.
        sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
        let mut migrator = sqlx::migrate!("migrations/postgres");
        // A node that is older than the schema goes on with what it knows while the others are renewed.
        let outcome = migrator.set_ignore_missing(true).run(&mut *connection).await;
        // The session is altered; it does not go back to the pool.
        connection.close().await?;
        outcome.map_err(|error| StoreError::Failed(sqlx::Error::Migrate(Box::new(error))))
    }

    async fn begin_write(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.write.begin().await?)
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
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
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

/// Whether the batch must be looked at op by op: the function says so, or an `op_id` is there.
fn needs_care(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else { return false };
    database.code().is_some_and(|code| code == "RC001") || database.constraint() == Some("ops_op_id_key")
}

/// Locks the heads and looks up everything that `resolve` wants to know.
async fn look_up(
    tx: &mut Transaction<'static, Postgres>,
    batch: &[AppendRequest],
) -> Result<(Epoch, Known), StoreError> {
    let drawings: Vec<Uuid> = batch.iter().map(|r| r.drawing_id.0).collect();
    let locked = sqlx::query_as::<_, (Uuid, i64, bool, i64, i64, Option<Uuid>, i64)>(
        "SELECT drawing_id, revision, has_fog, floor, ts, epoch, base
           FROM heads WHERE drawing_id = ANY($1) ORDER BY drawing_id FOR UPDATE",
    )
    .bind(&drawings)
    .fetch_all(&mut **tx)
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
    .fetch_all(&mut **tx)
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
        .fetch_all(&mut **tx)
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
async fn current_epoch(tx: &mut Transaction<'static, Postgres>) -> Result<(Uuid, Option<Uuid>), StoreError> {
    let row =
        sqlx::query_as("SELECT epoch, previous_epoch FROM current_epoch()").fetch_one(&mut **tx).await?;
    Ok(row)
}

async fn write(
    tx: &mut Transaction<'static, Postgres>,
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
    .execute(&mut **tx)
    .await?;
    if !fog_drawings.is_empty() {
        sqlx::query("INSERT INTO fog (drawing_id, object_id) SELECT * FROM unnest($1::uuid[], $2::text[])")
            .bind(&fog_drawings)
            .bind(&fog_objects)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn insert_ops(tx: &mut Transaction<'static, Postgres>, rows: &[LogRow<'_>]) -> Result<(), StoreError> {
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
    .execute(&mut **tx)
    .await?;
    Ok(())
}
