//! The messages of the server on sockets and event streams, version 2 of the protocol.
//!
//! Owns their names and shapes, from which the AsyncAPI document is made. It never encodes them.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, value::RawValue};
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};
use uuid::Uuid;

use super::{advertised::Limits, op_schema::CommittedOp, presence_schema::PresenceView};
use crate::{
    error::ErrorCode,
    model::{Branch, ConnectionId, DrawingId, Epoch, Revision, Role},
};

/// The version of the protocol: what a reader has to know to compute what it is told. In the second one folding is an op
/// of the log, and a new epoch may go on with the one before. The names of the subprotocols are those of their encodings.
pub(crate) const PROTOCOL: u32 = 2;

/// The subprotocol with JSON in text frames; also what is spoken without one.
pub(crate) const JSON_SUBPROTOCOL: &str = "revcast.v1.json";
/// The subprotocol with MessagePack in binary frames.
pub(crate) const MESSAGE_PACK_SUBPROTOCOL: &str = "revcast.v1.msgpack";
/// The codes of `error`; over HTTP there are more.
pub(crate) const SOCKET_ERRORS: [ErrorCode; 9] = [
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

/// A message of the server, other than those that rooms seal.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerMessage<'a> {
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
        /// The interval at which `head` comes for each drawing that is followed, in milliseconds.
        heartbeat_ms: u64,
        /// The limits of the server.
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
        /// The role of the user.
        #[schema(value_type = Role)]
        role: Role,
        /// The connections that are present, by id; when the client asked for them.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = HashMap<Uuid, PresenceView>, required = false)]
        presence: Option<&'a RawValue>,
        /// The longest time without a message, in milliseconds; only in event streams, since sockets have it in
        /// `hello`.
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
        /// The revision at which the log stands, or at which the reader fell behind.
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
        /// The code to act on.
        #[schema(schema_with = socket_errors)]
        code: &'a str,
        /// The cause of this failure, for a person.
        detail: &'a str,
        /// The drawing that the message named.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Uuid, required = false)]
        drawing_id: Option<DrawingId>,
    },
    /// The answer to `ping`.
    Pong {
        /// The `t` of the `ping`, as it came.
        #[schema(value_type = Value)]
        t: &'a Value,
    },
    /// The node is stopping: connect again after this time.
    Goaway {
        /// The time to wait, in milliseconds.
        reconnect_in_ms: u64,
    },
}

/// A message that rooms seal as JSON text, once for all readers; here it is only described.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(dead_code, reason = "describes bytes that are put together elsewhere")]
pub(crate) enum SealedMessage {
    /// Committed ops, in order and without a hole.
    Ops {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// The revision of the last op; each op bears its own.
        #[schema(value_type = u64)]
        revision: Revision,
        /// The ops, one or more.
        #[schema(min_items = 1)]
        ops: Vec<CommittedOp>,
    },
    /// The connections whose presence has changed, and those that have left.
    Presence {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// The number of connections that are present, on all nodes.
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
        .description(Some("The code to act on"))
        .build()
}

impl<'a> ServerMessage<'a> {
    pub(crate) fn error(code: ErrorCode, detail: &'a str, drawing_id: Option<DrawingId>) -> Self {
        Self::Error { code: code.as_str(), detail, drawing_id }
    }

    /// The `type`, which is also the name of the event in a stream.
    pub(crate) fn name(&self) -> &'static str {
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
    pub(crate) fn head(drawing_id: DrawingId, branch: Branch, revision: Revision) -> Self {
        let (previous_epoch, base) = (branch.previous_epoch(), branch.base());
        Self::Head { drawing_id, epoch: branch.epoch, previous_epoch, base, revision }
    }

    /// `subscribed`, to a reader of a log that has everything up to `revision`.
    pub(crate) fn subscribed(
        drawing_id: DrawingId,
        branch: Branch,
        revision: Revision,
        role: Role,
        presence: Option<&'a RawValue>,
        heartbeat_ms: Option<u64>,
    ) -> Self {
        let (previous_epoch, base) = (branch.previous_epoch(), branch.base());
        Self::Subscribed {
            drawing_id,
            epoch: branch.epoch,
            previous_epoch,
            base,
            revision,
            role,
            presence,
            heartbeat_ms,
        }
    }

    /// `reset` of a reader of a log.
    pub(crate) fn reset(
        drawing_id: DrawingId,
        reason: ResetReason,
        branch: Branch,
        revision: Revision,
    ) -> Self {
        let (previous_epoch, base) = (branch.previous_epoch(), branch.base());
        Self::Reset { drawing_id, reason, epoch: branch.epoch, previous_epoch, base, revision }
    }

    /// Where a reader stands that has this message and all before it.
    pub(crate) fn position(&self) -> Option<(Epoch, Revision)> {
        match self {
            Self::Subscribed { epoch, revision, .. }
            | Self::Head { epoch, revision, .. }
            | Self::Reset { epoch, revision, .. } => Some((*epoch, *revision)),
            _ => None,
        }
    }
}

/// Why a reader is sent to REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// It read too slowly.
    Lagged,
    /// It asked for more ops than a socket fills up.
    TooFarBehind,
    /// Its position is of another epoch.
    EpochChanged,
    /// Its position is ahead of the head.
    RevisionAhead,
    /// The next op is missing in the log, or cannot be read.
    LogDamaged,
}

impl ResetReason {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lagged => "lagged",
            Self::TooFarBehind => "too_far_behind",
            Self::EpochChanged => "epoch_changed",
            Self::RevisionAhead => "revision_ahead",
            Self::LogDamaged => "log_damaged",
        }
    }
}
