//! The undo units that are still open: who began them, and whether they are live.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{chain::CLOSED, history::Scope};
use crate::model::OpId;

/// An open undo unit.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub id: OpId,
    /// The revision of its first op. It names the unit in every write.
    pub first: u64,
    /// The user who sent that op.
    pub actor: Arc<str>,
    /// `true` if it has an op that writes to the canvas; without one there is nothing to undo.
    pub draws: bool,
    /// The time of the last op, undo or redo that named it, in milliseconds since 1970.
    pub touched: i64,
    /// The latest undo or redo that changed it: its revision, and whether it was an undo.
    pub toggled: Option<(u64, bool)>,
}

impl Unit {
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.toggled, Some((_, true)))
    }
}

/// All open units, ascending by their first revision.
#[derive(Clone, Debug, Default)]
pub(super) struct Units {
    open: VecDeque<Unit>,
    /// The first revision of each, by its id.
    by_id: HashMap<OpId, u64>,
}

impl Units {
    /// The unit of an op that is committed at `revision`; begun by it where there is none of that id.
    pub(super) fn join(&mut self, id: OpId, revision: u64, actor: &str, ts: i64, draws: bool) -> u64 {
        if let Some(&first) = self.by_id.get(&id) {
            if let Some(unit) = self.get_mut(first) {
                unit.draws |= draws;
                unit.touched = ts;
            }
            return first;
        }
        self.add(Unit { id, first: revision, actor: actor.into(), draws, touched: ts, toggled: None });
        revision
    }

    /// Adds a unit that began after all others.
    pub(super) fn add(&mut self, unit: Unit) {
        self.by_id.insert(unit.id, unit.first);
        self.open.push_back(unit);
    }

    /// Undoes or redoes a unit. Nothing changes where it is unknown or closed, and where it is undone or live already.
    pub(super) fn toggle(&mut self, id: OpId, revision: u64, ts: i64, is_undo: bool) {
        let Some(unit) = self.by_id.get(&id).copied().and_then(|first| self.get_mut(first)) else { return };
        unit.touched = ts;
        if unit.is_live() == is_undo {
            unit.toggled = Some((revision, is_undo));
        }
    }

    /// Forgets the units that began at or below `floor`.
    pub(super) fn close(&mut self, floor: u64) {
        while let Some(unit) = self.open.pop_front_if(|unit| unit.first <= floor) {
            self.by_id.remove(&unit.id);
        }
    }

    pub(super) fn find(&self, id: OpId) -> Option<u64> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, first: u64) -> Option<&Unit> {
        self.position(first).map(|at| &self.open[at])
    }

    fn get_mut(&mut self, first: u64) -> Option<&mut Unit> {
        self.position(first).map(|at| &mut self.open[at])
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Unit> {
        self.open.iter()
    }

    /// The number of open units.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn liveness(&self) -> Liveness<'_> {
        Liveness { units: self, toggled: CLOSED, without: None }
    }

    fn position(&self, first: u64) -> Option<usize> {
        self.open.binary_search_by_key(&first, |unit| unit.first).ok()
    }
}

/// The units that are live. One of them may be supposed to be the contrary, and those in a scope to be undone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liveness<'a> {
    units: &'a Units,
    toggled: u64,
    without: Option<Scope<'a>>,
}

impl<'a> Liveness<'a> {
    /// The same, but for the unit that began at `first`, of which it says the contrary.
    pub(super) fn toggling(self, first: u64) -> Self {
        Self { toggled: first, ..self }
    }

    /// The same with all units of a scope undone.
    pub(super) fn without(self, scope: Scope<'a>) -> Self {
        Self { without: Some(scope), ..self }
    }

    pub(super) fn is_live(self, unit: u64) -> bool {
        if unit == CLOSED {
            return true;
        }
        let is_without = |unit: &Unit| self.without.is_some_and(|scope| scope.has(unit));
        let is_live = self.units.get(unit).is_none_or(|unit| unit.is_live() && !is_without(unit));
        is_live != (unit == self.toggled)
    }
}
