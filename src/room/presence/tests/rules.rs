//! Joining, staying and leaving on one node.

use std::time::{Duration, Instant};

use super::*;
use crate::{
    limits,
    room::presence::{PresenceError, shown::Board},
};

struct Room {
    roster: Roster,
    start: Instant,
}

impl Room {
    fn new() -> Self {
        Self { roster: Roster::new(Uuid::from_u128(1)), start: Instant::now() }
    }

    fn after(&self, pause: Duration) -> Instant {
        self.start + pause
    }

    fn is_here(&self, number: u8) -> bool {
        self.roster.holdings.get(connection(number)).is_some()
    }
}

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn the_last_value_wins_and_the_same_value_changes_nothing() {
    let mut room = Room::new();
    room.roster.publish(&present(1, 1), state(1)).unwrap();
    room.roster.publish(&present(1, 1), state(2)).unwrap();
    let changes = room.roster.flush();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].1.as_ref().unwrap().state, state(2));
    room.roster.publish(&present(1, 1), state(2)).unwrap();
    assert!(!room.roster.is_pending());
}

#[test]
fn a_dropped_socket_stays_for_its_grace_and_an_explicit_leave_is_at_once() {
    let mut room = Room::new();
    room.roster.publish(&present(1, 1), state(1)).unwrap();
    room.roster.publish(&present(2, 2), state(1)).unwrap();
    room.roster.leave(connection(2));
    assert!(!room.is_here(2));
    room.roster.socket_dropped(connection(1), room.start);
    room.roster.tick(room.after(limits::PRESENCE_GRACE - MOMENT));
    assert!(room.is_here(1));
    room.roster.tick(room.after(limits::PRESENCE_GRACE));
    assert!(!room.is_here(1));
    assert_eq!(room.roster.local(), 0);
}

#[test]
fn a_live_socket_never_expires() {
    let mut room = Room::new();
    room.roster.publish(&present(1, 1), state(1)).unwrap();
    room.roster.tick(room.after(Duration::from_secs(86_400)));
    assert!(room.is_here(1));
    // It publishes over HTTP too: it is still a socket.
    room.roster.publish_http(&present(1, 1), state(2), room.start).unwrap();
    room.roster.tick(room.after(Duration::from_secs(86_400)));
    assert!(room.is_here(1));
}

#[test]
fn a_user_who_is_back_ends_the_grace_of_their_lost_connection() {
    let mut room = Room::new();
    room.roster.publish(&present(1, 1), state(1)).unwrap();
    room.roster.publish(&present(2, 2), state(1)).unwrap();
    room.roster.publish(&present(3, 1), state(1)).unwrap();
    for number in [1, 2] {
        room.roster.socket_dropped(connection(number), room.start);
    }
    room.roster.publish(&present(4, 1), state(1)).unwrap();
    assert!(!room.is_here(1), "it was replaced");
    assert!(room.is_here(2), "another user's");
    assert!(room.is_here(3), "a second tab that is alive");
    assert!(room.is_here(4));
}

#[test]
fn a_publish_after_the_drop_takes_the_connection_back() {
    let mut room = Room::new();
    room.roster.publish(&present(1, 1), state(1)).unwrap();
    room.roster.socket_dropped(connection(1), room.start);
    room.roster.publish(&present(1, 1), state(2)).unwrap();
    room.roster.tick(room.after(limits::PRESENCE_GRACE));
    assert!(room.is_here(1));
}

#[test]
fn a_posted_state_lasts_until_its_time_and_each_post_renews_it() {
    let mut room = Room::new();
    let half = limits::PRESENCE_HTTP_TTL / 2;
    room.roster.publish_http(&present(1, 1), state(1), room.start).unwrap();
    room.roster.publish_http(&present(1, 1), state(1), room.after(half)).unwrap();
    room.roster.tick(room.after(limits::PRESENCE_HTTP_TTL));
    assert!(room.is_here(1));
    room.roster.tick(room.after(half + limits::PRESENCE_HTTP_TTL));
    assert!(!room.is_here(1));
}

#[test]
fn a_connection_of_another_user_can_be_neither_posted_to_nor_ended() {
    let mut room = Room::new();
    room.roster.publish_http(&present(1, 1), state(1), room.start).unwrap();
    let thief = present(1, 2);
    assert_eq!(room.roster.publish_http(&thief, state(2), room.start), Err(PresenceError::NotYours));
    assert_eq!(room.roster.leave_http(&thief), Err(PresenceError::NotYours));
    assert!(room.is_here(1));
    // The id of a socket comes from a server: whoever posted under it has to give way.
    room.roster.publish(&thief, state(3)).unwrap();
    assert_eq!(room.roster.holdings.get(connection(1)).unwrap().entry.user_id, thief.user_id);
    assert_eq!(room.roster.local(), 1);
}

#[test]
fn all_connections_of_a_user_leave_with_their_role() {
    let mut room = Room::new();
    room.roster.publish(&present(1, 1), state(1)).unwrap();
    room.roster.publish_http(&present(2, 1), state(1), room.start).unwrap();
    room.roster.publish(&present(3, 2), state(1)).unwrap();
    room.roster.leave_user(&present(1, 1).user_id);
    assert_eq!(who(&mut room.roster).into_keys().collect::<Vec<_>>(), [connection(3)]);
}

#[test]
fn a_node_keeps_a_bounded_number_of_presences() {
    let mut room = Room::new();
    let mut people = (0..).map(|number: u128| Present {
        connection_id: ConnectionId(Uuid::from_u128(number)),
        ..present(0, 1)
    });
    let first = people.next().unwrap();
    room.roster.publish(&first, state(1)).unwrap();
    for who in people.by_ref().take(limits::PRESENCE_MAX_LOCAL - 1) {
        room.roster.publish(&who, state(1)).unwrap();
    }
    let further = people.next().unwrap();
    assert_eq!(room.roster.publish(&further, state(1)), Err(PresenceError::Full));
    assert_eq!(room.roster.publish_http(&further, state(1), room.start), Err(PresenceError::Full));
    room.roster.publish(&first, state(2)).expect("who is here may go on");
    room.roster.leave(first.connection_id);
    room.roster.publish(&further, state(1)).expect("there is room again");
}

#[test]
fn who_comes_and_goes_between_two_flushes_is_told_once_or_not_at_all() {
    let mut room = Room::new();
    let mut board = Board::new(crate::model::DrawingId(Uuid::nil()));
    room.roster.publish(&present(1, 1), state(1)).unwrap();
    room.roster.leave(connection(1));
    assert!(!board.apply(room.roster.flush()), "nobody needs to hear of it");
    room.roster.publish(&present(2, 1), state(1)).unwrap();
    assert!(board.apply(room.roster.flush()));
    room.roster.leave(connection(2));
    assert!(board.apply(room.roster.flush()));
    room.roster.publish(&present(2, 1), state(1)).unwrap();
    room.roster.leave(connection(2));
    assert!(!board.apply(room.roster.flush()));
    let Since::Diff(diff) = board.since(1) else { panic!("there is news") };
    assert_eq!((&diff.set[..], &diff.gone[..]), (&b"{}"[..], &[connection(2)][..]));
}
