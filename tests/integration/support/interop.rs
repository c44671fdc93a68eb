//! Other people's clients as processes. They print what happens to them, one JSON object a line.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Time to wait for a line: a browser starts slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running client. It is killed when it goes.
pub struct Process {
    name: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// A file of `tests/interop`.
pub fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "interop", name].iter().collect()
}

/// The Python in which `make setup` has put the packages.
pub fn python() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "target", "interop-venv", "bin", "python"].iter().collect()
}

impl Process {
    /// Starts a program; its complaints go where those of the tests go.
    pub fn start(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let program = program.into();
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let name = format!("{} {}", program.display(), arguments.first().unwrap_or(&""));
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{name} does not start, run make setup: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { name, child, lines }
    }

    /// The next line; nothing at the end.
    pub async fn line(&mut self) -> Option<String> {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        line.unwrap_or_else(|_| panic!("{} says nothing", self.name)).unwrap()
    }

    /// The next event.
    pub async fn event(&mut self) -> Value {
        let line = self.line().await.unwrap_or_else(|| panic!("{} ends too early", self.name));
        serde_json::from_str(&line).unwrap()
    }

    /// The next event, which has to have this name.
    pub async fn expect(&mut self, name: &str) -> Value {
        let event = self.event().await;
        assert_eq!(event["event"], name, "{}: {event}", self.name);
        event
    }

    /// Panics unless the process says nothing more and ends well.
    pub async fn expect_end(mut self) {
        assert_eq!(self.line().await, None, "{}", self.name);
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the process ends").unwrap();
        assert!(status.success(), "{}: {status}", self.name);
    }
}
