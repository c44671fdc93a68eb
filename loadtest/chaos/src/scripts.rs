//! The process with the TypeScript clients, and what it is told to do.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use loadtest::services::spawn_with_pipes;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::{hand::Scene, reader::Heads, recorder::Clock};

/// Time for an answer, beside what a command is given itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The number of times that the clocks are compared; the best one counts.
const COMPARISONS: usize = 9;

/// The process. It ends with its handle.
#[derive(Debug)]
pub struct Scripts {
    child: Child,
    input: ChildStdin,
    /// The lines that it prints.
    output: Receiver<String>,
}

/// A client in it.
#[derive(Clone, Debug)]
pub struct Person {
    /// The name of the client and of its user.
    pub name: String,
    /// The drawing.
    pub drawing: String,
    /// Decides what it does.
    pub seed: u64,
    /// The node with which it begins.
    pub node: usize,
}

impl Scripts {
    /// Starts the process, compares its clock with the one that all share, and lets its clients begin.
    ///
    /// # Errors
    /// When it does not start, or fails.
    pub fn start(script: &Path, scene: &Scene, people: &[Person]) -> anyhow::Result<Self> {
        let mut program = Command::new("node");
        program.arg(script);
        let mut child = spawn_with_pipes(&program)?;
        let input = child.stdin.take().context("the script has no input")?;
        let lines = BufReader::new(child.stdout.take().context("the script has no output")?).lines();
        // One answer to one command: there is never more than one line.
        let (sender, output) = sync_channel(1);
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut scripts = Self { child, input, output };
        let (offset, error) = scripts.compare(scene.clock)?;
        let person = |person: &Person| {
            let Person { name, drawing, seed, node } = person;
            json!({"client": name, "user": name, "drawing": drawing, "seed": seed % (1 << 32), "node": node})
        };
        let people: Vec<_> = people.iter().map(person).collect();
        let issuer = format!("http://127.0.0.1:{}", scene.issuer.port);
        scripts.order(&json!({"begin": {"people": people, "folder": scene.folder, "nodes": scene.nodes,
            "issuer": issuer, "offset": offset, "error": error}}))?;
        Ok(scripts)
    }

    /// Lets them draw no more, and waits until all is committed. Returns complaints.
    ///
    /// # Errors
    /// When the process fails.
    pub fn stop(&mut self, patience: Duration) -> anyhow::Result<Vec<String>> {
        complaints(&self.order(&json!({"stop": {"deadline_ms": patience.as_millis()}}))?)
    }

    /// Waits until they have all of their drawings, and lets them show their pictures. Returns complaints.
    ///
    /// # Errors
    /// When the process fails.
    pub fn reach(&mut self, scene: &Scene, heads: &Heads, patience: Duration) -> anyhow::Result<Vec<String>> {
        let heads: serde_json::Map<_, _> = scene
            .drawings
            .iter()
            .zip(heads)
            .map(|(drawing, (epoch, revision))| (drawing.clone(), json!([epoch, revision])))
            .collect();
        complaints(&self.order(&json!({"reach": {"heads": heads, "deadline_ms": patience.as_millis()}}))?)
    }

    /// Draws a log of a history from its beginning, and notes its pictures at these revisions in another file.
    ///
    /// # Errors
    /// When the process fails.
    pub fn replay(
        &mut self,
        drawing: &str,
        log: &Path,
        path: &Path,
        revisions: &[u64],
    ) -> anyhow::Result<()> {
        let replay = json!({"drawing": drawing, "log": log, "path": path, "revisions": revisions});
        self.order(&json!({"replay": replay})).map(drop)
    }

    /// The time to add to its clock for the one that all share, and how far that may be off, in nanoseconds.
    fn compare(&mut self, clock: Clock) -> anyhow::Result<(i64, i64)> {
        let mut best: Option<(i64, i64)> = None;
        for _ in 0..COMPARISONS {
            let sent = clock.now();
            let pong =
                self.order(&json!({"ping": 1}))?["pong"].as_i64().context("the script tells no time")?;
            let received = clock.now();
            let error = (received - sent) / 2 + 1;
            if best.is_none_or(|(_, least)| error < least) {
                best = Some((sent + (received - sent) / 2 - pong, error));
            }
        }
        best.context("the clocks were not compared")
    }

    fn order(&mut self, order: &Value) -> anyhow::Result<Value> {
        block_in_place(|| {
            writeln!(self.input, "{order}")?;
            let line = self.output.recv_timeout(ANSWER_TIMEOUT);
            let line = line.context("the script with the TypeScript clients has ended, or hangs")?;
            let answer: Value = serde_json::from_str(&line)?;
            match answer["error"].as_str() {
                Some(error) => bail!("the TypeScript clients: {error}"),
                None => Ok(answer),
            }
        })
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn complaints(answer: &Value) -> anyhow::Result<Vec<String>> {
    Ok(serde_json::from_value(answer["complaints"].clone())?)
}
