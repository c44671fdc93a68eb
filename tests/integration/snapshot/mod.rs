//! Snapshots, their blobs and who builds them.

pub mod blob_outages;
pub mod blobs;
pub mod builds;
pub mod damage;
pub mod faults;
pub mod kills;
pub mod lineage;
pub mod outages;
pub mod setup;
pub mod stretches;
