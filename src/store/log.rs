//! The logs of drawings, and the epoch that they have in common.
//!
//! Owns no rule of appending: `resolve` has those.

use std::{collections::HashMap, fmt};

use async_trait::async_trait;
use uuid::Uuid;

use super::{AppendRequest, Appended, StoreError};
use crate::model::{Branch, CommittedOp, DrawingId, Epoch, OpId, Revision, UserId};

/// The logs.
///
/// Invariants every back end keeps, besides those of [`Store`](super::Store):
///
/// 1. The revisions of a drawing are 1, 2, 3 … without hole or reuse, in the order of commit.
/// 2. When [`append`](Log::append) returns, what it reports as committed is durable.
/// 3. A request of a batch is written whole or not at all; its neighbours are not affected.
/// 4. An `op_id` stands once in the log of a drawing, for as long as the log lives.
/// 5. The time of an op that is appended is never earlier than that of the op before it; an imported log keeps its times.
#[async_trait]
pub trait Log: Send + Sync + 'static {
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
}

/// The range of ops to read.
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
    /// Most bytes of the ops as readers get them, each with a byte to part it from the next; a first op may
    /// have more.
    pub max_bytes: usize,
}

/// A stretch of one log, and where the log stood when it was read.
#[derive(Debug)]
pub struct LogPage {
    /// The epoch, and how it goes on from the one before.
    pub branch: Branch,
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
    /// The user who sent it.
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

    /// Returns `true` if the row can be what was written, as far as a glance tells: an actor, and a body that
    /// looks like an object.
    pub(super) fn is_readable(&self) -> bool {
        let body = self.body.as_bytes();
        body.len() > 2 && body.starts_with(b"{\"") && body.ends_with(b"}") && UserId::is_one(&self.actor)
    }

    /// The bytes that the op takes of [`ReadRange::max_bytes`].
    pub(super) fn page_bytes(&self) -> usize {
        CommittedOp::json_len(self.revision, &self.actor, self.ts, &self.body) + 1
    }
}

/// The heads of some drawings at one moment.
#[derive(Debug)]
pub struct Heads {
    /// The epoch.
    pub epoch: Epoch,
    /// Each drawing that exists.
    pub stands: HashMap<DrawingId, Stand>,
}

/// Where the log of a drawing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The epoch, and how it goes on from the one before.
    pub branch: Branch,
    /// The head.
    pub head: Revision,
    /// The floor of the latest fold.
    pub floor: Revision,
}

impl Heads {
    /// The head of a drawing, if it exists.
    #[must_use]
    pub fn head(&self, drawing: DrawingId) -> Option<Revision> {
        self.stands.get(&drawing).map(|stand| stand.head)
    }
}

/// The values that belong to the database as a whole.
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
