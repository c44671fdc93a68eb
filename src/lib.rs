//! Revcast: REST commits the truth, the socket broadcasts the truth.
//!
//! The way of an op:
//!
//! ```text
//! api ─ commit ─ store        POST …/ops: checked, gathered, written in one transaction
//!          └ bus ─ room ─ socket      told to every node, put in order, pushed to every reader
//! ```
//!
//! A module imports only from those above it in this table:
//!
//! | Module | Owns |
//! |---|---|
//! | [`limits`], [`clock`] | figures; time |
//! | [`model`], [`error`] | ops, ids, roles, presence states, the canvas: pure; codes |
//! | [`telemetry`], [`trace`], [`audit`] | logs and metrics; what log lines have in common; who changed whose rights |
//! | [`transport`], [`offload`] | the bytes of a connection; work that would keep others waiting |
//! | [`store`] | the truth: logs, heads, members, links, the epoch |
//! | [`bus`] | the hint: messages between nodes |
//! | [`commit`] | the queues in front of the store |
//! | [`wire`] | what bytes look like: messages, encodings, frames |
//! | [`room`] | order, repair, the ring, readers, and presence beside them |
//! | [`identity`], [`access`], [`user_connections`] | who is asking; who may do what; how many connections each user has |
//! | [`snapshot`] | canvases from snapshots and the ops after them |
//! | [`undo`] | from a wish to undo to its op in the log |
//! | [`import`], [`verify`] | a drawing of the log of another server; whether logs and snapshots are whole |
//! | [`http`] | connections, layers, extractors, problem bodies |
//! | [`api`] | REST, one file a resource |
//! | [`socket`] | sockets and event streams: each connection is a cursor into its rooms |
//! | [`worker`] | what nobody waits for: snapshots, folding, removal |
//! | [`config`], [`reference`], [`server`] | flags; the generated reference; the one place that puts it all together |
//!
//! ARCHITECTURE.md has the invariants, docs/reference.md what happens at each limit.

pub mod access;
pub mod api;
pub mod audit;
pub mod bus;
pub mod clock;
pub mod commit;
pub mod config;
pub mod error;
pub mod http;
pub mod identity;
pub mod import;
pub mod limits;
pub mod model;
pub mod offload;
pub mod reference;
pub mod room;
pub mod server;
pub mod snapshot;
pub mod socket;
pub mod store;
pub mod telemetry;
pub mod trace;
pub mod transport;
pub mod undo;
pub mod user_connections;
pub mod verify;
pub mod wire;
pub mod worker;
