//! Revcast.

pub mod access;
pub mod api;
pub mod bus;
pub mod clock;
pub mod commit;
pub mod config;
pub mod error;
pub mod gateway;
pub mod identity;
pub mod limits;
pub mod model;
pub mod room;
pub mod server;
pub mod store;
pub mod telemetry;
