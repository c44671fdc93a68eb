//! A reader that keeps a canvas of its own with the production reducer, from the JSON that it is sent.
//!
//! Owns how an op on the wire becomes one for the reducer, and how a reader that meets repeats and holes
//! comes to the same canvas. It knows no rule of the canvas.

use std::collections::BTreeMap;

use revcast::model::{Applied, Canvas, LoggedOp, OpId, Revision, Scope, compact, state_hash};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::random_log::FILLER;

/// A canvas, and the ops that wait for their turn.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    pub canvas: Canvas,
    /// Ops behind a hole, by their revisions.
    ahead: BTreeMap<u64, Value>,
}

/// The body of a snapshot, its parts as they came: the spelling of the view is what is hashed.
#[derive(Debug, Deserialize)]
pub struct SnapshotBody<'a> {
    pub epoch: String,
    pub revision: u64,
    pub state_hash: String,
    #[serde(borrow)]
    pub view: &'a RawValue,
    #[serde(borrow)]
    pub registers: &'a RawValue,
}

/// Gives a canvas one committed op.
pub fn deliver(canvas: &mut Canvas, op: &Value) -> Applied {
    let revision = Revision(op["revision"].as_u64().expect("an op has a revision"));
    let actor = op["actor"].as_str().expect("an op has an actor");
    let ts = op["ts"].as_i64().expect("an op has a time");
    if actor == FILLER {
        // There are thousands of them, and all that counts is that they are there.
        let unit: OpId = op["op_id"].as_str().and_then(|id| id.parse().ok()).expect("an op has an id");
        return canvas.apply(&LoggedOp { revision, actor, ts, unit: Some(unit), change: None });
    }
    let mut body = op.clone();
    let fields = body.as_object_mut().expect("an op is an object");
    for envelope in ["revision", "actor", "ts"] {
        fields.remove(envelope);
    }
    let body = compact(&body.to_string()).expect("an op is sound JSON");
    canvas.apply(&LoggedOp::read(revision, actor, ts, &body))
}

impl<'a> SnapshotBody<'a> {
    /// Reads the answer to `GET …/snapshot`.
    #[track_caller]
    pub fn read(bytes: &'a [u8]) -> Self {
        serde_json::from_slice(bytes).expect("a snapshot is JSON of this form")
    }

    /// A reader that goes on from here.
    #[track_caller]
    pub fn replica(&self) -> Replica {
        let canvas = Canvas::from_registers(Revision(self.revision), self.registers.get());
        Replica::from(canvas.expect("a snapshot has registers"))
    }
}

impl From<Canvas> for Replica {
    fn from(canvas: Canvas) -> Self {
        Self { canvas, ahead: BTreeMap::new() }
    }
}

impl Replica {
    /// Replays a log from nothing.
    pub fn replay(log: &[Value]) -> Self {
        let mut replica = Self::default();
        replica.follow(log);
        replica
    }

    /// Goes on with the ops that come next.
    #[track_caller]
    pub fn follow(&mut self, tail: &[Value]) {
        for op in tail {
            assert_eq!(self.apply(op), Applied::Next, "{op}");
        }
    }

    /// A reader that was given the registers of this one.
    #[track_caller]
    pub fn reload(&self) -> Self {
        let canvas = Canvas::from_registers(self.canvas.revision(), &self.canvas.registers());
        Self::from(canvas.expect("registers can be read again"))
    }

    /// Gives a committed op to the canvas, whether or not it is its turn.
    pub fn apply(&mut self, op: &Value) -> Applied {
        deliver(&mut self.canvas, op)
    }

    /// Takes an op whenever it comes: one that was there before is passed over, one behind a hole waits.
    pub fn take(&mut self, op: &Value) {
        match self.apply(op) {
            Applied::Stale => return,
            Applied::Gap => {
                self.ahead.insert(op["revision"].as_u64().expect("an op has a revision"), op.clone());
                return;
            }
            Applied::Next => (),
        }
        while let Some(next) = self.ahead.remove(&self.revision().saturating_add(1)) {
            assert_eq!(self.apply(&next), Applied::Next, "{next}");
        }
        // A repeat of what waited may have come in time.
        self.ahead = self.ahead.split_off(&self.revision());
    }

    /// The revision of the canvas.
    pub fn revision(&self) -> u64 {
        self.canvas.revision().0
    }

    /// The hash of what is seen.
    pub fn state_hash(&self) -> String {
        state_hash(&self.canvas.view())
    }

    /// The units that undo and redo would pick: from those of one actor, or from all.
    pub fn history(&self, actor: Option<&str>) -> Value {
        let history = self.canvas.history(actor.map_or(Scope::All, Scope::Mine));
        json!({
            "can_undo": history.undo_unit.is_some(),
            "can_redo": history.redo_unit.is_some(),
            "undo_unit": history.undo_unit,
            "redo_unit": history.redo_unit,
        })
    }
}
