//! What the store is asked and what it answers.
//!
//! Owns no rule: the traits say what each means, and `import.rs` has what an import is made of.

use std::{collections::HashMap, fmt, time::Duration};

use uuid::Uuid;

use super::{StoreError, revision_from_sql};
use crate::model::{Branch, CheckedOp, CommittedOp, DrawingId, Epoch, Revision, Role, Trunk, UserId};

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
    /// The epoch of `if_revision` or of `untoggled_since`; alone, the one in which the ops have to be committed.
    pub epoch: Option<Epoch>,
    /// The head that the sender insists on, but for folds of the server after it.
    pub if_revision: Option<Revision>,
    /// For a request of one undo or redo: the unit was not undone or redone after this revision.
    pub untoggled_since: Option<Revision>,
    /// For a request of one `fold`: what it was planned on.
    pub fold: Option<FoldPlan>,
    /// The ops, in order; at least one.
    pub ops: Vec<CheckedOp>,
}

impl AppendRequest {
    /// A request that insists on nothing.
    #[must_use]
    pub fn new(drawing_id: DrawingId, actor: UserId, role: Role, ops: Vec<CheckedOp>) -> Self {
        Self {
            drawing_id,
            actor,
            role,
            epoch: None,
            if_revision: None,
            untoggled_since: None,
            fold: None,
            ops,
        }
    }
}

/// What a fold was planned on; where the log is another one meanwhile, the fold is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldPlan {
    /// The floor that it is to have.
    pub floor: Revision,
    /// The floor of the fold before.
    pub from: Revision,
    /// The revision at which it was planned.
    pub planned_at: Revision,
    /// Whether it gives way to whoever has named one of its units after `planned_at`.
    pub yields: bool,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Appended {
    /// The epoch in which it was committed.
    pub epoch: Epoch,
    /// Where the logs stand that got ops.
    pub heads: HashMap<DrawingId, AppendedTo>,
    /// One a request, in order.
    pub outcomes: Vec<AppendOutcome>,
}

/// A log to which a batch was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendedTo {
    /// The time of the new ops, in milliseconds since 1970: never earlier than that of an op before.
    pub ts: i64,
    /// The floor of the latest fold.
    pub floor: Revision,
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

/// Why a request was refused; `index` is that of the first op at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are explained by the variants")]
pub enum Refusal {
    /// There is no such drawing.
    NoDrawing,
    /// The head is not the one the sender insists on.
    RevisionConflict { head: Revision },
    /// The epoch is not the one the sender insists on.
    EpochChanged { head: Revision },
    /// The log is not the one on which the fold was planned.
    FoldDropped,
    /// The `op_id` stands at `revision` with another body.
    OpIdConflict { index: usize, revision: Revision },
    /// The named unit is not in the log, or is no unit.
    UnknownUnit { index: usize },
    /// The named unit belongs to another actor.
    UnitOfAnother { index: usize },
    /// The named units of these ops, all that there are, began at or below the floor.
    UnitClosed { indexes: Vec<usize> },
    /// The unit was undone or redone after the revision the sender knows of.
    UnitToggled { index: usize },
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

    /// Whether the row can be what was written, as far as a glance tells: an actor, and what looks like an object.
    pub(super) fn is_readable(&self) -> bool {
        let body = self.body.as_bytes();
        body.len() > 2 && body.starts_with(b"{\"") && body.ends_with(b"}") && UserId::is_one(&self.actor)
    }

    /// What the op takes of [`ReadRange::max_bytes`].
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

/// A row of `read_heads`: the epoch and the one before; id, head, base and floor of a drawing.
pub(super) type HeadRow = (Uuid, Option<Uuid>, Option<Uuid>, Option<i64>, Option<i64>, Option<i64>);

impl Heads {
    /// Collects rows of the epoch with one head each; a row without a head only brings the epoch.
    pub(super) fn from_rows(rows: Vec<HeadRow>) -> Result<Self, StoreError> {
        let epoch = rows.first().map(|row| Epoch(row.0)).ok_or(StoreError::Corrupt("meta table"))?;
        let mut stands = HashMap::with_capacity(rows.len());
        for row in rows {
            if let (epoch, previous, Some(id), Some(revision), Some(base), Some(floor)) = row {
                let branch = branch_from_sql(epoch, previous, base)?;
                let (head, floor) = (revision_from_sql(revision)?, revision_from_sql(floor)?);
                stands.insert(DrawingId(id), Stand { branch, head, floor });
            }
        }
        Ok(Self { epoch, stands })
    }

    /// The head of a drawing, if it exists.
    #[must_use]
    pub fn head(&self, drawing: DrawingId) -> Option<Revision> {
        self.stands.get(&drawing).map(|stand| stand.head)
    }
}

/// A branch as the tables have it.
pub(super) fn branch_from_sql(epoch: Uuid, previous: Option<Uuid>, base: i64) -> Result<Branch, StoreError> {
    let base = revision_from_sql(base)?;
    let trunk = previous.map(|previous| Trunk { epoch: Epoch(previous), base });
    Ok(Branch { epoch: Epoch(epoch), trunk })
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
    /// The epoch of its log, and how it goes on from the one before.
    pub branch: Branch,
    /// The head of its log.
    pub head: Revision,
    /// The revision of its newest snapshot.
    pub snapshot_revision: Option<Revision>,
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
    Changed {
        /// The role that the user had.
        before: Option<Role>,
    },
    /// There is no such drawing, or no such member to remove.
    NotFound,
    /// It would have left the drawing without an owner.
    LastOwner,
}

/// What joining through a share link came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinedLink {
    /// The drawing.
    pub drawing_id: DrawingId,
    /// The link.
    pub link_id: Uuid,
    /// The role that the user had.
    pub before: Option<Role>,
    /// The role that the user has now.
    pub role: Role,
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

// --- Snapshots ------------------------------------------------------------------------------------

/// One snapshot of a drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The revision whose state it holds.
    pub revision: Revision,
    /// Its id, and the name of its blob.
    pub snapshot_id: Uuid,
    /// The checksum of its blob.
    pub checksum: String,
    /// The size of its blob.
    pub bytes: u64,
    /// The bytes of all ops up to its revision, as they came.
    pub log_bytes: u64,
    /// When it was built, in milliseconds since 1970.
    pub created_at: i64,
}

/// What was found among some drawings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// Those of which a snapshot is due.
    pub due: Vec<DrawingId>,
    /// The last one looked at; `None` at the end.
    pub next: Option<DrawingId>,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is held now.
    Claimed {
        /// The head of the drawing.
        head: Revision,
    },
    /// The newest snapshot is not old enough.
    NotDue,
    /// Another holds it.
    Busy,
    /// There is no such drawing.
    NoDrawing,
}

// --- Connections ----------------------------------------------------------------------------------

/// How the pools of both back ends are set up.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// Connections to the database, at most.
    pub max_connections: u32,
    /// How long the first connection is tried for.
    pub start_timeout: Duration,
}
