//! Faults of a log by itself, and of the line of epochs.

use revcast_checker::{
    format::{Line, LogLine, Tag},
    ids::Digest,
};

use super::{BOB, Doctor, Ending, Made};

/// An op of which nobody knows what became of it.
fn unknown(doctor: &mut Doctor) -> Made {
    let op = doctor.make("custom.note");
    doctor.append(BOB, &[&op], Ending::Info);
    op
}

pub(crate) fn hole(doctor: &mut Doctor) {
    let op = unknown(doctor);
    let beyond = doctor.head() + 2;
    doctor.log_op_as("bob", &op, beyond);
    doctor.log().head = Some(beyond);
}

pub(crate) fn revision_reused(doctor: &mut Doctor) {
    let op = unknown(doctor);
    let head = doctor.head();
    doctor.log_op_as("bob", &op, head);
}

pub(crate) fn head_ahead_of_the_log(doctor: &mut Doctor) {
    *doctor.log().head.as_mut().unwrap() += 1;
}

pub(crate) fn timed_out_op_committed_twice(doctor: &mut Doctor) {
    let op = unknown(doctor);
    doctor.log_op("bob", &op);
    doctor.log_op("bob", &op);
}

pub(crate) fn acked_op_committed_twice(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    doctor.commit(BOB, "bob", &op);
    doctor.log_op("bob", &op);
}

pub(crate) fn op_that_nobody_sent(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    doctor.log_op("bob", &op);
}

pub(crate) fn op_of_another_actor(doctor: &mut Doctor) {
    let op = unknown(doctor);
    doctor.log_op("carol", &op);
}

/// The logs of a drawing of its own, of which nobody was told anything: they part below the base.
pub(crate) fn epochs_differ_below_the_base(doctor: &mut Doctor) {
    let drawing = "0198aaaa-0000-7000-8000-000000000001".to_owned();
    let kept = (doctor.drawing.clone(), doctor.epoch.clone());
    let log = |epoch: &str, previous: Option<&str>| {
        Line::Log(LogLine {
            drawing: "0198aaaa-0000-7000-8000-000000000001".to_owned(),
            epoch: epoch.to_owned(),
            previous_epoch: previous.map(str::to_owned),
            base: previous.map(|_| 2),
            head: Some(2),
            lossless: None,
            tag: Tag,
        })
    };
    let ops = [doctor.make("custom.note"), doctor.make("custom.note"), doctor.make("custom.note")];
    for (epoch, previous, second) in [("one", None, 1), ("two", Some("one"), 2)] {
        doctor.lines.push(log(epoch, previous));
        (doctor.drawing, doctor.epoch) = (drawing.clone(), epoch.to_owned());
        doctor.log_op_as("dave", &ops[0], 1);
        doctor.log_op_as("dave", &ops[second], 2);
    }
    (doctor.drawing, doctor.epoch) = kept;
}

/// The new epoch claims to go on from beyond what it has in common with the old one.
pub(crate) fn epoch_continued_above_its_base(doctor: &mut Doctor) {
    let (drawing, epoch) = (doctor.drawing.clone(), doctor.epoch.clone());
    for line in &mut doctor.lines {
        let (of, named, base) = match line {
            Line::Log(line) => (&line.drawing, Some(&line.epoch), &mut line.base),
            Line::Ok(line) => (&line.drawing, line.epoch.as_ref(), &mut line.base),
            Line::Live(line) => (&line.drawing, line.epoch.as_ref(), &mut line.base),
            _ => continue,
        };
        if *of == drawing && named == Some(&epoch) {
            *base = base.map(|base| base + 1);
        }
    }
}

pub(crate) fn base_told_differently(doctor: &mut Doctor) {
    let (after, to) = (doctor.head() - 2, doctor.head());
    let mut page = doctor.page(after, to);
    page.base = page.base.map(|base| base - 1);
    super::reads::read(doctor, BOB, after, page);
}

pub(crate) fn epoch_that_nobody_knows(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    let ending = doctor.placed(&[(op.op_id, 1, false)]);
    let Ending::Ok(mut answer) = ending else { unreachable!() };
    answer.epoch = Some("0198bbbb-0000-7000-8000-000000000001".to_owned());
    doctor.append(BOB, &[&op], Ending::Ok(answer));
}

/// The body of an op is another one in the log than it was when it was sent.
pub(crate) fn body_changed_in_the_log(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    doctor.log_op("bob", &Made { hash: Digest::of(b"another"), ..op.clone() });
    let head = doctor.head();
    let ending = doctor.placed(&[(op.op_id, head, false)]);
    doctor.append(BOB, &[&op], ending);
}
