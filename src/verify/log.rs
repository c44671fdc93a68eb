//! The check that the rows of one log are whole: contiguous, readable, and as the rules of appending leave
//! them.
//!
//! Pure. It keeps the ids of all ops, some 50 bytes each, and of the units those that are open.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

use serde::Deserialize;
use uuid::Uuid;

use super::finding::{Findings, Kind};
use crate::{
    model::{Change, LoggedOp, OpId, Revision, UserId, knows_type},
    store::{InspectedHead, InspectedOp},
};

/// The state of a log up to a revision.
#[derive(Debug, Default)]
pub(super) struct LogCheck {
    /// The last revision that was looked at.
    last: Revision,
    /// The floor of the latest fold that holds.
    floor: Revision,
    /// The latest time.
    ts: i64,
    /// The bytes of all bodies.
    bytes: u64,
    has_fog: bool,
    /// `true` if any op was missing or unreadable: then more follows from that than can be told.
    is_broken: bool,
    /// Where each op stands.
    ops: HashMap<Uuid, Revision>,
    /// The units that are open, and who began them.
    units: HashMap<OpId, UserId>,
    /// The same in the order in which they began.
    begun: VecDeque<(Revision, OpId)>,
}

/// The fields that every op has, whatever its type.
#[derive(Deserialize)]
struct OpHeader {
    op_id: OpId,
    #[serde(rename = "type")]
    type_name: String,
}

impl LogCheck {
    /// Returns `true` if every op so far was there and could be read.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_broken
    }

    /// The bytes of all bodies so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Looks at the next row, and gives the op as a reducer takes it; `None` when it cannot be read.
    pub(super) fn take<'a>(&mut self, row: &'a InspectedOp, found: &mut Findings) -> Option<LoggedOp<'a>> {
        let revision = row.revision;
        self.expect(revision, found);
        self.last = revision;
        self.ts = if self.ops.is_empty() { row.ts } else { self.ts.max(row.ts) };
        self.bytes += row.body.len() as u64;
        match self.ops.entry(row.op_id) {
            Entry::Occupied(first) => {
                let detail = format!("op_id {} stands at revision {} already", row.op_id, first.get());
                found.add(Kind::OpRepeated, revision, detail);
            }
            Entry::Vacant(place) => {
                place.insert(revision);
            }
        }
        let read = Self::read(row).inspect_err(|detail| found.add(Kind::OpUnreadable, revision, *detail));
        let Ok((op, frame, actor)) = read else {
            self.is_broken = true;
            return None;
        };
        if op.change.is_none() && knows_type(&frame.type_name) {
            found.add(Kind::OpInvalid, revision, "its body breaks the rules of its type");
        }
        if frame.op_id.0 != row.op_id {
            found.add(
                Kind::OpIdDiffers,
                revision,
                "the op_id of its body is another one than its column has",
            );
        }
        // An op may have the nil UUID itself, and then it is its own unit.
        if op.unit.map_or(Uuid::nil(), |unit| unit.0) != row.unit {
            found.add(Kind::UnitDiffers, revision, "the unit of its body is another one than its column has");
        }
        self.check_rules(&op, frame.op_id, &actor, found);
        Some(op)
    }

    /// Tells that the ops between the last row and `next` are missing, if there should be any.
    pub(super) fn expect(&mut self, next: Revision, found: &mut Findings) {
        let first = self.last.next();
        if first >= next {
            return;
        }
        self.is_broken = true;
        let detail = match next.0 - 1 {
            last if last == first.0 => format!("revision {first} is missing"),
            last => format!("revisions {first} to {last} are missing"),
        };
        found.add(Kind::Hole, first, detail);
    }

    fn read(row: &InspectedOp) -> Result<(LoggedOp<'_>, OpHeader, UserId), &'static str> {
        let body = std::str::from_utf8(&row.body).map_err(|_| "its body is not valid UTF-8")?;
        let actor = std::str::from_utf8(&row.actor).map_err(|_| "its actor is not valid UTF-8")?;
        let user = actor.parse().map_err(|_| "its actor is no user id")?;
        let frame = serde_json::from_str(body).map_err(|_| "its body cannot be parsed")?;
        Ok((LoggedOp::read(row.revision, actor, row.ts, body), frame, user))
    }

    /// The rules by which the store takes an op, as far as a log tells them: what roles there were is not in it.
    fn check_rules(&mut self, op: &LoggedOp<'_>, op_id: OpId, actor: &UserId, found: &mut Findings) {
        let revision = op.revision;
        self.has_fog |= matches!(&op.change, Some(Change::ObjectCreate { kind, .. }) if kind == "fog");
        if let Some(Change::Fold { floor }) = op.change {
            if *actor != UserId::folder() || floor <= self.floor || floor >= revision {
                found.add(Kind::FoldUnfit, revision, format!("it folds to {floor}, which readers ignore"));
                return;
            }
            self.floor = floor;
            while let Some((_, id)) = self.begun.pop_front_if(|(first, _)| *first <= floor) {
                self.units.remove(&id);
            }
            return;
        }
        let Some(unit) = op.unit else { return };
        let is_toggle = matches!(op.change, Some(Change::Undo | Change::Redo));
        if !is_toggle && unit == op_id {
            self.units.insert(unit, actor.clone());
            self.begun.push_back((revision, unit));
            return;
        }
        let detail = match self.units.get(&unit) {
            Some(owner) if owner != actor && !is_toggle => "its unit belongs to another actor",
            Some(_) => return,
            None if self.ops.get(&unit.0).is_some_and(|first| *first <= self.floor) => "its unit is closed",
            // It may have begun in what is missing.
            None if self.is_broken => return,
            None => "its unit is not in the log",
        };
        found.add(Kind::UnitUnfit, revision, detail);
    }

    /// Checks that the row of the head fits the rows up to it.
    pub(super) fn end(mut self, head: &InspectedHead, found: &mut Findings) {
        let revision = Revision(head.revision.unsigned_abs());
        self.expect(revision.next(), found);
        // If a log is not whole, the right content of its head is unknown.
        if self.is_broken {
            return;
        }
        let rows: [(Kind, &str, i64, i64); 3] = [
            (Kind::HeadFloor, "floor", head.floor, self.floor.0.cast_signed()),
            (Kind::HeadBytes, "bytes", head.bytes, self.bytes.cast_signed()),
            (Kind::HeadTime, "ts", head.ts, if self.ops.is_empty() { head.ts } else { self.ts }),
        ];
        for (kind, column, told, real) in rows {
            if told != real {
                found.add(kind, revision, format!("{column} of the head is {told}, and by the log {real}"));
            }
        }
        if self.has_fog && !head.has_fog {
            found.add(Kind::HeadFog, revision, "the log has fog, and the head does not say so");
        }
    }
}
