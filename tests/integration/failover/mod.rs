//! A standby takes over, with and without loss.

pub mod acks;
pub mod epochs;
pub mod harness;
pub mod import;
pub mod load;
pub mod positions;
pub mod readers;
pub mod setup;
pub mod snapshots;
pub mod twice;
