//! The messages of the socket, version 1.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    limits,
    model::{DrawingId, Epoch, Revision, Role},
    room::ResetReason,
};

/// The subprotocol with JSON in text frames.
pub(super) const JSON_SUBPROTOCOL: &str = "revcast.v1.json";

/// What a client may say. Unknown fields are ignored, and so are unknown types.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Follow a drawing, from `after` or from the head on.
    Subscribe {
        /// The drawing.
        drawing_id: DrawingId,
        /// The last revision that the client has.
        #[serde(default)]
        after: Option<Revision>,
        /// The epoch of `after`.
        #[serde(default)]
        epoch: Option<Epoch>,
    },
    /// Stop following a drawing.
    Unsubscribe {
        /// The drawing.
        drawing_id: DrawingId,
    },
    /// Go on under a fresh ticket.
    Auth {
        /// From `POST /v1/tickets`.
        ticket: String,
    },
    /// Answered with `pong` and the same `t`.
    Ping {
        /// Anything.
        #[serde(default)]
        t: Value,
    },
    /// A type of another version, or an op, which belongs to REST.
    #[serde(other)]
    Unknown,
}

/// What the server says, ops aside, which rooms seal.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerMessage<'a> {
    Hello {
        protocol: u32,
        connection_id: Uuid,
        epoch: Epoch,
        heartbeat_ms: u64,
        limits: Limits,
    },
    Subscribed {
        drawing_id: DrawingId,
        epoch: Epoch,
        revision: Revision,
        role: Role,
    },
    Head {
        drawing_id: DrawingId,
        epoch: Epoch,
        revision: Revision,
    },
    Reset {
        drawing_id: DrawingId,
        reason: ResetReason,
        epoch: Epoch,
        revision: Revision,
    },
    Role {
        drawing_id: DrawingId,
        role: Option<Role>,
    },
    Error {
        code: &'a str,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        drawing_id: Option<DrawingId>,
    },
    Pong {
        t: &'a Value,
    },
    Goaway {
        reconnect_in_ms: u64,
    },
}

/// The limits, as `hello` advertises them.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Limits {
    body_bytes: usize,
    ops_per_request: usize,
    op_bytes: usize,
    points_per_op: usize,
    drawings_per_socket: usize,
    client_frame_bytes: usize,
    client_messages_per_second: u32,
    page_ops: u32,
    page_bytes: usize,
    resume_limit: u64,
}

impl Limits {
    pub(super) const ADVERTISED: Self = Self {
        body_bytes: limits::MAX_BODY_BYTES,
        ops_per_request: limits::MAX_OPS_PER_REQUEST,
        op_bytes: limits::MAX_OP_BYTES,
        points_per_op: limits::MAX_POINTS_PER_OP,
        drawings_per_socket: limits::MAX_SUBSCRIPTIONS,
        client_frame_bytes: limits::MAX_CLIENT_FRAME_BYTES,
        client_messages_per_second: limits::CLIENT_MESSAGES_PER_SECOND,
        page_ops: limits::MAX_PAGE_OPS,
        page_bytes: limits::MAX_PAGE_BYTES,
        resume_limit: limits::RESUME_LIMIT,
    };
}

/// Why the server closes a socket; the hundreds tell the client what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The client closed, or is gone.
    Normal = 1000,
    /// The node is stopping: reconnect.
    GoingAway = 4000,
    /// The client does not take what is sent: reconnect.
    TooSlow = 4001,
    /// The client has not been heard of: reconnect.
    NoPong = 4002,
    /// The node cannot do its work now: reconnect.
    Overloaded = 4003,
    /// The identity has ended: get a new token, and reconnect.
    IdentityExpired = 4100,
    /// The ticket does not do: get a new one, and reconnect.
    BadTicket = 4101,
    /// The client broke the protocol: do not reconnect.
    ProtocolViolation = 4201,
    /// The client sent too large a message: do not reconnect.
    MessageTooLarge = 4202,
    /// The client sends too many messages: do not reconnect.
    Rate = 4203,
}

impl CloseCode {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::GoingAway => "going away",
            Self::TooSlow => "too slow",
            Self::NoPong => "no pong",
            Self::Overloaded => "overloaded",
            Self::IdentityExpired => "identity expired",
            Self::BadTicket => "bad ticket",
            Self::ProtocolViolation => "protocol violation",
            Self::MessageTooLarge => "message too large",
            Self::Rate => "too many messages",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Option<ClientMessage> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn unknown_types_and_fields_are_ignored() {
        assert_eq!(parse(r#"{"type":"wave","at":3}"#), Some(ClientMessage::Unknown));
        assert_eq!(parse(r#"{"type":"ping","t":1,"x":2}"#), Some(ClientMessage::Ping { t: 1.into() }));
        assert_eq!(parse(r#"{"type":"subscribe"}"#), None);
        assert_eq!(parse("{}"), None);
    }
}
