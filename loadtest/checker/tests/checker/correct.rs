//! Correct histories: no check finds anything in them, and every check has looked at something.

use crate::support::{Scratch, judged};
use revcast_checker::generate::{Plan, history};

/// Seeds that are tried.
const SEEDS: u64 = 200;

#[test]
fn every_check_looks_at_a_correct_history_and_finds_nothing() {
    let verdict = judged(&history(Plan { seed: 1, events: 20_000, drawings: 8 }));
    assert!(verdict.is_clean(), "{}", verdict.table());
    for tally in &verdict.tallies {
        assert!(tally.examined > 0, "{} has examined nothing", tally.check);
    }
}

#[test]
fn no_check_finds_anything_in_correct_histories_of_many_seeds() {
    for seed in 0..SEEDS {
        let verdict = judged(&history(Plan { seed, events: 700, drawings: 2 }));
        assert!(verdict.is_clean(), "seed {seed}: {}", verdict.table());
    }
}

#[test]
fn a_history_may_lie_in_several_files() {
    let lines = history(Plan { seed: 3, events: 2_000, drawings: 2 });
    // The log comes last; what was told comes before.
    let cut = lines.len() / 3;
    let scratch = Scratch::new();
    let paths = [scratch.file("a.ndjson", &lines[..cut]), scratch.file("b.ndjson", &lines[cut..])];
    let verdict = revcast_checker::judge(&paths, revcast_checker::Options::default()).unwrap();
    assert!(verdict.is_clean(), "{}", verdict.table());
    assert_eq!(verdict.input.events, lines.len() as u64);
}
