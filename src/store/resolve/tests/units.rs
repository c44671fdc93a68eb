//! Units that are known, that belong to others, and that are closed.

use super::*;

#[test]
fn a_unit_is_known_from_the_log_the_batch_or_the_request() {
    let batch = [request(&[joining(1, 2), op(3), joining(3, 4)]), request(&[joining(3, 5), undoing(1, 6)])];
    let expected = [
        accepted(6, &[committed(2), committed(3), committed(4)]),
        accepted(6, &[committed(5), committed(6)]),
    ];
    assert_eq!(outcomes(&batch, log(1, &[(1, 1, 1, "bob")])), expected);
}

#[test]
fn a_unit_that_is_not_there_or_no_unit_is_unknown() {
    let unknown = |index| refused(Refusal::UnknownUnit { index });
    // Op 2 joined unit 1, so it is no unit itself.
    let known = || log(2, &[(1, 1, 1, "bob"), (2, 2, 1, "bob")]);
    for named in [2, 99] {
        assert_eq!(outcome(request(&[joining(named, 5)]), known()), unknown(0), "{named}");
        assert_eq!(outcome(by_owner(&[undoing(named, 5)]), known()), unknown(0), "{named}");
    }
    // Neither is an undo, even of itself, nor an op that comes only later.
    assert_eq!(outcome(request(&[undoing(5, 5)]), known()), unknown(0));
    assert_eq!(outcome(request(&[undoing(1, 5), undoing(5, 6)]), known()), unknown(1));
    assert_eq!(outcome(request(&[joining(6, 5), op(6)]), known()), unknown(0));
}

#[test]
fn a_unit_of_another_drawing_is_unknown() {
    let mut known = log(1, &[]);
    known.heads.insert(DrawingId(Uuid::from_u128(2)), head(1, 0));
    let unit = Some(id(1));
    let elsewhere = KnownOp { revision: Revision(1), unit, actor: user("bob"), body: op(1).body };
    known.ops.insert((DrawingId(Uuid::from_u128(2)), id(1)), elsewhere);
    assert_eq!(outcome(request(&[joining(1, 2)]), known), refused(Refusal::UnknownUnit { index: 0 }));
}

#[test]
fn only_an_owner_undoes_units_of_others_and_nobody_joins_them() {
    let known = || log(2, &[(1, 1, 1, "alice"), (2, 2, 2, "bob")]);
    let of_another = refused(Refusal::UnitOfAnother { index: 0 });
    assert_eq!(outcome(request(&[undoing(1, 5)]), known()), of_another);
    assert_eq!(outcome(request(&[joining(1, 5)]), known()), of_another);
    assert_eq!(outcome(by_owner(&[joining(2, 5)]), known()), of_another);
    assert_eq!(outcome(by_owner(&[undoing(2, 5)]), known()), accepted(3, &[committed(3)]));
    assert_eq!(outcome(request(&[undoing(2, 5)]), known()), accepted(3, &[committed(3)]));
}

#[test]
fn a_unit_is_closed_exactly_at_the_floor() {
    let closed = refused(Refusal::UnitClosed { indexes: vec![0] });
    let at = |floor, revision| {
        let known = || folded(9, floor, &[(1, revision, 1, "bob")]);
        let outcomes = [joining(1, 5), undoing(1, 5)].map(|op| outcome(request(&[op]), known()));
        assert_eq!(outcomes[0], outcomes[1]);
        let [outcome, _] = outcomes;
        outcome
    };
    assert_eq!(at(4, 3), closed);
    assert_eq!(at(4, 4), closed);
    assert_eq!(at(4, 5), accepted(10, &[committed(10)]));
    assert_eq!(at(0, 1), accepted(10, &[committed(10)]));
}

#[test]
fn all_new_ops_of_closed_units_are_named_at_once() {
    // Ops 1 and 2 begin closed units, op 3 joined one of them, and op 4 begins one that is open.
    let known = || folded(9, 5, &[(1, 1, 1, "bob"), (2, 2, 2, "bob"), (3, 3, 1, "bob"), (4, 6, 4, "bob")]);
    let ops = [op(9), joining(1, 10), joining(4, 11), joining(1, 3), undoing(2, 12), op(13), joining(13, 14)];
    let closed = |indexes: &[usize]| refused(Refusal::UnitClosed { indexes: indexes.to_vec() });
    assert_eq!(outcome(request(&ops), known()), closed(&[1, 4]));
    // The first fault is told first.
    assert_eq!(
        outcome(request(&[joining(99, 20), joining(1, 10)]), known()),
        refused(Refusal::UnknownUnit { index: 0 })
    );
}

#[test]
fn a_retry_of_an_op_whose_unit_is_closed_is_still_a_duplicate() {
    let known = folded(9, 5, &[(1, 1, 1, "bob"), (2, 2, 1, "bob")]);
    assert_eq!(outcome(request(&[joining(1, 2)]), known), accepted(9, &[duplicate(2)]));
}
