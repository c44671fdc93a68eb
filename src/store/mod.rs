//! The store: the truth. Traits by topic, two back ends, one contract suite (`tests/integration/store`).
//!
//! Owns what is durable: the log of each drawing, its head, members, links, which snapshots there are,
//! and the epoch. It never publishes and knows neither requests nor readers.

mod append;
mod call;
mod damage;
mod drawings;
mod error;
mod health;
mod imports;
mod inspection;
mod links;
mod log;
mod members;
mod memory;
mod migrations;
mod postgres;
mod resolve;
mod snapshots;
mod sql;
mod sqlite;
mod upkeep;
mod values;

pub(crate) use call::log_store_failure;
use values::{
    branch_from_sql, revision_from_sql, revision_to_sql, role_from_sql, unit_to_sql, user_from_sql,
};

pub use append::{AppendOutcome, AppendRequest, Appended, AppendedTo, FoldPlan, OpOutcome, Refusal};
pub use call::call;
pub use drawings::{CreateOutcome, Drawing, DrawingCursor, Drawings};
pub use error::StoreError;
pub use health::StoreHealth;
pub use imports::{ImportedLog, ImportedOp, Imports};
pub use inspection::{InspectedDrawing, InspectedHead, InspectedOp, InspectedOps, Inspection};
pub use links::{JoinedLink, Link, Links};
pub use log::{Heads, Log, LogPage, Meta, ReadRange, Stand, StoredOp};
pub use members::{Member, MemberOutcome, Members};
pub use memory::{MemoryStore, Standby};
pub use postgres::PostgresStore;
pub use snapshots::{Claim, DuePage, Snapshot, Snapshots};
pub use sql::PoolOptions;
pub use sqlite::{FileLock, FileLockError, SqliteStore};
pub use upkeep::{Probe, Upkeep};

/// Durable storage of drawings: all topics together. Whoever needs one of them takes that.
///
/// Invariants every back end keeps, besides those of each topic:
///
/// 1. The result of one call was true at one moment: epoch, head and ops fit together.
/// 2. A deleted drawing takes no op, shows no op, and its id is never given again.
/// 3. Ops and rows that a call reports to be there already are as durable as those that it writes: a retry is
///    acknowledged no sooner than the first attempt would have been.
/// 4. No call waits longer than `STORE_ACQUIRE_TIMEOUT` plus `STATEMENT_TIMEOUT` for each of its few statements.
pub trait Store: Log + Drawings + Members + Links + Snapshots + Imports + Inspection + Upkeep {}

impl<S: Log + Drawings + Members + Links + Snapshots + Imports + Inspection + Upkeep> Store for S {}
