//! The position that a reader joins a room with, and the result of joining.

use super::ring::Reader;
use crate::{
    model::{Branch, Epoch, Revision},
    wire::ResetReason,
};

/// Where a reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last revision it has; `None` to start from the head.
    pub after: Option<Revision>,
    /// The epoch of that revision, if it knows.
    pub epoch: Option<Epoch>,
}

/// The result of a wish to join.
#[derive(Debug)]
pub enum Joined<R = Reader> {
    /// The reader follows the drawing.
    Live {
        /// The epoch of the log, and how it goes on from the one before.
        branch: Branch,
        /// The reader has everything up to here.
        revision: Revision,
        /// Its place in the room.
        reader: R,
    },
    /// The reader must go to REST first.
    Reset {
        /// Why.
        reason: ResetReason,
        /// The epoch of the log, and how it goes on from the one before.
        branch: Branch,
        /// The head of the log.
        revision: Revision,
    },
}

/// Why a room could not be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// There is no such drawing.
    #[error("the drawing does not exist")]
    NoDrawing,
    /// The store does not answer.
    #[error("the store is unavailable")]
    Unavailable,
    /// The node is stopping.
    #[error("the server is stopping")]
    Draining,
    /// The node follows as many drawings as it may.
    #[error("this node follows as many drawings as it may")]
    Full,
}

impl<R> Joined<R> {
    pub(super) fn map<S>(self, into: impl FnOnce(R) -> S) -> Joined<S> {
        match self {
            Self::Live { branch, revision, reader } => {
                Joined::Live { branch, revision, reader: into(reader) }
            }
            Self::Reset { reason, branch, revision } => Joined::Reset { reason, branch, revision },
        }
    }
}

/// As many as an operator says, for whom 0 is any number.
pub(super) fn at_most(most: u32) -> usize {
    if most == 0 { usize::MAX } else { usize::try_from(most).unwrap_or(usize::MAX) }
}
