//! The integration tests: one binary, real sockets, a real Postgres and a real NATS server, which
//! the tests start and stop themselves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there and then")]
#![allow(unreachable_pub, reason = "support has the shape of a crate")]

mod support;

mod bus_contract;
mod bus_outages;
mod commit;
mod commit_failures;
mod commit_setup;
mod faults;
mod guarantees;
mod http_docs;
mod http_drawings;
mod http_edge;
mod http_fuzz;
mod http_hostile;
mod http_identity;
mod http_invalid;
mod http_limits;
mod http_members;
mod http_ops;
mod http_read;
mod live;
mod store_append;
mod store_contract;
mod store_directory;
mod store_members;
mod store_read;
mod store_refusals;
