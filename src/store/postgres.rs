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
    AppendRequest, Appended, Claim, CreateOutcome, Drawing, DrawingCursor, DuePage, Heads, ImportStore,
    ImportedOp, Link, LogPage, Member, MemberOutcome, Meta, PoolOptions, ReadRange, Snapshot, SnapshotStore,
    Store, StoreError, StoredOp,
    columns::Columns,
    directory::{DrawingRow, impl_store, role_from_sql, user_from_sql},
    import::{impl_import, ops_after},
    log::{FIRST_STEP, OpRow, impl_log},
    resolve::{Known, LogRow, Resolution, fog_candidates, resolve},
    revision_from_sql, revision_to_sql,
    snapshots::impl_snapshots,
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
        Ok(store)
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
        let row = sqlx::query_as::<_, (Uuid, Vec<i64>)>(
            "SELECT epoch, heads_before FROM append_ops($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)",
        )
        .bind(&columns.drawings)
        .bind(&columns.counts)
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
        .bind(now_ms)
        .fetch_one(&self.write)
        .await;
        let (epoch, heads_before) = match row {
            Ok(row) => row,
            Err(error) if needs_care(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let heads_before = heads_before.into_iter().map(revision_from_sql).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Appended { epoch: Epoch(epoch), outcomes: columns.number(batch, &heads_before) }))
    }

    /// The road that looks at each op.
    async fn append_with_care(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        let mut tx = self.begin_write().await?;
        let (epoch, known) = look_up(&mut tx, batch).await?;
        let resolution = resolve(batch, known);
        if !resolution.inserts.is_empty() {
            write(&mut tx, batch, &resolution, now_ms).await?;
        }
        tx.commit().await?;
        Ok(Appended { epoch, outcomes: resolution.outcomes })
    }

    async fn append_batch(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        // What is known to need care would only spoil the round trip for the others.
        let is_plain = |r: &AppendRequest| {
            let is_guarded = r.if_revision.is_some() || r.untoggled_since.is_some();
            !is_guarded && !r.ops.iter().any(|op| op.creates_fog)
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
        let rows = sqlx::query_as::<_, (Uuid, Option<Uuid>, Option<i64>)>(
            "SELECT m.epoch, h.drawing_id, h.revision FROM meta m LEFT JOIN heads h ON h.drawing_id = ANY($1)",
        )
        .bind(ids)
        .fetch_all(&self.read)
        .await?;
        Heads::from_rows(rows)
    }
}

impl_store!(PostgresStore);
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
    let locked = sqlx::query_as::<_, (Uuid, i64, bool)>(
        "SELECT drawing_id, revision, has_fog FROM heads WHERE drawing_id = ANY($1) ORDER BY drawing_id FOR UPDATE",
    )
    .bind(&drawings)
    .fetch_all(&mut **tx)
    .await?;
    let mut known = Known::default();
    let mut foggy = Vec::new();
    for (id, revision, has_fog) in locked {
        known.heads.insert(DrawingId(id), revision_from_sql(revision)?);
        if has_fog {
            foggy.push(id);
        }
    }
    let (mut wanted_drawings, mut wanted_ops) = (Vec::new(), Vec::new());
    for request in batch {
        for op in &request.ops {
            for id in [op.op_id, op.unit] {
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
    let epoch = sqlx::query_scalar::<_, Uuid>("SELECT epoch FROM meta").fetch_one(&mut **tx).await?;
    Ok((Epoch(epoch), known))
}

async fn write(
    tx: &mut Transaction<'static, Postgres>,
    batch: &[AppendRequest],
    resolution: &Resolution,
    now_ms: i64,
) -> Result<(), StoreError> {
    insert_ops(tx, &resolution.rows(batch, now_ms)).await?;
    let (ids, heads): (Vec<Uuid>, Vec<i64>) =
        resolution.heads.iter().map(|(id, head)| (id.0, revision_to_sql(*head))).unzip();
    let fog: Vec<(Uuid, &str)> = resolution.fog.iter().map(|(id, object)| (id.0, object.as_str())).collect();
    let (fog_drawings, fog_objects): (Vec<Uuid>, Vec<&str>) = fog.into_iter().unzip();
    sqlx::query(
        "UPDATE heads h SET revision = n.revision, has_fog = has_fog OR h.drawing_id = ANY($3)
           FROM unnest($1::uuid[], $2::bigint[]) AS n (drawing_id, revision) WHERE h.drawing_id = n.drawing_id",
    )
    .bind(&ids)
    .bind(&heads)
    .bind(&fog_drawings)
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
