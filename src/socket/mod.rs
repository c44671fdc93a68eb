//! Sockets and event streams: each connection is a cursor into the rings of its rooms.
//!
//! Owns the handshake and the life of a connection. It never writes to the store, and knows of commits only what rooms
//! tell; what the bytes look like is the business of `wire`.

mod connection;
mod events;
mod lanes;
mod presence;
mod registry;
mod session;
mod subscribe;
mod upgrade;

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::extract::FromRef;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use utoipa_axum::router::OpenApiRouter;

use crate::{access::Access, identity::Authenticator, room::Rooms};

pub use registry::Connections;

/// What connections work with. Cheap to clone.
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
    pub connections: Arc<Connections>,
    /// How often readers hear of the head.
    pub heartbeat: Duration,
    /// Where connections run.
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

    /// How often readers hear of the head, in milliseconds, as they are told.
    fn heartbeat_ms(&self) -> u64 {
        u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Deref for Gateway {
    type Target = GatewayParts;
    fn deref(&self) -> &GatewayParts {
        &self.0
    }
}

/// The paths of a node with the role `gateway`.
pub fn router() -> OpenApiRouter<Gateway> {
    upgrade::router().merge(events::router())
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
