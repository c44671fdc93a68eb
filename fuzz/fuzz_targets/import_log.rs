//! A log to import, from any bytes: however it is cut into reads, the same ops are taken; `verify` finds nothing in them,
//! and what is exported of them is imported again as it is. The first byte says how large the reads are.

#![no_main]

use std::{
    collections::HashSet,
    pin::pin,
    task::{Context, Poll, Waker},
};

use libfuzzer_sys::fuzz_target;
use revcast::{
    import::{ImportError, LogReader},
    limits::MAX_OP_BYTES,
    model::{Applied, Canvas, CommittedOp, DrawingId, Epoch, LoggedOp, Op, Revision, compact},
    store::{ImportedLog, ImportedOp, InspectedHead, InspectedOp},
    verify::check_log,
};
use tokio::io::{AsyncBufRead, BufReader};
use uuid::Uuid;

// With it comes the bound to memory.
use revcast_fuzz as _;

fuzz_target!(|input: &[u8]| {
    let Some((size, log)) = input.split_first() else { return };
    let (ops, whole, outcome) = read(log);
    let (piecewise, _, in_pieces) = read(BufReader::with_capacity(usize::from(*size).max(1), log));
    assert_eq!((&told(&ops), &outcome), (&told(&piecewise), &in_pieces));

    let mut canvas = Canvas::new();
    for (op, revision) in ops.iter().zip(1..) {
        assert_eq!(op.revision, Revision(revision));
        assert!(op.op.body.len() <= MAX_OP_BYTES);
        assert_eq!(compact(&op.op.body).as_deref(), Ok(&*op.op.body));
        let parsed = Op::parse(&op.op.body).expect("what is taken is valid");
        assert_eq!(
            (parsed.op_id, parsed.unit, parsed.respelled(&op.op.body)),
            (op.op.op_id, op.op.unit, None)
        );
        let logged = LoggedOp::read(op.revision, op.actor.as_str(), op.ts, &op.op.body);
        assert_eq!(canvas.apply(&logged), Applied::Next);
    }
    assert_eq!((whole.head, whole.floor), (canvas.revision(), canvas.floor()));

    let export: Vec<u8> = ops.iter().flat_map(exported).collect();
    let (again, same, outcome) = read(&export[..]);
    assert_eq!((told(&again), same, outcome), (told(&ops), whole, Ok(())));
    assert_sound(&ops, &whole);
});

/// The ops up to the first fault, what they come to, and the fault.
fn read(log: impl AsyncBufRead + Unpin) -> (Vec<ImportedOp>, ImportedLog, Result<(), String>) {
    let (mut reader, mut ops) = (LogReader::new(log), Vec::new());
    let outcome = loop {
        match now(reader.next()) {
            Ok(Some(op)) => ops.push(op),
            Ok(None) => break Ok(()),
            Err(error @ ImportError::Line(..)) => break Err(error.to_string()),
            Err(error) => panic!("bytes can always be read: {error}"),
        }
    };
    (ops, *reader.so_far(), outcome)
}

/// Returns the output of a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("bytes are there at once"),
    }
}

fn told(ops: &[ImportedOp]) -> Vec<String> {
    ops.iter().map(|op| format!("{op:?}")).collect()
}

fn exported(op: &ImportedOp) -> Vec<u8> {
    let mut line = CommittedOp::new(op.revision, &op.actor, op.ts, &op.op.body).json.to_vec();
    line.push(b'\n');
    line
}

/// `verify` agrees, unless an op stands there twice, which is for the store to see.
fn assert_sound(ops: &[ImportedOp], whole: &ImportedLog) {
    let mut ids = HashSet::new();
    if ops.is_empty() || !ops.iter().all(|op| ids.insert(op.op.op_id)) {
        return;
    }
    let row = |op: &ImportedOp| InspectedOp {
        revision: op.revision,
        op_id: op.op.op_id.0,
        unit: op.op.unit.map_or(Uuid::nil(), |unit| unit.0),
        actor: op.actor.as_str().into(),
        ts: op.ts,
        body: op.op.body.as_bytes().into(),
    };
    let head = InspectedHead {
        epoch: Epoch(Uuid::nil()),
        revision: whole.head.0.cast_signed(),
        floor: whole.floor.0.cast_signed(),
        ts: ops.iter().map(|op| op.ts).max().unwrap_or(0),
        bytes: whole.bytes.cast_signed(),
        has_fog: ops.iter().any(|op| op.op.creates_fog),
    };
    let rows: Vec<_> = ops.iter().map(row).collect();
    let findings = check_log(DrawingId(Uuid::nil()), &head, &rows);
    assert!(findings.is_empty(), "{findings:?}");
}
