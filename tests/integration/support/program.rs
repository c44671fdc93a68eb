//! The program itself, as an operator runs it.

use std::{path::Path, process::Stdio};

use tokio::process::{Child, Command};

/// What one run came to.
#[derive(Debug)]
pub struct Run {
    pub succeeded: bool,
    /// What it printed, without the last line break.
    pub stdout: String,
    pub stderr: String,
}

/// The program, for those who start it otherwise than by [`run`].
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_revcast"))
}

/// Starts it with pipes for standard input and both outputs. It is killed when it goes.
pub fn spawn(arguments: &[&str]) -> Child {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true).spawn().unwrap()
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
    Run { succeeded: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Gives a database a new epoch, and returns it.
pub async fn new_epoch(database_url: &str) -> String {
    let run = run(&["new-epoch", "--database-url", database_url]).await;
    assert!(run.succeeded, "{run:?}");
    run.stdout
}
