//! Positions that readers name: one that is not known to lie on the log is refused, never served.

use crate::{
    case::Case,
    clock::Place,
    finding::Outcome,
    follow::{Note, follow},
    history::{Asked, Outcome as Ended, Position, Request, Trunk},
};

/// A position that was served lies on the log of the answer, as far as the answer itself tells.
pub(super) fn refused(case: &Case<'_>, outcome: &mut Outcome) {
    for call in &case.history.calls {
        let Some(ended) = call.ended else { continue };
        match (&call.request, &call.outcome) {
            (Request::Page(asked), Ended::Page { epoch, trunk, latest, .. }) => {
                let told = Position { epoch: *epoch, revision: *latest };
                look(case, outcome, &[call.sent, ended], (*asked, told, *trunk));
            }
            (Request::Snapshot(asked), Ended::Snapshot { position, trunk }) => {
                look(case, outcome, &[call.sent, ended], (*asked, *position, *trunk));
                if let Some(at) = asked.revision.filter(|&at| at != position.revision) {
                    outcome.find(&[call.sent, ended], || {
                        format!("the picture at {at} was asked for, and one at {} came", position.revision)
                    });
                }
            }
            _ => {}
        }
    }
    for reader in &case.history.readers {
        follow(reader, &mut |note| {
            if let Note::Began(at, asked, told, trunk) = note {
                look(case, outcome, &[at], (asked, told, trunk));
            }
        });
    }
}

fn look(
    case: &Case<'_>,
    outcome: &mut Outcome,
    places: &[Place],
    (asked, told, trunk): (Asked, Position, Option<Trunk>),
) {
    outcome.examine();
    let highest = asked.revision.max(asked.until.filter(|_| asked.revision.is_some()));
    if let Some(epoch) = asked.epoch.filter(|&epoch| epoch != told.epoch) {
        let base = trunk.filter(|trunk| trunk.epoch == epoch).map(|trunk| trunk.base);
        if base.zip(highest).is_none_or(|(base, revision)| revision > base) {
            outcome.find(places, || {
                let wanted = highest
                    .map_or_else(|| "a position".to_owned(), |revision| format!("revision {revision}"));
                let (asked, told) = (case.epoch(epoch), case.epoch(told.epoch));
                format!("{wanted} of epoch {asked} is served in {told}, which is not known to have it")
            });
        }
    } else if let Some(revision) = asked.revision.filter(|&revision| revision > told.revision) {
        outcome
            .find(places, || format!("revision {revision} is served, and the head is {}", case.show(told)));
    }
}
