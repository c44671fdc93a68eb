//! The task of one socket: it reads what comes, and goes on with what is behind.
//!
//! Owns the reader of the client's frames, and the pace at which these may come. It never waits for a room, and decides neither what
//! leaves nor what a message means: the socket does, and the conversation.

use std::{cell::RefCell, io::ErrorKind, num::NonZeroU32, sync::Arc};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::{io::Interest, time::timeout};
use uuid::Uuid;

use super::{
    conversation::{Conversation, Ended},
    gateway::Gateway,
    registry::{Registration, Sockets},
    socket::Socket,
};
use crate::{
    identity::Identity,
    limits,
    model::ConnectionId,
    transport::Transport,
    wire::{CloseCode, Encoding, FrameReader, ReadError},
};

/// Buffer for reading from sockets, in bytes; each thread has one.
const SOCKET_READ_BUFFER_BYTES: usize = 16 * 1024;

/// One client, as its task sees it.
pub(super) struct Session {
    socket: Arc<Socket>,
    conversation: Conversation,
    reader: FrameReader,
    /// Set when the client had begun something at the last look that it had not ended.
    is_within: bool,
    /// The pace at which the client may send frames of any kind.
    frames: DefaultDirectRateLimiter,
}

impl Session {
    /// Opens a socket for a client that has shaken hands, and agreed on compression if it `is_compressed`.
    pub(super) fn open(
        gateway: Gateway,
        stream: Transport,
        encoding: Encoding,
        is_compressed: bool,
        identity: Identity,
    ) -> Self {
        let id = ConnectionId(Uuid::now_v7());
        let socket = Arc::new(Socket::new(id, stream, encoding, identity));
        let rate = NonZeroU32::new(limits::CLIENT_FRAMES_PER_SECOND).unwrap_or(NonZeroU32::MIN);
        Self {
            conversation: Conversation::new(gateway, socket.clone()),
            socket,
            reader: FrameReader::new(is_compressed),
            is_within: false,
            frames: RateLimiter::direct(Quota::per_second(rate)),
        }
    }

    /// Greets the client, and takes what came with its handshake.
    pub(super) fn begin(&mut self, early: &[u8]) {
        self.conversation.say_hello();
        if let Err(code) = self.take(early) {
            self.close(code);
        }
    }

    /// Closes the socket for this reason.
    pub(super) fn close(&self, code: CloseCode) {
        self.socket.lock().close(code);
    }

    /// Has the socket looked after with all `sockets` while the value lives.
    pub(super) fn register(&self, sockets: &Arc<Sockets>) -> Registration {
        sockets.register(&self.socket)
    }

    /// Serves the client until either side ends it.
    pub(super) async fn run(mut self) {
        self.serve().await;
        // All that has left must arrive: the client closes, or has had its time. Boxed, because an idle
        // connection does not need the room.
        let _ = timeout(limits::SOCKET_CLOSE_TIMEOUT, Box::pin(self.linger())).await;
        self.socket.lock().leave();
        // Broadcasters may hold the socket a moment longer.
        let _ = self.socket.endpoint().stream.end(std::net::Shutdown::Both);
    }

    async fn serve(&mut self) {
        while let Some(interest) = self.interest() {
            // A client that talks without end must let others speak.
            tokio::task::consume_budget().await;
            let ready = tokio::select! {
                () = self.socket.endpoint().woken() => None,
                ready = self.socket.endpoint().stream.ready(interest) => Some(ready),
            };
            match ready {
                Some(Ok(ready)) => {
                    if ready.is_writable() {
                        self.socket.lock().follow();
                    }
                    if ready.is_readable() || ready.is_read_closed() {
                        match self.read() {
                            Ok(true) => (),
                            Ok(false) => return,
                            Err(code) => self.close(code),
                        }
                    }
                }
                Some(Err(_)) => return,
                None => (),
            }
        }
    }

    /// The events to wait for; `None` when the socket ends.
    fn interest(&self) -> Option<Interest> {
        self.socket.lock().interest()
    }

    /// Lets the rest leave, ends our side, and reads on until the client has ended its own: a socket that
    /// is closed with something unread is reset, and the goodbye may be lost.
    async fn linger(&mut self) {
        let stream = &self.socket.endpoint().stream;
        let (mut is_over, mut is_heard_out) = (false, false);
        loop {
            tokio::task::consume_budget().await;
            let is_flushed = {
                let mut socket = self.socket.lock();
                socket.follow();
                if socket.is_gone() {
                    return;
                }
                socket.is_flushed()
            };
            if is_flushed && !std::mem::replace(&mut is_over, true) {
                let _ = stream.end(std::net::Shutdown::Write);
            }
            let interest = match (is_over, is_heard_out) {
                (true, true) => return,
                (true, false) => Interest::READABLE,
                (false, true) => Interest::WRITABLE,
                (false, false) => Interest::READABLE | Interest::WRITABLE,
            };
            if stream.ready(interest).await.is_err() {
                return;
            }
            let mut waste = [0; 1024];
            match stream.try_read(&mut waste) {
                // It says no more, but may still listen.
                Ok(0) => is_heard_out = true,
                Ok(_) => (),
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Err(_) => return,
            }
        }
    }

    // --- What the client says ---------------------------------------------------------------------

    /// Takes what has come; false when the client is gone.
    fn read(&mut self) -> Ended<bool> {
        thread_local! {
            /// One for all connections of a thread: an idle one holds nothing.
            static BUFFER: RefCell<Box<[u8]>> =
                RefCell::new(vec![0; SOCKET_READ_BUFFER_BYTES].into());
        }
        BUFFER.with_borrow_mut(|buffer| match self.socket.endpoint().stream.try_read(buffer) {
            Ok(0) => Ok(false),
            Ok(count) => self.take(&buffer[..count]).map(|()| true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(_) => Ok(false),
        })
    }

    fn take(&mut self, mut bytes: &[u8]) -> Ended {
        if bytes.is_empty() {
            return Ok(());
        }
        self.socket.lock().note_heard();
        self.charge(bytes.len() / 1024)?;
        let mut has_ended = false;
        while let Some(incoming) = self.reader.read(&mut bytes).map_err(close_code_of)? {
            // A ping in the middle of a message ends nothing.
            has_ended |= !self.reader.is_within_message();
            self.charge(1)?;
            self.conversation.take(incoming)?;
        }
        let is_idle = self.reader.is_idle();
        if !is_idle || self.is_within {
            self.is_within = !is_idle;
            self.socket.lock().note_read(has_ended, is_idle);
        }
        Ok(())
    }

    /// Takes from what the client may send in a second.
    fn charge(&self, cost: usize) -> Ended {
        let Some(cost) = u32::try_from(cost).ok().and_then(NonZeroU32::new) else { return Ok(()) };
        if matches!(self.frames.check_n(cost), Ok(Ok(()))) { Ok(()) } else { Err(CloseCode::Rate) }
    }
}

fn close_code_of(error: ReadError) -> CloseCode {
    match error {
        ReadError::Protocol(_) => CloseCode::ProtocolViolation,
        ReadError::TooLarge => CloseCode::MessageTooLarge,
    }
}
