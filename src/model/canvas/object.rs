//! One object: its registers, and what they come to.

use super::{chain::Chain, chains::Chains, units::Liveness};
use crate::model::canonical::Key;

/// A JSON value in its canonical spelling; `None` where a property was unset.
pub(super) type Json = Option<Box<str>>;

/// What decides whether an object is there.
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
    /// Whether the canvas has listed it among the objects to be looked at when it folds.
    pub is_listed: bool,
}

/// Where an object that is seen stands in the order of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub z: &'a str,
    /// The revision of the create that decides.
    pub created: u64,
}

impl Object {
    /// Where it stands; `None` when it is not seen. `cleared` is the revision of the live clear, 0 without one.
    pub(super) fn place<'a>(&'a self, liveness: Liveness<'_>, cleared: u64) -> Option<Place<'a>> {
        let deciding = self.exists.top(liveness)?;
        let is_seen = deciding.value == Existence::Created && deciding.revision > cleared;
        let z = || self.z.top(liveness).map_or("", |z| &*z.value);
        is_seen.then(|| Place { z: z(), created: deciding.revision })
    }

    /// Whether an end of the stroke confirms that there is no more than what is joined, the first of which is no append.
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
    pub(super) fn settle(&mut self, liveness: Liveness<'_>, closed_clear: u64) {
        if self.is_gone(liveness, closed_clear) {
            self.forget();
        }
        self.is_listed = self.is_listed && self.is_open();
    }

    /// Whether it has been deleted or cleared away for good, as things stand: the write that decides is closed and is a
    /// delete, or a create that is older than the closed clear.
    fn is_gone(&self, liveness: Liveness<'_>, closed_clear: u64) -> bool {
        let Some(deciding) = self.exists.top(liveness) else { return false };
        let is_closed = self.exists.base().is_some_and(|base| base.revision == deciding.revision);
        is_closed && (deciding.value == Existence::Deleted || deciding.revision < closed_clear)
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

    /// Whether nothing is known of it.
    pub(super) fn is_empty(&self) -> bool {
        self.exists.is_empty()
            && self.kind.is_empty()
            && self.z.is_empty()
            && self.tool.is_empty()
            && self.props.is_empty()
            && self.points.is_empty()
            && self.ends.is_empty()
    }

    /// Whether an open unit has a write here.
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

    /// About how many bytes of memory it takes beyond itself, its id aside.
    pub(super) fn weight(&self) -> usize {
        let text = |chain: &Chain<Box<str>>| chain_weight(chain, |value| value.len() + ALLOCATION);
        let ends = self.ends.values().map(|chain| chain_weight(chain, |()| 0));
        chain_weight(&self.exists, |_| 0)
            + [&self.kind, &self.z, &self.tool].into_iter().map(text).sum::<usize>()
            + props_weight(&self.props)
            + self.points.places_weight()
            + self.points.values().map(text).sum::<usize>()
            + self.ends.places_weight()
            + ends.sum::<usize>()
    }
}

/// What the allocator adds to a text.
pub(super) const ALLOCATION: usize = 8;

pub(super) fn open_units<T>(chain: &Chain<T>) -> impl Iterator<Item = u64> {
    chain.writes().iter().filter(|write| write.is_open()).map(|write| write.unit)
}

/// About how many bytes of memory properties take.
pub(super) fn props_weight(props: &Chains<Key, Json>) -> usize {
    let value = |json: &Json| json.as_ref().map_or(0, |json| json.len() + ALLOCATION);
    let texts = props.iter().map(|(key, chain)| key.0.len() + ALLOCATION + chain_weight(chain, value));
    props.places_weight() + texts.sum::<usize>()
}

/// The values of a chain, and its writes where they are more than the one that lies within.
fn chain_weight<T>(chain: &Chain<T>, value: impl Fn(&T) -> usize) -> usize {
    let writes = chain.writes();
    let beyond = if writes.len() > 1 { size_of_val(writes) } else { 0 };
    beyond + writes.iter().map(|write| value(&write.value)).sum::<usize>()
}
