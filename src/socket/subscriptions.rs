//! All drawings that a socket follows.
//!
//! Owns their list and their turns, and counts joins under way. It never writes: what there is to tell it hands to the
//! guard.

use super::{
    endpoint::Endpoint,
    subscription::{Due, FollowedDrawing},
};
use crate::{
    limits,
    model::{ConnectionId, DrawingId},
};

/// The subscriptions of one socket.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    list: Vec<FollowedDrawing>,
    /// The number of the next subscription.
    next_number: u64,
    /// Joins under way, those included whose subscription is gone.
    joins: usize,
    /// The subscription that is read first, so that each has its turn.
    turn: usize,
}

impl Subscriptions {
    // --- Which there are --------------------------------------------------------------------------

    /// The subscription of this number.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut FollowedDrawing> {
        self.list.iter_mut().find(|subscription| subscription.number() == number)
    }

    /// The subscription to a drawing.
    pub(super) fn of_drawing(&mut self, drawing_id: DrawingId) -> Option<&mut FollowedDrawing> {
        self.list.iter_mut().find(|subscription| subscription.drawing_id() == drawing_id)
    }

    /// The number of the subscription to a drawing.
    pub(super) fn number_of(&self, drawing_id: DrawingId) -> Option<u64> {
        let found = self.list.iter().find(|subscription| subscription.drawing_id() == drawing_id);
        found.map(FollowedDrawing::number)
    }

    /// Tells whether the socket may begin to follow a drawing.
    pub(super) fn may_begin(&self, drawing_id: DrawingId) -> bool {
        let has_place = self.list.len() < limits::MAX_SUBSCRIPTIONS || self.number_of(drawing_id).is_some();
        has_place && self.joins < limits::MAX_JOINS
    }

    /// Begins a subscription and its join, in the place of one to the same drawing, whose presence goes on. Returns its
    /// number.
    pub(super) fn begin(&mut self, drawing_id: DrawingId) -> u64 {
        let before = self.number_of(drawing_id).and_then(|number| self.take(number));
        let own = before.map(FollowedDrawing::into_own_presence).unwrap_or_default();
        let number = self.next_number;
        self.next_number += 1;
        self.joins += 1;
        // Most sockets follow one drawing.
        self.list.reserve_exact(1);
        self.list.push(FollowedDrawing::new(number, drawing_id, own));
        number
    }

    /// Takes note that a join is over.
    pub(super) fn note_joined(&mut self) {
        self.joins -= 1;
    }

    /// Ends a subscription of the client `me`, whose presence there stays for a while.
    pub(super) fn end(&mut self, number: u64, me: ConnectionId) {
        if let Some(subscription) = self.take(number) {
            subscription.end(me);
        }
    }

    /// Ends all subscriptions of the client `me`.
    pub(super) fn end_all(&mut self, me: ConnectionId) {
        while !self.list.is_empty() {
            self.list.remove(0).end(me);
        }
    }

    fn take(&mut self, number: u64) -> Option<FollowedDrawing> {
        self.place_of(number).map(|nth| self.list.remove(nth))
    }

    // --- What they have to tell -------------------------------------------------------------------

    /// Finds what leaves next from a socket that is behind: what the rooms tell, each in its turn, then presence.
    pub(super) fn next(&mut self, endpoint: &Endpoint) -> Option<Due> {
        for _ in 0..self.list.len() {
            self.turn = (self.turn + 1) % self.list.len();
            if let Some(due) = self.list[self.turn].next_item(endpoint) {
                return Some(self.settle(self.turn, due, endpoint.id));
            }
        }
        // Presence last: what was skipped meanwhile is one diff now.
        (0..self.list.len()).find_map(|nth| self.presence_at(nth, endpoint))
    }

    /// Finds what the client of one subscription lacks of presence.
    pub(super) fn next_presence(&mut self, number: u64, endpoint: &Endpoint) -> Option<Due> {
        self.presence_at(self.place_of(number)?, endpoint)
    }

    fn presence_at(&mut self, nth: usize, endpoint: &Endpoint) -> Option<Due> {
        let due = self.list[nth].next_presence(endpoint)?;
        Some(self.settle(nth, due, endpoint.id))
    }

    /// Ends a subscription that says its last word.
    fn settle(&mut self, nth: usize, due: Due, me: ConnectionId) -> Due {
        if due.is_last {
            self.list.remove(nth).end(me);
        }
        due
    }

    fn place_of(&self, number: u64) -> Option<usize> {
        self.list.iter().position(|subscription| subscription.number() == number)
    }
}
