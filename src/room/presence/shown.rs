//! The presence that readers of this node are told: the roster as of the last flush, and the steps that led to
//! it.
//!
//! Owns the versions. Every flush that changes something makes the next version, and a reader is told the
//! changes after its own. Departures are remembered in a bounded log: a reader that lacks more of them needs
//! the roster anew. Pure.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use serde::Serialize;

use super::holdings::HoldingChange;
use crate::{
    bus::PresenceEntry,
    limits,
    model::{CanvasPoint, ConnectionId, DrawingId, PresenceState, UserId, Viewport},
    wire::{Encoding, Encodings, encode},
};

/// Diffs to the latest state that a room keeps rendered, for readers that stand at different versions.
/// At the bound, the least used one is made again when it is needed.
const PRESENCE_CACHED_DIFFS: usize = 8;

/// The changes for a reader. All bytes are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceDiff {
    /// The number of connections that are present, exactly.
    pub count: usize,
    /// Those who are new or have another state: a JSON object by connection id.
    pub set: Bytes,
    /// Those who have left, or are not shown to this reader any more.
    pub gone: Vec<ConnectionId>,
    /// The version the reader is at then.
    pub to: u64,
    /// `{"type":"presence","drawing_id":…,"count":…,"set":{…},"gone":[…]}`.
    pub json: Bytes,
    /// The same on the wire.
    encodings: Encodings,
}

/// The news that a reader lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// Nothing.
    Nothing,
    /// This.
    Diff(Arc<PresenceDiff>),
    /// More than is remembered: it needs the roster.
    TooOld,
}

/// One connection, as readers are told of it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) connection_id: ConnectionId,
    /// The version of its last change.
    pub(super) version: u64,
    /// The version since which it is present without a break.
    pub(super) joined: u64,
    pub(super) cursor: Option<CanvasPoint>,
    /// `"<connection_id>":{"user_id":…,"name":…,"state":…}`.
    pub(super) json: Arc<str>,
    /// The entry that `json` was made of.
    entry: Arc<PresenceEntry>,
}

/// All connections at one version, for those who pick from them.
#[derive(Clone, Debug)]
pub(super) struct Everybody {
    pub(super) version: u64,
    pub(super) all: Arc<[Shown]>,
}

/// The roster at the latest version, its JSON included.
#[derive(Clone, Debug)]
pub struct RosterText {
    /// The version: a reader that has this roster is told what changes after it.
    pub version: u64,
    /// The number of connections that are present.
    pub count: usize,
    /// All of them: a JSON object by connection id.
    pub json: Arc<str>,
}

/// The roster as of the last flush.
#[derive(Debug)]
pub(super) struct Board {
    drawing_id: DrawingId,
    version: u64,
    shown: HashMap<ConnectionId, Shown>,
    /// The latest departures with the version in which they happened, oldest first, at most
    /// `PRESENCE_TOMBSTONES`.
    tombstones: VecDeque<(u64, ConnectionId)>,
    /// The version of the last departure that is not among them.
    forgotten: u64,
    /// Diffs to the present version by the version they start from, least used first, at most
    /// `PRESENCE_CACHED_DIFFS`. The one from the version before is made once for nearly all readers.
    diffs: VecDeque<(u64, Arc<PresenceDiff>)>,
    /// The text of the present version, once somebody wanted it.
    text: Option<RosterText>,
    /// The present version for those who pick, once somebody wanted it.
    everybody: Option<Everybody>,
}

impl Board {
    pub(super) fn new(drawing_id: DrawingId) -> Self {
        Self {
            drawing_id,
            version: 0,
            shown: HashMap::new(),
            tombstones: VecDeque::new(),
            forgotten: 0,
            diffs: VecDeque::new(),
            text: None,
            everybody: None,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn count(&self) -> usize {
        self.shown.len()
    }

    /// Shows what changed; returns whether there is a new version.
    pub(super) fn apply(&mut self, changes: Vec<HoldingChange>) -> bool {
        let next = self.version + 1;
        let mut has_changed = false;
        for (connection_id, entry) in changes {
            has_changed |= match entry {
                Some(entry) => self.show(connection_id, entry, next),
                None => self.bury(connection_id, next),
            };
        }
        if has_changed {
            self.version = next;
            self.diffs.clear();
            self.text = None;
            self.everybody = None;
        }
        has_changed
    }

    fn show(&mut self, connection_id: ConnectionId, entry: Arc<PresenceEntry>, version: u64) -> bool {
        let before = self.shown.get(&connection_id);
        if before.is_some_and(|before| looks_alike(&before.entry, &entry)) {
            return false;
        }
        let joined = before.map_or(version, |before| before.joined);
        let (json, cursor) = (piece(&entry), entry.state.cursor());
        self.shown.insert(connection_id, Shown { connection_id, version, joined, cursor, json, entry });
        true
    }

    fn bury(&mut self, connection_id: ConnectionId, version: u64) -> bool {
        // A connection that came and went within one flush was never shown.
        if self.shown.remove(&connection_id).is_none() {
            return false;
        }
        self.tombstones.push_back((version, connection_id));
        // Those of one flush stay together, however many they are: nobody has been told of them yet.
        while self.tombstones.len() > limits::PRESENCE_TOMBSTONES
            && self.tombstones.front().is_some_and(|(left, _)| *left < version)
        {
            self.forgotten = self.tombstones.pop_front().map_or(self.forgotten, |(version, _)| version);
        }
        true
    }

    /// The news that a reader at `from` lacks.
    pub(super) fn since(&mut self, from: u64) -> Since {
        if from == self.version {
            return Since::Nothing;
        }
        if let Some(nth) = self.diffs.iter().position(|(start, _)| *start == from) {
            let found = self.diffs.remove(nth);
            self.diffs.extend(found);
            return self.diffs.back().map_or(Since::Nothing, |(_, diff)| Since::Diff(diff.clone()));
        }
        let Some(mut gone) = self.left_since(from) else { return Since::TooOld };
        gone.retain(|connection| !self.shown.contains_key(connection));
        let set = self.shown.values().filter(|shown| shown.version > from);
        let diff = Arc::new(self.render(set.map(|shown| &*shown.json), gone));
        if self.diffs.len() == PRESENCE_CACHED_DIFFS {
            self.diffs.pop_front();
        }
        self.diffs.push_back((from, diff.clone()));
        Since::Diff(diff)
    }

    /// The connections that left after `from`, once each, those that are back included; `None` when that is not
    /// remembered.
    pub(super) fn left_since(&self, from: u64) -> Option<Vec<ConnectionId>> {
        if from == 0 {
            // Such a reader was told of nobody.
            return Some(Vec::new());
        }
        if from < self.forgotten || from > self.version {
            return None;
        }
        let later = self.tombstones.iter().rev().take_while(|(version, _)| *version > from);
        let mut left: Vec<_> = later.map(|(_, connection)| *connection).collect();
        left.sort_unstable();
        left.dedup();
        Some(left)
    }

    /// The whole roster.
    pub(super) fn text(&mut self) -> RosterText {
        let (version, count) = (self.version, self.shown.len());
        let make = || {
            let mut json = String::from("{");
            join(&mut json, self.shown.values().map(|shown| &*shown.json));
            json.push('}');
            RosterText { version, count, json: json.into() }
        };
        self.text.get_or_insert_with(make).clone()
    }

    /// All connections, to pick from.
    pub(super) fn everybody(&mut self) -> Everybody {
        let make = || Everybody { version: self.version, all: self.shown.values().cloned().collect() };
        self.everybody.get_or_insert_with(make).clone()
    }

    /// The part of the canvas that a connection says it sees.
    pub(super) fn viewport_of(&self, connection: ConnectionId) -> Option<Viewport> {
        self.shown.get(&connection)?.entry.state.viewport()
    }

    fn render<'a>(&self, set: impl Iterator<Item = &'a str>, gone: Vec<ConnectionId>) -> PresenceDiff {
        PresenceDiff::render(self.drawing_id, self.version, self.shown.len(), set, gone)
    }
}

impl PresenceDiff {
    /// The message in one encoding, made once for all who get the same.
    pub(crate) fn bytes(&self, encoding: Encoding) -> &Bytes {
        self.encodings.get(encoding, || encode::sealed("presence", None, &self.json, encoding))
    }

    /// The message with these pieces of `set`.
    pub(super) fn render<'a>(
        drawing_id: DrawingId,
        to: u64,
        count: usize,
        set: impl Iterator<Item = &'a str>,
        gone: Vec<ConnectionId>,
    ) -> Self {
        let mut json = format!(r#"{{"type":"presence","drawing_id":"{drawing_id}","count":{count},"set":"#);
        let start = json.len();
        json.push('{');
        join(&mut json, set);
        json.push('}');
        let end = json.len();
        json.push_str(r#","gone":["#);
        for (nth, connection) in gone.iter().enumerate() {
            json.push_str(if nth > 0 { ",\"" } else { "\"" });
            json.push_str(connection.0.hyphenated().encode_lower(&mut [0; 36]));
            json.push('"');
        }
        json.push_str("]}");
        let json = Bytes::from(json);
        Self { count, set: json.slice(start..end), gone, to, json, encodings: Encodings::default() }
    }
}

fn join<'a>(json: &mut String, pieces: impl Iterator<Item = &'a str>) {
    for (nth, piece) in pieces.enumerate() {
        if nth > 0 {
            json.push(',');
        }
        json.push_str(piece);
    }
}

/// Returns `true` if a reader would see no difference.
fn looks_alike(one: &PresenceEntry, other: &PresenceEntry) -> bool {
    (&one.user_id, &one.name, &one.state) == (&other.user_id, &other.name, &other.state)
}

fn piece(entry: &PresenceEntry) -> Arc<str> {
    #[derive(Serialize)]
    struct Piece<'a> {
        user_id: &'a UserId,
        name: Option<&'a str>,
        state: &'a PresenceState,
    }
    let piece = Piece { user_id: &entry.user_id, name: entry.name.as_deref(), state: &entry.state };
    let json = serde_json::to_string(&piece).expect("strings and JSON text can be written");
    format!("\"{}\":{json}", entry.connection_id).into()
}
