//! The vocabulary: identifiers, ops, roles. Pure: no I/O, no async, no clock.

mod committed;
mod fault;
mod id;
mod json;
mod op;
mod role;

pub use committed::CommittedOp;
pub use fault::Fault;
pub use id::{DrawingId, Epoch, InvalidId, ObjectId, OpId, Revision, UserId};
pub use json::{compact, json_equal};
pub use op::{Change, Op, Point, RawObject};
pub use role::Role;
