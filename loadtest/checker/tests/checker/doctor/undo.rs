//! Faults of undo and redo.

use revcast_checker::{
    format::{Answered, CallName, Invoke, Line, PictureLine, Tag},
    ids::{Digest, OpId},
};

use super::{ALICE, BOB, Doctor, Ending, Made};

/// Somebody presses undo; the log gets an op that names one unit, and the answer another one.
fn press(doctor: &mut Doctor, (client, actor): (&str, &str), unit: OpId, told: OpId) -> u64 {
    let op = Made { unit, ..doctor.make("undo") };
    let revision = doctor.log_op(actor, &op);
    let Ending::Ok(answer) = doctor.placed(&[(op.op_id, revision, false)]) else { unreachable!() };
    let answer = Answered { unit: Some(told), ..answer };
    doctor.call(client, Invoke::asking(CallName::Undo), Ending::Ok(answer));
    revision
}

fn draw(doctor: &mut Doctor) -> OpId {
    let op = doctor.make("custom.note");
    doctor.commit(BOB, "bob", &op);
    op.op_id
}

pub(crate) fn another_unit_undone(doctor: &mut Doctor) {
    let (one, two) = (draw(doctor), draw(doctor));
    press(doctor, (BOB, "bob"), one, two);
}

pub(crate) fn undone_twice(doctor: &mut Doctor) {
    let unit = draw(doctor);
    press(doctor, (BOB, "bob"), unit, unit);
    press(doctor, (ALICE, "alice"), unit, unit);
}

pub(crate) fn redo_where_undo_was_pressed(doctor: &mut Doctor) {
    let unit = draw(doctor);
    press(doctor, (BOB, "bob"), unit, unit);
    let op = Made { unit, ..doctor.make("redo") };
    let revision = doctor.log_op("bob", &op);
    let Ending::Ok(answer) = doctor.placed(&[(op.op_id, revision, false)]) else { unreachable!() };
    let answer = Answered { unit: Some(unit), ..answer };
    doctor.call(BOB, Invoke::asking(CallName::Undo), Ending::Ok(answer));
}

pub(crate) fn unit_that_nobody_began(doctor: &mut Doctor) {
    let unit = doctor.make("custom.note").op_id;
    press(doctor, (BOB, "bob"), unit, unit);
}

pub(crate) fn closed_unit_undone(doctor: &mut Doctor) {
    let unit = draw(doctor);
    let floor = doctor.head();
    let other = draw(doctor);
    assert_ne!(unit, other);
    let fold = doctor.make("fold");
    doctor.log_op("revcast:fold", &fold);
    if let Some(Line::Entry(entry)) = doctor.lines.last_mut() {
        entry.floor = Some(floor);
    }
    press(doctor, (BOB, "bob"), unit, unit);
}

/// Two objects of one unit; after its undo one of them is still seen.
pub(crate) fn half_of_a_unit_undone(doctor: &mut Doctor) {
    // No object is seen before, since all is cleared.
    let clear = doctor.make("canvas.clear");
    doctor.commit(ALICE, "alice", &clear);
    let one = Made { object: Some("half-1".to_owned()), ..doctor.make("object.create") };
    let two = Made { object: Some("half-2".to_owned()), unit: one.unit, ..doctor.make("object.create") };
    let kept = Made { object: Some("kept".to_owned()), ..doctor.make("object.create") };
    for op in [&one, &two, &kept] {
        doctor.commit(BOB, "bob", op);
    }
    let revision = press(doctor, (BOB, "bob"), one.unit, one.unit);
    let picture = |revision, objects: &[&str]| {
        Line::Picture(PictureLine {
            drawing: doctor.drawing.clone(),
            epoch: doctor.epoch.clone(),
            revision,
            hash: Digest::of(&revision.to_be_bytes()),
            via: "live".to_owned(),
            reducer: "rust".to_owned(),
            client: None,
            t: None,
            objects: Some(objects.iter().map(|&object| object.to_owned()).collect()),
            tag: Tag,
        })
    };
    let (before, after) =
        (picture(revision - 1, &["kept", "half-1", "half-2"]), picture(revision, &["kept", "half-2"]));
    doctor.lines.extend([before, after]);
}
