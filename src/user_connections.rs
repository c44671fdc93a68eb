//! The number of connections that each user has on this node: sockets, event streams, and long-polls while they
//! wait.
//!
//! Owns the count and its bound. The holder of a count knows what its connection is for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metrics::Gauge;

use crate::{
    error::{Error, ErrorCode},
    limits,
    model::UserId,
    telemetry::Metrics,
};

/// The kind of connection that a user reads by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    /// A WebSocket.
    Socket,
    /// Server-sent events.
    EventStream,
    /// A `GET` that waits for what comes.
    LongPoll,
}

/// The connections of all users.
pub struct UserConnections {
    /// Held for map operations.
    users: Mutex<HashMap<UserId, u32>>,
    /// Most of one user; 0 for any number.
    per_user: u32,
    metrics: Arc<Metrics>,
}

/// A user's connection, counted until this goes.
pub struct CountedConnection {
    connections: Arc<UserConnections>,
    user: UserId,
    kind: ConnectionKind,
}

impl UserConnections {
    /// None so far; at most `per_user` of one user, where not 0.
    #[must_use]
    pub fn new(per_user: u32, metrics: Arc<Metrics>) -> Self {
        Self { users: Mutex::default(), per_user, metrics }
    }

    /// Counts a connection of `user`.
    ///
    /// # Errors
    /// `too_many_connections` when they have as many as they may.
    pub fn count(self: &Arc<Self>, user: &UserId, kind: ConnectionKind) -> Result<CountedConnection, Error> {
        let mut users = self.lock();
        let count = users.entry(user.clone()).or_default();
        if self.per_user > 0 && *count >= self.per_user {
            self.metrics.users_refused.increment(1);
            let detail = "this user has too many connections here";
            return Err(
                Error::new(ErrorCode::TooManyConnections, detail).with_retry_after(limits::RETRY_AFTER)
            );
        }
        *count += 1;
        self.gauge(kind).increment(1);
        Ok(CountedConnection { connections: self.clone(), user: user.clone(), kind })
    }

    fn gauge(&self, kind: ConnectionKind) -> &Gauge {
        match kind {
            ConnectionKind::Socket => &self.metrics.connections,
            ConnectionKind::EventStream => &self.metrics.event_streams,
            ConnectionKind::LongPoll => &self.metrics.long_polls,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, u32>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.connections.gauge(self.kind).decrement(1);
        let mut users = self.connections.lock();
        if let Some(count) = users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.user);
            }
        }
    }
}

impl std::fmt::Debug for UserConnections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserConnections").field("users", &self.lock().len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CountedConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CountedConnection").field("kind", &self.kind).finish_non_exhaustive()
    }
}
