//! The types of ops by their names: which are known, have no unit, or are written by the server alone.
//!
//! Owns these lists. `fields` checks the fields of each type.

use std::borrow::Cow;

use serde::Deserialize;

/// Returns `true` if this version knows ops of a type.
#[must_use]
pub fn knows_type(name: &str) -> bool {
    let known = [
        "object.create",
        "object.update",
        "object.delete",
        "stroke.begin",
        "stroke.append",
        "stroke.end",
        "canvas.set",
        "canvas.clear",
        "undo",
        "redo",
        "fold",
    ];
    known.contains(&name) || name.starts_with("custom.")
}

/// Types of ops that have no unit and begin none, whether or not this version can read them.
const TYPES_WITHOUT_UNIT: [&str; 5] = ["fold", "lesson.start", "score.update", "step.change", "step.submit"];

/// Returns `true` if ops of a type have no unit.
pub(in crate::model) fn is_without_unit(type_name: &str) -> bool {
    TYPES_WITHOUT_UNIT.contains(&type_name)
}

/// Types of ops that only the server writes, whether or not this version can read them.
const SERVER_TYPES: [&str; 3] = ["fold", "lesson.start", "score.update"];

/// Returns `true` if the JSON of an op, valid or not, names a type that only the server writes.
#[must_use]
pub fn names_server_type(json: &str) -> bool {
    #[derive(Deserialize)]
    struct TypeField<'a> {
        #[serde(borrow, rename = "type")]
        type_name: Cow<'a, str>,
    }
    serde_json::from_str::<TypeField<'_>>(json).is_ok_and(|frame| SERVER_TYPES.contains(&&*frame.type_name))
}
