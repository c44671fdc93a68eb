//! JSON in compressed parts, of which answers are put together without compressing anything again.
//!
//! A part is a raw deflate stream (RFC 1951) that refers to nothing before it and ends at a whole byte, but is not the last
//! one: parts and short texts in any order make one gzip member (RFC 1952), and each of them can be inflated by itself.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use bytes::{Buf, Bytes, buf::Reader};
use flate2::{Compression, Crc, bufread::DeflateDecoder, write::DeflateEncoder};

use crate::limits;

/// The beginning of a gzip member: deflate, no name, no time, an unknown system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty last block.
const END: [u8; 2] = [3, 0];

/// A compressed text.
#[derive(Clone, Debug)]
pub(super) struct Deflated {
    bytes: Bytes,
    crc: Arc<Crc>,
    /// Its length before it was compressed.
    len: u64,
}

/// Compresses a text as it is written.
pub(super) struct Deflater {
    encoder: DeflateEncoder<Vec<u8>>,
    crc: Crc,
    len: u64,
}

impl Deflater {
    pub(super) fn new() -> Self {
        let encoder = DeflateEncoder::new(Vec::new(), Compression::new(limits::SNAPSHOT_GZIP_LEVEL));
        Self { encoder, crc: Crc::new(), len: 0 }
    }

    pub(super) fn write(&mut self, text: &str) {
        self.crc.update(text.as_bytes());
        self.len += text.len() as u64;
        // A Vec takes every write.
        let _ = self.encoder.write_all(text.as_bytes());
    }

    pub(super) fn finish(mut self) -> Deflated {
        let _ = self.encoder.flush();
        let mut bytes = std::mem::take(self.encoder.get_mut());
        bytes.shrink_to_fit();
        Deflated { bytes: bytes.into(), crc: Arc::new(self.crc), len: self.len }
    }
}

/// A piece of a text that is put together.
#[derive(Clone, Debug)]
pub(super) enum TextPart {
    /// A short one, less than 64 KiB.
    Text(Bytes),
    /// A compressed one.
    Deflated(Deflated),
}

impl Deflated {
    /// The bytes of memory it takes.
    pub(super) fn weight(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The text.
    pub(super) fn text(&self) -> Inflating {
        Inflating(DeflateDecoder::new(self.bytes.clone().reader().chain(&END)))
    }

    /// The length of the text.
    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

/// Inflates a text piece by piece.
#[derive(Debug)]
pub(super) struct Inflating(DeflateDecoder<io::Chain<Reader<Bytes>, &'static [u8]>>);

impl Read for Inflating {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// The parts as one gzip member.
pub(super) fn gzip(parts: &[TextPart]) -> Vec<Bytes> {
    let mut pieces = vec![Bytes::from_static(&GZIP_HEAD)];
    let mut crc = Crc::new();
    for part in parts {
        match part {
            TextPart::Text(text) => {
                let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
                let mut block = vec![0];
                block.extend(len.to_le_bytes());
                block.extend((!len).to_le_bytes());
                block.extend(&text[..usize::from(len)]);
                crc.update(text);
                pieces.push(block.into());
            }
            TextPart::Deflated(part) => {
                crc.combine(&part.crc);
                pieces.push(part.bytes.clone());
            }
        }
    }
    let mut end = END.to_vec();
    end.extend(crc.sum().to_le_bytes());
    end.extend(crc.amount().to_le_bytes());
    pieces.push(end.into());
    pieces
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    fn deflated(text: &str) -> Deflated {
        let mut deflater = Deflater::new();
        for piece in text.as_bytes().chunks(1_000) {
            deflater.write(std::str::from_utf8(piece).unwrap());
        }
        deflater.finish()
    }

    fn read(mut from: impl Read) -> String {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn parts_make_one_gzip_member_in_any_order() {
        let long: String = (0..100_000).map(|number| format!("[{number},{}],", number * 7 % 1_013)).collect();
        let texts = ["", "a", &"same ".repeat(1_000), &long];
        for one in texts {
            for other in texts {
                let text = |text: &'static str| TextPart::Text(Bytes::from_static(text.as_bytes()));
                let (first, second) = (deflated(one), deflated(other));
                assert_eq!((read(first.text()), first.len()), (one.to_owned(), one.len() as u64));
                let parts =
                    [text("{"), TextPart::Deflated(first), text(","), TextPart::Deflated(second), text("}")];
                let member = gzip(&parts).concat();
                assert_eq!(read(GzDecoder::new(&*member)), format!("{{{one},{other}}}"));
            }
        }
    }
}
