//! Undos that insist on a unit that nobody has toggled since.

use super::*;

/// A request that wants its unit as it was at `revision`.
fn untoggled_since(revision: u64, op: CheckedOp) -> AppendRequest {
    AppendRequest { untoggled_since: Some(Revision(revision)), ..request(&[op]) }
}

fn op_of_unit_5(known: &mut Known, revision: i64, kind: &str) {
    let (op_id, unit) = (Uuid::from_u128(9), Uuid::from_u128(5));
    let body = format!(r#"{{"op_id":"{op_id}","type":"{kind}","unit":"{unit}"}}"#);
    known.add_of_unit(DRAWING, OpId(unit), (revision, body)).unwrap();
}

#[test]
fn a_guarded_undo_is_refused_if_its_unit_was_toggled_after_the_revision() {
    for (kind, refuses) in [("undo", true), ("redo", true), ("canvas.clear", false), ("later", false)] {
        for since in 0..9 {
            let mut known = log(8, &[(5, 1, 5, "bob"), (6, 2, 6, "bob")]);
            op_of_unit_5(&mut known, 7, kind);
            op_of_unit_5(&mut known, 4, kind);
            let batch = [untoggled_since(since, undoing(5, 11)), untoggled_since(since, undoing(6, 12))];
            let outcomes = outcomes(&batch, known);
            let is_refused = outcomes[0] == refused(Refusal::UnitToggled { index: 0 });
            assert_eq!(is_refused, refuses && since < 7, "{kind} at 7, untoggled since {since}");
            assert!(matches!(outcomes[1], AppendOutcome::Accepted { .. }), "another unit");
        }
    }
}

#[test]
fn a_guarded_undo_is_refused_if_the_look_was_on_a_lost_branch() {
    let known = || log(12, &[(5, 1, 5, "bob")]);
    let at = |epoch, revision| {
        let request = AppendRequest { epoch: Some(epoch), ..untoggled_since(revision, undoing(5, 11)) };
        outcome(request, known())
    };
    let toggled = refused(Refusal::UnitToggled { index: 0 });
    assert_eq!(at(EPOCH, 12), accepted(13, &[committed(13)]));
    assert_eq!(at(BEFORE, 10), accepted(13, &[committed(13)]));
    assert_eq!(at(BEFORE, 11), toggled);
    assert_eq!(at(Epoch(Uuid::nil()), 1), toggled);
}

#[test]
fn a_guarded_undo_sees_those_before_it_in_the_batch() {
    let known = || log(8, &[(5, 1, 5, "bob")]);
    let toggled = || refused(Refusal::UnitToggled { index: 0 });
    let guarded = |n| untoggled_since(8, undoing(5, n));
    assert_eq!(
        outcomes(&[guarded(11), guarded(12), request(&[undoing(5, 13)]), guarded(11)], known()),
        [
            accepted(10, &[committed(9)]),
            toggled(),
            accepted(10, &[committed(10)]),
            accepted(10, &[duplicate(9)])
        ]
    );
    // One that was refused toggles nothing.
    let refused = [only_at(1, &[undoing(5, 11)]), guarded(12)];
    assert_eq!(outcomes(&refused, known())[1], accepted(9, &[committed(9)]));
    // The state of the unit comes first.
    let closed = folded(8, 1, &[(5, 1, 5, "bob")]);
    assert_eq!(
        outcome(guarded(11), closed),
        AppendOutcome::Refused(Refusal::UnitClosed { indexes: vec![0] })
    );
}
