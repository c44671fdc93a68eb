//! What a client sends, as any bytes: they give the same messages however they are cut into reads, and no
//! message is larger than a client may send.

#![no_main]

use libfuzzer_sys::fuzz_target;
use revcast::{
    gateway::{FrameReader, Incoming, ReadError},
    limits::MAX_CLIENT_FRAME_BYTES,
};

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (accepts_deflate, size, bytes) = input;
    let at_once = read(accepts_deflate, [bytes].into_iter());
    let piecewise = read(accepts_deflate, bytes.chunks(usize::from(size).max(1)));
    assert_eq!(at_once, piecewise);
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
