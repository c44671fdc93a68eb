//! One drawing at a server that keeps its promises: a model of it, without time and without clients.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::{
    format::{EntryLine, Line, LogLine, Placed, SeenOp, SentOp, Tag},
    ids::{Digest, OpId},
};

/// Ops above the floor that a fold leaves.
const FOLD_KEEPS: u64 = 60;

/// An op as a client makes it.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub op_id: OpId,
    pub kind: &'static str,
    pub unit: OpId,
    pub objects: Vec<String>,
    /// Tells bodies apart under one id.
    pub variant: u32,
    pub floor: Option<u64>,
}

/// An op in the log.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub op: Op,
    pub actor: &'static str,
    /// The transaction that has brought it: all of it is replicated, or nothing.
    batch: u64,
    /// The hash of the picture after it.
    pub picture: Digest,
}

/// A drawing.
#[derive(Debug)]
pub(super) struct Drawing {
    pub id: String,
    pub log: Vec<Logged>,
    pub epoch: String,
    /// The epoch before, and up to where both are one.
    pub trunk: Option<(String, u64)>,
    /// The epoch that begins with the next append.
    pub next_epoch: Option<(String, u64)>,
    /// The log of the epoch before, with what was lost.
    pub old_log: Vec<Logged>,
    places: HashMap<OpId, u64>,
    floor: u64,
    batches: u64,
    /// Bodies are written out, not only their digests.
    writes_bodies: bool,
}

impl Op {
    fn body(&self) -> Value {
        let mut body =
            json!({"op_id": self.op_id, "type": self.kind, "unit": self.unit, "data": self.variant});
        match (self.kind, self.objects.as_slice()) {
            ("object.create", [object]) => body["object_id"] = json!(object),
            ("object.delete", objects) => body["object_ids"] = json!(objects),
            _ => {}
        }
        if let Some(floor) = self.floor {
            body["floor"] = json!(floor);
        }
        body
    }

    fn digest(&self) -> Digest {
        Digest::of(format!("{} {} {}", self.op_id, self.kind, self.variant).as_bytes())
    }

    fn is_toggle(&self) -> bool {
        matches!(self.kind, "undo" | "redo")
    }
}

impl Drawing {
    pub(super) fn new(id: String, epoch: String, writes_bodies: bool) -> Self {
        Self {
            id,
            log: Vec::new(),
            epoch,
            trunk: None,
            next_epoch: None,
            old_log: Vec::new(),
            places: HashMap::new(),
            floor: 0,
            batches: 0,
            writes_bodies,
        }
    }

    pub(super) fn head(&self) -> u64 {
        self.log.len() as u64
    }

    pub(super) fn place(&self, op_id: OpId) -> Option<u64> {
        self.places.get(&op_id).copied()
    }

    /// The op at a revision.
    pub(super) fn at(&self, revision: u64) -> &Logged {
        &self.log[index(revision) - 1]
    }

    /// The hash of the picture at a revision.
    pub(super) fn picture(&self, revision: u64) -> Digest {
        if revision == 0 { Digest::of(b"") } else { self.at(revision).picture }
    }

    /// Commits ops, or says with which status and code they are refused.
    pub(super) fn append(
        &mut self,
        actor: &'static str,
        ops: &[Op],
    ) -> Result<Vec<Placed>, (u16, &'static str)> {
        for op in ops {
            if let Some(revision) = self.place(op.op_id) {
                if self.at(revision).op.variant != op.variant {
                    return Err((409, "op_id_conflict"));
                }
                continue;
            }
            match self.place(op.unit) {
                Some(first) if first <= self.floor => return Err((409, "unit_closed")),
                None if op.is_toggle() => return Err((422, "unknown_unit")),
                _ => {}
            }
        }
        if ops.iter().any(|op| self.place(op.op_id).is_none())
            && let Some((epoch, base)) = self.next_epoch.take()
        {
            let before = std::mem::replace(&mut self.epoch, epoch);
            self.trunk = Some((before, base));
        }
        self.batches += 1;
        Ok(ops.iter().map(|op| self.commit(actor, op)).collect())
    }

    fn commit(&mut self, actor: &'static str, op: &Op) -> Placed {
        if let Some(revision) = self.place(op.op_id) {
            return Placed { op_id: op.op_id, revision, duplicate: true };
        }
        let picture = Digest::of(format!("{} {}", self.picture(self.head()), op.digest()).as_bytes());
        self.log.push(Logged { op: op.clone(), actor, batch: self.batches, picture });
        let revision = self.head();
        self.places.insert(op.op_id, revision);
        Placed { op_id: op.op_id, revision, duplicate: false }
    }

    /// Closes what is old; not if nothing is.
    pub(super) fn fold(&mut self, op_id: OpId) {
        let floor = self.head().saturating_sub(FOLD_KEEPS);
        if floor <= self.floor || self.next_epoch.is_some() {
            return;
        }
        let (unit, objects) = (op_id, Vec::new());
        let fold = Op { op_id, kind: "fold", unit, objects, variant: 0, floor: Some(floor) };
        self.batches += 1;
        self.commit("revcast:fold", &fold);
        self.floor = floor;
    }

    /// The unit that undo, or redo, picks for an actor.
    pub(super) fn pick(&self, actor: &str, undoes: bool) -> Option<OpId> {
        let open = &self.log[index(self.floor)..];
        let mut undone = BTreeSet::new();
        for logged in open {
            match logged.op.kind {
                "undo" => {
                    undone.insert(logged.op.unit);
                }
                "redo" => {
                    undone.remove(&logged.op.unit);
                }
                _ => {}
            }
        }
        let begins = |logged: &&Logged| logged.op.unit == logged.op.op_id && logged.op.kind != "fold";
        let units = open.iter().rev().filter(begins).filter(|logged| logged.actor == actor);
        units.map(|logged| logged.op.unit).find(|unit| undone.contains(unit) != undoes)
    }

    /// A standby without the last ops is promoted.
    pub(super) fn fail_over(&mut self, epoch: String, lost: usize) {
        self.old_log = self.log.clone();
        let mut kept = self.log.len().saturating_sub(lost);
        while kept > 0 && kept < self.log.len() && self.log[kept - 1].batch == self.log[kept].batch {
            kept -= 1;
        }
        self.log.truncate(kept);
        self.places.retain(|_, revision| *revision <= kept as u64);
        self.floor = self.log.iter().rev().find_map(|logged| logged.op.floor).unwrap_or(0);
        self.next_epoch = Some((epoch, kept as u64));
    }

    /// The objects that are seen at a revision, by looking at each op again.
    pub(super) fn objects(&self, revision: u64) -> Vec<String> {
        let log = &self.log[..index(revision)];
        let mut floor = 0;
        let mut undone: BTreeSet<OpId> = BTreeSet::new();
        for logged in log {
            floor = logged.op.floor.unwrap_or(floor);
            match logged.op.kind {
                "undo" if self.place(logged.op.unit) > Some(floor) => {
                    undone.insert(logged.op.unit);
                }
                "redo" if self.place(logged.op.unit) > Some(floor) => {
                    undone.remove(&logged.op.unit);
                }
                _ => {}
            }
        }
        let mut seen = BTreeSet::new();
        for logged in log.iter().filter(|logged| !undone.contains(&logged.op.unit)) {
            match logged.op.kind {
                "object.create" => seen.extend(logged.op.objects.iter().cloned()),
                "object.delete" => seen.retain(|object| !logged.op.objects.contains(object)),
                "canvas.clear" => seen.clear(),
                _ => {}
            }
        }
        seen.into_iter().collect()
    }

    // --- Lines --------------------------------------------------------------------------------------

    pub(super) fn sent(&self, op: &Op) -> SentOp {
        let (hash, body) = self.told(op);
        SentOp { op_id: op.op_id, hash, body }
    }

    /// The ops after one revision up to another.
    pub(super) fn seen(&self, after: u64, to: u64) -> Vec<SeenOp> {
        let seen = |revision| {
            let op = &self.at(revision).op;
            let (hash, body) = self.told(op);
            SeenOp { revision, op_id: op.op_id, hash, body }
        };
        (after + 1..=to).map(seen).collect()
    }

    fn told(&self, op: &Op) -> (Option<Digest>, Option<Value>) {
        if self.writes_bodies { (None, Some(op.body())) } else { (Some(op.digest()), None) }
    }

    /// The logs of the drawing.
    pub(super) fn lines(&self, lines: &mut Vec<Line>, with_lost: bool) {
        let Some((before, base)) = self.trunk.clone() else {
            return self.log_lines(lines, &self.epoch, None, &self.log, true);
        };
        self.log_lines(lines, &before, None, &self.old_log, with_lost);
        self.log_lines(lines, &self.epoch, Some((before.clone(), base)), &self.log, true);
    }

    fn log_lines(
        &self,
        lines: &mut Vec<Line>,
        epoch: &str,
        trunk: Option<(String, u64)>,
        log: &[Logged],
        is_known: bool,
    ) {
        let (previous_epoch, base) = trunk.unzip();
        let head = is_known.then_some(log.len() as u64);
        let (drawing, epoch) = (self.id.clone(), epoch.to_owned());
        let line = LogLine {
            drawing: drawing.clone(),
            epoch: epoch.clone(),
            previous_epoch,
            base,
            head,
            lossless: None,
            tag: Tag,
        };
        lines.push(Line::Log(line));
        let entry = |(revision, logged): (u64, &Logged)| {
            let op = &logged.op;
            let (hash, body) = self.told(op);
            let has_body = body.is_some();
            Line::Entry(EntryLine {
                drawing: drawing.clone(),
                epoch: epoch.clone(),
                revision,
                op_id: op.op_id,
                actor: logged.actor.to_owned(),
                hash,
                body,
                r#type: (!has_body).then(|| op.kind.to_owned()),
                unit: (!has_body).then_some(op.unit),
                object_ids: (!has_body && !op.objects.is_empty()).then(|| op.objects.clone()),
                floor: op.floor.filter(|_| !has_body),
                tag: Tag,
            })
        };
        lines.extend((1..).zip(log).take(if is_known { usize::MAX } else { 0 }).map(entry));
    }
}

fn index(revision: u64) -> usize {
    usize::try_from(revision).unwrap_or(usize::MAX)
}
