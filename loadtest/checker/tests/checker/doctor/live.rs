//! Faults of live readers.

use revcast_checker::{
    format::{Frame, FrameType, Line},
    ids::Digest,
};

use super::{BOB, Doctor};

/// The indices of the messages of a reader of the history, in order.
fn frames(doctor: &Doctor) -> Vec<usize> {
    let reader = |line: &Line| match line {
        Line::Live(frame) if frame.drawing == doctor.drawing && frame.client == BOB => {
            Some(frame.reader.clone())
        }
        _ => None,
    };
    let name = doctor.lines.iter().find_map(reader).unwrap();
    let is_of_it =
        |line: &Line| matches!(line, Line::Live(frame) if frame.client == BOB && frame.reader == name);
    (0..doctor.lines.len()).filter(|&index| is_of_it(&doctor.lines[index])).collect()
}

fn frame(doctor: &mut Doctor, index: usize) -> &mut Frame {
    let Line::Live(frame) = &mut doctor.lines[index] else { panic!("it is no message") };
    frame
}

/// Three messages with ops in a row, of the first reader of the history that has them.
fn three_in_a_row(doctor: &mut Doctor) -> [usize; 3] {
    let frames = frames(doctor);
    let mut rows = frames.windows(3);
    let has_ops = |row: &&[usize]| {
        row.iter()
            .all(|&index| matches!(&doctor.lines[index], Line::Live(frame) if frame.r#type == FrameType::Ops))
    };
    rows.find(has_ops).unwrap().try_into().unwrap()
}

pub(crate) fn frame_skipped(doctor: &mut Doctor) {
    let [_, second, _] = three_in_a_row(doctor);
    doctor.lines.remove(second);
}

pub(crate) fn frame_repeated(doctor: &mut Doctor) {
    let [_, second, third] = three_in_a_row(doctor);
    let mut again = doctor.lines[second].clone();
    if let Line::Live(again) = &mut again {
        again.t = frame(doctor, third).t;
    }
    doctor.lines.insert(third, again);
}

pub(crate) fn frames_reordered(doctor: &mut Doctor) {
    let [first, second, _] = three_in_a_row(doctor);
    let ops = frame(doctor, first).ops.take();
    let ops = std::mem::replace(&mut frame(doctor, second).ops, ops);
    frame(doctor, first).ops = ops;
}

pub(crate) fn op_left_out_of_a_frame(doctor: &mut Doctor) {
    let head = doctor.head();
    doctor.follow(BOB, head - 3);
    doctor.tell(BOB, head - 3, head);
    let last = doctor.lines.len() - 1;
    frame(doctor, last).ops.as_mut().unwrap().remove(1);
}

pub(crate) fn op_changed_on_the_way(doctor: &mut Doctor) {
    let [_, second, _] = three_in_a_row(doctor);
    let op = &mut frame(doctor, second).ops.as_mut().unwrap()[0];
    (op.hash, op.body) = (Some(Digest::of(b"another")), None);
}

/// Ops of the lost branch are told as those of the new one.
pub(crate) fn op_of_the_lost_branch(doctor: &mut Doctor) {
    let base = doctor.base;
    doctor.follow(BOB, base);
    doctor.tell(BOB, base, base + 1);
    let lost = doctor.seen(&doctor.before, base, base + 1);
    let last = doctor.lines.len() - 1;
    frame(doctor, last).ops = Some(lost);
}

/// The reader falls behind, and goes on further up without a word.
pub(crate) fn reset_not_announced(doctor: &mut Doctor) {
    let head = doctor.head();
    doctor.follow(BOB, head - 6);
    doctor.tell(BOB, head - 6, head - 5);
    doctor.tell(BOB, head - 2, head);
}

pub(crate) fn ops_after_a_reset(doctor: &mut Doctor) {
    let head = doctor.head();
    doctor.follow(BOB, head - 2);
    doctor.frame(BOB, FrameType::Reset, |frame| frame.revision = Some(head));
    doctor.tell(BOB, head - 2, head);
}

pub(crate) fn ops_after_the_end(doctor: &mut Doctor) {
    let head = doctor.head();
    doctor.frame(BOB, FrameType::Closed, |_| {});
    doctor.frame(BOB, FrameType::Role, |frame| frame.role = Some(revcast_checker::format::Role::Editor));
    doctor.follow(BOB, head);
}

pub(crate) fn followed_from_elsewhere(doctor: &mut Doctor) {
    let head = doctor.head();
    let epoch = Some(doctor.epoch.clone());
    doctor.frame(BOB, FrameType::Subscribe, |frame| (frame.after, frame.epoch) = (Some(head - 2), epoch));
    doctor.frame(BOB, FrameType::Subscribed, |frame| frame.revision = Some(head));
}

pub(crate) fn head_beyond_what_was_told(doctor: &mut Doctor) {
    let head = doctor.head();
    doctor.follow(BOB, head - 2);
    doctor.frame(BOB, FrameType::Head, |frame| frame.revision = Some(head));
}

/// A reader of the lost branch, that has more than the new epoch goes on from.
fn follow_the_lost_branch(doctor: &mut Doctor) {
    let (epoch, beyond) = (doctor.before.clone(), doctor.base + 1);
    doctor.frame(BOB, FrameType::Subscribe, |frame| {
        (frame.after, frame.epoch) = (Some(beyond), Some(epoch.clone()));
    });
    doctor.frame(BOB, FrameType::Subscribed, |frame| {
        (frame.epoch, frame.revision) = (Some(epoch), Some(beyond));
        (frame.previous_epoch, frame.base) = (None, None);
    });
}

pub(crate) fn new_epoch_above_the_base_without_a_reset(doctor: &mut Doctor) {
    follow_the_lost_branch(doctor);
    let beyond = doctor.base + 1;
    doctor.frame(BOB, FrameType::Head, |frame| frame.revision = Some(beyond));
}

pub(crate) fn new_epoch_without_its_lineage(doctor: &mut Doctor) {
    follow_the_lost_branch(doctor);
    let beyond = doctor.base + 1;
    doctor.frame(BOB, FrameType::Head, |frame| {
        (frame.previous_epoch, frame.base) = (None, None);
        frame.revision = Some(beyond);
    });
}

/// A position on the lost branch is followed in the new epoch.
pub(crate) fn lost_position_followed(doctor: &mut Doctor) {
    let (epoch, beyond) = (doctor.before.clone(), doctor.base + 1);
    doctor.frame(BOB, FrameType::Subscribe, |frame| (frame.after, frame.epoch) = (Some(beyond), Some(epoch)));
    doctor.frame(BOB, FrameType::Subscribed, |frame| frame.revision = Some(beyond));
}
