//! The vocabulary: identifiers, ops, presence, roles. Pure: no I/O, no async, no clock.

mod committed;
mod fault;
mod id;
mod json;
mod op;
mod presence;
mod role;

pub use committed::CommittedOp;
pub use fault::Fault;
pub use id::{ConnectionId, DrawingId, Epoch, InvalidId, ObjectId, OpId, Revision, UserId};
pub use json::{compact, json_equal};
pub use op::{Change, Op, Point, RawObject};
pub use presence::{InvalidPresence, Place, PresenceState, Viewport};
pub use role::Role;
