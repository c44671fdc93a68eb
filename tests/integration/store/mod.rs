//! The contract of the store, run on every back end.

pub mod append;
pub mod claims;
pub mod contract;
pub mod damage;
pub mod directory;
pub mod fold;
pub mod import;
pub mod inspect;
pub mod lineage;
pub mod members;
pub mod read;
pub mod refusals;
pub mod schema;
pub mod snapshots;
pub mod undo;
