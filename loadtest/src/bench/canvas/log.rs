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

/// What becomes of a stroke once it is drawn.
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

/// Writes ops to a file, one a line, as `revcast import` reads them; all are of the first user.
pub fn write_committed(file: &Path, ops: impl Iterator<Item = Value>) -> anyhow::Result<()> {
    let (mut out, actor) = (BufWriter::new(File::create(file)?), user(0));
    for (op, revision) in ops.zip(1_u64..) {
        let op = op.to_string();
        // What the server adds stands in the same object.
        let fields = op.strip_prefix('{').unwrap_or(&op);
        writeln!(out, r#"{{"revision":{revision},"actor":"{actor}","ts":{revision},{fields}"#)?;
    }
    Ok(out.flush()?)
}

/// Writes ops to a file, one a line, as clients send them.
pub fn write(file: &Path, ops: impl Iterator<Item = Value>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for op in ops {
        writeln!(out, "{op}")?;
    }
    Ok(out.flush()?)
}
