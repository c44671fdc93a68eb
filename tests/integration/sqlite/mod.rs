//! The embedded database: its lock, and power failures.

pub mod crash;
pub mod load;
pub mod lock;
