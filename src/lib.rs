//! Revcast: REST commits the truth, the socket broadcasts the truth.
//!
//! The way of an op, and the order in which modules may import each other:
//!
//! ```text
//! api ─ commit ─ store        POST …/ops: checked, gathered, written in one transaction
//!          └ bus ─ room ─ gateway      told to every node, put in order, pushed to every reader
//! ```
//!
//! | Module | Owns |
//! |---|---|
//! | [`model`] | ops, ids, roles, presence states, the canvas: pure |
//! | [`error`], [`limits`], [`clock`], [`telemetry`] | codes, figures, time, logs and metrics |
//! | [`trace`], [`audit`] | what log lines have in common; who changed whose rights |
//! | [`store`] | the truth: logs, heads, members, links, the epoch |
//! | [`bus`] | the hint: messages between nodes |
//! | [`commit`] | the queues in front of the store |
//! | [`room`] | order, repair, frames, readers, and presence beside them |
//! | [`access`], [`identity`] | who may do what, and who is asking |
//! | [`user_connections`] | how many connections each user has |
//! | [`api`] | REST, one file a resource |
//! | [`gateway`] | sockets and event streams: each connection is a cursor into its rooms |
//! | [`snapshot`] | canvases from snapshots and the ops after them; the worker that builds snapshots |
//! | [`fold`] | when what can be undone is bounded, and the server op that does it |
//! | [`import`] | a drawing of the log of another server |
//! | [`accept`], [`descriptors`] | who gets in, and how many there is room for |
//! | [`transport`] | the bytes of a connection: TCP, or a pipe in memory |
//! | [`verify`] | whether logs and snapshots are whole |
//! | [`config`], [`server`] | flags; the one place that puts it all together |
//!
//! ARCHITECTURE.md has the invariants, and what happens at every bound.

pub mod accept;
pub mod access;
pub mod api;
pub mod audit;
pub mod bus;
pub mod client_stream;
pub mod clock;
pub mod commit;
pub mod config;
pub mod descriptors;
pub mod error;
pub mod fold;
pub mod gateway;
pub mod identity;
pub mod import;
pub mod limits;
pub mod model;
mod offload;
pub mod room;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod telemetry;
pub mod trace;
pub mod transport;
pub mod user_connections;
pub mod verify;
