//! Reads the frames of a client: bytes in, whole messages out.
//!
//! Owns what RFC 6455 asks of client frames and RFC 7692 of compressed messages, and keeps what is half
//! read, within [`limits::MAX_CLIENT_FRAME_BYTES`]. It never touches a socket, never waits, and never
//! answers: pongs, close frames and the rate of messages are the caller's.

mod inflate;

use std::{io::Cursor, mem};

use bytes::Bytes;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use self::inflate::inflate;
use crate::limits;

/// The longest header of a frame: two bytes, eight of length, four of mask.
const MAX_HEADER_BYTES: usize = 14;
/// The longest payload of a control frame (RFC 6455 §5.5).
const MAX_CONTROL_BYTES: usize = 125;

/// The frames of one client, as far as they have come. Idle, it holds no heap.
#[derive(Debug)]
pub struct FrameReader {
    /// `true` if permessage-deflate was negotiated.
    accepts_deflate: bool,
    state: State,
    /// The data message under way, from its first frame to its last.
    message: Option<Message>,
    /// The message's payload so far, unmasked.
    payload: Vec<u8>,
    /// The payload of the control frame under way; it may come between two frames of a message.
    control: Vec<u8>,
}

/// A complete message.
#[derive(Debug, PartialEq)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping: a pong with the same payload is due.
    Ping(Bytes),
    /// A pong, whatever it answers.
    Pong,
    /// The client closes, with this code if it gave one. Bytes that come after it are swallowed.
    Close(Option<u16>),
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The client broke the protocol; the text says how.
    Protocol(&'static str),
    /// A message, as sent or inflated, is larger than a client may send, or in too many pieces.
    TooLarge,
}

/// The part of the stream that the next byte belongs to.
#[derive(Debug)]
enum State {
    /// A header, of which this much has come.
    Header { bytes: [u8; MAX_HEADER_BYTES], filled: usize },
    /// The payload of a frame.
    Payload(OpenFrame),
    /// Nothing: the client has closed, or broken the protocol.
    Over,
}

impl State {
    const START: Self = Self::Header { bytes: [0; MAX_HEADER_BYTES], filled: 0 };
}

/// A frame whose header has come.
#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    kind: Kind,
    /// The mask, turned so that its first byte is for the next byte of the payload.
    mask: [u8; 4],
    /// Bytes of payload still to come.
    remaining: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Control(Control),
    Data { is_final: bool },
}

/// The properties of a data message besides its payload.
#[derive(Clone, Copy, Debug)]
struct Message {
    is_text: bool,
    is_compressed: bool,
    /// Frames so far.
    fragments: u16,
}

impl FrameReader {
    /// A reader at the start of a connection; `accepts_deflate` when permessage-deflate was negotiated.
    #[must_use]
    pub const fn new(accepts_deflate: bool) -> Self {
        Self { accepts_deflate, state: State::START, message: None, payload: Vec::new(), control: Vec::new() }
    }

    /// Reads the next message off the front of `input`. `None` means that all of `input` is read and more
    /// must come. Fragments and pongs cost the client a few bytes each, so the caller limits the rate of
    /// bytes or reads, as well as that of messages.
    ///
    /// # Errors
    /// When the client broke the protocol or a limit. The reader is at its end then, as it is after a
    /// close frame: it swallows what it is given and says `None`.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, ReadError> {
        let outcome = self.advance(input);
        if matches!(outcome, Err(_) | Ok(Some(Incoming::Close(_)))) {
            *self = Self { state: State::Over, ..Self::new(self.accepts_deflate) };
        }
        outcome
    }

    /// Returns `true` while a data message has begun and not ended.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        self.message.is_some()
    }

    /// Returns `true` if nothing is half read, neither a message nor a frame.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let is_between = matches!(self.state, State::Header { filled: 0, .. } | State::Over);
        is_between && !self.is_within_message()
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, ReadError> {
        loop {
            match &mut self.state {
                State::Header { bytes, filled } => {
                    let Some((header, length)) = read_header(bytes, filled, input)? else { return Ok(None) };
                    self.state = State::Payload(self.begin(&header, length)?);
                }
                State::Payload(frame) => {
                    let buffer = match frame.kind {
                        Kind::Data { .. } => Some(&mut self.payload),
                        // Nobody looks at what a pong says.
                        Kind::Control(Control::Pong) => None,
                        Kind::Control(_) => Some(&mut self.control),
                    };
                    if !frame.read(input, buffer) {
                        return Ok(None);
                    }
                    let kind = frame.kind;
                    self.state = State::START;
                    if let Some(incoming) = self.end(kind)? {
                        return Ok(Some(incoming));
                    }
                }
                State::Over => {
                    *input = &[];
                    return Ok(None);
                }
            }
        }
    }

    /// Checks a header against the rules and against what came before it.
    fn begin(&mut self, header: &FrameHeader, length: u64) -> Result<OpenFrame, ReadError> {
        let mask = header.mask.ok_or(ReadError::Protocol("a frame without a mask"))?;
        if header.rsv2 || header.rsv3 {
            return Err(ReadError::Protocol("a reserved bit is set"));
        }
        // The top bit is reserved (RFC 6455 §5.2): such a length is no length at all.
        if length >> 63 != 0 {
            return Err(ReadError::Protocol("a length of 64 bits"));
        }
        let length = usize::try_from(length).map_err(|_| ReadError::TooLarge)?;
        let is_final = header.is_final;
        let kind = match header.opcode {
            OpCode::Control(_) if header.rsv1 => {
                return Err(ReadError::Protocol("a compressed control frame"));
            }
            OpCode::Control(_) if !is_final => {
                return Err(ReadError::Protocol("a fragmented control frame"));
            }
            OpCode::Control(_) if length > MAX_CONTROL_BYTES => {
                return Err(ReadError::Protocol("a long control frame"));
            }
            OpCode::Control(control) => Kind::Control(control),
            OpCode::Data(data) => {
                self.begin_data(data, header.rsv1)?;
                if length > limits::MAX_CLIENT_FRAME_BYTES.saturating_sub(self.payload.len()) {
                    return Err(ReadError::TooLarge);
                }
                Kind::Data { is_final }
            }
        };
        Ok(OpenFrame { kind, mask, remaining: length })
    }

    /// Begins a message, or goes on with the one under way.
    fn begin_data(&mut self, data: Data, is_compressed: bool) -> Result<(), ReadError> {
        match (data, &mut self.message) {
            (Data::Continue, None) => Err(ReadError::Protocol("a continuation of nothing")),
            (Data::Continue, Some(_)) if is_compressed => {
                Err(ReadError::Protocol("a continuation that claims to begin a compressed message"))
            }
            (Data::Continue, Some(message)) if message.fragments >= limits::MAX_CLIENT_FRAGMENTS => {
                Err(ReadError::TooLarge)
            }
            (Data::Continue, Some(message)) => {
                message.fragments += 1;
                Ok(())
            }
            (_, Some(_)) => Err(ReadError::Protocol("a message inside another")),
            _ if is_compressed && !self.accepts_deflate => {
                Err(ReadError::Protocol("compressed without agreement"))
            }
            (data, None) => {
                self.message = Some(Message { is_text: data == Data::Text, is_compressed, fragments: 1 });
                Ok(())
            }
        }
    }

    /// Ends a frame; a message when it was the last one of it.
    fn end(&mut self, kind: Kind) -> Result<Option<Incoming>, ReadError> {
        match kind {
            Kind::Control(Control::Ping) => Ok(Some(Incoming::Ping(mem::take(&mut self.control).into()))),
            Kind::Control(Control::Close) => {
                parse_close(&self.control).map(|code| Some(Incoming::Close(code)))
            }
            Kind::Control(_) => Ok(Some(Incoming::Pong)),
            Kind::Data { is_final: false } => Ok(None),
            Kind::Data { is_final: true } => {
                let payload = mem::take(&mut self.payload);
                self.message.take().map(|message| message.finish(payload)).transpose()
            }
        }
    }
}

impl OpenFrame {
    /// Moves what has come of the payload into `buffer`; true when that is all of it.
    fn read(&mut self, input: &mut &[u8], buffer: Option<&mut Vec<u8>>) -> bool {
        let (masked, rest) = input.split_at(self.remaining.min(input.len()));
        *input = rest;
        if let Some(buffer) = buffer {
            let start = buffer.len();
            // A declared length is only a promise: memory is taken for what has come, doubling, and never
            // for more than can come.
            if buffer.capacity() - start < masked.len() {
                let most = match self.kind {
                    Kind::Data { is_final: false } => limits::MAX_CLIENT_FRAME_BYTES - start,
                    _ => self.remaining,
                };
                buffer.reserve_exact(most.min(masked.len().max(start)));
            }
            buffer.extend_from_slice(masked);
            unmask(&mut buffer[start..], self.mask);
        }
        self.remaining -= masked.len();
        self.mask.rotate_left(masked.len() % 4);
        self.remaining == 0
    }
}

impl Message {
    fn finish(self, mut payload: Vec<u8>) -> Result<Incoming, ReadError> {
        if self.is_compressed {
            payload = inflate(&payload)?;
        }
        if self.is_text {
            let text =
                String::from_utf8(payload).map_err(|_| ReadError::Protocol("a text that is not UTF-8"))?;
            return Ok(Incoming::Text(text));
        }
        Ok(Incoming::Binary(payload))
    }
}

/// Takes bytes off `input` until the header is complete.
fn read_header(
    bytes: &mut [u8; MAX_HEADER_BYTES],
    filled: &mut usize,
    input: &mut &[u8],
) -> Result<Option<(FrameHeader, u64)>, ReadError> {
    let before = *filled;
    let taken = input.len().min(MAX_HEADER_BYTES - before);
    bytes[before..before + taken].copy_from_slice(&input[..taken]);
    let mut cursor = Cursor::new(&bytes[..before + taken]);
    let parsed =
        FrameHeader::parse(&mut cursor).map_err(|_| ReadError::Protocol("an opcode without a meaning"))?;
    let Some((header, length)) = parsed else {
        *input = &input[taken..];
        *filled += taken;
        return Ok(None);
    };
    let size = usize::try_from(cursor.position()).unwrap_or(MAX_HEADER_BYTES);
    if size != header.len(length) {
        return Err(ReadError::Protocol("a length in more bytes than it needs"));
    }
    // The bytes before this call were not yet a header, so that this never falls short.
    *input = &input[size.saturating_sub(before)..];
    Ok(Some((header, length)))
}

/// Takes the mask off, eight bytes at a time.
fn unmask(payload: &mut [u8], [a, b, c, d]: [u8; 4]) {
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= mask;
    }
}

/// The code of a close frame (RFC 6455 §5.5.1, §7.4).
fn parse_close(payload: &[u8]) -> Result<Option<u16>, ReadError> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(ReadError::Protocol("half a close code")) };
    };
    let code = u16::from_be_bytes(*code);
    // 1004 has no meaning yet; 1005, 1006 and 1015 are never sent.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(ReadError::Protocol("a close code that is never sent"));
    }
    if str::from_utf8(reason).is_err() {
        return Err(ReadError::Protocol("a close reason that is not UTF-8"));
    }
    Ok(Some(code))
}

#[cfg(test)]
mod tests;
