//! What can be undone and redone, and which unit the server picks.

use std::{cell::OnceCell, cmp::Reverse, collections::HashMap, ptr};

use super::{
    Canvas, STROKE,
    chain::Chain,
    object::{Json, Object, open_units},
    render::joined,
    units::{Liveness, Unit},
};
use crate::model::{ObjectId, OpId};

/// Whose units are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Those that this actor began.
    Mine(&'a str),
    /// Everyone's.
    All,
}

/// What can be undone and redone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The unit that an undo would pick: of those whose undoing can be seen, the one that began last.
    pub undo_unit: Option<OpId>,
    /// The unit that a redo would pick: of those whose redoing can be seen, the one undone last. A unit is not
    /// redone once its actor has begun another one.
    pub redo_unit: Option<OpId>,
}

impl Canvas {
    /// What can be undone and redone within `scope`.
    #[must_use]
    pub fn history(&self, scope: Scope<'_>) -> History {
        let effects = Effects::new(self);
        let units = || self.units.iter().filter(|unit| unit.draws && scope.has(unit));
        let is_seen = |unit: &&Unit| effects.is_seen(unit.first);
        let undo = units().rev().filter(|unit| unit.is_live()).find(is_seen);

        let mut latest: HashMap<&str, u64> = HashMap::new();
        for unit in self.units.iter().filter(|unit| unit.draws) {
            latest.insert(&unit.actor, unit.first);
        }
        let undone_at = |unit: &Unit| unit.toggled.filter(|_| !unit.is_live()).map(|(revision, _)| revision);
        let is_latest = |unit: &Unit, at: u64| latest.get(&*unit.actor).is_none_or(|&first| first < at);
        let mut undone: Vec<_> = units()
            .filter_map(|unit| Some((undone_at(unit)?, unit)))
            .filter(|(at, unit)| is_latest(unit, *at))
            .collect();
        undone.sort_unstable_by_key(|(at, _)| Reverse(*at));
        let redo = undone.into_iter().map(|(_, unit)| unit).find(is_seen);
        History { undo_unit: undo.map(|unit| unit.id), redo_unit: redo.map(|unit| unit.id) }
    }
}

impl Scope<'_> {
    fn has(self, unit: &Unit) -> bool {
        match self {
            Self::Mine(actor) => *unit.actor == *actor,
            Self::All => true,
        }
    }
}

/// Tells of each open unit whether undoing or redoing it would change the picture, looking at no more than the registers
/// that it has written: there may be thousands of units, and a stroke may be large.
struct Effects<'a> {
    canvas: &'a Canvas,
    now: Liveness<'a>,
    /// The registers that each unit has written to, besides clears.
    written: HashMap<u64, Written<'a>>,
    /// Where the objects that are seen stand, if nothing were cleared; made when a clear is looked at.
    created: OnceCell<Vec<u64>>,
    /// The same of those that are seen now, by `z`; made when something may move.
    standing: OnceCell<HashMap<&'a str, Vec<u64>>>,
}

/// What one unit has written to.
#[derive(Default)]
struct Written<'a> {
    canvas: Vec<&'a Chain<Json>>,
    objects: Vec<(&'a ObjectId, &'a Object, Registers<'a>)>,
}

/// The registers of one object that one unit has written to, besides its existence.
#[derive(Default)]
struct Registers<'a> {
    /// Kind and `z`, which are always seen.
    texts: Vec<&'a Chain<Box<str>>>,
    props: Vec<&'a Chain<Json>>,
    /// Whether it has written to the tool, to points or to ends, which are seen of a stroke alone.
    of_stroke: bool,
}

impl<'a> Effects<'a> {
    fn new(canvas: &'a Canvas) -> Self {
        let mut written: HashMap<u64, Written<'a>> = HashMap::new();
        for chain in canvas.props.values() {
            for unit in open_units(chain) {
                written.entry(unit).or_default().canvas.push(chain);
            }
        }
        for (id, object) in canvas.listed.iter().filter_map(|id| canvas.objects.get_key_value(id)) {
            let mut touch = |unit, touch: &dyn Fn(&mut Registers<'a>)| {
                touch(registers_of(written.entry(unit).or_default(), id, object));
            };
            open_units(&object.exists).for_each(|unit| touch(unit, &|_| ()));
            for chain in [&object.kind, &object.z] {
                open_units(chain).for_each(|unit| touch(unit, &|registers| registers.texts.push(chain)));
            }
            for chain in object.props.values() {
                open_units(chain).for_each(|unit| touch(unit, &|registers| registers.props.push(chain)));
            }
            let points = object.points.values().flat_map(open_units);
            let of_stroke =
                open_units(&object.tool).chain(points).chain(object.ends.values().flat_map(open_units));
            of_stroke.for_each(|unit| touch(unit, &|registers| registers.of_stroke = true));
        }
        let now = canvas.units.liveness();
        Self { canvas, now, written, created: OnceCell::new(), standing: OnceCell::new() }
    }

    /// Whether undoing or redoing a unit would change the picture.
    fn is_seen(&self, unit: u64) -> bool {
        let then = self.now.toggling(unit);
        let nothing = Written::default();
        let written = self.written.get(&unit).unwrap_or(&nothing);
        written.canvas.iter().any(|chain| self.changes_prop(chain, then))
            || self.changes_whole(unit, written, then)
            || self.changes_objects(written, then)
    }

    /// Whether a text has another value. To be empty and not to be there look alike.
    fn changes_text(&self, chain: &Chain<Box<str>>, then: Liveness<'_>) -> bool {
        let value = |liveness| chain.top(liveness).map_or("", |write| &*write.value);
        value(self.now) != value(then)
    }

    /// Whether a clear of the unit makes objects appear or disappear to which the unit has not written.
    fn changes_whole(&self, unit: u64, written: &Written<'_>, then: Liveness<'_>) -> bool {
        if !open_units(&self.canvas.clear).any(|other| other == unit) {
            return false;
        }
        let (before, after) = (self.canvas.cleared(self.now), self.canvas.cleared(then));
        let (from, to) = (before.min(after), before.max(after));
        let created = self.created.get_or_init(|| {
            let place = |object: &Object| object.place(self.now, 0).map(|place| place.created);
            let mut created: Vec<_> = self.canvas.objects.values().filter_map(place).collect();
            created.sort_unstable();
            created
        });
        let up_to = |revision| created.partition_point(|created| *created <= revision);
        let own = written.objects.iter().filter_map(|(_, object, _)| object.place(self.now, 0));
        let own = own.filter(|place| (from + 1..=to).contains(&place.created)).count();
        up_to(to) - up_to(from) > own
    }

    /// Whether an object changes to which the unit has written, or its place among the others.
    fn changes_objects(&self, written: &Written<'_>, then: Liveness<'_>) -> bool {
        let (before, after) = (self.canvas.cleared(self.now), self.canvas.cleared(then));
        let mut moved = Vec::new();
        for (_, object, registers) in &written.objects {
            match (object.place(self.now, before), object.place(then, after)) {
                (None, None) => (),
                (Some(before), Some(after)) => {
                    if self.changes_object(object, registers, then) {
                        return true;
                    }
                    if before.created != after.created {
                        moved.push(Move { z: before.z, from: before.created, to: after.created });
                    }
                }
                _ => return true,
            }
        }
        self.changes_order(moved)
    }

    /// Whether an object looks otherwise, being seen before and after.
    fn changes_object(&self, object: &Object, registers: &Registers<'_>, then: Liveness<'_>) -> bool {
        registers.texts.iter().any(|chain| self.changes_text(chain, then))
            || registers.props.iter().any(|chain| self.changes_prop(chain, then))
            || (registers.of_stroke && is_stroke(object, self.now) && self.changes_stroke(object, then))
    }

    /// Whether a prop has another value. To be unset and not to be there look alike.
    fn changes_prop(&self, chain: &Chain<Json>, then: Liveness<'_>) -> bool {
        let value = |liveness| chain.top(liveness).and_then(|write| write.value.as_deref());
        value(self.now) != value(then)
    }

    fn changes_stroke(&self, object: &Object, then: Liveness<'_>) -> bool {
        let (before, after) = (joined(object, self.now), joined(object, then));
        let is_complete = |joined: &[&str], liveness| object.is_complete(joined.len(), liveness);
        self.changes_text(&object.tool, then)
            || is_complete(&before, self.now) != is_complete(&after, then)
            || !are_same_points(&before, &after)
    }

    /// Whether objects that move come to stand on another side of one that stays, or of each other. Those of another `z`
    /// do not matter; nobody stands at the same revision as another.
    fn changes_order(&self, mut moved: Vec<Move<'_>>) -> bool {
        if moved.is_empty() {
            return false;
        }
        let standing = self.standing.get_or_init(|| {
            let mut standing: HashMap<&str, Vec<u64>> = HashMap::new();
            for seen in self.canvas.seen(self.now) {
                standing.entry(seen.place.z).or_default().push(seen.place.created);
            }
            standing
        });
        moved.sort_unstable_by_key(|a| (a.z, a.from));
        moved.chunk_by(|a, b| a.z == b.z).any(|moved| {
            let standing = standing.get(moved[0].z).map_or(&[][..], Vec::as_slice);
            let between = |from: u64, to: u64| {
                let stand = |revision| standing.partition_point(|created| *created <= revision);
                let move_too = |revision| moved.partition_point(|other| other.from <= revision);
                (stand(to) - move_too(to)) - (stand(from) - move_too(from))
            };
            let overtakes = |a: &Move<'_>| between(a.from.min(a.to), a.from.max(a.to)) > 0;
            !moved.is_sorted_by_key(|a| a.to) || moved.iter().any(overtakes)
        })
    }
}

/// From where to where an object moves among those of its `z`: the revisions of the creates that decide.
struct Move<'a> {
    z: &'a str,
    from: u64,
    to: u64,
}

/// What `written` has of an object, which is the one that is gone through now.
fn registers_of<'w, 'a>(
    written: &'w mut Written<'a>,
    id: &'a ObjectId,
    object: &'a Object,
) -> &'w mut Registers<'a> {
    if written.objects.last().is_none_or(|(last, ..)| !ptr::eq(*last, id)) {
        written.objects.push((id, object, Registers::default()));
    }
    let last = written.objects.len() - 1;
    &mut written.objects[last].2
}

fn is_stroke(object: &Object, liveness: Liveness<'_>) -> bool {
    object.kind.top(liveness).is_some_and(|kind| *kind.value == *STROKE)
}

/// Whether stretches of points come to the same. Those that are the same bytes of memory are not compared.
fn are_same_points(before: &[&str], after: &[&str]) -> bool {
    let (before, after) = (present(before), present(after));
    let is_same = |(a, b): (&&str, &&str)| ptr::eq::<str>(*a, *b) || a == b;
    if before.len() == after.len() && before.iter().zip(&after).all(is_same) {
        return true;
    }
    // The same points may be cut into other stretches.
    bytes(&before).eq(bytes(&after))
}

/// The bytes of stretches of points, joined by commas.
fn bytes<'a>(stretches: &'a [&str]) -> impl Iterator<Item = u8> + 'a {
    let comma = |nth: usize| (nth > 0).then_some(b',');
    stretches.iter().enumerate().flat_map(move |(nth, points)| comma(nth).into_iter().chain(points.bytes()))
}

fn present<'a>(stretches: &[&'a str]) -> Vec<&'a str> {
    stretches.iter().copied().filter(|points| !points.is_empty()).collect()
}
