//! How ops look in the OpenAPI document. The rules themselves are enforced in `model::op`.
//!
//! Here an op may have any further fields, since one of a log has more than one that is sent; what is sent may not, which
//! `document` says.

#![allow(dead_code, reason = "these types are read by the OpenAPI generator alone")]

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type},
};
use uuid::Uuid;

use crate::limits;

/// An op as a client sends it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum OpInput {
    /// An op with an effect on the canvas.
    Canvas(CanvasOp),
    /// An op of the application's own.
    Custom(CustomOp),
}

/// An op with an effect on the canvas, by its `type`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type")]
pub(super) enum CanvasOp {
    /// Create an object.
    #[serde(rename = "object.create")]
    ObjectCreate(ObjectCreate),
    /// Change properties; the last writer wins for each property.
    #[serde(rename = "object.update")]
    ObjectUpdate(ObjectUpdate),
    /// Delete objects.
    #[serde(rename = "object.delete")]
    ObjectDelete(ObjectDelete),
    /// Begin a stroke.
    #[serde(rename = "stroke.begin")]
    StrokeBegin(StrokeBegin),
    /// Add points to a stroke.
    #[serde(rename = "stroke.append")]
    StrokeAppend(StrokeAppend),
    /// End a stroke.
    #[serde(rename = "stroke.end")]
    StrokeEnd(StrokeEnd),
    /// Set properties of the canvas; owners only.
    #[serde(rename = "canvas.set")]
    CanvasSet(CanvasSet),
    /// Hide what was created before; owners only.
    #[serde(rename = "canvas.clear")]
    CanvasClear(CanvasClear),
    /// Tombstone a unit.
    #[serde(rename = "undo")]
    Undo(UnitOp),
    /// Lift the tombstone of a unit.
    #[serde(rename = "redo")]
    Redo(UnitOp),
}

macro_rules! op_schemas {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        pub(super) struct $name {
            /// Made by the client, once; the idempotency key. UUID v7 keeps indexes local. In the log it is in
            /// lower case, however it was sent.
            op_id: Uuid,
            /// The `op_id` of the first op of the gesture, in lower case in the log; this op's own by default.
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
            $($(#[$field_doc])* $field: $type,)*
        }
    )+};
}

op_schemas! {
    /// Payload of `object.create`.
    ObjectCreate {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        /// `rect ellipse line path text image token fog` or a name of your own.
        #[schema(min_length = 1, max_length = 32)]
        kind: String,
        /// Fractional index; its place on the screen.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = String, required = false, max_length = 256)]
        z: Option<String>,
        props: HashMap<String, Value>,
    }
    /// Payload of `object.update`.
    ObjectUpdate {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = String, required = false, max_length = 256)]
        z: Option<String>,
        /// Properties and their new values.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = HashMap<String, Value>, required = false)]
        set: Option<HashMap<String, Value>>,
        /// Properties to remove.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Vec<String>, required = false)]
        unset: Option<Vec<String>>,
    }
    /// Payload of `object.delete`.
    ObjectDelete {
        #[schema(schema_with = object_ids)]
        object_ids: Vec<String>,
    }
    /// Payload of `stroke.begin`.
    StrokeBegin {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = String, required = false, max_length = 256)]
        z: Option<String>,
        #[schema(min_length = 1, max_length = 32)]
        tool: String,
        props: HashMap<String, Value>,
        /// `[x,y]` or `[x,y,pressure]`.
        #[schema(schema_with = points)]
        points: Vec<Vec<f64>>,
    }
    /// Payload of `stroke.append`.
    StrokeAppend {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        /// Counts the appends of the stroke from 1.
        #[schema(minimum = 1, maximum = 9_007_199_254_740_992_i64)]
        index: u64,
        #[schema(schema_with = points)]
        points: Vec<Vec<f64>>,
    }
    /// Payload of `stroke.end`.
    StrokeEnd {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        /// Number of appends.
        #[schema(maximum = 9_007_199_254_740_992_i64)]
        count: u64,
    }
    /// Payload of `canvas.set`.
    CanvasSet {
        set: HashMap<String, Value>,
    }
    /// `canvas.clear` has no payload.
    CanvasClear {}
}

/// Payload of `undo` and `redo`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnitOp {
    /// Made by the client, once; the idempotency key.
    op_id: Uuid,
    /// The unit to undo or redo.
    unit: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 64)]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = HashMap<String, Value>, required = false)]
    meta: Option<HashMap<String, Value>>,
}

/// An op of the application's own: ordered, stored and delivered, without effect on the canvas.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustomOp {
    #[schema(pattern = "^custom\\.[A-Za-z0-9_.-]{1,32}$", example = "custom.dice")]
    r#type: String,
    /// Made by the client, once; the idempotency key.
    op_id: Uuid,
    /// The `op_id` of the first op of the gesture; this op's own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    unit: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 64)]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = HashMap<String, Value>, required = false)]
    meta: Option<HashMap<String, Value>>,
    /// Anything.
    data: Value,
}

/// Payload of `fold`, which only the server writes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FoldOp {
    #[schema(pattern = "^fold$", example = "fold")]
    r#type: String,
    /// Made by the server.
    op_id: Uuid,
    /// The units that began at or below this revision are closed.
    #[schema(minimum = 1)]
    floor: u64,
}

/// An op as it stands in a log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum LoggedOp {
    /// An op with an effect on the canvas.
    Canvas(CanvasOp),
    /// An op of the application's own.
    Custom(CustomOp),
    /// An op of the server.
    Fold(FoldOp),
}

/// An op as every reader gets it: what the client sent, with the envelope of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpOutput {
    /// Its place in the log of the drawing, from 1.
    revision: u64,
    /// The `sub` of the token with which it was sent.
    actor: String,
    /// When it was committed, in milliseconds since 1970, by the server's clock.
    ts: i64,
    /// The op as it was sent.
    #[serde(flatten)]
    op: LoggedOp,
}

fn object_ids() -> ArrayBuilder {
    let id = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{1,64}$"));
    ArrayBuilder::new().items(id).max_items(Some(limits::MAX_OBJECT_IDS_PER_OP))
}

fn points() -> ArrayBuilder {
    let number = ObjectBuilder::new().schema_type(Type::Number).format(Some(double()));
    let point = ArrayBuilder::new().items(number).min_items(Some(2)).max_items(Some(3));
    ArrayBuilder::new()
        .description(Some("`[x,y]` or `[x,y,pressure]` each."))
        .items(point)
        .max_items(Some(limits::MAX_POINTS_PER_OP))
}

fn double() -> SchemaFormat {
    SchemaFormat::KnownFormat(KnownFormat::Double)
}
