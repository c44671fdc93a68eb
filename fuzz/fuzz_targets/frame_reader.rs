//! Reads any bytes as what a client sends: they give the same messages however they are cut into reads, no message is
//! larger than a client may send, and tungstenite reads the same. The first byte chooses the size of the reads, and
//! whether compression was negotiated.

#![no_main]

use std::io::{self, ErrorKind, Read, Write};

use libfuzzer_sys::fuzz_target;
use revcast::{
    limits::MAX_CLIENT_FRAME_BYTES,
    wire::{FrameReader, Incoming, ReadError},
};
use tungstenite::{
    Error, Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

// With it comes the bound to memory.
use revcast_fuzz as _;

fuzz_target!(|input: &[u8]| {
    let Some((how, bytes)) = input.split_first() else { return };
    let (accepts_deflate, size) = (how & 1 == 1, usize::from(how >> 1).max(1));
    let at_once = read(accepts_deflate, [bytes].into_iter());
    let piecewise = read(accepts_deflate, bytes.chunks(size));
    assert_eq!(at_once, piecewise);
    if !accepts_deflate {
        compare(&at_once.0, at_once.1, bytes);
    }
});

fn read<'a>(
    accepts_deflate: bool,
    reads: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Incoming>, Result<(), ReadError>) {
    let mut reader = FrameReader::new(accepts_deflate);
    let mut messages = Vec::new();
    for mut input in reads {
        loop {
            match reader.read(&mut input) {
                Ok(Some(incoming)) => messages.push(checked(incoming)),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        assert!(input.is_empty());
    }
    (messages, Ok(()))
}

fn checked(incoming: Incoming) -> Incoming {
    let (length, limit) = match &incoming {
        Incoming::Text(text) => (text.len(), MAX_CLIENT_FRAME_BYTES),
        Incoming::Binary(payload) => (payload.len(), MAX_CLIENT_FRAME_BYTES),
        Incoming::Ping(payload) => (payload.len(), 125),
        Incoming::Pong | Incoming::Close(_) => (0, 0),
    };
    assert!(length <= limit);
    incoming
}

/// Ours is stricter than tungstenite: it may end sooner, with an error, but never reads anything else.
fn compare(ours: &[Incoming], outcome: Result<(), ReadError>, bytes: &[u8]) {
    let size = Some(MAX_CLIENT_FRAME_BYTES);
    let config = WebSocketConfig::default().max_message_size(size).max_frame_size(size);
    let mut theirs = WebSocket::from_raw_socket(Bytes(bytes), Role::Server, Some(config));
    for (nth, message) in ours.iter().enumerate() {
        match (message, theirs.read()) {
            (Incoming::Text(text), Ok(Message::Text(their))) => assert_eq!(text.as_str(), their.as_str()),
            (Incoming::Binary(bytes), Ok(Message::Binary(their))) => assert_eq!(bytes[..], their[..]),
            (Incoming::Ping(payload), Ok(Message::Ping(their))) => assert_eq!(*payload, their),
            (Incoming::Pong, Ok(Message::Pong(_))) => (),
            (Incoming::Close(code), Ok(Message::Close(their))) => {
                let their = their.map(|close| u16::from(close.code));
                // It does not know all codes that are registered, and answers with this one then.
                assert!(*code == their || (*code == Some(1014) && their == Some(1002)), "{code:?} {their:?}");
            }
            // It looks at each fragment of a text, and so sees sooner what is wrong.
            (Incoming::Ping(_) | Incoming::Pong | Incoming::Close(_), Err(Error::Utf8(_))) => return,
            (message, their) => panic!("message {nth} is {message:?}, and theirs {their:?}"),
        }
    }
    let is_closed = matches!(ours.last(), Some(Incoming::Close(_)));
    if outcome.is_ok() && !is_closed {
        match theirs.read() {
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => (),
            Err(Error::Utf8(_)) => (),
            their => panic!("no further message, and theirs is {their:?}"),
        }
    }
}

/// A socket on which these bytes have come and no others, and that takes everything.
struct Bytes<'a>(&'a [u8]);

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
    }
}

impl Write for Bytes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
