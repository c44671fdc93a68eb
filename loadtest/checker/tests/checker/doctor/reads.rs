//! Faults of reads: pages, pictures, and positions that had to be refused.

use revcast_checker::{
    format::{Answered, CallName, Invoke, Line, PictureLine, Tag},
    ids::Digest,
};

use super::{ALICE, BOB, CAROL, Doctor, Ending};

/// A page is read after a revision of the present epoch.
pub(crate) fn read(doctor: &mut Doctor, client: &str, after: u64, page: Answered) {
    let epoch = Some(doctor.epoch.clone());
    read_in(doctor, client, (after, epoch), page);
}

fn read_in(doctor: &mut Doctor, client: &str, (after, epoch): (u64, Option<String>), page: Answered) {
    let invoke = Invoke { after: Some(after), epoch, ..Invoke::asking(CallName::Page) };
    doctor.call(client, invoke, Ending::Ok(page));
}

pub(crate) fn page_with_a_hole(doctor: &mut Doctor) {
    let head = doctor.head();
    let mut page = doctor.page(head - 4, head);
    page.ops.as_mut().unwrap().remove(1);
    read(doctor, BOB, head - 4, page);
}

pub(crate) fn page_that_begins_too_late(doctor: &mut Doctor) {
    let head = doctor.head();
    let page = doctor.page(head - 3, head);
    read(doctor, BOB, head - 4, page);
}

pub(crate) fn page_that_claims_to_be_complete(doctor: &mut Doctor) {
    let head = doctor.head();
    let mut page = doctor.page(head - 4, head - 2);
    page.complete = Some(true);
    read(doctor, BOB, head - 4, page);
}

pub(crate) fn page_of_two_epochs(doctor: &mut Doctor) {
    let (after, to) = (doctor.base - 1, doctor.base + 1);
    let mut page = doctor.page(after, to);
    page.ops.as_mut().unwrap()[1] = doctor.seen(&doctor.before, to - 1, to).remove(0);
    read(doctor, BOB, after, page);
}

pub(crate) fn page_with_another_body(doctor: &mut Doctor) {
    let head = doctor.head();
    let mut page = doctor.page(head - 2, head);
    let op = &mut page.ops.as_mut().unwrap()[0];
    (op.hash, op.body) = (Some(Digest::of(b"another")), None);
    read(doctor, BOB, head - 2, page);
}

/// The page is what the log was before the reader's own commit.
pub(crate) fn page_without_ones_own_write(doctor: &mut Doctor) {
    let head = doctor.head();
    let page = doctor.page(head - 2, head);
    let op = doctor.make("custom.note");
    doctor.commit(BOB, "bob", &op);
    read(doctor, BOB, head - 2, page);
}

pub(crate) fn page_without_the_write_of_another_client(doctor: &mut Doctor) {
    let head = doctor.head();
    let page = doctor.page(head - 2, head);
    let op = doctor.make("custom.note");
    doctor.commit(ALICE, "alice", &op);
    read(doctor, CAROL, head - 2, page);
}

/// The epoch before is served when the present one has been written to.
pub(crate) fn page_of_the_epoch_before(doctor: &mut Doctor) {
    let base = doctor.base;
    let page = Answered {
        epoch: Some(doctor.before.clone()),
        previous_epoch: None,
        base: None,
        latest_revision: Some(base),
        complete: Some(true),
        ..doctor.page(base - 1, base)
    };
    let before = Some(doctor.before.clone());
    read_in(doctor, BOB, (base - 1, before), page);
}

pub(crate) fn snapshot_that_is_stale(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    let head = doctor.commit(ALICE, "alice", &op);
    let (revision, hash) = (Some(head - 1), Some(hash_at(doctor, head - 1)));
    let answer = Answered { revision, hash, ..doctor.answer_with_lineage() };
    doctor.call(ALICE, Invoke::asking(CallName::Snapshot), Ending::Ok(answer));
}

/// The hash that somebody has told of a revision, or any.
fn hash_at(doctor: &Doctor, revision: u64) -> Digest {
    let told = doctor.lines.iter().find_map(|line| match line {
        Line::Ok(line) if line.drawing == doctor.drawing && line.revision == Some(revision) => line.hash,
        Line::Picture(line) if line.drawing == doctor.drawing && line.revision == revision => Some(line.hash),
        _ => None,
    });
    told.unwrap_or_else(|| Digest::of(b"picture"))
}

/// A position on the lost branch is served.
pub(crate) fn position_above_the_base_served(doctor: &mut Doctor) {
    let after = doctor.base + 1;
    let head = doctor.head();
    let page = doctor.page(after, head);
    let before = Some(doctor.before.clone());
    read_in(doctor, BOB, (after, before), page);
}

pub(crate) fn position_ahead_of_the_head_served(doctor: &mut Doctor) {
    let head = doctor.head();
    let mut page = doctor.page(head + 3, head + 3);
    page.complete = Some(true);
    read(doctor, BOB, head + 3, page);
}

pub(crate) fn snapshot_of_another_revision(doctor: &mut Doctor) {
    let head = doctor.head();
    let (revision, hash) = (Some(head), Some(hash_at(doctor, head)));
    let answer = Answered { revision, hash, ..doctor.answer_with_lineage() };
    let epoch = Some(doctor.epoch.clone());
    let invoke = Invoke { at: Some(head - 1), epoch, ..Invoke::asking(CallName::Snapshot) };
    doctor.call(BOB, invoke, Ending::Ok(answer));
}

fn picture(doctor: &Doctor, revision: u64, hash: Digest, reducer: &str) -> Line {
    Line::Picture(PictureLine {
        drawing: doctor.drawing.clone(),
        epoch: doctor.epoch.clone(),
        revision,
        hash,
        via: "replay".to_owned(),
        reducer: reducer.to_owned(),
        client: None,
        t: None,
        objects: None,
        tag: Tag,
    })
}

pub(crate) fn reducers_differ(doctor: &mut Doctor) {
    let op = doctor.make("custom.note");
    let revision = doctor.commit(BOB, "bob", &op);
    let lines =
        ["rust", "typescript"].map(|name| picture(doctor, revision, Digest::of(name.as_bytes()), name));
    doctor.lines.extend(lines);
}

/// The same revision below the base, seen in both epochs.
pub(crate) fn pictures_of_two_epochs_differ(doctor: &mut Doctor) {
    let base = doctor.base;
    let one = picture(doctor, base, Digest::of(b"one"), "rust");
    let mut two = picture(doctor, base, Digest::of(b"two"), "rust");
    if let Line::Picture(line) = &mut two {
        line.epoch.clone_from(&doctor.before);
    }
    // Nobody else has said anything of it.
    let (drawing, kept) = (doctor.drawing.clone(), |line: &Line| matches!(line, Line::Picture(_)));
    doctor
        .lines
        .retain(|line| !kept(line) || !matches!(line, Line::Picture(line) if line.drawing == drawing));
    doctor.lines.extend([one, two]);
}

pub(crate) fn picture_ahead_of_the_log(doctor: &mut Doctor) {
    let head = doctor.head();
    let line = picture(doctor, head + 1, Digest::of(b"picture"), "rust");
    doctor.lines.push(line);
}
