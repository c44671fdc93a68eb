//! The bytes that leave a socket, and what waits of them.
//!
//! On the *direct* lane a broadcaster writes the shared bytes straight to the socket, and no task is
//! woken. A socket that would block is *behind*: its own task waits until it takes more, follows the rooms
//! by their cursors, and hands it back to the broadcasters when it has caught up.
//!
//! Owns the rest of the message that leaves, and a few answers to the client itself: nothing else is ever queued here. It
//! knows no rooms.

use std::{collections::VecDeque, io::ErrorKind, time::Instant};

use bytes::{Buf, Bytes};
use tokio::io::Interest;

use super::endpoint::Endpoint;
use crate::{limits, wire::CloseCode};

/// Answers that may wait for a socket that is behind, in bytes.
/// At the bound, the client is not read from until it has taken some.
const SOCKET_ANSWER_BYTES: usize = 128 * 1024;

/// The way out of one socket.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The part of the message that leaves which the socket has not taken yet.
    rest: Bytes,
    /// Answers to the client, while it is behind.
    answers: Answers,
    /// The time at which the socket last took something; set while it is behind.
    behind_since: Option<Instant>,
    /// The time at which it was told that it lagged, until it has caught up.
    lagged_at: Option<Instant>,
    /// The reason for which the socket closes: nothing leaves any more but the close frame.
    closing: Option<CloseCode>,
    /// Set when the other end is gone.
    is_gone: bool,
    /// Writes and bytes since the last sweep.
    written: (u64, u64),
}

/// Answers that wait: they are few, for a client with many is not read from, and one for each
/// subscription may come besides.
#[derive(Debug, Default)]
struct Answers {
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// The answer to the latest ping.
    pong: Option<Bytes>,
}

impl Outgoing {
    // --- How it stands ----------------------------------------------------------------------------

    /// Tells whether something waits for the socket to take it.
    pub(super) fn is_behind(&self) -> bool {
        self.behind_since.is_some()
    }

    /// Tells whether the socket closes.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Tells whether the other end is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Tells whether nothing new may leave any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_closing() || self.is_gone
    }

    /// Tells whether everything has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.rest.is_empty() && self.answers.is_empty()
    }

    /// Tells whether the client must take some answers before it may ask for more.
    pub(super) fn is_full(&self) -> bool {
        self.answers.is_full()
    }

    /// Tells whether the client takes nothing for too long, or stays behind after it was told that it lagged.
    pub(super) fn is_slow(&self) -> bool {
        let is_stalled = self.behind_since.is_some_and(|at| at.elapsed() >= limits::SOCKET_STALL_TIMEOUT);
        is_stalled || self.lagged_at.is_some_and(|at| at.elapsed() >= limits::SOCKET_LAG_TIMEOUT)
    }

    /// The events that the task of the socket waits for; `None` when the socket ends.
    pub(super) fn interest(&self) -> Option<Interest> {
        if self.is_over() {
            return None;
        }
        Some(match (self.is_behind(), self.is_full()) {
            (false, _) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            // It must take its answers before it may ask for more.
            (true, true) => Interest::WRITABLE,
        })
    }

    // --- What leaves ------------------------------------------------------------------------------

    /// Sends bytes to this client alone: at once, or behind what leaves already.
    pub(super) fn send(&mut self, endpoint: &Endpoint, bytes: Bytes) {
        if self.is_over() {
            return;
        }
        if self.is_behind() {
            self.answers.push(bytes);
        } else {
            self.write(endpoint, &bytes);
        }
    }

    /// Answers a ping. While the client is behind, the latest one counts (RFC 6455 §5.5.3).
    pub(super) fn send_pong(&mut self, endpoint: &Endpoint, pong: Bytes) {
        if self.is_behind() {
            self.answers.pong = Some(pong);
        } else {
            self.send(endpoint, pong);
        }
    }

    /// Lets what has begun to leave end, then the close frame, and nothing after it.
    pub(super) fn end(&mut self, endpoint: &Endpoint, code: CloseCode, frame: Bytes) {
        self.answers = Answers::default();
        self.send(endpoint, frame);
        self.closing = Some(code);
        endpoint.wake();
    }

    /// Writes shared bytes to a socket that is not behind. Bytes that it does not take are kept.
    pub(super) fn write(&mut self, endpoint: &Endpoint, bytes: &Bytes) {
        match endpoint.stream.try_write(bytes) {
            Ok(taken) => {
                self.note_written(taken);
                if taken < bytes.len() {
                    self.fall_behind(endpoint, bytes.slice(taken..));
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.fall_behind(endpoint, bytes.clone()),
            Err(_) => self.note_gone(endpoint),
        }
    }

    // --- The lane of a socket that is behind ------------------------------------------------------

    /// Writes the rest of what leaves. Returns whether there is a call for more: not when the socket takes no more, is
    /// gone, or has had all of `budget` bytes for this turn.
    pub(super) fn flush(&mut self, endpoint: &Endpoint, budget: &mut usize) -> bool {
        while !self.is_gone {
            if self.rest.is_empty() {
                return true;
            }
            if *budget == 0 {
                // There may be more; others come first.
                self.behind_since.get_or_insert_with(Instant::now);
                endpoint.wake();
                return false;
            }
            match endpoint.stream.try_write(&self.rest) {
                Ok(taken) => {
                    self.rest.advance(taken);
                    self.note_written(taken);
                    *budget = budget.saturating_sub(taken);
                    if let Some(since) = &mut self.behind_since {
                        *since = Instant::now();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.behind_since.is_none() {
                        self.behind_since = Some(Instant::now());
                        endpoint.wake();
                    }
                    return false;
                }
                Err(_) => self.note_gone(endpoint),
            }
        }
        false
    }

    /// Takes the answer that leaves next, if one waits.
    pub(super) fn next_answer(&mut self) -> Option<Bytes> {
        self.answers.pop()
    }

    /// Takes what leaves next, after everything before it has left.
    pub(super) fn begin(&mut self, bytes: Bytes) {
        self.rest = bytes;
    }

    /// Takes note that nothing is left to be told: broadcasters may write again.
    pub(super) fn note_caught_up(&mut self) {
        (self.behind_since, self.lagged_at) = (None, None);
    }

    /// Takes note that the client is told that it lagged.
    pub(super) fn note_lagged(&mut self) {
        self.lagged_at.get_or_insert_with(Instant::now);
    }

    /// Returns writes and bytes since the last time.
    pub(super) fn take_written(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.written)
    }

    fn note_written(&mut self, bytes: usize) {
        self.written.0 += 1;
        self.written.1 += bytes as u64;
    }

    fn fall_behind(&mut self, endpoint: &Endpoint, rest: Bytes) {
        self.rest = rest;
        self.behind_since.get_or_insert_with(Instant::now);
        endpoint.wake();
    }

    fn note_gone(&mut self, endpoint: &Endpoint) {
        self.is_gone = true;
        endpoint.wake();
    }
}

impl Answers {
    fn push(&mut self, answer: Bytes) {
        self.bytes += answer.len();
        self.queue.push_back(answer);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let next = self.queue.pop_front();
        self.bytes -= next.as_ref().map_or(0, Bytes::len);
        next.or_else(|| self.pong.take())
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.pong.is_none()
    }

    fn is_full(&self) -> bool {
        self.queue.len() >= limits::SOCKET_ANSWERS || self.bytes >= SOCKET_ANSWER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::ConnectionId,
        transport::{Transport, pipe},
        wire::Encoding,
    };

    /// A socket that holds four bytes, and its client.
    fn socket() -> (Endpoint, Transport) {
        let (end, client) = pipe(4);
        let id = ConnectionId(uuid::Uuid::nil());
        (Endpoint::new(id, end.into(), Encoding::of_socket(false, false)), client.into())
    }

    fn read(client: &Transport) -> Vec<u8> {
        let mut bytes = [0; 8];
        let count = client.try_read(&mut bytes).unwrap();
        bytes[..count].to_vec()
    }

    #[test]
    fn a_socket_that_takes_no_more_is_behind_until_all_has_left_in_order() {
        let ((endpoint, client), mut outgoing) = (socket(), Outgoing::default());
        outgoing.write(&endpoint, &Bytes::from_static(b"abcdef"));
        outgoing.send_pong(&endpoint, Bytes::from_static(b"1"));
        outgoing.send_pong(&endpoint, Bytes::from_static(b"2"));
        outgoing.send(&endpoint, Bytes::from_static(b"g"));
        assert!(outgoing.is_behind() && !outgoing.is_flushed());
        let mut budget = 2;
        assert!(!outgoing.flush(&endpoint, &mut budget), "the socket takes no more");
        assert_eq!(read(&client), b"abcd");
        assert!(outgoing.flush(&endpoint, &mut budget), "there may be more");
        let answer = outgoing.next_answer().unwrap();
        outgoing.begin(answer);
        assert!(!outgoing.flush(&endpoint, &mut budget), "the turn is over");
        budget = 8;
        assert!(outgoing.flush(&endpoint, &mut budget));
        let answer = outgoing.next_answer().unwrap();
        outgoing.begin(answer);
        assert!(outgoing.flush(&endpoint, &mut budget));
        assert_eq!((outgoing.next_answer(), outgoing.is_behind(), outgoing.is_flushed()), (None, true, true));
        outgoing.note_caught_up();
        assert_eq!((read(&client), outgoing.is_behind()), (b"efg2".to_vec(), false));
        assert_eq!(outgoing.take_written(), (4, 8));
    }

    #[test]
    fn nothing_leaves_after_the_close_frame_but_what_had_begun() {
        let ((endpoint, client), mut outgoing) = (socket(), Outgoing::default());
        outgoing.write(&endpoint, &Bytes::from_static(b"abcdef"));
        outgoing.send(&endpoint, Bytes::from_static(b"given up"));
        outgoing.end(&endpoint, CloseCode::Normal, Bytes::from_static(b"bye"));
        outgoing.send(&endpoint, Bytes::from_static(b"too late"));
        assert!(outgoing.is_over() && outgoing.interest().is_none());
        assert_eq!(read(&client), b"abcd");
        let mut budget = 8;
        assert!(outgoing.flush(&endpoint, &mut budget));
        assert_eq!(outgoing.next_answer().unwrap(), "bye");
        assert_eq!(outgoing.next_answer(), None);
    }

    #[test]
    fn a_client_that_is_gone_is_written_to_no_more() {
        let ((endpoint, client), mut outgoing) = (socket(), Outgoing::default());
        drop(client);
        outgoing.write(&endpoint, &Bytes::from_static(b"a"));
        assert!(outgoing.is_gone() && !outgoing.is_behind());
        assert!(!outgoing.flush(&endpoint, &mut 8));
    }
}
