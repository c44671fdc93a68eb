//! The revision up to which a drawing is folded, given what can still be undone in it.
//!
//! Pure. Its caller looks up what it needs to know of the log beyond that.

use std::time::Duration;

use crate::{
    clock::millis,
    limits,
    model::{OpenUnit, Revision},
};

/// The next step for the open history of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// It is light enough, or too young.
    Nothing,
    /// Fold at `lowest`, or a little above that, so that no gesture is parted, but not above `highest`.
    Fold { lowest: Revision, highest: Revision },
    /// The hard bound is passed: fold at `floor`.
    FoldHard { floor: Revision },
    /// Somebody keeps all of it open: fold at `hard`, or where that is further at `lowest`, but there only what was committed
    /// by `begun_before_ms`.
    FoldLast { lowest: Revision, hard: Revision, begun_before_ms: i64 },
}

/// Plans for `units`, which are open and ascend, of a log with this head. Their age goes by the time of the
/// latest op: in a drawing that rests nothing grows older, and clocks that differ change nothing.
pub(super) fn plan(units: &[OpenUnit], head: Revision, budget: u64) -> Plan {
    let weight: u64 = units.iter().map(weight_of).sum();
    let now_ms = units.iter().map(|unit| unit.touched).max().unwrap_or_default();
    let is_past = |budgets: u64, most: usize| weight > budget.saturating_mul(budgets) || units.len() > most;
    if !is_past(1, limits::FOLD_HARD_UNITS) {
        return Plan::Nothing;
    }
    let lowest = lowest_floor(units, weight, budget / 2);
    if is_past(limits::FOLD_HARD_BUDGETS, limits::FOLD_HARD_UNITS) {
        // The fold goes as far as it may: young units may weigh more than half of the budget for as long as
        // many draw.
        let young = below_touched(units, now_ms, limits::FOLD_HARD_KEEPS);
        let hard = lowest.min(young.unwrap_or(lowest));
        if is_past(limits::FOLD_LAST_BUDGETS, limits::FOLD_LAST_UNITS) {
            let begun_before_ms = now_ms - millis(limits::FOLD_KEEPS_TOUCHED);
            return Plan::FoldLast { lowest, hard, begun_before_ms };
        }
        let closes_some = units.first().is_some_and(|unit| unit.first <= hard);
        return if closes_some { Plan::FoldHard { floor: hard } } else { Plan::Nothing };
    }
    let below_head = Revision(head.0.saturating_sub(limits::FOLD_KEEPS_REVISIONS));
    let below_touched = below_touched(units, now_ms, limits::FOLD_KEEPS_TOUCHED).unwrap_or(below_head);
    let highest = below_head.min(below_touched);
    if lowest <= highest { Plan::Fold { lowest, highest } } else { Plan::Nothing }
}

fn weight_of(unit: &OpenUnit) -> u64 {
    unit.bytes + limits::OPEN_UNIT_WEIGHT
}

/// The smallest floor that leaves at most `most` of `weight` open, and half of the units of the hard bound.
fn lowest_floor(units: &[OpenUnit], weight: u64, most: u64) -> Revision {
    let (mut rest, mut count) = (weight, units.len());
    let last = units.iter().find(|unit| {
        rest -= weight_of(unit);
        count -= 1;
        rest <= most && count <= limits::FOLD_HARD_UNITS / 2
    });
    last.map_or(Revision(0), |unit| unit.first)
}

/// The highest floor that closes no unit touched within `period`; `None` where none was.
fn below_touched(units: &[OpenUnit], now_ms: i64, period: Duration) -> Option<Revision> {
    let then = now_ms - millis(period);
    let first = units.iter().find(|unit| unit.touched > then)?.first;
    Some(Revision(first.0 - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time of the latest op.
    const NOW: i64 = 1_000_000_000;
    const MINUTE: i64 = 60_000;
    /// Units of 1,000 bytes and a budget of 100 of them.
    const UNIT: u64 = 1_000;
    const BUDGET: u64 = 100 * UNIT;
    const FAR: Revision = Revision(1_000_000);

    /// Units that began at each revision from 1 on and were last touched so many minutes ago; the last one just now.
    fn units(count: u64, minutes: impl Fn(u64) -> i64) -> Vec<OpenUnit> {
        let unit = |first| OpenUnit {
            first: Revision(first),
            touched: NOW - if first == count { 0 } else { minutes(first) * MINUTE },
            bytes: UNIT - limits::OPEN_UNIT_WEIGHT,
        };
        (1..=count).map(unit).collect()
    }

    #[test]
    fn at_the_budget_nothing_is_folded_and_above_it_half_of_the_budget_is_left() {
        assert_eq!(plan(&units(100, |_| 60), FAR, BUDGET), Plan::Nothing);
        for count in [101, 200, 400] {
            let (lowest, highest) = (Revision(count - 50), Revision(count - 1));
            assert_eq!(plan(&units(count, |_| 60), FAR, BUDGET), Plan::Fold { lowest, highest });
        }
        assert_eq!(plan(&[], FAR, BUDGET), Plan::Nothing);
    }

    #[test]
    fn an_open_unit_weighs_though_it_has_written_nothing() {
        let light = |count| {
            let mut units = units(count, |_| 60);
            units.iter_mut().for_each(|unit| unit.bytes = 0);
            units
        };
        let most = BUDGET / limits::OPEN_UNIT_WEIGHT;
        assert_eq!(plan(&light(most), FAR, BUDGET), Plan::Nothing);
        assert_ne!(plan(&light(most + 1), FAR, BUDGET), Plan::Nothing);
    }

    #[test]
    fn the_latest_revisions_stay_open() {
        let lowest = Revision(150);
        let at = |head| plan(&units(200, |_| 60), Revision(head), BUDGET);
        let keeps = limits::FOLD_KEEPS_REVISIONS;
        assert_eq!(at(keeps + 149), Plan::Nothing);
        assert_eq!(at(keeps + 150), Plan::Fold { lowest, highest: lowest });
    }

    #[test]
    fn a_unit_that_was_touched_within_ten_minutes_stays_open_and_so_do_all_after_it() {
        let at = |minutes: &dyn Fn(u64) -> i64| plan(&units(200, minutes), FAR, BUDGET);
        assert_eq!(at(&|_| 9), Plan::Nothing);
        // The first one, though it is old, is what somebody works at.
        assert_eq!(at(&|first| if first == 1 { 9 } else { 60 }), Plan::Nothing);
        assert_eq!(at(&|first| if first == 150 { 9 } else { 60 }), Plan::Nothing);
        let (lowest, highest) = (Revision(150), Revision(150));
        assert_eq!(at(&|first| if first == 151 { 9 } else { 60 }), Plan::Fold { lowest, highest });
        assert!(matches!(at(&|_| 10), Plan::Fold { .. }), "at ten minutes it is over");
    }

    #[test]
    fn in_a_drawing_that_rests_nothing_grows_older() {
        let mut resting = units(200, |_| 60);
        resting.iter_mut().for_each(|unit| unit.touched = NOW - 24 * 60 * MINUTE);
        assert_eq!(plan(&resting, FAR, BUDGET), Plan::Nothing);
    }

    #[test]
    fn above_the_hard_bound_only_two_minutes_count_and_as_much_is_folded_as_they_leave() {
        let head = Revision(500);
        let at = |minutes: &dyn Fn(u64) -> i64| plan(&units(401, minutes), head, BUDGET);
        assert_eq!(at(&|_| 2), Plan::FoldHard { floor: Revision(351) });
        assert_eq!(at(&|first| if first > 300 { 1 } else { 2 }), Plan::FoldHard { floor: Revision(300) });
        assert_eq!(at(&|_| 1), Plan::Nothing);
        assert_eq!(plan(&units(400, |_| 2), head, BUDGET), Plan::Nothing, "not above it yet");
    }

    #[test]
    fn very_many_units_pass_the_hard_bound_whatever_they_weigh() {
        let most = limits::FOLD_HARD_UNITS as u64;
        assert_eq!(plan(&units(most, |_| 9), FAR, u64::MAX), Plan::Nothing);
        // Half of them stay.
        let floor = Revision(most / 2 + 1);
        assert_eq!(plan(&units(most + 1, |_| 9), FAR, u64::MAX), Plan::FoldHard { floor });
    }

    #[test]
    fn who_touches_an_old_unit_time_and_again_does_not_keep_the_log_open_for_ever() {
        let touched = |first| if first == 1 { 0 } else { 60 };
        let budgets = |count| plan(&units(count * 100, touched), FAR, BUDGET);
        assert_eq!(budgets(4), Plan::Nothing);
        assert_eq!(budgets(limits::FOLD_LAST_BUDGETS), Plan::Nothing);
        let past = limits::FOLD_LAST_BUDGETS + 1;
        let lowest = Revision(past * 100 - 50);
        let begun_before_ms = NOW - 10 * MINUTE;
        assert_eq!(budgets(past), Plan::FoldLast { lowest, hard: Revision(0), begun_before_ms });
    }
}
