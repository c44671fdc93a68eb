//! The state of the store's writing: `/readyz` tells it, and the log of the process tells each change once.
//!
//! Owns the proof, which is a small write of its own, made when somebody asks and nothing else has proved it just
//! before; and the search for the end of an outage, which goes on by itself.

use std::{
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{Probe, StoreError, Upkeep};
use crate::limits;

/// Pause between two lines of the log that say that the store is busy.
/// At the bound, nothing is logged.
const STORE_CONTENTION_LOG_PAUSE: Duration = Duration::from_secs(10);

/// Time for which a write proves that the store takes writes.
/// At the bound, it is proved anew.
const STORE_PROOF_MAX_AGE: Duration = Duration::from_secs(1);

/// The state of the store's writing, as far as it is known.
#[derive(Debug)]
pub struct StoreHealth {
    state: Mutex<State>,
    /// Asks for a probe.
    wanted: Notify,
    /// Counts what has become known.
    news: watch::Sender<u64>,
}

/// Guarded by one lock, which is held for a look only.
#[derive(Debug, Default)]
struct State {
    /// When something was last written.
    proved_at: Option<Instant>,
    /// The outage that is under way.
    outage: Option<Outage>,
    /// Something failed since the last proof.
    is_suspect: bool,
    /// The failed call had found no room, so that a write that needs none proves nothing.
    lacks_room: bool,
    /// When it was last logged that a call is to be tried again.
    contended_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    reason: &'static str,
    since: Instant,
    /// `true` if the store does not even say what is wrong.
    is_silent: bool,
}

impl Default for StoreHealth {
    fn default() -> Self {
        let health = Self { state: Mutex::default(), wanted: Notify::new(), news: watch::Sender::new(0) };
        show(true);
        health
    }
}

impl StoreHealth {
    /// Looks whether the store takes writes; if not, why, in words for anyone. Answers within `READY_TIMEOUT`.
    ///
    /// # Errors
    /// The reason.
    pub async fn check(&self) -> Result<(), &'static str> {
        let mut news = self.news.subscribe();
        if self.lock().is_proved(Instant::now()) {
            return Ok(());
        }
        self.wanted.notify_one();
        match tokio::time::timeout(limits::READY_TIMEOUT, news.changed()).await {
            Ok(_) => self.lock().outage.map_or(Ok(()), |outage| Err(outage.reason)),
            Err(_) => Err(StoreError::timed_out().reason()),
        }
    }

    /// Probes `store` whenever somebody asks and for as long as it fails, until `stop`.
    pub async fn run(&self, store: &dyn Upkeep, stop: CancellationToken) {
        let work = async {
            loop {
                let is_down = self.lock().outage.is_some();
                tokio::select! {
                    () = self.wanted.notified() => (),
                    () = sleep(limits::STORE_PROBE_PAUSE), if is_down => (),
                }
                if !self.lock().is_proved(Instant::now()) {
                    self.probe(store).await;
                }
                self.notify();
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// One probe, to its end: one that is waited for in vain holds a session, and the next would hold another.
    async fn probe(&self, store: &dyn Upkeep) {
        let began_at = Instant::now();
        let probe = if self.lock().lacks_room { Probe::WithRoom } else { Probe::Small };
        let mut outcome = pin!(store.probe(probe));
        let mut overdue = pin!(sleep(limits::STORE_PROBE_TIMEOUT));
        let mut is_overdue = false;
        loop {
            tokio::select! {
                outcome = &mut outcome => return self.settle(began_at, outcome),
                () = &mut overdue, if !is_overdue => {
                    is_overdue = true;
                    self.settle(began_at, Err(StoreError::timed_out()));
                }
                // A caller that asks meanwhile is told the last known state.
                () = self.wanted.notified(), if is_overdue => (),
            }
            self.notify();
        }
    }

    /// Refuses what would only wait as the probe does, and hold a session as well.
    pub(super) fn admit(&self) -> Result<(), StoreError> {
        let is_silent = self.lock().outage.is_some_and(|outage| outage.is_silent);
        if is_silent { Err(StoreError::timed_out()) } else { Ok(()) }
    }

    /// Takes in that something was written.
    pub(super) fn proved(&self) {
        let mut state = self.lock();
        state.proved_at = Some(Instant::now());
        (state.is_suspect, state.lacks_room) = (false, false);
        if let Some(Outage { since, .. }) = state.outage.take() {
            drop(state);
            tracing::info!(seconds = since.elapsed().as_secs_f64(), "the store takes writes again");
            show(true);
        }
    }

    /// Takes in that a call failed: the next probe, which is asked for, shows whether that is an outage.
    pub(super) fn suspect(&self, lacks_room: bool) {
        let mut state = self.lock();
        state.lacks_room |= lacks_room;
        if !std::mem::replace(&mut state.is_suspect, true) {
            drop(state);
            self.wanted.notify_one();
        }
    }

    /// Takes in that the store wants a call to be made again, which is logged now and then.
    pub(super) fn contended(&self, error: &sqlx::Error) {
        let now = Instant::now();
        let mut state = self.lock();
        let is_news = state.contended_at.is_none_or(|at| now - at >= STORE_CONTENTION_LOG_PAUSE);
        if is_news && state.outage.is_none() {
            state.contended_at = Some(now);
            drop(state);
            tracing::warn!(%error, "the store is busy; calls fail and are made again");
        }
    }

    fn settle(&self, began_at: Instant, outcome: Result<(), StoreError>) {
        // The store has told of what it wrote.
        let Err(error) = outcome else { return };
        let reason = error.reason();
        let mut state = self.lock();
        // Another write was quicker.
        if state.proved_at.is_some_and(|at| at > began_at) && !state.is_suspect {
            return;
        }
        state.is_suspect = true;
        let before = state.outage;
        let since = before.map_or(began_at, |outage| outage.since);
        state.outage = Some(Outage { reason, since, is_silent: error.is_silence() });
        drop(state);
        if before.is_none() {
            tracing::error!(%error, "the store takes no writes: {reason}");
            show(false);
        }
    }

    fn notify(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_proved(&self, now: Instant) -> bool {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < STORE_PROOF_MAX_AGE;
        self.outage.is_none() && !self.is_suspect && self.proved_at.is_some_and(is_fresh)
    }
}

fn show(is_writable: bool) {
    metrics::gauge!("revcast_store_writable").set(f64::from(u8::from(is_writable)));
}
