//! The messages of the socket, version 1.
//!
//! Owns their names and shapes, from which the AsyncAPI document is made. It never encodes them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};
use uuid::Uuid;

use super::advertised::Limits;
use crate::{
    api::{op_schema::CommittedOp, presence::PresenceView},
    error::ErrorCode,
    model::{Branch, ConnectionId, DrawingId, Epoch, Revision, Role},
    room::ResetReason,
};

/// The version of the protocol: what a reader has to know to compute what it is told. In the second one folding is an op
/// of the log, and a new epoch may go on with the one before. The names of the subprotocols are those of their encodings.
pub(super) const PROTOCOL: u32 = 2;

/// The subprotocol with JSON in text frames; also what is spoken without one.
pub(super) const JSON_SUBPROTOCOL: &str = "revcast.v1.json";
/// The subprotocol with MessagePack in binary frames.
pub(super) const MESSAGE_PACK_SUBPROTOCOL: &str = "revcast.v1.msgpack";
/// The codes of `error`; over HTTP there are more.
pub(super) const SOCKET_ERRORS: [ErrorCode; 9] = [
    ErrorCode::InvalidRequest,
    ErrorCode::WriteOverRest,
    ErrorCode::NotFound,
    ErrorCode::NotSubscribed,
    ErrorCode::TooManySubscriptions,
    ErrorCode::InvalidField,
    ErrorCode::Overloaded,
    ErrorCode::StoreUnavailable,
    ErrorCode::Draining,
];

/// What a client may say. Unknown fields are ignored, and so are unknown types.
#[derive(Clone, Debug, Deserialize, PartialEq, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Follow a drawing, from `after` or from the head on.
    Subscribe {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// The last revision that the client has.
        #[serde(default)]
        #[schema(value_type = Option<u64>)]
        after: Option<Revision>,
        /// The epoch of `after`.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        epoch: Option<Epoch>,
        /// Whether to tell who is present.
        #[serde(default)]
        presence: bool,
    },
    /// Stop following a drawing.
    Unsubscribe {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
    },
    /// Be present with this state; `null` leaves.
    Presence {
        /// The drawing, which the socket follows.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// An object; absent is an error.
        #[schema(value_type = Option<HashMap<String, Value>>, required)]
        state: Value,
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

impl ClientMessage {
    /// Reads a message; `None` when it is not as documented.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // serde would read an array as the fields of a message in order.
        text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
    }

    /// The JSON of a message in MessagePack; `None` when it is none.
    #[must_use]
    pub fn unpack(bytes: &[u8]) -> Option<String> {
        rmp_serde::from_slice::<Value>(bytes).ok().map(|value| value.to_string())
    }

    /// Whether a message of no known type is an op on the wrong way.
    #[must_use]
    pub fn names_an_op(text: &str) -> bool {
        #[derive(Deserialize)]
        struct Probe {
            #[serde(rename = "type")]
            type_name: Option<String>,
            op_id: Option<serde::de::IgnoredAny>,
        }
        serde_json::from_str::<Probe>(text)
            .is_ok_and(|probe| probe.op_id.is_some() || probe.type_name.as_deref().is_some_and(is_type_of_op))
    }

    /// The drawing that a message names, be the message as documented or not.
    #[must_use]
    pub fn named_drawing(text: &str) -> Option<DrawingId> {
        #[derive(Deserialize)]
        struct Probe {
            drawing_id: DrawingId,
        }
        let probe = text.trim_start().starts_with('{').then(|| serde_json::from_str::<Probe>(text).ok());
        probe.flatten().map(|probe| probe.drawing_id)
    }
}

/// Whether ops have this `type`, or some version of them may have it.
fn is_type_of_op(name: &str) -> bool {
    let families = ["object.", "stroke.", "canvas.", "custom."];
    matches!(name, "op" | "ops" | "undo" | "redo") || families.iter().any(|family| name.starts_with(family))
}

/// What the server says, but for what rooms seal.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerMessage<'a> {
    /// The first message of a socket.
    Hello {
        /// The version of the protocol.
        protocol: u32,
        /// The name of this socket among those present.
        #[schema(value_type = Uuid)]
        connection_id: ConnectionId,
        /// The history of the database; positions of another one are refused.
        #[schema(value_type = Uuid)]
        epoch: Epoch,
        /// How often `head` comes for each drawing that is followed.
        heartbeat_ms: u64,
        /// What the server takes.
        #[schema(value_type = Limits)]
        limits: &'a Limits,
    },
    /// The drawing is followed: `ops` go on from `revision` + 1.
    Subscribed {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// The epoch of `revision`.
        #[schema(value_type = Uuid)]
        epoch: Epoch,
        /// The epoch before, if this one goes on with it: positions of it are good up to `base`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Uuid, required = false)]
        previous_epoch: Option<Epoch>,
        /// The revision up to which the logs of both epochs are equal.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = u64, required = false)]
        base: Option<Revision>,
        /// The position from which the client gets ops.
        #[schema(value_type = u64)]
        revision: Revision,
        /// What the user may do.
        #[schema(value_type = Role)]
        role: Role,
        /// Who is present, by connection; when the client asked for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = HashMap<Uuid, PresenceView>, required = false)]
        presence: Option<&'a RawValue>,
        /// How often something comes at least, in milliseconds; of event streams alone, since sockets have it in `hello`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(required = false)]
        heartbeat_ms: Option<u64>,
    },
    /// The head of the log; also the heartbeat of a quiet drawing.
    Head {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// The epoch of `revision`.
        #[schema(value_type = Uuid)]
        epoch: Epoch,
        /// The epoch before, if this one goes on with it: positions of it are good up to `base`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Uuid, required = false)]
        previous_epoch: Option<Epoch>,
        /// The revision up to which the logs of both epochs are equal.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = u64, required = false)]
        base: Option<Revision>,
        /// The latest revision; the client has all ops up to here.
        #[schema(value_type = u64)]
        revision: Revision,
    },
    /// The drawing is followed no more: read over REST what is missing, and subscribe again.
    Reset {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// `lagged`, `too_far_behind`: go on from the own position. The others: from 0.
        reason: ResetReason,
        /// The epoch of `revision`.
        #[schema(value_type = Uuid)]
        epoch: Epoch,
        /// The epoch before, if this one goes on with it: positions of it are good up to `base`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Uuid, required = false)]
        previous_epoch: Option<Epoch>,
        /// The revision up to which the logs of both epochs are equal.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = u64, required = false)]
        base: Option<Revision>,
        /// Where the log stands, or where the reader fell behind.
        #[schema(value_type = u64)]
        revision: Revision,
    },
    /// The user's role has changed.
    Role {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// The role now; null when there is none any more and delivery has stopped.
        #[schema(value_type = Option<Role>, required)]
        role: Option<Role>,
    },
    /// A message was refused; the socket stays open.
    Error {
        /// What went wrong, to act on.
        #[schema(schema_with = socket_errors)]
        code: &'a str,
        /// What happened this time, for a person.
        detail: &'a str,
        /// The drawing that the message named.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Uuid, required = false)]
        drawing_id: Option<DrawingId>,
    },
    /// The answer to `ping`.
    Pong {
        /// As it came.
        #[schema(value_type = Value)]
        t: &'a Value,
    },
    /// The node is stopping: connect again after this time.
    Goaway {
        /// How long to wait.
        reconnect_in_ms: u64,
    },
}

/// What rooms seal as JSON text, once for all readers; here it is only described.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(dead_code, reason = "describes bytes that are put together elsewhere")]
pub(super) enum SealedMessage {
    /// Committed ops, in order and without a hole.
    Ops {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// That of the last op; each bears its own.
        #[schema(value_type = u64)]
        revision: Revision,
        /// The ops, one or more.
        #[schema(min_items = 1)]
        ops: Vec<CommittedOp>,
    },
    /// Who is present with another state than before, and who has left.
    Presence {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// How many connections are present, on all nodes.
        count: usize,
        /// Some of them, by connection: those that are new, or show something else.
        set: HashMap<Uuid, PresenceView>,
        /// Those that have left.
        gone: Vec<Uuid>,
    },
}

fn socket_errors() -> Object {
    let codes = SOCKET_ERRORS.map(ErrorCode::as_str);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes))
        .description(Some("What went wrong, to act on"))
        .build()
}

impl<'a> ServerMessage<'a> {
    pub(super) fn error(code: ErrorCode, detail: &'a str, drawing_id: Option<DrawingId>) -> Self {
        Self::Error { code: code.as_str(), detail, drawing_id }
    }

    /// The `type`, which is also the name of the event in a stream.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Subscribed { .. } => "subscribed",
            Self::Head { .. } => "head",
            Self::Reset { .. } => "reset",
            Self::Role { .. } => "role",
            Self::Error { .. } => "error",
            Self::Pong { .. } => "pong",
            Self::Goaway { .. } => "goaway",
        }
    }

    /// `head` of a log.
    pub(super) fn head(drawing_id: DrawingId, branch: Branch, revision: Revision) -> Self {
        let (previous_epoch, base) = (branch.previous_epoch(), branch.base());
        Self::Head { drawing_id, epoch: branch.epoch, previous_epoch, base, revision }
    }

    /// `reset` of a reader of a log.
    pub(super) fn reset(
        drawing_id: DrawingId,
        reason: ResetReason,
        branch: Branch,
        revision: Revision,
    ) -> Self {
        let (previous_epoch, base) = (branch.previous_epoch(), branch.base());
        Self::Reset { drawing_id, reason, epoch: branch.epoch, previous_epoch, base, revision }
    }

    /// Where a reader stands that has this message and all before it.
    pub(super) fn position(&self) -> Option<(Epoch, Revision)> {
        match self {
            Self::Subscribed { epoch, revision, .. }
            | Self::Head { epoch, revision, .. }
            | Self::Reset { epoch, revision, .. } => Some((*epoch, *revision)),
            _ => None,
        }
    }
}

/// Why the server closes a socket; the hundreds tell the client what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The client closed, or is gone.
    Normal = 1000,
    /// The node is stopping: reconnect.
    GoingAway = 4000,
    /// The client does not take what is sent, or takes too long for a message of its own: reconnect.
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
    /// Every code, in order.
    pub const ALL: [Self; 10] = [
        Self::Normal,
        Self::GoingAway,
        Self::TooSlow,
        Self::NoPong,
        Self::Overloaded,
        Self::IdentityExpired,
        Self::BadTicket,
        Self::ProtocolViolation,
        Self::MessageTooLarge,
        Self::Rate,
    ];

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
