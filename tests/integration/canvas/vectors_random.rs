//! Properties of every log, shown by the reference on random ones.

use std::collections::{BTreeSet, HashMap};

use proptest::{collection::vec, prelude::*};
use revcast::model::Op;
use serde_json::Value;

use crate::{
    canvas::vectors::Reducer,
    support::{
        naive::{Naive, unit_of},
        random_log::{FOLDER, Log, OWNER, drawing, folded_logs, logs, random_log},
    },
};

/// An actor whose ops arrive between those of the others.
const REMOTE: &str = "remote";
/// Moves in one log.
const SIZE: std::ops::Range<usize> = 1..60;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn undo_all_then_redo_all_is_the_identity_with_any_remote_ops_between(
        log in logs(SIZE),
        remote in vec(drawing(), 0..10),
    ) {
        let units = log.live_units();
        let mut without = log.clone();
        let mut with = log;
        units.iter().rev().for_each(|unit| with.toggle(OWNER, unit, true));
        let hidden = Naive::replay(&with.0);
        prop_assert!(units.iter().all(|unit| !with.live_units().contains(unit)));
        for log in [&mut without, &mut with] {
            remote.iter().for_each(|op| log.commit(REMOTE, None, op.clone()));
        }
        units.iter().for_each(|unit| with.toggle(OWNER, unit, false));
        let (without, with) = (Naive::replay(&without.0), Naive::replay(&with.0));
        prop_assert_eq!(with.view(), without.view(), "hidden: {}", hidden.view());
    }

    #[test]
    fn a_redelivered_op_changes_nothing(log in logs(SIZE), again in vec(any::<prop::sample::Index>(), 1..20)) {
        let mut naive = Naive::replay(&log.0);
        let seen = (naive.view(), naive.history_all(), naive.history_mine("gm"));
        for op in again.into_iter().filter(|_| !log.0.is_empty()) {
            naive.push(op.get(&log.0));
        }
        prop_assert_eq!((naive.view(), naive.history_all(), naive.history_mine("gm")), seen);
    }

    #[test]
    fn a_fold_changes_nothing_that_is_seen(log in logs(SIZE)) {
        let before = Naive::replay(&log.0);
        for floor in 0..log.head() + 3 {
            let mut folded = log.clone();
            folded.fold(floor);
            let after = Naive::replay(&folded.0);
            let is_valid = before.floor() < floor && floor <= log.head();
            prop_assert_eq!(after.floor(), if is_valid { floor } else { before.floor() });
            prop_assert_eq!(after.view(), before.view(), "folded at {}", floor);
            if !is_valid {
                prop_assert_eq!(after.history_all(), before.history_all(), "folded at {}", floor);
            }
        }
    }

    #[test]
    fn no_later_undo_or_redo_shows_a_fold(log in folded_logs(SIZE)) {
        shows_no_fold::<Naive>(log)?;
    }

    #[test]
    fn what_undo_picks_is_what_redo_picks_next(log in logs(SIZE)) {
        for actor in ["gm", "alice", "bob"] {
            let before = Naive::replay(&log.0);
            let Some(unit) = before.history_mine(actor)["undo_unit"].as_str().map(str::to_owned) else { continue };
            let mut undone = log.clone();
            undone.toggle(actor, &unit, true);
            let after = Naive::replay(&undone.0);
            prop_assert_eq!(&after.history_mine(actor)["redo_unit"], &unit);
            if after.state_hash() != before.state_hash() {
                prop_assert_eq!(&after.history_all()["redo_unit"], &unit);
            }
            undone.toggle(actor, &unit, false);
            prop_assert_eq!(Naive::replay(&undone.0).view(), before.view());
        }
    }

    #[test]
    fn undo_after_undo_comes_to_an_end_at_which_nothing_of_it_shows(log in logs(SIZE)) {
        let mut undone = log.clone();
        let mut last = Naive::replay(&log.0);
        while let Some(unit) = last.history_mine("alice")["undo_unit"].as_str().map(str::to_owned) {
            prop_assert!(undone.live_units().contains(&unit), "{} is undone already", unit);
            undone.toggle("alice", &unit, true);
            last = Naive::replay(&undone.0);
        }
        for unit in undone.live_units() {
            let mut without = undone.clone();
            without.toggle("alice", &unit, true);
            let is_own = undone.open_units(|actor| actor == "alice").contains(&unit);
            prop_assert!(!is_own || Naive::replay(&without.0).view() == last.view(), "{} shows", unit);
        }
    }

    #[test]
    fn random_logs_are_what_a_server_commits(log in logs(SIZE)) {
        let mut begun: HashMap<String, (u64, Value)> = HashMap::new();
        for (at, op) in log.0.iter().enumerate() {
            let head = at as u64;
            prop_assert_eq!(&op["revision"], head + 1);
            let mut sent = op.clone();
            for envelope in ["revision", "actor", "ts"] {
                prop_assert!(sent.as_object_mut().unwrap().remove(envelope).is_some());
            }
            let json = sent.to_string();
            // 0 is no revision to fold at.
            prop_assert!(Op::parse(&json).is_ok() || op["floor"] == 0, "{}", json);
            if op["type"] == "fold" {
                prop_assert_eq!(&op["actor"], FOLDER);
                continue;
            }
            let unit = unit_of(op);
            let (first, actor) = begun.entry(unit).or_insert((head + 1, op["actor"].clone()));
            prop_assert!(*first > log.floor_at(head), "a closed unit in {op}");
            prop_assert!(*actor == op["actor"] || op["actor"] == OWNER, "a unit of another in {op}");
        }
    }
}

/// Whoever folds sees what those see who have never folded: now, and whatever is undone or redone later. Only a
/// create of what a fold has forgotten starts fresh; such creates are left out.
pub fn shows_no_fold<R: Reducer>(mut log: Log) -> Result<(), TestCaseError> {
    let live = log.live_units();
    for unit in log.open_units(|_| true).iter().rev() {
        log.toggle(OWNER, unit, live.contains(unit));
    }
    let (mut folded, mut plain, mut naive) = (R::default(), R::default(), Naive::default());
    let (mut named, mut forgotten) = (BTreeSet::new(), BTreeSet::new());
    for (op, unfolded) in log.0.iter().zip(&log.without_folds().0) {
        let (mut op, mut unfolded) = (op.clone(), unfolded.clone());
        if let Some(id) = op["object_id"].as_str().map(str::to_owned) {
            let creates = matches!(op["type"].as_str(), Some("object.create" | "stroke.begin"));
            if creates && forgotten.contains(&id) {
                op = without_effect(&op);
                unfolded = op.clone();
            }
            named.insert(id);
        }
        naive.push(&op);
        folded.apply(&op);
        plain.apply(&unfolded);
        if op["type"] == "fold" {
            forgotten.extend(named.iter().filter(|id| naive.would_start_fresh(id)).cloned());
        }
        prop_assert_eq!(folded.view(), plain.view(), "at {}", naive.head());
    }
    Ok(())
}

/// The same op of the same unit, but one that draws nothing.
fn without_effect(op: &Value) -> Value {
    let mut custom = op.clone();
    let fields = custom.as_object_mut().expect("an op is an object");
    fields.retain(|name, _| matches!(name.as_str(), "revision" | "actor" | "ts" | "op_id" | "unit"));
    fields.extend([("type".to_owned(), "custom.ping".into()), ("data".to_owned(), Value::Null)]);
    custom
}

#[test]
fn a_seed_gives_one_log() {
    assert_eq!(random_log(1, 60), random_log(1, 60));
    assert_ne!(random_log(1, 60), random_log(2, 60));
    let is_folded = |seed: &u64| Naive::replay(&random_log(*seed, 60)).floor() > 0;
    let folded = (0..64).filter(is_folded).count();
    assert!((16..48).contains(&folded), "{folded} of 64 logs hold a fold that closes units");
}
