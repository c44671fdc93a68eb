//! The vocabulary: identifiers, ops, presence, roles, and views with their pictures. Pure: no I/O, no
//! async, no clock.

mod branch;
mod canonical;
mod canvas;
mod checked_op;
mod committed;
mod fault;
mod id;
mod json;
mod logged;
mod op;
mod presence;
mod role;
mod server_op;
mod shown;
mod svg;
mod view;

pub use branch::{Branch, Misplaced, Trunk};
pub use canvas::{Applied, Canvas, History, InvalidRegisters, OpenUnit, REGISTERS_FORMAT, Scope, state_hash};
pub use checked_op::CheckedOp;
pub use committed::CommittedOp;
pub use fault::Fault;
pub use id::{ConnectionId, DrawingId, Epoch, InvalidId, LinkId, ObjectId, OpId, Revision, Title, UserId};
pub use json::{compact, json_equal};
pub use logged::LoggedOp;
pub use op::{Change, Op, Point, RawObject, knows_type, names_server_type, same_op};
pub use presence::{CanvasPoint, InvalidPresence, PresenceState, Viewport};
pub use role::Role;
pub use server_op::ServerOps;
pub use shown::shown_name;
pub use svg::svg;
pub use view::{View, ViewObject};
