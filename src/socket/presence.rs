//! Presence on a socket: what its client is told of others, and what it shows of itself.

use std::sync::Arc;

use serde_json::{Value, value::RawValue};

use super::{
    connection::{Connection, State, Subscription},
    session::Session,
};
use crate::{
    error::ErrorCode,
    identity::Identity,
    limits,
    model::{ConnectionId, DrawingId, PresenceState},
    room::{
        Rooms,
        presence::{Presence, Present, Since, ViewState},
    },
    wire::ServerMessage,
};

/// What a subscription was told of presence.
#[derive(Debug)]
pub(super) struct Told {
    presence: Arc<Presence>,
    view: ViewState,
}

impl Told {
    /// Begins with the roster, which the client gets at once; a large one comes as the first diff, which
    /// is made once for all who join.
    pub(super) fn begin(presence: Arc<Presence>) -> (Self, Box<RawValue>) {
        let roster = presence.roster();
        let text = (roster.json.len() <= limits::MAX_ROSTER_BYTES).then(|| String::from(&*roster.json));
        let (version, text) = text.map_or_else(|| (0, "{}".to_owned()), |text| (roster.version, text));
        // The roster is JSON.
        let text = RawValue::from_string(text).unwrap_or_default();
        (Self { presence, view: ViewState::new(version) }, text)
    }

    pub(super) fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    /// What the client lacks.
    pub(super) fn next(&mut self, me: ConnectionId) -> Since {
        if self.view.version() == self.presence.flushed() {
            return Since::Nothing;
        }
        self.presence.view(me, &mut self.view)
    }
}

/// What a client shows of itself in one drawing.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Where it is present; absent while it shows nothing.
    presence: Option<Arc<Presence>>,
    /// What it shows as soon as it has a place in the room.
    waiting: Option<Box<PresenceState>>,
}

impl Own {
    /// The socket is gone, or follows no more.
    pub(super) fn let_go(&mut self, me: ConnectionId) {
        if let Some(presence) = self.presence.take() {
            presence.socket_dropped(me);
        }
    }

    /// The client wants to be gone.
    pub(super) fn leave(&mut self, me: ConnectionId) {
        self.waiting = None;
        if let Some(presence) = self.presence.take() {
            presence.leave(me);
        }
    }
}

impl Session {
    /// Shows another state of the client, or none any more.
    pub(super) fn be_present(&self, drawing_id: DrawingId, value: &Value) {
        let shown = match value {
            Value::Null => Ok(None),
            value => PresenceState::parse(&value.to_string()).map(|shown| Some(Box::new(shown))),
        };
        let mut state = self.connection.lock();
        let state = &mut *state;
        let Some(nth) = state.of_drawing(drawing_id) else {
            let detail = "the socket does not follow this drawing";
            let refusal = ServerMessage::error(ErrorCode::NotSubscribed, detail, Some(drawing_id));
            return self.connection.send(state, &refusal);
        };
        match shown {
            Ok(None) => state.subscriptions[nth].own.leave(self.connection.id),
            Ok(shown) => {
                state.subscriptions[nth].own.waiting = shown;
                self.connection.show(&self.gateway.rooms, state, nth);
            }
            Err(error) => {
                let detail = format!("state {error}");
                let refusal = ServerMessage::error(ErrorCode::InvalidField, &detail, Some(drawing_id));
                self.connection.send(state, &refusal);
            }
        }
    }
}

impl Connection {
    /// Shows what waits to be shown, if the subscription has its place in the room.
    pub(super) fn show(&self, rooms: &Rooms, state: &mut State, nth: usize) {
        let Subscription { reader: Some(_), own, drawing_id, .. } = &mut state.subscriptions[nth] else {
            return;
        };
        let Some(shown) = own.waiting.take() else { return };
        let drawing_id = *drawing_id;
        let presence = own.presence.get_or_insert_with(|| rooms.presence(drawing_id));
        let Identity { user_id, name, .. } = state.identity.clone();
        let who = Present { connection_id: self.id, user_id, name };
        if let Err(error) = presence.publish(&who, *shown) {
            let detail = error.to_string();
            self.send(state, &ServerMessage::error(ErrorCode::Overloaded, &detail, Some(drawing_id)));
        }
    }
}
