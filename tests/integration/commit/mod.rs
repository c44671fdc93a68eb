//! Group commit.

pub mod batches;
pub mod failures;
pub mod setup;
