//! The program itself, as an operator runs it.

use std::{
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
};

use loadtest::services::{TempFolder, send_signal};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::eventually;

/// The outcome of one run.
#[derive(Debug)]
pub struct Run {
    pub succeeded: bool,
    /// Its exit code, unless a signal has ended it.
    pub code: Option<i32>,
    /// Its standard output, without the last line break.
    pub stdout: String,
    pub stderr: String,
}

/// The program, for those who start it otherwise than by [`run`].
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_revcast"))
}

/// Starts it with pipes for standard input and both outputs, where it can make no files that it was not told of. It is
/// killed when it goes.
pub fn spawn(arguments: &[&str]) -> Child {
    spawn_in(Path::new("/proc"), arguments)
}

/// The same in a folder, where its default files are.
fn spawn_in(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.current_dir(folder).kill_on_drop(true).spawn().unwrap()
}

/// Runs it to its end, with nothing to read.
pub async fn run(arguments: &[&str]) -> Run {
    let mut child = spawn(arguments);
    drop(child.stdin.take());
    finished(child).await
}

/// Waits for its end.
pub async fn finished(child: Child) -> Run {
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    let code = output.status.code();
    Run { succeeded: output.status.success(), code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A server that serves, and what it logs, one JSON object a line.
pub struct Serving {
    /// `http://127.0.0.1:port`; empty before it listens.
    pub base: String,
    lines: Arc<Mutex<Vec<Value>>>,
    child: Child,
    /// Has its default files.
    folder: TempFolder,
}

impl Serving {
    /// Starts a server with these flags, and waits until it listens.
    pub async fn start(flags: &[&str]) -> Self {
        let mut serving = Self::launch(flags);
        serving.listens().await;
        serving
    }

    /// Starts a server with these flags, which may not listen for a while.
    pub fn launch(flags: &[&str]) -> Self {
        let mut arguments = vec!["serve", "--dev", "--listen", "127.0.0.1:0", "--log-format", "json"];
        arguments.extend(flags);
        let folder = TempFolder::new("serving").unwrap();
        let mut child = spawn_in(folder.path(), &arguments);
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let log = lines.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
                log.lock().unwrap().push(line);
            }
        });
        Self { base: String::new(), lines, child, folder }
    }

    /// Waits until it listens.
    pub async fn listens(&mut self) {
        let address = eventually("the server listens", || async {
            let lines = self.lines.lock().unwrap();
            let line = lines.iter().find(|line| line["message"] == "listening")?;
            line["address"].as_str().map(str::to_owned)
        });
        self.base = format!("http://{}", address.await);
    }

    /// Stops it, and waits until it is gone.
    pub async fn stop(mut self) {
        send_signal(self.child.id().unwrap(), "TERM").unwrap();
        assert!(self.child.wait().await.unwrap().success());
    }

    /// The folder in which it runs, with its default files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The lines so far of this level.
    pub fn lines(&self, level: &str) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line["level"] == level).cloned().collect()
    }

    /// The number of lines so far with a message that begins so.
    pub fn count(&self, message: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line["message"].as_str().is_some_and(|m| m.starts_with(message))).count()
    }
}

/// Gives a database a new epoch, and returns it.
pub async fn new_epoch(database_url: &str) -> String {
    let run = run(&["new-epoch", "--database-url", database_url]).await;
    assert!(run.succeeded, "{run:?}");
    run.stdout
}
