//! The ops that are appended to logs, and the outcomes.

use std::collections::HashMap;

use crate::model::{CheckedOp, DrawingId, Epoch, Revision, Role, UserId};

/// The ops of one `POST`, checked as far as that goes without the log.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// The drawing they belong to.
    pub drawing_id: DrawingId,
    /// The user who sends them.
    pub actor: UserId,
    /// The role of the sender; decides on units of others and on fog.
    pub role: Role,
    /// The epoch of `if_revision` or of `untoggled_since`; alone, the one in which the ops have to be committed.
    pub epoch: Option<Epoch>,
    /// The head that the sender insists on, but for folds of the server after it.
    pub if_revision: Option<Revision>,
    /// For a request of one undo or redo: the unit was not undone or redone after this revision.
    pub untoggled_since: Option<Revision>,
    /// For a request of one `fold`: the state of the log that it was planned on.
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

/// The state of the log that a fold was planned on; where the log is another one meanwhile, the fold is
/// dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldPlan {
    /// The floor that it is to have.
    pub floor: Revision,
    /// The floor of the fold before.
    pub from: Revision,
    /// The revision at which it was planned.
    pub planned_at: Revision,
    /// `true` if it gives way to an op that has named one of its units after `planned_at`.
    pub yields: bool,
}

/// The outcome of a batch.
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

/// The outcome of one request.
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
