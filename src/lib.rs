//! Revcast.

pub mod access;
pub mod bus;
pub mod commit;
pub mod error;
pub mod identity;
pub mod limits;
pub mod model;
pub mod store;
pub mod telemetry;
