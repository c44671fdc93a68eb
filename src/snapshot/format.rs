//! The bytes of a snapshot: the registers of a canvas as gzipped JSON.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    limits,
    model::{Canvas, DrawingId, InvalidRegisters, Revision},
};

/// Version of what is inside; a snapshot of another one is not read.
const FORMAT: u32 = 2;
/// The most bytes that stand around the registers.
const FRAME_BYTES: u64 = 256;
/// Bytes that one byte of deflated data comes to, at most: 258 from two bits.
const MOST_INFLATED: u64 = 1032;

/// Why bytes are no snapshot of what they should be.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// They are not those that were written.
    #[error("the checksum differs")]
    Checksum,
    /// They cannot be inflated.
    #[error("it cannot be inflated: {0}")]
    Gzip(#[from] std::io::Error),
    /// They are no JSON of ours.
    #[error("it cannot be parsed: {0}")]
    Json(#[from] serde_json::Error),
    /// Its registers make no canvas.
    #[error(transparent)]
    Registers(#[from] InvalidRegisters),
    /// They are of another format.
    #[error("it has the format {0}")]
    Format(u32),
    /// They are of another drawing or revision.
    #[error("it is the snapshot of something else")]
    Other,
}

impl Damage {
    /// Returns `true` if a newer version, which can read it, has written it.
    #[must_use]
    pub fn is_of_another_version(&self) -> bool {
        matches!(self, Self::Format(_) | Self::Registers(InvalidRegisters::Format(_)))
    }
}

#[derive(Deserialize)]
struct SnapshotBlob<'a> {
    format: u32,
    drawing_id: DrawingId,
    revision: Revision,
    #[serde(borrow)]
    registers: &'a RawValue,
}

/// The bytes of a snapshot, and their checksum.
///
/// # Errors
/// When there is more of it than a snapshot may have.
pub fn encode_snapshot(drawing_id: DrawingId, canvas: &Canvas) -> std::io::Result<(Bytes, String)> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(limits::SNAPSHOT_GZIP_LEVEL));
    let revision = canvas.revision();
    write!(gzip, r#"{{"format":{FORMAT},"drawing_id":"{drawing_id}","revision":{revision},"registers":"#)?;
    let (mut len, mut written) = (0, Ok(()));
    canvas.write_registers(&mut |piece| {
        len += piece.len() as u64;
        if written.is_ok() && len < limits::MAX_SNAPSHOT_JSON_BYTES - FRAME_BYTES {
            written = gzip.write_all(piece.as_bytes());
        } else if written.is_ok() {
            written = Err(std::io::ErrorKind::FileTooLarge.into());
        }
    });
    written?;
    gzip.write_all(b"}")?;
    let bytes = gzip.finish()?;
    let checksum = checksum(&bytes);
    Ok((bytes.into(), checksum))
}

/// The canvas of a snapshot, from the bytes of its blob.
///
/// # Errors
/// See [`Damage`].
pub fn decode_snapshot(
    bytes: &[u8],
    drawing_id: DrawingId,
    snapshot: &crate::store::Snapshot,
) -> Result<Canvas, Damage> {
    check(bytes, &snapshot.checksum)?;
    decode(bytes, drawing_id, snapshot.revision)
}

/// Checks that these are the bytes that were written, and returns about how many bytes of JSON are in them.
pub(crate) fn check(bytes: &[u8], expected: &str) -> Result<u64, Damage> {
    if checksum(bytes) != expected {
        return Err(Damage::Checksum);
    }
    Ok(json_len(bytes))
}

/// The canvas that [`encode_snapshot`] was given, of bytes that have been checked.
pub(crate) fn decode(bytes: &[u8], drawing_id: DrawingId, revision: Revision) -> Result<Canvas, Damage> {
    let mut json = String::with_capacity(usize::try_from(json_len(bytes)).unwrap_or(0));
    GzDecoder::new(bytes).take(limits::MAX_SNAPSHOT_JSON_BYTES).read_to_string(&mut json)?;
    let snapshot: SnapshotBlob<'_> = serde_json::from_str(&json)?;
    if snapshot.format != FORMAT {
        return Err(Damage::Format(snapshot.format));
    }
    if snapshot.drawing_id != drawing_id || snapshot.revision != revision {
        return Err(Damage::Other);
    }
    Ok(Canvas::from_registers(revision, snapshot.registers.get())?)
}

/// The length of the content as gzip tells it (RFC 1952: the last four bytes, less than 4 GiB), as far as that
/// can be.
fn json_len(bytes: &[u8]) -> u64 {
    let len = bytes.last_chunk().map_or(0, |len| u64::from(u32::from_le_bytes(*len)));
    len.min(limits::MAX_SNAPSHOT_JSON_BYTES).min(MOST_INFLATED * bytes.len() as u64)
}

/// SHA-256 as hexadecimal digits.
fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::LoggedOp;

    const DRAWING: DrawingId = DrawingId(Uuid::from_u128(1));

    fn read(bytes: &[u8], expected: &str, drawing: DrawingId, revision: Revision) -> Result<Canvas, Damage> {
        check(bytes, expected)?;
        decode(bytes, drawing, revision)
    }

    fn canvas() -> Canvas {
        let mut canvas = Canvas::new();
        let body = format!(
            r#"{{"op_id":"{}","type":"object.create","object_id":"a","kind":"rect","props":{{"x":1.50}}}}"#,
            Uuid::from_u128(2)
        );
        canvas.apply(&LoggedOp::read(Revision(1), "alice", 5, &body));
        canvas
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let (bytes, checksum) = encode_snapshot(DRAWING, &canvas()).unwrap();
        let read = read(&bytes, &checksum, DRAWING, Revision(1)).unwrap();
        assert_eq!(read.view(), canvas().view());
        assert_eq!(read.registers(), canvas().registers());
    }

    #[test]
    fn its_length_is_known_before_it_is_inflated() {
        let (bytes, checksum) = encode_snapshot(DRAWING, &canvas()).unwrap();
        let mut json = Vec::new();
        GzDecoder::new(&*bytes).read_to_end(&mut json).unwrap();
        assert_eq!(check(&bytes, &checksum).unwrap(), json.len() as u64);
    }

    #[test]
    fn memory_is_not_taken_for_a_length_that_cannot_be() {
        let (bytes, _) = encode_snapshot(DRAWING, &canvas()).unwrap();
        let mut damaged = bytes.to_vec();
        damaged.last_chunk_mut::<4>().unwrap().copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decode(&damaged, DRAWING, Revision(1)), Err(Damage::Gzip(_))));
        assert_eq!(json_len(&damaged), MOST_INFLATED * bytes.len() as u64);
        let mut densest = GzEncoder::new(Vec::new(), Compression::best());
        densest.write_all(&vec![b' '; 1 << 20]).unwrap();
        assert_eq!(json_len(&densest.finish().unwrap()), 1 << 20);
    }

    #[test]
    fn every_flipped_or_missing_byte_is_found() {
        let (bytes, checksum) = encode_snapshot(DRAWING, &canvas()).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            assert!(matches!(read(&damaged, &checksum, DRAWING, Revision(1)), Err(Damage::Checksum)));
            assert!(matches!(read(&bytes[..at], &checksum, DRAWING, Revision(1)), Err(Damage::Checksum)));
        }
    }

    #[test]
    fn the_snapshot_of_something_else_is_not_taken() {
        let (bytes, checksum) = encode_snapshot(DRAWING, &canvas()).unwrap();
        let of = |drawing, revision| read(&bytes, &checksum, drawing, Revision(revision));
        assert!(matches!(of(DrawingId(Uuid::from_u128(3)), 1), Err(Damage::Other)));
        assert!(matches!(of(DRAWING, 2), Err(Damage::Other)));
    }
}
