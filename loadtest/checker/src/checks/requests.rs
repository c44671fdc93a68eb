//! Where the ops of a log come from: from requests, of which each has committed whole or not at all.

use std::collections::{HashMap, HashSet};

use crate::{
    case::{Attempt, Case},
    finding::Outcome,
    history::{Entry, EntryKind, Request},
    ids::{Digest, OpId},
    truth::Recorded,
};

/// The actors of ops that the server writes by itself.
const SERVER_ACTORS: &str = "revcast:";

/// Each op of a log that was sent is explained by a request of which all ops are in that log.
pub(super) fn whole(case: &Case<'_>, outcome: &mut Outcome) {
    for recorded in case.truth.logs() {
        let known: HashMap<OpId, &Entry> = by_id(recorded);
        let is_in =
            |op_id: OpId, digest: Digest| known.get(&op_id).is_some_and(|entry| entry.digest == digest);
        let mut is_whole: HashMap<usize, bool> = HashMap::new();
        for entry in &recorded.entries {
            let sources = || sources(case, entry);
            if sources().next().is_none() {
                continue;
            }
            outcome.examine();
            let is_explained = sources().any(|attempt| {
                *is_whole.entry(attempt.call).or_insert_with(|| {
                    case.call(attempt).ops().iter().all(|sent| is_in(sent.op_id, sent.digest))
                })
            });
            if !is_explained && let Some(attempt) = sources().next() {
                let call = case.call(attempt);
                let missing = call.ops().iter().find(|sent| !is_in(sent.op_id, sent.digest));
                outcome.find(&[call.sent, entry.at], || {
                    let missing = missing.map_or_else(String::new, |sent| sent.op_id.to_string());
                    format!("of one request the op {} is in the log, and {missing} is not", entry.op_id)
                });
            }
        }
    }
}

/// Each op that the log ascribes to a recorded user was sent by that user.
pub(super) fn sourced(case: &Case<'_>, outcome: &mut Outcome) {
    let writers: HashSet<u32> = case
        .history
        .calls
        .iter()
        .filter(|call| matches!(call.request, Request::Append(_) | Request::Toggle { .. }))
        .map(|call| call.user)
        .collect();
    for recorded in case.truth.logs() {
        for entry in recorded.entries.iter().filter(|entry| writers.contains(&entry.actor)) {
            outcome.examine();
            if case.user(entry.actor).starts_with(SERVER_ACTORS) || is_sourced(case, entry) {
                continue;
            }
            outcome.find(&[entry.at], || {
                let actor = case.user(entry.actor);
                format!("{actor} has never sent the op {} with the body that is in the log", entry.op_id)
            });
        }
    }
}

fn is_sourced(case: &Case<'_>, entry: &Entry) -> bool {
    let was_sent = case.attempts(entry.op_id).iter().any(|attempt| {
        case.call(attempt).user == entry.actor && attempt.digest.is_none_or(|digest| digest == entry.digest)
    });
    // A toggle whose answer was lost: its id is the server's, unless the client has chosen one.
    let undoes = match entry.kind {
        EntryKind::Undo => true,
        EntryKind::Redo => false,
        _ => return was_sent,
    };
    let may_be_picked = || {
        case.history.calls.iter().any(|call| {
            let is_such =
                matches!(call.request, Request::Toggle { undoes: wanted, op_id: None } if wanted == undoes);
            is_such && call.user == entry.actor && matches!(call.outcome, crate::history::Outcome::Unknown)
        })
    };
    was_sent || may_be_picked()
}

/// The attempts that may have put an op into the log.
fn sources<'a>(case: &'a Case<'_>, entry: &'a Entry) -> impl Iterator<Item = &'a Attempt> {
    case.attempts(entry.op_id)
        .iter()
        .filter(|attempt| attempt.digest == Some(entry.digest) && case.call(attempt).may_have_committed())
}

fn by_id<'a>(recorded: &Recorded<'a>) -> HashMap<OpId, &'a Entry> {
    recorded.entries.iter().map(|entry| (entry.op_id, *entry)).collect()
}
