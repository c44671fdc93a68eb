//! Undo units as the rules have them: which are live, which are closed, and which objects are seen for that.
//!
//! Owns a small reducer of its own, of whether objects exist and of nothing else, so that the server's is not its own
//! judge.

use std::collections::{BTreeMap, HashMap};

use crate::{
    history::{Entry, EntryKind},
    ids::OpId,
};

/// The effect of a toggle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has changed its unit.
    Changed,
    /// The unit was so already.
    Idle,
    /// No op before it has begun the unit.
    Unknown,
    /// A fold has closed the unit.
    Closed,
}

/// The units of a log, up to some revision.
#[derive(Debug, Default)]
pub(crate) struct Units {
    units: HashMap<OpId, Unit>,
    floor: u64,
}

#[derive(Clone, Copy, Debug)]
struct Unit {
    first: u64,
    is_undone: bool,
}

impl Units {
    /// Returns the effect of each undo and redo of a log.
    #[must_use]
    pub(crate) fn fates<'a>(entries: &[&'a Entry]) -> Vec<(&'a Entry, Fate)> {
        let mut units = Self::default();
        entries.iter().filter_map(|entry| Some((*entry, units.take(entry)?))).collect()
    }

    /// Applies the next op; of a toggle it says what that has done.
    pub(crate) fn take(&mut self, entry: &Entry) -> Option<Fate> {
        let undoes = match entry.kind {
            EntryKind::Undo => true,
            EntryKind::Redo => false,
            EntryKind::Fold(floor) => {
                if floor > self.floor && floor < entry.revision {
                    self.floor = floor;
                }
                return None;
            }
            _ => {
                self.units.entry(entry.unit).or_insert(Unit { first: entry.revision, is_undone: false });
                return None;
            }
        };
        let Some(unit) = self.units.get_mut(&entry.unit) else { return Some(Fate::Unknown) };
        if unit.first <= self.floor {
            return Some(Fate::Closed);
        }
        let has_changed = unit.is_undone != undoes;
        unit.is_undone = undoes;
        Some(if has_changed { Fate::Changed } else { Fate::Idle })
    }

    /// True if the effect of the unit is seen.
    #[must_use]
    pub(crate) fn is_live(&self, unit: OpId) -> bool {
        self.units.get(&unit).is_none_or(|unit| !unit.is_undone)
    }
}

/// The objects that exist, up to some revision.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    units: Units,
    /// The writes that decide whether an object exists, by object, in the order of revisions.
    writes: BTreeMap<String, Vec<Write>>,
    clears: Vec<(u64, OpId)>,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    revision: u64,
    unit: OpId,
    creates: bool,
}

impl Scene {
    /// Applies the next op.
    pub(crate) fn take(&mut self, entry: &Entry) {
        self.units.take(entry);
        let (revision, unit) = (entry.revision, entry.unit);
        match &entry.kind {
            EntryKind::Create(object) => self.write(object, Write { revision, unit, creates: true }),
            EntryKind::Delete(objects) => {
                for object in objects {
                    self.write(object, Write { revision, unit, creates: false });
                }
            }
            EntryKind::Clear => self.clears.push((revision, unit)),
            _ => {}
        }
    }

    fn write(&mut self, object: &str, write: Write) {
        self.writes.entry(object.to_owned()).or_default().push(write);
    }

    /// The objects that are seen, in the order of their ids.
    #[must_use]
    pub(crate) fn seen(&self) -> Vec<&str> {
        let cleared =
            self.clears.iter().rev().find(|(_, unit)| self.units.is_live(*unit)).map_or(0, |clear| clear.0);
        let is_seen = |writes: &Vec<Write>| {
            let decides = writes.iter().rev().find(|write| self.units.is_live(write.unit));
            decides.is_some_and(|write| write.creates && write.revision > cleared)
        };
        self.writes.iter().filter(|(_, writes)| is_seen(writes)).map(|(object, _)| object.as_str()).collect()
    }
}
