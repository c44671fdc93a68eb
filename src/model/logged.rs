//! An op as it stands in a log, read back.

use serde::Deserialize;
use uuid::Uuid;

use super::{Change, Op, OpId, Revision};

/// One op of a log, as the reducer takes it.
#[derive(Debug)]
pub struct LoggedOp<'a> {
    /// Its place in the log.
    pub revision: Revision,
    /// Who sent it.
    pub actor: &'a str,
    /// The undo unit it belongs to, or acts on.
    pub unit: OpId,
    /// What it changes; `None` for an op that this version does not understand.
    pub change: Option<Change<'a>>,
}

impl<'a> LoggedOp<'a> {
    /// Reads an op from the client's JSON, as the store keeps it.
    #[must_use]
    pub fn read(revision: Revision, actor: &'a str, body: &'a str) -> Self {
        match Op::parse(body) {
            Ok(op) => Self { revision, actor, unit: op.unit, change: Some(op.change) },
            Err(_) => {
                let Frame { op_id, unit } = serde_json::from_str(body).unwrap_or_default();
                Self { revision, actor, unit: unit.or(op_id).unwrap_or(OpId(Uuid::nil())), change: None }
            }
        }
    }
}

/// What every op has, whatever its type.
#[derive(Default, Deserialize)]
struct Frame {
    #[serde(default)]
    op_id: Option<OpId>,
    #[serde(default)]
    unit: Option<OpId>,
}
