//! The two lanes on which messages leave a socket.
//!
//! On the *direct* lane a broadcaster writes the shared bytes straight to the socket, and no task is
//! woken. A socket that would block is *behind*: its own task waits until it takes more, follows the rooms
//! by their cursors, and hands it back to the broadcasters when it has caught up.

use std::{collections::VecDeque, io::ErrorKind, time::Instant};

use bytes::{Buf, Bytes};

use super::connection::{Connection, State};
use crate::{
    limits,
    model::{Branch, DrawingId, Revision, Role},
    room::{Batch, Next, Outlet, presence::Since},
    telemetry,
    wire::{News, ResetReason, ServerMessage, encode},
};

/// Answers that wait: they are few, for a client with many is not read from, and one for each
/// subscription may come besides.
#[derive(Debug, Default)]
pub(super) struct Answers {
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// The answer to the latest ping.
    pub(super) pong: Option<Bytes>,
}

impl Answers {
    pub(super) fn push(&mut self, answer: Bytes) {
        self.bytes += answer.len();
        self.queue.push_back(answer);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let next = self.queue.pop_front();
        self.bytes -= next.as_ref().map_or(0, Bytes::len);
        next.or_else(|| self.pong.take())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.pong.is_none()
    }

    /// Whether the client must take some before it may ask for more.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= limits::SOCKET_ANSWERS || self.bytes >= limits::SOCKET_ANSWER_BYTES
    }
}

impl Connection {
    /// Writes to a socket that is not behind.
    pub(super) fn write(&self, state: &mut State, bytes: &Bytes) {
        match self.stream.try_write(bytes) {
            Ok(taken) => {
                state.note_written(taken);
                if taken < bytes.len() {
                    self.fall_behind(state, bytes.slice(taken..));
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.fall_behind(state, bytes.clone()),
            Err(_) => self.note_gone(state),
        }
    }

    fn fall_behind(&self, state: &mut State, rest: Bytes) {
        state.rest = rest;
        state.behind_since.get_or_insert_with(Instant::now);
        self.wake.notify_one();
    }

    fn note_gone(&self, state: &mut State) {
        state.is_gone = true;
        self.wake.notify_one();
    }

    /// Writes what waits, then what the rooms have, until the socket takes no more, nothing is left, or
    /// the turn is over.
    pub(super) fn follow(&self, state: &mut State) {
        let mut budget = limits::SOCKET_TURN_BYTES;
        while !state.is_gone {
            if state.rest.is_empty() {
                match self.next_bytes(state) {
                    Some(bytes) => state.rest = bytes,
                    None => {
                        (state.behind_since, state.lagged_at) = (None, None);
                        return;
                    }
                }
            }
            if budget == 0 {
                // There may be more; others come first.
                state.behind_since.get_or_insert_with(Instant::now);
                self.wake.notify_one();
                return;
            }
            match self.stream.try_write(&state.rest) {
                Ok(taken) => {
                    state.rest.advance(taken);
                    state.note_written(taken);
                    budget = budget.saturating_sub(taken);
                    if let Some(since) = &mut state.behind_since {
                        *since = Instant::now();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if state.behind_since.is_none() {
                        state.behind_since = Some(Instant::now());
                        self.wake.notify_one();
                    }
                    return;
                }
                Err(_) => self.note_gone(state),
            }
        }
    }

    /// What leaves next from a socket that is behind: answers, then the drawings in turn.
    fn next_bytes(&self, state: &mut State) -> Option<Bytes> {
        if let Some(answer) = state.answers.pop() {
            return Some(answer);
        }
        if state.is_closing() {
            return None;
        }
        for _ in 0..state.subscriptions.len() {
            state.turn = (state.turn + 1) % state.subscriptions.len().max(1);
            if let Some(bytes) = self.next_of_room(state, state.turn) {
                return Some(bytes);
            }
        }
        // Presence last: what was skipped meanwhile is one diff now.
        (0..state.subscriptions.len()).find_map(|nth| self.next_presence(state, nth))
    }

    fn next_of_room(&self, state: &mut State, nth: usize) -> Option<Bytes> {
        match state.subscriptions.get_mut(nth)?.reader.as_mut()?.read() {
            Next::Empty => None,
            Next::Item(item) => {
                if let News::Restarted { reason, .. } = item.news {
                    telemetry::count_reset(reason.as_str());
                    self.remove(state, nth);
                }
                Some(item.bytes(self.encoding).clone())
            }
            Next::Lagged { reason, branch, revision } => {
                let drawing_id = self.remove(state, nth);
                state.lagged_at.get_or_insert_with(Instant::now);
                Some(self.reset(drawing_id, reason, branch, revision))
            }
        }
    }

    /// What the client of a subscription lacks of presence.
    fn next_presence(&self, state: &mut State, nth: usize) -> Option<Bytes> {
        let subscription = state.subscriptions.get_mut(nth)?;
        match subscription.told.as_mut()?.next(self.id) {
            Since::Nothing => None,
            Since::Diff(diff) => Some(diff.bytes(self.encoding).clone()),
            // More has happened than anybody remembers: it begins anew, as if it lagged.
            Since::TooOld => {
                let (branch, revision) = subscription.reader.as_ref()?.position();
                let drawing_id = self.remove(state, nth);
                Some(self.reset(drawing_id, ResetReason::Lagged, branch, revision))
            }
        }
    }

    pub(super) fn reset(
        &self,
        drawing_id: DrawingId,
        reason: ResetReason,
        branch: Branch,
        revision: Revision,
    ) -> Bytes {
        telemetry::count_reset(reason.as_str());
        encode::message(&ServerMessage::reset(drawing_id, reason, branch, revision), self.encoding)
    }
}

impl Outlet for Connection {
    fn offer(&self, number: u64, batch: &Batch) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        if state.closing.is_some() || state.is_gone {
            return false;
        }
        let is_behind = state.is_behind();
        let Some(nth) = state.numbered(number) else { return false };
        // One that joins, or is behind, reads by itself when it is ready.
        let reader = state.subscriptions[nth].reader.as_mut().filter(|_| !is_behind);
        let Some(reader) = reader else { return true };
        if !reader.take(batch) {
            self.follow(state);
            return true;
        }
        if !batch.items.is_empty() {
            let bytes = batch.bytes(self.encoding);
            self.write(state, bytes);
        }
        true
    }

    fn offer_presence(&self, number: u64) {
        let mut state = self.lock();
        let state = &mut *state;
        if state.closing.is_some() || state.is_gone || state.is_behind() {
            return;
        }
        let Some(nth) = state.numbered(number) else { return };
        if let Some(bytes) = self.next_presence(state, nth) {
            self.write(state, &bytes);
        }
    }

    fn tell_role(&self, number: u64, role: Option<Role>) {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(nth) = state.numbered(number) else { return };
        let subscription = &mut state.subscriptions[nth];
        let drawing_id = subscription.drawing_id;
        if subscription.reader.is_none() {
            // It joins, and looked before, perhaps.
            subscription.news = Some(role);
            return;
        }
        // The same news may come twice, by the bus and without it.
        if std::mem::replace(&mut subscription.role, role) == role {
            return;
        }
        if role.is_none() {
            subscription.own.leave(self.id);
            self.remove(state, nth);
        }
        self.send(state, &ServerMessage::Role { drawing_id, role });
    }
}
