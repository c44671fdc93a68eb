//! Pictures: whoever has one at a position has the same, in whichever way and language it came about.

use std::collections::HashMap;

use crate::{
    case::Case,
    finding::Outcome,
    history::{Picture, Position},
    truth::Word,
};

/// All hashes at one position are equal, and it is a position of the log.
pub(super) fn equal(case: &Case<'_>, outcome: &mut Outcome) {
    let mut first: HashMap<Position, &Picture> = HashMap::new();
    for picture in &case.history.pictures {
        let position = case.truth.settle(picture.position).position;
        if position.revision > 0 && matches!(case.truth.word(position), Word::Absent) {
            outcome.find(&[picture.at], || {
                format!("{} is of {}, which the log does not have", picture.by, case.show(picture.position))
            });
            continue;
        }
        let known = *first.entry(position).or_insert(picture);
        if std::ptr::eq(known, picture) {
            continue;
        }
        outcome.examine();
        if known.hash != picture.hash {
            outcome.find(&[known.at, picture.at], || {
                let (one, two) = (&known.by, &picture.by);
                format!("{one} and {two} differ at {}", case.show(picture.position))
            });
        }
    }
}
