//! Presence on a connection: how far its client was told of others, and what it shows of itself.
//!
//! Owns the place of a client in the presence of one drawing. It sends nothing and knows no sockets: what there is to tell
//! it hands to whoever asks.

use serde_json::value::RawValue;

use crate::{
    limits,
    model::{ConnectionId, PresenceState},
    room::presence::{PresenceError, PresenceLease, Present, Since, ViewState},
};

/// The presence of a drawing as one client was told it.
#[derive(Debug)]
pub(super) struct PresenceCursor {
    presence: PresenceLease,
    view: ViewState,
}

impl PresenceCursor {
    /// Begins with the roster, which the client gets at once; a large one comes as the first diff, which
    /// is made once for all who join.
    pub(super) fn begin(presence: PresenceLease) -> (Self, Box<RawValue>) {
        let roster = presence.roster();
        let text = (roster.json.len() <= limits::MAX_ROSTER_BYTES).then(|| String::from(&*roster.json));
        let (version, text) = text.map_or_else(|| (0, "{}".to_owned()), |text| (roster.version, text));
        // The roster is JSON.
        let text = RawValue::from_string(text).unwrap_or_default();
        (Self { presence, view: ViewState::new(version) }, text)
    }

    /// The presence that is viewed.
    pub(super) fn presence(&self) -> &PresenceLease {
        &self.presence
    }

    /// Returns what the client lacks, which then counts as told.
    pub(super) fn next(&mut self, me: ConnectionId) -> Since {
        if self.view.version() == self.presence.flushed() {
            return Since::Nothing;
        }
        self.presence.view(me, &mut self.view)
    }
}

/// The state that a client shows of itself in one drawing.
#[derive(Debug, Default)]
pub(super) struct OwnPresence {
    /// The presence in which it is shown; absent while it shows nothing.
    presence: Option<PresenceLease>,
    /// A state to show as soon as the client has a place in the room.
    waiting: Option<Box<PresenceState>>,
}

impl OwnPresence {
    /// Keeps a state to be shown, in the place of one that waits.
    pub(super) fn prepare(&mut self, state: Box<PresenceState>) {
        self.waiting = Some(state);
    }

    /// Shows the state that waits, if there is one, in the presence that `open` gives.
    ///
    /// # Errors
    /// [`PresenceError::Full`].
    pub(super) fn show(
        &mut self,
        open: impl FnOnce() -> PresenceLease,
        who: impl FnOnce() -> Present,
    ) -> Result<(), PresenceError> {
        let Some(state) = self.waiting.take() else { return Ok(()) };
        self.presence.get_or_insert_with(open).publish(&who(), *state)
    }

    /// Lets the state stay for a while: the connection is gone, or follows no more.
    pub(super) fn let_go(&mut self, me: ConnectionId) {
        if let Some(presence) = self.presence.take() {
            presence.socket_dropped(me);
        }
    }

    /// Takes the state away at once, as the client wants it.
    pub(super) fn leave(&mut self, me: ConnectionId) {
        self.waiting = None;
        if let Some(presence) = self.presence.take() {
            presence.leave(me);
        }
    }
}
