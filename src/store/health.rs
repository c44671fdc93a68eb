//! Whether the store takes writes: what `/readyz` tells, and what the log of the process tells once.
//!
//! Owns the proof, which is a small write of its own, made when somebody asks and nothing else has proved it just
//! before; and the search for the end of an outage, which goes on by itself.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError, error::Verdict};
use crate::limits;

/// What is known of the store's writing.
#[derive(Debug)]
pub struct Health {
    state: Mutex<State>,
    /// Asks for a probe.
    wanted: Notify,
    /// Counts the probes that have ended.
    probes: watch::Sender<u64>,
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
    /// Until when a small write proves nothing, since a larger one has found no room.
    no_room_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    reason: &'static str,
    since: Instant,
}

impl Default for Health {
    fn default() -> Self {
        let health = Self { state: Mutex::default(), wanted: Notify::new(), probes: watch::Sender::new(0) };
        health.show(true);
        health
    }
}

impl Health {
    /// Whether the store takes writes; if not, why, in words for anyone. Answers within `READY_TIMEOUT`.
    ///
    /// # Errors
    /// The reason.
    pub async fn check(&self) -> Result<(), &'static str> {
        let mut probes = self.probes.subscribe();
        if self.lock().is_proved(Instant::now()) {
            return Ok(());
        }
        self.wanted.notify_one();
        match tokio::time::timeout(limits::READY_TIMEOUT, probes.changed()).await {
            Ok(_) => self.lock().outage.map_or(Ok(()), |outage| Err(outage.reason)),
            Err(_) => Err(StoreError::timed_out().reason()),
        }
    }

    /// Probes `store` whenever somebody asks and for as long as it fails, until `stop`.
    pub async fn run(&self, store: &dyn Store, stop: CancellationToken) {
        loop {
            let is_down = self.lock().outage.is_some();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wanted.notified() => (),
                () = tokio::time::sleep(limits::STORE_PROBE_PAUSE), if is_down => (),
            }
            let is_proved = self.lock().is_proved(Instant::now());
            if !is_proved {
                let probe = tokio::time::timeout(limits::STORE_PROBE_TIMEOUT, store.probe());
                let outcome = tokio::select! {
                    () = stop.cancelled() => return,
                    outcome = probe => outcome.unwrap_or_else(|_| Err(StoreError::timed_out())),
                };
                self.settle(outcome);
            }
            self.probes.send_modify(|count| *count += 1);
        }
    }

    /// Whether something failed since the last proof.
    pub(super) fn is_suspect(&self) -> bool {
        self.lock().is_suspect
    }

    /// Something was written.
    pub(super) fn proved(&self) {
        let mut state = self.lock();
        state.proved_at = Some(Instant::now());
        state.is_suspect = false;
        state.no_room_until = None;
        if let Some(Outage { since, .. }) = state.outage.take() {
            drop(state);
            tracing::info!(seconds = since.elapsed().as_secs_f64(), "the store takes writes again");
            self.show(true);
        }
    }

    /// A call failed: whether that was chance or an outage shows at the next probe, which is asked for.
    pub(super) fn suspect(&self, verdict: Verdict) {
        let mut state = self.lock();
        if verdict == Verdict::NoRoom {
            state.no_room_until = Some(Instant::now() + limits::STORE_NO_ROOM_HOLD);
        }
        if !std::mem::replace(&mut state.is_suspect, true) {
            drop(state);
            self.wanted.notify_one();
        }
    }

    fn settle(&self, outcome: Result<(), StoreError>) {
        let no_room = self.lock().no_room_until.is_some_and(|until| Instant::now() < until);
        match outcome {
            Ok(()) if !no_room => self.proved(),
            Ok(()) => self.fail("the disk of the database is full", None),
            Err(error) => self.fail(error.reason(), Some(&error)),
        }
    }

    fn fail(&self, reason: &'static str, error: Option<&StoreError>) {
        let mut state = self.lock();
        state.is_suspect = true;
        let before = state.outage;
        let since = before.map_or_else(Instant::now, |outage| outage.since);
        state.outage = Some(Outage { reason, since });
        drop(state);
        if before.is_none() {
            let error = error.map(tracing::field::display);
            tracing::error!(error, "the store takes no writes: {reason}");
            self.show(false);
        }
    }

    fn show(&self, is_writable: bool) {
        metrics::gauge!("revcast_store_writable").set(f64::from(u8::from(is_writable)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_proved(&self, now: Instant) -> bool {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < limits::STORE_PROOF_MAX_AGE;
        self.outage.is_none() && !self.is_suspect && self.proved_at.is_some_and(is_fresh)
    }
}
