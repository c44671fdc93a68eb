//! The work in the background that nobody waits for.
//!
//! Owns snapshots as they become due, folding, and the removal of what is gone or outdated. All of it may stop at any moment
//! and be done again, here or by another node. Snapshots and removal are for nodes with the role `worker`; the rest is done
//! by each.

mod builder;
mod control;
mod fold;
mod housekeeping;
mod retention;
mod snapshots;

pub use builder::{BuildError, Builder, Built, OpenHistory};
pub use control::follow_control;
pub use fold::{Folder, FolderQueues};
pub use housekeeping::{purge, tidy};
pub use snapshots::{Hinted, Hints, Worker, hints};
