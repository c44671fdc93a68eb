//! The integration tests: one binary, real sockets, a real Postgres, a real NATS server and a
//! bucket that speaks S3, which the tests start and stop themselves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there and then")]
#![allow(unreachable_pub, reason = "support has the shape of a crate")]

mod support;

mod bus;
mod canvas;
mod commit;
mod failover;
mod guarantees;
mod http;
mod interop;
mod layers;
mod live;
mod program;
mod recovery;
mod room;
mod snapshot;
mod sqlite;
mod store;
