//! The connections that a reader is told of in a large room: those in its view, and the nearest others.
//!
//! Owns the choice and what each reader was shown by it. In a room of at most `PRESENCE_VIEWPORT_ABOVE`,
//! and for readers that do not say what they see, the choice is everybody. Pure.

use std::collections::{HashMap, HashSet};

use super::shown::{Everybody, PresenceDiff, Shown, Since};
use crate::{
    limits,
    model::{ConnectionId, DrawingId, Viewport},
};

/// The presence that one reader was told.
#[derive(Clone, Debug)]
pub struct ViewState {
    /// The version it is at.
    version: u64,
    /// The number of present connections it was told last, if that was here.
    count: Option<usize>,
    /// The connections that it is shown, each with its version; `None` while they are all.
    part: Option<HashMap<ConnectionId, u64>>,
}

impl ViewState {
    /// A reader that has the roster of `version`.
    #[must_use]
    pub fn new(version: u64) -> Self {
        Self { version, count: None, part: None }
    }

    /// The version the reader is at.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns `true` if it is shown a part of the room alone.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.part.is_some()
    }

    /// A reader that is told of everybody gets this.
    pub(super) fn note(&mut self, since: &Since) {
        if let Since::Diff(diff) = since {
            *self = Self { version: diff.to, count: Some(diff.count), part: None };
        }
    }

    /// Takes the reader from what it is shown to `choice`; `None` when it sees no difference. `left` is
    /// who has left since its version, and matters to one that was shown everybody.
    pub(super) fn advance(
        &mut self,
        drawing: DrawingId,
        everybody: &Everybody,
        choice: &[&Shown],
        left: Vec<ConnectionId>,
    ) -> Option<PresenceDiff> {
        let chosen: HashMap<_, _> = choice.iter().map(|shown| (shown.connection_id, shown.version)).collect();
        let is_out = |connection: &ConnectionId| !chosen.contains_key(connection);
        let (set, gone): (Vec<&Shown>, Vec<ConnectionId>) = match &self.part {
            Some(part) => {
                let is_new = |shown: &&Shown| part.get(&shown.connection_id) != Some(&shown.version);
                let set = choice.iter().copied().filter(is_new).collect();
                (set, part.keys().copied().filter(is_out).collect())
            }
            None => {
                let set = choice.iter().copied().filter(|shown| shown.version > self.version).collect();
                let seen = everybody.all.iter().filter(|shown| shown.joined <= self.version);
                // Somebody who left and is back is in `left` alone, and may be out of view now.
                let away: HashSet<_> = seen.map(|shown| shown.connection_id).chain(left).collect();
                (set, away.into_iter().filter(is_out).collect())
            }
        };
        let count = everybody.all.len();
        let is_same = set.is_empty() && gone.is_empty() && self.count == Some(count);
        let part = (choice.len() < count).then_some(chosen);
        *self = Self { version: everybody.version, count: Some(count), part };
        let pieces = set.into_iter().map(|shown| &*shown.json);
        (!is_same).then(|| PresenceDiff::render(drawing, everybody.version, count, pieces, gone))
    }
}

/// The choice for a reader: its own connection, those with a cursor in `view`, and of the others the
/// `PRESENCE_NEAREST` whose cursors are nearest to the edge of `view`; those without a cursor come last.
pub(super) fn choose(all: &[Shown], me: ConnectionId, view: Viewport) -> Vec<&Shown> {
    let is_in_view = |shown: &Shown| shown.cursor.is_some_and(|cursor| view.contains(cursor));
    let (mut choice, others): (Vec<&Shown>, Vec<&Shown>) =
        all.iter().partition(|shown| shown.connection_id == me || is_in_view(shown));
    let distance = |shown: &Shown| shown.cursor.map(|cursor| view.distance_squared(cursor));
    let mut others: Vec<_> = others.into_iter().map(|shown| (distance(shown), shown)).collect();
    if others.len() > limits::PRESENCE_NEAREST {
        // Among connections at equal distance the id decides, so that the choice does not flicker.
        others.select_nth_unstable_by(limits::PRESENCE_NEAREST, |(a, one), (b, other)| {
            let (far_a, far_b) = (a.unwrap_or(f64::INFINITY), b.unwrap_or(f64::INFINITY));
            (a.is_none().cmp(&b.is_none()))
                .then(far_a.total_cmp(&far_b))
                .then(one.connection_id.cmp(&other.connection_id))
        });
        others.truncate(limits::PRESENCE_NEAREST);
    }
    choice.extend(others.into_iter().map(|(_, shown)| shown));
    choice
}
