//! Logs of pen strokes: those that stay, and those that were taken back.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    bench::load::user,
    pen::{self, Stroke},
};

/// Ops after which a log is folded again …
const FOLD_EVERY: u64 = 4_096;
/// … and how many stay open.
const FOLD_KEEPS: u64 = 4_096;

/// The fate of a stroke once it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Stays,
    /// It is undone.
    Undone,
    /// It is deleted.
    Deleted,
}

/// The ops of strokes, one stroke after the other, each with its fate.
pub fn ops(strokes: impl Iterator<Item = (Stroke, Fate)>) -> impl Iterator<Item = Value> {
    strokes.flat_map(|(stroke, fate)| {
        let mut ops = pen::ops(&stroke);
        let op_id = Uuid::now_v7();
        let (unit, object) = (&ops[0]["op_id"], &ops[0]["object_id"]);
        let end = match fate {
            Fate::Stays => None,
            Fate::Undone => Some(json!({"op_id": op_id, "type": "undo", "unit": unit})),
            Fate::Deleted => Some(json!({"op_id": op_id, "type": "object.delete", "object_ids": [object]})),
        };
        ops.extend(end);
        ops
    })
}

/// The same ops with the folds that a server has put between them by the time that they are old.
pub fn folded(ops: impl Iterator<Item = Value>) -> impl Iterator<Item = Value> {
    let (mut ops, mut revision) = (ops.peekable(), 0);
    std::iter::from_fn(move || {
        ops.peek()?;
        revision += 1;
        let is_fold = revision % FOLD_EVERY == 0 && revision > FOLD_KEEPS;
        let fold = || json!({"op_id": Uuid::now_v7(), "type": "fold", "floor": revision - FOLD_KEEPS});
        if is_fold { Some(fold()) } else { ops.next() }
    })
}

/// Writes ops to a file, one a line, as `revcast import` reads them; all but folds are of the first user.
pub fn write_committed(file: &Path, ops: impl Iterator<Item = Value>) -> anyhow::Result<()> {
    write_drawn(file, ops.zip(1..).map(|(op, ts)| Drawn { op, user: 0, ts }))
}

/// An op, and who drew it when.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The op as it was sent.
    pub op: Value,
    /// The nth user.
    pub user: usize,
    /// In milliseconds since 1970.
    pub ts: u64,
}

/// Writes the same of many users.
pub fn write_drawn(file: &Path, ops: impl Iterator<Item = Drawn>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for (Drawn { op, user: nth, ts }, revision) in ops.zip(1_u64..) {
        let actor = if op["type"] == "fold" { "revcast:fold".to_owned() } else { user(nth) };
        let op = op.to_string();
        // The fields that the server adds stand in the same object.
        let fields = op.strip_prefix('{').unwrap_or(&op);
        writeln!(out, r#"{{"revision":{revision},"actor":"{actor}","ts":{ts},{fields}"#)?;
    }
    Ok(out.flush()?)
}

/// Writes ops to a file, one a line, as the store keeps them.
pub fn write(file: &Path, ops: impl Iterator<Item = Value>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for op in ops {
        writeln!(out, "{op}")?;
    }
    Ok(out.flush()?)
}
