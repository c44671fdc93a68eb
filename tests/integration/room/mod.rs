//! Rooms without sockets.

pub mod joins;
pub mod outages;
