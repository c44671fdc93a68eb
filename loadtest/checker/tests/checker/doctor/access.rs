//! Faults of access: readers and writers without a role.

use revcast_checker::format::{Answered, CallName, Invoke, Role};

use super::{ALICE, BOB, Doctor, Ending, MALLORY, VIC, reads::read};

fn set_role(doctor: &mut Doctor, user: &str, role: Option<Role>) {
    let invoke = Invoke { user: Some(user.to_owned()), role, ..Invoke::asking(CallName::Role) };
    doctor.call(ALICE, invoke, Ending::Ok(Answered::blank()));
}

/// A viewer follows the drawing, and loses the role.
fn revoke(doctor: &mut Doctor) -> u64 {
    set_role(doctor, "vic", Some(Role::Viewer));
    let head = doctor.head();
    doctor.follow(VIC, head - 1);
    set_role(doctor, "vic", None);
    head
}

pub(crate) fn delivered_after_a_revocation(doctor: &mut Doctor) {
    let head = revoke(doctor);
    doctor.wait(1_200);
    doctor.tell(VIC, head - 1, head);
}

/// Nothing is wrong within the grace: this is a fault only together with the one before.
pub(crate) fn delivered_within_the_grace(doctor: &mut Doctor) {
    let head = revoke(doctor);
    doctor.wait(500);
    doctor.tell(VIC, head - 1, head);
}

pub(crate) fn subscribed_after_a_revocation(doctor: &mut Doctor) {
    let head = revoke(doctor);
    doctor.wait(1_200);
    doctor.follow(VIC, head);
}

pub(crate) fn read_after_a_revocation(doctor: &mut Doctor) {
    let head = revoke(doctor);
    doctor.wait(1_200);
    let page = doctor.page(head - 1, head);
    read(doctor, VIC, head - 1, page);
}

pub(crate) fn read_without_a_role(doctor: &mut Doctor) {
    let head = doctor.head();
    let page = doctor.page(head - 1, head);
    read(doctor, MALLORY, head - 1, page);
}

pub(crate) fn told_without_a_role(doctor: &mut Doctor) {
    let head = doctor.head();
    doctor.follow(MALLORY, head);
}

pub(crate) fn written_by_a_viewer(doctor: &mut Doctor) {
    set_role(doctor, "vic", Some(Role::Viewer));
    let op = doctor.make("custom.note");
    doctor.commit(VIC, "vic", &op);
}

pub(crate) fn role_given_by_an_editor(doctor: &mut Doctor) {
    let invoke = Invoke {
        user: Some("mallory".to_owned()),
        role: Some(Role::Editor),
        ..Invoke::asking(CallName::Role)
    };
    doctor.call(BOB, invoke, Ending::Ok(Answered::blank()));
}
