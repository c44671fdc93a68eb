//! What holds for every log, shown by the reference on random ones.

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*};
use revcast::model::Op;
use serde_json::Value;

use crate::support::{
    naive::{Naive, floor, unit_of},
    random_log::{drawing, filler, logs, random_log},
};

/// An actor whose ops arrive between those of the others.
const REMOTE: &str = "remote";
/// Moves in one log.
const SIZE: std::ops::Range<usize> = 1..60;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn undo_all_then_redo_all_is_the_identity_with_any_remote_ops_between(
        mut log in logs(SIZE),
        remote in vec(drawing(), 0..10),
    ) {
        // What a fold closes between the undo and the redo stays undone.
        if log.head() % 1024 > 512 {
            log.fill_up_to(1);
        }
        let units = log.live_units();
        let mut without = log.clone();
        let mut with = log;
        units.iter().rev().for_each(|unit| with.toggle("gm", unit, true));
        let hidden = Naive::replay(&with.0);
        prop_assert!(units.iter().all(|unit| !with.live_units().contains(unit)));
        for log in [&mut without, &mut with] {
            remote.iter().for_each(|op| log.commit(REMOTE, None, op.clone()));
        }
        units.iter().for_each(|unit| with.toggle("gm", unit, false));
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
        let mut naive = Naive::replay(&log.0);
        for revision in log.head() + 1..=log.head() + 3 * 1024 {
            let before = (revision % 1024 == 0).then(|| naive.view());
            naive.push(&filler(revision));
            prop_assert!(before.is_none_or(|before| before == naive.view()), "at {}", revision);
        }
    }

    #[test]
    fn what_undo_picks_shows_and_is_what_redo_picks_next(mut log in logs(SIZE)) {
        if log.head() % 1024 > 1000 {
            log.fill_up_to(1);
        }
        for actor in ["gm", "alice", "bob"] {
            let before = Naive::replay(&log.0);
            let Some(unit) = before.history_mine(actor)["undo_unit"].as_str().map(str::to_owned) else { continue };
            let mut undone = log.clone();
            undone.toggle(actor, &unit, true);
            let after = Naive::replay(&undone.0);
            prop_assert_ne!(after.state_hash(), before.state_hash());
            prop_assert_eq!(&after.history_mine(actor)["redo_unit"], &unit);
            prop_assert_eq!(&after.history_all()["redo_unit"], &unit);
            undone.toggle(actor, &unit, false);
            prop_assert_eq!(Naive::replay(&undone.0).view(), before.view());
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
            prop_assert!(Op::parse(&json).is_ok(), "{}", json);
            let unit = unit_of(op);
            let (first, actor) = begun.entry(unit).or_insert((head + 1, op["actor"].clone()));
            prop_assert!(*first > floor(head), "a closed unit in {op}");
            prop_assert!(*actor == op["actor"] || op["actor"] == "gm", "a unit of another in {op}");
        }
    }
}

#[test]
fn a_seed_gives_one_log() {
    assert_eq!(random_log(1, 60), random_log(1, 60));
    assert_ne!(random_log(1, 60), random_log(2, 60));
    let folded = (0..64).filter(|seed| random_log(*seed, 60).len() > 2048).count();
    assert!((16..48).contains(&folded), "{folded} of 64 logs cross a fold that closes units");
}
