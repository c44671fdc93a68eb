//! One drawing that a socket follows, from the wish to the last word.
//!
//! Owns the place in the room, once there is one, and what the client was told of its role and of others. It decides what
//! its client gets next, and never writes.

use bytes::Bytes;

use super::{
    endpoint::Endpoint,
    presence::{OwnPresence, PresenceCursor},
};
use crate::{
    model::{ConnectionId, DrawingId, PresenceState, Role},
    room::{
        Batch, JoinError, Joined, Next, Reader,
        presence::{PresenceError, PresenceLease, Present, Since},
    },
    telemetry,
    wire::{News, ResetReason},
};

/// A place in a room and a role there, or why there is none.
pub(super) type JoinOutcome = Result<(Joined, Role), JoinError>;

/// One drawing that a socket follows.
#[derive(Debug)]
pub(super) struct FollowedDrawing {
    /// Tells it from one to the same drawing before or after.
    number: u64,
    drawing_id: DrawingId,
    /// Absent while joining.
    reader: Option<Reader>,
    /// The role that the client was told last.
    role: Option<Role>,
    /// A change of role that came while it joined.
    news: Option<Option<Role>>,
    /// The presence as it was told, if the client wants to know.
    view: Option<Box<PresenceCursor>>,
    /// The client's own presence, once it has shown some.
    own: OwnPresence,
}

/// Bytes that a subscription has for its client.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) bytes: Bytes,
    /// Set for the last word of the subscription.
    pub(super) is_last: bool,
    /// Set when they tell the client that it was too slow for the room.
    pub(super) tells_lag: bool,
}

/// The answer of a subscription to a batch of its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It takes the batch as it is.
    Whole,
    /// It has to read from the ring by itself.
    Apart,
    /// It joins, and reads by itself when it is ready.
    NotYet,
}

impl FollowedDrawing {
    /// A subscription that joins. The client's own presence goes on from the subscription before.
    pub(super) fn new(number: u64, drawing_id: DrawingId, own: OwnPresence) -> Self {
        Self { number, drawing_id, reader: None, role: None, news: None, view: None, own }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn drawing_id(&self) -> DrawingId {
        self.drawing_id
    }

    // --- Joining ----------------------------------------------------------------------------------

    /// Corrects the outcome of the join by what came meanwhile, which is newer.
    pub(super) fn correct(&self, outcome: JoinOutcome) -> JoinOutcome {
        match (outcome, self.news) {
            (Ok(_), Some(None)) => Err(JoinError::NoDrawing),
            (Ok((joined, _)), Some(Some(role))) => Ok((joined, role)),
            (outcome, _) => outcome,
        }
    }

    /// Takes the place in the room.
    pub(super) fn begin(&mut self, reader: Reader, role: Role, view: Option<PresenceCursor>) {
        reader.note_role(role);
        (self.reader, self.role) = (Some(reader), Some(role));
        self.view = view.map(Box::new);
    }

    // --- What the client is told ------------------------------------------------------------------

    /// Takes a batch of the room, if it begins where the client stands.
    pub(super) fn take(&mut self, batch: &Batch) -> Taken {
        let Some(reader) = &mut self.reader else { return Taken::NotYet };
        if reader.take(batch) { Taken::Whole } else { Taken::Apart }
    }

    /// The next thing that the room tells.
    pub(super) fn next_item(&mut self, endpoint: &Endpoint) -> Option<Due> {
        match self.reader.as_mut()?.read() {
            Next::Empty => None,
            Next::Item(item) => {
                let bytes = item.bytes(endpoint.encoding).clone();
                let News::Restarted { reason, .. } = item.news else { return Some(Due::news(bytes)) };
                telemetry::count_reset(reason.as_str());
                Some(Due::last(bytes))
            }
            Next::Lagged { reason, branch, revision } => {
                let bytes = endpoint.reset(self.drawing_id, reason, branch, revision);
                Some(Due { bytes, is_last: true, tells_lag: true })
            }
        }
    }

    /// The part of presence that the client lacks.
    pub(super) fn next_presence(&mut self, endpoint: &Endpoint) -> Option<Due> {
        match self.view.as_mut()?.next(endpoint.id) {
            Since::Nothing => None,
            Since::Diff(diff) => Some(Due::news(diff.bytes(endpoint.encoding).clone())),
            // More has happened than anybody remembers: it begins anew, as if it lagged.
            Since::TooOld => {
                let (branch, revision) = self.reader.as_ref()?.position();
                let reason = ResetReason::Lagged;
                Some(Due::last(endpoint.reset(self.drawing_id, reason, branch, revision)))
            }
        }
    }

    /// Learns the role of the user, and returns whether the client is to be told now.
    pub(super) fn learn_role(&mut self, role: Option<Role>) -> bool {
        if self.reader.is_none() {
            // It joins, and looked before, perhaps.
            self.news = Some(role);
            return false;
        }
        // The same news may come twice, by the bus and without it.
        std::mem::replace(&mut self.role, role) != role
    }

    // --- What the client shows --------------------------------------------------------------------

    /// Keeps a state that the client wants to show.
    pub(super) fn prepare_presence(&mut self, state: Box<PresenceState>) {
        self.own.prepare(state);
    }

    /// Shows the state that waits to be shown, if the subscription has its place in the room.
    ///
    /// # Errors
    /// [`PresenceError::Full`].
    pub(super) fn show_presence(
        &mut self,
        open: impl FnOnce() -> PresenceLease,
        who: impl FnOnce() -> Present,
    ) -> Result<(), PresenceError> {
        if self.reader.is_some() { self.own.show(open, who) } else { Ok(()) }
    }

    /// Takes away what the client shows, at once.
    pub(super) fn leave_presence(&mut self, me: ConnectionId) {
        self.own.leave(me);
    }

    /// Gives up the presence of the client, which stays for a while, to the subscription that comes after.
    pub(super) fn into_own_presence(self) -> OwnPresence {
        self.own
    }

    /// Ends without a word of the client: its presence stays for a while.
    pub(super) fn end(mut self, me: ConnectionId) {
        self.own.let_go(me);
    }
}

impl Due {
    /// News, after which more may come.
    fn news(bytes: Bytes) -> Self {
        Self { bytes, is_last: false, tells_lag: false }
    }

    fn last(bytes: Bytes) -> Self {
        Self { bytes, is_last: true, tells_lag: false }
    }
}
