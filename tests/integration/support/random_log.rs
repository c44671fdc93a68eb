//! Random logs that a server could have committed: several actors on few objects, so that they collide.
//!
//! Owns how such a log is made: of small entries, so that a failing one shrinks to the few that matter. A log may hold
//! folds, invalid ones too, which readers ignore. Only strays name a unit that is closed or unknown.

use std::fmt;

use proptest::{
    collection::{SizeRange, vec},
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use super::naive::unit_of;

/// The user who commits fillers.
pub const FILLER: &str = "filler";
/// The owner of the drawing, who may undo anyone's units and may set and clear the canvas.
pub const OWNER: &str = "gm";
/// The users who draw.
pub const ACTORS: [&str; 3] = [OWNER, "alice", "bob"];

/// The actor that commits folds.
pub const FOLDER: &str = "revcast:fold";
/// Most fillers in a row.
const FILLERS: usize = 8;

/// The op that stands for nothing in particular at a revision.
pub fn filler(revision: u64) -> Value {
    json!({
        "revision": revision,
        "actor": FILLER,
        "ts": 1_700_000_000_000_u64,
        "op_id": op_id(revision),
        "type": "custom.fill",
        "data": null,
    })
}

/// A fold.
pub fn fold(revision: u64, floor: u64) -> Value {
    json!({
        "revision": revision,
        "actor": FOLDER,
        "ts": 1_700_000_000_000 + revision,
        "op_id": op_id(revision),
        "type": "fold",
        "floor": floor,
    })
}

/// A log of about `size` ops, fillers aside; the same one for the same arguments.
pub fn random_log(seed: u64, size: usize) -> Vec<Value> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let tree = logs(size).new_tree(&mut TestRunner::new_with_rng(Config::default(), rng));
    tree.expect("nothing is ever rejected").current().0
}

/// Logs of so many entries; every other one holds folds.
pub fn logs(size: impl Into<SizeRange>) -> impl Strategy<Value = Log> {
    let size = size.into();
    prop_oneof![plain_logs(size.clone()), folded_logs(size)]
}

/// Logs of so many moves, without folds.
pub fn plain_logs(size: impl Into<SizeRange>) -> impl Strategy<Value = Log> {
    vec(turn().prop_map(Entry::Move), size).prop_map(|entries| Log::of(&entries))
}

/// Logs of so many entries, with folds among them.
pub fn folded_logs(size: impl Into<SizeRange>) -> impl Strategy<Value = Log> {
    vec(entry(), size).prop_map(|entries| Log::of(&entries))
}

/// Such logs with ops that a server refuses, as they name a unit that is closed or unknown.
pub fn stray_logs(size: impl Into<SizeRange>) -> impl Strategy<Value = Log> {
    let stray = (0..3_usize, any::<usize>(), prop::option::of(any::<bool>()), drawing())
        .prop_map(|(by, which, undo, payload)| Entry::Stray { by, which, undo, payload });
    vec(prop_oneof![6 => entry(), 1 => stray], size).prop_map(|entries| Log::of(&entries))
}

/// An entry that may come next in a log.
#[derive(Clone, Debug)]
pub enum Entry {
    Move(Move),
    Fold(Floor),
    /// An op that draws or, with `undo`, an undo or redo, which names some op of the log, whether or not there is an
    /// open unit of that name: 0 is the first.
    Stray {
        by: usize,
        which: usize,
        undo: Option<bool>,
        payload: Value,
    },
}

/// The floor of a fold, which may lie where it is not valid.
#[derive(Clone, Debug)]
pub enum Floor {
    /// So far down from three revisions above the head: the fold itself is one above.
    Near(u64),
    /// Somewhere from 0 to the head.
    Anywhere(usize),
}

/// A step that clients may take next. Numbers select from what there is, so that each move can always be made.
#[derive(Clone, Debug)]
pub enum Move {
    /// An op of its own unit or, with `join`, of one that the actor has begun: 0 is the latest.
    Draw { by: usize, join: Option<usize>, payload: Value },
    /// An undo or redo of a unit of the actor, any unit for the owner: 0 is the latest.
    Toggle { by: usize, undo: bool, which: usize },
    /// A run of fillers.
    Fill { count: usize },
}

/// An open unit.
#[derive(Clone, Debug)]
struct Open {
    id: String,
    first: u64,
    actor: String,
    is_live: bool,
}

/// A log, fit to be the `log` of a vector when printed.
#[derive(Clone, Default)]
pub struct Log(pub Vec<Value>);

impl Log {
    /// The log that these entries make.
    pub fn of(entries: &[Entry]) -> Self {
        let mut log = Self::default();
        entries.iter().for_each(|entry| log.make(entry));
        log
    }

    fn make(&mut self, entry: &Entry) {
        match entry {
            Entry::Move(a_move) => self.make_move(a_move),
            Entry::Fold(Floor::Near(down)) => self.fold((self.head() + 3).saturating_sub(*down)),
            Entry::Fold(Floor::Anywhere(floor)) => {
                self.fold(u64::try_from(floor % (self.0.len() + 1)).expect("it is up to the head"));
            }
            Entry::Stray { by, which, undo, payload } => {
                let by = if is_of_owner(payload) { OWNER } else { ACTORS[by % ACTORS.len()] };
                let Some(named) = which.checked_rem(self.0.len()) else { return };
                let unit = self.0[named]["op_id"].as_str().expect("an op has an id").to_owned();
                match undo {
                    Some(undo) => self.toggle(by, &unit, *undo),
                    None => self.commit(by, Some(&unit), payload.clone()),
                }
            }
        }
    }

    fn make_move(&mut self, a_move: &Move) {
        match a_move {
            Move::Draw { by, join, payload } => {
                let by = if is_of_owner(payload) { OWNER } else { ACTORS[by % ACTORS.len()] };
                let own = self.open_units(|actor| actor == by);
                let joined = join.and_then(|join| pick(&own, join));
                self.commit(by, joined, payload.clone());
            }
            Move::Toggle { by, undo, which } => {
                let by = ACTORS[by % ACTORS.len()];
                let units = self.open_units(|actor| actor == by || by == OWNER);
                if let Some(unit) = pick(&units, *which) {
                    self.toggle(by, unit, *undo);
                }
            }
            Move::Fill { count } => {
                let head = self.head();
                self.0.extend((1..).take(1 + count % FILLERS).map(|nth| filler(head + nth)));
            }
        }
    }

    /// Revision of the last op.
    pub fn head(&self) -> u64 {
        self.0.len() as u64
    }

    /// The open units that an actor of this kind has begun, the oldest first; those of fillers aside.
    pub fn open_units(&self, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        self.open().into_iter().filter(|unit| is_meant(&unit.actor)).map(|unit| unit.id).collect()
    }

    /// The open units that nothing has undone.
    pub fn live_units(&self) -> Vec<String> {
        self.open().into_iter().filter(|unit| unit.is_live).map(|unit| unit.id).collect()
    }

    /// True if the op at this revision is a fold, and a valid one.
    pub fn is_valid_fold(&self, revision: u64) -> bool {
        self.floor_at(revision) > self.floor_at(revision - 1)
    }

    /// The floor once the op at this revision is applied.
    pub fn floor_at(&self, revision: u64) -> u64 {
        let floor = |op: &Value| op["floor"].as_u64().filter(|floor| Some(*floor) < op["revision"].as_u64());
        let ops = self.0.iter().zip(1..=revision).map(|(op, _)| op);
        ops.filter(|op| op["type"] == "fold").filter_map(floor).max().unwrap_or(0)
    }

    /// The same log, in which no fold is valid.
    pub fn without_folds(&self) -> Self {
        let mut log = self.clone();
        log.0.iter_mut().filter(|op| op["type"] == "fold").for_each(|op| op["floor"] = 0.into());
        log
    }

    /// The open units, the oldest first; those of fillers aside.
    fn open(&self) -> Vec<Open> {
        let mut open: Vec<Open> = Vec::new();
        for (op, revision) in self.0.iter().zip(1..).filter(|(op, _)| op["actor"] != FILLER) {
            let type_name = op["type"].as_str().expect("an op has a type");
            if type_name == "fold" {
                let floor = self.floor_at(revision);
                open.retain(|unit| unit.first > floor);
                continue;
            }
            let id = unit_of(op);
            match (open.iter_mut().find(|unit| unit.id == id), type_name) {
                (Some(unit), "undo" | "redo") => unit.is_live = type_name == "redo",
                (Some(_), _) | (None, "undo" | "redo") => (),
                (None, _) => {
                    let actor = op["actor"].as_str().expect("an op has an actor").to_owned();
                    open.push(Open { id, first: revision, actor, is_live: true });
                }
            }
        }
        open
    }

    /// Adds an op that draws, in a unit of its own or in the one given.
    pub fn commit(&mut self, actor: &str, unit: Option<&str>, payload: Value) {
        let revision = self.head() + 1;
        let mut op = json!({
            "revision": revision,
            "actor": actor,
            "ts": 1_700_000_000_000 + revision,
            "op_id": op_id(revision),
        });
        if let Some(unit) = unit {
            op["unit"] = unit.into();
        }
        let Value::Object(payload) = payload else { panic!("a payload is an object") };
        op.as_object_mut().expect("it was made as one").extend(payload);
        self.0.push(op);
    }

    /// Adds an undo or redo.
    pub fn toggle(&mut self, actor: &str, unit: &str, undo: bool) {
        self.commit(actor, Some(unit), json!({"type": if undo { "undo" } else { "redo" }}));
    }

    /// Adds a fold, be it valid or not.
    pub fn fold(&mut self, floor: u64) {
        self.0.push(fold(self.head() + 1, floor));
    }

    /// Adds a fold that closes all units.
    pub fn fold_all(&mut self) {
        self.fold(self.head());
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_filler = |op: Option<&Value>| op.is_some_and(|op| op["actor"] == FILLER);
        for (at, op) in self.0.iter().enumerate() {
            match (is_filler(Some(op)), is_filler(self.0.get(at + 1))) {
                (true, true) => {}
                (true, false) => writeln!(f, "{},", json!({"fill_to": op["revision"]}))?,
                (false, _) => writeln!(f, "{op},")?,
            }
        }
        Ok(())
    }
}

/// The id of the op at that revision.
fn op_id(revision: u64) -> String {
    format!("00000000-0000-7000-8000-{revision:012x}")
}

/// True if only owners may commit it.
pub fn is_of_owner(payload: &Value) -> bool {
    payload["type"].as_str().is_some_and(|name| name.starts_with("canvas.")) || payload["kind"] == "fog"
}

/// One of the units, counted from the latest.
fn pick(units: &[String], which: usize) -> Option<&str> {
    let from_latest = which.checked_rem(units.len())?;
    units.iter().rev().nth(from_latest).map(String::as_str)
}

/// Mostly a move that is no filler.
fn entry() -> impl Strategy<Value = Entry> {
    // Those near the head come with units that are still being drawn.
    let floor = prop_oneof![(0..8_u64).prop_map(Floor::Near), any::<usize>().prop_map(Floor::Anywhere)];
    let fill = any::<usize>().prop_map(|count| Move::Fill { count });
    prop_oneof![
        12 => turn().prop_map(Entry::Move),
        1 => floor.prop_map(Entry::Fold),
        1 => fill.prop_map(Entry::Move),
    ]
}

/// A move that is no filler.
pub fn turn() -> impl Strategy<Value = Move> {
    // Mostly the latest unit: gestures are continued and undone while they are fresh.
    let which = || prop_oneof![0..3_usize, 0..20_usize];
    let join = prop_oneof![2 => Just(None), 1 => which().prop_map(Some)];
    let draw = (0..3_usize, join, drawing()).prop_map(|(by, join, payload)| Move::Draw { by, join, payload });
    let undo = prop::bool::weighted(0.6);
    let toggle = (0..3_usize, undo, which()).prop_map(|(by, undo, which)| Move::Toggle { by, undo, which });
    prop_oneof![2 => draw, 1 => toggle]
}

/// The type and payload of an op of any type but undo and redo.
pub fn drawing() -> impl Strategy<Value = Value> {
    let create = (object_id(), prop::sample::select(vec!["rect", "stroke", "fog"]), z(), entries()).prop_map(
        |(id, kind, z, props)| {
            with_z(json!({"type": "object.create", "object_id": id, "kind": kind, "props": props}), z)
        },
    );
    let update = (object_id(), entries(), z(), vec(prop_name(), 0..2)).prop_map(|(id, set, z, mut unset)| {
        unset.retain(|key| !set.contains_key(*key));
        with_z(json!({"type": "object.update", "object_id": id, "set": set, "unset": unset}), z)
    });
    let delete = vec(object_id(), 0..3).prop_map(|ids| json!({"type": "object.delete", "object_ids": ids}));
    let begin = (object_id(), z(), entries(), points()).prop_map(|(id, z, props, points)| {
        let begin =
            json!({"type": "stroke.begin", "object_id": id, "tool": "pen", "props": props, "points": points});
        with_z(begin, z)
    });
    let append = (object_id(), 1..4_u64, points()).prop_map(|(id, index, points)| {
        json!({"type": "stroke.append", "object_id": id, "index": index, "points": points})
    });
    let end = (object_id(), 0..4_u64)
        .prop_map(|(id, count)| json!({"type": "stroke.end", "object_id": id, "count": count}));
    let canvas = entries().prop_map(|set| json!({"type": "canvas.set", "set": set}));
    let custom = value().prop_map(|data| json!({"type": "custom.ping", "data": data}));
    prop_oneof![
        5 => create,
        6 => update,
        3 => delete,
        4 => begin,
        6 => append,
        2 => end,
        2 => canvas,
        1 => Just(json!({"type": "canvas.clear"})),
        1 => custom,
    ]
}

fn with_z(mut payload: Value, z: Option<&str>) -> Value {
    if let Some(z) = z {
        payload["z"] = z.into();
    }
    payload
}

fn object_id() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["o1", "o2", "o3"])
}

fn prop_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["x", "y", "__proto__"])
}

fn entries() -> impl Strategy<Value = Map<String, Value>> {
    vec((prop_name(), value()), 0..3)
        .prop_map(|entries| entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn z() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::weighted(0.3, prop::sample::select(vec!["", "a", "a0", "Z", "\u{fb33}", "\u{1f600}"]))
}

/// Few values, so that writes of what is there already are frequent.
fn value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(1),
        json!(2),
        json!(1.0),
        json!(-0.0),
        json!(1e-7),
        json!(null),
        json!("\u{1f600}"),
        json!({"b": [1], "a": {}}),
    ])
}

fn points() -> impl Strategy<Value = Vec<Value>> {
    let point = prop_oneof![
        (0..9_u8, 0..9_u8).prop_map(|(x, y)| json!([x, y])),
        (0..9_u8).prop_map(|x| json!([x, 0.5, 0.25])),
    ];
    vec(point, 0..3)
}
