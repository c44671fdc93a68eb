//! Ops of the application's own, and those that are of no type in the document.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// An op of the application's own: ordered, stored and delivered, without effect on the canvas.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "type": "custom.dice", "op_id": "0198f0a0-7d2c-7001-8000-00000000000b", "data": {"sides": 20, "rolled": 17}
})))]
pub(crate) struct CustomOp {
    /// `custom.` and a name of your own.
    #[schema(pattern = "^custom\\.[A-Za-z0-9_.-]{1,32}$")]
    r#type: String,
    /// Made by the client, once; the idempotency key. UUID v7 keeps indexes local. In the log it is in lower case, however it
    /// was sent.
    op_id: Uuid,
    /// The `op_id` of the first op of the gesture; this op's own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    unit: Option<Uuid>,
    /// The client that made the op; 1 to 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 64)]
    client_id: Option<String>,
    /// Kept and delivered, without meaning to the server; at most 1 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = HashMap<String, Value>, required = false)]
    meta: Option<HashMap<String, Value>>,
    /// Anything.
    data: Value,
}

/// An op of the application's own (`custom.<name>`), or of a type that came later than this document and may have other
/// fields.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommittedOtherOp {
    /// None of the types that have a schema of their own.
    #[schema(
        pattern = "^(?!((object\\.(create|update|delete)|stroke\\.(begin|append|end)|canvas\\.(set|clear)|undo|redo|fold)$))"
    )]
    r#type: String,
    /// The idempotency key.
    op_id: Uuid,
    /// Its place in the log of the drawing, from 1.
    #[schema(minimum = 1)]
    revision: u64,
    /// The `sub` of the token with which it was sent.
    actor: String,
    /// The time of the commit by the server's clock, in milliseconds since 1970.
    ts: i64,
    /// The `op_id` of the first op of the gesture.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    unit: Option<Uuid>,
    /// The client that made the op.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    client_id: Option<String>,
    /// The `meta` of the op, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = HashMap<String, Value>, required = false)]
    meta: Option<HashMap<String, Value>>,
    /// Any value; only for `custom.<name>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    data: Option<Value>,
}
