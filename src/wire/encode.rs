//! Messages of the server as bytes on the wire: in WebSocket frames or as events of a stream.
//!
//! Server frames are unmasked and compressed without context, so that the bytes are the same for all readers.

use std::cell::RefCell;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, FlushCompress, Status};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::{CloseCode, Encoding, ServerMessage};
use crate::{
    limits,
    model::{Epoch, Revision},
    offload::on_bytes,
};

/// The level of compression of messages, 1 to 9.
const DEFLATE_LEVEL: u32 = 3;

/// The bytes of a message for one reader.
pub(crate) fn message(message: &ServerMessage<'_>, encoding: Encoding) -> Bytes {
    // Messages hold strings, numbers and JSON alone: they always serialize.
    let json = serde_json::to_vec(message).unwrap_or_default();
    sealed(message.name(), message.position(), &json, encoding)
}

/// The bytes of a message that is `json`: `name` is its `type`, and `position` where a reader stands that has it.
pub(crate) fn sealed(
    name: &str,
    position: Option<(Epoch, Revision)>,
    json: &[u8],
    encoding: Encoding,
) -> Bytes {
    match encoding {
        Encoding::EventStream => event(name, position, json),
        _ => frame_of(json, encoding),
    }
}

/// A ping without a payload.
pub(crate) fn ping() -> Bytes {
    Bytes::from_static(&[0x89, 0])
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Bytes {
    frame(OpCode::Control(Control::Pong), false, payload)
}

/// A close frame with the code and its reason.
pub(crate) fn close(code: CloseCode) -> Bytes {
    let mut payload = (code as u16).to_be_bytes().to_vec();
    payload.extend_from_slice(code.reason().as_bytes());
    frame(OpCode::Control(Control::Close), false, &payload)
}

/// The answer to a client that closes: its own code.
pub(crate) fn close_back(code: Option<u16>) -> Bytes {
    let payload = code.map(u16::to_be_bytes);
    frame(OpCode::Control(Control::Close), false, payload.as_ref().map_or(&[], <[u8; 2]>::as_slice))
}

/// One data frame with a message that is `json`.
fn frame_of(json: &[u8], encoding: Encoding) -> Bytes {
    let is_plain = !encoding.is_message_pack() && !encoding.is_compressed();
    if is_plain { encoded(json, encoding) } else { on_bytes(json.len(), || encoded(json, encoding)) }
}

fn encoded(json: &[u8], encoding: Encoding) -> Bytes {
    let packed = encoding.is_message_pack().then(|| to_message_pack(json));
    let (opcode, payload) = match &packed {
        Some(packed) => (Data::Binary, packed.as_slice()),
        None => (Data::Text, json),
    };
    let deflated = if encoding.is_compressed() { deflate(payload) } else { None };
    match deflated {
        Some(deflated) => frame(OpCode::Data(opcode), true, &deflated),
        None => frame(OpCode::Data(opcode), false, payload),
    }
}

fn frame(opcode: OpCode, is_compressed: bool, payload: &[u8]) -> Bytes {
    let header = FrameHeader { rsv1: is_compressed, opcode, ..FrameHeader::default() };
    let length = payload.len() as u64;
    let mut bytes = BytesMut::with_capacity(header.len(length) + payload.len()).writer();
    // Memory takes every write.
    let _ = header.format(length, &mut bytes);
    let mut bytes = bytes.into_inner();
    bytes.extend_from_slice(payload);
    bytes.freeze()
}

/// The same message in MessagePack: the same names, the same shapes, ids as strings.
fn to_message_pack(json: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(json.len());
    let mut from = serde_json::Deserializer::from_slice(json);
    let mut to = rmp_serde::Serializer::new(&mut packed).with_struct_map();
    if let Err(error) = serde_transcode::transcode(&mut from, &mut to) {
        // An op is bounded in depth and in its numbers before it gets into the log.
        tracing::error!(%error, "a message could not be encoded as MessagePack");
    }
    packed
}

/// Compresses one message by itself (RFC 7692 §7.2.1); `None` when that is not worth it.
fn deflate(payload: &[u8]) -> Option<Vec<u8>> {
    thread_local! {
        static DEFLATER: RefCell<Compress> =
            RefCell::new(Compress::new(Compression::new(DEFLATE_LEVEL), false));
    }
    if payload.len() <= limits::DEFLATE_ABOVE_BYTES {
        return None;
    }
    DEFLATER.with_borrow_mut(|deflater| {
        deflater.reset();
        // An output that does not fit into the size of the original is not worth it.
        let mut out = Vec::with_capacity(payload.len());
        let status = deflater.compress_vec(payload, &mut out, FlushCompress::Sync);
        let is_done = matches!(status, Ok(Status::Ok | Status::StreamEnd))
            && deflater.total_in() == payload.len() as u64
            && out.ends_with(&[0, 0, 0xff, 0xff]);
        out.truncate(out.len().saturating_sub(4));
        is_done.then_some(out)
    })
}

/// One event of a stream (HTML, 9.2.6): JSON has no line breaks of its own here.
fn event(name: &str, position: Option<(Epoch, Revision)>, json: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(json.len() + 128);
    if let Some((epoch, revision)) = position {
        bytes.extend_from_slice(format!("id: {epoch}/{revision}\n").as_bytes());
    }
    bytes.extend_from_slice(b"event: ");
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b"\ndata: ");
    bytes.extend_from_slice(json);
    bytes.extend_from_slice(b"\n\n");
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compression_does_not_shrink_is_left_as_it_is() {
        let mut state = 1_u64;
        let noise: Vec<u8> = (0..4 * limits::DEFLATE_ABOVE_BYTES)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            })
            .collect();
        assert_eq!(deflate(&noise), None);
        let same = vec![b'x'; limits::DEFLATE_ABOVE_BYTES + 1];
        assert!(deflate(&same).is_some_and(|deflated| deflated.len() < same.len() / 2));
        assert_eq!(deflate(&same[1..]), None, "it is small as it is");
    }
}
