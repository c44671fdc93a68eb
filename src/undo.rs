//! Undo and redo: picks the unit, commits the op, and picks anew when somebody was faster.
//!
//! Owns the way from the wish of a client to the op in the log, for a wish that is sent again too. The caller
//! checks the rights and the rate of the user before.

use std::sync::Arc;

use crate::{
    commit::{CommitError, Committed, Committer},
    model::{Change, CheckedOp, DrawingId, History, LoggedOp, OpId, Revision, Role, UserId},
    snapshot::{Canvases, LoadError, UndoTurn},
    store::{AppendRequest, Log, OpOutcome, Refusal, StoreError},
    trace::{self, RequestId},
};

/// Picks of a unit that one undo or redo may take. Each that fails means that a press on another node went through
/// first, and the slower of two nodes may lose to all that wait on the other. Beyond it: `503 overloaded`.
const UNDO_ATTEMPTS: u32 = 100;

/// Carries out what clients wish to undo and redo.
#[derive(Clone)]
pub struct Undo {
    /// Finds the op of a wish that is sent again.
    log: Arc<dyn Log>,
    /// Knows what can be undone.
    canvases: Canvases,
    committer: Committer,
}

/// A wish to undo or redo, of somebody who may.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The drawing.
    pub drawing_id: DrawingId,
    /// The user who wishes it.
    pub actor: UserId,
    /// Their role.
    pub role: Role,
    /// The user whose units are looked at; `None` for everyone's.
    pub scope: Option<UserId>,
    /// The id that the op shall have.
    pub op_id: OpId,
    /// `true` if the client has chosen that id, so that the wish may have been sent before.
    pub is_retriable: bool,
    /// The direction of the wish.
    pub direction: Direction,
}

/// The direction of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To undo.
    Undo,
    /// To redo.
    Redo,
}

/// The unit that was undone or redone, and its op in the log.
#[derive(Debug)]
pub struct Toggled {
    /// The unit.
    pub unit: OpId,
    /// The outcome of the request.
    pub committed: Committed,
    /// Where the op stands.
    pub outcome: OpOutcome,
}

/// Why nothing was undone or redone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// No unit is left whose undoing, or redoing, could be seen.
    #[error("there is nothing to {}", .0.op_type())]
    Nothing(Direction),
    /// The id stands at this revision as another op.
    #[error("the op_id stands at revision {0} as another op")]
    IdTaken(Revision),
    /// Others were faster each time.
    #[error("others undo and redo at the same time; try again")]
    Contended,
    /// There was no canvas to look at.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The log could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The op was not committed.
    #[error("the op was not committed")]
    Commit(CommitError),
}

impl Direction {
    /// The op that undoes or redoes `unit`.
    #[must_use]
    pub fn op(self, op_id: OpId, unit: OpId) -> CheckedOp {
        let body = format!(r#"{{"op_id":"{op_id}","type":"{}","unit":"{unit}"}}"#, self.op_type());
        CheckedOp::toggle(op_id, unit, body.into())
    }

    fn op_type(self) -> &'static str {
        match self {
            Self::Undo => "undo",
            Self::Redo => "redo",
        }
    }

    fn pick(self, history: &History) -> Option<OpId> {
        match self {
            Self::Undo => history.undo_unit,
            Self::Redo => history.redo_unit,
        }
    }

    fn is_type_of(self, change: &Change<'_>) -> bool {
        match self {
            Self::Undo => matches!(change, Change::Undo),
            Self::Redo => matches!(change, Change::Redo),
        }
    }
}

impl Undo {
    /// Picks units of `canvases`, and commits with `committer`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, canvases: Canvases, committer: Committer) -> Self {
        Self { log, canvases, committer }
    }

    /// Waits until nobody else on this node resolves an undo or redo of the drawing. Those of other nodes show as a refusal.
    pub async fn turn(&self, drawing: DrawingId) -> UndoTurn {
        self.canvases.turn(drawing).await
    }

    /// Picks a unit and commits the op for the request `id`; picks anew when somebody was faster. The turn ends with it.
    ///
    /// # Errors
    /// See [`UndoError`].
    pub async fn carry_out(&self, _turn: UndoTurn, id: &RequestId, wish: Wish) -> Result<Toggled, UndoError> {
        let Wish { drawing_id, op_id, direction, .. } = wish;
        for _ in 0..UNDO_ATTEMPTS {
            let look = self.canvases.history(drawing_id, wish.scope.clone()).await;
            // Asked after the look, which may have met what the same wish did on another node; and also when there was
            // none, for the answer stands in the log.
            let done = if wish.is_retriable { self.done_before(&wish).await? } else { None };
            let (unit, append) = match done {
                // Sent again as it stands, so that the answer is as durable as the first one.
                Some((unit, op)) => (unit, wish.request(op)),
                None => {
                    let looked = look?;
                    let unit = direction.pick(&looked.history).ok_or(UndoError::Nothing(direction))?;
                    let (node, user) = (trace::node(), &wish.actor);
                    tracing::debug!(node, request = %id, drawing = %drawing_id, %user, ops = 1, "accepted");
                    let (epoch, since) = (Some(looked.branch.epoch), Some(looked.revision));
                    let append = wish.request(direction.op(op_id, unit));
                    (unit, AppendRequest { epoch, untoggled_since: since, ..append })
                }
            };
            let committed = match self.committer.commit_for(id.clone(), append).await {
                Ok(committed) => committed,
                Err(CommitError::Refused(_, refusal)) if is_overtaken(&refusal) => continue,
                Err(error) => return Err(UndoError::Commit(error)),
            };
            let outcome = committed.ops.first().copied().ok_or(UndoError::Nothing(direction))?;
            return Ok(Toggled { unit, committed, outcome });
        }
        Err(UndoError::Contended)
    }

    /// The op in the log of a wish that is sent again, and its unit.
    async fn done_before(&self, wish: &Wish) -> Result<Option<(OpId, CheckedOp)>, UndoError> {
        let Wish { drawing_id, op_id, direction, ref actor, .. } = *wish;
        let Some(stored) = self.log.find_op(drawing_id, op_id).await? else { return Ok(None) };
        let op = LoggedOp::read(stored.revision, &stored.actor, stored.ts, &stored.body);
        let is_same = op.change.as_ref().is_some_and(|change| direction.is_type_of(change));
        let Some(unit) = op.unit.filter(|_| is_same && stored.actor == actor.as_str()) else {
            return Err(UndoError::IdTaken(stored.revision));
        };
        Ok(Some((unit, CheckedOp::toggle(op_id, unit, stored.body.into()))))
    }
}

impl Wish {
    fn request(&self, op: CheckedOp) -> AppendRequest {
        AppendRequest::new(self.drawing_id, self.actor.clone(), self.role, vec![op])
    }
}

/// Returns `true` if the log went on since the look: somebody has undone or redone the same unit, or drawn so
/// much that it is closed, or the same wish has come through elsewhere; or the look was on a branch that a
/// failover has cut off.
fn is_overtaken(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::UnitToggled { .. }
            | Refusal::UnitClosed { .. }
            | Refusal::UnknownUnit { .. }
            | Refusal::OpIdConflict { .. }
    )
}

impl std::fmt::Debug for Undo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Undo").finish_non_exhaustive()
    }
}
