//! Sockets and event streams.

pub mod asyncapi;
pub mod drain;
pub mod events;
pub mod frames;
pub mod identity;
pub mod late_join;
pub mod limits;
pub mod notice;
pub mod presence;
pub mod presence_nodes;
pub mod resume;
pub mod rfc6455;
pub mod rfc6455_handshake;
pub mod slow;
pub mod sockets;
