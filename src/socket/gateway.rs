//! The part of a node that every connection works with.
//!
//! Owns nothing of its own: it names the rooms, roles and identities of the node, its sockets, and the tasks in which
//! connections run. It never looks into a connection.

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::extract::FromRef;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::registry::Sockets;
use crate::{access::Access, identity::Authenticator, room::Rooms};

/// The node, as its connections see it. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<GatewayParts>);

/// The parts of a [`Gateway`].
#[allow(missing_debug_implementations, reason = "made once, and never shown")]
pub struct GatewayParts {
    /// The rooms of this node.
    pub rooms: Rooms,
    /// Roles.
    pub access: Access,
    /// Identities.
    pub authenticator: Arc<Authenticator>,
    /// All sockets.
    pub connections: Arc<Sockets>,
    /// The time between two words of the head to readers.
    pub heartbeat: Duration,
    /// The tasks in which connections run.
    pub tasks: TaskTracker,
    /// Cancelled when the server takes nothing new.
    pub draining: CancellationToken,
}

impl Gateway {
    /// Shares the parts among connections.
    #[must_use]
    pub fn new(parts: GatewayParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The time between two words of the head in milliseconds, as readers are told.
    pub(super) fn heartbeat_ms(&self) -> u64 {
        u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Deref for Gateway {
    type Target = GatewayParts;
    fn deref(&self) -> &GatewayParts {
        &self.0
    }
}

impl FromRef<Gateway> for Arc<Authenticator> {
    fn from_ref(gateway: &Gateway) -> Self {
        gateway.authenticator.clone()
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}
