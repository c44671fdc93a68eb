//! All sockets of a node: their coming, their staying alive, and their leaving together.
//!
//! Owns the map of open sockets, and the sweeps over them. It never looks after event streams, which do so themselves.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{guard::Sweep, socket::Socket};
use crate::{
    limits,
    model::ConnectionId,
    telemetry::Metrics,
    user_connections::UserConnections,
    wire::{CloseCode, ServerMessage},
};

/// Time between two looks at all connections: pings, expiry, silence, slowness.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The sockets of a node.
pub struct Sockets {
    /// Held for map operations.
    sockets: Mutex<HashMap<ConnectionId, Arc<Socket>>>,
    /// The count of each user's connections, of these and of others.
    of_users: Arc<UserConnections>,
    /// The pace at which handshakes may come; `None` for any.
    handshakes: Option<DefaultDirectRateLimiter>,
    /// The time over which clients leave when the node stops.
    window: Duration,
    metrics: Arc<Metrics>,
}

/// A socket in the registry, until this goes.
pub(super) struct Registration {
    connections: Arc<Sockets>,
    id: ConnectionId,
}

impl Sockets {
    /// No sockets; at most `handshakes_per_second`, where not 0. They leave over `window`.
    #[must_use]
    pub fn new(
        of_users: Arc<UserConnections>,
        handshakes_per_second: u32,
        window: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let handshakes =
            NonZeroU32::new(handshakes_per_second).map(|rate| RateLimiter::direct(Quota::per_second(rate)));
        Self { sockets: Mutex::default(), of_users, handshakes, window, metrics }
    }

    /// Counts a handshake; false when there are too many.
    pub(super) fn take_handshake(&self) -> bool {
        let is_taken = self.handshakes.as_ref().is_none_or(|limiter| limiter.check().is_ok());
        let counter = if is_taken { &self.metrics.handshakes } else { &self.metrics.handshakes_refused };
        counter.increment(1);
        is_taken
    }

    /// The count of each user's connections, of these and of others.
    #[must_use]
    pub fn of_users(&self) -> Arc<UserConnections> {
        self.of_users.clone()
    }

    /// Takes a socket among those that are looked after.
    pub(super) fn register(self: &Arc<Self>, socket: &Arc<Socket>) -> Registration {
        let id = socket.endpoint().id;
        self.lock().insert(id, socket.clone());
        Registration { connections: self.clone(), id }
    }

    /// Looks after all sockets until `stop`.
    pub async fn look_after(self: Arc<Self>, stop: CancellationToken) {
        let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
        sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = sweeps.tick() => (),
            }
            let mut behind = 0;
            for (nth, socket) in self.sockets().iter().enumerate() {
                let Sweep { written: (writes, bytes), is_behind } = socket.lock().sweep();
                self.metrics.deliveries.increment(writes);
                self.metrics.delivered_bytes.increment(bytes);
                behind += u32::from(is_behind);
                if nth % limits::BROADCAST_STRIDE == 0 {
                    tokio::task::yield_now().await;
                }
            }
            self.metrics.behind.set(f64::from(behind));
        }
    }

    /// The time over which clients leave when the node stops.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// A moment of the window, in milliseconds from now: they must not all come back at once.
    pub(super) fn moment_to_return(&self) -> u64 {
        let window_ms = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX).max(1);
        u64::from(Uuid::new_v4().as_fields().0) % window_ms
    }

    /// Asks every client to come back at its own moment of the window, and closes its socket then: until
    /// that moment it misses nothing.
    pub async fn drain(&self) {
        let mut leaving: Vec<_> = self
            .sockets()
            .into_iter()
            .map(|socket| {
                let reconnect_in_ms = self.moment_to_return();
                socket.lock().send(&ServerMessage::Goaway { reconnect_in_ms });
                (reconnect_in_ms, socket)
            })
            .collect();
        leaving.sort_by_key(|(reconnect_in_ms, _)| *reconnect_in_ms);
        let start = Instant::now();
        for (reconnect_in_ms, socket) in leaving {
            let at = start + Duration::from_millis(reconnect_in_ms);
            if at > Instant::now() {
                tokio::time::sleep_until(at.into()).await;
            }
            socket.lock().close(CloseCode::GoingAway);
        }
    }

    fn sockets(&self) -> Vec<Arc<Socket>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Socket>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sockets").field("sockets", &self.lock().len()).finish_non_exhaustive()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Sockets { metrics, .. } = &*self.connections;
        let gone = self.connections.lock().remove(&self.id);
        // Its last handle may close the socket: not under the lock.
        if let Some(gone) = gone {
            let (writes, bytes) = gone.lock().take_written();
            metrics.deliveries.increment(writes);
            metrics.delivered_bytes.increment(bytes);
        }
    }
}
