//! Sessions with the database, and which of them may be used again.
//!
//! Owns the pool. Invariant: a session whose state nobody knows is never used again. An error tells that of all
//! sessions there are then, since what befell one (a restart, a failover, a full disk) befell the others. What was left
//! in the middle by a future that was dropped is brought to its end before the session goes back, within a time.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryFutureExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use sqlx::{
    Connection, Database, Describe, Either, Execute, Executor, Pool, Postgres, SqlStr, Sqlite, Transaction,
    pool::{PoolConnection, PoolOptions},
};

use super::{Health, StoreError, error::Verdict};
use crate::limits;

/// The sessions with a database. Cheap to clone.
pub(super) struct Sessions<DB: Database> {
    pool: Pool<DB>,
    trust: Arc<Trust>,
}

/// Since when sessions are good.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// Sessions that were opened before are not used again. Held for a look only.
    since: Mutex<Option<Instant>>,
    health: Arc<Health>,
}

impl Trust {
    pub(super) fn new(health: Arc<Health>) -> Arc<Self> {
        Arc::new(Self { since: Mutex::default(), health })
    }

    /// What an error tells of the sessions.
    pub(super) fn note(&self, error: &sqlx::Error) {
        let verdict = Verdict::of(error);
        match verdict {
            Verdict::Good => return,
            Verdict::Outage | Verdict::NoRoom => (),
            Verdict::Broken => self.begin_anew(Duration::ZERO),
            // Reads go on meanwhile, on sessions that need not be new for each write that is tried.
            Verdict::ReadOnly => self.begin_anew(limits::STORE_READ_ONLY_PAUSE),
        }
        self.health.suspect(verdict);
    }

    /// From now on only new sessions are good, unless that has been so for less than `pause`.
    pub(super) fn begin_anew(&self, pause: Duration) {
        let now = Instant::now();
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_none_or(|since| now.saturating_duration_since(since) >= pause) {
            *since = Some(now);
        }
    }

    fn holds_for(&self, age: Duration) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_none_or(|since| since.elapsed() > age)
    }

    /// Whether a session that has idled is there still; if not, the others are gone, too.
    async fn is_there(&self, connection: &mut impl Connection) -> bool {
        let outcome = ping(connection).await;
        outcome.inspect_err(|error| self.note(error)).is_ok()
    }

    /// Whether a session has come to the end of what it was asked for. One that takes long is given up alone.
    async fn is_done(&self, connection: &mut impl Connection) -> bool {
        match ping(connection).await {
            Ok(()) => !connection.is_in_transaction(),
            Err(_) => {
                self.health.suspect(Verdict::Outage);
                false
            }
        }
    }
}

async fn ping(connection: &mut impl Connection) -> sqlx::Result<()> {
    let ping = tokio::time::timeout(limits::STORE_PING_TIMEOUT, connection.ping());
    ping.await.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

impl<DB: Database> Sessions<DB> {
    /// Opens sessions when they are needed, `max` at most.
    pub(super) fn new(
        options: <DB::Connection as Connection>::Options,
        max: u32,
        trust: &Arc<Trust>,
    ) -> Self {
        let (before, after) = (trust.clone(), trust.clone());
        let pool = PoolOptions::new()
            .max_connections(max)
            .acquire_timeout(limits::STORE_ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let trust = before.clone();
                // A session in steady use needs no probe; one that idled may have died.
                Box::pin(async move {
                    Ok(trust.holds_for(meta.age)
                        && (meta.idle_for <= limits::STORE_PROBE_AFTER || trust.is_there(connection).await))
                })
            })
            .after_release(move |connection, meta| {
                let trust = after.clone();
                // What was queued, such as a rollback, is done once it answers. One that is in a transaction even then was
                // rolled back by the database without its knowledge.
                Box::pin(async move { Ok(trust.holds_for(meta.age) && trust.is_done(connection).await) })
            })
            .connect_lazy_with(options);
        Self { pool, trust: trust.clone() }
    }

    /// A session for statements that belong together and are no transaction.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<DB>, StoreError> {
        Ok(self.pool.acquire().await.inspect_err(|error| self.trust.note(error))?)
    }

    /// Begins a transaction; dropped without `commit`, it is rolled back.
    pub(super) async fn begin(&self) -> Result<Tx<DB>, StoreError> {
        let pool = self.pool.clone();
        self.begun(async move { pool.begin().await }).await
    }

    /// Begins a transaction by a statement of its own.
    pub(super) async fn begin_with(&self, statement: &'static str) -> Result<Tx<DB>, StoreError> {
        let pool = self.pool.clone();
        self.begun(async move { pool.begin_with(statement).await }).await
    }

    /// In a task of its own, which is never dropped half-way: sqlx would not know that the transaction has begun, and all
    /// that follows on the session would be written in it, acknowledged, and never committed.
    async fn begun(
        &self,
        begin: impl Future<Output = sqlx::Result<Transaction<'static, DB>>> + Send + 'static,
    ) -> Result<Tx<DB>, StoreError> {
        let outcome = tokio::spawn(begin).await.unwrap_or(Err(sqlx::Error::WorkerCrashed));
        let inner = outcome.inspect_err(|error| self.trust.note(error))?;
        Ok(Tx { inner, trust: self.trust.clone() })
    }

    /// Leads new sessions elsewhere, and ends the others once nobody uses them.
    pub(super) fn lead_to(&self, options: <DB::Connection as Connection>::Options) {
        self.pool.set_connect_options(options);
        self.trust.begin_anew(Duration::ZERO);
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A transaction, whose errors tell of its session.
pub(super) struct Tx<DB: Database> {
    inner: Transaction<'static, DB>,
    trust: Arc<Trust>,
}

impl<DB: Database> Tx<DB> {
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let Self { inner, trust } = self;
        Ok(inner.commit().await.inspect_err(|error| trust.note(error))?)
    }
}

/// Expands to the executors of one database: written for any database, the bounds would have no end.
macro_rules! impl_executors {
    ($database:ty) => {
        impl<'p> Executor<'p> for &'p Sessions<$database> {
            impl_executor!($database, 'p, this => (&this.pool, &this.trust));
        }

        impl<'t> Executor<'t> for &'t mut Tx<$database> {
            impl_executor!($database, 't, this => (&mut *this.inner, &this.trust));
        }
    };
}

/// Expands to the methods: `$inner` executes, and its errors are noted.
macro_rules! impl_executor {
    ($database:ty, $life:lifetime, $this:ident => ($inner:expr, $trust:expr)) => {
        type Database = $database;

        fn fetch_many<'e, 'q: 'e, E>(
            self,
            query: E,
        ) -> BoxStream<'e, sqlx::Result<Either<ResultOf<$database>, RowOf<$database>>>>
        where
            $life: 'e,
            E: 'q + Execute<'q, $database>,
        {
            let $this = self;
            let trust = $trust;
            $inner.fetch_many(query).inspect_err(move |error| trust.note(error)).boxed()
        }

        fn fetch_optional<'e, 'q: 'e, E>(
            self,
            query: E,
        ) -> BoxFuture<'e, sqlx::Result<Option<RowOf<$database>>>>
        where
            $life: 'e,
            E: 'q + Execute<'q, $database>,
        {
            let $this = self;
            let trust = $trust;
            Box::pin($inner.fetch_optional(query).inspect_err(move |error| trust.note(error)))
        }

        fn prepare_with<'e>(
            self,
            sql: SqlStr,
            parameters: &'e [<$database as Database>::TypeInfo],
        ) -> BoxFuture<'e, sqlx::Result<<$database as Database>::Statement>>
        where
            $life: 'e,
        {
            let $this = self;
            let trust = $trust;
            Box::pin($inner.prepare_with(sql, parameters).inspect_err(move |error| trust.note(error)))
        }

        fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<$database>>>
        where
            $life: 'e,
        {
            let $this = self;
            let trust = $trust;
            Box::pin($inner.describe(sql).inspect_err(move |error| trust.note(error)))
        }
    };
}

type ResultOf<DB> = <DB as Database>::QueryResult;
type RowOf<DB> = <DB as Database>::Row;

impl_executors!(Sqlite);
impl_executors!(Postgres);

impl<DB: Database> Clone for Sessions<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), trust: self.trust.clone() }
    }
}

impl<DB: Database> fmt::Debug for Sessions<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("open", &self.pool.size()).finish_non_exhaustive()
    }
}

impl<DB: Database> fmt::Debug for Tx<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}
