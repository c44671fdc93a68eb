//! When things happened, as far as anybody can tell.
//!
//! Owns the one comparison of times. Within a client its own clock decides; between two clients only what is certain in
//! spite of the error of both clocks.

/// Stands for "no client": lines of the log have none.
pub const NOBODY: u32 = u32::MAX;

/// The place of an event in the history, and its time by its client's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the client.
    pub client: u32,
    /// The number of the event among those of the client, from 1.
    pub nth: u32,
    /// The number of the file.
    pub file: u32,
    /// The line in the file, from 1.
    pub line: u32,
    /// The client's clock, in nanoseconds.
    pub t: i64,
}

/// The relation of a client's clock to the one that all share.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The time that is added to its clock, in nanoseconds.
    pub offset: i64,
    /// The most by which that may be off, in nanoseconds.
    pub error: i64,
}

/// The clocks of all clients, by number; `None` where nothing is known of one.
#[derive(Clone, Debug, Default)]
pub struct Clocks(pub Vec<Option<Bound>>);

impl Clocks {
    /// True if `first` was over for certain when `second` happened.
    #[must_use]
    pub fn is_before(&self, first: Place, second: Place) -> bool {
        self.is_before_by(first, second, 0)
    }

    /// True if for certain more than `margin` nanoseconds lie between them.
    #[must_use]
    pub fn is_before_by(&self, first: Place, second: Place, margin: i64) -> bool {
        if first.client == second.client {
            return first.client != NOBODY && first.t.saturating_add(margin) < second.t;
        }
        match (self.latest(first), self.earliest(second)) {
            (Some(latest), Some(earliest)) => latest.saturating_add(margin) < earliest,
            _ => false,
        }
    }

    /// The earliest time at which it can have happened, by the clock that all share.
    #[must_use]
    pub fn earliest(&self, place: Place) -> Option<i64> {
        let bound = self.bound(place)?;
        Some(place.t.saturating_add(bound.offset).saturating_sub(bound.error))
    }

    /// The latest time at which it can have happened.
    #[must_use]
    pub fn latest(&self, place: Place) -> Option<i64> {
        let bound = self.bound(place)?;
        Some(place.t.saturating_add(bound.offset).saturating_add(bound.error))
    }

    fn bound(&self, place: Place) -> Option<Bound> {
        self.0.get(place.client as usize).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(client: u32, t: i64) -> Place {
        Place { client, nth: 1, file: 0, line: 1, t }
    }

    #[test]
    fn one_client_is_compared_by_its_own_clock_and_two_only_beyond_their_errors() {
        let clocks =
            Clocks(vec![Some(Bound { offset: 100, error: 5 }), Some(Bound { offset: 0, error: 10 }), None]);
        assert!(clocks.is_before(place(0, 1), place(0, 2)));
        assert!(!clocks.is_before(place(0, 2), place(0, 2)));
        // 100 ± 5 and 115 ± 10 overlap; 100 ± 5 and 116 ± 10 do not.
        assert!(!clocks.is_before(place(0, 0), place(1, 115)));
        assert!(clocks.is_before(place(0, 0), place(1, 116)));
        assert!(!clocks.is_before_by(place(0, 0), place(1, 116), 1));
        // A clock of which nothing is known is compared with itself alone.
        assert!(!clocks.is_before(place(0, 0), place(2, 1_000_000)));
        assert!(clocks.is_before(place(2, 0), place(2, 1)));
    }
}
