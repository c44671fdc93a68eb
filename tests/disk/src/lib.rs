//! A disk for SQLite that writes down all that is done to the files of a folder, and from that makes what may be left of
//! them when the power fails at any moment.
//!
//! | Module | Owns |
//! |---|---|
//! | `vfs` | the functions that SQLite calls in place of its own; all of the unsafe code |
//! | `recording` | what was done to a folder, in order |
//! | `disk` | what is sure to be on the disk at a moment, and what else may be |
//! | `random` | choices that follow from a seed |
//!
//! A database is put on it by the parameter `vfs` of its URL: `sqlite:///folder/file.db?vfs=lossy-disk`.

mod disk;
mod random;
mod recording;
mod vfs;

pub use disk::{Disk, Files, Honesty};
pub use random::Random;
pub use recording::{Change, FileId, Recorder, Unsynced};

/// The name by which SQLite knows the disk, from the first [`Recorder`] or [`Unsynced`] on.
pub const VFS: &str = "lossy-disk";
