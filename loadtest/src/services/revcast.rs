//! A server as a process.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    thread,
};

use anyhow::{Context, bail};

use super::{blob_url_beside, command, signal, spawn, wait_or_kill};

/// Flags by which anybody may write as fast as they can.
pub const LIFTED_LIMITS: [&str; 8] = [
    "--write-requests-per-second",
    "0",
    "--write-ops-per-second",
    "0",
    "--drawing-bytes-per-second",
    "0",
    "--drawing-units-per-second",
    "0",
];

/// A server process.
#[derive(Debug)]
pub struct Revcast {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub base: String,
}

/// The settings with which a server is started.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// The program.
    pub binary: PathBuf,
    /// The address that it listens on; a free port at `127.0.0.1` by default.
    pub address: Option<String>,
    /// Flags of `serve`.
    pub flags: Vec<String>,
    /// Variables besides those of this process.
    pub environment: Vec<(String, OsString)>,
    /// The file to which its log is appended; nowhere without one.
    pub log: Option<PathBuf>,
}

impl Revcast {
    /// Starts `binary serve --listen 127.0.0.1:0` with further flags, and waits until it listens. Its blobs are in a
    /// folder that all servers on its database share, and it stops without a notice, unless the flags say otherwise.
    pub fn start(binary: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_at(binary, "127.0.0.1:0", flags)
    }

    /// The same at an address: that of one which has ended, for a node that comes back.
    pub fn start_at(binary: &Path, address: &str, flags: &[&str]) -> anyhow::Result<Self> {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (binary, address) = (binary.to_owned(), Some(address.to_owned()));
        Self::launch(&Launch { binary, address, flags, ..Launch::default() })
    }

    /// The same in every particular.
    pub fn launch(launch: &Launch) -> anyhow::Result<Self> {
        let has = |name: &str| launch.flags.iter().any(|flag| flag == name);
        let mut server = command(&launch.binary, "KILL", None);
        server.args(["serve", "--listen", launch.address.as_deref().unwrap_or("127.0.0.1:0")]);
        server.args(&launch.flags).envs(launch.environment.iter().map(|(name, value)| (name, value)));
        if !has("--drain-notice") {
            server.args(["--drain-notice", "0s"]);
        }
        let database = launch.flags.iter().skip_while(|flag| *flag != "--database-url").nth(1);
        if let Some(database) = database.filter(|_| !has("--blob-url")) {
            server.args(["--blob-url", &blob_url_beside(database)?]);
        }
        let mut log = launch.log.as_deref().map(append_to).transpose()?;
        let errors =
            log.as_ref().map_or_else(|| Ok(Stdio::inherit()), |log| log.try_clone().map(Stdio::from))?;
        server.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = spawn(server)?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut seen = String::new();
        let base = loop {
            let Some(Ok(line)) = lines.next() else {
                child.wait()?;
                bail!("the server ended before it listened:\n{seen}");
            };
            if let Some(log) = &mut log {
                writeln!(log, "{line}")?;
            }
            if let Some((_, fields)) = line.split_once("listening address=") {
                let address = fields.split_whitespace().next().context("the line has no address")?;
                break format!("http://{address}");
            }
            seen.push_str(&line);
            seen.push('\n');
        };
        // The rest is read so that the server never waits for us.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // A log that cannot be written is no reason to let the server wait.
                let _ = log.as_mut().map(|log| writeln!(log, "{line}"));
            }
        });
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

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
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

fn append_to(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("the log {} cannot be written", path.display()))
}

impl Drop for Revcast {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
