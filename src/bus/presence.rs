//! The presence messages between nodes, and their bytes on the wire.
//!
//! Owns the messages and their encoding. The room decides who is present, and what follows from a message.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::model::{ConnectionId, PresenceState, UserId};

/// The version of the encoding. A node ignores others.
const VERSION: u32 = 1;
/// Bytes of a message beside its entries and departures, at most.
pub(crate) const ENVELOPE_BYTES: usize = 512;
/// Bytes of one departure.
pub(crate) const GONE_BYTES: usize = 40;
/// Bytes of an entry beside its strings and its state, at most.
const ENTRY_BYTES: usize = 192;

/// One present connection, as the node that holds it tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceEntry {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The user to whom it belongs.
    pub user_id: UserId,
    /// The name to show to others.
    pub name: Option<Arc<str>>,
    /// Counts the nodes that have held the connection one after the other. Where two nodes hold it, the
    /// higher claim counts, then the higher node.
    pub claim: u64,
    /// The state that it shows.
    pub state: PresenceState,
}

impl PresenceEntry {
    /// Bytes it takes in a message, at most.
    pub(crate) fn encoded_bytes(&self) -> usize {
        // A control character in a name becomes six; a user id has none.
        let name = self.name.as_ref().map_or(0, |name| 6 * name.len());
        ENTRY_BYTES + 2 * self.user_id.as_str().len() + name + self.state.as_str().len()
    }
}

/// News between the nodes that follow the presence of one drawing.
///
/// `seq` counts the diffs of one node in one room: with it a node notices that it has missed some. A
/// room that ends and is made anew has another `node`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceMessage {
    /// Some of the connections that the node holds have changed.
    Diff {
        /// The sender.
        node: Uuid,
        /// The number of this diff, from 1.
        seq: u64,
        /// New, or with another state.
        set: Vec<Arc<PresenceEntry>>,
        /// Not held by this node any more.
        gone: Vec<ConnectionId>,
    },
    /// The node lives.
    Alive {
        /// The sender.
        node: Uuid,
        /// The number of its latest diff.
        seq: u64,
    },
    /// All connections that the node holds, in parts that are sent together.
    Full {
        /// The sender.
        node: Uuid,
        /// The number of its latest diff: the parts are what it held then.
        seq: u64,
        /// The number of this part, from 0.
        part: u32,
        /// The number of parts.
        parts: u32,
        /// A part of the connections.
        set: Vec<Arc<PresenceEntry>>,
    },
    /// A node wants to know all connections.
    Ask {
        /// The node that asks.
        node: Uuid,
        /// The node whose connections are asked for; `None` for every node that has some.
        of: Option<Uuid>,
    },
    /// A user ended one of their connections at another node than the one that holds it.
    Leave {
        /// The sender.
        node: Uuid,
        /// The connection that ends.
        connection_id: ConnectionId,
        /// The user to whom it belongs.
        user_id: UserId,
    },
}

/// Any message on the wire. Flat: JSON that is passed on unparsed cannot stand in a tagged enum.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    version: u32,
    #[serde(rename = "type")]
    kind: Kind,
    node: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection_id: Option<ConnectionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    set: Vec<WireEntry<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<ConnectionId>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Diff,
    Alive,
    Full,
    Ask,
    Leave,
}

#[derive(Serialize, Deserialize)]
struct WireEntry<'a> {
    connection_id: ConnectionId,
    user_id: UserId,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    claim: u64,
    #[serde(borrow)]
    state: &'a RawValue,
}

impl PresenceMessage {
    /// The node that sent the message.
    #[must_use]
    pub fn node(&self) -> Uuid {
        match self {
            Self::Diff { node, .. }
            | Self::Alive { node, .. }
            | Self::Full { node, .. }
            | Self::Ask { node, .. }
            | Self::Leave { node, .. } => *node,
        }
    }

    /// The bytes on the wire; the drawing stands in the subject.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        serde_json::to_vec(&self.to_wire()).expect("ids, numbers and JSON text can be written").into()
    }

    fn to_wire(&self) -> Wire<'_> {
        let wire = |kind| Wire {
            version: VERSION,
            kind,
            node: self.node(),
            seq: None,
            part: None,
            parts: None,
            of: None,
            connection_id: None,
            user_id: None,
            set: Vec::new(),
            gone: Vec::new(),
        };
        match self {
            Self::Diff { seq, set, gone, .. } => {
                Wire { seq: Some(*seq), set: write_all(set), gone: gone.clone(), ..wire(Kind::Diff) }
            }
            Self::Alive { seq, .. } => Wire { seq: Some(*seq), ..wire(Kind::Alive) },
            Self::Full { seq, part, parts, set, .. } => Wire {
                seq: Some(*seq),
                part: Some(*part),
                parts: Some(*parts),
                set: write_all(set),
                ..wire(Kind::Full)
            },
            Self::Ask { of, .. } => Wire { of: *of, ..wire(Kind::Ask) },
            Self::Leave { connection_id, user_id, .. } => Wire {
                connection_id: Some(*connection_id),
                user_id: Some(user_id.clone()),
                ..wire(Kind::Leave)
            },
        }
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` when it is damaged or of another version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let wire: Wire<'_> = serde_json::from_slice(bytes).ok()?;
        if wire.version != VERSION {
            return None;
        }
        let node = wire.node;
        Some(match wire.kind {
            Kind::Diff => Self::Diff { node, seq: wire.seq?, set: read_all(wire.set), gone: wire.gone },
            Kind::Alive => Self::Alive { node, seq: wire.seq? },
            Kind::Full => Self::Full {
                node,
                seq: wire.seq?,
                part: wire.part?,
                parts: wire.parts?,
                set: read_all(wire.set),
            },
            Kind::Ask => Self::Ask { node, of: wire.of },
            Kind::Leave => Self::Leave { node, connection_id: wire.connection_id?, user_id: wire.user_id? },
        })
    }
}

fn write_all(set: &[Arc<PresenceEntry>]) -> Vec<WireEntry<'_>> {
    fn write(entry: &Arc<PresenceEntry>) -> WireEntry<'_> {
        WireEntry {
            connection_id: entry.connection_id,
            user_id: entry.user_id.clone(),
            name: entry.name.as_deref().map(Cow::Borrowed),
            claim: entry.claim,
            state: entry.state.as_raw(),
        }
    }
    set.iter().map(write).collect()
}

/// The entries that this version understands; others have rules of their own.
fn read_all(set: Vec<WireEntry<'_>>) -> Vec<Arc<PresenceEntry>> {
    let read = |entry: WireEntry<'_>| {
        let state = PresenceState::parse(entry.state.get()).ok()?;
        let WireEntry { connection_id, user_id, name, claim, .. } = entry;
        Some(Arc::new(PresenceEntry { connection_id, user_id, name: name.map(Arc::from), claim, state }))
    };
    set.into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: Option<&str>, state: &str) -> Arc<PresenceEntry> {
        Arc::new(PresenceEntry {
            connection_id: ConnectionId(Uuid::new_v4()),
            user_id: "auth0|ä \"x\"".parse().unwrap(),
            name: name.map(Arc::from),
            claim: 3,
            state: PresenceState::parse(state).unwrap(),
        })
    }

    fn every_kind() -> Vec<PresenceMessage> {
        let node = Uuid::new_v4();
        let set = vec![entry(Some("Ä \"q\" \u{1}"), r#"{"cursor":[1.50,2]}"#), entry(None, "{}")];
        let gone = vec![ConnectionId(Uuid::new_v4())];
        vec![
            PresenceMessage::Diff { node, seq: 7, set: set.clone(), gone },
            PresenceMessage::Diff { node, seq: 8, set: Vec::new(), gone: Vec::new() },
            PresenceMessage::Alive { node, seq: 9 },
            PresenceMessage::Full { node, seq: 9, part: 1, parts: 2, set },
            PresenceMessage::Ask { node, of: None },
            PresenceMessage::Ask { node, of: Some(Uuid::new_v4()) },
            PresenceMessage::Leave {
                node,
                connection_id: ConnectionId(Uuid::new_v4()),
                user_id: "a".parse().unwrap(),
            },
        ]
    }

    #[test]
    fn every_message_survives_the_wire() {
        for sent in every_kind() {
            assert_eq!(PresenceMessage::decode(&sent.encode()), Some(sent));
        }
    }

    #[test]
    fn damage_and_other_versions_are_refused_and_further_fields_are_not() {
        for sent in every_kind() {
            let bytes = sent.encode();
            for end in 0..bytes.len() {
                assert_eq!(PresenceMessage::decode(&bytes[..end]), None, "cut at {end}");
            }
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let other = text.replacen("\"version\":1", "\"version\":2", 1);
            assert_eq!(PresenceMessage::decode(other.as_bytes()), None);
            let further = text.replacen('{', "{\"later\":[1],", 1);
            assert_eq!(PresenceMessage::decode(further.as_bytes()), Some(sent));
        }
    }

    #[test]
    fn the_bound_of_an_entry_is_never_too_low() {
        let hostile = "\u{1}".repeat(128);
        let state = format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000));
        for entry in [entry(None, "{}"), entry(Some(&hostile), &state)] {
            let message = |set| PresenceMessage::Full {
                node: Uuid::max(),
                seq: u64::MAX,
                part: u32::MAX,
                parts: u32::MAX,
                set,
            };
            let (bound, alone) = (entry.encoded_bytes(), message(Vec::new()).encode().len());
            assert!(alone <= ENVELOPE_BYTES);
            assert!(message(vec![entry.clone(), entry]).encode().len() <= ENVELOPE_BYTES + 2 * bound);
        }
    }
}
