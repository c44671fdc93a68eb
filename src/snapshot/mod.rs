//! Snapshots: what a drawing looks like at a revision, kept so that nobody replays its whole log.
//!
//! Owns the way from the log to a canvas and to its picture, and the blobs in which snapshots lie; `worker` builds them. It
//! never holds the truth: whatever is lost here can be made again from the log.

mod blob_health;
mod blob_url;
pub(crate) mod blobs;
mod canvases;
mod deflated;
pub(crate) mod format;
mod kept;
pub(crate) mod loader;
pub(crate) mod memory;
mod outage;
mod picture;

pub use blob_health::BlobHealth;
pub use blob_url::{BlobUrl, InvalidBlobUrl};
pub use blobs::{BlobError, BlobOpenError, Blobs};
pub use canvases::{Canvases, PastSteps};
pub use format::{Damage, decode_snapshot, encode_snapshot};
pub use kept::UndoTurn;
pub use loader::{LoadError, Loader, Reached};
pub use memory::{LoadPurpose, Memory, OutOfMemory, Share};
pub use picture::{Extent, Holding, InflatedText, Picture, PictureText, SvgPicture};
