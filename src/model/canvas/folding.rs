//! Folding: units are closed, and what nobody can undo any more becomes one write a register.
//!
//! Owns what a `fold` of the log does to a canvas, and how much there is to fold. When to fold is no matter of the canvas.

use std::collections::HashMap;

use super::{
    Canvas,
    object::{json_len, open_bytes},
};
use crate::model::Revision;

/// An open unit, as far as it matters for folding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenUnit {
    /// The revision of its first op.
    pub first: Revision,
    /// When it last took an op, an undo or a redo, in milliseconds since 1970.
    pub touched: i64,
    /// The weight of its writes that may still count: twice the bytes that registers spell of them.
    pub bytes: u64,
}

impl Canvas {
    /// The open units, ascending by their first revisions.
    #[must_use]
    pub fn open_units(&self) -> Vec<OpenUnit> {
        let mut bytes: HashMap<u64, u64> = HashMap::new();
        let mut each = |unit: u64, len: usize| *bytes.entry(unit).or_default() += len as u64;
        self.props.values().for_each(|chain| open_bytes(chain, json_len, &mut each));
        open_bytes(&self.clear, |()| 0, &mut each);
        for object in self.listed.iter().filter_map(|id| self.objects.get(id)) {
            object.open_bytes(&mut each);
        }
        let open = self.units.iter().map(|unit| OpenUnit {
            first: Revision(unit.first),
            touched: unit.touched,
            bytes: bytes.get(&unit.first).copied().unwrap_or_default(),
        });
        open.collect()
    }

    /// Folds what belongs to units that began at or below `floor`, and forgets what is gone for good.
    pub(super) fn fold(&mut self, floor: u64) {
        let clear_before = self.clear.base().map(|clear| clear.revision);
        let liveness = self.units.liveness();
        self.props.change(|chain| chain.fold(floor, liveness));
        self.clear.fold(floor, liveness);
        for id in &self.listed {
            if let Some(object) = self.objects.get_mut(id) {
                object.fold(floor, liveness);
            }
        }
        let clear = self.clear.base().map(|clear| clear.revision);
        let cleared = clear.unwrap_or_default();
        if clear == clear_before {
            let objects = &mut self.objects;
            self.listed.retain(|id| {
                let Some(object) = objects.get_mut(id) else { return false };
                object.settle(cleared);
                if object.is_empty() {
                    objects.remove(id);
                    return false;
                }
                object.is_listed
            });
        } else {
            // It may take objects away to which nobody has written for long.
            for object in self.objects.values_mut() {
                object.settle(cleared);
            }
            self.objects.retain(|_, object| !object.is_empty());
            self.listed.retain(|id| self.objects.get(id).is_some_and(|object| object.is_listed));
        }
        // A map that has once been large gives its places back.
        self.objects.shrink_to(2 * self.objects.len());
        self.listed.shrink_to(2 * self.listed.len());
        self.units.close(floor);
        self.floor = floor;
    }
}
