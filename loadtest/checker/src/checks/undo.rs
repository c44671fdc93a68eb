//! Undo and redo: what was undone is what was named, once, and whole.

use std::collections::HashMap;

use crate::{
    case::Case,
    finding::Outcome,
    history::{Call, Entry, EntryKind, Outcome as Ended, Picture, Position, Request},
    ids::OpId,
    truth::Word,
    units::{Fate, Scene, Units},
};

/// An undo that was answered toggles the unit of the answer, which is known and open; so does one that a client names.
pub(super) fn exact(case: &Case<'_>, outcome: &mut Outcome) {
    for (call, entry, unit) in toggles(case) {
        outcome.examine();
        let Request::Toggle { undoes, op_id } = call.request else { continue };
        let wanted = if undoes { EntryKind::Undo } else { EntryKind::Redo };
        let fault = if entry.kind != wanted {
            "what is in the log there is no such op".to_owned()
        } else if unit != Some(entry.unit) {
            let told = unit.map_or_else(|| "none".to_owned(), |unit| unit.to_string());
            format!("the answer names the unit {told}, and the log {}", entry.unit)
        } else if entry.actor != call.user {
            format!("{} has pressed, and the op is that of {}", case.user(call.user), case.user(entry.actor))
        } else if op_id.is_some_and(|op_id| op_id != entry.op_id) {
            "it has another id than the one that was chosen for it".to_owned()
        } else {
            continue;
        };
        outcome.find(&[call.ended.unwrap_or(call.sent), entry.at], || {
            format!("`{:?}` as revision {}: {fault}", call.request.name(), entry.revision)
        });
    }
    for recorded in case.truth.logs() {
        for (entry, fate) in Units::fates(&recorded.entries) {
            outcome.examine();
            let fault = match fate {
                Fate::Unknown => "which the log does not have",
                Fate::Closed => "which a fold has closed",
                Fate::Changed | Fate::Idle => continue,
            };
            outcome.find(&[entry.at], || {
                format!("revision {} toggles the unit {}, {fault}", entry.revision, entry.unit)
            });
        }
    }
}

/// The server changes the unit that it picks: nobody else has undone, or redone, it before.
pub(super) fn once(case: &Case<'_>, outcome: &mut Outcome) {
    let fates: HashMap<_, _> = case
        .truth
        .logs()
        .flat_map(|recorded| {
            let epoch = recorded.log.epoch;
            Units::fates(&recorded.entries).into_iter().map(move |(entry, fate)| ((epoch, entry.op_id), fate))
        })
        .collect();
    for (call, entry, _) in toggles(case) {
        let Ended::Committed { epoch, ref results, .. } = call.outcome else { continue };
        let Some(placed) = results.first() else { continue };
        let settled = case.truth.settle(Position { epoch, revision: placed.revision }).position;
        outcome.examine();
        if fates.get(&(settled.epoch, entry.op_id)) == Some(&Fate::Idle) {
            outcome.find(&[call.ended.unwrap_or(call.sent), entry.at], || {
                let (unit, revision) = (entry.unit, entry.revision);
                format!("`{:?}` as revision {revision} finds the unit {unit} so already", call.request.name())
            });
        }
    }
}

/// A picture that lists its objects shows all of live units, and none of undone ones.
pub(super) fn whole(case: &Case<'_>, outcome: &mut Outcome) {
    for recorded in case.truth.logs() {
        let epoch = recorded.log.epoch;
        let is_of_this = |picture: &&Picture| case.truth.settle(picture.position).position.epoch == epoch;
        let mut pictures: Vec<_> = case
            .history
            .pictures
            .iter()
            .filter(|picture| picture.objects.is_some())
            .filter(is_of_this)
            .collect();
        pictures.sort_by_key(|picture| picture.position.revision);
        let (mut scene, mut entries) = (Scene::default(), recorded.entries.iter().peekable());
        for picture in pictures {
            while let Some(entry) = entries.next_if(|entry| entry.revision <= picture.position.revision) {
                scene.take(entry);
            }
            outcome.examine();
            let wanted = scene.seen();
            let mut shown: Vec<&str> = picture.objects.iter().flatten().map(String::as_str).collect();
            shown.sort_unstable();
            if let Some(fault) = difference(&shown, &wanted) {
                outcome.find(&[picture.at], || {
                    format!("the picture at {}, {}, {fault}", case.show(picture.position), picture.by)
                });
            }
        }
    }
}

fn difference(shown: &[&str], wanted: &[&str]) -> Option<String> {
    let only_in = |these: &[&str], those: &[&str]| {
        these.iter().find(|object| those.binary_search(object).is_err()).map(|&object| object.to_owned())
    };
    only_in(shown, wanted)
        .map(|object| format!("shows the object {object}, which is hidden"))
        .or_else(|| only_in(wanted, shown).map(|object| format!("does not show the object {object}")))
}

/// Toggles that the server has picked, with what the log has there and the unit of the answer.
fn toggles<'a>(case: &'a Case<'_>) -> impl Iterator<Item = (&'a Call, &'a Entry, Option<OpId>)> {
    case.history.calls.iter().filter_map(|call| {
        let (Request::Toggle { .. }, Ended::Committed { epoch, results, unit, .. }) =
            (&call.request, &call.outcome)
        else {
            return None;
        };
        let placed = results.first()?;
        match case.truth.word(Position { epoch: *epoch, revision: placed.revision }) {
            // That another op stands there is a finding of `ack_kept`.
            Word::Entry(entry) if entry.op_id == placed.op_id => Some((call, entry, *unit)),
            _ => None,
        }
    })
}
