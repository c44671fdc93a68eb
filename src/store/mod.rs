//! The store: the truth. One trait, two back ends, one contract suite (`tests/integration/store`).
//!
//! Owns what is durable: the log of each drawing, its head, members, links, which snapshots there are,
//! and the epoch. It never publishes and knows neither requests nor readers.

mod columns;
mod damage;
mod directory;
mod error;
mod health;
mod hosts;
mod import;
mod inspect;
mod log;
mod memory;
mod postgres;
mod resolve;
mod sessions;
mod snapshots;
mod sqlite;
mod sqlite_lock;
mod types;

use std::collections::HashMap;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    limits,
    model::{DrawingId, Epoch, OpId, Revision, Role, UserId},
};

pub use error::StoreError;
pub use health::Health;
pub use import::{ImportStore, ImportedLog, ImportedOp};
pub use inspect::{InspectStore, InspectedDrawing, InspectedHead, InspectedOp, InspectedOps};
pub use memory::{MemoryStore, Standby};
pub use postgres::PostgresStore;
pub use snapshots::SnapshotStore;
pub use sqlite::SqliteStore;
pub use sqlite_lock::{FileLock, FileLockError};
pub use types::{
    AppendOutcome, AppendRequest, Appended, AppendedTo, Claim, CreateOutcome, Drawing, DrawingCursor,
    DuePage, FoldPlan, Heads, JoinedLink, Link, LogPage, Member, MemberOutcome, Meta, OpOutcome, PoolOptions,
    ReadRange, Refusal, Snapshot, Stand, StoredOp,
};

/// Durable storage of drawings. Snapshots and imports stand in traits of their own, by topic; whoever
/// has a store has them all.
///
/// Invariants every back end keeps:
///
/// 1. The revisions of a drawing are 1, 2, 3 … without hole or reuse, in the order of commit.
/// 2. When [`append`](Store::append) returns, what it reports as committed is durable.
/// 3. A request of a batch is written whole or not at all; its neighbours are not affected.
/// 4. An `op_id` stands once in the log of a drawing, for as long as the log lives.
/// 5. What one call returns was true at one moment: epoch, head and ops fit together.
/// 6. A deleted drawing takes no op, shows no op, and its id is never given again.
/// 7. What a call reports to be in the log or in the tables already is as durable as what it writes: a retry is
///    acknowledged no sooner than the first attempt would have been.
/// 8. The time of an op that is appended is never earlier than that of the op before it; an imported log keeps its times.
/// 9. No call waits longer than `STORE_ACQUIRE_TIMEOUT` plus `STATEMENT_TIMEOUT` for each of its
///    few statements.
#[async_trait]
pub trait Store: SnapshotStore + ImportStore + InspectStore + 'static {
    /// Commits a batch in one transaction: lock the heads in id order, look for duplicates, check
    /// named units and fog, number, insert. Returns one outcome a request, in order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] leaves open whether the batch was committed; the same batch may
    /// be appended again.
    async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError>;

    /// Reads ops in `(after, until]` in order, at most `limit` ops and `max_bytes` of them as readers get
    /// them (one op at least). `None` when there is no such drawing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when an op below the head is missing or cannot be read: what is returned is whole. A
    /// drawing that is deleted meanwhile is not damaged.
    async fn read(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError>;

    /// Reads the op with this id; `None` when it is not in the log, or there is no such drawing.
    async fn find_op(&self, drawing: DrawingId, op_id: OpId) -> Result<Option<StoredOp>, StoreError>;

    /// Finds the revision at a time, in milliseconds since 1970: the last op committed by then, 0
    /// before the first one, `None` when there is no such drawing. In an imported log whose times fall the answer is one
    /// of several. Where an op is missing by which that would be told, the answer is the one before it.
    async fn revision_at(&self, drawing: DrawingId, at_ms: i64) -> Result<Option<Revision>, StoreError>;

    /// Reads the heads of many drawings in one query; those that do not exist are absent.
    async fn heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError>;

    /// Reads the epoch and the key with which the servers of this database sign.
    async fn meta(&self) -> Result<Meta, StoreError>;

    /// Replaces the epoch by one that does not go on with the line: every older position is refused.
    async fn new_epoch(&self) -> Result<Epoch, StoreError>;

    /// Creates a drawing with `owner` as its first owner.
    async fn create_drawing(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError>;

    /// How many drawings a user has made that are not deleted; it counts no further than `most`.
    async fn count_created(&self, user: &UserId, most: u32) -> Result<u32, StoreError>;

    /// Reads the metadata of a drawing as `user` may see it; `None` without a role.
    async fn drawing(&self, id: DrawingId, user: &UserId) -> Result<Option<Drawing>, StoreError>;

    /// Lists the drawings on which `user` has a role, newest first, after `cursor`.
    async fn drawings(
        &self,
        user: &UserId,
        cursor: Option<DrawingCursor>,
        limit: u32,
    ) -> Result<Vec<Drawing>, StoreError>;

    /// Renames a drawing; false when there is no such drawing.
    async fn rename_drawing(&self, id: DrawingId, title: &str, now_ms: i64) -> Result<bool, StoreError>;

    /// Writes nothing to the row of a drawing, deleted or not: when this returns, what was committed to it before is durable.
    /// For answers that tell of something that is gone.
    async fn confirm(&self, id: DrawingId) -> Result<(), StoreError>;

    /// Deletes a drawing for good, and makes its snapshots and its claim waste; false when there is no
    /// such drawing.
    async fn delete_drawing(&self, id: DrawingId, now_ms: i64) -> Result<bool, StoreError>;

    /// Removes up to `limit` ops of deleted drawings; returns how many.
    async fn purge_deleted(&self, limit: u32) -> Result<u64, StoreError>;

    /// Reads the role of `user` on a drawing.
    async fn role(&self, id: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError>;

    /// Reads the roles of many users in one query; pairs without a role are absent.
    async fn roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<HashMap<(DrawingId, UserId), Role>, StoreError>;

    /// Lists the members of a drawing by user id.
    async fn members(&self, id: DrawingId) -> Result<Vec<Member>, StoreError>;

    /// Gives `user` a role, or takes it away with `None`. The last owner stays owner.
    async fn set_member(
        &self,
        id: DrawingId,
        user: &UserId,
        role: Option<Role>,
        now_ms: i64,
    ) -> Result<MemberOutcome, StoreError>;

    /// Stores a share link.
    async fn create_link(&self, link: &Link, token_hash: &str) -> Result<(), StoreError>;

    /// Lists the share links of a drawing, oldest first.
    async fn links(&self, id: DrawingId) -> Result<Vec<Link>, StoreError>;

    /// Removes a share link; false when there is no such link.
    async fn delete_link(&self, id: DrawingId, link_id: Uuid) -> Result<bool, StoreError>;

    /// Makes `user` a member through a link that has not expired; a role is raised, never lowered. `None` for an
    /// unknown link.
    async fn join_link(
        &self,
        token_hash: &str,
        user: &UserId,
        now_ms: i64,
    ) -> Result<Option<JoinedLink>, StoreError>;

    /// Writes something of its own and commits it, wherever the store takes writes now. It may wait for as long as the
    /// store does.
    async fn probe(&self, probe: Probe) -> Result<(), StoreError>;

    /// What is known of its writing.
    fn health(&self) -> &Health;

    /// Finishes what is running and closes the connections.
    async fn close(&self);
}

/// How much is written to prove that the store takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// One row, in a place that is there already.
    Small,
    /// So much that it takes new room.
    WithRoom,
}

impl Probe {
    /// What it writes: nothing that could be compressed.
    fn filling(self) -> Option<Vec<u8>> {
        let count = limits::STORE_PROBE_ROOM / size_of::<Uuid>();
        (self == Self::WithRoom).then(|| (0..count).flat_map(|_| Uuid::new_v4().into_bytes()).collect())
    }
}

/// Revisions are positive and far below `i64::MAX`; a negative one in a row is damage.
fn revision_from_sql(value: i64) -> Result<Revision, StoreError> {
    u64::try_from(value).map(Revision).map_err(|_| StoreError::Corrupt("revision"))
}

/// Positions from clients may exceed what a `bigint` holds; beyond it there is no op anyway.
fn revision_to_sql(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// A call of the store that ends: a peer that is gone without a word is not waited for.
///
/// # Errors
/// That of the call, or [`StoreError::Unavailable`] when it takes longer than `STORE_CALL_TIMEOUT`.
pub async fn call<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(limits::STORE_CALL_TIMEOUT, answer).await.unwrap_or(Err(StoreError::timed_out()))
}

/// Logs what could not be done for want of the store, in the words of whoever wanted it. An outage is told once, by
/// [`Health`]; what depends on it then fails all the time.
macro_rules! log_store_failure {
    ($error:expr, $($told:tt)+) => {
        // Of damage the store has told.
        if $error.is_passing() || $error.is_damage() {
            tracing::debug!(error = %$error, $($told)+);
        } else {
            tracing::error!(error = %$error, $($told)+);
        }
    };
}

pub(crate) use log_store_failure;

/// Ops without a unit have the nil UUID in its place, which begins none: it is the id of no op without a unit.
fn unit_to_sql(unit: Option<OpId>) -> Uuid {
    unit.map_or(Uuid::nil(), |unit| unit.0)
}
