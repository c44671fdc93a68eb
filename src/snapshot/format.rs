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

/// Why bytes are no snapshot of what they should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
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

#[derive(Deserialize)]
struct Snapshot<'a> {
    format: u32,
    drawing_id: DrawingId,
    revision: Revision,
    #[serde(borrow)]
    registers: &'a RawValue,
}

/// The bytes of a snapshot, and their checksum.
pub(super) fn encode(drawing_id: DrawingId, canvas: &Canvas) -> std::io::Result<(Bytes, String)> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(limits::SNAPSHOT_GZIP_LEVEL));
    let (revision, registers) = (canvas.revision(), canvas.registers());
    let head =
        format!(r#"{{"format":{FORMAT},"drawing_id":"{drawing_id}","revision":{revision},"registers":"#);
    if (head.len() + registers.len()) as u64 >= limits::MAX_SNAPSHOT_JSON_BYTES {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    for part in [&*head, &*registers, "}"] {
        gzip.write_all(part.as_bytes())?;
    }
    let bytes = gzip.finish()?;
    let checksum = checksum(&bytes);
    Ok((bytes.into(), checksum))
}

/// The canvas that [`encode`] was given.
pub(super) fn decode(
    bytes: &[u8],
    expected: &str,
    drawing_id: DrawingId,
    revision: Revision,
) -> Result<Canvas, Damage> {
    if checksum(bytes) != expected {
        return Err(Damage::Checksum);
    }
    let mut json = String::new();
    GzDecoder::new(bytes).take(limits::MAX_SNAPSHOT_JSON_BYTES).read_to_string(&mut json)?;
    let snapshot: Snapshot<'_> = serde_json::from_str(&json)?;
    if snapshot.format != FORMAT {
        return Err(Damage::Format(snapshot.format));
    }
    if snapshot.drawing_id != drawing_id || snapshot.revision != revision {
        return Err(Damage::Other);
    }
    Ok(Canvas::from_registers(revision, snapshot.registers.get())?)
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
        let (bytes, checksum) = encode(DRAWING, &canvas()).unwrap();
        let read = decode(&bytes, &checksum, DRAWING, Revision(1)).unwrap();
        assert_eq!(read.view(), canvas().view());
        assert_eq!(read.registers(), canvas().registers());
    }

    #[test]
    fn every_flipped_or_missing_byte_is_found() {
        let (bytes, checksum) = encode(DRAWING, &canvas()).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            assert!(matches!(decode(&damaged, &checksum, DRAWING, Revision(1)), Err(Damage::Checksum)));
            assert!(matches!(decode(&bytes[..at], &checksum, DRAWING, Revision(1)), Err(Damage::Checksum)));
        }
    }

    #[test]
    fn the_snapshot_of_something_else_is_not_taken() {
        let (bytes, checksum) = encode(DRAWING, &canvas()).unwrap();
        let of = |drawing, revision| decode(&bytes, &checksum, drawing, Revision(revision));
        assert!(matches!(of(DrawingId(Uuid::from_u128(3)), 1), Err(Damage::Other)));
        assert!(matches!(of(DRAWING, 2), Err(Damage::Other)));
    }
}
