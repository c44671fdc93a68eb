//! Random logs that a server could have committed: several actors on few objects, so that they collide.
//!
//! Owns how such a log is made: of small moves, so that a failing one shrinks to the few that matter. A log
//! may cross folds, for moves may be runs of fillers; it never names a unit that is closed or unknown.

use std::fmt;

use proptest::{
    collection::{SizeRange, vec},
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use super::naive::{floor, unit_of};

/// Who commits fillers.
pub const FILLER: &str = "filler";
/// The owner of the drawing, who may undo anyone's units and may set and clear the canvas.
pub const OWNER: &str = "gm";
/// Who draws.
pub const ACTORS: [&str; 3] = [OWNER, "alice", "bob"];

/// Fillers end where the next op has one of these remainders by 1,024: around the folds and far from them.
const FILL_UP_TO: [u64; 7] = [1022, 1023, 0, 1, 2, 3, 512];
/// Revision after which a log is not filled any more: four folds, three of which close something.
const LAST_FILL: u64 = 4 * 1024;

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

/// A log of about `size` ops, fillers aside; the same one for the same arguments.
pub fn random_log(seed: u64, size: usize) -> Vec<Value> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let tree = logs(size).new_tree(&mut TestRunner::new_with_rng(Config::default(), rng));
    tree.expect("nothing is ever rejected").current().0
}

/// Logs of so many moves. Every other one stays within the first 1,024 revisions.
pub fn logs(size: impl Into<SizeRange>) -> impl Strategy<Value = Log> {
    moves(size).prop_map(|moves| Log::of(&moves))
}

/// Logs of so many moves that stay within the first 1,024 revisions.
pub fn short_logs(size: impl Into<SizeRange>) -> impl Strategy<Value = Log> {
    vec(turn(), size).prop_map(|moves| Log::of(&moves))
}

/// Logs that cross folds: a few stretches of so many moves with fillers between them.
pub fn folded_logs(size: impl Into<SizeRange>) -> impl Strategy<Value = Log> {
    folded_moves(size).prop_map(|moves| Log::of(&moves))
}

/// The moves of such a log.
pub fn folded_moves(size: impl Into<SizeRange>) -> impl Strategy<Value = Vec<Move>> {
    let stretch = (vec(turn(), size), fill()).prop_map(|(mut moves, fill)| {
        moves.push(fill);
        moves
    });
    // Two runs of fillers may end before the first fold that closes something; five cross all four.
    vec(stretch, 3..6).prop_map(|stretches| stretches.concat())
}

/// The moves of any such log.
pub fn moves(size: impl Into<SizeRange>) -> impl Strategy<Value = Vec<Move>> {
    let size = size.into();
    let with_folds = prop_oneof![12 => turn(), 1 => fill()];
    prop_oneof![vec(turn(), size.clone()), vec(with_folds, size)]
}

/// What may come next in a log. Numbers select from what there is, so that each move can always be made.
#[derive(Clone, Debug)]
pub enum Move {
    /// An op of its own unit or, with `join`, of one that the actor has begun: 0 is the latest.
    Draw { by: usize, join: Option<usize>, payload: Value },
    /// An undo or redo of a unit of the actor, any unit for the owner: 0 is the latest.
    Toggle { by: usize, undo: bool, which: usize },
    /// Fillers.
    Fill { up_to: usize },
}

/// A log, fit to be the `log` of a vector when printed.
#[derive(Clone, Default)]
pub struct Log(pub Vec<Value>);

impl Log {
    /// The log that these moves make.
    pub fn of(moves: &[Move]) -> Self {
        let mut log = Self::default();
        moves.iter().for_each(|a_move| log.make(a_move));
        log
    }

    /// Makes one move.
    pub fn make(&mut self, a_move: &Move) {
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
            Move::Fill { up_to } if self.head() < LAST_FILL => {
                self.fill_up_to(FILL_UP_TO[up_to % FILL_UP_TO.len()]);
            }
            Move::Fill { .. } => {}
        }
    }

    /// Revision of the last op.
    pub fn head(&self) -> u64 {
        self.0.len() as u64
    }

    /// The open units that an actor of this kind has begun, the oldest first; those of fillers aside.
    pub fn open_units(&self, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        // Revisions count from 1, so this is what lies above the floor.
        let open = self.0.iter().skip(usize::try_from(floor(self.head())).expect("it is below the length"));
        let begins = open.filter(|op| op.get("unit").is_none() && op["actor"] != FILLER);
        begins.filter(|op| op["actor"].as_str().is_some_and(&is_meant)).map(unit_of).collect()
    }

    /// The open units that nothing has undone.
    pub fn live_units(&self) -> Vec<String> {
        let open = self.open_units(|_| true);
        let mut units = open.clone();
        for op in &self.0 {
            let unit = unit_of(op);
            match op["type"].as_str() {
                Some("undo") => units.retain(|live| *live != unit),
                Some("redo") if open.contains(&unit) && !units.contains(&unit) => units.push(unit),
                _ => {}
            }
        }
        units
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

    /// Adds fillers until the next revision has this remainder by 1,024.
    pub fn fill_up_to(&mut self, remainder: u64) {
        while (self.head() + 1) % 1024 != remainder {
            self.0.push(filler(self.head() + 1));
        }
    }

    /// Adds fillers up to and over so many folds.
    pub fn fill_over(&mut self, folds: u64) {
        let end = (self.head() / 1024 + folds) * 1024;
        self.0.extend((self.head() + 1..=end).map(filler));
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

fn op_id(revision: u64) -> String {
    format!("00000000-0000-7000-8000-{revision:012x}")
}

/// Whether only owners may commit it.
pub fn is_of_owner(payload: &Value) -> bool {
    payload["type"].as_str().is_some_and(|name| name.starts_with("canvas.")) || payload["kind"] == "fog"
}

/// One of the units, counted from the latest.
fn pick(units: &[String], which: usize) -> Option<&str> {
    let from_latest = which.checked_rem(units.len())?;
    units.iter().rev().nth(from_latest).map(String::as_str)
}

fn fill() -> impl Strategy<Value = Move> {
    any::<usize>().prop_map(|up_to| Move::Fill { up_to })
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
