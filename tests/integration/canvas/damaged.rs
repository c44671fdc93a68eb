//! Registers that no log leaves: they are refused, and whatever is taken for registers is a canvas that works.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::{collection::vec, prelude::*, sample::Index};
use revcast::model::{Canvas, InvalidRegisters, Revision, Scope};
use serde_json::{Value, json};

use crate::{
    canvas::random::{MOVES, PART, cases},
    support::{
        random_log::{Log, filler, fold, folded_logs},
        replica::Replica,
    },
};

/// A damage that is done to registers.
type Damage = fn(&mut Value);

#[test]
fn registers_that_contradict_themselves_are_refused() {
    let (revision, registers) = registers();
    let x = "/objects/o/props/x";
    assert_eq!(registers.pointer(x).unwrap().as_array().unwrap().len(), 3, "a base and two open writes");
    let damages: [(&str, Damage); 33] = [
        ("a unit that writes name is missing", |all| drop(units(all).remove(UNIT))),
        ("there are no units", |all| units(all).clear()),
        ("a unit began at 0", |all| units(all)[UNIT]["first"] = json!(0)),
        ("a unit is closed", |all| units(all)[UNIT]["first"] = json!(4)),
        ("a unit was never touched", |all| drop(units(all)[UNIT].as_object_mut().unwrap().remove("touched"))),
        ("a unit was touched at a text", |all| units(all)[UNIT]["touched"] = json!("1")),
        ("the floor is below 0", |all| all["floor"] = json!(-1)),
        ("the floor has closed the units", |all| all["floor"] = json!(7)),
        ("the floor is that of a fold to come", |all| all["floor"] = json!(9)),
        ("there are units but no floor is a number", |all| all["floor"] = json!("4")),
        ("a unit begins later", |all| units(all)[UNIT]["first"] = json!(9_999)),
        ("two units began at once", |all| units(all)[UNIT]["first"] = units(all)[OTHER]["first"].clone()),
        ("a unit was undone before it began", |all| units(all)[UNIT]["undone"] = json!([5, true])),
        ("a unit is undone later", |all| units(all)[UNIT]["undone"] = json!([9_999, true])),
        ("a unit has no actor", |all| drop(units(all)[UNIT].as_object_mut().unwrap().remove("actor"))),
        ("a unit draws perhaps", |all| units(all)[UNIT]["draws"] = json!("perhaps")),
        ("a unit is named otherwise", |all| {
            let unit = units(all).remove(UNIT).unwrap();
            units(all).insert("no UUID".to_owned(), unit);
        }),
        ("writes do not ascend", |all| x_writes(all).swap(1, 2)),
        ("the base is not the first", |all| x_writes(all).swap(0, 1)),
        ("there are two bases", |all| x_writes(all)[1][1] = Value::Null),
        ("a unit has two writes", |all| x_writes(all)[2][1] = x_writes(all)[1][1].clone()),
        ("a write is older than its unit", |all| x_writes(all)[1][0] = json!(5)),
        ("a write is yet to come", |all| x_writes(all)[2][0] = json!(9_999)),
        ("a revision is a text", |all| x_writes(all)[2][0] = json!("7")),
        ("a write is too long", |all| x_writes(all)[2].as_array_mut().unwrap().push(json!(1))),
        ("a write is too short", |all| x_writes(all)[2].as_array_mut().unwrap().truncate(1)),
        ("a register has no writes", |all| x_writes(all).clear()),
        ("an object has no registers", |all| all["objects"]["o"] = json!({})),
        ("an object has no id", |all| all["objects"]["no id"] = all["objects"]["o"].clone()),
        ("existence is neither", |all| all["objects"]["o"]["exists"][0][2] = json!("perhaps")),
        ("a kind is a number", |all| all["objects"]["o"]["kind"][0][2] = json!(1)),
        ("points are no array", |all| all["objects"]["o"]["points"]["0"][0][2] = json!("[]")),
        ("an end has a value", |all| all["objects"]["o"]["ends"]["1"][0] = json!([1, null, true])),
    ];
    for (what, damage) in damages {
        let mut damaged = registers.clone();
        damage(&mut damaged);
        assert_ne!(damaged, registers, "{what}: nothing is damaged");
        assert!(load(revision, &damaged.to_string()).is_err(), "{what}");
    }
    for member in ["floor", "canvas", "clear", "objects", "units"] {
        for other in [None, Some(json!(-1)), Some(Value::Null)] {
            let mut damaged = registers.clone();
            match &other {
                Some(other) => damaged[member] = other.clone(),
                None => drop(damaged.as_object_mut().unwrap().remove(member)),
            }
            assert!(load(revision, &damaged.to_string()).is_err(), "{member} is {other:?}");
        }
    }
}

#[test]
fn registers_of_another_revision_are_refused_where_that_can_be_told() {
    let (revision, registers) = registers();
    let registers = registers.to_string();
    assert!(load(revision, &registers).is_ok());
    assert!(load(revision - 1, &registers).is_err(), "the last write is ahead");
}

#[test]
fn registers_of_another_format_are_refused_as_such() {
    let (revision, registers) = registers();
    for format in [1, 3] {
        let mut other = registers.clone();
        other["format"] = format.into();
        assert_is_of_another_format(revision, &other);
        // Nobody knows what else a format to come holds.
        let other = json!({"format": other["format"], "columns": []});
        assert_is_of_another_format(revision, &other);
    }
    let mut none = registers;
    none.as_object_mut().unwrap().remove("format");
    assert_is_of_another_format(revision, &none);
}

fn assert_is_of_another_format(revision: u64, registers: &Value) {
    let error = load(revision, &registers.to_string()).unwrap_err();
    assert!(error.to_string().contains("format"), "{error}");
}

proptest! {
    #![proptest_config(cases(PART))]

    #[test]
    fn damaged_registers_are_refused_or_make_a_canvas_that_works(
        log in folded_logs(MOVES),
        places in vec((any::<Index>(), 0..PIECES.len(), 0..3_usize), 1..4),
    ) {
        let mut bytes = Replica::replay(&log.0).canvas.registers().into_bytes();
        for (place, piece, gone) in places {
            let at = place.index(bytes.len());
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, PIECES[piece].bytes());
        }
        let damaged = String::from_utf8_lossy(&bytes);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let Ok(canvas) = load(log.head(), &damaged) else { return };
            let again = load(log.head(), &canvas.registers()).expect("what it writes, it reads");
            assert_eq!(again.registers(), canvas.registers());
            assert_eq!(again.view(), canvas.view());
            let _ = canvas.history(Scope::All);
            let mut replica = Replica::from(canvas);
            let head = log.head();
            replica.follow(&(head + 1..head + 8).map(filler).collect::<Vec<_>>());
            replica.follow(&[fold(head + 8, head / 2), fold(head + 9, head + 4)]);
        }));
        prop_assert!(outcome.is_ok(), "{}", damaged);
    }
}

/// The pieces that are put into registers: their seams, and values that may stand elsewhere in them.
const PIECES: [&str; 18] = [
    "",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "null",
    "0",
    "1",
    "7",
    "true",
    "\"create\"",
    "[]",
    "[1,null]",
    "-1",
    "\\",
];

/// Two units of [`registers`], both open.
const UNIT: &str = "00000000-0000-7000-8000-000000000006";
const OTHER: &str = "00000000-0000-7000-8000-000000000007";

/// Registers with folded and open writes, and their revision.
fn registers() -> (u64, Value) {
    let mut log = Log::default();
    let begin = json!({"type": "stroke.begin", "object_id": "o", "tool": "pen", "props": {"x": 1}, "points": [[1, 2]]});
    log.commit("alice", None, begin);
    log.commit(
        "alice",
        None,
        json!({"type": "stroke.append", "object_id": "o", "index": 1, "points": [[3, 4]]}),
    );
    log.commit("alice", None, json!({"type": "stroke.end", "object_id": "o", "count": 1}));
    log.commit("gm", None, json!({"type": "canvas.set", "set": {"background": "#fff"}}));
    log.fold_all();
    log.commit("alice", None, json!({"type": "object.update", "object_id": "o", "set": {"x": 2}}));
    log.commit("bob", None, json!({"type": "object.update", "object_id": "o", "set": {"x": 3}}));
    log.toggle("bob", OTHER, true);
    log.commit("gm", None, json!({"type": "canvas.clear"}));
    let replica = Replica::replay(&log.0);
    (log.head(), serde_json::from_str(&replica.canvas.registers()).unwrap())
}

fn load(revision: u64, registers: &str) -> Result<Canvas, InvalidRegisters> {
    Canvas::from_registers(Revision(revision), registers)
}

fn units(registers: &mut Value) -> &mut serde_json::Map<String, Value> {
    registers["units"].as_object_mut().unwrap()
}

fn x_writes(registers: &mut Value) -> &mut Vec<Value> {
    registers["objects"]["o"]["props"]["x"].as_array_mut().unwrap()
}
