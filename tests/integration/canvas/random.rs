//! Properties of the reducer on every log: it agrees with the reference, and with itself on every other way to the
//! same revision.
//!
//! All properties together run [`CASES`] random logs; `REVCAST_CASES` gives another number.

use std::{collections::BTreeSet, env};

use proptest::{collection::vec, prelude::*, sample::Index};
use revcast::model::Applied;
use serde_json::Value;

use crate::{
    canvas::vectors_random::shows_no_fold,
    support::{
        naive::{Naive, canonical, hash_of},
        random_log::{ACTORS, Log, drawing, folded_logs, stray_logs},
        replica::Replica,
    },
};

/// Random logs that all properties of the reducer together are shown on, those of `canvas::damaged` included.
const CASES: u32 = 10_000;
/// The part of each property. There are eight.
pub const PART: u32 = 1_250;
/// Entries of a log.
pub const MOVES: std::ops::Range<usize> = 1..32;
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
    assert_eq!(8 * PART, CASES);
}

proptest! {
    #![proptest_config(cases(PART))]

    #[test]
    fn the_reference_agrees(log in stray_logs(MOVES), at in vec(any::<Index>(), 1..3)) {
        agrees_with_the_reference(&log, &at)?;
    }

    #[test]
    fn any_cut_can_be_gone_on_from(log in stray_logs(MOVES), cut in any::<Index>()) {
        goes_on_from(&log, cut.index(log.0.len() + 1))?;
        // Before and after each fold.
        for (_, before) in log.0.iter().zip(0..).filter(|(op, _)| op["type"] == "fold") {
            goes_on_from(&log, before)?;
            goes_on_from(&log, before + 1)?;
        }
    }

    #[test]
    fn undo_all_then_redo_all_is_the_identity(log in folded_logs(MOVES), remote in vec(drawing(), 0..6)) {
        survives_undo_all_and_redo_all(log, &remote)?;
    }

    #[test]
    fn what_was_there_is_stale_and_what_is_not_next_is_a_gap(
        log in folded_logs(MOVES),
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
        (log, order) in folded_logs(MOVES).prop_flat_map(|log| {
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

    #[test]
    fn a_fold_shows_in_registers_alone_and_an_invalid_one_in_nothing(log in stray_logs(MOVES)) {
        let mut replica = Replica::default();
        for op in &log.0 {
            let before = (op["type"] == "fold").then(|| replica.clone());
            prop_assert_eq!(replica.apply(op), Applied::Next);
            let Some(before) = before else { continue };
            prop_assert_eq!(replica.canvas.view(), before.canvas.view(), "at {}", replica.revision());
            let floor = log.floor_at(replica.revision());
            prop_assert_eq!(floor_of(&replica), floor);
            if !log.is_valid_fold(replica.revision()) {
                prop_assert_eq!(replica.canvas.registers(), before.canvas.registers());
            }
        }
    }

    #[test]
    fn no_later_undo_or_redo_shows_a_fold(log in folded_logs(MOVES)) {
        shows_no_fold::<Replica>(log)?;
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
        prop_assert_eq!(floor_of(&replica), naive.floor(), "at {}", place);
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
fn survives_undo_all_and_redo_all(log: Log, remote: &[Value]) -> Result<(), TestCaseError> {
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

/// The units that can be undone and redone: by all, and by each actor.
fn histories(of: impl Fn(Option<&str>) -> Value) -> Vec<Value> {
    [None].into_iter().chain(ACTORS.map(Some)).map(of).collect()
}

/// The floor that the registers tell.
fn floor_of(replica: &Replica) -> Value {
    let mut registers: Value = serde_json::from_str(&replica.canvas.registers()).unwrap();
    registers["floor"].take()
}
