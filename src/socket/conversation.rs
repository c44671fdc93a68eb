//! The messages of one client, and the answers to them.
//!
//! Owns the pace at which a client may talk. It takes whole messages, knows nothing of how they came, and never waits for a room:
//! joins are tasks of their own.

use std::{num::NonZeroU32, sync::Arc};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde_json::Value;

use super::{gateway::Gateway, joining, socket::Socket};
use crate::{
    error::ErrorCode,
    limits,
    model::{DrawingId, PresenceState},
    room::Position,
    wire::{ClientMessage, CloseCode, Incoming, Limits, PROTOCOL, ServerMessage},
};

/// The end of the connection, for this reason.
pub(super) type Ended<T = ()> = Result<T, CloseCode>;

/// The dialogue with one client.
pub(super) struct Conversation {
    gateway: Gateway,
    socket: Arc<Socket>,
    /// The pace at which the client may talk, presence aside.
    messages: DefaultDirectRateLimiter,
}

impl Conversation {
    pub(super) fn new(gateway: Gateway, socket: Arc<Socket>) -> Self {
        let rate = NonZeroU32::new(limits::CLIENT_MESSAGES_PER_SECOND).unwrap_or(NonZeroU32::MIN);
        Self { gateway, socket, messages: RateLimiter::direct(Quota::per_second(rate)) }
    }

    /// Greets the client.
    pub(super) fn say_hello(&self) {
        self.answer(&ServerMessage::Hello {
            protocol: PROTOCOL,
            connection_id: self.socket.endpoint().id,
            epoch: self.gateway.rooms.epoch(),
            heartbeat_ms: self.gateway.heartbeat_ms(),
            limits: &Limits::ADVERTISED,
        });
    }

    /// Takes something that the client sent.
    ///
    /// # Errors
    /// A reason to close the socket.
    pub(super) fn take(&self, incoming: Incoming) -> Ended {
        let is_message_pack = self.socket.endpoint().encoding.is_message_pack();
        match incoming {
            Incoming::Text(text) if !is_message_pack => return self.on_text(&text),
            Incoming::Binary(bytes) if is_message_pack => match ClientMessage::unpack(&bytes) {
                Some(json) => return self.on_text(&json),
                None => self.refuse(ErrorCode::InvalidRequest, "the message is no MessagePack", None),
            },
            Incoming::Text(_) | Incoming::Binary(_) => return Err(CloseCode::ProtocolViolation),
            Incoming::Ping(payload) => self.socket.lock().send_pong(&payload),
            Incoming::Pong => (),
            Incoming::Close(code) => self.socket.lock().close_back(code),
        }
        Ok(())
    }

    fn on_text(&self, text: &str) -> Ended {
        let message = ClientMessage::parse(text);
        if !matches!(message, Some(ClientMessage::Presence { .. })) && self.messages.check().is_err() {
            return Err(CloseCode::Rate);
        }
        match message {
            None => {
                let drawing_id = ClientMessage::named_drawing(text);
                self.refuse(ErrorCode::InvalidRequest, "the message is not as documented", drawing_id);
            }
            Some(ClientMessage::Subscribe { drawing_id, after, epoch, presence }) => {
                let position = Position { after, epoch };
                joining::subscribe(&self.gateway, &self.socket, drawing_id, position, presence);
            }
            Some(ClientMessage::Unsubscribe { drawing_id }) => self.socket.lock().unsubscribe(drawing_id),
            Some(ClientMessage::Presence { drawing_id, state }) => self.be_present(drawing_id, &state),
            Some(ClientMessage::Auth { ticket }) => return self.renew(&ticket),
            Some(ClientMessage::Ping { t }) => self.answer(&ServerMessage::Pong { t: &t }),
            Some(ClientMessage::Unknown) if ClientMessage::names_an_op(text) => {
                let detail = "ops are committed with POST /v1/drawings/{drawing_id}/ops";
                self.refuse(ErrorCode::WriteOverRest, detail, ClientMessage::named_drawing(text));
            }
            Some(ClientMessage::Unknown) => (),
        }
        Ok(())
    }

    /// Shows another state of the client, or none any more.
    fn be_present(&self, drawing_id: DrawingId, value: &Value) {
        let state = match value {
            Value::Null => Ok(None),
            value => PresenceState::parse(&value.to_string()).map(|state| Some(Box::new(state))),
        };
        let mut socket = self.socket.lock();
        if !socket.follows(drawing_id) {
            let detail = "the socket does not follow this drawing";
            return socket.send(&ServerMessage::error(ErrorCode::NotSubscribed, detail, Some(drawing_id)));
        }
        match state {
            Ok(None) => socket.leave_presence(drawing_id),
            Ok(Some(state)) => socket.be_present(&self.gateway.rooms, drawing_id, state),
            Err(error) => {
                let detail = format!("state {error}");
                socket.send(&ServerMessage::error(ErrorCode::InvalidField, &detail, Some(drawing_id)));
            }
        }
    }

    fn renew(&self, ticket: &str) -> Ended {
        let renewed = self.gateway.authenticator.verify_ticket(ticket);
        match renewed.map(|identity| self.socket.lock().renew(identity)) {
            Ok(true) => Ok(()),
            _ => Err(CloseCode::BadTicket),
        }
    }

    fn answer(&self, message: &ServerMessage<'_>) {
        self.socket.lock().send(message);
    }

    fn refuse(&self, code: ErrorCode, detail: &str, drawing_id: Option<DrawingId>) {
        self.answer(&ServerMessage::error(code, detail, drawing_id));
    }
}
