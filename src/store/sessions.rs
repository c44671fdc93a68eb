//! Sessions with the database, and which of them may be used again.
//!
//! Owns the pool. Invariants: a session whose state nobody knows is never used again; and no session that has fallen
//! silent keeps its place in the pool once another one shows that the database answers. What befell one session (a
//! restart, a failover) has befallen those that are as old, too.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use futures_util::{StreamExt, TryStreamExt, future::BoxFuture, stream, stream::BoxStream};
use sqlx::{
    Connection, Database, Describe, Either, Execute, Executor, Pool, Postgres, SqlStr, Sqlite,
    pool::{PoolConnection, PoolOptions},
};
use tokio::sync::watch;

use super::{
    Health, StoreError,
    error::{Verdict, silence},
};
use crate::limits;

/// The sessions with a database. Cheap to clone.
pub(super) struct Sessions<DB: Transactional> {
    pool: Pool<DB>,
    trust: Arc<Trust>,
}

/// How old a session must not be.
#[derive(Debug)]
pub(super) struct Trust {
    /// Sessions that were opened before are not used again.
    since: watch::Sender<Option<Instant>>,
    /// Whether sessions have turned out to be read-only since the last write; those stay so.
    are_read_only: AtomicBool,
    health: Arc<Health>,
}

impl Trust {
    pub(super) fn new(health: Arc<Health>) -> Arc<Self> {
        Arc::new(Self { since: watch::Sender::new(None), are_read_only: AtomicBool::new(false), health })
    }

    /// Takes in what an error tells of the sessions.
    pub(super) fn note(&self, error: &sqlx::Error) {
        match Verdict::of(error) {
            Verdict::Good => (),
            Verdict::Contended => self.health.contended(error),
            Verdict::Broken => {
                self.begin_anew();
                self.health.suspect(false);
            }
            // Reads go on with these sessions until one writes.
            Verdict::ReadOnly => {
                self.are_read_only.store(true, Ordering::Relaxed);
                self.health.suspect(false);
            }
            Verdict::Outage => self.health.suspect(false),
            Verdict::NoRoom => self.health.suspect(true),
        }
    }

    /// Takes in that something was written.
    fn wrote(&self) {
        if self.are_read_only.load(Ordering::Relaxed) && self.are_read_only.swap(false, Ordering::Relaxed) {
            self.begin_anew();
        }
        self.health.proved();
    }

    /// From now on only new sessions are good.
    fn begin_anew(&self) {
        self.since.send_replace(Some(Instant::now()));
    }

    fn holds_for(&self, opened_at: Instant) -> bool {
        self.since.borrow().is_none_or(|since| since < opened_at)
    }

    /// Completes when sessions opened by then are not good any more.
    async fn lost(&self, opened_at: Instant) {
        let lost = |since: &Option<Instant>| since.is_some_and(|since| since >= opened_at);
        // The sender lives as long as this.
        let _ = self.since.subscribe().wait_for(lost).await;
    }

    /// Sees a call on a session to its end. One that takes long casts doubt on the store; it is given up when the session
    /// is lost.
    async fn watch<T>(
        &self,
        leased_at: Instant,
        call: impl Future<Output = sqlx::Result<T>> + Send,
    ) -> sqlx::Result<T> {
        tokio::pin!(call);
        let outcome = match tokio::time::timeout(limits::STORE_SLOW_CALL, &mut call).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.health.suspect(false);
                tokio::select! {
                    outcome = call => outcome,
                    () = self.lost(leased_at) => Err(silence()),
                }
            }
        };
        outcome.inspect_err(|error| self.note(error))
    }

    /// Whether a session that has idled is there still; if not, the others are gone, too.
    async fn is_there(&self, connection: &mut impl Connection) -> bool {
        let ping = tokio::time::timeout(limits::STORE_PING_TIMEOUT, connection.ping());
        let outcome = ping.await.unwrap_or_else(|_| Err(silence()));
        outcome.inspect_err(|error| self.note(error)).is_ok()
    }
}

/// A database whose transactions are begun and ended here: sqlx does not know of one whose beginning was broken off.
pub(super) trait Transactional: Database {
    /// Begins, by this statement, a transaction that writes.
    const BEGIN: &'static str;

    /// Executes a statement as it stands.
    fn execute<'c>(
        connection: &'c mut Self::Connection,
        statement: &'static str,
    ) -> BoxFuture<'c, sqlx::Result<()>>;
}

impl<DB: Transactional> Sessions<DB> {
    /// Opens sessions when they are needed, `max` at most.
    pub(super) fn new(
        options: <DB::Connection as Connection>::Options,
        max: u32,
        trust: &Arc<Trust>,
    ) -> Self {
        let before = trust.clone();
        let pool = PoolOptions::new()
            .max_connections(max)
            .acquire_timeout(limits::STORE_ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let trust = before.clone();
                Box::pin(async move {
                    let opened_at = Instant::now().checked_sub(meta.age);
                    let is_good = opened_at.is_some_and(|opened_at| trust.holds_for(opened_at))
                        // One in steady use needs no probe; one that idled may have died.
                        && (meta.idle_for <= limits::STORE_PROBE_AFTER || trust.is_there(connection).await);
                    // An error closes it without a word, for which a dead one would keep us waiting.
                    if is_good { Ok(true) } else { Err(sqlx::Error::WorkerCrashed) }
                })
            })
            .connect_lazy_with(options);
        Self { pool, trust: trust.clone() }
    }

    /// A session of one's own.
    pub(super) async fn lease(&self) -> sqlx::Result<Lease<DB>> {
        let connection = self.pool.acquire().await.inspect_err(|error| self.trust.note(error))?;
        let trust = self.trust.clone();
        let leased_at = Instant::now();
        Ok(Lease {
            connection: Some(connection),
            trust,
            leased_at,
            is_in_transaction: false,
            is_spent: false,
        })
    }

    /// Begins a transaction; dropped without `commit`, it is rolled back.
    pub(super) async fn begin(&self) -> Result<Tx<DB>, StoreError> {
        self.trust.health.admit()?;
        let mut tx = Tx { lease: self.lease().await? };
        tx.lease.is_in_transaction = true;
        tx.execute(DB::BEGIN).await?;
        Ok(tx)
    }

    /// Leads new sessions elsewhere, and ends the others.
    pub(super) fn lead_to(&self, options: <DB::Connection as Connection>::Options) {
        self.pool.set_connect_options(options);
        self.trust.begin_anew();
    }

    /// From now on only new sessions are good.
    pub(super) fn begin_anew(&self) {
        self.trust.begin_anew();
    }

    /// Takes in that something was written.
    pub(super) fn wrote(&self) {
        self.trust.wrote();
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A session that is used. Dropped, it is given back as soon as it has come to the end of what it was asked for, and has
/// rolled back what was not committed; or it is closed, if it is lost before that.
pub(super) struct Lease<DB: Transactional> {
    /// There until it is dropped.
    connection: Option<PoolConnection<DB>>,
    trust: Arc<Trust>,
    leased_at: Instant,
    /// Whether a transaction was begun, or may have been, and is not known to have ended.
    is_in_transaction: bool,
    /// Whether nobody is to use it again.
    is_spent: bool,
}

impl<DB: Transactional> Lease<DB> {
    pub(super) fn connection(&mut self) -> &mut DB::Connection {
        self.connection.as_mut().unwrap_or_else(|| unreachable!("it is there until it is dropped"))
    }

    /// Has it closed instead of given back.
    pub(super) fn spend(&mut self) {
        self.is_spent = true;
    }
}

impl<DB: Transactional> Drop for Lease<DB> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.is_spent || !self.trust.holds_for(self.leased_at) {
            drop(connection.detach());
            return;
        }
        let (trust, leased_at, rolls_back) = (self.trust.clone(), self.leased_at, self.is_in_transaction);
        tokio::spawn(async move {
            let mut lost = pin!(trust.lost(leased_at));
            let is_clean = !rolls_back
                || tokio::select! {
                    // Where the database has rolled back by itself, this fails, and the session goes.
                    outcome = DB::execute(&mut connection, "ROLLBACK") => outcome.is_ok(),
                    () = &mut lost => false,
                };
            if !is_clean {
                drop(connection.detach());
                return;
            }
            tokio::select! {
                () = connection.return_to_pool() => (),
                () = lost => (),
            }
        });
    }
}

/// A transaction.
pub(super) struct Tx<DB: Transactional> {
    lease: Lease<DB>,
}

impl<DB: Transactional> Tx<DB> {
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.execute("COMMIT").await?;
        self.lease.is_in_transaction = false;
        Ok(())
    }

    async fn execute(&mut self, statement: &'static str) -> sqlx::Result<()> {
        let (trust, leased_at) = (self.lease.trust.clone(), self.lease.leased_at);
        trust.watch(leased_at, DB::execute(self.lease.connection(), statement)).await
    }
}

/// Expands to the executors of one database: written for any database, the bounds would have no end.
macro_rules! impl_executors {
    ($database:ty, $begin:literal) => {
        impl Transactional for $database {
            const BEGIN: &'static str = $begin;

            fn execute<'c>(
                connection: &'c mut Self::Connection,
                statement: &'static str,
            ) -> BoxFuture<'c, sqlx::Result<()>> {
                Box::pin(async move { sqlx::raw_sql(statement).execute(connection).await.map(drop) })
            }
        }

        impl<'p> Executor<'p> for &'p Sessions<$database> {
            impl_executor!($database, 'p, sessions, lease => {
                let mut owned = sessions.lease().await?;
                let lease = &mut owned;
            });
        }

        impl<'t> Executor<'t> for &'t mut Tx<$database> {
            impl_executor!($database, 't, tx, lease => {
                let lease = &mut tx.lease;
            });
        }
    };
}

/// Expands to the methods, each of which is one call on a lease.
macro_rules! impl_executor {
    ($database:ty, $life:lifetime, $this:ident, $lease:ident => { $($get:tt)* }) => {
        type Database = $database;

        /// All rows are there before the first is given: what is asked for is bounded.
        fn fetch_many<'e, 'q: 'e, E>(
            self,
            query: E,
        ) -> BoxStream<'e, sqlx::Result<Either<ResultOf<$database>, RowOf<$database>>>>
        where
            $life: 'e,
            E: 'q + Execute<'q, $database>,
        {
            let $this = self;
            let rows = async move {
                $($get)*
                let (trust, leased_at) = ($lease.trust.clone(), $lease.leased_at);
                let rows = $lease.connection().fetch_many(query).try_collect::<Vec<_>>();
                trust.watch(leased_at, rows).await
            };
            stream::once(rows).map_ok(|rows| stream::iter(rows.into_iter().map(Ok))).try_flatten().boxed()
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
            Box::pin(async move {
                $($get)*
                let (trust, leased_at) = ($lease.trust.clone(), $lease.leased_at);
                trust.watch(leased_at, $lease.connection().fetch_optional(query)).await
            })
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
            Box::pin(async move {
                $($get)*
                let (trust, leased_at) = ($lease.trust.clone(), $lease.leased_at);
                trust.watch(leased_at, $lease.connection().prepare_with(sql, parameters)).await
            })
        }

        fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<$database>>>
        where
            $life: 'e,
        {
            let $this = self;
            Box::pin(async move {
                $($get)*
                let (trust, leased_at) = ($lease.trust.clone(), $lease.leased_at);
                trust.watch(leased_at, $lease.connection().describe(sql)).await
            })
        }
    };
}

type ResultOf<DB> = <DB as Database>::QueryResult;
type RowOf<DB> = <DB as Database>::Row;

impl_executors!(Sqlite, "BEGIN IMMEDIATE");
impl_executors!(Postgres, "BEGIN");

impl<DB: Transactional> Clone for Sessions<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), trust: self.trust.clone() }
    }
}

impl<DB: Transactional> fmt::Debug for Sessions<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("open", &self.pool.size()).finish_non_exhaustive()
    }
}

impl<DB: Transactional> fmt::Debug for Tx<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}
