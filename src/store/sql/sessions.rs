//! Sessions with the database, and the transactions on them.
//!
//! Owns the pool. Invariants: a session whose state nobody knows is never used again; and no session that has fallen
//! silent keeps its place in the pool once another one shows that the database answers.

use std::{
    borrow::BorrowMut,
    fmt,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use sqlx::{
    Connection, Pool,
    pool::{PoolConnection, PoolOptions},
};

use super::{super::StoreError, dialect::Dialect, trust::Trust};
use crate::limits;

/// A pooled connection idle for longer is probed before it is used.
const STORE_PROBE_AFTER: Duration = Duration::from_secs(1);

/// The sessions with a database. Cheap to clone.
pub(in crate::store) struct Sessions<DB: Dialect> {
    pool: Pool<DB>,
    trust: Arc<Trust>,
}

impl<DB: Dialect> Sessions<DB> {
    /// Opens sessions when they are needed, `max` at most.
    pub(in crate::store) fn new(
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
                        && (meta.idle_for <= STORE_PROBE_AFTER || trust.is_there(connection).await);
                    // An error closes it without a word, for which a dead one would keep us waiting.
                    if is_good { Ok(true) } else { Err(sqlx::Error::WorkerCrashed) }
                })
            })
            .connect_lazy_with(options);
        Self { pool, trust: trust.clone() }
    }

    /// A session of one's own.
    pub(in crate::store) async fn lease(&self) -> sqlx::Result<SessionLease<DB>> {
        let connection = self.pool.acquire().await.inspect_err(|error| self.trust.note(error))?;
        let trust = self.trust.clone();
        let leased_at = Instant::now();
        Ok(SessionLease {
            connection: Some(connection),
            trust,
            leased_at,
            is_in_transaction: false,
            is_spent: false,
        })
    }

    /// Begins a transaction; dropped without `commit`, it is rolled back.
    pub(in crate::store) async fn begin(&self) -> Result<Tx<DB>, StoreError> {
        self.trust.health.admit()?;
        let mut tx = Tx { lease: self.lease().await? };
        tx.lease.is_in_transaction = true;
        tx.execute(DB::BEGIN).await?;
        Ok(tx)
    }

    /// Leads new sessions elsewhere, and ends the others.
    pub(in crate::store) fn lead_to(&self, options: <DB::Connection as Connection>::Options) {
        self.pool.set_connect_options(options);
        self.trust.begin_anew();
    }

    /// From now on only new sessions are good.
    pub(in crate::store) fn begin_anew(&self) {
        self.trust.begin_anew();
    }

    /// Takes in that something was written.
    pub(in crate::store) fn wrote(&self) {
        self.trust.wrote();
    }

    pub(in crate::store) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A session that is used. Dropped, it is given back as soon as it has come to the end of what it was asked for, and has
/// rolled back what was not committed; or it is closed, if it is lost before that.
pub(in crate::store) struct SessionLease<DB: Dialect> {
    /// There until it is dropped.
    connection: Option<PoolConnection<DB>>,
    trust: Arc<Trust>,
    leased_at: Instant,
    /// `true` if a transaction was begun, or may have been, and is not known to have ended.
    is_in_transaction: bool,
    /// `true` if nobody is to use it again.
    is_spent: bool,
}

impl<DB: Dialect> SessionLease<DB> {
    pub(in crate::store) fn connection(&mut self) -> &mut DB::Connection {
        self.connection.as_mut().unwrap_or_else(|| unreachable!("it is there until it is dropped"))
    }

    /// Makes one call.
    async fn run<T>(
        &mut self,
        call: impl for<'c> FnOnce(&'c mut DB::Connection) -> BoxFuture<'c, sqlx::Result<T>> + Send,
    ) -> sqlx::Result<T> {
        let (trust, leased_at) = (self.trust.clone(), self.leased_at);
        trust.watch(leased_at, call(self.connection())).await
    }

    /// Has it closed instead of given back.
    pub(in crate::store) fn spend(&mut self) {
        self.is_spent = true;
    }
}

impl<DB: Dialect> Drop for SessionLease<DB> {
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
                    outcome = DB::execute_raw(&mut connection, "ROLLBACK") => outcome.is_ok(),
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
pub(in crate::store) struct Tx<DB: Dialect> {
    lease: SessionLease<DB>,
}

impl<DB: Dialect> Tx<DB> {
    pub(in crate::store) async fn commit(mut self) -> Result<(), StoreError> {
        self.execute("COMMIT").await?;
        self.lease.is_in_transaction = false;
        Ok(())
    }

    async fn execute(&mut self, statement: &'static str) -> sqlx::Result<()> {
        self.lease.run(|connection| DB::execute_raw(connection, statement)).await.map(drop)
    }
}

/// Whoever has a session to lend for one call: the pool, or a transaction.
pub(in crate::store) trait Lessor<DB: Dialect>: Send {
    type Lease: BorrowMut<SessionLease<DB>> + Send;

    fn lease(self) -> impl Future<Output = sqlx::Result<Self::Lease>> + Send;
}

impl<DB: Dialect> Lessor<DB> for &Sessions<DB> {
    type Lease = SessionLease<DB>;

    fn lease(self) -> impl Future<Output = sqlx::Result<SessionLease<DB>>> + Send {
        Sessions::lease(self)
    }
}

impl<'t, DB: Dialect> Lessor<DB> for &'t mut Tx<DB> {
    type Lease = &'t mut SessionLease<DB>;

    async fn lease(self) -> sqlx::Result<&'t mut SessionLease<DB>> {
        Ok(&mut self.lease)
    }
}

/// Makes one call on a session.
pub(in crate::store) async fn run<DB: Dialect, T>(
    at: impl Lessor<DB>,
    call: impl for<'c> FnOnce(&'c mut DB::Connection) -> BoxFuture<'c, sqlx::Result<T>> + Send,
) -> sqlx::Result<T> {
    let mut lease = at.lease().await?;
    lease.borrow_mut().run(call).await
}

impl<DB: Dialect> Clone for Sessions<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), trust: self.trust.clone() }
    }
}

impl<DB: Dialect> fmt::Debug for Sessions<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("open", &self.pool.size()).finish_non_exhaustive()
    }
}

impl<DB: Dialect> fmt::Debug for Tx<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}
