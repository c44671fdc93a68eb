//! The gateway: each connection is a cursor over the frames of its rooms.
//!
//! Owns sockets: the handshake, the messages of the protocol and the life of a connection. It never
//! writes to the store, and knows of commits only what rooms tell.

mod connection;
mod protocol;
mod ws;

use std::{sync::Arc, time::Duration};

use axum::extract::FromRef;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{access::Access, identity::Authenticator, room::Rooms, store::Store, telemetry::Metrics};

pub use protocol::{ClientMessage, CloseCode};
pub use ws::{ConnectionPlace, router};

/// What connections work with. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    /// The rooms of this node.
    pub rooms: Rooms,
    /// Roles.
    pub access: Access,
    /// Identities.
    pub authenticator: Arc<Authenticator>,
    /// The epoch for `hello`.
    pub store: Arc<dyn Store>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// How often readers hear of the head.
    pub heartbeat: Duration,
    /// Where connections run.
    pub tasks: TaskTracker,
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
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
