//! The errors of each part as clients get them, over HTTP and on sockets.
//!
//! Owns which code an error has for a client, and what it is told. A part that fails has logged it where it happened, but for
//! a few that only show here.

use crate::{
    commit::CommitError,
    error::{Error, ErrorCode},
    model::{Epoch, Fault},
    room::{JoinError, presence::PresenceError},
    snapshot::LoadError,
    store::{Refusal, StoreError},
    undo::{Direction, UndoError},
};

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            // Its health tells once that it is away.
            StoreError::Unavailable(error) => {
                tracing::debug!(%error, "the store is unavailable");
                Self::new(ErrorCode::StoreUnavailable, "the store does not answer; try again")
            }
            // The store has told of it.
            StoreError::Damaged { revision, .. } => Self::log_damaged(revision),
            StoreError::Failed(_) | StoreError::Corrupt(_) | StoreError::Unfit(_) => {
                tracing::error!(%error, "the store failed");
                Self::new(ErrorCode::Internal, "the store failed")
            }
        }
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Overloaded => {
                Self::new(ErrorCode::Overloaded, "too much is waiting to be written; try again")
            }
            CommitError::Draining => Self::new(ErrorCode::Draining, "the server is stopping; try again"),
            CommitError::Refused(epoch, refusal) => refused(epoch, refusal),
            // The writer has logged it.
            CommitError::Store(error) => match &*error {
                StoreError::Unavailable(_) => Self::new(
                    ErrorCode::StoreUnavailable,
                    "the store does not answer; send the request again as it is",
                ),
                StoreError::Damaged { revision, .. } => Self::log_damaged(*revision),
                _ => Self::new(ErrorCode::Internal, "the store failed"),
            },
        }
    }
}

fn refused(epoch: Epoch, refusal: Refusal) -> Error {
    let at = |code, detail: String, index: usize, field: &str| {
        Error::new(code, detail.clone()).with_fault(Fault::new(format!("/ops/{index}{field}"), detail))
    };
    match refusal {
        Refusal::NoDrawing => Error::not_found("the drawing"),
        Refusal::RevisionConflict { head } => {
            Error::new(ErrorCode::RevisionConflict, format!("the head is {head}")).with_head(epoch, head)
        }
        Refusal::OpIdConflict { index, revision } => {
            let detail = format!("the op_id stands at revision {revision} with another body");
            at(ErrorCode::OpIdConflict, detail, index, "/op_id")
        }
        Refusal::UnknownUnit { index } => at(
            ErrorCode::UnknownUnit,
            "the unit is not in the log, or begins no unit".to_owned(),
            index,
            "/unit",
        ),
        Refusal::UnitOfAnother { index } => {
            at(ErrorCode::UnitForbidden, "the unit belongs to another actor".to_owned(), index, "/unit")
        }
        Refusal::UnitClosed { indexes } => {
            let detail = "the unit has been folded and is closed";
            let faults = indexes.iter().map(|index| Fault::new(format!("/ops/{index}/unit"), detail));
            faults.fold(Error::new(ErrorCode::UnitClosed, detail), Error::with_fault)
        }
        Refusal::EpochChanged { head } => {
            Error::new(ErrorCode::EpochChanged, "the epoch of the log is another one").with_head(epoch, head)
        }
        // The server's own, which nobody waits for.
        Refusal::FoldDropped => Error::new(ErrorCode::Internal, "the fold was dropped"),
        Refusal::UnitToggled { index } => {
            let detail = "the unit was undone or redone meanwhile".to_owned();
            at(ErrorCode::RevisionConflict, detail, index, "/unit")
        }
        Refusal::FogForbidden { index } => {
            at(ErrorCode::Forbidden, "only an owner may touch objects of kind fog".to_owned(), index, "")
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::NoDrawing => Self::not_found("the drawing"),
            LoadError::Store(error) => error.into(),
            LoadError::Overloaded => {
                Self::new(ErrorCode::Overloaded, "too many canvases are asked for at once; try again")
            }
            LoadError::Undrawable(error) => {
                tracing::error!(%error, "a canvas cannot be drawn");
                Self::new(ErrorCode::Internal, "the picture could not be drawn")
            }
            LoadError::Stopped => Self::new(ErrorCode::Draining, "the server is stopping; try again"),
            // The loader has told of it.
            LoadError::Blobs(_) => Self::new(
                ErrorCode::SnapshotsUnavailable,
                "the snapshots cannot be read at present; try again",
            ),
            LoadError::EpochChanged => Self::new(
                ErrorCode::EpochChanged,
                "the epoch has just changed; ask for the canvas at the head",
            ),
        }
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::NoDrawing => {
                Self::new(ErrorCode::NotFound, "the drawing does not exist, or you have no role on it")
            }
            JoinError::Unavailable => {
                Self::new(ErrorCode::StoreUnavailable, "the store does not answer; try again")
            }
            JoinError::Draining => Self::new(ErrorCode::Draining, "the server is stopping"),
            JoinError::Full => {
                Self::new(ErrorCode::Overloaded, "this node follows as many drawings as it may; try again")
            }
        }
    }
}

impl From<PresenceError> for Error {
    fn from(error: PresenceError) -> Self {
        match error {
            PresenceError::Full => Self::new(ErrorCode::Overloaded, error.to_string()),
            PresenceError::NotYours => Self::field("/connection_id", "belongs to another user"),
        }
    }
}

impl From<UndoError> for Error {
    fn from(error: UndoError) -> Self {
        let detail = error.to_string();
        match error {
            UndoError::Nothing(Direction::Undo) => Self::new(ErrorCode::NothingToUndo, detail),
            UndoError::Nothing(Direction::Redo) => Self::new(ErrorCode::NothingToRedo, detail),
            UndoError::IdTaken(_) => Self::new(ErrorCode::OpIdConflict, detail),
            UndoError::Contended => Self::new(ErrorCode::Overloaded, detail),
            UndoError::Load(error) => error.into(),
            UndoError::Store(error) => error.into(),
            UndoError::Commit(error) => error.into(),
        }
    }
}
