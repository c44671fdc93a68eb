//! The SQL that both databases understand in the same words, by topic.
//!
//! Each file that is named like a trait of the store implements it for every [`SqlBackend`]; the others hold
//! what these have in common. The differences stand in `postgres` and `sqlite`: how they append, in
//! [`SqlBackend`]; how a session of theirs is spoken to, in [`Dialect`].

mod conditions;
mod dialect;
mod drawings;
mod heads;
mod imports;
mod inspection;
mod links;
mod log;
mod members;
mod page;
mod query;
mod sessions;
mod snapshots;
mod trust;
mod upkeep;

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{AppendRequest, Appended, Heads, Probe, StoreError, StoreHealth};
use crate::model::{DrawingId, UserId};

pub(super) use conditions::{look_up_conditions, look_up_toggles};
pub(super) use dialect::Dialect;
pub(super) use heads::{HeadRow, collect_heads};
pub(super) use query::query;
pub(super) use sessions::{Sessions, Tx};
pub(super) use trust::Trust;

/// The settings of the pools of both back ends.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// Connections to the database, at most.
    pub max_connections: u32,
    /// The time for which the first connection is tried.
    pub start_timeout: Duration,
}

/// A store in a database.
pub(super) trait SqlBackend: Send + Sync + 'static {
    type Database: Dialect;

    /// The ways to the database.
    fn pools(&self) -> &Pools<Self::Database>;

    /// Commits a batch, as [`Log::append`](super::Log::append) says.
    fn append_batch(
        &self,
        batch: &[AppendRequest],
        now_ms: i64,
    ) -> impl Future<Output = Result<Appended, StoreError>> + Send;

    /// Reads the roles that there are: drawing, user and role.
    fn read_roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> impl Future<Output = Result<Vec<(Uuid, String, String)>, StoreError>> + Send;

    /// Reads the heads of drawings.
    fn read_heads(&self, drawings: &[DrawingId]) -> impl Future<Output = Result<Heads, StoreError>> + Send;

    /// Writes to the table of probes.
    fn write_probe(&self, probe: Probe) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Two pools of sessions, which may be the same, and what is known of the writing.
#[derive(Debug)]
pub(super) struct Pools<DB: Dialect> {
    pub read: Sessions<DB>,
    pub write: Sessions<DB>,
    pub health: Arc<StoreHealth>,
}

impl<DB: Dialect> Pools<DB> {
    /// Begins a transaction that writes.
    pub(super) async fn begin_write(&self) -> Result<Tx<DB>, StoreError> {
        self.write.begin().await
    }
}

impl<DB: Dialect> Clone for Pools<DB> {
    fn clone(&self) -> Self {
        Self { read: self.read.clone(), write: self.write.clone(), health: self.health.clone() }
    }
}
