//! The rules of presence, as tests.

mod lanes;
mod nodes;
mod readers;
mod rules;

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::{Present, Since, holdings::HoldingChange, roster::Roster};
use crate::model::{ConnectionId, PresenceState};

/// The connection with this number.
fn connection(number: u8) -> ConnectionId {
    ConnectionId(Uuid::from_u128(number.into()))
}

/// A connection of a user, both by number.
fn present(number: u8, user: u8) -> Present {
    Present {
        connection_id: connection(number),
        user_id: format!("user-{user}").parse().unwrap(),
        name: Some("Ä".into()),
    }
}

fn state(n: impl Into<Value>) -> PresenceState {
    PresenceState::parse(&serde_json::json!({"n": n.into()}).to_string()).unwrap()
}

/// The knowledge of a reader or a node: the entries by connection id.
type Known = BTreeMap<String, Value>;

fn entries(json: &str) -> Known {
    serde_json::from_str(json).unwrap()
}

/// Applies to a reader what it is told, and checks that the message is what it says.
fn apply(known: &mut Known, version: &mut u64, since: &Since) {
    let Since::Diff(diff) = since else { return assert_eq!(since, &Since::Nothing) };
    let message: Value = serde_json::from_slice(&diff.json).unwrap();
    assert_eq!((&message["type"], &message["count"]), (&"presence".into(), &diff.count.into()));
    let set = entries(std::str::from_utf8(&diff.set).unwrap());
    assert_eq!(message["set"], serde_json::to_value(&set).unwrap());
    assert_eq!(message["gone"], serde_json::to_value(&diff.gone).unwrap());
    known.extend(set);
    for gone in &diff.gone {
        known.remove(&gone.to_string());
        assert!(message["set"].get(gone.to_string()).is_none(), "both there and gone");
    }
    *version = diff.to;
}

/// The connections that count as present, with the number in each state.
fn who(roster: &mut Roster) -> BTreeMap<ConnectionId, String> {
    let all: Vec<HoldingChange> = (0..=u8::MAX)
        .map(connection)
        .map(|id| (id, roster.holdings.get(id).map(|held| held.entry.clone())))
        .collect();
    let present: BTreeMap<_, _> = all
        .into_iter()
        .filter_map(|(id, entry)| entry.map(|entry| (id, entry.state.as_str().to_owned())))
        .collect();
    assert_eq!(present.len(), roster.count());
    present
}
