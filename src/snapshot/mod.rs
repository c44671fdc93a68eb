//! Snapshots: what a drawing looks like at a revision, kept so that nobody replays its whole log.
//!
//! Owns the way from the log to a canvas and to its picture, the worker that builds snapshots, and the blobs in which
//! they lie. It never holds the truth: whatever is lost here can be made again from the log.

mod background;
mod blob_url;
mod blobs;
mod builder;
mod canvases;
mod deflated;
mod format;
mod health;
mod kept;
mod loader;
mod memory;
mod outage;
mod picture;
mod retention;
mod worker;

pub use background::Background;
pub use blob_url::{BlobUrl, InvalidBlobUrl};
pub use blobs::{BlobError, BlobOpenError, Blobs};
pub use builder::{BuildError, Builder, Built, OpenHistory};
pub use canvases::{Canvases, PastSteps, Turn};
pub use format::{Damage, decode_snapshot, encode_snapshot};
pub use health::BlobHealth;
pub use loader::{LoadError, Loader, Reached};
pub use memory::{Memory, OutOfMemory, Purpose, Share};
pub use picture::{Answer, Drawing, Extent, Holding, Picture, Text};
pub use worker::{Hinted, Hints, Worker, hints};
