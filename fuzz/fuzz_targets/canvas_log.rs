//! A log, from any text of one op a line: the reducer shows what the reference shows, can undo the same, and comes to the
//! same from its registers at any revision. The first byte of a line says who has sent the op; the first line, at which
//! revision the registers are written and read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use revcast::model::{Applied, Canvas, Scope, state_hash};
use revcast_fuzz::{
    ACTORS, Log,
    naive::{Naive, canonical, hash_of},
};
use serde_json::Value;

/// The reference takes its time.
const OPS: usize = 40;

fuzz_target!(|text: &str| {
    let Some((first, rest)) = text.split_once('\n') else { return };
    let log = Log::of(rest, OPS);
    let cut = first.bytes().next().map_or(0, usize::from) % (log.ops.len() + 1);
    let (mut canvas, mut naive) = (Canvas::new(), Naive::default());
    for (nth, op) in log.ops.iter().enumerate() {
        if nth == cut {
            canvas = reloaded(&canvas);
        }
        assert_eq!(canvas.apply(&op.logged()), Applied::Next);
        assert_eq!(canvas.apply(&op.logged()), Applied::Stale);
        naive.push(&op.committed());
    }
    let (view, expected) = (canvas.view(), naive.view());
    assert_eq!(view, canonical(&expected));
    assert_eq!(state_hash(&view), hash_of(&expected));
    for actor in ACTORS {
        assert_history(&canvas, Scope::Mine(actor), &naive.history_mine(actor));
    }
    assert_history(&canvas, Scope::All, &naive.history_all());
    let again = reloaded(&canvas);
    assert_eq!((again.view(), again.registers()), (view, canvas.registers()));
});

fn reloaded(canvas: &Canvas) -> Canvas {
    Canvas::from_registers(canvas.revision(), &canvas.registers()).expect("registers can be read")
}

fn assert_history(canvas: &Canvas, scope: Scope<'_>, expected: &Value) {
    let history = canvas.history(scope);
    let id = |unit: Option<revcast::model::OpId>| unit.map_or(Value::Null, |unit| unit.to_string().into());
    assert_eq!(
        (&id(history.undo_unit), &id(history.redo_unit)),
        (&expected["undo_unit"], &expected["redo_unit"])
    );
}
