//! Subscribing: from the wish of a client to its place in a room.

use std::sync::Arc;

use super::{Gateway, connection::Connection, presence::Told, session::Session};
use crate::{
    error::{Error, ErrorCode},
    limits,
    model::{DrawingId, Role, UserId},
    room::{JoinError, Joined, Outlet, Position, Rooms},
    wire::ServerMessage,
};

impl Session {
    /// Begins to follow a drawing; the answer comes when the room has found the place.
    pub(super) fn subscribe(&self, drawing_id: DrawingId, position: Position, presence: bool) {
        let (number, user) = {
            let mut state = self.connection.lock();
            let is_full = state.of_drawing(drawing_id).is_none()
                && state.subscriptions.len() >= limits::MAX_SUBSCRIPTIONS;
            if is_full || state.joins >= limits::MAX_JOINS {
                let detail = "this socket follows as many drawings as it may";
                let refusal = ServerMessage::error(ErrorCode::TooManySubscriptions, detail, Some(drawing_id));
                return self.connection.send(&mut state, &refusal);
            }
            if state.is_closing() {
                return;
            }
            state.joins += 1;
            (self.connection.subscribe(&mut state, drawing_id), state.identity.user_id.clone())
        };
        let (gateway, connection) = (self.gateway.clone(), self.connection.clone());
        self.gateway.tasks.spawn(async move {
            let outcome = gateway.join(drawing_id, &user, position, connection.clone(), number).await;
            connection.on_joined(&gateway.rooms, number, outcome, presence);
        });
    }
}

impl Gateway {
    /// Finds a place in the room of a drawing for a reader of `outlet`, if `user` may have it.
    async fn join(
        &self,
        drawing: DrawingId,
        user: &UserId,
        position: Position,
        outlet: Arc<dyn Outlet>,
        number: u64,
    ) -> Result<(Joined, Role), JoinError> {
        // Before a room is made for it.
        let role = self.access.role(drawing, user).await.map_err(|_| JoinError::Unavailable)?;
        role.ok_or(JoinError::NoDrawing)?;
        let joined = self.rooms.join(drawing, user, position, outlet, number).await?;
        // Looked up again now that the reader hears of changes: none falls in between.
        let role = self.access.fresh_role(drawing, user).await.map_err(|_| JoinError::Unavailable)?;
        Ok((joined, role.ok_or(JoinError::NoDrawing)?))
    }
}

impl Connection {
    fn on_joined(
        &self,
        rooms: &Rooms,
        number: u64,
        outcome: Result<(Joined, Role), JoinError>,
        wants_presence: bool,
    ) {
        let mut state = self.lock();
        let state = &mut *state;
        state.joins -= 1;
        // Unsubscribed, or subscribed anew meanwhile.
        let Some(nth) = state.numbered(number) else { return };
        let subscription = &mut state.subscriptions[nth];
        let drawing_id = subscription.drawing_id;
        // What came while the subscription joined is newer.
        let outcome = match (outcome, subscription.news) {
            (Ok(_), Some(None)) => Err(JoinError::NoDrawing),
            (Ok((joined, _)), Some(Some(role))) => Ok((joined, role)),
            (outcome, _) => outcome,
        };
        match outcome {
            Ok((Joined::Live { branch, revision, reader }, role)) => {
                reader.note_role(role);
                (subscription.reader, subscription.role) = (Some(reader), Some(role));
                let told = wants_presence.then(|| Told::begin(rooms.presence(drawing_id)));
                let (told, roster) = told.unzip();
                subscription.told = told.map(Box::new);
                let presence = roster.as_deref();
                let (epoch, previous_epoch, base) = (branch.epoch, branch.previous_epoch(), branch.base());
                let subscribed = ServerMessage::Subscribed {
                    drawing_id,
                    epoch,
                    previous_epoch,
                    base,
                    revision,
                    role,
                    presence,
                    heartbeat_ms: None,
                };
                self.send(state, &subscribed);
                self.show(rooms, state, nth);
                // What the room has told since the place was found, and what it told before.
                if !state.is_behind() {
                    self.follow(state);
                }
            }
            Ok((Joined::Reset { reason, branch, revision }, _)) => {
                self.remove(state, nth);
                self.send_bytes(state, self.reset(drawing_id, reason, branch, revision));
            }
            Err(error) => {
                self.remove(state, nth);
                let Error { code, detail, .. } = error.into();
                self.send(state, &ServerMessage::error(code, &detail, Some(drawing_id)));
            }
        }
    }
}
