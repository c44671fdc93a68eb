//! The open history at its budget: how much of a log it holds, and what it costs who applies ops.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use loadtest::bench::canvas::history::{Figures, HOT_UNITS, HOT_UNITS_MORE};
use revcast::{
    limits,
    model::{Applied, Canvas, Change, LoggedOp, OpenUnit, Revision, Scope},
};
use uuid::Uuid;

use super::{ACTOR, TS, passes, replay, timed};

/// Measures the longest beginning of a log that weighs no more than the budget.
pub(super) fn measure(log: &Path, time: Duration) -> anyhow::Result<Figures> {
    let text = fs::read_to_string(log)?;
    let lines: Vec<&str> = text.lines().collect();
    let ops = read(&lines)?;
    let lengths: Vec<usize> = (1..=ops.len()).collect();
    let held = lengths.partition_point(|&length| weight(&canvas(&ops[..length])) <= limits::UNDO_BUDGET);
    ensure!(held > 0 && held < ops.len(), "the log does not reach the budget");

    let canvas = canvas(&ops[..held]);
    let units = canvas.open_units();
    let floor = floor_of_half(&units).context("there is nothing to fold")?;
    let fold = LoggedOp {
        revision: canvas.revision().next(),
        actor: ACTOR,
        ts: TS,
        unit: None,
        change: Some(Change::Fold { floor }),
    };
    let fold_seconds = passes(time / 4, || {
        let mut folded = canvas.clone();
        timed(|| {
            ensure!(folded.apply(&fold) == Applied::Next && folded.floor() == floor, "it is no fold");
            Ok(())
        })
    })?;
    Ok(Figures {
        ops: held as u64,
        units: units.len() as u64,
        weight: weight(&canvas),
        fold_seconds,
        history_seconds: passes(time / 4, || timed(|| Ok(canvas.history(Scope::All))))?,
        hot_seconds: hot(HOT_UNITS, time / 4)?,
        hot_more_seconds: hot(HOT_UNITS_MORE, time / 4)?,
    })
}

fn read<'a>(lines: &[&'a str]) -> anyhow::Result<Vec<LoggedOp<'a>>> {
    let read = |(line, revision): (&&'a str, u64)| LoggedOp::read(Revision(revision), ACTOR, TS, line);
    let ops: Vec<_> = lines.iter().zip(1..).map(read).collect();
    ensure!(ops.iter().all(|op| op.change.is_some()), "an op of the log is none");
    Ok(ops)
}

fn canvas(ops: &[LoggedOp<'_>]) -> Canvas {
    let mut canvas = Canvas::new();
    ops.iter().for_each(|op| {
        canvas.apply(op);
    });
    canvas
}

/// The weight that the budget is compared with, in bytes.
fn weight(canvas: &Canvas) -> u64 {
    canvas.open_units().iter().map(weight_of).sum()
}

fn weight_of(unit: &OpenUnit) -> u64 {
    unit.bytes + limits::OPEN_UNIT_WEIGHT
}

/// The smallest floor that leaves at most half of the budget open.
fn floor_of_half(units: &[OpenUnit]) -> Option<Revision> {
    let mut rest: u64 = units.iter().map(weight_of).sum();
    let last = units.iter().find(|unit| {
        rest -= weight_of(unit);
        rest <= limits::UNDO_BUDGET / 2
    });
    last.map(|unit| unit.first)
}

/// Seconds to apply so many writes to one register, each of its own unit.
fn hot(units: u64, time: Duration) -> anyhow::Result<f64> {
    let write = |nth| {
        let op_id = Uuid::now_v7();
        format!(r#"{{"op_id":"{op_id}","type":"object.update","object_id":"hot","set":{{"x":{nth}}}}}"#)
    };
    let lines: Vec<String> = (0..units).map(write).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let ops = read(&lines)?;
    passes(time, || replay(ops.iter(), |canvas, op| canvas.apply(op)))
}
