//! Folds, and what they give way to.

use super::*;
use crate::store::AppendedTo;

#[test]
fn a_fold_moves_the_floor_for_what_comes_after_it_in_the_batch() {
    let known = || log(9, &[(1, 1, 1, "bob"), (2, 7, 2, "bob")]);
    let batch = [
        fold(4, 0, 9, 100),
        request(&[joining(1, 5)]),
        request(&[joining(2, 6), undoing(1, 7)]),
        request(&[undoing(2, 8)]),
    ];
    let closed = |index| refused(Refusal::UnitClosed { indexes: vec![index] });
    let expected = [accepted(11, &[committed(10)]), closed(0), closed(1), accepted(11, &[committed(11)])];
    let resolution = resolve(&batch, known(), NOW);
    assert_eq!(resolution.outcomes, expected);
    assert_eq!(resolution.heads[&DRAWING].floor, Revision(4));
    assert_eq!(resolution.appended_to()[&DRAWING], AppendedTo { ts: NOW, floor: Revision(4) });
    assert_eq!(resolution.rows(&batch)[0].unit, Uuid::nil());
}

#[test]
fn a_fold_is_dropped_where_the_log_is_another_one_than_it_was_planned_on() {
    let at = |floor, request: AppendRequest| outcome(request, folded(9, floor, &[]));
    let dropped = || refused(Refusal::FoldDropped);
    assert_eq!(at(2, fold(4, 2, 9, 100)), accepted(10, &[committed(10)]));
    assert_eq!(at(3, fold(4, 2, 9, 100)), dropped(), "somebody has folded since");
    assert_eq!(at(2, fold(2, 2, 9, 100)), dropped());
    assert_eq!(at(2, fold(10, 2, 9, 100)), dropped(), "not below itself");
    let elsewhere = AppendRequest { epoch: Some(BEFORE), ..fold(4, 2, 9, 100) };
    assert_eq!(at(2, elsewhere), refused(Refusal::EpochChanged { head: Revision(9) }));
    // Two workers plan the same, and one of them comes second.
    let batch = [fold(4, 2, 9, 100), fold(4, 2, 9, 100), fold(5, 2, 9, 100)];
    let conflict = refused(Refusal::OpIdConflict { index: 0, revision: Revision(10) });
    let expected = [accepted(10, &[committed(10)]), accepted(10, &[duplicate(10)]), conflict];
    assert_eq!(outcomes(&batch, folded(9, 2, &[])), expected);
}

#[test]
fn a_fold_gives_way_to_who_named_one_of_its_units_since_it_was_planned() {
    let known = |named: Option<u64>| {
        let mut known = log(9, &[(1, 3, 1, "bob"), (2, 6, 2, "bob")]);
        known.named.extend(named.map(|named| (DRAWING, Revision(named))));
        known
    };
    let dropped = refused(Refusal::FoldDropped);
    for (named, is_dropped) in [(None, false), (Some(5), false), (Some(4), true), (Some(1), true)] {
        let outcome = outcome(fold(4, 0, 7, 100), known(named));
        assert_eq!(outcome == dropped, is_dropped, "{named:?}");
    }
    // Or in the same batch, before it.
    for (unit, is_dropped) in [(1, true), (2, false)] {
        for op in [joining(unit, 5), undoing(unit, 5)] {
            let outcomes = outcomes(&[request(&[op]), fold(4, 0, 9, 100)], known(None));
            assert_eq!(outcomes[1] == dropped, is_dropped, "{unit}");
        }
    }
    // At the hard bound it does not.
    let plan = fold(4, 0, 7, 100).fold.map(|plan| FoldPlan { yields: false, ..plan });
    let hard = AppendRequest { fold: plan, ..fold(4, 0, 7, 100) };
    assert_eq!(outcome(hard, known(Some(1))), accepted(10, &[committed(10)]));
}

#[test]
fn a_fold_is_no_unit() {
    let fold = KnownOp { unit: None, actor: UserId::folder(), revision: Revision(1), body: "{}".into() };
    let known = || {
        let mut known = log(1, &[]);
        known.ops.insert((DRAWING, id(100)), fold.clone());
        known
    };
    let unknown = refused(Refusal::UnknownUnit { index: 0 });
    assert_eq!(outcome(by_owner(&[undoing(100, 5)]), known()), unknown);
    assert_eq!(outcome(by_owner(&[joining(100, 5)]), known()), unknown);
    let mut read = Known::default();
    let row = |op_id: u128, unit: u128| {
        (DRAWING.0, Uuid::from_u128(op_id), 1, Uuid::from_u128(unit), "bob".to_owned(), String::new())
    };
    for (op_id, unit, expected) in [(5, 0, None), (5, 5, Some(5)), (5, 4, Some(4)), (0, 0, Some(0))] {
        read.add_op(row(op_id, unit)).unwrap();
        assert_eq!(read.ops[&(DRAWING, id(op_id))].unit, expected.map(id));
    }
}
