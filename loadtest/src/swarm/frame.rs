//! WebSocket frames (RFC 6455, 5.2), as far as a reader needs them.

use anyhow::{bail, ensure};

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const FINAL: u8 = 0x80;
/// RSV1: the payload is deflated (RFC 7692).
const DEFLATED: u8 = 0x40;
const MASKED: u8 = 0x80;
/// Any four bytes do: masks guard proxies, and here is none.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x3c, 0xa5];

/// A frame at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) is_deflated: bool,
    /// The index at which the payload begins.
    pub(crate) start: usize,
    /// The index at which it ends, and the next frame begins.
    pub(crate) end: usize,
}

/// The frame with which `bytes` begin; nothing when it is cut off.
pub(crate) fn parse(bytes: &[u8]) -> anyhow::Result<Option<Frame>> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    ensure!(second & MASKED == 0, "the server masks its frames");
    ensure!(first & FINAL != 0, "the server splits a message into frames");
    let (length, start) = match (second, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10),
        (126 | 127, _) => return Ok(None),
        (length, _) => (u64::from(*length), 2),
    };
    let Some(end) = usize::try_from(length).ok().and_then(|length| length.checked_add(start)) else {
        bail!("a frame of {length} bytes");
    };
    let frame = Frame { opcode: first & 0x0f, is_deflated: first & DEFLATED != 0, start, end };
    Ok((end <= bytes.len()).then_some(frame))
}

/// A frame of a client, masked as it must be.
pub(crate) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len());
    frame[1] |= MASKED;
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame of a server.
pub(crate) fn unmasked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

fn header(opcode: u8, length: usize) -> Vec<u8> {
    let mut header = vec![FINAL | opcode];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..=125), _) => header.push(length),
        (_, Ok(length)) => {
            header.push(126);
            header.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_whole_or_not_at_all() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let bytes = unmasked(BINARY, &vec![7; length]);
            let frame = parse(&bytes).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.end - frame.start, frame.end), (BINARY, length, bytes.len()));
            for cut in [0, 1, 2, 3, 9, bytes.len() - 1] {
                assert_eq!(parse(&bytes[..cut.min(bytes.len() - 1)]).unwrap(), None, "{length} {cut}");
            }
        }
    }

    #[test]
    fn a_client_masks_and_a_server_does_not() {
        let frame = masked(TEXT, b"hello");
        assert_eq!(frame[..6], [0x81, 0x85, MASK[0], MASK[1], MASK[2], MASK[3]]);
        assert_eq!(frame[6] ^ MASK[0], b'h');
        assert!(parse(&frame).is_err());
    }
}
