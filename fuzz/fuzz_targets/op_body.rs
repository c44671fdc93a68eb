//! An op that a client posts, from any text: what is taken is stored in one spelling, which is read again as the same op,
//! and the canvas shows it in canonical JSON, as the reference does.

#![no_main]

use libfuzzer_sys::fuzz_target;
use revcast::{
    limits::MAX_OP_BYTES,
    model::{
        Applied, Canvas, CommittedOp, LoggedOp, Op, Revision, UserId, compact, json_equal, names_server_type,
        same_op,
    },
};
use revcast_fuzz::{
    RAW_VALUE, assert_canonical,
    naive::{Naive, canonical},
};
use serde_json::{Value, value::RawValue};

fuzz_target!(|text: &str| {
    let Ok(raw) = serde_json::from_str::<&RawValue>(text) else { return };
    let Ok(body) = compact(raw.get()) else { return };
    assert_eq!(compact(&body).as_deref(), Ok(&*body));
    if text.contains(RAW_VALUE) || body.len() > MAX_OP_BYTES {
        return;
    }
    assert!(json_equal(text, &body));
    let Ok(op) = Op::parse(&body) else { return };
    assert_eq!(op.is_server_only(), names_server_type(&body));
    let respelled = op.respelled(&body);
    let stored = respelled.as_deref().unwrap_or(&body);
    let again = Op::parse(stored).expect("what is stored can be read");
    assert_eq!((again.op_id, again.unit), (op.op_id, op.unit));
    assert_eq!(format!("{:?}", again.change), format!("{:?}", op.change));
    assert_eq!(again.respelled(stored), None);
    assert!(same_op(stored, stored) && same_op(&body, stored));

    let actor: UserId = "alice".parse().expect("it is a user id");
    let committed = CommittedOp::new(Revision(1), &actor, 5, stored);
    let length = CommittedOp::json_len(Revision(1), "alice", 5, stored);
    assert_eq!(committed.json.len(), length);
    let told: Value = serde_json::from_slice(&committed.json).expect("readers get JSON");
    assert_eq!((&told["revision"], &told["actor"], &told["ts"]), (&1.into(), &"alice".into(), &5.into()));

    let logged = LoggedOp::read(Revision(1), "alice", 5, stored);
    assert!(logged.change.is_some() && logged.unit == op.unit);
    let mut canvas = Canvas::new();
    assert_eq!(canvas.apply(&logged), Applied::Next);
    let view = canvas.view();
    assert_canonical(&view);
    let loaded = Canvas::from_registers(Revision(1), &canvas.registers()).expect("registers can be read");
    assert_eq!((loaded.view(), loaded.registers()), (view.clone(), canvas.registers()));
    assert_eq!(view, canonical(&Naive::replay(&[told]).view()));
});
