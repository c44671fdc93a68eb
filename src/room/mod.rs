//! Rooms: one for each drawing that somebody on this node follows.
//!
//! A room takes commits from the bus in any order, repairs holes from the store, and tells its
//! readers each op once and in order, or that they must start anew. It knows no sockets.

mod audience;
mod frame;
mod order;
mod registry;
mod ring;
mod task;

pub use frame::Frame;
pub use registry::{JoinError, Joined, Position, Rooms};
pub use ring::{Item, Next, Reader, ResetReason};
