//! One op: parsed from the client's JSON into types, with every rule of its type checked.
//!
//! Owns the shape of ops. It borrows from the JSON it was parsed from, so that the bytes that
//! came are the bytes that are stored, but for ids that `spelling` spells anew.

mod fields;
mod points;
mod raw;
mod spelling;
mod types;

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Fault, ObjectId, OpId, Revision};
use fields::Fields;
use raw::without_position;
use spelling::respell;

pub use points::Point;
pub use raw::RawObject;
pub use spelling::same_op;
pub(super) use types::is_without_unit;
pub use types::{knows_type, names_server_type};

/// A client's change, valid in itself.
#[derive(Debug)]
pub struct Op<'a> {
    /// The idempotency key.
    pub op_id: OpId,
    /// The undo unit: the first op of the gesture, this op itself by default; for `undo` and
    /// `redo` the unit they act on. `None` for a type that has no unit.
    pub unit: Option<OpId>,
    /// The change that it makes.
    pub change: Change<'a>,
    /// `true` if its JSON has these ids as a log has them.
    is_canonical: bool,
}

/// The payload of an op, by its `type`.
#[derive(Debug)]
#[allow(missing_docs, reason = "each field is documented in the OpenAPI document")]
pub enum Change<'a> {
    ObjectCreate {
        object_id: ObjectId,
        kind: Cow<'a, str>,
        z: Option<Cow<'a, str>>,
        props: RawObject<'a>,
    },
    ObjectUpdate {
        object_id: ObjectId,
        z: Option<Cow<'a, str>>,
        set: Option<RawObject<'a>>,
        unset: Vec<Cow<'a, str>>,
    },
    ObjectDelete {
        object_ids: Vec<ObjectId>,
    },
    StrokeBegin {
        object_id: ObjectId,
        z: Option<Cow<'a, str>>,
        tool: Cow<'a, str>,
        props: RawObject<'a>,
        points: Vec<Point>,
    },
    StrokeAppend {
        object_id: ObjectId,
        index: u64,
        points: Vec<Point>,
    },
    StrokeEnd {
        object_id: ObjectId,
        count: u64,
    },
    CanvasSet {
        set: RawObject<'a>,
    },
    CanvasClear,
    Undo,
    Redo,
    Fold {
        floor: Revision,
    },
    Custom {
        name: Cow<'a, str>,
        data: &'a RawValue,
    },
}

impl<'a> Op<'a> {
    /// Parses and checks one op from its compact JSON (see [`super::compact`]).
    ///
    /// # Errors
    /// The first broken rule, with a pointer relative to the op.
    pub fn parse(json: &'a str) -> Result<Self, Fault> {
        // serde would take an array as the fields in their order, and readers would get broken JSON.
        if !json.starts_with('{') {
            return Err(Fault::new("", "must be an object"));
        }
        let fields: Fields<'a> =
            serde_json::from_str(json).map_err(|error| Fault::new("", without_position(&error)))?;
        fields.into_op()
    }

    /// The op as a log has it, with its ids in lower case; `None` when `json`, from which it was parsed, is
    /// that already.
    #[must_use]
    pub fn respelled(&self, json: &str) -> Option<Box<str>> {
        (!self.is_canonical).then(|| respell(json, self.op_id, self.unit.unwrap_or(self.op_id)))
    }

    /// Returns `true` if the op creates an object of kind `fog`, which only owners may touch.
    #[must_use]
    pub fn creates_fog(&self) -> bool {
        matches!(&self.change, Change::ObjectCreate { kind, .. } if kind == "fog")
    }

    /// Returns `true` if the op undoes or redoes its unit rather than joining it.
    #[must_use]
    pub fn is_undo_redo(&self) -> bool {
        matches!(self.change, Change::Undo | Change::Redo)
    }

    /// Returns `true` if only the server writes ops of this type.
    #[must_use]
    pub fn is_server_only(&self) -> bool {
        matches!(self.change, Change::Fold { .. })
    }

    /// The objects that the op names.
    #[must_use]
    pub fn touches(&self) -> &[ObjectId] {
        match &self.change {
            Change::ObjectCreate { object_id, .. }
            | Change::ObjectUpdate { object_id, .. }
            | Change::StrokeBegin { object_id, .. }
            | Change::StrokeAppend { object_id, .. }
            | Change::StrokeEnd { object_id, .. } => std::slice::from_ref(object_id),
            Change::ObjectDelete { object_ids } => object_ids,
            _ => &[],
        }
    }
}

impl Change<'_> {
    /// Returns `true` if it may change the canvas. A custom op, an undo, a redo or a fold draws nothing.
    #[must_use]
    pub fn draws(&self) -> bool {
        !matches!(self, Self::Custom { .. } | Self::Undo | Self::Redo | Self::Fold { .. })
    }
}

#[cfg(test)]
mod tests;
