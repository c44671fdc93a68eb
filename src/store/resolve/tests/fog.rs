//! Objects of kind fog, which are for owners.

use super::*;

#[test]
fn a_refused_request_creates_no_fog() {
    let bad = by_owner(&[fog("f", 1), joining(99, 2)]);
    let resolution = resolve(&[bad, request(&[touching("f", 3)])], log(0, &[]), NOW);
    assert_eq!(resolution.outcomes[1], accepted(1, &[committed(1)]));
    assert!(resolution.fog.is_empty());
}

#[test]
fn fog_is_for_owners_from_the_batch_that_creates_it() {
    let forbidden = |index| refused(Refusal::FogForbidden { index });
    let mut known = log(0, &[]);
    known.fog.insert((DRAWING, "old".parse().unwrap()));
    let batch = [
        request(&[touching("new", 1)]),
        by_owner(&[fog("new", 2), touching("old", 3)]),
        request(&[op(4), touching("new", 5)]),
        request(&[touching("old", 6)]),
        request(&[touching("other", 7)]),
    ];
    let resolution = resolve(&batch, known, NOW);
    assert_eq!(
        resolution.outcomes,
        [
            accepted(4, &[committed(1)]),
            accepted(4, &[committed(2), committed(3)]),
            forbidden(1),
            forbidden(0),
            accepted(4, &[committed(4)]),
        ]
    );
    assert_eq!(resolution.fog, [(DRAWING, "new".parse().unwrap())]);
}

#[test]
fn any_of_the_objects_of_an_op_may_be_the_fog() {
    let mut known = log(0, &[]);
    known.fog.insert((DRAWING, "b".parse().unwrap()));
    let touches = ["a", "b"].map(|object| object.parse().unwrap()).to_vec();
    let both = CheckedOp { touches, ..op(1) };
    assert_eq!(outcome(request(&[both]), known), refused(Refusal::FogForbidden { index: 0 }));
}

#[test]
fn fog_that_is_created_twice_is_written_once() {
    let mut known = log(0, &[]);
    known.fog.insert((DRAWING, "old".parse().unwrap()));
    let batch = [by_owner(&[fog("new", 1), fog("old", 2)]), by_owner(&[fog("new", 3)])];
    assert_eq!(resolve(&batch, known, NOW).fog, [(DRAWING, "new".parse().unwrap())]);
}

#[test]
fn fog_of_one_drawing_is_nothing_in_another() {
    let elsewhere = DrawingId(Uuid::from_u128(2));
    let mut known = log(0, &[]);
    known.heads.insert(elsewhere, head(0, 0));
    known.fog.insert((DRAWING, "f".parse().unwrap()));
    let there = AppendRequest { drawing_id: elsewhere, ..request(&[touching("f", 1)]) };
    assert_eq!(outcome(there, known), accepted(1, &[committed(1)]));
}
