//! The units that can be undone and redone, and the rule by which the server picks one.

use std::{cell::OnceCell, cmp::Reverse, collections::HashMap, ptr};

use super::{
    Canvas, STROKE,
    chain::{Chain, Write},
    object::{Existence, Json, Object, ScreenOrder, open_units},
    render::joined,
    units::{Liveness, Unit},
};
use crate::model::OpId;

/// The owners of the units that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The units that this actor began.
    Mine(&'a str),
    /// Everyone's units.
    All,
}

/// The next steps that an undo and a redo would take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The unit that an undo would pick: of those whose undoing can be seen, now or once all others are undone, the one
    /// that began last.
    pub undo_unit: Option<OpId>,
    /// The unit that a redo would pick: of those whose redoing can be seen in the same way, the one undone last. A unit is
    /// not redone once its actor has begun another one.
    pub redo_unit: Option<OpId>,
}

impl Canvas {
    /// The next steps of undo and redo within `scope`.
    #[must_use]
    pub fn history(&self, scope: Scope<'_>) -> History {
        let now = Effects::new(self, self.units.liveness());
        // Toggling a unit that others of the scope cover shows nothing now, but would if those were undone.
        let bare = OnceCell::new();
        let alone = |unit| {
            let effects = bare.get_or_init(|| Effects::new(self, self.units.liveness().without(scope)));
            effects.is_seen(unit)
        };
        let units = || self.units.iter().filter(|unit| unit.draws && scope.has(unit));
        let is_seen = |unit: &&Unit| now.is_seen(unit.first) || alone(unit.first);
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
    pub(super) fn has(self, unit: &Unit) -> bool {
        match self {
            Self::Mine(actor) => *unit.actor == *actor,
            Self::All => true,
        }
    }
}

/// Tells of each open unit whether undoing or redoing it would change the picture of one world, looking at no more than
/// the registers that it has written: there may be thousands of units, and a stroke may be large.
struct Effects<'a> {
    canvas: &'a Canvas,
    /// The units that are live in this world.
    world: Liveness<'a>,
    /// The registers that each unit has written to, besides clears.
    written: HashMap<u64, Written<'a>>,
    /// The objects that are written to.
    objects: Vec<Touched<'a>>,
    /// The clear that counts.
    clear: Option<&'a Write<()>>,
    /// The revisions at which the objects that are seen would stand if nothing were cleared; made when a clear
    /// is looked at.
    created: OnceCell<Vec<u64>>,
    /// The places of the objects that are seen, by `z`; made when something may move.
    standing: OnceCell<HashMap<&'a str, Vec<u64>>>,
}

/// A register and the write that counts, which is looked for once and not for each of the units that have written there.
struct Topped<'a, T> {
    chain: &'a Chain<T>,
    top: Option<&'a Write<T>>,
}

impl<T> Clone for Topped<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Topped<'_, T> {}

impl<'a, T> Topped<'a, T> {
    fn new(chain: &'a Chain<T>, world: Liveness<'_>) -> Self {
        Self { chain, top: chain.top(world) }
    }

    /// The write that would count if `unit` were toggled.
    fn toggling(self, unit: u64, world: Liveness<'_>) -> Option<&'a Write<T>> {
        let Self { chain, top } = self;
        let Some(own) = chain.of_unit(unit) else { return top };
        match top {
            Some(top) if top.revision == own.revision => chain.top_below(own.revision, world),
            // A live write that does not count is covered by one above it, as one that would be live is.
            Some(top) if top.revision > own.revision => Some(top),
            _ => Some(own),
        }
    }
}

/// An object that open units have written to.
struct Touched<'a> {
    object: &'a Object,
    exists: Topped<'a, Existence>,
    kind: Topped<'a, Box<str>>,
    z: Topped<'a, Box<str>>,
    tool: Topped<'a, Box<str>>,
}

impl<'a> Touched<'a> {
    /// Where it stands if these writes count.
    fn place(
        exists: Option<&'a Write<Existence>>,
        z: Option<&'a Write<Box<str>>>,
        cleared: u64,
    ) -> Option<ScreenOrder<'a>> {
        let deciding = exists?;
        let is_seen = deciding.value == Existence::Created && deciding.revision > cleared;
        is_seen.then(|| ScreenOrder { z: z.map_or("", |z| &*z.value), created: deciding.revision })
    }
}

/// The registers that one unit has written to.
#[derive(Default)]
struct Written<'a> {
    canvas: Vec<Topped<'a, Json>>,
    /// The objects, by their places in [`Effects::objects`].
    objects: Vec<(usize, Registers<'a>)>,
}

/// The registers of one object that one unit has written to, besides its existence, its kind and its `z`.
#[derive(Default)]
struct Registers<'a> {
    props: Vec<Topped<'a, Json>>,
    /// `true` if it has written to the tool, to points or to ends, which are seen only on a stroke.
    of_stroke: bool,
}

impl<'a> Effects<'a> {
    fn new(canvas: &'a Canvas, world: Liveness<'a>) -> Self {
        let mut written: HashMap<u64, Written<'a>> = HashMap::new();
        for chain in canvas.props.values() {
            let topped = Topped::new(chain, world);
            for unit in open_units(chain) {
                written.entry(unit).or_default().canvas.push(topped);
            }
        }
        let mut objects = Vec::with_capacity(canvas.listed.len());
        for object in canvas.listed.iter().filter_map(|id| canvas.objects.get(id)) {
            let nth = objects.len();
            let mut touch = |unit, touch: &dyn Fn(&mut Registers<'a>)| {
                touch(registers_of(written.entry(unit).or_default(), nth));
            };
            open_units(&object.exists).for_each(|unit| touch(unit, &|_| ()));
            for chain in [&object.kind, &object.z] {
                open_units(chain).for_each(|unit| touch(unit, &|_| ()));
            }
            for chain in object.props.values() {
                let topped = Topped::new(chain, world);
                open_units(chain).for_each(|unit| touch(unit, &|registers| registers.props.push(topped)));
            }
            let points = object.points.values().flat_map(open_units);
            let of_stroke =
                open_units(&object.tool).chain(points).chain(object.ends.values().flat_map(open_units));
            of_stroke.for_each(|unit| touch(unit, &|registers| registers.of_stroke = true));
            objects.push(Touched {
                object,
                exists: Topped::new(&object.exists, world),
                kind: Topped::new(&object.kind, world),
                z: Topped::new(&object.z, world),
                tool: Topped::new(&object.tool, world),
            });
        }
        let clear = canvas.clear.top(world);
        let (created, standing) = (OnceCell::new(), OnceCell::new());
        Self { canvas, world, written, objects, clear, created, standing }
    }

    /// Returns `true` if undoing or redoing a unit would change the picture.
    fn is_seen(&self, unit: u64) -> bool {
        let nothing = Written::default();
        let written = self.written.get(&unit).unwrap_or(&nothing);
        written.canvas.iter().any(|prop| self.changes_prop(*prop, unit))
            || self.changes_whole(unit, written)
            || self.changes_objects(unit, written)
    }

    /// The revision of the clear that counts, and of the one that would if the unit were toggled; 0 without one.
    fn cleared(&self, unit: u64) -> (u64, u64) {
        let clear = Topped { chain: &self.canvas.clear, top: self.clear };
        let revision = |clear: Option<&Write<()>>| clear.map_or(0, |clear| clear.revision);
        (revision(clear.top), revision(clear.toggling(unit, self.world)))
    }

    /// Returns `true` if a clear of the unit makes objects appear or disappear that the unit has not written
    /// to.
    fn changes_whole(&self, unit: u64, written: &Written<'_>) -> bool {
        let (before, after) = self.cleared(unit);
        if before == after {
            return false;
        }
        let (from, to) = (before.min(after), before.max(after));
        let created = self.created.get_or_init(|| {
            let place = |object: &Object| object.place(self.world, 0).map(|place| place.created);
            let mut created: Vec<_> = self.canvas.objects.values().filter_map(place).collect();
            created.sort_unstable();
            created
        });
        let up_to = |revision| created.partition_point(|created| *created <= revision);
        let own = written.objects.iter().filter_map(|(nth, _)| {
            let touched = &self.objects[*nth];
            Touched::place(touched.exists.top, touched.z.top, 0)
        });
        let own = own.filter(|place| (from + 1..=to).contains(&place.created)).count();
        up_to(to) - up_to(from) > own
    }

    /// Returns `true` if an object that the unit has written to changes, or moves among the others.
    fn changes_objects(&self, unit: u64, written: &Written<'_>) -> bool {
        let (before, after) = self.cleared(unit);
        let mut moved = Vec::new();
        for (nth, registers) in &written.objects {
            let touched = &self.objects[*nth];
            let exists = touched.exists.toggling(unit, self.world);
            let z = touched.z.toggling(unit, self.world);
            let now = Touched::place(touched.exists.top, touched.z.top, before);
            match (now, Touched::place(exists, z, after)) {
                (None, None) => (),
                (Some(before), Some(after)) => {
                    if before.z != after.z || self.changes_object(unit, touched, registers) {
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

    /// Returns `true` if an object that is seen before and after looks different.
    fn changes_object(&self, unit: u64, touched: &Touched<'_>, registers: &Registers<'_>) -> bool {
        self.changes_text(touched.kind, unit)
            || registers.props.iter().any(|prop| self.changes_prop(*prop, unit))
            || (registers.of_stroke && is_stroke(touched) && self.changes_stroke(touched, unit))
    }

    /// Returns `true` if a text has another value. An empty text and a missing one look alike.
    fn changes_text(&self, text: Topped<'_, Box<str>>, unit: u64) -> bool {
        let then = text.toggling(unit, self.world);
        text.top.map_or("", |write| &*write.value) != then.map_or("", |write| &*write.value)
    }

    /// Returns `true` if a prop has another value. An unset prop and a missing one look alike.
    fn changes_prop(&self, prop: Topped<'_, Json>, unit: u64) -> bool {
        let then = prop.toggling(unit, self.world);
        prop.top.and_then(|write| write.value.as_deref()) != then.and_then(|write| write.value.as_deref())
    }

    fn changes_stroke(&self, touched: &Touched<'_>, unit: u64) -> bool {
        let (object, then) = (touched.object, self.world.toggling(unit));
        let (before, after) = (joined(object, self.world), joined(object, then));
        let is_complete = |joined: &[&str], liveness| object.is_complete(joined.len(), liveness);
        self.changes_text(touched.tool, unit)
            || is_complete(&before, self.world) != is_complete(&after, then)
            || !are_same_points(&before, &after)
    }

    /// Returns `true` if objects that move end up on another side of one that stays, or of each other. Objects
    /// with another `z` do not matter; no two objects stand at the same revision.
    fn changes_order(&self, mut moved: Vec<Move<'_>>) -> bool {
        if moved.is_empty() {
            return false;
        }
        let standing = self.standing.get_or_init(|| {
            let mut standing: HashMap<&str, Vec<u64>> = HashMap::new();
            for seen in self.canvas.seen(self.world) {
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

/// The move of an object among those of its `z`: the revisions of the creates that decide.
struct Move<'a> {
    z: &'a str,
    from: u64,
    to: u64,
}

/// The entry in `written` for the object at place `nth`, the one that the loop is at.
fn registers_of<'w, 'a>(written: &'w mut Written<'a>, nth: usize) -> &'w mut Registers<'a> {
    if written.objects.last().is_none_or(|(last, _)| *last != nth) {
        written.objects.push((nth, Registers::default()));
    }
    let last = written.objects.len() - 1;
    &mut written.objects[last].1
}

fn is_stroke(touched: &Touched<'_>) -> bool {
    touched.kind.top.is_some_and(|kind| *kind.value == *STROKE)
}

/// Returns `true` if stretches of points come to the same. Stretches that are the same bytes of memory are not
/// compared.
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
