//! Drives a real deployment: throwaway Postgres and NATS, servers as processes, cheap clients.
//!
//! The integration tests use `services` and `proxy` as well, so that tests, bench and demo start
//! the same things in the same way.

pub mod bench;
pub mod http;
pub mod pen;
pub mod proxy;
mod pump;
pub mod services;
pub mod socket;
pub mod swarm;
