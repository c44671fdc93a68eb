//! The task of one socket: what its client says, and when the lane behind goes on.
//!
//! It never waits for a room: joins are tasks of their own. What leaves is decided in `connection`.

use std::{cell::RefCell, io::ErrorKind, num::NonZeroU32, sync::Arc};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::{io::Interest, time::timeout};

use super::{Gateway, connection::Connection, registry::Listed};
use crate::{
    error::ErrorCode,
    limits,
    model::DrawingId,
    room::Position,
    wire::{
        ClientMessage, CloseCode, FrameReader, Incoming, Limits, PROTOCOL, ReadError, ServerMessage, encode,
    },
};

/// One client, as its task sees it.
pub(super) struct Session {
    pub(super) gateway: Gateway,
    pub(super) connection: Arc<Connection>,
    reader: FrameReader,
    /// Whether it had begun something at the last look that it had not ended.
    is_within: bool,
    /// How fast the client may talk, presence aside.
    messages: DefaultDirectRateLimiter,
    /// How fast it may send frames of any kind.
    frames: DefaultDirectRateLimiter,
}

/// Ends the connection, for this reason.
type Ended<T = ()> = Result<T, CloseCode>;

impl Session {
    pub(super) fn new(gateway: Gateway, connection: Arc<Connection>, is_compressed: bool) -> Self {
        let per_second = |rate| Quota::per_second(NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN));
        Self {
            gateway,
            connection,
            reader: FrameReader::new(is_compressed),
            is_within: false,
            messages: RateLimiter::direct(per_second(limits::CLIENT_MESSAGES_PER_SECOND)),
            frames: RateLimiter::direct(per_second(limits::CLIENT_FRAMES_PER_SECOND)),
        }
    }

    /// Greets the client, and takes what came with its handshake.
    pub(super) fn begin(&mut self, early: &[u8]) {
        self.say_hello();
        if let Err(code) = self.take(early) {
            self.close(code);
        }
    }

    /// Closes the socket for this reason.
    pub(super) fn close(&self, code: CloseCode) {
        self.connection.close(&mut self.connection.lock(), code);
    }

    /// Has the connection looked after while the value lives.
    pub(super) fn list(&self) -> Listed {
        self.gateway.connections.list(&self.connection)
    }

    /// Serves the client until either side ends it.
    pub(super) async fn run(mut self) {
        self.serve().await;
        // What has left must arrive: the client closes, or has had its time. Boxed, because an idle
        // connection does not need the room.
        let _ = timeout(limits::SOCKET_CLOSE_TIMEOUT, Box::pin(self.linger())).await;
        self.connection.leave(&mut self.connection.lock());
        // Broadcasters may hold the connection a moment longer.
        let _ = self.connection.stream.end(std::net::Shutdown::Both);
    }

    fn say_hello(&self) {
        let hello = ServerMessage::Hello {
            protocol: PROTOCOL,
            connection_id: self.connection.id,
            epoch: self.gateway.rooms.epoch(),
            heartbeat_ms: self.gateway.heartbeat_ms(),
            limits: &Limits::ADVERTISED,
        };
        self.connection.send(&mut self.connection.lock(), &hello);
    }

    async fn serve(&mut self) {
        while let Some(interest) = self.interest() {
            // A client that talks without end must let others speak.
            tokio::task::consume_budget().await;
            let ready = tokio::select! {
                () = self.connection.wake.notified() => None,
                ready = self.connection.stream.ready(interest) => Some(ready),
            };
            match ready {
                Some(Ok(ready)) => {
                    if ready.is_writable() {
                        self.connection.follow(&mut self.connection.lock());
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

    /// What to wait for; `None` when the connection ends.
    fn interest(&self) -> Option<Interest> {
        let state = self.connection.lock();
        if state.is_gone || state.is_closing() {
            return None;
        }
        Some(match (state.is_behind(), state.answers.is_full()) {
            (false, _) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            // It must take its answers before it may ask for more.
            (true, true) => Interest::WRITABLE,
        })
    }

    /// Lets the rest leave, ends our side, and reads on until the client has ended its own: a socket that
    /// is closed with something unread is reset, and the goodbye may be lost.
    async fn linger(&mut self) {
        let stream = &self.connection.stream;
        let (mut is_over, mut is_heard_out) = (false, false);
        loop {
            tokio::task::consume_budget().await;
            let is_flushed = {
                let mut state = self.connection.lock();
                self.connection.follow(&mut state);
                if state.is_gone {
                    return;
                }
                state.is_flushed()
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
                RefCell::new(vec![0; limits::SOCKET_READ_BUFFER_BYTES].into());
        }
        BUFFER.with_borrow_mut(|buffer| match self.connection.stream.try_read(buffer) {
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
        self.connection.lock().note_heard();
        self.charge(bytes.len() / 1024)?;
        let mut has_ended = false;
        while let Some(incoming) = self.reader.read(&mut bytes).map_err(close_code_of)? {
            // A ping in the middle of a message ends nothing.
            has_ended |= !self.reader.is_within_message();
            self.charge(1)?;
            self.on_incoming(incoming)?;
        }
        let is_idle = self.reader.is_idle();
        if !is_idle || self.is_within {
            self.is_within = !is_idle;
            self.connection.lock().note_read(has_ended, is_idle);
        }
        Ok(())
    }

    /// Takes from what the client may send in a second.
    fn charge(&self, cost: usize) -> Ended {
        let Some(cost) = u32::try_from(cost).ok().and_then(NonZeroU32::new) else { return Ok(()) };
        if matches!(self.frames.check_n(cost), Ok(Ok(()))) { Ok(()) } else { Err(CloseCode::Rate) }
    }

    fn on_incoming(&self, incoming: Incoming) -> Ended {
        let is_message_pack = self.connection.encoding.is_message_pack();
        match incoming {
            Incoming::Text(text) if !is_message_pack => self.on_text(&text),
            Incoming::Binary(bytes) if is_message_pack => match ClientMessage::unpack(&bytes) {
                Some(json) => self.on_text(&json),
                None => self.refuse(ErrorCode::InvalidRequest, "the message is no MessagePack", None),
            },
            Incoming::Text(_) | Incoming::Binary(_) => Err(CloseCode::ProtocolViolation),
            Incoming::Ping(payload) => {
                self.connection.send_pong(&mut self.connection.lock(), encode::pong(&payload));
                Ok(())
            }
            Incoming::Pong => Ok(()),
            Incoming::Close(code) => {
                self.connection.close_back(&mut self.connection.lock(), code);
                Ok(())
            }
        }
    }

    fn on_text(&self, text: &str) -> Ended {
        let message = ClientMessage::parse(text);
        if !matches!(message, Some(ClientMessage::Presence { .. })) && self.messages.check().is_err() {
            return Err(CloseCode::Rate);
        }
        match message {
            None => {
                let drawing_id = ClientMessage::named_drawing(text);
                self.refuse(ErrorCode::InvalidRequest, "the message is not as documented", drawing_id)
            }
            Some(ClientMessage::Subscribe { drawing_id, after, epoch, presence }) => {
                self.subscribe(drawing_id, Position { after, epoch }, presence);
                Ok(())
            }
            Some(ClientMessage::Unsubscribe { drawing_id }) => {
                let mut state = self.connection.lock();
                if let Some(nth) = state.of_drawing(drawing_id) {
                    state.subscriptions[nth].own.leave(self.connection.id);
                    self.connection.remove(&mut state, nth);
                }
                Ok(())
            }
            Some(ClientMessage::Presence { drawing_id, state }) => {
                self.be_present(drawing_id, &state);
                Ok(())
            }
            Some(ClientMessage::Auth { ticket }) => self.renew(&ticket),
            Some(ClientMessage::Ping { t }) => self.answer(&ServerMessage::Pong { t: &t }),
            Some(ClientMessage::Unknown) if ClientMessage::names_an_op(text) => {
                let detail = "ops are committed with POST /v1/drawings/{drawing_id}/ops";
                self.refuse(ErrorCode::WriteOverRest, detail, ClientMessage::named_drawing(text))
            }
            Some(ClientMessage::Unknown) => Ok(()),
        }
    }

    fn answer(&self, message: &ServerMessage<'_>) -> Ended {
        self.connection.send(&mut self.connection.lock(), message);
        Ok(())
    }

    fn refuse(&self, code: ErrorCode, detail: &str, drawing_id: Option<DrawingId>) -> Ended {
        self.answer(&ServerMessage::error(code, detail, drawing_id))
    }

    fn renew(&self, ticket: &str) -> Ended {
        let renewed = self.gateway.authenticator.verify_ticket(ticket);
        let mut state = self.connection.lock();
        match renewed {
            // Another user would inherit subscriptions that are not theirs.
            Ok(identity) if identity.user_id == state.identity.user_id => {
                state.identity = identity;
                Ok(())
            }
            _ => Err(CloseCode::BadTicket),
        }
    }
}

fn close_code_of(error: ReadError) -> CloseCode {
    match error {
        ReadError::Protocol(_) => CloseCode::ProtocolViolation,
        ReadError::TooLarge => CloseCode::MessageTooLarge,
    }
}
