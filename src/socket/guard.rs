//! A socket while its lock is held: everything that can be done to it.
//!
//! Owns the state of a socket, which is made of what leaves, its life, and its subscriptions, and brings the three
//! together. It never waits, and looks after no socket by itself: rooms, the task of the socket and the registry do.

use std::sync::MutexGuard;

use bytes::Bytes;
use tokio::io::Interest;

use super::{
    endpoint::Endpoint,
    life::{Duty, SocketLife},
    outgoing::Outgoing,
    presence::PresenceCursor,
    subscription::{JoinOutcome, Taken},
    subscriptions::Subscriptions,
};
use crate::{
    error::{Error, ErrorCode},
    identity::Identity,
    model::{DrawingId, PresenceState, Role, UserId},
    room::{Batch, Joined, Rooms},
    telemetry,
    wire::{CloseCode, ServerMessage, encode},
};

/// Bytes that a socket which is behind is sent in one turn.
/// At the bound, other tasks run first.
const SOCKET_TURN_BYTES: usize = 1 << 20;

/// Everything about a socket that changes.
#[derive(Debug)]
pub(super) struct SocketState {
    outgoing: Outgoing,
    life: SocketLife,
    subscriptions: Subscriptions,
}

/// A locked socket. Held for one message or one look, never across an await. Whoever holds it may take the lock of a
/// room's ring, audience or presence, never the other way round.
pub(super) struct SocketGuard<'a> {
    endpoint: &'a Endpoint,
    state: MutexGuard<'a, SocketState>,
}

/// A look at one socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep {
    /// Writes and bytes since the last one.
    pub(super) written: (u64, u64),
    pub(super) is_behind: bool,
}

impl SocketState {
    /// A socket that has just opened.
    pub(super) fn new(identity: Identity) -> Self {
        let (outgoing, subscriptions) = Default::default();
        Self { outgoing, life: SocketLife::new(identity), subscriptions }
    }
}

impl<'a> SocketGuard<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, state: MutexGuard<'a, SocketState>) -> Self {
        Self { endpoint, state }
    }

    // --- Answers and the end ----------------------------------------------------------------------

    /// Sends a message to this client alone.
    pub(super) fn send(&mut self, message: &ServerMessage<'_>) {
        self.send_bytes(self.endpoint.encode(message));
    }

    /// Answers a ping.
    pub(super) fn send_pong(&mut self, payload: &[u8]) {
        self.state.outgoing.send_pong(self.endpoint, encode::pong(payload));
    }

    /// Closes the socket for this reason: what has begun to leave ends, then comes the close frame.
    pub(super) fn close(&mut self, code: CloseCode) {
        self.end(code, encode::close(code));
    }

    /// Answers a client that closes.
    pub(super) fn close_back(&mut self, code: Option<u16>) {
        self.end(CloseCode::Normal, encode::close_back(code));
    }

    /// Takes note that the socket has ended.
    pub(super) fn leave(&mut self) {
        if !self.state.outgoing.is_closing() {
            // It vanished without a word (RFC 6455 §7.1.5).
            telemetry::count_close(1006);
        }
        self.state.subscriptions.end_all(self.endpoint.id);
    }

    fn send_bytes(&mut self, bytes: Bytes) {
        self.state.outgoing.send(self.endpoint, bytes);
    }

    fn end(&mut self, code: CloseCode, frame: Bytes) {
        let SocketState { outgoing, subscriptions, .. } = &mut *self.state;
        if outgoing.is_closing() {
            return;
        }
        telemetry::count_close(code as u16);
        subscriptions.end_all(self.endpoint.id);
        outgoing.end(self.endpoint, code, frame);
    }

    // --- What rooms tell --------------------------------------------------------------------------

    /// Writes a batch of the room of a subscription, or has it read from the ring. Returns false when the subscription is
    /// gone.
    pub(super) fn deliver(&mut self, number: u64, batch: &Batch) -> bool {
        let SocketState { outgoing, subscriptions, .. } = &mut *self.state;
        if outgoing.is_over() {
            return false;
        }
        let Some(subscription) = subscriptions.get_mut(number) else { return false };
        if outgoing.is_behind() {
            // It reads by itself when it is ready.
            return true;
        }
        match subscription.take(batch) {
            Taken::Whole if batch.items.is_empty() => (),
            Taken::Whole => outgoing.write(self.endpoint, batch.bytes(self.endpoint.encoding)),
            Taken::Apart => self.follow(),
            Taken::NotYet => (),
        }
        true
    }

    /// Writes what the client of a subscription lacks of presence, unless the socket is behind.
    pub(super) fn deliver_presence(&mut self, number: u64) {
        let SocketState { outgoing, subscriptions, .. } = &mut *self.state;
        if outgoing.is_over() || outgoing.is_behind() {
            return;
        }
        if let Some(due) = subscriptions.next_presence(number, self.endpoint) {
            outgoing.write(self.endpoint, &due.bytes);
        }
    }

    /// Tells the client of a subscription its role; without one the subscription ends, and its presence at once.
    pub(super) fn change_role(&mut self, number: u64, role: Option<Role>) {
        let SocketState { subscriptions, .. } = &mut *self.state;
        let Some(subscription) = subscriptions.get_mut(number) else { return };
        let drawing_id = subscription.drawing_id();
        if !subscription.learn_role(role) {
            return;
        }
        if role.is_none() {
            subscription.leave_presence(self.endpoint.id);
            subscriptions.end(number, self.endpoint.id);
        }
        self.send(&ServerMessage::Role { drawing_id, role });
    }

    /// Writes what waits, then what the rooms have, until the socket takes no more, nothing is left, or
    /// the turn is over.
    pub(super) fn follow(&mut self) {
        let mut budget = SOCKET_TURN_BYTES;
        while self.state.outgoing.flush(self.endpoint, &mut budget) {
            match self.next_bytes() {
                Some(bytes) => self.state.outgoing.begin(bytes),
                None => return self.state.outgoing.note_caught_up(),
            }
        }
    }

    /// Finds what leaves next from a socket that is behind: answers, then the drawings in turn.
    fn next_bytes(&mut self) -> Option<Bytes> {
        let SocketState { outgoing, subscriptions, .. } = &mut *self.state;
        if let Some(answer) = outgoing.next_answer() {
            return Some(answer);
        }
        if outgoing.is_closing() {
            return None;
        }
        let due = subscriptions.next(self.endpoint)?;
        if due.tells_lag {
            outgoing.note_lagged();
        }
        Some(due.bytes)
    }

    // --- Subscriptions ----------------------------------------------------------------------------

    /// Begins to follow a drawing, in the place of a subscription to the same. Returns the number of the subscription,
    /// which joins now, and its user; `None` if the socket may not, of which the client is told.
    pub(super) fn subscribe(&mut self, drawing_id: DrawingId) -> Option<(u64, UserId)> {
        let SocketState { outgoing, life, subscriptions } = &mut *self.state;
        if !subscriptions.may_begin(drawing_id) {
            let detail = "this socket follows as many drawings as it may";
            self.send(&ServerMessage::error(ErrorCode::TooManySubscriptions, detail, Some(drawing_id)));
            return None;
        }
        if outgoing.is_closing() {
            return None;
        }
        Some((subscriptions.begin(drawing_id), life.user_id().clone()))
    }

    /// Takes the outcome of a join, and tells the client.
    pub(super) fn settle_join(
        &mut self,
        rooms: &Rooms,
        number: u64,
        outcome: JoinOutcome,
        wants_presence: bool,
    ) {
        let SocketState { subscriptions, .. } = &mut *self.state;
        subscriptions.note_joined();
        // Unsubscribed, or subscribed anew meanwhile.
        let Some(subscription) = subscriptions.get_mut(number) else { return };
        let drawing_id = subscription.drawing_id();
        match subscription.correct(outcome) {
            Ok((Joined::Live { branch, revision, reader }, role)) => {
                let view = wants_presence.then(|| PresenceCursor::begin(rooms.presence(drawing_id)));
                let (view, roster) = view.unzip();
                subscription.begin(reader, role, view);
                let presence = roster.as_deref();
                self.send(&ServerMessage::subscribed(drawing_id, branch, revision, role, presence, None));
                self.show_presence(rooms, number);
                // The room has told more since the place was found, or before.
                if !self.state.outgoing.is_behind() {
                    self.follow();
                }
            }
            Ok((Joined::Reset { reason, branch, revision }, _)) => {
                subscriptions.end(number, self.endpoint.id);
                self.send_bytes(self.endpoint.reset(drawing_id, reason, branch, revision));
            }
            Err(error) => {
                subscriptions.end(number, self.endpoint.id);
                let Error { code, detail, .. } = error.into();
                self.send(&ServerMessage::error(code, &detail, Some(drawing_id)));
            }
        }
    }

    /// Ends a subscription as the client wants it: its presence goes at once.
    pub(super) fn unsubscribe(&mut self, drawing_id: DrawingId) {
        self.leave_presence(drawing_id);
        let SocketState { subscriptions, .. } = &mut *self.state;
        if let Some(number) = subscriptions.number_of(drawing_id) {
            subscriptions.end(number, self.endpoint.id);
        }
    }

    // --- The client's own presence ----------------------------------------------------------------

    /// Tells whether the socket follows a drawing, or joins it.
    pub(super) fn follows(&self, drawing_id: DrawingId) -> bool {
        self.state.subscriptions.number_of(drawing_id).is_some()
    }

    /// Shows another state of the client in a drawing that it follows: at once, or when it has its place there.
    pub(super) fn be_present(&mut self, rooms: &Rooms, drawing_id: DrawingId, state: Box<PresenceState>) {
        let SocketState { subscriptions, .. } = &mut *self.state;
        if let Some(subscription) = subscriptions.of_drawing(drawing_id) {
            subscription.prepare_presence(state);
            let number = subscription.number();
            self.show_presence(rooms, number);
        }
    }

    /// Takes away what the client shows in a drawing.
    pub(super) fn leave_presence(&mut self, drawing_id: DrawingId) {
        if let Some(subscription) = self.state.subscriptions.of_drawing(drawing_id) {
            subscription.leave_presence(self.endpoint.id);
        }
    }

    fn show_presence(&mut self, rooms: &Rooms, number: u64) {
        let SocketState { life, subscriptions, .. } = &mut *self.state;
        let Some(subscription) = subscriptions.get_mut(number) else { return };
        let drawing_id = subscription.drawing_id();
        let shown =
            subscription.show_presence(|| rooms.presence(drawing_id), || life.present(self.endpoint.id));
        if let Err(error) = shown {
            let detail = error.to_string();
            self.send(&ServerMessage::error(ErrorCode::Overloaded, &detail, Some(drawing_id)));
        }
    }

    // --- Life -------------------------------------------------------------------------------------

    /// Takes a later identity of the same user; false for another user.
    pub(super) fn renew(&mut self, identity: Identity) -> bool {
        self.state.life.renew(identity)
    }

    /// Takes note that something came from the client.
    pub(super) fn note_heard(&mut self) {
        self.state.life.note_heard();
    }

    /// Takes note of how far what the client sends has come: whether something ended, and whether something has begun
    /// that has not.
    pub(super) fn note_read(&mut self, has_ended: bool, is_idle: bool) {
        self.state.life.note_read(has_ended, is_idle);
    }

    /// Looks whether the socket may go on, and keeps it alive.
    pub(super) fn sweep(&mut self) -> Sweep {
        let SocketState { outgoing, life, .. } = &mut *self.state;
        if outgoing.is_full() {
            life.note_unread();
        }
        match life.duty(outgoing.is_slow(), outgoing.is_behind()) {
            Some(Duty::Close(code)) => self.close(code),
            Some(Duty::Ping) => {
                life.note_pinged();
                outgoing.send(self.endpoint, encode::ping());
            }
            None => (),
        }
        Sweep { written: self.take_written(), is_behind: self.state.outgoing.is_behind() }
    }

    // --- For the task of the socket ---------------------------------------------------------------

    /// The events that the task waits for; `None` when the socket ends.
    pub(super) fn interest(&self) -> Option<Interest> {
        self.state.outgoing.interest()
    }

    /// Tells whether the other end is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.state.outgoing.is_gone()
    }

    /// Tells whether everything has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.state.outgoing.is_flushed()
    }

    /// Returns writes and bytes since the last time.
    pub(super) fn take_written(&mut self) -> (u64, u64) {
        self.state.outgoing.take_written()
    }
}
