//! Faults of commits: acknowledgements that are not kept, requests in halves, orders that time forbids.

use revcast_checker::ids::Digest;

use super::{ALICE, BOB, CAROL, Doctor, Ending, Made};

pub(crate) fn acked_op_missing(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    let beyond = doctor.head() + 1;
    let ending = doctor.placed(&[(op.op_id, beyond, false)]);
    doctor.append(BOB, &[&op], ending);
}

pub(crate) fn acked_at_another_revision(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    let revision = doctor.log_op("bob", &op);
    let ending = doctor.placed(&[(op.op_id, revision - 1, false)]);
    doctor.append(BOB, &[&op], ending);
}

pub(crate) fn answer_about_another_op(doctor: &mut Doctor) {
    let (op, other) = (doctor.make("custom.note"), doctor.make("custom.note"));
    doctor.commit(BOB, "bob", &other);
    let head = doctor.head();
    let ending = doctor.placed(&[(other.op_id, head, true)]);
    doctor.append(BOB, &[&op], ending);
}

/// A standby that must not lose anything was promoted without what was acknowledged.
pub(crate) fn acked_op_lost_in_spite_of_a_synchronous_standby(doctor: &mut Doctor) {
    doctor.log().lossless = Some(true);
}

/// An op that a failover has lost is said to be a duplicate where it once was.
pub(crate) fn void_ack_counted(doctor: &mut Doctor) {
    let lost = lost_op(doctor);
    let ending = doctor.placed(&[(lost.op_id, doctor.base + 1, true)]);
    doctor.append(BOB, &[&lost], ending);
}

/// An op that was lost and never sent again. Its place has been taken by another one.
fn lost_op(doctor: &mut Doctor) -> Made {
    let op = doctor.make("custom.note");
    let mut epoch = std::mem::replace(&mut doctor.epoch, doctor.before.clone());
    let revision = doctor.log_op("bob", &op);
    let ending = doctor.placed(&[(op.op_id, revision, false)]);
    doctor.append(BOB, &[&op], ending);
    std::mem::swap(&mut doctor.epoch, &mut epoch);
    op
}

pub(crate) fn retry_has_another_revision(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    let revision = doctor.commit(BOB, "bob", &op);
    let ending = doctor.placed(&[(op.op_id, revision - 1, true)]);
    doctor.append(BOB, &[&op], ending);
}

pub(crate) fn retry_is_told_to_have_committed(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    let revision = doctor.commit(BOB, "bob", &op);
    let ending = doctor.placed(&[(op.op_id, revision, false)]);
    doctor.append(BOB, &[&op], ending);
}

pub(crate) fn conflict_accepted(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    let revision = doctor.commit(BOB, "bob", &op);
    let ending = doctor.placed(&[(op.op_id, revision, true)]);
    doctor.append(BOB, &[&Made { hash: Digest::of(b"another"), ..op }], ending);
}

pub(crate) fn refused_op_in_the_log(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    doctor.append(BOB, &[&op], Ending::Fail(422));
    doctor.log_op("bob", &op);
}

pub(crate) fn half_of_a_request_committed(doctor: &mut Doctor) {
    let (one, two) = (doctor.make("custom.note"), doctor.make("custom.note"));
    doctor.append(BOB, &[&one, &two], Ending::Info);
    doctor.log_op("bob", &one);
}

/// Half of a request is in the log, half of another one that overlaps it, and no request as a whole.
pub(crate) fn halves_of_two_requests_committed(doctor: &mut Doctor) {
    let ops = [doctor.make("custom.note"), doctor.make("custom.note"), doctor.make("custom.note")];
    doctor.append(BOB, &[&ops[0], &ops[1]], Ending::Info);
    doctor.append(BOB, &[&ops[1], &ops[2]], Ending::Info);
    doctor.log_op("bob", &ops[1]);
}

/// One is acknowledged, then another one is sent, and that gets the lower revision.
fn reorder(doctor: &mut Doctor, (first, second): ((&str, &str), (&str, &str))) {
    let (early, late) = (doctor.make("custom.note"), doctor.make("custom.note"));
    let low = doctor.log_op(second.1, &late);
    let high = doctor.log_op(first.1, &early);
    let ending = doctor.placed(&[(early.op_id, high, false)]);
    doctor.append(first.0, &[&early], ending);
    let ending = doctor.placed(&[(late.op_id, low, false)]);
    doctor.append(second.0, &[&late], ending);
}

pub(crate) fn real_time_reordered_within_a_client(doctor: &mut Doctor) {
    reorder(doctor, ((BOB, "bob"), (BOB, "bob")));
}

pub(crate) fn real_time_reordered_between_clients(doctor: &mut Doctor) {
    reorder(doctor, ((ALICE, "alice"), (CAROL, "carol")));
}

/// The op that was sent later was never acknowledged.
pub(crate) fn real_time_reordered_by_an_op_that_timed_out(doctor: &mut Doctor) {
    let (early, late) = (doctor.make("custom.note"), doctor.make("custom.note"));
    doctor.log_op("bob", &late);
    let high = doctor.log_op("alice", &early);
    let ending = doctor.placed(&[(early.op_id, high, false)]);
    doctor.append(ALICE, &[&early], ending);
    doctor.append(BOB, &[&late], Ending::Info);
}

/// The answers to two commits are exchanged.
pub(crate) fn two_acks_exchanged(doctor: &mut Doctor) {
    let (one, two) = (doctor.make("custom.note"), doctor.make("custom.note"));
    let revisions = [doctor.log_op("bob", &one), doctor.log_op("bob", &two)];
    for (op, revision) in [(&one, revisions[1]), (&two, revisions[0])] {
        let ending = doctor.placed(&[(op.op_id, revision, false)]);
        doctor.append(BOB, &[op], ending);
    }
}
