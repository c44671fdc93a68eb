//! The sessions that may be used again.
//!
//! Owns what errors tell of the sessions on which they are met. A fault that befell one session (a restart, a
//! failover) has befallen all that are as old, too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::Connection;
use tokio::sync::watch;

use crate::{
    limits,
    store::{
        StoreHealth,
        error::{Verdict, silence},
    },
};

/// Time in which a connection that has idled has to answer before it is used.
/// At the bound, the connection is thrown away, with all that are as old.
const STORE_PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The age at which a session is too old.
#[derive(Debug)]
pub(in crate::store) struct Trust {
    /// Sessions that were opened before are not used again.
    since: watch::Sender<Option<Instant>>,
    /// `true` if sessions have turned out to be read-only since the last write; those stay so.
    are_read_only: AtomicBool,
    pub(super) health: Arc<StoreHealth>,
}

impl Trust {
    pub(in crate::store) fn new(health: Arc<StoreHealth>) -> Arc<Self> {
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
    pub(super) fn wrote(&self) {
        if self.are_read_only.load(Ordering::Relaxed) && self.are_read_only.swap(false, Ordering::Relaxed) {
            self.begin_anew();
        }
        self.health.proved();
    }

    /// From now on only new sessions are good.
    pub(super) fn begin_anew(&self) {
        self.since.send_replace(Some(Instant::now()));
    }

    pub(super) fn holds_for(&self, opened_at: Instant) -> bool {
        self.since.borrow().is_none_or(|since| since < opened_at)
    }

    /// Completes when sessions opened by then are not good any more.
    pub(super) async fn lost(&self, opened_at: Instant) {
        let lost = |since: &Option<Instant>| since.is_some_and(|since| since >= opened_at);
        // The sender lives as long as this.
        let _ = self.since.subscribe().wait_for(lost).await;
    }

    /// Sees a call on a session to its end. One that takes long casts doubt on the store; it is given up when the session
    /// is lost.
    pub(super) async fn watch<T>(
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

    /// Returns `true` if a session that has idled is there still; if not, the others are gone, too.
    pub(super) async fn is_there(&self, connection: &mut impl Connection) -> bool {
        let ping = tokio::time::timeout(STORE_PING_TIMEOUT, connection.ping());
        let outcome = ping.await.unwrap_or_else(|_| Err(silence()));
        outcome.inspect_err(|error| self.note(error)).is_ok()
    }
}
