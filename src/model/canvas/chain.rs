//! One register: the writes to one property, and which of them counts.

use std::{
    collections::{BTreeMap, HashMap, btree_map},
    mem, slice,
};

use smallvec::SmallVec;

use super::units::Liveness;

/// One write to a register.
#[derive(Clone, Debug)]
pub(super) struct Write<T> {
    /// When it was committed.
    pub revision: u64,
    /// The unit it belongs to, by the revision of its first op; [`CLOSED`] for a folded write, which is live for good.
    pub unit: u64,
    pub value: T,
}

/// Stands for all closed units; revisions begin at 1.
pub(super) const CLOSED: u64 = 0;

impl<T> Write<T> {
    pub(super) fn is_open(&self) -> bool {
        self.unit != CLOSED
    }
}

/// The writes to one register that may still count, ascending by revision: at most one folded write, which is
/// the first, and one of each open unit, the last it made. All writes of a unit live and die together, so
/// its earlier ones would never be seen.
#[derive(Clone, Debug)]
pub(super) struct Chain<T>(Writes<T>);

/// Nearly all registers have one write; one over which many quarrel may have tens of thousands, and takes the next one
/// as fast as the first.
#[derive(Clone, Debug)]
enum Writes<T> {
    Few(SmallVec<[Write<T>; 1]>),
    Many(Box<Many<T>>),
}

#[derive(Clone, Debug)]
struct Many<T> {
    by_revision: BTreeMap<u64, Write<T>>,
    /// The revision of the write of each unit.
    of_unit: HashMap<u64, u64>,
}

/// Most writes that are looked through one by one.
const FEW: usize = 16;

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self(Writes::Few(SmallVec::new()))
    }
}

impl<T> Chain<T> {
    /// Adds a write that is newer than all others.
    pub(super) fn write(&mut self, write: Write<T>) {
        if let Writes::Few(few) = &mut self.0 {
            if let Some(earlier) = few.iter().rposition(|other| other.unit == write.unit) {
                few.remove(earlier);
            }
            if few.len() < FEW {
                return few.push(write);
            }
            self.0 = Writes::Many(Box::new(mem::take(few).into_iter().collect()));
        }
        if let Writes::Many(many) = &mut self.0 {
            many.write(write);
        }
    }

    /// The write that counts: the newest whose unit is live.
    pub(super) fn top(&self, liveness: Liveness<'_>) -> Option<&Write<T>> {
        let is_live = |write: &&Write<T>| liveness.is_live(write.unit);
        match &self.0 {
            Writes::Few(few) => few.iter().rfind(is_live),
            Writes::Many(many) => many.by_revision.values().rfind(is_live),
        }
    }

    /// The newest live write that is older than `revision`.
    pub(super) fn top_below(&self, revision: u64, liveness: Liveness<'_>) -> Option<&Write<T>> {
        let is_live = |write: &&Write<T>| liveness.is_live(write.unit);
        match &self.0 {
            Writes::Few(few) => few.iter().rev().filter(|write| write.revision < revision).find(is_live),
            Writes::Many(many) => {
                many.by_revision.range(..revision).rev().map(|(_, write)| write).find(is_live)
            }
        }
    }

    /// The write of an open unit.
    pub(super) fn of_unit(&self, unit: u64) -> Option<&Write<T>> {
        match &self.0 {
            Writes::Few(few) => few.iter().rev().find(|write| write.unit == unit),
            Writes::Many(many) => many.of_unit.get(&unit).and_then(|revision| many.by_revision.get(revision)),
        }
    }

    /// The folded write.
    pub(super) fn base(&self) -> Option<&Write<T>> {
        self.iter().next().filter(|write| !write.is_open())
    }

    /// Folds the writes of units that began at or below `floor`: the newest live one becomes the base, and what lies
    /// beneath it goes, for it will never be seen again.
    pub(super) fn fold(&mut self, floor: u64, liveness: Liveness<'_>) {
        let closes = |write: &Write<T>| write.unit <= floor;
        // Most registers have nothing that is to be closed.
        if !self.iter().any(|write| write.is_open() && closes(write)) {
            return;
        }
        let is_base = |write: &Write<T>| closes(write) && liveness.is_live(write.unit);
        if let Writes::Few(few) = &mut self.0 {
            if let Some(base) = few.iter().rposition(is_base) {
                few.drain(..base);
                few[0].unit = CLOSED;
            }
            few.retain(|write| !write.is_open() || !closes(write));
            return few.shrink_to_fit();
        }
        let Some(base) = self.iter().rev().find(|write| is_base(write)).map(|write| write.revision) else {
            // A closed write that was undone stays undone for good.
            return self.retain(|write| !closes(write));
        };
        let mut writes: SmallVec<[Write<T>; 1]> = mem::take(self).into_writes();
        writes.retain(|write| write.revision == base || (write.revision > base && !closes(write)));
        if let Some(first) = writes.first_mut() {
            first.unit = CLOSED;
        }
        *self = Self::from_writes(writes);
    }

    /// Drops the folded write.
    pub(super) fn forget(&mut self) {
        self.retain(Write::is_open);
    }

    fn retain(&mut self, stays: impl Fn(&Write<T>) -> bool) {
        if self.iter().all(&stays) {
            return;
        }
        let mut writes = mem::take(self).into_writes();
        writes.retain(|write| stays(write));
        *self = Self::from_writes(writes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of its writes.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Writes::Few(few) => few.len(),
            Writes::Many(many) => many.by_revision.len(),
        }
    }

    /// All writes, ascending by revision.
    pub(super) fn iter(&self) -> Iter<'_, T> {
        match &self.0 {
            Writes::Few(few) => Iter::Few(few.iter()),
            Writes::Many(many) => Iter::Many(many.by_revision.values()),
        }
    }

    /// A chain of these writes, which must ascend by revision.
    pub(super) fn from_writes(writes: impl IntoIterator<Item = Write<T>>) -> Self {
        let mut few: SmallVec<[Write<T>; 1]> = writes.into_iter().collect();
        few.shrink_to_fit();
        if few.len() <= FEW {
            Self(Writes::Few(few))
        } else {
            Self(Writes::Many(Box::new(few.into_iter().collect())))
        }
    }

    fn into_writes(self) -> SmallVec<[Write<T>; 1]> {
        match self.0 {
            Writes::Few(few) => few,
            Writes::Many(many) => many.by_revision.into_values().collect(),
        }
    }

    /// About how many bytes of memory it takes beyond itself, given those that a value does.
    pub(super) fn weight(&self, value: impl Fn(&T) -> usize) -> usize {
        /// A place in the map of units, and the share of a node of the tree that is not full.
        const PLACE: usize = 48;
        let places = match &self.0 {
            // One lies within.
            Writes::Few(few) if few.spilled() => few.capacity() * size_of::<Write<T>>(),
            Writes::Few(_) => 0,
            Writes::Many(many) => many.by_revision.len() * (2 * size_of::<Write<T>>() + PLACE),
        };
        places + self.iter().map(|write| value(&write.value)).sum::<usize>()
    }
}

/// The writes of a chain, ascending by revision.
pub(super) enum Iter<'a, T> {
    Few(slice::Iter<'a, Write<T>>),
    Many(btree_map::Values<'a, u64, Write<T>>),
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a Write<T>;

    fn next(&mut self) -> Option<&'a Write<T>> {
        match self {
            Self::Few(few) => few.next(),
            Self::Many(many) => many.next(),
        }
    }
}

impl<'a, T> DoubleEndedIterator for Iter<'a, T> {
    fn next_back(&mut self) -> Option<&'a Write<T>> {
        match self {
            Self::Few(few) => few.next_back(),
            Self::Many(many) => many.next_back(),
        }
    }
}

impl<T> Many<T> {
    fn write(&mut self, write: Write<T>) {
        if write.is_open()
            && let Some(earlier) = self.of_unit.insert(write.unit, write.revision)
        {
            self.by_revision.remove(&earlier);
        }
        self.by_revision.insert(write.revision, write);
    }
}

impl<T> FromIterator<Write<T>> for Many<T> {
    fn from_iter<I: IntoIterator<Item = Write<T>>>(writes: I) -> Self {
        let mut many = Self { by_revision: BTreeMap::new(), of_unit: HashMap::new() };
        for write in writes {
            many.write(write);
        }
        many
    }
}

#[cfg(test)]
mod tests {
    use super::{super::units::Units, *};

    /// The model that a chain is compared with: a list that is searched from end to end.
    fn write_to_list(list: &mut Vec<(u64, u64)>, revision: u64, unit: u64) {
        list.retain(|(_, other)| *other != unit);
        list.push((revision, unit));
    }

    fn list_of(chain: &Chain<u64>) -> Vec<(u64, u64)> {
        chain.iter().map(|write| (write.revision, write.unit)).collect()
    }

    #[test]
    fn few_and_many_writes_are_kept_alike() {
        let units = Units::default();
        for count in [1, FEW as u64, FEW as u64 + 1, 200] {
            let (mut chain, mut list) = (Chain::default(), Vec::new());
            for revision in 1..=3 * count {
                // Units come back in another order than they began.
                let unit = 1 + revision * 7 % count;
                chain.write(Write { revision, unit, value: revision });
                write_to_list(&mut list, revision, unit);
                assert_eq!(list_of(&chain), list);
                assert_eq!((chain.len(), chain.is_empty()), (list.len(), false));
                assert_eq!(chain.of_unit(unit).map(|write| write.revision), Some(revision));
            }
            assert!(chain.of_unit(count + 1).is_none());
            let liveness = units.liveness();
            let below = |revision| chain.top_below(revision, liveness).map(|write| write.revision);
            for (before, after) in list.iter().zip(&list[1..]) {
                assert_eq!(below(after.0), Some(before.0));
            }
            assert_eq!(below(list[0].0), None);
            // Half of them are closed, the newest of which becomes the base.
            let floor = count / 2;
            let mut folded = chain.clone();
            folded.fold(floor, liveness);
            let base = list.iter().rposition(|(_, unit)| *unit <= floor);
            let mut expected: Vec<_> = match base {
                Some(at) => [vec![(list[at].0, CLOSED)], list[at + 1..].to_vec()].concat(),
                None => list.clone(),
            };
            expected.retain(|(_, unit)| *unit == CLOSED || *unit > floor);
            assert_eq!(list_of(&folded), expected);
            folded.forget();
            expected.retain(|(_, unit)| *unit != CLOSED);
            assert_eq!(list_of(&folded), expected);
        }
    }
}
