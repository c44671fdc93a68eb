//! The positions that lie on a log: those of its epoch, and those of the epoch before up to where both logs are
//! equal.
//!
//! Owns the one rule by which a position is taken or refused, whoever is asked. Pure.

use super::{Epoch, Revision};

/// The epoch of the log of one drawing, and how it goes on from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The epoch now.
    pub epoch: Epoch,
    /// The epoch before, if this one goes on with it; `None` where the line was cut.
    pub trunk: Option<Trunk>,
}

/// The part that a log shares with that of the epoch before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// The epoch before.
    pub epoch: Epoch,
    /// The logs of both epochs are equal up to here.
    pub base: Revision,
}

/// Why a position does not lie on a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// It is of another epoch, and not known to lie on what both have in common.
    EpochChanged,
    /// It is ahead of the head.
    RevisionAhead,
}

impl Branch {
    /// A log that has nothing in common with another epoch.
    #[must_use]
    pub fn cut(epoch: Epoch) -> Self {
        Self { epoch, trunk: None }
    }

    /// The epoch before, if positions of it may go on here.
    #[must_use]
    pub fn previous_epoch(&self) -> Option<Epoch> {
        self.trunk.map(|trunk| trunk.epoch)
    }

    /// The revision up to which positions of the epoch before go on.
    #[must_use]
    pub fn base(&self) -> Option<Revision> {
        self.trunk.map(|trunk| trunk.base)
    }

    /// The fields of an object in JSON that tell it: `epoch`, and `previous_epoch` with `base` where there are any.
    #[must_use]
    pub fn json_fields(&self) -> String {
        let Self { epoch, trunk } = self;
        match trunk {
            Some(Trunk { epoch: previous, base }) => {
                format!(r#""epoch":"{epoch}","previous_epoch":"{previous}","base":{base}"#)
            }
            None => format!(r#""epoch":"{epoch}""#),
        }
    }

    /// Returns `true` if a reader that stands at `revision` in `epoch` goes on here without reading anew.
    #[must_use]
    pub fn goes_on_from(&self, epoch: Epoch, revision: Revision) -> bool {
        epoch == self.epoch || self.trunk.is_some_and(|trunk| trunk.epoch == epoch && revision <= trunk.base)
    }

    /// Checks a position in a log whose head is `head`. One without an epoch is taken for one of the present; an epoch
    /// without a revision has to be that.
    ///
    /// # Errors
    /// See [`Misplaced`].
    pub fn check(
        &self,
        epoch: Option<Epoch>,
        revision: Option<Revision>,
        head: Revision,
    ) -> Result<(), Misplaced> {
        let is_on_line = match (epoch, revision) {
            (None, _) => true,
            (Some(epoch), None) => epoch == self.epoch,
            (Some(epoch), Some(revision)) => self.goes_on_from(epoch, revision),
        };
        if !is_on_line {
            return Err(Misplaced::EpochChanged);
        }
        if revision.is_some_and(|revision| revision > head) {
            return Err(Misplaced::RevisionAhead);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Epoch = Epoch(Uuid::from_u128(3));
    const BEFORE: Epoch = Epoch(Uuid::from_u128(2));
    const LONG_AGO: Epoch = Epoch(Uuid::from_u128(1));

    #[test]
    fn positions_of_the_epoch_before_go_on_up_to_the_base_and_older_ones_never() {
        let branch = Branch { epoch: NOW, trunk: Some(Trunk { epoch: BEFORE, base: Revision(7) }) };
        let check = |epoch, revision| branch.check(epoch, Some(Revision(revision)), Revision(9));
        for revision in 0..=9 {
            assert_eq!(check(Some(NOW), revision), Ok(()));
            assert_eq!(check(None, revision), Ok(()));
            let expected = if revision <= 7 { Ok(()) } else { Err(Misplaced::EpochChanged) };
            assert_eq!(check(Some(BEFORE), revision), expected);
            assert_eq!(check(Some(LONG_AGO), revision), Err(Misplaced::EpochChanged));
        }
        assert_eq!(check(Some(NOW), 10), Err(Misplaced::RevisionAhead));
        assert_eq!(check(None, 10), Err(Misplaced::RevisionAhead));
        assert_eq!(branch.check(Some(NOW), None, Revision(9)), Ok(()));
        assert_eq!(branch.check(Some(BEFORE), None, Revision(9)), Err(Misplaced::EpochChanged));
    }

    #[test]
    fn where_the_line_was_cut_every_older_position_is_refused() {
        let check = |revision| Branch::cut(NOW).check(Some(BEFORE), Some(Revision(revision)), Revision(9));
        assert_eq!((check(0), check(9)), (Err(Misplaced::EpochChanged), Err(Misplaced::EpochChanged)));
    }
}
