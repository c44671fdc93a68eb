//! What holds for the reducer on every log: it agrees with the reference, and with itself on every other way
//! to the same revision.
//!
//! All properties together run [`CASES`] random logs; `REVCAST_CASES` gives another number.

use std::{collections::BTreeSet, env};

use proptest::{collection::vec, prelude::*, sample::Index};
use revcast::model::Applied;
use serde_json::Value;

use crate::support::{
    naive::{Naive, canonical, floor, hash_of},
    random_log::{ACTORS, FILLER, Log, Move, drawing, folded_logs, folded_moves, short_logs},
    replica::Replica,
};

/// Random logs that all properties of the reducer together are shown on, those of `canvas_damaged` included.
const CASES: u32 = 10_000;
/// The part of each property that is shown on short logs. There are six.
pub const SHORT: u32 = 1_500;
/// The part of each property that is shown on logs that cross folds. There are five.
const FOLDED: u32 = 200;
/// Moves in a short log.
pub const MOVES: std::ops::Range<usize> = 1..32;
/// Moves before each run of fillers.
const STRETCH: std::ops::Range<usize> = 0..10;
/// An actor whose ops arrive between those of the others.
const REMOTE: &str = "remote";

/// So many of [`CASES`], or the same part of `REVCAST_CASES`.
pub fn cases(part: u32) -> ProptestConfig {
    let all =
        env::var("REVCAST_CASES").map_or(CASES, |cases| cases.parse().expect("REVCAST_CASES is a number"));
    let cases = (u64::from(part) * u64::from(all)).div_ceil(u64::from(CASES));
    let cases = u32::try_from(cases).expect("a part is smaller than the whole");
    ProptestConfig { cases, max_shrink_iters: 2_000, ..ProptestConfig::default() }
}

#[test]
fn all_properties_together_run_ten_thousand_cases() {
    assert_eq!(6 * SHORT + 5 * FOLDED, CASES);
}

proptest! {
    #![proptest_config(cases(SHORT))]

    #[test]
    fn the_reference_agrees(log in short_logs(MOVES), at in vec(any::<Index>(), 1..3)) {
        agrees_with_the_reference(&log, &at)?;
    }

    #[test]
    fn any_cut_can_be_gone_on_from(log in short_logs(MOVES), cut in any::<Index>()) {
        goes_on_from(&log, cut.index(log.0.len() + 1))?;
    }

    #[test]
    fn undo_all_then_redo_all_is_the_identity(log in short_logs(MOVES), remote in vec(drawing(), 0..6)) {
        survives_undo_all_and_redo_all(log, &remote)?;
    }

    #[test]
    fn what_was_there_is_stale_and_what_is_not_next_is_a_gap(
        log in short_logs(MOVES),
        cut in any::<Index>(),
        others in vec(any::<Index>(), 1..4),
    ) {
        let cut = cut.index(log.0.len() + 1);
        let mut replica = Replica::replay(&log.0[..cut]);
        let registers = replica.canvas.registers();
        for op in others.iter().filter(|_| !log.0.is_empty()).map(|other| other.get(&log.0)) {
            let expected = match op["revision"].as_u64() {
                Some(revision) if revision <= cut as u64 => Applied::Stale,
                Some(revision) if revision > cut as u64 + 1 => Applied::Gap,
                _ => continue,
            };
            prop_assert_eq!(replica.apply(op), expected);
            prop_assert_eq!(replica.revision(), cut as u64);
            prop_assert_eq!(replica.canvas.registers(), &*registers);
        }
    }

    #[test]
    fn ops_in_any_order_and_again_come_to_the_same(
        (log, order) in short_logs(MOVES).prop_flat_map(|log| {
            let twice = log.0.iter().chain(&log.0).cloned().collect::<Vec<_>>();
            (Just(log), Just(twice).prop_shuffle())
        }),
    ) {
        let mut replica = Replica::default();
        order.iter().for_each(|op| replica.take(op));
        let straight = Replica::replay(&log.0);
        prop_assert_eq!(replica.revision(), straight.revision());
        prop_assert_eq!(replica.canvas.registers(), straight.canvas.registers());
    }
}

proptest! {
    #![proptest_config(cases(FOLDED))]

    #[test]
    fn the_reference_agrees_over_folds(log in folded_logs(STRETCH), at in vec(any::<Index>(), 1..3)) {
        agrees_with_the_reference(&log, &at)?;
    }

    #[test]
    fn any_cut_can_be_gone_on_from_over_folds(
        log in folded_logs(STRETCH),
        (fold, offset, cut) in (1..5_usize, 0..5_usize, any::<Index>()),
    ) {
        goes_on_from(&log, cut.index(log.0.len() + 1))?;
        // Two ops before the fold to two after it.
        goes_on_from(&log, (fold * 1_024 + offset - 2).min(log.0.len()))?;
    }

    #[test]
    fn undo_all_then_redo_all_is_the_identity_after_folds(
        log in folded_logs(STRETCH),
        remote in vec(drawing(), 0..6),
    ) {
        survives_undo_all_and_redo_all(log, &remote)?;
    }

    #[test]
    fn a_fold_shows_only_in_what_can_no_longer_be_undone(log in folded_logs(STRETCH)) {
        let mut replica = Replica::default();
        for op in &log.0 {
            let is_fold = op["actor"] == FILLER && is_fold(op);
            let before = is_fold.then(|| (replica.canvas.view(), histories(|actor| replica.history(actor))));
            prop_assert_eq!(replica.apply(op), Applied::Next);
            let Some((view, before)) = before else { continue };
            prop_assert_eq!(replica.canvas.view(), view, "at {}", replica.revision());
            let after = histories(|actor| replica.history(actor));
            for (before, after) in before.iter().zip(&after) {
                prop_assert!(is_what_is_left(after, before, &log, replica.revision()), "{before} became {after}");
            }
        }
    }

    /// What a fold forgets, it forgets of objects that were deleted or cleared away. Without those, nobody
    /// can tell a log from the same ops without the fillers between them.
    #[test]
    fn without_deletes_and_clears_no_fold_ever_shows(mut moves in folded_moves(STRETCH)) {
        moves.retain(|a_move| !takes_away(a_move));
        let log = Log::of(&moves);
        let (mut folded, mut plain) = (Replica::default(), Replica::default());
        for op in &log.0 {
            prop_assert_eq!(folded.apply(op), Applied::Next);
            if op["actor"] == FILLER {
                continue;
            }
            let mut moved = op.clone();
            moved["revision"] = (plain.revision() + 1).into();
            prop_assert_eq!(plain.apply(&moved), Applied::Next);
        }
        prop_assert!(plain.revision() < 1_024, "it folds itself");
        prop_assert_eq!(folded.canvas.view(), plain.canvas.view());
        let (before, after) = (histories(|actor| plain.history(actor)), histories(|actor| folded.history(actor)));
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(is_what_is_left(after, before, &log, log.head()), "{before} became {after}");
        }
    }
}

/// At each of these places and at the end, the reducer tells what the reference tells.
fn agrees_with_the_reference(log: &Log, at: &[Index]) -> Result<(), TestCaseError> {
    let mut places: BTreeSet<usize> = at.iter().map(|at| at.index(log.0.len() + 1)).collect();
    places.insert(log.0.len());
    let (mut naive, mut replica, mut done) = (Naive::default(), Replica::default(), 0);
    for place in places {
        log.0[done..place].iter().for_each(|op| naive.push(op));
        replica.follow(&log.0[done..place]);
        done = place;
        let view = naive.view();
        prop_assert_eq!(replica.canvas.view(), canonical(&view), "at {}", place);
        prop_assert_eq!(replica.state_hash(), hash_of(&view), "at {}", place);
        let expected =
            histories(|actor| actor.map_or_else(|| naive.history_all(), |a| naive.history_mine(a)));
        prop_assert_eq!(histories(|actor| replica.history(actor)), expected, "at {}", place);
    }
    Ok(())
}

/// Whoever has the registers at `cut` and the ops after it has all that a reader from the first op has.
fn goes_on_from(log: &Log, cut: usize) -> Result<(), TestCaseError> {
    let mut straight = Replica::replay(&log.0[..cut]);
    let mut loaded = straight.reload();
    for part in [&log.0[cut..cut], &log.0[cut..]] {
        straight.follow(part);
        loaded.follow(part);
        prop_assert_eq!(loaded.canvas.view(), straight.canvas.view(), "cut at {}", cut);
        let (of_loaded, of_straight) =
            (histories(|actor| loaded.history(actor)), histories(|actor| straight.history(actor)));
        prop_assert_eq!(of_loaded, of_straight, "cut at {}", cut);
        prop_assert_eq!(loaded.canvas.registers(), straight.canvas.registers(), "cut at {}", cut);
    }
    Ok(())
}

/// All that is open is undone and redone with ops of another actor between: nothing of it is seen.
fn survives_undo_all_and_redo_all(mut log: Log, remote: &[Value]) -> Result<(), TestCaseError> {
    // What a fold closes between the undo and the redo stays undone.
    if log.head() % 1_024 > 512 {
        log.fill_up_to(1);
    }
    let units = log.live_units();
    let (mut with, mut without) = (log.clone(), log);
    units.iter().rev().for_each(|unit| with.toggle("gm", unit, true));
    let before = Replica::replay(&without.0);
    let mut hidden = Replica::replay(&with.0);
    // Whatever the undone units have drawn, there is nothing left of them to undo.
    prop_assert_eq!(&hidden.history(None)["undo_unit"], &Value::Null);
    let undone = with.0.len();
    for log in [&mut with, &mut without] {
        remote.iter().for_each(|op| log.commit(REMOTE, None, op.clone()));
    }
    units.iter().for_each(|unit| with.toggle("gm", unit, false));
    hidden.follow(&with.0[undone..]);
    let mut never = before;
    let drawn = without.0.len() - remote.len();
    never.follow(&without.0[drawn..]);
    prop_assert_eq!(hidden.canvas.view(), never.canvas.view());
    Ok(())
}

/// What can be undone and redone: by all, and by each actor.
fn histories(of: impl Fn(Option<&str>) -> Value) -> Vec<Value> {
    [None].into_iter().chain(ACTORS.map(Some)).map(of).collect()
}

/// Whether a history is the one before, less what has closed since: the units at or below the floor.
fn is_what_is_left(after: &Value, before: &Value, log: &Log, head: u64) -> bool {
    let is_open = |unit: &Value| {
        let begins = |op: &&Value| op["op_id"] == *unit;
        let first = log.0.iter().find(begins).and_then(|op| op["revision"].as_u64());
        first.is_some_and(|first| first > floor(head))
    };
    let (undo, redo) = (&before["undo_unit"], &before["redo_unit"]);
    let undo_is_left = after["undo_unit"] == if is_open(undo) { undo.clone() } else { Value::Null };
    // Where the unit that was undone last has closed, one that was undone before it may be next.
    let redo_is_left = if redo.is_null() || is_open(redo) {
        after["redo_unit"] == *redo
    } else {
        after["redo_unit"].is_null() || is_open(&after["redo_unit"])
    };
    undo_is_left && redo_is_left
}

fn is_fold(op: &Value) -> bool {
    op["revision"].as_u64().is_some_and(|revision| revision.is_multiple_of(1_024))
}

fn takes_away(a_move: &Move) -> bool {
    let Move::Draw { payload, .. } = a_move else { return false };
    payload["type"] == "object.delete" || payload["type"] == "canvas.clear"
}
