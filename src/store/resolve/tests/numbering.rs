//! Revisions, times, and requests that stand or fall alone.

use std::collections::BTreeMap;

use super::*;

#[test]
fn ops_are_numbered_from_the_head_across_the_requests_of_a_batch() {
    let resolution = resolve(&[request(&[op(1), op(2)]), by_owner(&[op(3)])], log(7, &[]), NOW);
    assert_eq!(
        resolution.outcomes,
        [accepted(10, &[committed(8), committed(9)]), accepted(10, &[committed(10)])]
    );
    let insert = |request, op, revision| Insert { request, op, revision: Revision(revision) };
    assert_eq!(resolution.inserts, [insert(0, 0, 8), insert(0, 1, 9), insert(1, 0, 10)]);
    let bytes = resolution.rows(&[request(&[op(1), op(2)]), by_owner(&[op(3)])]).len() as i64 * 8;
    let new = NewHead { revision: Revision(10), floor: Revision(0), ts: NOW, bytes };
    assert_eq!(resolution.heads, BTreeMap::from([(DRAWING, new)]));
    assert!(resolution.fog.is_empty());
}

#[test]
fn a_drawing_without_a_head_refuses_and_others_go_on() {
    let elsewhere = AppendRequest { drawing_id: DrawingId(Uuid::from_u128(2)), ..request(&[op(1)]) };
    let resolution = resolve(&[elsewhere, request(&[op(1)])], log(0, &[]), NOW);
    assert_eq!(resolution.outcomes, [refused(Refusal::NoDrawing), accepted(1, &[committed(1)])]);
    assert_eq!(resolution.inserts.len(), 1);
}

#[test]
fn a_refused_request_leaves_nothing_behind_for_its_neighbours() {
    let bad = request(&[op(1), joining(99, 2)]);
    let resolution = resolve(&[request(&[op(3)]), bad, request(&[op(1)])], log(0, &[]), NOW);
    assert_eq!(
        resolution.outcomes,
        [
            accepted(2, &[committed(1)]),
            refused(Refusal::UnknownUnit { index: 1 }),
            // Op 1 is new here: the refused request did not commit it.
            accepted(2, &[committed(2)]),
        ]
    );
    let requests: Vec<_> = resolution.inserts.iter().map(|insert| insert.request).collect();
    assert_eq!(requests, [0, 2]);
}

#[test]
fn times_never_fall() {
    let at = |last, now| {
        let mut known = log(5, &[]);
        known.heads.get_mut(&DRAWING).unwrap().ts = last;
        let batch = [request(&[op(1)])];
        let resolution = resolve(&batch, known, now);
        assert_eq!(resolution.rows(&batch)[0].ts, resolution.heads[&DRAWING].ts);
        resolution.heads[&DRAWING].ts
    };
    assert_eq!((at(7, 8), at(7, 7), at(7, 2)), (8, 7, 7));
}
