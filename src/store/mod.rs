//! The store: the truth. One trait, two back ends, one contract suite (`tests/integration/store`).
//!
//! Owns what is durable: the log of each drawing, its head, members, links and the epoch. It never
//! publishes and knows neither requests nor readers.

mod columns;
mod directory;
mod postgres;
mod resolve;
mod sqlite;

use std::{collections::HashMap, fmt, time::Duration};

use async_trait::async_trait;
use uuid::Uuid;

use crate::model::{CommittedOp, DrawingId, Epoch, ObjectId, OpId, Revision, Role, UserId};

pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// Durable storage of drawings.
///
/// Invariants every back end keeps:
///
/// 1. The revisions of a drawing are 1, 2, 3 … without hole or reuse, in the order of commit.
/// 2. When [`append`](Store::append) returns, what it reports as committed is durable.
/// 3. A request of a batch is written whole or not at all; its neighbours are not affected.
/// 4. An `op_id` stands once in the log of a drawing, for as long as the log lives.
/// 5. What one call returns was true at one moment: epoch, head and ops fit together.
/// 6. A deleted drawing takes no op, shows no op, and its id is never given again.
/// 7. No call waits longer than `STORE_ACQUIRE_TIMEOUT` plus `STATEMENT_TIMEOUT` for each of its
///    few statements.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Commits a batch in one transaction: lock the heads in id order, look for duplicates, check
    /// named units and fog, number, insert. Returns one outcome a request, in order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] leaves open whether the batch was committed; the same batch may
    /// be appended again.
    async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError>;

    /// Reads ops in `(after, until]` in order, at most `limit` ops and about `max_bytes` of bodies
    /// (one op at least). `None` when there is no such drawing.
    async fn read(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError>;

    /// Reads the heads of many drawings in one query; those that do not exist are absent.
    async fn heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError>;

    /// Reads the epoch and the key with which the servers of this database sign.
    async fn meta(&self) -> Result<Meta, StoreError>;

    /// Replaces the epoch.
    async fn new_epoch(&self) -> Result<Epoch, StoreError>;

    /// Creates a drawing with `owner` as its first owner.
    async fn create_drawing(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError>;

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

    /// Deletes a drawing for good; false when there is no such drawing.
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

    /// Makes `user` a member through a link that has not expired; a role is raised, never lowered.
    /// Returns the drawing and the role that `user` has now; `None` for an unknown link.
    async fn join_link(
        &self,
        token_hash: &str,
        user: &UserId,
        now_ms: i64,
    ) -> Result<Option<(DrawingId, Role)>, StoreError>;

    /// Finishes what is running and closes the connections.
    async fn close(&self);
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, did not answer in time, or asks to try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// It refused the statement: a defect of ours or of the schema.
    #[error("the store failed: {0}")]
    Failed(#[source] sqlx::Error),
    /// It holds what this version cannot read.
    #[error("the store holds an unreadable {0}")]
    Corrupt(&'static str),
}

impl StoreError {
    /// The store did not answer within the time that the caller gives it.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }
}

impl StoreError {
    /// The node is stopping.
    #[must_use]
    pub fn stopped() -> Self {
        Self::Unavailable(sqlx::Error::PoolClosed)
    }

    /// The same error for another who waited for the same answer; the cause stays with the first.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::Unavailable(_) => Self::Unavailable(sqlx::Error::Protocol(self.to_string())),
            Self::Failed(_) => Self::Failed(sqlx::Error::Protocol(self.to_string())),
            Self::Corrupt(what) => Self::Corrupt(what),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::{Database, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        let is_passing = match &error {
            Io(_) | Tls(_) | PoolTimedOut | PoolClosed | WorkerCrashed | Protocol(_) => true,
            Database(database) => is_passing_code(database.code().as_deref().unwrap_or_default()),
            _ => false,
        };
        if is_passing { Self::Unavailable(error) } else { Self::Failed(error) }
    }
}

/// Postgres: connection exceptions (08), too many connections and other lacks of resources (53),
/// cancelled or shutting down (57), deadlock or serialization failure (40), and a server in
/// read-only mode as after a failover (25006). SQLite: BUSY, LOCKED, IOERR, FULL and CANTOPEN,
/// whose extended codes carry the primary one in their low byte.
fn is_passing_code(code: &str) -> bool {
    let is_sqlite = code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14));
    let is_postgres =
        code.len() == 5 && (["08", "53", "57", "40"].iter().any(|c| code.starts_with(c)) || code == "25006");
    if code.len() == 5 { is_postgres } else { is_sqlite }
}

// --- Append -------------------------------------------------------------------------------------

/// The ops of one `POST`, checked as far as that goes without the log.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// The drawing they belong to.
    pub drawing_id: DrawingId,
    /// Who sends them.
    pub actor: UserId,
    /// What the sender may do; decides on units of others and on fog.
    pub role: Role,
    /// The head that the sender insists on.
    pub if_revision: Option<Revision>,
    /// The ops, in order; at least one.
    pub ops: Vec<NewOp>,
}

/// One op to append.
#[derive(Clone, Debug)]
pub struct NewOp {
    /// Its idempotency key.
    pub op_id: OpId,
    /// Its undo unit; itself when it begins one.
    pub unit: OpId,
    /// Whether it undoes or redoes its unit rather than joining it.
    pub is_undo_redo: bool,
    /// Whether it creates an object of kind `fog`.
    pub creates_fog: bool,
    /// The objects it names.
    pub touches: Vec<ObjectId>,
    /// The client's JSON, compact.
    pub body: Box<str>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Appended {
    /// The epoch in which it was committed.
    pub epoch: Epoch,
    /// One a request, in order.
    pub outcomes: Vec<AppendOutcome>,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Every op is in the log.
    Accepted {
        /// The head of the drawing after the batch.
        head: Revision,
        /// One an op, in order.
        ops: Vec<OpOutcome>,
    },
    /// Nothing of it was written.
    Refused(Refusal),
}

/// Where one accepted op stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpOutcome {
    /// It was committed now.
    Committed(Revision),
    /// It was in the log already.
    Duplicate(Revision),
}

impl OpOutcome {
    /// The revision of the op, whenever it was committed.
    #[must_use]
    pub fn revision(self) -> Revision {
        match self {
            Self::Committed(revision) | Self::Duplicate(revision) => revision,
        }
    }
}

/// Why a request was refused; `index` is that of the op at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are explained by the variants")]
pub enum Refusal {
    /// There is no such drawing.
    NoDrawing,
    /// The head is not the one the sender insists on.
    RevisionConflict { head: Revision },
    /// The `op_id` stands at `revision` with another body.
    OpIdConflict { index: usize, revision: Revision },
    /// The named unit is not in the log, or is no unit.
    UnknownUnit { index: usize },
    /// The named unit belongs to another actor.
    UnitOfAnother { index: usize },
    /// The named unit began at or below the undo horizon.
    UnitClosed { index: usize },
    /// The op touches an object of kind `fog`.
    FogForbidden { index: usize },
}

// --- Read ---------------------------------------------------------------------------------------

/// Which ops to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadRange {
    /// The drawing.
    pub drawing_id: DrawingId,
    /// Exclusive start.
    pub after: Revision,
    /// Inclusive end; the head where absent or ahead of it.
    pub until: Option<Revision>,
    /// Most ops.
    pub limit: u32,
    /// Bytes of bodies after which no further op is begun.
    pub max_bytes: usize,
}

/// A stretch of one log, and where the log stood when it was read.
#[derive(Debug)]
pub struct LogPage {
    /// The epoch.
    pub epoch: Epoch,
    /// The head.
    pub head: Revision,
    /// The ops, contiguous from `after + 1`.
    pub ops: Vec<StoredOp>,
}

/// One committed op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOp {
    /// Its place in the log.
    pub revision: Revision,
    /// Who sent it.
    pub actor: String,
    /// When it was committed, in milliseconds since 1970.
    pub ts: i64,
    /// The client's JSON, compact.
    pub body: String,
}

impl StoredOp {
    /// The op in the form in which readers get it.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn commit(&self) -> Result<CommittedOp, StoreError> {
        let actor = self.actor.parse().map_err(|_| StoreError::Corrupt("actor"))?;
        Ok(CommittedOp::new(self.revision, &actor, self.ts, &self.body))
    }
}

/// The heads of some drawings at one moment.
#[derive(Debug)]
pub struct Heads {
    /// The epoch.
    pub epoch: Epoch,
    /// The head of each drawing that exists.
    pub revisions: HashMap<DrawingId, Revision>,
}

/// What belongs to the database as a whole.
#[derive(Clone, Copy)]
pub struct Meta {
    /// The epoch.
    pub epoch: Epoch,
    /// Signs tickets and development tokens; never leaves the servers.
    pub server_key: Uuid,
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

// --- Drawings, members, links ---------------------------------------------------------------------

/// The metadata of a drawing, as one user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// Its id.
    pub drawing_id: DrawingId,
    /// Its title; may be empty.
    pub title: String,
    /// Who created it.
    pub created_by: UserId,
    /// When, in milliseconds since 1970.
    pub created_at: i64,
    /// When its metadata last changed, in milliseconds since 1970.
    pub updated_at: i64,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// The head of its log.
    pub head: Revision,
    /// The role of the user who asks.
    pub role: Role,
}

/// A place in the list of drawings: that of the last one seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawingCursor {
    /// When it was created.
    pub created_at: i64,
    /// Its id.
    pub drawing_id: DrawingId,
}

/// What became of a wish to create a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// It is new.
    Created,
    /// The same user created it before.
    Exists,
    /// The id belongs to another user's drawing, or to a deleted one.
    Taken,
}

/// A user with a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user_id: UserId,
    /// What they may do.
    pub role: Role,
}

/// What became of a change to the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberOutcome {
    /// It was done.
    Changed,
    /// There is no such drawing, or no such member to remove.
    NotFound,
    /// It would have left the drawing without an owner.
    LastOwner,
}

/// A share link, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Names the link to its owners; opens nothing.
    pub link_id: Uuid,
    /// The drawing it opens.
    pub drawing_id: DrawingId,
    /// The role it gives.
    pub role: Role,
    /// Who made it.
    pub created_by: UserId,
    /// When, in milliseconds since 1970.
    pub created_at: i64,
    /// When it stops working, in milliseconds since 1970.
    pub expires_at: Option<i64>,
}

/// How the pools of both back ends are set up.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// Connections to the database, at most.
    pub max_connections: u32,
    /// How long the first connection is tried for.
    pub start_timeout: Duration,
}

impl Heads {
    /// Collects rows of the epoch with one head each; a row without a head only brings the epoch.
    fn from_rows(rows: Vec<(Uuid, Option<Uuid>, Option<i64>)>) -> Result<Self, StoreError> {
        let epoch = rows.first().map(|row| Epoch(row.0)).ok_or(StoreError::Corrupt("meta table"))?;
        let mut revisions = HashMap::with_capacity(rows.len());
        for row in rows {
            if let (_, Some(id), Some(revision)) = row {
                revisions.insert(DrawingId(id), revision_from_sql(revision)?);
            }
        }
        Ok(Self { epoch, revisions })
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
