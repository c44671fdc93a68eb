//! The steps of a room, event by event.

use uuid::Uuid;

use super::*;
use crate::{
    model::{DrawingId, Trunk},
    store::StoredOp,
};

const DRAWING: DrawingId = DrawingId(Uuid::from_u128(7));
const TICK: Duration = Duration::from_millis(1);

fn epoch(number: u64) -> Epoch {
    Epoch(Uuid::from_u128(number.into()))
}

fn branch(number: u64) -> Branch {
    Branch::cut(epoch(number))
}

/// A page of a log of revisions from `first` on, whose head is `head`.
fn page(branch: Branch, first: u64, last: u64, head: u64) -> LogPage {
    let op = |revision| StoredOp {
        revision: Revision(revision),
        actor: "alice".to_owned(),
        ts: 5,
        body: format!(r#"{{"n":{revision}}}"#),
    };
    LogPage { branch, head: Revision(head), ops: (first..=last).map(op).collect() }
}

fn message(number: u64, first: u64, last: u64) -> Delivery<OpsMessage> {
    let op = |n| CommittedOp { revision: Revision(n), json: n.to_string().into() };
    Delivery::Message(OpsMessage {
        drawing_id: DRAWING,
        epoch: epoch(number),
        first: Revision(first),
        last: Revision(last),
        ops: (first..=last).map(op).collect(),
    })
}

/// The announcements so far, in short: `[1, 2]` for ops, `head 2`, `restarted 2`.
fn announced(state: &mut LogState) -> Vec<String> {
    let describe = |pending: PendingAnnouncement| match pending.what {
        Announcement::Ops(ops) => format!("{:?}", ops.iter().map(|op| op.revision.0).collect::<Vec<_>>()),
        Announcement::News(News::Head { revision, .. }) => format!("head {revision}"),
        Announcement::News(News::Restarted { revision, .. }) => format!("restarted {revision}"),
        Announcement::News(News::Ops(_)) => unreachable!("the ring seals"),
    };
    state.drain_announcements().map(describe).collect()
}

/// A room that has read its log up to `head`, and now.
fn at(head: u64) -> (LogState, Instant) {
    let (mut state, now) = (LogState::default(), Instant::now());
    assert_eq!(state.next_read(true), NextRead::First);
    state.begin_read(ReadPurpose::Follow { after: Revision(u64::MAX) }, now);
    let outcome = state.on_page(page(branch(1), 1, 0, head), Revision(u64::MAX), now);
    assert_eq!(outcome, PageOutcome { repaired: None, has_gone_back: false, progress: Progress::CaughtUp });
    assert_eq!((state.delivered(), announced(&mut state)), (Revision(head), vec![]));
    (state, now)
}

#[test]
fn what_comes_in_order_is_told_at_once_and_needs_no_read() {
    let (mut state, now) = at(4);
    for n in 5..=6 {
        state.on_delivery(message(1, n, n));
    }
    state.deliver(now);
    assert_eq!(announced(&mut state), ["[5, 6]"]);
    assert_eq!(state.read_due_at(false, now), None);
}

#[test]
fn a_hole_is_read_once_it_is_old_and_what_waits_behind_it_follows() {
    let (mut state, now) = at(4);
    state.on_delivery(message(1, 6, 6));
    state.deliver(now);
    assert!(announced(&mut state).is_empty());
    assert_eq!(state.read_due_at(false, now), Some(now + limits::HOLE_PATIENCE));
    assert_eq!(state.next_read(false), NextRead::After(Revision(4)));
    state.begin_read(ReadPurpose::Follow { after: Revision(4) }, now);
    let outcome = state.on_page(page(branch(1), 5, 5, 6), Revision(4), now);
    assert_eq!(outcome.repaired, Some((Revision(5), Revision(6))));
    assert_eq!((outcome.progress, announced(&mut state)), (Progress::CaughtUp, vec!["[5, 6]".to_owned()]));
    assert_eq!(state.read_due_at(false, now), None);
}

#[test]
fn a_heartbeat_is_answered_with_the_head_once_everything_up_to_it_was_told() {
    let (mut state, now) = at(4);
    state.on_heartbeat(epoch(1), Revision(4), true, now);
    assert_eq!(announced(&mut state), ["head 4"]);
    state.on_heartbeat(epoch(1), Revision(5), true, now);
    assert!(announced(&mut state).is_empty());
    assert_eq!(state.read_due_at(false, now), Some(now + limits::HOLE_PATIENCE), "the bus may bring it yet");
    state.on_delivery(message(1, 5, 5));
    state.deliver(now);
    assert_eq!(announced(&mut state), ["[5]", "head 5"]);
}

#[test]
fn without_the_bus_a_higher_head_is_read_at_once() {
    let (mut state, now) = at(4);
    state.on_heartbeat(epoch(1), Revision(5), false, now);
    assert_eq!(state.read_due_at(false, now), Some(now));
}

#[test]
fn a_log_that_goes_on_in_a_new_epoch_is_told_before_its_ops_and_another_one_restarts() {
    let (mut state, now) = at(4);
    state.on_delivery(message(2, 5, 5));
    assert_eq!(state.read_due_at(false, now), Some(now), "the store says which epoch it is");
    let trunk = Some(Trunk { epoch: epoch(1), base: Revision(4) });
    state.on_page(page(Branch { epoch: epoch(2), trunk }, 5, 5, 5), Revision(4), now);
    assert_eq!(announced(&mut state), ["head 4", "[5]"]);
    let trunk = Some(Trunk { epoch: epoch(2), base: Revision(3) });
    state.on_page(page(Branch { epoch: epoch(3), trunk }, 6, 6, 6), Revision(5), now);
    assert_eq!((announced(&mut state), state.delivered()), (vec!["restarted 6".to_owned()], Revision(6)));
}

#[test]
fn a_log_that_has_gone_back_restarts() {
    let (mut state, now) = at(4);
    state.on_heartbeat(epoch(1), Revision(4), true, now);
    state.on_heartbeat(epoch(1), Revision(3), true, now);
    assert_eq!(state.read_due_at(false, now), Some(now));
    state.begin_read(ReadPurpose::Follow { after: Revision(4) }, now);
    assert!(state.on_page(page(branch(1), 5, 4, 3), Revision(4), now).has_gone_back);
    assert_eq!(announced(&mut state), ["head 4", "restarted 3", "head 3"]);
}

#[test]
fn what_is_damaged_is_left_behind_for_the_head() {
    let (mut state, now) = at(4);
    state.on_damage(Revision(5), ReadPurpose::Follow { after: Revision(4) }, now);
    assert_eq!((state.next_read(false), state.read_due_at(false, now)), (NextRead::Head, Some(now)));
    assert_eq!(state.standing(now).and_then(|log| log.damage), Some(Revision(5)));
    state.on_page(page(branch(1), 1, 0, 9), Revision(u64::MAX), now);
    assert_eq!((announced(&mut state), state.delivered()), (vec!["restarted 9".to_owned()], Revision(9)));
    let later = now + limits::LOG_DAMAGE_MEMORY;
    assert_eq!(state.standing(later).and_then(|log| log.damage), None, "it may have been mended");
}

#[test]
fn a_page_that_leads_nowhere_and_a_store_that_fails_are_tried_again_later() {
    let (mut state, now) = at(4);
    state.on_heartbeat(epoch(1), Revision(6), false, now);
    state.begin_read(ReadPurpose::Follow { after: Revision(4) }, now);
    let outcome = state.on_page(page(branch(1), 5, 4, 6), Revision(4), now);
    assert_eq!(outcome.progress, Progress::Stuck);
    assert_eq!(state.read_due_at(false, now), Some(now + limits::REPAIR_RETRY));
    let (mut state, now) = at(4);
    state.on_failure(ReadPurpose::Follow { after: Revision(4) }, now);
    assert_eq!(state.read_due_at(false, now), Some(now + limits::REPAIR_RETRY));
}

#[test]
fn a_subscription_that_does_not_tell_what_the_store_has_is_dead() {
    let (mut state, now) = at(4);
    state.on_heartbeat(epoch(1), Revision(5), false, now);
    state.on_page(page(branch(1), 5, 5, 5), Revision(4), now);
    let later = now + limits::BUS_CONFIRM_TIMEOUT;
    assert!(!state.finds_bus_dead(true, false, later - TICK));
    assert!(!state.finds_bus_dead(true, true, later), "another one is on its way");
    assert!(state.finds_bus_dead(true, false, later));
    assert!(!state.finds_bus_dead(true, false, later), "once");
    state.on_heartbeat(epoch(1), Revision(6), false, now);
    state.on_page(page(branch(1), 6, 6, 6), Revision(5), now);
    state.on_delivery(message(1, 6, 6));
    assert!(!state.finds_bus_dead(true, false, later), "it was only late");
}

#[test]
fn what_was_verified_a_while_ago_is_not_fresh() {
    let (state, now) = at(4);
    let heartbeat = Duration::from_secs(2);
    assert!(state.is_fresh(heartbeat, now + heartbeat));
    assert!(!state.is_fresh(heartbeat, now + 2 * heartbeat));
    assert!(!LogState::default().is_fresh(heartbeat, now));
}
