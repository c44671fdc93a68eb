//! Those who write: ops and retries, refusals, undo and redo.

use super::{CLIENTS, Sent, WRITERS, World};
use crate::{
    format::{Answered, CallName, Invoke},
    generate::server::Op,
    ids::OpId,
};

/// A request that is to be sent again.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub client: usize,
    pub ops: Vec<Op>,
    /// Not before this time.
    pub since: i64,
}

impl World {
    /// Somebody commits something, or tries again to.
    pub(super) fn write(&mut self, drawing: usize) {
        let again = if self.random.percent(60) { self.pending[drawing].pop_front() } else { None };
        if let Some(Pending { client, ops, since }) = again {
            self.tick(since);
            return self.append(drawing, client, ops);
        }
        self.tick(0);
        let client = self.random.index(WRITERS);
        let ops = self.some_ops(drawing, client);
        match self.random.between(0, 99) {
            0..=3 => self.refuse(drawing, client, ops),
            4..=5 => self.conflict(drawing, client),
            _ => self.append(drawing, client, ops),
        }
    }

    /// Ops of one request: new ones, now and then after one that is in the log already.
    fn some_ops(&mut self, drawing: usize, client: usize) -> Vec<Op> {
        let count = if self.random.percent(70) { 1 } else { self.random.between(2, 4) };
        let user = CLIENTS[client].1;
        let mut ops: Vec<Op> = Vec::new();
        let mut known = self.acked[drawing].iter().rev().filter(|(_, pending)| pending.client == client);
        if let Some((_, pending)) = known.next().filter(|_| count == 3) {
            ops.extend(pending.ops.first().cloned());
        }
        // A gesture: the ops of a request are one unit, or the same as shortly before.
        let joined = self.drawings[drawing].pick(user, true).filter(|_| self.random.percent(10));
        let mut unit = joined;
        for _ in 0..count {
            let op_id = self.new_id();
            let (kind, objects) = self.some_change(drawing);
            let is_gesture = unit.is_some() || count == 2;
            let of = unit.filter(|_| is_gesture).unwrap_or(op_id);
            unit = is_gesture.then_some(of);
            ops.push(Op { op_id, kind, unit: of, objects, variant: 0, floor: None });
        }
        // A client may name the unit of an undo itself.
        if let Some(unit) = self.drawings[drawing].pick(user, true).filter(|_| self.random.percent(4)) {
            let op_id = self.new_id();
            ops.push(Op { op_id, kind: "undo", unit, objects: Vec::new(), variant: 0, floor: None });
        }
        ops
    }

    fn some_change(&mut self, drawing: usize) -> (&'static str, Vec<String>) {
        let objects = self.drawings[drawing].head() / 2 + 1;
        let old = format!("o{}", self.random.between(1, objects));
        match self.random.between(0, 99) {
            0..=49 => ("object.create", vec![format!("o{}", objects)]),
            50..=54 => ("object.create", vec![old]),
            55..=64 => ("object.delete", vec![old]),
            65 => ("canvas.clear", Vec::new()),
            66..=79 => ("custom.note", Vec::new()),
            _ => ("object.update", vec![old]),
        }
    }

    fn append(&mut self, drawing: usize, client: usize, ops: Vec<Op>) {
        let sent = self.begin_append(drawing, client, &ops);
        let is_lost = self.random.percent(3);
        let outcome =
            if is_lost { None } else { Some(self.drawings[drawing].append(CLIENTS[client].1, &ops)) };
        let outcome = match outcome {
            None => Err(None),
            Some(Err(refusal)) => Err(Some(refusal)),
            Some(Ok(_)) if self.random.percent(5) => Err(None),
            Some(Ok(results)) => {
                let revision = results.iter().map(|placed| placed.revision).max().unwrap_or(0);
                let pending = Pending { client, ops: ops.clone(), since: 0 };
                self.acked[drawing].push((revision, pending));
                let latest_revision = Some(self.drawings[drawing].head());
                Ok(Answered { latest_revision, results: Some(results), ..self.placed(drawing, false) })
            }
        };
        let is_unknown = matches!(outcome, Err(None));
        let wants_again = is_unknown && self.random.percent(80) || outcome.is_ok() && self.random.percent(3);
        let since = self.end(sent, drawing, outcome);
        if wants_again {
            // Another client of the same user may be the one that tries again.
            let client = if client == 1 && self.random.percent(30) { 3 } else { client };
            self.pending[drawing].push_back(Pending { client, ops, since });
        }
    }

    /// Refused for a reason that has nothing to do with the log; the same ops may be accepted later.
    fn refuse(&mut self, drawing: usize, client: usize, ops: Vec<Op>) {
        let sent = self.begin_append(drawing, client, &ops);
        let since = self.end(sent, drawing, Err(Some((429, "rate_limited"))));
        if self.random.percent(60) {
            self.pending[drawing].push_back(Pending { client, ops, since });
        }
    }

    /// Another body under the id of an op that is in the log.
    fn conflict(&mut self, drawing: usize, client: usize) {
        let this = &self.drawings[drawing];
        let own = this.log.iter().rev().take(40).find(|logged| logged.actor == CLIENTS[client].1);
        let Some(logged) = own.filter(|logged| !matches!(logged.op.kind, "undo" | "redo")) else { return };
        let other = vec![Op { variant: 7, ..logged.op.clone() }];
        let sent = self.begin_append(drawing, client, &other);
        let outcome = self.drawings[drawing].append(CLIENTS[client].1, &other);
        self.end(sent, drawing, Err(outcome.err()));
    }

    fn begin_append(&mut self, drawing: usize, client: usize, ops: &[Op]) -> Sent {
        let sent = ops.iter().map(|op| self.drawings[drawing].sent(op)).collect();
        let invoke = Invoke { ops: Some(sent), ..Invoke::asking(CallName::Append) };
        self.begin(client, drawing, invoke)
    }

    /// Somebody presses undo or redo.
    pub(super) fn toggle(&mut self, drawing: usize) {
        self.tick(0);
        let client = self.random.index(WRITERS);
        let undoes = self.random.percent(65);
        let (call, kind) = if undoes { (CallName::Undo, "undo") } else { (CallName::Redo, "redo") };
        let chosen: Option<OpId> = if self.random.percent(50) { Some(self.new_id()) } else { None };
        let sent = self.begin(client, drawing, Invoke { op_id: chosen, ..Invoke::asking(call) });
        let user = CLIENTS[client].1;
        let Some(unit) = self.drawings[drawing].pick(user, undoes) else {
            self.end(sent, drawing, Err(Some((409, "nothing_to_undo"))));
            return;
        };
        let op_id = chosen.unwrap_or_else(|| self.new_id());
        let op = Op { op_id, kind, unit, objects: Vec::new(), variant: 0, floor: None };
        let outcome = self.drawings[drawing].append(user, &[op]);
        let outcome = match outcome {
            Err(refusal) => Err(Some(refusal)),
            Ok(_) if self.random.percent(5) => Err(None),
            Ok(results) => {
                let latest_revision = Some(self.drawings[drawing].head());
                let (results, unit) = (Some(results), Some(unit));
                Ok(Answered { latest_revision, results, unit, ..self.placed(drawing, false) })
            }
        };
        self.end(sent, drawing, outcome);
    }
}
