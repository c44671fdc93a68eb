//! The reducer: it runs the vectors, and keeps no more than it needs.

use serde_json::{Value, json};

use crate::{
    canvas::vectors::{Reducer, every_vector_holds_for},
    support::{naive::unit_of, random_log::Log, replica::Replica},
};

impl Reducer for Replica {
    fn apply(&mut self, op: &Value) {
        self.follow(std::slice::from_ref(op));
    }

    fn view(&self) -> Value {
        serde_json::from_str(&self.canvas.view()).unwrap()
    }

    fn state_hash(&self) -> String {
        self.state_hash()
    }

    fn history(&self, actor: Option<&str>) -> Value {
        self.history(actor)
    }
}

#[test]
fn every_vector_holds_for_the_reducer() {
    every_vector_holds_for::<Replica>();
}

#[test]
fn a_gesture_leaves_one_write_of_each_property() {
    let mut log = Log::default();
    log.commit("alice", None, create("a"));
    let unit = unit_of(&log.0[0]);
    let mut replica = Replica::replay(&log.0);
    let weight = replica.canvas.weight();
    for x in 1_001..=2_000 {
        log.commit("alice", Some(&unit), update("a", x));
    }
    replica.follow(&log.0[1..]);
    assert_eq!(registers(&replica)["objects"]["a"]["props"]["x"], json!([[1_001, unit, 2_000]]));
    assert_eq!(replica.canvas.weight(), weight);
}

#[test]
fn a_property_keeps_no_more_writes_than_there_are_open_units() {
    let mut log = Log::default();
    log.commit("alice", None, create("a"));
    let mut replica = Replica::replay(&log.0);
    let mut heaviest = 0;
    for x in 1_001..=6_000 {
        let followed = log.0.len();
        log.commit("alice", None, update("a", x));
        if x % 1_000 == 0 {
            log.fold(log.head().saturating_sub(2_000));
        }
        replica.follow(&log.0[followed..]);
        heaviest = heaviest.max(replica.canvas.weight());
    }
    let writes =
        |replica: &Replica| registers(replica)["objects"]["a"]["props"]["x"].as_array().unwrap().len();
    assert_eq!(writes(&replica), 1 + log.open_units(|_| true).len());
    // A unit and a write take some 200 bytes.
    assert!(heaviest < 3_000 * 256, "{heaviest} bytes");
    let last = log.head() - 1;
    log.fold_all();
    replica.follow(&log.0[log.0.len() - 1..]);
    assert_eq!(registers(&replica)["objects"]["a"]["props"]["x"], json!([[last, null, 6_000]]));
}

#[test]
fn what_was_deleted_or_cleared_away_leaves_nothing_once_it_has_closed() {
    let take_away: [fn(&mut Log); 2] = [
        |log| {
            let ids: Vec<_> = (0..5_000).map(|n| format!("o{n}")).collect();
            for ids in ids.chunks(100) {
                log.commit("alice", None, json!({"type": "object.delete", "object_ids": ids}));
            }
        },
        |log| log.commit("gm", None, json!({"type": "canvas.clear"})),
    ];
    for take_away in take_away {
        let mut log = Log::default();
        for n in 0..5_000 {
            log.commit("alice", None, create(&format!("o{n}")));
        }
        take_away(&mut log);
        log.commit("alice", None, create("stays"));
        log.fold_all();
        let replica = Replica::replay(&log.0);
        let registers = registers(&replica);
        assert_eq!(registers["objects"].as_object().unwrap().keys().collect::<Vec<_>>(), ["stays"]);
        assert_eq!(registers["units"], json!({}));
        assert!(replica.canvas.weight() < 4_096, "{} bytes", replica.canvas.weight());
    }
}

#[test]
fn what_never_was_leaves_nothing_once_it_has_closed() {
    let mut log = Log::default();
    for n in 0..1_000 {
        log.commit("alice", None, update(&format!("o{n}"), n));
    }
    log.fold_all();
    assert_eq!(registers(&Replica::replay(&log.0))["objects"], json!({}));
}

#[test]
fn registers_tell_the_floor_and_when_a_unit_was_last_touched() {
    let mut log = Log::default();
    log.commit("alice", None, create("a"));
    log.commit("alice", None, create("b"));
    let unit = unit_of(&log.0[1]);
    log.fold(1);
    let ts = |log: &Log| log.0.last().unwrap()["ts"].clone();
    let touched = |log: &Log| registers(&Replica::replay(&log.0))["units"][&unit]["touched"].clone();
    assert_eq!(touched(&log), log.0[1]["ts"], "a fold touches no unit");
    // A redo of the live changes nothing else.
    let touches: [fn(&mut Log, &str); 4] = [
        |log, unit| log.commit("alice", Some(unit), update("b", 1)),
        |log, unit| log.toggle("alice", unit, true),
        |log, unit| log.toggle("alice", unit, false),
        |log, unit| log.toggle("gm", unit, false),
    ];
    for touch in touches {
        touch(&mut log, &unit);
        assert_eq!(touched(&log), ts(&log));
    }
    log.commit("bob", None, create("c"));
    assert_ne!(touched(&log), ts(&log), "another unit");
    let registers = registers(&Replica::replay(&log.0));
    assert_eq!((&registers["format"], &registers["floor"]), (&json!(2), &json!(1)));
}

#[test]
fn an_op_that_writes_nothing_leaves_nothing() {
    let mut log = Log::default();
    log.commit("alice", None, json!({"type": "object.update", "object_id": "a", "set": {}, "unset": []}));
    log.commit("alice", None, json!({"type": "object.update", "object_id": "a"}));
    log.commit("alice", None, json!({"type": "object.delete", "object_ids": []}));
    log.commit("gm", None, json!({"type": "canvas.set", "set": {}}));
    let replica = Replica::replay(&log.0);
    assert_eq!(registers(&replica)["objects"], json!({}));
    assert_eq!(registers(&replica)["units"].as_object().unwrap().len(), 4);
}

fn create(id: &str) -> Value {
    json!({"type": "object.create", "object_id": id, "kind": "rect", "props": {"x": 1_000}})
}

fn update(id: &str, x: u64) -> Value {
    json!({"type": "object.update", "object_id": id, "set": {"x": x}})
}

fn registers(replica: &Replica) -> Value {
    serde_json::from_str(&replica.canvas.registers()).unwrap()
}
