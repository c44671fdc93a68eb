//! One socket: what it follows, what is said to it, and whether it may go on.
//!
//! Owns the state behind the lock of a connection. How bytes leave is the business of `lanes`; nothing is
//! queued here but a few answers to the client itself.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    lanes::Answers,
    presence::{Own, Told},
};
use crate::{
    identity::Identity,
    limits,
    model::{ConnectionId, DrawingId, Role},
    room::Reader,
    telemetry,
    transport::Transport,
    wire::{CloseCode, Encoding, ServerMessage, encode},
};

/// An open socket.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) stream: Transport,
    pub(super) encoding: Encoding,
    /// Wakes the task of the connection: it fell behind, or is to close.
    pub(super) wake: Notify,
    /// Held for one message or one look, never across an await. Whoever holds it may take the lock of a
    /// room's ring, audience or presence, never the other way round.
    state: Mutex<State>,
}

/// What is known of a socket.
#[derive(Debug)]
pub(super) struct State {
    pub(super) identity: Identity,
    pub(super) subscriptions: Vec<Subscription>,
    /// The number of the next subscription.
    next_number: u64,
    /// Joins under way, those included whose subscription is gone.
    pub(super) joins: usize,
    /// The subscription that is read first, so that each has its turn.
    pub(super) turn: usize,
    /// What the socket has not taken yet of the message that leaves.
    pub(super) rest: Bytes,
    /// Answers to the client, while it is behind.
    pub(super) answers: Answers,
    /// When the socket last took something; set while it is behind.
    pub(super) behind_since: Option<Instant>,
    /// When it was told that it lagged, until it has caught up.
    pub(super) lagged_at: Option<Instant>,
    /// Why the socket closes: nothing leaves any more but the close frame.
    pub(super) closing: Option<CloseCode>,
    /// Whether the other end is gone.
    pub(super) is_gone: bool,
    /// When it was last pinged, or opened.
    pinged_at: Instant,
    /// Since when a ping has not been followed by anything from the client.
    unheard_since: Option<Instant>,
    /// When the client began the message, or the frame between two, that it has not ended.
    begun_at: Option<Instant>,
    /// Writes and bytes since the last sweep.
    written: (u64, u64),
}

/// One drawing that a socket follows.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Tells it from one to the same drawing before or after.
    pub(super) number: u64,
    pub(super) drawing_id: DrawingId,
    /// Absent while joining.
    pub(super) reader: Option<Reader>,
    /// The role that the client was told last.
    pub(super) role: Option<Role>,
    /// A change of role that came while it joined.
    pub(super) news: Option<Option<Role>>,
    /// What it was told of presence, if it wants to know.
    pub(super) told: Option<Box<Told>>,
    /// Its own presence, once it has shown some.
    pub(super) own: Own,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, stream: Transport, encoding: Encoding, identity: Identity) -> Self {
        let now = Instant::now();
        let state = State {
            identity,
            subscriptions: Vec::new(),
            next_number: 0,
            joins: 0,
            turn: 0,
            rest: Bytes::new(),
            answers: Answers::default(),
            behind_since: None,
            lagged_at: None,
            closing: None,
            is_gone: false,
            pinged_at: now,
            unheard_since: None,
            begun_at: None,
            written: (0, 0),
        };
        Self { id, stream, encoding, wake: Notify::new(), state: Mutex::new(state) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message to this client alone.
    pub(super) fn send(&self, state: &mut State, message: &ServerMessage<'_>) {
        self.send_bytes(state, encode::message(message, self.encoding));
    }

    /// Sends bytes: at once, or behind what leaves already.
    pub(super) fn send_bytes(&self, state: &mut State, bytes: Bytes) {
        if state.closing.is_some() || state.is_gone {
            return;
        }
        if state.is_behind() {
            state.answers.push(bytes);
        } else {
            self.write(state, &bytes);
        }
    }

    /// Answers a ping. While the client is behind, the latest one counts (RFC 6455 §5.5.3).
    pub(super) fn send_pong(&self, state: &mut State, pong: Bytes) {
        if state.is_behind() {
            state.answers.pong = Some(pong);
        } else {
            self.send_bytes(state, pong);
        }
    }

    /// Closes the socket for this reason: what has begun to leave ends, then comes the close frame.
    pub(super) fn close(&self, state: &mut State, code: CloseCode) {
        self.end(state, code, encode::close(code));
    }

    /// Answers a client that closes.
    pub(super) fn close_back(&self, state: &mut State, code: Option<u16>) {
        self.end(state, CloseCode::Normal, encode::close_back(code));
    }

    fn end(&self, state: &mut State, code: CloseCode, frame: Bytes) {
        if state.closing.is_some() {
            return;
        }
        telemetry::count_close(code as u16);
        state.answers = Answers::default();
        self.leave_all(state);
        self.send_bytes(state, frame);
        state.closing = Some(code);
        self.wake.notify_one();
    }

    // --- Subscriptions ----------------------------------------------------------------------------

    /// Begins a subscription, in the place of one to the same drawing, whose presence goes on.
    pub(super) fn subscribe(&self, state: &mut State, drawing_id: DrawingId) -> u64 {
        let before = state.of_drawing(drawing_id).map(|nth| state.subscriptions.remove(nth));
        let own = before.map(|before| before.own).unwrap_or_default();
        let number = state.next_number;
        state.next_number += 1;
        let subscription =
            Subscription { number, drawing_id, reader: None, role: None, news: None, told: None, own };
        // Most sockets follow one drawing.
        state.subscriptions.reserve_exact(1);
        state.subscriptions.push(subscription);
        number
    }

    /// Ends a subscription that the client has not ended: its presence stays for a while.
    pub(super) fn remove(&self, state: &mut State, nth: usize) -> DrawingId {
        let mut subscription = state.subscriptions.remove(nth);
        subscription.own.let_go(self.id);
        subscription.drawing_id
    }

    /// The socket has ended.
    pub(super) fn leave(&self, state: &mut State) {
        if !state.is_closing() {
            // It vanished without a word (RFC 6455 §7.1.5).
            telemetry::count_close(1006);
        }
        self.leave_all(state);
    }

    fn leave_all(&self, state: &mut State) {
        while !state.subscriptions.is_empty() {
            self.remove(state, 0);
        }
    }

    // --- Now and then -----------------------------------------------------------------------------

    /// Looks whether the connection may go on, and keeps it alive. Returns writes and bytes since the
    /// last time, and whether it is behind.
    pub(super) fn sweep(&self) -> ((u64, u64), bool) {
        let mut state = self.lock();
        let state = &mut *state;
        let stalled = state.behind_since.is_some_and(|at| at.elapsed() >= limits::SOCKET_STALL_TIMEOUT);
        if state.answers.is_full() {
            // It is not read from: what it has begun waits for us.
            state.begun_at = state.begun_at.map(|_| Instant::now());
        }
        let drips = state.begun_at.is_some_and(|at| at.elapsed() >= limits::CLIENT_MESSAGE_TIMEOUT);
        let lagged = state.lagged_at.is_some_and(|at| at.elapsed() >= limits::SOCKET_LAG_TIMEOUT);
        if state.identity.has_ended() {
            self.close(state, CloseCode::IdentityExpired);
        } else if stalled || lagged || drips {
            self.close(state, CloseCode::TooSlow);
        } else if state.unheard_since.is_some_and(|at| at.elapsed() >= limits::PONG_TIMEOUT) {
            self.close(state, CloseCode::NoPong);
        } else if state.pinged_at.elapsed() >= limits::PING_INTERVAL && !state.is_behind() {
            // One that is behind shows that it lives by what it takes.
            state.pinged_at = Instant::now();
            state.unheard_since.get_or_insert_with(Instant::now);
            self.send_bytes(state, encode::ping());
        }
        (state.take_written(), state.is_behind())
    }
}

impl State {
    /// Whether something waits for the socket to take it.
    pub(super) fn is_behind(&self) -> bool {
        self.behind_since.is_some()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether everything has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.rest.is_empty() && self.answers.is_empty()
    }

    /// The place of a subscription by its number.
    pub(super) fn numbered(&self, number: u64) -> Option<usize> {
        self.subscriptions.iter().position(|subscription| subscription.number == number)
    }

    /// The place of the subscription to a drawing.
    pub(super) fn of_drawing(&self, drawing_id: DrawingId) -> Option<usize> {
        self.subscriptions.iter().position(|subscription| subscription.drawing_id == drawing_id)
    }

    pub(super) fn note_heard(&mut self) {
        self.unheard_since = None;
    }

    /// Takes note of how far what the client sends has come: whether something ended, and whether something has begun
    /// that has not.
    pub(super) fn note_read(&mut self, has_ended: bool, is_idle: bool) {
        if has_ended || is_idle {
            self.begun_at = None;
        }
        if !is_idle {
            self.begun_at.get_or_insert_with(Instant::now);
        }
    }

    /// Writes and bytes since the last time.
    pub(super) fn take_written(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.written)
    }

    pub(super) fn note_written(&mut self, bytes: usize) {
        self.written.0 += 1;
        self.written.1 += bytes as u64;
    }
}
