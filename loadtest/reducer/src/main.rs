//! `reducer <log> <seconds>`: applies a log to canvases on one core, and says what that takes. `reducer history <log>
//! <seconds>` does so with as much of a log as the budget of open history holds.
//!
//! A crate of its own because it is the one part of the load that is built on the server's code, and a process of its own
//! so that a canvas and the server's allocator are all there is in its memory. The rows `reducer` and `history` of the bench
//! start it with a file that has an op a line, as the store keeps them, and read its figures as JSON.

mod history;

use std::{
    fs::{self, File},
    hint::black_box,
    io::{BufRead, BufReader, Write},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use loadtest::bench::{
    canvas::{history::COMMAND, reducer::Figures},
    probe::Memory,
    report::median,
};
use revcast::model::{Applied, Canvas, LoggedOp, Revision, View, state_hash};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The user who draws. The reducer asks for it only where a unit begins.
const ACTOR: &str = "user-0";
/// The time of each op. The reducer only notes it of each unit.
const TS: i64 = 0;
/// Times that each thing is done, at least.
const PASSES: usize = 3;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = |seconds: &str| Ok::<_, anyhow::Error>(Duration::from_secs(seconds.parse()?));
    let figures = match arguments.as_slice() {
        [log, time] => serde_json::to_string(&measure(Path::new(log), seconds(time)?)?)?,
        [command, log, time] if command == COMMAND => {
            serde_json::to_string(&history::measure(Path::new(log), seconds(time)?)?)?
        }
        _ => anyhow::bail!("usage: reducer [{COMMAND}] <log> <seconds>"),
    };
    writeln!(std::io::stdout(), "{figures}")?;
    Ok(())
}

fn measure(log: &Path, time: Duration) -> anyhow::Result<Figures> {
    // First, while the memory of the process has no holes.
    let before = Memory::of(std::process::id())?.rss;
    let canvas = stream(log)?;
    let rss_kib = Memory::of(std::process::id())?.rss.saturating_sub(before);

    let text = fs::read_to_string(log)?;
    let read = |(line, revision)| LoggedOp::read(Revision(revision), ACTOR, TS, line);
    let ops: Vec<LoggedOp<'_>> = text.lines().zip(1..).map(read).collect();
    ensure!(ops.iter().all(|op| op.change.is_some()), "an op of the log is none");
    let view = canvas.view();
    let (registers, revision) = (canvas.registers(), canvas.revision());
    let seen: View = serde_json::from_str(&view)?;
    Ok(Figures {
        ops: ops.len() as u64,
        objects: seen.objects.len() as u64,
        points: seen.objects.iter().map(|object| object.points.len() as u64).sum(),
        rss_kib,
        weight: canvas.weight() as u64,
        apply_seconds: passes(time, || replay(ops.iter(), |canvas, op| canvas.apply(op)))?,
        read_apply_seconds: passes(time, || {
            replay(text.lines().zip(1..), |canvas, line| canvas.apply(&read(line)))
        })?,
        view_seconds: passes(time / 4, || timed(|| Ok(state_hash(&canvas.view()))))?,
        view_bytes: view.len() as u64,
        registers_seconds: passes(time / 4, || timed(|| Ok(canvas.registers())))?,
        registers_bytes: registers.len() as u64,
        from_registers_seconds: passes(time / 4, || {
            timed(|| Ok(Canvas::from_registers(revision, &registers)?))
        })?,
    })
}

/// The canvas of a log, of which nothing else stays in memory.
fn stream(log: &Path) -> anyhow::Result<Canvas> {
    let mut log = BufReader::new(File::open(log).with_context(|| format!("opening {}", log.display()))?);
    let (mut canvas, mut line) = (Canvas::new(), String::new());
    while log.read_line(&mut line)? > 0 {
        canvas.apply(&LoggedOp::read(canvas.revision().next(), ACTOR, TS, line.trim_end()));
        line.clear();
    }
    Ok(canvas)
}

/// Seconds to make a canvas of all ops.
fn replay<T>(ops: impl Iterator<Item = T>, apply: impl Fn(&mut Canvas, T) -> Applied) -> anyhow::Result<f64> {
    timed(|| {
        let mut canvas = Canvas::new();
        for op in ops {
            ensure!(apply(&mut canvas, op) == Applied::Next, "the log has a hole");
        }
        Ok(canvas)
    })
}

/// Seconds that `work` takes, but not to give back what it has made.
fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let started = Instant::now();
    let made = black_box(work()?);
    let seconds = started.elapsed().as_secs_f64();
    drop(made);
    Ok(seconds)
}

/// The median of as many passes as fit into `time`.
fn passes(time: Duration, mut pass: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let end = Instant::now() + time;
    let mut seconds = Vec::new();
    while seconds.len() < PASSES || Instant::now() < end {
        seconds.push(pass()?);
    }
    Ok(median(seconds))
}
