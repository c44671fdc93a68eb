//! The form of a canvas in the OpenAPI document. `model::canvas` writes it.

#![allow(dead_code, reason = "these types are read by the OpenAPI generator alone")]

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType},
};

/// The canvas as it is seen.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RenderedView {
    /// The properties of the canvas: background, size and whatever `canvas.set` has set.
    canvas: HashMap<String, Value>,
    /// The objects in the order in which they are drawn: by `z`, then by when they were created.
    objects: Vec<RenderedObject>,
}

/// An object that is seen.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RenderedObject {
    object_id: String,
    /// `stroke` for what `stroke.begin` made.
    kind: String,
    /// Fractional index; empty when it has none.
    z: String,
    props: HashMap<String, Value>,
    /// The tool of a stroke.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    /// The points of a stroke, `[x,y]` or `[x,y,pressure]`, up to the first append that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<Vec<Vec<f64>>>,
    /// `true` for a stroke whose end has shown that no append is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<bool>,
}

/// The registers of a canvas, from which a reader goes on with the ops after the snapshot. Each is a chain of
/// writes, ascending by revision.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RegistersView {
    /// The format of the registers: 2. A reader that meets another one must not compute a view.
    format: u64,
    /// The floor of the latest fold: units that began at or below it are closed.
    floor: u64,
    /// The writes to the canvas, by property.
    canvas: HashMap<String, Vec<RegisterWrite>>,
    /// The writes of each `canvas.clear`, without a value.
    clear: Vec<RegisterWrite>,
    /// The registers of the objects, by `object_id`; objects that are not seen are among them.
    objects: HashMap<String, ObjectRegisters>,
    /// The undo units that are not closed, by their id.
    units: HashMap<String, UnitState>,
}

/// One write: `[revision, unit, value]`. `unit` is `null` for the write into which closed units are folded; a write that
/// unsets, clears or ends has no value.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RegisterWrite(Vec<Value>);

/// The registers of one object; empty ones are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ObjectRegisters {
    /// `"create"` or `"delete"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    exists: Option<Vec<RegisterWrite>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Vec<RegisterWrite>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    z: Option<Vec<RegisterWrite>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<Vec<RegisterWrite>>,
    /// The writes to its props, by property.
    #[serde(skip_serializing_if = "Option::is_none")]
    props: Option<HashMap<String, Vec<RegisterWrite>>>,
    /// The points of `stroke.begin` at 0, those of each append at its `index`.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<HashMap<String, Vec<RegisterWrite>>>,
    /// The ends of the stroke, by `count`; writes without a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<HashMap<String, Vec<RegisterWrite>>>,
}

/// An undo unit that is not closed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnitState {
    /// The revision of its first op.
    first: u64,
    /// The user who sent that op.
    actor: String,
    /// `true` if it has an op that is not `custom.*`.
    draws: bool,
    /// The time at which an op, an undo or a redo last named it, in milliseconds since 1970.
    touched: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = undone, required = false)]
    undone: Option<(u64, bool)>,
}

fn undone() -> ArrayBuilder {
    let told = "`[revision, undone]`: the latest undo or redo that changed it, and whether it was an undo.";
    let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
    ArrayBuilder::new().description(Some(told)).items(any).min_items(Some(2)).max_items(Some(2))
}
