//! The rules of RFC 6455 and RFC 7692 that the reader keeps, and what holds for any bytes at all.

use flate2::{Compress, Compression, FlushCompress};
use proptest::{collection::vec, prelude::*};

use super::*;

const LIMIT: usize = limits::MAX_CLIENT_FRAME_BYTES;
const MASK: [u8; 4] = [0x9c, 0x01, 0xfe, 0x77];

/// First bytes of frames: FIN and the opcode.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// Set on the first frame of a compressed message.
const RSV1: u8 = 0x40;

/// A masked frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header of a masked frame.
fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

/// A message in one frame for each of the parts.
fn fragments(first: u8, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let last = parts.len() - 1;
    let part = |(at, payload): (usize, &&[u8])| {
        let opcode = if at == 0 { first & 0x7f } else { 0 };
        frame(opcode | if at == last { 0x80 } else { 0 }, payload)
    };
    parts.iter().enumerate().map(part).collect()
}

fn deflate(payload: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(payload.len() + 1_024);
    let mut deflater = Compress::new(Compression::default(), false);
    deflater.compress_vec(payload, &mut compressed, FlushCompress::Sync).unwrap();
    assert_eq!(deflater.total_in(), payload.len() as u64);
    compressed.truncate(compressed.len() - 4);
    compressed
}

/// Reads all of `bytes` with a reader that has agreed to compression.
fn read_all(bytes: &[u8]) -> Result<Vec<Incoming>, ReadError> {
    let mut incoming = Vec::new();
    read_into(&mut FrameReader::new(true), bytes, &mut incoming).map(|()| incoming)
}

fn read_into(reader: &mut FrameReader, bytes: &[u8], into: &mut Vec<Incoming>) -> Result<(), ReadError> {
    let mut input = bytes;
    loop {
        let outcome = reader.read(&mut input);
        assert!(reader.payload.capacity() <= LIMIT && reader.control.capacity() <= MAX_CONTROL_BYTES);
        match outcome? {
            Some(incoming) => into.push(incoming),
            None => break,
        }
    }
    assert!(input.is_empty());
    Ok(())
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.to_owned())
}

fn is_protocol<T>(outcome: &Result<T, ReadError>) -> bool {
    matches!(outcome, Err(ReadError::Protocol(_)))
}

#[test]
fn a_reader_holds_no_heap_between_messages() {
    assert!(size_of::<FrameReader>() <= 80);
    let mut reader = FrameReader::new(true);
    let mut incoming = Vec::new();
    for bytes in [frame(TEXT, b"hi"), frame(PING, b"hi"), frame(PONG, b"hi"), frame(TEXT | RSV1, &[0])] {
        read_into(&mut reader, &bytes, &mut incoming).unwrap();
        assert_eq!((reader.payload.capacity(), reader.control.capacity()), (0, 0));
    }
    assert_eq!(incoming, [text("hi"), Incoming::Ping("hi".into()), Incoming::Pong, text("")]);
}

#[test]
fn a_declared_length_takes_no_memory() {
    let mut reader = FrameReader::new(false);
    assert_eq!(reader.read(&mut &header(BINARY, LIMIT as u64)[..]), Ok(None));
    assert_eq!(reader.payload.capacity(), 0);
    assert_eq!(reader.read(&mut &[0; 10][..]), Ok(None));
    assert_eq!(reader.payload.capacity(), 10);
}

#[test]
fn control_frames_may_come_between_fragments() {
    let mut parts = fragments(TEXT, &[b"a", b"", b"b"]);
    parts.insert(1, frame(PING, b"?"));
    parts.insert(3, frame(PONG, &[0; 125]));
    assert_eq!(read_all(&parts.concat()), Ok(vec![Incoming::Ping("?".into()), Incoming::Pong, text("ab")]));
}

#[test]
fn nothing_is_read_behind_a_close_frame_or_an_error() {
    for end in [frame(CLOSE, b""), frame(0x83, b"")] {
        let mut reader = FrameReader::new(false);
        let bytes = [end, frame(TEXT, b"late")].concat();
        let mut input = &bytes[..];
        assert_ne!(reader.read(&mut input), Ok(None));
        assert_eq!((reader.read(&mut input), input.len()), (Ok(None), 0));
    }
}

#[test]
fn a_frame_that_breaks_the_protocol_is_refused() {
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("no mask", vec![TEXT, 1, b'a']),
        ("RSV2", frame(TEXT | 0x20, b"")),
        ("RSV3", frame(TEXT | 0x10, b"")),
        ("RSV1 on a control frame", frame(PING | RSV1, b"")),
        ("RSV1 on a continuation", [frame(0x01, b"a"), frame(0x80 | RSV1, b"b")].concat()),
        ("a continuation of nothing", frame(0x80, b"a")),
        ("a continuation of what is complete", [frame(TEXT, b"a"), frame(0x80, b"b")].concat()),
        ("a message inside a message", [frame(0x01, b"a"), frame(TEXT, b"b")].concat()),
        ("a fragmented ping", frame(0x09, b"")),
        ("a fragmented close", frame(0x08, b"")),
        ("a long ping", frame(PING, &[0; 126])),
        ("a long pong by its header", header(PONG, 1 << 20)),
        ("7 bits of length in 16", [&[TEXT, 0xfe, 0, 125], &MASK[..]].concat()),
        ("7 bits of length in 64", [&[TEXT, 0xff, 0, 0, 0, 0, 0, 0, 0, 125], &MASK[..]].concat()),
        ("16 bits of length in 64", [&[TEXT, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], &MASK[..]].concat()),
        ("the top bit of a length", header(BINARY, 1 << 63)),
        ("text that is not UTF-8", frame(TEXT, b"\xc3\x28")),
        ("text cut inside a character", frame(TEXT, &"é".as_bytes()[..1])),
        ("a surrogate across fragments", fragments(TEXT, &[b"\xed", b"\xa0\x80"]).concat()),
        ("compressed text that is not UTF-8", frame(TEXT | RSV1, &deflate(b"\xff"))),
        ("half a close code", frame(CLOSE, &[3])),
        ("a close reason that is not UTF-8", frame(CLOSE, b"\x03\xe8\xff")),
    ];
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push(("an opcode without a meaning", frame(0x80 | opcode, b"")));
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        cases.push(("a close code that is never sent", frame(CLOSE, &code.to_be_bytes())));
    }
    for (name, bytes) in cases {
        let outcome = read_all(&bytes);
        assert!(is_protocol(&outcome), "{name}: {outcome:?}");
    }
    assert!(is_protocol(&FrameReader::new(false).read(&mut &frame(TEXT | RSV1, &deflate(b"a"))[..])));
}

#[test]
fn a_close_frame_may_give_a_code() {
    assert_eq!(read_all(&frame(CLOSE, b"")), Ok(vec![Incoming::Close(None)]));
    for code in [1000_u16, 1003, 1007, 1014, 3000, 4999] {
        let payload = [&code.to_be_bytes()[..], "tschüß".as_bytes()].concat();
        assert_eq!(read_all(&frame(CLOSE, &payload)), Ok(vec![Incoming::Close(Some(code))]));
    }
}

#[test]
fn a_message_is_as_large_as_a_client_may_send_and_no_larger() {
    let fits = vec![b'x'; LIMIT];
    let (one, half) = (&fits[..1], &fits[..LIMIT / 2]);
    let expected = Ok(vec![Incoming::Binary(fits.clone())]);
    assert_eq!(read_all(&frame(BINARY, &fits)), expected);
    assert_eq!(read_all(&fragments(BINARY, &[half, half]).concat()), expected);
    assert_eq!(read_all(&frame(BINARY | RSV1, &deflate(&fits))), expected);
    let too_large = [
        ("by its header", header(BINARY, LIMIT as u64 + 1)),
        ("by far", header(BINARY, (1 << 63) - 1)),
        ("in two frames", fragments(BINARY, &[&fits, one]).concat()),
        ("in many frames", fragments(BINARY, &[half, one, half]).concat()),
        ("inflated", frame(BINARY | RSV1, &deflate(&[&fits, one].concat()))),
        ("inflated by far", frame(BINARY | RSV1, &deflate(&vec![0; 16 << 20]))),
    ];
    for (name, bytes) in too_large {
        assert_eq!(read_all(&bytes), Err(ReadError::TooLarge), "{name}");
    }
}

#[test]
fn a_message_in_too_many_fragments_is_too_large() {
    let most = usize::from(limits::MAX_CLIENT_FRAGMENTS);
    let many = |count: usize| read_all(&fragments(TEXT, &vec![&b""[..]; count]).concat());
    assert_eq!(many(most), Ok(vec![text("")]));
    assert_eq!(many(most + 1), Err(ReadError::TooLarge));
}

#[test]
fn compressed_messages_of_every_kind_of_block_are_inflated() {
    // The examples of RFC 7692 §7.2.3, in its order: one block, without compression, with a last block,
    // two blocks, and no content.
    let hello: [&[u8]; 4] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
    ];
    for payload in hello {
        assert_eq!(read_all(&frame(TEXT | RSV1, payload)), Ok(vec![text("Hello")]), "{payload:x?}");
        let (start, end) = payload.split_at(3);
        let parts = fragments(TEXT | RSV1, &[start, b"", end]).concat();
        assert_eq!(read_all(&parts), Ok(vec![text("Hello")]));
    }
    assert_eq!(read_all(&frame(TEXT | RSV1, &[0])), Ok(vec![text("")]));
    // A message in a connection that compresses need not be compressed.
    assert_eq!(read_all(&frame(TEXT, b"Hello")), Ok(vec![text("Hello")]));
}

#[test]
fn compressed_data_that_is_none_is_refused() {
    let whole = deflate(b"a message that is long enough to be cut in two");
    let cases: [(&str, &[u8]); 6] = [
        ("nothing", b""),
        ("a block of no known type", &[0xff; 8]),
        ("a reference to before the start", &[0x4b, 0x04, 0x42, 0x00]),
        ("a stored block that ends early", &[0x00, 0x09, 0x00, 0xf6, 0xff, b'a']),
        ("cut short", &whole[..whole.len() / 2]),
        ("with its tail on", &[&whole[..], &[0, 0, 0xff, 0xff]].concat()),
    ];
    for (name, payload) in cases {
        let outcome = read_all(&frame(BINARY | RSV1, payload));
        assert!(is_protocol(&outcome), "{name}: {outcome:?}");
    }
}

/// The frames that a client sends at once: a message in fragments, with pings between, or a pong.
fn sent() -> impl Strategy<Value = (Vec<u8>, Vec<Incoming>)> {
    let payload = prop_oneof![
        4 => vec(any::<char>(), 0..300).prop_map(|text| Incoming::Text(text.into_iter().collect())),
        4 => vec(any::<u8>(), 0..600).prop_map(Incoming::Binary),
        1 => vec(any::<u8>(), 0..=LIMIT).prop_map(Incoming::Binary),
        1 => Just(()).prop_map(|()| Incoming::Pong),
    ];
    (payload, any::<bool>(), vec((any::<prop::sample::Index>(), any::<bool>()), 0..6)).prop_map(
        |(message, is_compressed, cuts)| {
            let (first, payload) = match &message {
                Incoming::Text(text) => (TEXT, text.as_bytes()),
                Incoming::Binary(payload) => (BINARY, payload.as_slice()),
                _ => return (frame(PONG, b"any"), vec![message]),
            };
            let deflated = is_compressed.then(|| deflate(payload)).filter(|d| d.len() <= LIMIT);
            let first = first | if deflated.is_some() { RSV1 } else { 0 };
            let payload = deflated.as_deref().unwrap_or(payload);
            let mut ends: Vec<usize> = cuts.iter().map(|(at, _)| at.index(payload.len() + 1)).collect();
            ends.sort_unstable();
            ends.push(payload.len());
            let mut start = 0;
            let parts: Vec<&[u8]> =
                ends.iter().map(|end| &payload[std::mem::replace(&mut start, *end)..*end]).collect();
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for (at, part) in fragments(first, &parts).iter().enumerate() {
                bytes.extend(part);
                if cuts.get(at).is_some_and(|(_, has_ping)| *has_ping) {
                    bytes.extend(frame(PING, b"between"));
                    expected.push(Incoming::Ping("between".into()));
                }
            }
            expected.push(message);
            (bytes, expected)
        },
    )
}

/// Bytes that look like frames more often than not.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let lengths = prop_oneof![0..140_usize, Just(LIMIT), Just(LIMIT + 1)];
    let first =
        prop::sample::select(vec![0x00, 0x80, 0x01, TEXT, 0x02, BINARY, CLOSE, PING, PONG, 0x41, 0xc2]);
    let frames =
        (first, lengths, any::<u8>()).prop_map(|(first, length, fill)| frame(first, &vec![fill; length]));
    let pieces = prop_oneof![8 => frames, 1 => vec(any::<u8>(), 0..40)];
    vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_message_in_any_fragments_and_reads_comes_out_as_it_went_in(
        sent in vec(sent(), 1..4),
        reads in vec(1..5_000_usize, 1..8),
    ) {
        let bytes: Vec<u8> = sent.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: Vec<Incoming> = sent.into_iter().flat_map(|(_, expected)| expected).collect();
        let mut reader = FrameReader::new(true);
        let mut incoming = Vec::new();
        let (mut rest, mut sizes) = (&bytes[..], reads.iter().cycle());
        while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
            let (chunk, later) = rest.split_at(rest.len().min(*size));
            read_into(&mut reader, chunk, &mut incoming).unwrap();
            rest = later;
        }
        prop_assert_eq!(incoming, expected);
        prop_assert_eq!((reader.payload.capacity(), reader.control.capacity()), (0, 0));
    }

    #[test]
    fn any_bytes_give_the_same_outcome_in_any_reads_and_stay_within_the_limit(
        bytes in noise(),
        reads in vec(1..40_usize, 1..8),
        accepts_deflate: bool,
    ) {
        let mut at_once = Vec::new();
        let outcome = read_into(&mut FrameReader::new(accepts_deflate), &bytes, &mut at_once);
        let mut reader = FrameReader::new(accepts_deflate);
        let mut piecewise = Vec::new();
        let (mut rest, mut sizes) = (&bytes[..], reads.iter().cycle());
        let mut ended = Ok(());
        while let Some(size) = sizes.next().filter(|_| !rest.is_empty() && ended.is_ok()) {
            let (chunk, later) = rest.split_at(rest.len().min(*size));
            ended = read_into(&mut reader, chunk, &mut piecewise);
            rest = later;
        }
        prop_assert_eq!((at_once, outcome), (piecewise, ended));
    }

    #[test]
    fn any_compressed_bytes_inflate_within_the_limit_or_are_refused(bytes in vec(any::<u8>(), 0..2_000)) {
        let mut deflated = deflate(&bytes);
        prop_assert_eq!(inflate(&deflated), Ok(bytes.clone()));
        for payload in [&bytes[..], &deflated[..deflated.len() / 2]] {
            prop_assert!(inflate(payload).map_or(true, |inflated| inflated.capacity() <= LIMIT + 1));
        }
        // A stray bit may still be deflate data, but never more of it than a client may send.
        if let (Some(at), Some(bit)) = (bytes.first(), bytes.last()) {
            let at = usize::from(*at) % deflated.len();
            deflated[at] ^= 1 << (bit % 8);
            prop_assert!(inflate(&deflated).map_or(true, |inflated| inflated.len() <= LIMIT));
        }
    }
}
