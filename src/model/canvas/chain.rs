//! One register: the writes to one property, and which of them counts.

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
pub(super) struct Chain<T>(SmallVec<[Write<T>; 1]>);

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T> Chain<T> {
    /// Adds a write that is newer than all others.
    pub(super) fn write(&mut self, write: Write<T>) {
        if let Some(earlier) = self.0.iter().rposition(|other| other.unit == write.unit) {
            self.0.remove(earlier);
        }
        self.0.push(write);
    }

    /// The write that counts: the newest whose unit is live.
    pub(super) fn top(&self, liveness: Liveness<'_>) -> Option<&Write<T>> {
        self.0.iter().rev().find(|write| liveness.is_live(write.unit))
    }

    /// The folded write.
    pub(super) fn base(&self) -> Option<&Write<T>> {
        self.0.first().filter(|write| write.unit == CLOSED)
    }

    /// Folds the writes of units that began at or below `floor`: the newest live one becomes the base, and what lies
    /// beneath it goes, for it will never be seen again.
    pub(super) fn fold(&mut self, floor: u64, liveness: Liveness<'_>) {
        let is_base = |write: &Write<T>| write.unit <= floor && liveness.is_live(write.unit);
        let base = self.0.iter().rposition(is_base);
        if let Some(base) = base {
            self.0.drain(..base);
            self.0[0].unit = CLOSED;
        }
        // What is closed and was undone is undone for good.
        self.0.retain(|write| write.unit == CLOSED || write.unit > floor);
        self.0.shrink_to_fit();
    }

    /// Drops the folded write.
    pub(super) fn forget(&mut self) {
        self.0.retain(|write| write.unit != CLOSED);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All writes, ascending by revision.
    pub(super) fn writes(&self) -> &[Write<T>] {
        &self.0
    }

    /// A chain of these writes, which must ascend by revision.
    pub(super) fn from_writes(writes: impl Iterator<Item = Write<T>>) -> Self {
        Self(writes.collect())
    }
}
