//! The canvas: a pure function of the committed log, kept up op by op.
//!
//! Owns the rules by which every reader computes the same picture: registers and their writes, undo
//! units, folding. It sees the log alone: no I/O, no clock. docs/canvas.md has the
//! rules; `tests/vectors` pins them for every other implementation.

mod chain;
mod chains;
mod folding;
mod history;
mod object;
mod registers;
mod render;
mod units;

use std::collections::HashMap;

use super::{
    Change, LoggedOp, ObjectId, RawObject, Revision,
    canonical::{Key, canonical, points_text},
};
use chain::{Chain, Write};
use chains::Chains;
use object::{Existence, Json, Object};
use units::Units;

pub use folding::OpenUnit;
pub use history::{History, Scope};
pub use registers::{InvalidRegisters, REGISTERS_FORMAT};
pub use render::state_hash;

/// The canvas of one drawing at one revision.
#[derive(Clone, Debug, Default)]
pub struct Canvas {
    revision: Revision,
    /// The floor of the latest valid fold: units that began at or below it are closed. 0 before the first fold.
    floor: u64,
    units: Units,
    /// Every object of which something is known, seen or not.
    objects: HashMap<ObjectId, Object>,
    /// The objects that open units have written to, and perhaps some more.
    listed: Vec<ObjectId>,
    /// The properties of the canvas itself.
    props: Chains<Key, Json>,
    clear: Chain<()>,
}

/// The result of giving an op to a canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one.
    Next,
    /// It had been applied before; nothing has changed.
    Stale,
    /// There is a hole before it; nothing has changed.
    Gap,
}

/// The op that a write comes from.
#[derive(Clone, Copy)]
struct Stamp {
    revision: u64,
    unit: u64,
}

impl Stamp {
    fn write<T>(self, value: T) -> Write<T> {
        Write { revision: self.revision, unit: self.unit, value }
    }
}

impl Canvas {
    /// The canvas before the first op.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The revision of the last op that it has taken in.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The revision up to which units are closed: those that began at or below it are neither undone, redone
    /// nor joined any more.
    #[must_use]
    pub fn floor(&self) -> Revision {
        Revision(self.floor)
    }

    /// Takes in the next op of the log. An op that it cannot read only advances its revision.
    pub fn apply(&mut self, op: &LoggedOp<'_>) -> Applied {
        if op.revision <= self.revision {
            return Applied::Stale;
        }
        if op.revision != self.revision.next() {
            return Applied::Gap;
        }
        self.revision = op.revision;
        let revision = op.revision.0;
        match (&op.change, op.unit) {
            (Some(Change::Fold { floor }), _) if self.floor < floor.0 && floor.0 < revision => {
                self.fold(floor.0)
            }
            // It closes nothing, and what has no unit is nothing else that this version knows.
            (Some(Change::Fold { .. }), _) | (_, None) => (),
            (Some(Change::Undo), Some(unit)) => self.units.toggle(unit, revision, op.ts, true),
            (Some(Change::Redo), Some(unit)) => self.units.toggle(unit, revision, op.ts, false),
            (change, Some(unit)) => {
                let draws = change.as_ref().is_some_and(Change::draws);
                let unit = self.units.join(unit, revision, op.actor, op.ts, draws);
                if let Some(change) = change {
                    self.write(change, Stamp { revision, unit });
                }
            }
        }
        Applied::Next
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        /// An open unit in its list and its map.
        const UNIT: usize = 128;
        // The map keeps one of eight places free.
        let places = self.objects.capacity() / 7 * 8 * size_of::<(ObjectId, Object)>();
        let objects =
            self.objects.iter().map(|(id, object)| id.as_str().len() + object::ALLOCATION + object.weight());
        size_of::<Self>()
            + places
            + objects.sum::<usize>()
            + object::props_weight(&self.props)
            + self.units.len() * UNIT
    }

    fn write(&mut self, change: &Change<'_>, at: Stamp) {
        match change {
            Change::ObjectCreate { object_id, kind, z, props } => {
                let object = self.object(object_id);
                object.exists.write(at.write(Existence::Created));
                object.kind.write(at.write((&**kind).into()));
                if let Some(z) = z {
                    object.z.write(at.write((&**z).into()));
                }
                write_props(&mut object.props, *props, at);
            }
            Change::StrokeBegin { object_id, z, tool, props, points } => {
                let object = self.object(object_id);
                object.exists.write(at.write(Existence::Created));
                object.kind.write(at.write(STROKE.into()));
                if let Some(z) = z {
                    object.z.write(at.write((&**z).into()));
                }
                object.tool.write(at.write((&**tool).into()));
                write_props(&mut object.props, *props, at);
                object.points.entry(0).write(at.write(points_text(points)));
            }
            Change::StrokeAppend { object_id, index, points } => {
                let points = at.write(points_text(points));
                self.object(object_id).points.entry(*index).write(points);
            }
            Change::StrokeEnd { object_id, count } => {
                self.object(object_id).ends.entry(*count).write(at.write(()));
            }
            // It may write nothing, and of what nobody has written to nothing is known.
            Change::ObjectUpdate { z: None, set, unset, .. }
                if unset.is_empty() && set.is_none_or(RawObject::is_empty) => {}
            Change::ObjectUpdate { object_id, z, set, unset } => {
                let object = self.object(object_id);
                if let Some(z) = z {
                    object.z.write(at.write((&**z).into()));
                }
                if let Some(set) = set {
                    write_props(&mut object.props, *set, at);
                }
                for key in unset {
                    object.props.entry(Key((&**key).into())).write(at.write(None));
                }
            }
            Change::ObjectDelete { object_ids } => {
                for object_id in object_ids {
                    self.object(object_id).exists.write(at.write(Existence::Deleted));
                }
            }
            Change::CanvasSet { set } => write_props(&mut self.props, *set, at),
            Change::CanvasClear => self.clear.write(at.write(())),
            Change::Undo | Change::Redo | Change::Fold { .. } | Change::Custom { .. } => (),
        }
    }

    /// The object of that id, to be written to.
    fn object(&mut self, id: &ObjectId) -> &mut Object {
        let object = self.objects.entry(id.clone()).or_default();
        if !object.is_listed {
            object.is_listed = true;
            self.listed.push(id.clone());
        }
        object
    }
}

/// The kind of an object that `stroke.begin` makes.
const STROKE: &str = "stroke";

fn write_props(chains: &mut Chains<Key, Json>, props: RawObject<'_>, at: Stamp) {
    props.for_each(|key, value| {
        chains.entry(Key(key.into())).write(at.write(Some(canonical(value))));
    });
}
