//! The rows to write for a batch, and the answers to its requests.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use crate::{
    model::{DrawingId, ObjectId, Revision},
    store::{AppendOutcome, AppendRequest, AppendedTo, OpOutcome, revision_to_sql, unit_to_sql},
};

/// An op to insert: `batch[request].ops[op]` at `revision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Insert {
    pub request: usize,
    pub op: usize,
    pub revision: Revision,
}

/// The new head of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct NewHead {
    pub revision: Revision,
    pub floor: Revision,
    /// The time of the new ops.
    pub ts: i64,
    /// The bytes that the new ops add to the log.
    pub bytes: i64,
}

/// The rows to write, and the answers.
#[derive(Debug, Default)]
pub(in crate::store) struct Resolution {
    pub outcomes: Vec<AppendOutcome>,
    pub inserts: Vec<Insert>,
    /// The new heads of the drawings that got ops.
    pub heads: BTreeMap<DrawingId, NewHead>,
    /// Objects of kind fog that the batch creates.
    pub fog: Vec<(DrawingId, ObjectId)>,
}

impl Resolution {
    /// The rows to insert, in order.
    pub(in crate::store) fn rows<'a>(&self, batch: &'a [AppendRequest]) -> Vec<LogRow<'a>> {
        let row = |insert: &Insert| {
            let request = &batch[insert.request];
            let op = &request.ops[insert.op];
            LogRow {
                drawing_id: request.drawing_id.0,
                revision: revision_to_sql(insert.revision),
                op_id: op.op_id.0,
                unit: unit_to_sql(op.unit),
                actor: request.actor.as_str(),
                ts: self.heads.get(&request.drawing_id).map_or(0, |head| head.ts),
                body: &op.body,
            }
        };
        self.inserts.iter().map(row).collect()
    }

    /// Where the logs stand that got ops.
    pub(in crate::store) fn appended_to(&self) -> HashMap<DrawingId, AppendedTo> {
        self.heads.iter().map(|(id, head)| (*id, AppendedTo { ts: head.ts, floor: head.floor })).collect()
    }

    /// The drawings of which something was found in the log that was sent again.
    pub(in crate::store) fn drawings_with_duplicates(&self, batch: &[AppendRequest]) -> Vec<Uuid> {
        let has_duplicate = |outcome: &AppendOutcome| match outcome {
            AppendOutcome::Accepted { ops, .. } => ops.iter().any(|op| matches!(op, OpOutcome::Duplicate(_))),
            AppendOutcome::Refused(_) => false,
        };
        let answered = batch.iter().zip(&self.outcomes).filter(|(_, outcome)| has_duplicate(outcome));
        let drawings: BTreeSet<Uuid> = answered.map(|(request, _)| request.drawing_id.0).collect();
        drawings.into_iter().collect()
    }
}

/// One row of the table of ops.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct LogRow<'a> {
    pub drawing_id: Uuid,
    pub revision: i64,
    pub op_id: Uuid,
    pub unit: Uuid,
    pub actor: &'a str,
    pub ts: i64,
    pub body: &'a str,
}
