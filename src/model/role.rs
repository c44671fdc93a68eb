//! Roles on a drawing, and what each allows: the table in docs/reference.md.

use std::{borrow::Cow, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

use super::{Change, Op};

/// The rights of a user on one drawing; ordered from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads and is present.
    Viewer,
    /// Also draws, and undoes what is their own.
    Editor,
    /// Also clears, sets the canvas, owns the fog, undoes anyone's, and manages the drawing.
    Owner,
}

impl Role {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// May undo and redo units that another actor began.
    #[must_use]
    pub fn may_undo_others(self) -> bool {
        self == Self::Owner
    }

    /// May touch objects that were created with kind `fog`.
    #[must_use]
    pub fn may_touch_fog(self) -> bool {
        self == Self::Owner
    }

    /// May manage members and links, and rename or delete the drawing.
    #[must_use]
    pub fn may_manage(self) -> bool {
        self == Self::Owner
    }

    /// Checks what the op alone tells; whose unit it names and whether its object is fog is
    /// checked in the store, where both are known.
    ///
    /// # Errors
    /// The reason, for a person.
    pub fn permits(self, op: &Op<'_>) -> Result<(), &'static str> {
        match (self, &op.change) {
            (Self::Owner, _) => Ok(()),
            (Self::Viewer, _) => Err("a viewer may not write"),
            (Self::Editor, Change::CanvasClear) => Err("only an owner may clear the canvas"),
            (Self::Editor, Change::CanvasSet { .. }) => Err("only an owner may set the canvas"),
            (Self::Editor, Change::ObjectCreate { .. }) if op.creates_fog() => {
                Err("only an owner may create objects of kind fog")
            }
            (Self::Editor, _) => Ok(()),
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "editor" => Ok(Self::Editor),
            "owner" => Ok(Self::Owner),
            _ => Err(UnknownRole),
        }
    }
}

impl<'de> Deserialize<'de> for Role {
    /// Reads a role from its name alone; derived, `{"viewer": null}` would do as well.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A role of another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is owner, editor or viewer")]
pub struct UnknownRole;

#[cfg(test)]
mod tests {
    use super::*;

    /// One row of the table: an op, and whether editor and viewer may commit it.
    #[test]
    fn the_permission_table_is_that_of_the_contract() {
        let id = "0198f0a0-7d2c-7aaa-8bbb-0123456789ab";
        let rows = [
            (r#""type":"object.create","object_id":"a","kind":"rect","props":{}"#.to_owned(), true),
            (r#""type":"object.create","object_id":"a","kind":"fog","props":{}"#.to_owned(), false),
            (r#""type":"object.update","object_id":"a","set":{}"#.to_owned(), true),
            (r#""type":"object.delete","object_ids":["a"]"#.to_owned(), true),
            (r#""type":"stroke.begin","object_id":"a","tool":"pen","props":{},"points":[]"#.to_owned(), true),
            (r#""type":"stroke.append","object_id":"a","index":1,"points":[]"#.to_owned(), true),
            (r#""type":"stroke.end","object_id":"a","count":0"#.to_owned(), true),
            (r#""type":"canvas.set","set":{}"#.to_owned(), false),
            (r#""type":"canvas.clear""#.to_owned(), false),
            (format!(r#""type":"undo","unit":"{id}""#), true),
            (format!(r#""type":"redo","unit":"{id}""#), true),
            (r#""type":"custom.roll","data":6"#.to_owned(), true),
        ];
        for (fields, editor) in rows {
            let json = format!(r#"{{"op_id":"{id}",{fields}}}"#);
            let op = Op::parse(&json).unwrap_or_else(|fault| panic!("{json}: {fault:?}"));
            assert_eq!(Role::Owner.permits(&op), Ok(()), "{json}");
            assert_eq!(Role::Editor.permits(&op).is_ok(), editor, "{json}");
            assert!(Role::Viewer.permits(&op).is_err(), "{json}");
        }
    }
}
