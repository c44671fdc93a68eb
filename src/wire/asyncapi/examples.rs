//! One example of each message, for the AsyncAPI document. None is ever sent.
//!
//! Those of one reader are made by the types that the server sends.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    error::ErrorCode,
    model::{Branch, ConnectionId, DrawingId, Epoch, Revision, Role, Trunk},
    wire::{Limits, PROTOCOL, ResetReason, ServerMessage},
};

const DRAWING: DrawingId = DrawingId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001));
const CONNECTION: ConnectionId = ConnectionId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0002));
const EPOCH: Epoch = Epoch(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0003));
const EPOCH_BEFORE: Epoch = Epoch(Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0002));
const REVISION: Revision = Revision(42);

/// The messages of a client.
pub(super) fn client() -> Vec<Value> {
    vec![
        json!({"type": "subscribe", "drawing_id": DRAWING, "after": REVISION, "epoch": EPOCH, "presence": true}),
        json!({"type": "unsubscribe", "drawing_id": DRAWING}),
        json!({"type": "presence", "drawing_id": DRAWING, "state": {"cursor": {"x": 120, "y": 80}}}),
        json!({"type": "auth", "ticket": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"}),
        json!({"type": "ping", "t": 1}),
    ]
}

/// The messages of the server to one reader.
pub(super) fn server() -> Vec<Value> {
    let (drawing_id, epoch, revision) = (DRAWING, EPOCH, REVISION);
    let trunk = Trunk { epoch: EPOCH_BEFORE, base: Revision(revision.0 - 2) };
    let branch = Branch { epoch, trunk: Some(trunk) };
    let detail = "the socket does not follow this drawing";
    let messages = [
        ServerMessage::Hello {
            protocol: PROTOCOL,
            connection_id: CONNECTION,
            epoch,
            heartbeat_ms: 2_000,
            limits: &Limits::ADVERTISED,
        },
        ServerMessage::Subscribed {
            drawing_id,
            epoch,
            previous_epoch: branch.previous_epoch(),
            base: branch.base(),
            revision,
            role: Role::Editor,
            presence: None,
            heartbeat_ms: None,
        },
        ServerMessage::head(drawing_id, branch, revision),
        ServerMessage::reset(drawing_id, ResetReason::TooFarBehind, branch, revision),
        ServerMessage::Role { drawing_id, role: None },
        ServerMessage::error(ErrorCode::NotSubscribed, detail, Some(drawing_id)),
        ServerMessage::Pong { t: &json!(1) },
        ServerMessage::Goaway { reconnect_in_ms: 2_500 },
    ]
    .map(|message| serde_json::to_value(message).unwrap_or_default());
    messages.into()
}

/// The messages of rooms to all their readers.
pub(super) fn sealed() -> Vec<Value> {
    let op = json!({
        "revision": REVISION,
        "actor": "alice",
        "ts": 1_700_000_000_000_i64,
        "op_id": Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_00a1),
        "type": "stroke.append",
        "object_id": "s1",
        "index": 1,
        "points": [[12, 10], [14, 11.5]],
    });
    let shown = json!({"user_id": "alice", "name": "Alice", "state": {"cursor": {"x": 120, "y": 80}}});
    vec![
        json!({"type": "ops", "drawing_id": DRAWING, "revision": REVISION, "ops": [op]}),
        json!({
            "type": "presence",
            "drawing_id": DRAWING,
            "count": 1,
            "set": {CONNECTION.to_string(): shown},
            "gone": [],
        }),
    ]
}
