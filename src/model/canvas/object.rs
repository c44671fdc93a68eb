//! One object: its registers, and what they come to.

use super::{
    chain::{Chain, Write},
    chains::Chains,
    units::Liveness,
};
use crate::model::canonical::Key;

/// A JSON value in its canonical spelling; `None` where a property was unset.
pub(super) type Json = Option<Box<str>>;

/// The write that decides if an object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existence {
    Created,
    Deleted,
}

/// The registers of one object, whether or not it is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    pub exists: Chain<Existence>,
    /// Texts without quotes.
    pub kind: Chain<Box<str>>,
    pub z: Chain<Box<str>>,
    pub tool: Chain<Box<str>>,
    pub props: Chains<Key, Json>,
    /// Points by index: those of `stroke.begin` at 0, those of each append at its own. JSON arrays without their brackets.
    pub points: Chains<u64, Box<str>>,
    /// The counts that ends of the stroke have told.
    pub ends: Chains<u64, ()>,
    /// `true` if the canvas has listed it among the objects to look at when it folds.
    pub is_listed: bool,
}

/// Where an object that is seen stands in the order of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScreenOrder<'a> {
    pub z: &'a str,
    /// The revision of the create that decides.
    pub created: u64,
}

impl Object {
    /// Where it stands; `None` when it is not seen. `cleared` is the revision of the live clear, 0 without one.
    pub(super) fn place<'a>(&'a self, liveness: Liveness<'_>, cleared: u64) -> Option<ScreenOrder<'a>> {
        let deciding = self.exists.top(liveness)?;
        let is_seen = deciding.value == Existence::Created && deciding.revision > cleared;
        let z = || self.z.top(liveness).map_or("", |z| &*z.value);
        is_seen.then(|| ScreenOrder { z: z(), created: deciding.revision })
    }

    /// Returns `true` if an end of the stroke confirms that nothing follows what is joined. The first of the
    /// joined stretches is no append.
    pub(super) fn is_complete(&self, joined: usize, liveness: Liveness<'_>) -> bool {
        let appends = joined.checked_sub(1).map(|appends| appends as u64);
        appends.and_then(|count| self.ends.get(&count)).is_some_and(|end| end.top(liveness).is_some())
    }

    /// Folds every register.
    pub(super) fn fold(&mut self, floor: u64, liveness: Liveness<'_>) {
        self.exists.fold(floor, liveness);
        self.kind.fold(floor, liveness);
        self.z.fold(floor, liveness);
        self.tool.fold(floor, liveness);
        self.props.change(|chain| chain.fold(floor, liveness));
        self.points.change(|chain| chain.fold(floor, liveness));
        self.ends.change(|chain| chain.fold(floor, liveness));
    }

    /// Forgets what is gone for good, and whether it has to be listed.
    pub(super) fn settle(&mut self, closed_clear: u64) {
        if self.exists.is_empty() || self.is_gone(closed_clear) {
            self.forget();
        }
        self.is_listed = self.is_listed && self.is_open();
    }

    /// Returns `true` if it has been deleted or cleared away for good: only a folded write decides, and that is
    /// a delete, or a create older than the folded clear. An open write to its existence, live or undone, lies
    /// above the folded one and would show what lies beneath when it is redone.
    fn is_gone(&self, closed_clear: u64) -> bool {
        let is_gone =
            |base: &Write<Existence>| base.value == Existence::Deleted || base.revision < closed_clear;
        self.exists.len() == 1 && self.exists.base().is_some_and(is_gone)
    }

    /// Drops what is folded.
    fn forget(&mut self) {
        self.exists.forget();
        self.kind.forget();
        self.z.forget();
        self.tool.forget();
        self.props.change(Chain::forget);
        self.points.change(Chain::forget);
        self.ends.change(Chain::forget);
    }

    /// Returns `true` if nothing is known of it.
    pub(super) fn is_empty(&self) -> bool {
        self.exists.is_empty()
            && self.kind.is_empty()
            && self.z.is_empty()
            && self.tool.is_empty()
            && self.props.is_empty()
            && self.points.is_empty()
            && self.ends.is_empty()
    }

    /// Returns `true` if an open unit has a write here.
    pub(super) fn is_open(&self) -> bool {
        self.units().next().is_some()
    }

    /// The open units that have a write here, by their first revision; some more than once.
    pub(super) fn units(&self) -> impl Iterator<Item = u64> {
        open_units(&self.exists)
            .chain([&self.kind, &self.z, &self.tool].into_iter().flat_map(open_units))
            .chain(self.props.values().flat_map(open_units))
            .chain(self.points.values().flat_map(open_units))
            .chain(self.ends.values().flat_map(open_units))
    }

    /// Calls `each` with the unit and the weight of every open write.
    pub(super) fn open_bytes(&self, each: &mut impl FnMut(u64, usize)) {
        open_bytes(&self.exists, |_| EXISTENCE_BYTES, each);
        for chain in [&self.kind, &self.z, &self.tool] {
            open_bytes(chain, |text| text.len(), each);
        }
        self.props.values().for_each(|chain| open_bytes(chain, json_len, each));
        self.points.values().for_each(|chain| open_bytes(chain, |points| points.len(), each));
        self.ends.values().for_each(|chain| open_bytes(chain, |()| 0, each));
    }

    /// About how many bytes of memory it takes beyond itself, its id aside.
    pub(super) fn weight(&self) -> usize {
        let text = |chain: &Chain<Box<str>>| chain.weight(|value| value.len() + ALLOCATION);
        let ends = self.ends.values().map(|chain| chain.weight(|()| 0));
        self.exists.weight(|_| 0)
            + [&self.kind, &self.z, &self.tool].into_iter().map(text).sum::<usize>()
            + props_weight(&self.props)
            + self.points.places_weight()
            + self.points.values().map(text).sum::<usize>()
            + self.ends.places_weight()
            + ends.sum::<usize>()
    }
}

/// Bytes that the allocator adds to a text.
pub(super) const ALLOCATION: usize = 8;
/// `"create"`, `"delete"`.
const EXISTENCE_BYTES: usize = 8;
/// Bytes that registers spell of a write beside its value: its revision, the id of its unit, and what parts
/// them.
const WRITE_BYTES: usize = 56;

pub(super) fn open_units<T>(chain: &Chain<T>) -> impl Iterator<Item = u64> {
    chain.iter().filter(|write| write.is_open()).map(|write| write.unit)
}

/// Calls `each` with the unit and the weight of every open write of a register: twice what registers spell of it. So an open
/// history at the default budget is less than 1 MiB of gzipped registers.
pub(super) fn open_bytes<T>(
    chain: &Chain<T>,
    value: impl Fn(&T) -> usize,
    each: &mut impl FnMut(u64, usize),
) {
    for write in chain.iter().filter(|write| write.is_open()) {
        each(write.unit, 2 * (WRITE_BYTES + value(&write.value)));
    }
}

/// The bytes of a value in JSON; none for an unset.
pub(super) fn json_len(json: &Json) -> usize {
    json.as_ref().map_or(0, |json| json.len())
}

/// About how many bytes of memory properties take.
pub(super) fn props_weight(props: &Chains<Key, Json>) -> usize {
    let value = |json: &Json| json.as_ref().map_or(0, |json| json.len() + ALLOCATION);
    let texts = props.iter().map(|(key, chain)| key.0.len() + ALLOCATION + chain.weight(value));
    props.places_weight() + texts.sum::<usize>()
}
