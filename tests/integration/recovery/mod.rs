//! Faults, after which the server recovers by itself.

pub mod cancelled;
pub mod disk;
pub mod faults;
pub mod postgres;
pub mod rolling_restart;
pub mod setup;
pub mod start;
