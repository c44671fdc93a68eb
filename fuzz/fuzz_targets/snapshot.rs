//! The blob of a snapshot, from any bytes: it is refused, or gives a canvas that can be written and read again. The first
//! byte says whether the rest is a blob, the JSON in one, or a log, whose canvas is written and read; the second, of which
//! revision it is said to be.

#![no_main]

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use revcast::{
    model::{Canvas, DrawingId, Revision, Scope},
    snapshot::{Damage, decode_snapshot, encode_snapshot},
    store::Snapshot,
};
use revcast_fuzz::Log;
use sha2::{Digest, Sha256};
use uuid::Uuid;

const DRAWING: DrawingId = DrawingId(Uuid::from_u128(1));

fuzz_target!(|bytes: &[u8]| {
    let Some(([form, revision], bytes)) = bytes.split_first_chunk() else { return };
    let revision = Revision((*revision).into());
    match form {
        b'b' => check(bytes, revision),
        b'j' => check(&gzipped(bytes), revision),
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            let mut canvas = Canvas::new();
            for op in Log::of(text, 200).ops {
                canvas.apply(&op.logged());
            }
            assert_read_again(&canvas);
        }
    }
});

fn gzipped(json: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json).expect("memory takes every write");
    gzip.finish().expect("memory takes every write")
}

fn check(blob: &[u8], revision: Revision) {
    let canvas = match read(blob, &checksum(blob), revision) {
        Ok(canvas) => canvas,
        Err(damage) => return assert!(!matches!(damage, Damage::Checksum)),
    };
    assert!(matches!(read(blob, "", revision), Err(Damage::Checksum)));
    assert!(matches!(read(blob, &checksum(blob), revision.next()), Err(Damage::Other)));
    for scope in [Scope::All, Scope::Mine("alice")] {
        let _ = canvas.history(scope);
    }
    assert_read_again(&canvas);
}

fn assert_read_again(canvas: &Canvas) {
    let (blob, checksum) = encode_snapshot(DRAWING, canvas).expect("it is not too large");
    let again = read(&blob, &checksum, canvas.revision()).expect("what was written can be read");
    assert_eq!((again.view(), again.registers()), (canvas.view(), canvas.registers()));
    let (same, _) = encode_snapshot(DRAWING, &again).expect("it is not too large");
    assert_eq!(blob, same);
}

fn read(blob: &[u8], checksum: &str, revision: Revision) -> Result<Canvas, Damage> {
    let snapshot = Snapshot {
        revision,
        snapshot_id: Uuid::nil(),
        checksum: checksum.to_owned(),
        bytes: blob.len() as u64,
        log_bytes: 0,
        created_at: 0,
    };
    decode_snapshot(blob, DRAWING, &snapshot)
}

fn checksum(blob: &[u8]) -> String {
    Sha256::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect()
}
