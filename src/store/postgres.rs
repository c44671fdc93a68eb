//! The store on PostgreSQL 15 or later: what it does otherwise than SQLite.
//!
//! A batch is appended by one call of the function `append_ops`, in one round trip, as long as
//! nothing in it is out of the ordinary: it inserts first, and a duplicate shows as a violation of
//! `ops_op_id_key`. Only then, or when the function asks for care, is the batch resolved op by op
//! in a transaction of several statements.

mod append;
mod columns;
mod hosts;
mod look_up;
mod pooler;
mod probe;
mod schema;

use std::sync::Arc;

use sqlx::{Postgres, postgres::PgQueryResult};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    AppendRequest, Appended, Heads, PoolOptions, Probe, StoreError, StoreHealth,
    resolve::LogRow,
    sql::{Dialect, HeadRow, Pools, Sessions, SqlBackend, Trust, Tx, collect_heads, query},
};
use crate::{
    limits,
    model::{DrawingId, UserId},
};
use append::{append_plain, append_with_care, insert_ops};
use hosts::Hosts;
use pooler::look_for_a_pooler;
use schema::migrate;

/// The store on PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    /// One pool for reads and writes.
    pools: Pools<Postgres>,
    /// Where the database may be.
    hosts: Arc<Hosts>,
}

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
            let health = Arc::<StoreHealth>::default();
            let trust = Trust::new(health.clone());
            let sessions = Sessions::new(hosts.current().clone(), options.max_connections.max(2), &trust);
            let pools = Pools { read: sessions.clone(), write: sessions, health };
            let store = Self { pools, hosts };
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
        look_for_a_pooler(&self.pools).await?;
        migrate(&self.pools).await?;
        self.warn_without_timeline().await
    }

    /// Connects to a database as it is, to read only: nothing is brought up to date or written. A server that is not
    /// there shows with the first call.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn open_to_read(url: &str, options: PoolOptions) -> Result<Self, StoreError> {
        let hosts = Arc::new(Hosts::parse(url)?);
        let health = Arc::<StoreHealth>::default();
        let read_only = hosts.current().clone().options([("default_transaction_read_only", "on")]);
        let sessions = Sessions::new(read_only, options.max_connections, &Trust::new(health.clone()));
        Ok(Self { pools: Pools { read: sessions.clone(), write: sessions, health }, hosts })
    }

    /// Says so if a promotion of a standby will not be noticed.
    async fn warn_without_timeline(&self) -> Result<(), StoreError> {
        let timeline = query("SELECT current_timeline()").fetch_one::<Option<i32>>(&self.pools.write).await?;
        if timeline.is_none() {
            tracing::warn!(
                "this database does not tell its timeline (pg_walfile_name, pg_current_wal_lsn): \
                 after a failover, run revcast new-epoch"
            );
        }
        Ok(())
    }
}

impl SqlBackend for PostgresStore {
    type Database = Postgres;

    fn pools(&self) -> &Pools<Postgres> {
        &self.pools
    }

    async fn append_batch(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        // A request that is known to need care would only spoil the round trip for the others.
        let is_plain = |r: &AppendRequest| {
            let is_guarded = r.if_revision.is_some() || r.untoggled_since.is_some();
            !is_guarded && r.fold.is_none() && !r.ops.iter().any(|op| op.creates_fog)
        };
        if batch.iter().all(is_plain)
            && let Some(appended) = append_plain(&self.pools, batch, now_ms).await?
        {
            return Ok(appended);
        }
        append_with_care(&self.pools, batch, now_ms).await
    }

    async fn read_roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<Vec<(Uuid, String, String)>, StoreError> {
        let (drawings, users): (Vec<Uuid>, Vec<&str>) =
            pairs.iter().map(|(id, user)| (id.0, user.as_str())).unzip();
        let rows = query(
            "SELECT m.drawing_id, m.user_id, m.role FROM unnest($1::uuid[], $2::text[]) AS w (drawing_id, user_id)
               JOIN members m ON m.drawing_id = w.drawing_id AND m.user_id = w.user_id",
        )
        .bind(drawings)
        .bind(users)
        .fetch_all(&self.pools.read)
        .await?;
        Ok(rows)
    }

    async fn read_heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        let ids: Vec<Uuid> = drawings.iter().map(|id| id.0).collect();
        let rows = query(
            "SELECT m.epoch, m.previous_epoch, h.drawing_id, h.revision,
                    CASE WHEN h.epoch = m.epoch THEN h.base ELSE h.revision END, h.floor
               FROM meta m LEFT JOIN heads h ON h.drawing_id = ANY($1)",
        )
        .bind(ids)
        .fetch_all::<HeadRow>(&self.pools.read)
        .await?;
        collect_heads(rows)
    }

    async fn write_probe(&self, probe: Probe) -> Result<(), StoreError> {
        probe::write(&self.pools, &self.hosts, probe).await
    }
}

impl Dialect for Postgres {
    const BEGIN: &'static str = "BEGIN";
    const NEW_EPOCH: &'static str = "UPDATE meta SET epoch = $1, previous_epoch = NULL, timeline = coalesce(current_timeline(), timeline)";
    const OP_TEXTS_AS_BYTES: [&'static str; 2] =
        ["convert_to(o.actor, 'UTF8')", "convert_to(o.body, 'UTF8')"];

    fn rows_affected(result: &PgQueryResult) -> u64 {
        result.rows_affected()
    }

    /// New ones, if Postgres was promoted since.
    async fn current_epoch(tx: &mut Tx<Self>) -> Result<(Uuid, Option<Uuid>), StoreError> {
        Ok(query("SELECT epoch, previous_epoch FROM current_epoch()").fetch_one(tx).await?)
    }

    async fn insert_ops(tx: &mut Tx<Self>, rows: &[LogRow<'_>]) -> Result<(), StoreError> {
        insert_ops(tx, rows).await
    }
}
