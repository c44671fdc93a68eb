//! Rooms: one for each drawing that somebody on this node follows.
//!
//! A room takes commits from the bus in any order, repairs holes from the store, and tells its
//! readers each op once and in order, or that they must start anew. It knows no sockets: a reader is
//! a cursor into the room's ring, and an [`Outlet`] that is offered what is new.

mod attach;
mod audience;
mod broadcast;
mod follower;
mod heartbeat;
mod join;
mod log_state;
mod mailbox;
mod map;
mod order;
mod outlet;
pub mod presence;
mod registry;
mod ring;
mod shared;
mod task;

pub use follower::{Event, Follower};
pub use join::{JoinError, Joined, Position};
pub use outlet::Outlet;
pub use registry::{RoomParts, Rooms};
pub use ring::{Batch, Next, Reader};
