//! The rules by which those who wait get a place, or are sent to REST.

use tokio::sync::oneshot::Receiver;
use uuid::Uuid;

use super::*;
use crate::{
    model::{CommittedOp, DrawingId, Epoch, Trunk},
    room::Next,
    wire::{Frame, News},
};

const EPOCH: Epoch = Epoch(Uuid::from_u128(1));
const BRANCH: Branch = Branch { epoch: EPOCH, trunk: Some(Trunk { epoch: BEFORE, base: Revision(7) }) };
const BEFORE: Epoch = Epoch(Uuid::from_u128(3));
const OTHER: Epoch = Epoch(Uuid::from_u128(2));

type Answer = Receiver<Result<Attached, JoinError>>;

/// A room at `head` whose ring begins after `from`.
struct Setup {
    ring: Arc<Ring>,
    head: Revision,
    damage: Option<Revision>,
    waitlist: Waitlist,
}

impl Setup {
    fn new(from: u64, head: u64) -> Self {
        let ring = Arc::new(Ring::new(DrawingId(Uuid::nil())));
        let (head, waitlist) = (Revision(head), Waitlist::default());
        let setup = Self { ring, head, damage: None, waitlist };
        setup.ring.push(News::Ops(frame(from + 1, head.0)), BRANCH, head);
        setup
    }

    fn wait(&mut self, after: Option<u64>, epoch: Option<Epoch>) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.waitlist.extend(vec![PendingJoin::new(Position { after: after.map(Revision), epoch }, reply)]);
        answer
    }

    fn attach(&mut self, is_fresh: bool) {
        let log = Standing { branch: BRANCH, head: self.head, damage: self.damage };
        self.waitlist.attach(&self.ring, log, is_fresh);
    }

    /// The head is read, and the room has caught up with it.
    fn read_head(&mut self) {
        self.waitlist.ask(ReadPurpose::Follow { after: self.head });
        self.waitlist.settle_asked();
        self.attach(false);
    }

    /// Reads the ops before the ring, which does not help.
    fn fill_in_vain(&mut self) {
        self.waitlist.ask(ReadPurpose::Fill);
        self.waitlist.note_filled();
        self.attach(true);
    }
}

fn frame(first: u64, last: u64) -> Frame {
    let op = |revision| CommittedOp {
        revision: Revision(revision),
        json: format!(r#"{{"revision":{revision}}}"#).into(),
    };
    Frame::seal(DrawingId(Uuid::nil()), EPOCH, &(first..=last).map(op).collect::<Vec<_>>()).unwrap()
}

fn expect_live(answer: &mut Answer, after: u64) -> Reader {
    match answer.try_recv() {
        Ok(Ok(Attached::Live { branch, revision, reader })) => {
            assert_eq!((branch, revision), (BRANCH, Revision(after)));
            assert_eq!(reader.position(), (branch, revision));
            reader
        }
        other => panic!("{other:?}"),
    }
}

fn expect_reset(answer: &mut Answer, expected: ResetReason, head: u64) {
    match answer.try_recv() {
        Ok(Ok(Attached::Reset { reason, branch, revision })) => {
            assert_eq!((reason, branch, revision), (expected, BRANCH, Revision(head)));
        }
        other => panic!("{other:?}"),
    }
}

fn expect_waiting(answer: &mut Answer) {
    assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty)), "it waits");
}

#[test]
fn a_room_that_was_confirmed_just_now_places_at_once() {
    let mut setup = Setup::new(3, 9);
    let mut answers = [setup.wait(None, None), setup.wait(Some(5), Some(EPOCH)), setup.wait(Some(3), None)];
    setup.attach(true);
    assert!(setup.waitlist.is_empty() && !setup.waitlist.wants_read());
    let [head, middle, start] = &mut answers;
    assert!(matches!(expect_live(head, 9).read(), Next::Empty));
    for (answer, after) in [(middle, 5), (start, 3)] {
        let Next::Item(item) = expect_live(answer, after).read() else { panic!("there is more") };
        let News::Ops(frame) = &item.news else { panic!("ops") };
        assert_eq!((frame.first, frame.last), (Revision(after + 1), Revision(9)));
    }
}

#[test]
fn otherwise_the_head_is_read_first_once_for_all_who_wait() {
    let mut setup = Setup::new(3, 9);
    let mut early = [setup.wait(None, None), setup.wait(Some(5), None)];
    setup.attach(false);
    early.iter_mut().for_each(expect_waiting);
    assert!(setup.waitlist.wants_read() && setup.waitlist.wants_head());
    setup.waitlist.ask(ReadPurpose::Follow { after: setup.head });
    assert!(!setup.waitlist.wants_read(), "the read is under way");
    // A reader that comes while it is under way may have come after the look at the head.
    let mut late = setup.wait(None, None);
    setup.waitlist.settle_asked();
    setup.attach(false);
    expect_live(&mut early[0], 9);
    expect_live(&mut early[1], 5);
    expect_waiting(&mut late);
    assert!(setup.waitlist.wants_read());
    setup.read_head();
    expect_live(&mut late, 9);
}

#[test]
fn a_position_of_the_epoch_before_goes_on_up_to_the_base() {
    for after in [3, 7] {
        let mut setup = Setup::new(3, 9);
        let mut answer = setup.wait(Some(after), Some(BEFORE));
        setup.attach(true);
        expect_live(&mut answer, after);
    }
}

#[test]
fn a_position_of_another_log_or_ahead_of_the_head_is_refused_once_the_head_is_sure() {
    for (after, epoch, reason) in [
        (4, Some(OTHER), ResetReason::EpochChanged),
        (8, Some(BEFORE), ResetReason::EpochChanged),
        (10, Some(EPOCH), ResetReason::RevisionAhead),
        (10, None, ResetReason::RevisionAhead),
        (10, Some(OTHER), ResetReason::EpochChanged),
        (u64::MAX, None, ResetReason::RevisionAhead),
    ] {
        let mut setup = Setup::new(3, 9);
        let mut answer = setup.wait(Some(after), epoch);
        setup.attach(true);
        expect_waiting(&mut answer);
        assert!(setup.waitlist.wants_head(), "it may know more than the room");
        setup.read_head();
        expect_reset(&mut answer, reason, 9);
    }
    // It did know more.
    let mut setup = Setup::new(3, 9);
    let mut ahead = setup.wait(Some(10), None);
    setup.attach(true);
    setup.ring.push(News::Ops(frame(10, 12)), BRANCH, Revision(12));
    setup.head = Revision(12);
    setup.read_head();
    expect_live(&mut ahead, 10);
}

#[test]
fn who_is_farther_behind_than_the_limit_is_sent_to_rest_at_once() {
    let head = 3 * limits::RESUME_LIMIT;
    let mut setup = Setup::new(0, head);
    let mut beyond = setup.wait(Some(head - limits::RESUME_LIMIT - 1), None);
    let mut within = setup.wait(Some(head - limits::RESUME_LIMIT), None);
    setup.attach(true);
    expect_reset(&mut beyond, ResetReason::TooFarBehind, head);
    expect_live(&mut within, head - limits::RESUME_LIMIT);
}

#[test]
fn what_the_ring_lacks_is_read_widely_then_narrowly_then_left_to_rest() {
    let head = 3 * limits::RESUME_LIMIT;
    let mut setup = Setup::new(head - 10, head);
    let mut answers = [setup.wait(Some(head - 20), None), setup.wait(Some(head - 30), None)];
    setup.attach(true);
    answers.iter_mut().for_each(expect_waiting);
    assert!(setup.waitlist.wants_read() && !setup.waitlist.wants_head());
    let (wide, until) = (Revision(head - limits::RESUME_LIMIT), Revision(head - 10));
    assert_eq!(setup.waitlist.fill_range(&setup.ring, setup.head), (wide, until));
    setup.fill_in_vain();
    assert_eq!(setup.waitlist.fill_range(&setup.ring, setup.head), (Revision(head - 30), until));
    // The second read helps one of them.
    setup.waitlist.ask(ReadPurpose::Fill);
    setup.ring.prepend(vec![frame(head - 24, head - 10)], setup.head);
    setup.waitlist.note_filled();
    setup.attach(true);
    expect_live(&mut answers[0], head - 20);
    expect_reset(&mut answers[1], ResetReason::TooFarBehind, head);
}

#[test]
fn who_lacks_what_is_damaged_is_sent_to_rest_and_the_others_are_filled_up() {
    let mut setup = Setup::new(30, 40);
    let mut answers = [setup.wait(Some(10), None), setup.wait(Some(19), None), setup.wait(Some(20), None)];
    let mut in_the_ring = setup.wait(Some(30), None);
    setup.attach(true);
    expect_live(&mut in_the_ring, 30);
    setup.damage = Some(Revision(20));
    setup.fill_in_vain();
    for answer in &mut answers[..2] {
        expect_reset(answer, ResetReason::LogDamaged, 40);
    }
    expect_waiting(&mut answers[2]);
    assert_eq!(setup.waitlist.fill_range(&setup.ring, setup.head).0, Revision(20));
    // As long as the damage is remembered, nothing is read for those who come again.
    let mut again = setup.wait(Some(10), None);
    setup.attach(true);
    expect_reset(&mut again, ResetReason::LogDamaged, 40);
}

#[test]
fn a_failed_read_is_told_to_those_who_waited_for_it() {
    let mut setup = Setup::new(3, 9);
    let mut asked = setup.wait(None, None);
    setup.waitlist.ask(ReadPurpose::Follow { after: setup.head });
    let mut later = setup.wait(None, None);
    setup.waitlist.fail_asked(JoinError::Unavailable);
    assert!(matches!(asked.try_recv(), Ok(Err(JoinError::Unavailable))));
    expect_waiting(&mut later);
    setup.waitlist.fail_all(JoinError::NoDrawing);
    assert!(matches!(later.try_recv(), Ok(Err(JoinError::NoDrawing))));
    assert!(setup.waitlist.is_empty());
}

#[test]
fn the_first_read_reaches_back_far_enough_for_everybody_who_can_be_helped() {
    let mut setup = Setup::new(0, 1);
    assert_eq!(setup.waitlist.first_wanted(), Revision(u64::MAX), "the head alone");
    let _answers = (setup.wait(None, None), setup.wait(Some(400), None), setup.wait(Some(5_000), None));
    assert_eq!(setup.waitlist.first_wanted(), Revision(5_000 - limits::RESUME_LIMIT));
}

#[test]
fn who_hung_up_takes_no_place() {
    let mut setup = Setup::new(3, 9);
    drop(setup.wait(None, None));
    setup.attach(true);
    assert_eq!(setup.ring.reader_count(), 0);
}
