//! The form of ops in the OpenAPI document. The rules themselves are enforced in `model::op`.
//!
//! Each type of op is two flat schemas, which generators of clients take best: as it is sent, closed, and as it is read,
//! with the envelope of the server, open. Each is known by the constant in its `type`.

#![allow(dead_code, reason = "these types are read by the OpenAPI generator alone")]

mod custom;

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type},
};
use uuid::Uuid;

pub(crate) use custom::{CommittedOtherOp, CustomOp};

use crate::limits;

/// An op as a client sends it, by its `type`. An op of a type that is not listed is a `CustomOp`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "type", mapping(
    ("object.create" = "#/components/schemas/ObjectCreate"),
    ("object.update" = "#/components/schemas/ObjectUpdate"),
    ("object.delete" = "#/components/schemas/ObjectDelete"),
    ("stroke.begin" = "#/components/schemas/StrokeBegin"),
    ("stroke.append" = "#/components/schemas/StrokeAppend"),
    ("stroke.end" = "#/components/schemas/StrokeEnd"),
    ("canvas.set" = "#/components/schemas/CanvasSet"),
    ("canvas.clear" = "#/components/schemas/CanvasClear"),
    ("undo" = "#/components/schemas/Undo"),
    ("redo" = "#/components/schemas/Redo"),
)))]
pub(crate) enum Op {
    ObjectCreate(ObjectCreate),
    ObjectUpdate(ObjectUpdate),
    ObjectDelete(ObjectDelete),
    StrokeBegin(StrokeBegin),
    StrokeAppend(StrokeAppend),
    StrokeEnd(StrokeEnd),
    CanvasSet(CanvasSet),
    CanvasClear(CanvasClear),
    Undo(Undo),
    Redo(Redo),
    Custom(CustomOp),
}

/// An op as every reader gets it: the op that the client sent, with the envelope of the server. An op of a type
/// that is not listed is a `CommittedOtherOp`: one of the application's own, or of a type that came later than
/// this document. A reader keeps it, takes its revision, and goes on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "type", mapping(
    ("object.create" = "#/components/schemas/CommittedObjectCreate"),
    ("object.update" = "#/components/schemas/CommittedObjectUpdate"),
    ("object.delete" = "#/components/schemas/CommittedObjectDelete"),
    ("stroke.begin" = "#/components/schemas/CommittedStrokeBegin"),
    ("stroke.append" = "#/components/schemas/CommittedStrokeAppend"),
    ("stroke.end" = "#/components/schemas/CommittedStrokeEnd"),
    ("canvas.set" = "#/components/schemas/CommittedCanvasSet"),
    ("canvas.clear" = "#/components/schemas/CommittedCanvasClear"),
    ("undo" = "#/components/schemas/CommittedUndo"),
    ("redo" = "#/components/schemas/CommittedRedo"),
    ("fold" = "#/components/schemas/CommittedFold"),
)))]
pub(crate) enum CommittedOp {
    ObjectCreate(CommittedObjectCreate),
    ObjectUpdate(CommittedObjectUpdate),
    ObjectDelete(CommittedObjectDelete),
    StrokeBegin(CommittedStrokeBegin),
    StrokeAppend(CommittedStrokeAppend),
    StrokeEnd(CommittedStrokeEnd),
    CanvasSet(CommittedCanvasSet),
    CanvasClear(CommittedCanvasClear),
    Undo(CommittedUndo),
    Redo(CommittedRedo),
    Fold(CommittedFold),
    // Whoever tries one after the other takes the first that fits: it stays the last.
    Other(CommittedOtherOp),
}

/// One type of op: its constant, then the schema of what is sent, then that of what is read.
macro_rules! op_schemas {
    // Ops that the server writes are only read.
    ($constant:ident $name:tt: $(#[$doc:meta])* read $committed:ident { $($fields:tt)* }) => {
        #[derive(Debug, Serialize, ToSchema)]
        enum $constant {
            #[serde(rename = $name)]
            Constant,
        }

        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        pub(crate) struct $committed {
            #[schema(inline)]
            r#type: $constant,
            /// The idempotency key.
            op_id: Uuid,
            /// Its place in the log of the drawing, from 1.
            #[schema(minimum = 1)]
            revision: u64,
            /// The `sub` of the token with which it was sent.
            actor: String,
            /// The time of the commit by the server's clock, in milliseconds since 1970.
            ts: i64,
            $($fields)*
        }
    };
    ($constant:ident $name:tt: $(#[$doc:meta])* sent $(#[$example:meta])* $sent:ident read $committed:ident {
        $($fields:tt)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$example])*
        pub(crate) struct $sent {
            #[schema(inline)]
            r#type: $constant,
            /// Made by the client, once; the idempotency key. UUID v7 keeps indexes local. In the log it is in lower
            /// case, however it was sent.
            op_id: Uuid,
            /// The client that made the op; 1 to 64 characters.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = String, required = false, min_length = 1, max_length = 64)]
            client_id: Option<String>,
            /// Kept and delivered, without meaning to the server; at most 1 KiB.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = HashMap<String, Value>, required = false)]
            meta: Option<HashMap<String, Value>>,
            $($fields)*
        }

        op_schemas! { $constant $name: $(#[$doc])* read $committed {
            /// The client that made the op.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = String, required = false)]
            client_id: Option<String>,
            /// The `meta` of the op, as it was sent.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = HashMap<String, Value>, required = false)]
            meta: Option<HashMap<String, Value>>,
            $($fields)*
        } }
    };
}

/// An op that may join a unit.
macro_rules! joining_op_schemas {
    ($constant:ident $name:tt: $(#[$doc:meta])* sent $(#[$example:meta])* $sent:ident read $committed:ident {
        $($fields:tt)*
    }) => {
        op_schemas! { $constant $name: $(#[$doc])* sent $(#[$example])* $sent read $committed {
            /// The `op_id` of the first op of the gesture, in lower case in the log; this op's own by default.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Uuid, required = false)]
            unit: Option<Uuid>,
            $($fields)*
        } }
    };
}

joining_op_schemas! {
    ObjectCreateType "object.create":
    /// Creates an object.
    sent #[schema(examples(json!({
        "type": "object.create", "op_id": "0198f0a0-7d2c-7001-8000-000000000001", "object_id": "r1",
        "kind": "rect", "z": "a1", "props": {"x": 10, "y": 10, "w": 40, "h": 30},
    })))]
    ObjectCreate read CommittedObjectCreate {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        /// `rect ellipse line path text image token fog` or a name of your own.
        #[schema(min_length = 1, max_length = 32)]
        kind: String,
        /// Fractional index; its place on the screen.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = String, required = false, max_length = 256)]
        z: Option<String>,
        /// The look of the object.
        props: HashMap<String, Value>,
    }
}

joining_op_schemas! {
    ObjectUpdateType "object.update":
    /// Changes properties; the last writer wins for each property.
    sent #[schema(examples(json!({
        "type": "object.update", "op_id": "0198f0a0-7d2c-7001-8000-000000000002", "object_id": "r1",
        "set": {"x": 25, "fill": "#fd0"}, "unset": ["h"],
    })))]
    ObjectUpdate read CommittedObjectUpdate {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        /// Fractional index; its place on the screen.
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
}

joining_op_schemas! {
    ObjectDeleteType "object.delete":
    /// Deletes objects.
    sent #[schema(examples(json!({
        "type": "object.delete", "op_id": "0198f0a0-7d2c-7001-8000-000000000003", "object_ids": ["r1"],
    })))]
    ObjectDelete read CommittedObjectDelete {
        #[schema(schema_with = object_ids)]
        object_ids: Vec<String>,
    }
}

joining_op_schemas! {
    StrokeBeginType "stroke.begin":
    /// Begins a stroke.
    sent #[schema(examples(json!({
        "type": "stroke.begin", "op_id": "0198f0a0-7d2c-7001-8000-000000000004", "object_id": "s1",
        "tool": "pen", "props": {"color": "#111", "width": 3}, "points": [[0, 0, 0.4], [4, 3, 0.5]],
    })))]
    StrokeBegin read CommittedStrokeBegin {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        /// Fractional index; its place on the screen.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = String, required = false, max_length = 256)]
        z: Option<String>,
        #[schema(min_length = 1, max_length = 32)]
        tool: String,
        /// The look of the stroke.
        props: HashMap<String, Value>,
        /// `[x,y]` or `[x,y,pressure]` each.
        #[schema(schema_with = points)]
        points: Vec<Vec<f64>>,
    }
}

joining_op_schemas! {
    StrokeAppendType "stroke.append":
    /// Adds points to a stroke.
    sent #[schema(examples(json!({
        "type": "stroke.append", "op_id": "0198f0a0-7d2c-7001-8000-000000000005",
        "unit": "0198f0a0-7d2c-7001-8000-000000000004", "object_id": "s1", "index": 1,
        "points": [[9, 6, 0.6], [15, 8, 0.5]],
    })))]
    StrokeAppend read CommittedStrokeAppend {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        /// Counts the appends of the stroke from 1.
        #[schema(minimum = 1, maximum = 9_007_199_254_740_992_i64)]
        index: u64,
        /// `[x,y]` or `[x,y,pressure]` each.
        #[schema(schema_with = points)]
        points: Vec<Vec<f64>>,
    }
}

joining_op_schemas! {
    StrokeEndType "stroke.end":
    /// Ends a stroke.
    sent #[schema(examples(json!({
        "type": "stroke.end", "op_id": "0198f0a0-7d2c-7001-8000-000000000006",
        "unit": "0198f0a0-7d2c-7001-8000-000000000004", "object_id": "s1", "count": 1,
    })))]
    StrokeEnd read CommittedStrokeEnd {
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        object_id: String,
        /// Number of appends.
        #[schema(maximum = 9_007_199_254_740_992_i64)]
        count: u64,
    }
}

joining_op_schemas! {
    CanvasSetType "canvas.set":
    /// Sets properties of the canvas; owners only.
    sent #[schema(examples(json!({
        "type": "canvas.set", "op_id": "0198f0a0-7d2c-7001-8000-000000000007",
        "set": {"background": "#fffef8"},
    })))]
    CanvasSet read CommittedCanvasSet {
        /// Properties and their new values.
        set: HashMap<String, Value>,
    }
}

joining_op_schemas! {
    CanvasClearType "canvas.clear":
    /// Hides what was created before; owners only.
    sent #[schema(examples(json!({"type": "canvas.clear", "op_id": "0198f0a0-7d2c-7001-8000-000000000008"})))]
    CanvasClear read CommittedCanvasClear {}
}

op_schemas! {
    UndoType "undo":
    /// Tombstones a unit.
    sent #[schema(examples(json!({
        "type": "undo", "op_id": "0198f0a0-7d2c-7001-8000-000000000009",
        "unit": "0198f0a0-7d2c-7001-8000-000000000004",
    })))]
    Undo read CommittedUndo {
        /// The unit to undo: the `op_id` of its first op.
        unit: Uuid,
    }
}

op_schemas! {
    RedoType "redo":
    /// Lifts the tombstone of a unit.
    sent #[schema(examples(json!({
        "type": "redo", "op_id": "0198f0a0-7d2c-7001-8000-00000000000a",
        "unit": "0198f0a0-7d2c-7001-8000-000000000004",
    })))]
    Redo read CommittedRedo {
        /// The unit to redo: the `op_id` of its first op.
        unit: Uuid,
    }
}

op_schemas! {
    FoldType "fold":
    /// Closes undo units. Only the server writes it.
    read CommittedFold {
        /// The units that began at or below this revision are closed.
        #[schema(minimum = 1)]
        floor: u64,
    }
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
