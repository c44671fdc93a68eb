//! An op as it stands in a log, read back.

use std::borrow::Cow;

use serde::Deserialize;
use uuid::Uuid;

use super::{Change, Op, OpId, Revision, op::is_without_unit};

/// One op of a log, as the reducer takes it.
#[derive(Debug)]
pub struct LoggedOp<'a> {
    /// Its place in the log.
    pub revision: Revision,
    /// The user who sent it.
    pub actor: &'a str,
    /// When it was committed, in milliseconds since 1970.
    pub ts: i64,
    /// The undo unit it belongs to, or acts on; `None` for a type that has none.
    pub unit: Option<OpId>,
    /// The change that it makes; `None` for an op that this version does not understand.
    pub change: Option<Change<'a>>,
}

impl<'a> LoggedOp<'a> {
    /// Reads an op from the client's JSON, as the store keeps it.
    #[must_use]
    pub fn read(revision: Revision, actor: &'a str, ts: i64, body: &'a str) -> Self {
        match Op::parse(body) {
            Ok(op) => Self { revision, actor, ts, unit: op.unit, change: Some(op.change) },
            Err(_) => {
                let LoggedHeader { op_id, unit, type_name } = serde_json::from_str(body).unwrap_or_default();
                let unit =
                    (!is_without_unit(&type_name)).then(|| unit.or(op_id).unwrap_or(OpId(Uuid::nil())));
                Self { revision, actor, ts, unit, change: None }
            }
        }
    }
}

/// The fields that every op has, whatever its type.
#[derive(Default, Deserialize)]
struct LoggedHeader<'a> {
    #[serde(borrow, default, rename = "type")]
    type_name: Cow<'a, str>,
    #[serde(default)]
    op_id: Option<OpId>,
    #[serde(default)]
    unit: Option<OpId>,
}
