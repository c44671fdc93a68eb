//! Ops that are sent again, and ids that are used twice.

use super::*;

#[test]
fn an_op_of_the_log_is_a_duplicate_and_nothing_is_written_for_it() {
    let resolution = resolve(&[request(&[op(1)])], log(9, &[(1, 4, 1, "bob")]), NOW);
    assert_eq!(resolution.outcomes, [accepted(9, &[duplicate(4)])]);
    assert!(resolution.inserts.is_empty() && resolution.heads.is_empty());
}

#[test]
fn a_retry_is_known_by_its_value_and_not_by_its_spelling() {
    let spelled = |body: &str| CheckedOp { body: body.into(), ..op(1) };
    let mut known = log(1, &[(1, 1, 1, "bob")]);
    known.ops.get_mut(&(DRAWING, id(1))).unwrap().body = r#"{"a":1,"b":[2]}"#.into();
    let attempt = |body| {
        let mut again = Known::default();
        again.heads.clone_from(&known.heads);
        again.ops.clone_from(&known.ops);
        outcome(request(&[spelled(body)]), again)
    };
    assert_eq!(attempt(r#"{"b":[2.0],"a":1e0}"#), accepted(1, &[duplicate(1)]));
    let conflict = Refusal::OpIdConflict { index: 0, revision: Revision(1) };
    assert_eq!(attempt(r#"{"a":1,"b":[3]}"#), refused(conflict));
}

#[test]
fn an_op_repeated_within_one_request_stands_once() {
    let resolution = resolve(&[request(&[op(1), op(2), op(1)])], log(0, &[]), NOW);
    assert_eq!(resolution.outcomes, [accepted(2, &[committed(1), committed(2), duplicate(1)])]);
    assert_eq!(resolution.inserts.len(), 2);
}

#[test]
fn an_op_repeated_across_the_requests_of_a_batch_stands_once() {
    let resolution = resolve(&[request(&[op(1)]), request(&[op(1), op(2)])], log(0, &[]), NOW);
    let expected = [accepted(2, &[committed(1)]), accepted(2, &[duplicate(1), committed(2)])];
    assert_eq!(resolution.outcomes, expected);
    assert_eq!(resolution.inserts.len(), 2);
}

#[test]
fn another_body_under_the_same_id_is_a_conflict_wherever_the_first_one_stands() {
    let other = CheckedOp { body: r#"{"op":"other"}"#.into(), ..op(1) };
    let conflict = |index, revision| refused(Refusal::OpIdConflict { index, revision: Revision(revision) });
    assert_eq!(outcome(request(&[op(2), other.clone()]), log(5, &[(1, 3, 1, "bob")])), conflict(1, 3));
    assert_eq!(outcome(request(&[op(1), other.clone()]), log(5, &[])), conflict(1, 6));
    let batch = [request(&[op(1)]), request(&[other])];
    assert_eq!(outcomes(&batch, log(5, &[])), [accepted(6, &[committed(6)]), conflict(0, 6)]);
}
