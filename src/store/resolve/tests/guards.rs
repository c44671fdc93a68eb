//! The conditions of a request: the head and the epoch.

use super::*;

#[test]
fn if_revision_is_compared_with_the_head_before_the_request() {
    let at = |head| outcome(only_at(head, &[op(1), op(2)]), log(5, &[]));
    assert_eq!(at(5), accepted(7, &[committed(6), committed(7)]));
    assert_eq!(at(4), refused(Refusal::RevisionConflict { head: Revision(5) }));
    assert_eq!(at(6), refused(Refusal::RevisionConflict { head: Revision(5) }));
}

#[test]
fn of_two_with_the_same_if_revision_in_one_batch_the_first_wins() {
    let batch = [only_at(5, &[op(1)]), only_at(5, &[op(2)]), only_at(6, &[op(3)])];
    let conflict = refused(Refusal::RevisionConflict { head: Revision(6) });
    let expected = [accepted(7, &[committed(6)]), conflict, accepted(7, &[committed(7)])];
    assert_eq!(outcomes(&batch, log(5, &[])), expected);
}

#[test]
fn a_retry_is_whole_whatever_its_if_revision_but_a_new_op_beside_it_is_not() {
    let known = || log(9, &[(1, 6, 1, "bob")]);
    assert_eq!(outcome(only_at(5, &[op(1)]), known()), accepted(9, &[duplicate(6)]));
    let conflict = Refusal::RevisionConflict { head: Revision(9) };
    assert_eq!(outcome(only_at(5, &[op(1), op(2)]), known()), refused(conflict));
}

#[test]
fn if_revision_is_met_where_only_folds_came_after_it() {
    let known = |unfolded: u64| {
        let mut known = log(9, &[]);
        known.unfolded.insert(DRAWING, Revision(unfolded));
        known
    };
    let conflict = refused(Refusal::RevisionConflict { head: Revision(9) });
    for expected in 0..12 {
        let outcome = outcome(only_at(expected, &[op(1)]), known(7));
        let is_met = (7..=9).contains(&expected);
        assert_eq!(outcome, if is_met { accepted(10, &[committed(10)]) } else { conflict.clone() });
    }
    // A fold of the same batch is one, too, and an op is none.
    let batch = [fold(4, 0, 9, 100), only_at(9, &[op(1)]), only_at(10, &[op(2)])];
    let conflict = refused(Refusal::RevisionConflict { head: Revision(11) });
    let expected = [accepted(11, &[committed(10)]), accepted(11, &[committed(11)]), conflict];
    assert_eq!(outcomes(&batch, known(9)), expected);
}

#[test]
fn if_revision_with_an_epoch_is_a_position() {
    let at = |epoch, revision| {
        let request = AppendRequest { epoch: Some(epoch), ..only_at(revision, &[op(1)]) };
        outcome(request, log(revision, &[]))
    };
    let conflict = |head| refused(Refusal::RevisionConflict { head: Revision(head) });
    assert_eq!(at(EPOCH, 12), accepted(13, &[committed(13)]));
    assert_eq!(at(BEFORE, 10), accepted(11, &[committed(11)]));
    assert_eq!(at(BEFORE, 11), conflict(11));
    assert_eq!(at(Epoch(Uuid::nil()), 10), conflict(10));
}

#[test]
fn an_epoch_alone_has_to_be_the_present_one_unless_all_is_there() {
    let at = |epoch| AppendRequest { epoch: Some(epoch), ..request(&[op(1)]) };
    assert_eq!(outcome(at(EPOCH), log(5, &[])), accepted(6, &[committed(6)]));
    let changed = refused(Refusal::EpochChanged { head: Revision(5) });
    assert_eq!(outcome(at(BEFORE), log(5, &[])), changed);
    assert_eq!(outcome(at(BEFORE), log(5, &[(1, 3, 1, "bob")])), accepted(5, &[duplicate(3)]));
}

#[test]
fn what_a_request_insists_on_goes_before_what_its_ops_name() {
    // The unit was lost with the end of the epoch before.
    let undo = || request(&[undoing(5, 11)]);
    let of_before = AppendRequest { epoch: Some(BEFORE), ..undo() };
    assert_eq!(outcome(of_before, log(12, &[])), refused(Refusal::EpochChanged { head: Revision(12) }));
    let at_3 = AppendRequest { if_revision: Some(Revision(3)), ..undo() };
    assert_eq!(outcome(at_3, log(12, &[])), refused(Refusal::RevisionConflict { head: Revision(12) }));
    assert_eq!(outcome(undo(), log(12, &[])), refused(Refusal::UnknownUnit { index: 0 }));
}
