//! Live readers: their order, their ops, and their way from epoch to epoch.

use crate::{
    case::Case,
    finding::Outcome,
    follow::{Note, follow},
};

/// A live reader gets each revision once and in order, or is told where to go on.
pub(super) fn order(case: &Case<'_>, outcome: &mut Outcome) {
    for reader in &case.history.readers {
        follow(reader, &mut |note| match note {
            Note::InOrder => outcome.examine(),
            Note::Disorder(at, text) => {
                outcome.examine();
                outcome.find(&[at], || format!("reader {}: {text}", reader.name));
            }
            _ => {}
        });
    }
}

/// A live reader gets the ops of the log of its epoch.
pub(super) fn equal(case: &Case<'_>, outcome: &mut Outcome) {
    for reader in &case.history.readers {
        follow(reader, &mut |note| {
            let Note::Op(at, position, op) = note else { return };
            outcome.examine();
            if let Some((text, other)) = case.truth.contradiction(position, op) {
                outcome.find(&[at, other], || {
                    let (name, position) = (&reader.name, case.show(position));
                    format!("reader {name} got the op {} as {position}; {text}", op.op_id)
                });
            }
        });
    }
}

/// A live reader goes on in a new epoch only if that goes on with what the reader has.
pub(super) fn epoch(case: &Case<'_>, outcome: &mut Outcome) {
    for reader in &case.history.readers {
        follow(reader, &mut |note| {
            let Note::Epoch(at, objection) = note else { return };
            outcome.examine();
            if let Some(text) = objection {
                outcome.find(&[at], || format!("reader {}: {text}", reader.name));
            }
        });
    }
}
