//! A server as a process.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
    thread,
};

use anyhow::{Context, bail};

use super::{blob_url_beside, command, signal, spawn, wait_or_kill};

/// A server process.
#[derive(Debug)]
pub struct Revcast {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub base: String,
}

impl Revcast {
    /// Starts `binary serve --listen 127.0.0.1:0` with further flags, and waits until it listens. Its blobs are in a
    /// folder that all servers on its database share, and it stops without a notice, unless the flags say otherwise.
    pub fn start(binary: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_at(binary, "127.0.0.1:0", flags)
    }

    /// The same at an address: that of one which has ended, for a node that comes back.
    pub fn start_at(binary: &Path, address: &str, flags: &[&str]) -> anyhow::Result<Self> {
        let mut server = command(binary, "KILL", None);
        server.args(["serve", "--listen", address]).args(flags);
        if !flags.contains(&"--drain-notice") {
            server.args(["--drain-notice", "0s"]);
        }
        let database = flags.iter().skip_while(|flag| **flag != "--database-url").nth(1);
        if let Some(database) = database.filter(|_| !flags.contains(&"--blob-url")) {
            server.args(["--blob-url", &blob_url_beside(database)?]);
        }
        server.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = spawn(server)?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut seen = String::new();
        let base = loop {
            let Some(Ok(line)) = lines.next() else {
                bail!("the server ended before it listened:\n{seen}");
            };
            if let Some((_, fields)) = line.split_once("listening address=") {
                let address = fields.split_whitespace().next().context("the line has no address")?;
                break format!("http://{address}");
            }
            seen.push_str(&line);
            seen.push('\n');
        };
        // The rest is read so that the server never waits for us.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, base })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&self) -> anyhow::Result<()> {
        signal(&self.child, "TERM")
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        self.ask_to_stop()?;
        wait_or_kill(&mut self.child)
    }
}

impl Drop for Revcast {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
