//! Sockets and event streams: each connection is a cursor into the rings of its rooms.
//!
//! Owns the handshake and the life of a connection. It never writes to the store, and knows of commits only what rooms
//! tell; what the bytes look like is the business of `wire`.
//!
//! Imports lead one way: `upgrade` makes a `session`, which hears its client by a `conversation` and lets it join rooms by
//! `joining`; these know the node by its `gateway`, and it all sockets by the `registry`. Below stands the `socket`, whose
//! lock gives a `guard`, and below that the parts of its state: `outgoing`, `life` and `subscriptions`. `events` stands
//! beside the sockets.

mod conversation;
mod endpoint;
mod events;
mod gateway;
mod guard;
mod joining;
mod life;
mod outgoing;
mod presence;
mod registry;
mod session;
#[allow(clippy::module_inception, reason = "the room is named for the thing that it is about")]
mod socket;
mod subscription;
mod subscriptions;
mod upgrade;

use utoipa_axum::router::OpenApiRouter;

pub use gateway::{Gateway, GatewayParts};
pub use registry::Sockets;

/// The paths of a node with the role `gateway`.
pub fn router() -> OpenApiRouter<Gateway> {
    upgrade::router().merge(events::router())
}
