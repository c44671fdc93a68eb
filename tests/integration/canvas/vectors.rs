//! The rules of the canvas by example: `tests/vectors/*.json`, which every reducer of every language runs.
//!
//! Each file has those of one topic. A new vector has `name`, `rule` and `log`; `REVCAST_WRITE_VECTORS=1` writes the
//! `steps` of all of them anew as the reference gives them, to be read before they are committed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
};

use revcast::model::Op;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::support::{
    naive::{Naive, canonical, hash_of},
    random_log::{FILLER, FOLDER, filler},
};

/// Fewer would not cover the rules.
const MIN_VECTORS: usize = 75;

/// Whatever replays logs. To run another reducer over the files, implement this and add a test like
/// [`every_vector_holds_for_the_reference`].
pub trait Reducer: Default {
    /// Applies the next committed op.
    fn apply(&mut self, op: &Value);
    /// The canvas that readers see now.
    fn view(&self) -> Value;
    /// The hash of it.
    fn state_hash(&self) -> String;
    /// The units that undo and redo would pick now: from those of one actor, or from all.
    fn history(&self, actor: Option<&str>) -> Value;
}

impl Reducer for Naive {
    fn apply(&mut self, op: &Value) {
        self.push(op);
    }

    fn view(&self) -> Value {
        self.view()
    }

    fn state_hash(&self) -> String {
        self.state_hash()
    }

    fn history(&self, actor: Option<&str>) -> Value {
        actor.map_or_else(|| self.history_all(), |actor| self.history_mine(actor))
    }
}

/// One log, and what is seen of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    /// The rule that it pins.
    rule: String,
    /// Committed ops, and `{"fill_to": R}` for fillers up to revision R. As they stand in the file: the
    /// spelling of a number may be what a vector is about.
    log: Vec<Box<RawValue>>,
    /// The picture after each entry of the log.
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    revision: u64,
    view: Value,
    state_hash: String,
    history: Histories,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Histories {
    all: Value,
    mine: BTreeMap<String, Value>,
}

#[test]
fn every_vector_holds_for_the_reference() {
    if env::var_os("REVCAST_WRITE_VECTORS").is_some() {
        return write_vectors();
    }
    every_vector_holds_for::<Naive>();
}

/// Runs all files; this is where each reducer is measured by the same rules.
pub fn every_vector_holds_for<R: Reducer>() {
    for vector in vectors().into_values().flatten() {
        let steps = vector.replay::<R>();
        assert_eq!(steps.len(), vector.steps.len(), "{}: a step for each entry of the log", vector.name);
        for (given, expected) in steps.iter().zip(&vector.steps) {
            let place = format!("{} at revision {}: {}", vector.name, expected.revision, vector.rule);
            assert_eq!(given.revision, expected.revision, "{place}");
            assert_eq!(canonical(&given.view), canonical(&expected.view), "{place}");
            assert_eq!(given.state_hash, expected.state_hash, "{place}");
            assert_eq!(given.history.all, expected.history.all, "all of {place}");
            assert_eq!(given.history.mine, expected.history.mine, "mine of {place}");
        }
    }
}

#[test]
fn a_vector_has_a_name_of_its_topic_and_says_its_rule() {
    let vectors = vectors();
    let topics: Vec<_> =
        vectors.keys().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let mut names = BTreeSet::new();
    for (topic, vector) in topics
        .iter()
        .zip(vectors.into_values())
        .flat_map(|(topic, all)| all.into_iter().map(move |v| (topic, v)))
    {
        let named = topics.iter().find(|topic| vector.name.starts_with(&format!("{topic}-")));
        assert_eq!(named.map_or("other", String::as_str), topic, "{}", vector.name);
        assert!(names.insert(vector.name.clone()), "{} stands there twice", vector.name);
        let is_kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(vector.name.chars().all(is_kebab), "{}", vector.name);
        assert!(vector.rule.ends_with('.'), "{}: the rule is a sentence", vector.name);
    }
    assert!(names.len() >= MIN_VECTORS, "{} vectors", names.len());
}

#[test]
fn a_state_hash_is_that_of_the_view_beside_it() {
    for vector in vectors().values().flatten() {
        for step in &vector.steps {
            assert_eq!(step.state_hash, hash_of(&step.view), "{} at {}", vector.name, step.revision);
        }
    }
}

#[test]
fn ops_of_vectors_are_ops_that_a_server_takes() {
    for vector in vectors().values().flatten() {
        for mut op in vector.ops().into_iter().flatten() {
            let fields = op.as_object_mut().unwrap();
            for envelope in ["revision", "actor", "ts"] {
                assert!(fields.remove(envelope).is_some(), "{}: {envelope} is missing", vector.name);
            }
            // A type of tomorrow is one that this server does not know, and 0 is no revision to fold at.
            if op["type"].as_str().is_some_and(|name| name.starts_with("tomorrow.")) || op["floor"] == 0 {
                continue;
            }
            let outcome = Op::parse(&op.to_string()).map(drop);
            assert!(outcome.is_ok(), "{}: {outcome:?} in {op}", vector.name);
        }
    }
}

impl Vector {
    /// The ops that each entry of the log stands for.
    fn ops(&self) -> Vec<Vec<Value>> {
        let mut head = 0;
        let mut entries = Vec::new();
        for entry in &self.log {
            let entry: Value = serde_json::from_str(entry.get()).unwrap();
            let ops = match entry["fill_to"].as_u64() {
                Some(end) => (head + 1..=end).map(filler).collect(),
                None => vec![entry],
            };
            for op in &ops {
                assert_eq!(op["revision"], head + 1, "{}: revisions follow each other", self.name);
                head += 1;
            }
            entries.push(ops);
        }
        entries
    }

    fn replay<R: Reducer>(&self) -> Vec<Step> {
        let entries = self.ops();
        let actor = |op: &Value| op["actor"].as_str().unwrap().to_owned();
        let mut actors: Vec<String> = entries.iter().flatten().map(actor).collect();
        actors.retain(|actor| actor != FILLER && actor != FOLDER);
        let mut reducer = R::default();
        let step = |ops: &Vec<Value>| {
            ops.iter().for_each(|op| reducer.apply(op));
            let mine = |actor: &String| (actor.clone(), reducer.history(Some(actor)));
            Step {
                revision: ops.last().and_then(|op| op["revision"].as_u64()).unwrap(),
                view: reducer.view(),
                state_hash: reducer.state_hash(),
                history: Histories { all: reducer.history(None), mine: actors.iter().map(mine).collect() },
            }
        };
        entries.iter().map(step).collect()
    }

    /// The vector in its file: an op a line, and of each step what is compared.
    fn to_file(&self) -> String {
        let log: Vec<String> = self.log.iter().map(|entry| format!("    {}", entry.get())).collect();
        let steps: Vec<String> = self.replay::<Naive>().iter().map(Step::to_file).collect();
        format!(
            "{{\n  \"name\": {},\n  \"rule\": {},\n  \"log\": [\n{}\n  ],\n  \"steps\": [\n{}\n  ]\n}}",
            json!(self.name),
            json!(self.rule),
            log.join(",\n"),
            steps.join(",\n"),
        )
    }
}

impl Step {
    fn to_file(&self) -> String {
        let mine: Vec<String> = (self.history.mine.iter())
            .map(|(actor, history)| format!("          {}: {}", json!(actor), canonical(history)))
            .collect();
        format!(
            "    {{\n      \"revision\": {},\n      \"view\": {},\n      \"state_hash\": \"{}\",\n      \
             \"history\": {{\n        \"all\": {},\n        \"mine\": {{\n{}\n        }}\n      }}\n    }}",
            self.revision,
            canonical(&self.view),
            self.state_hash,
            canonical(&self.history.all),
            mine.join(",\n"),
        )
    }
}

fn write_vectors() {
    for (path, vectors) in vectors() {
        let texts: Vec<_> = vectors.iter().map(Vector::to_file).collect();
        fs::write(path, format!("[\n{}\n]\n", texts.join(",\n"))).unwrap();
    }
}

/// The vectors of all files, by their paths.
fn vectors() -> BTreeMap<PathBuf, Vec<Vector>> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let json = fs::read_to_string(&path).unwrap();
        let vectors =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, vectors)
    };
    paths.map(read).collect()
}

#[test]
fn canonical_json_is_that_of_rfc_8785() {
    // Section 3.2.2: spelling of numbers, literals and strings.
    let input = r#"{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"#;
    let expected = concat!(
        r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
        r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
    );
    assert_eq!(canonical(&serde_json::from_str(input).unwrap()), expected);

    // Section 3.2.3: keys are sorted by their UTF-16 code units.
    let input = r#"{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis"}"#;
    let sorted = canonical(&serde_json::from_str(input).unwrap());
    let values = ["Carriage Return", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
    let places: Vec<_> = values.iter().map(|value| sorted.find(&format!("\"{value}"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{sorted}");

    // Appendix B and the spellings that ops may use.
    let numbers = [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.0", "1"),
        ("1e0", "1"),
        ("10e-1", "1"),
        ("0.1", "0.1"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("999999999999999900000e0", "999999999999999900000"),
        ("0.000001", "0.000001"),
        ("1e-7", "1e-7"),
        ("5e-324", "5e-324"),
        ("-5e-324", "-5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740992", "-9007199254740992"),
        ("295147905179352830000e0", "295147905179352830000"),
        ("9.999999999999997e22", "9.999999999999997e+22"),
        ("333333333.33333325", "333333333.33333325"),
        ("1424953923781206.2", "1424953923781206.2"),
    ];
    for (literal, expected) in numbers {
        assert_eq!(canonical(&serde_json::from_str(literal).unwrap()), expected, "{literal}");
    }
}
