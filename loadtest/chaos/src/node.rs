//! One node: a server that is killed, stopped, and started again.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use loadtest::services::{Launch, Revcast, free_port};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use crate::{fault::NodeId, plan::Plan};

/// The time for which a fault waits for a node that is stopping or starting.
const CHANGE: Duration = Duration::from_secs(3);
/// The programs of a round.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The server.
    pub revcast: PathBuf,
    /// The server of the version before.
    pub previous: Option<PathBuf>,
    /// The library that sets clocks wrong.
    pub faketime: Option<PathBuf>,
    /// The script with TypeScript clients.
    pub script: Option<PathBuf>,
}

/// A node, which may be down, or on its way up.
#[derive(Debug)]
pub struct Node {
    launch: Launch,
    server: Option<Revcast>,
    /// Ends the server, if that is still to be done, and starts it again.
    change: Option<JoinHandle<anyhow::Result<Option<Revcast>>>>,
    /// The reason why it did not stop or start, if that has not been told.
    failure: Option<anyhow::Error>,
    /// The ends that it came to although nobody had ended it.
    crashes: Vec<String>,
    /// Says how wrong its clock is.
    pub clock: Option<PathBuf>,
}

impl Node {
    pub(crate) fn new(
        plan: &Plan,
        programs: &Programs,
        number: NodeId,
        flags: Vec<String>,
        (folder, logs): (&Path, &Path),
    ) -> anyhow::Result<Self> {
        let previous = programs.previous.as_ref().filter(|_| plan.previous == Some(number));
        let mut launch = Launch {
            binary: previous.unwrap_or(&programs.revcast).clone(),
            address: Some(format!("127.0.0.1:{}", free_port()?)),
            flags,
            environment: Vec::new(),
            log: Some(logs.join(format!("node-{number}.log"))),
        };
        let mut clock = None;
        if let Some(library) = programs.faketime.as_ref().filter(|_| plan.has_wrong_clock(number)) {
            let path = folder.join(format!("clock-{number}"));
            fs::write(&path, "+0")?;
            let mut set = |name: &str, value: &Path| launch.environment.push((name.to_owned(), value.into()));
            set("LD_PRELOAD", library);
            set("FAKETIME_TIMESTAMP_FILE", &path);
            set("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1"));
            set("FAKETIME_DISABLE_SHM", Path::new("1"));
            set("FAKETIME_NO_CACHE", Path::new("1"));
            clock = Some(path);
        }
        Ok(Self { launch, server: None, change: None, failure: None, crashes: Vec::new(), clock })
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> anyhow::Result<u16> {
        let address = self.launch.address.as_deref().context("a node has an address")?;
        let (_, port) = address.rsplit_once(':').context("an address has a port")?;
        Ok(port.parse()?)
    }

    /// The process id, if it runs: what was begun with it may take some time.
    pub async fn pid(&mut self) -> Option<u32> {
        if let Ok(Err(error)) = timeout(CHANGE, self.settle()).await {
            self.failure = Some(error);
        }
        self.server.as_ref().map(Revcast::pid)
    }

    /// Waits until what was begun with it is done.
    ///
    /// # Errors
    /// When it does not stop, or does not start.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        if let Some(change) = &mut self.change {
            let server = change.await?;
            self.change = None;
            self.server = server?;
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.look()?;
        self.server.take().map_or(Ok(()), |mut server| server.kill())
    }

    /// Asks it to stop, and lets it take its time.
    ///
    /// # Errors
    /// When it cannot be told whether it runs.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        self.look()?;
        if let Some(mut server) = self.server.take() {
            self.change = Some(spawn_blocking(move || {
                server.terminate()?;
                match server.ended()? {
                    Some(status) if !status.success() => bail!("it stopped with {status}"),
                    _ => Ok(None),
                }
            }));
        }
        Ok(())
    }

    /// Returns how it has ended although nobody has ended it, and the panics in its log.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn crashes(&mut self) -> anyhow::Result<Vec<String>> {
        self.look()?;
        let mut crashes = std::mem::take(&mut self.crashes);
        let log = self.launch.log.as_deref().map(fs::read_to_string).transpose()?.unwrap_or_default();
        let panics = log.lines().filter(|line| line.contains("panicked"));
        crashes.extend(panics.map(|line| format!("says: {line}")));
        Ok(crashes)
    }

    /// Sees whether it has ended by itself.
    fn look(&mut self) -> anyhow::Result<()> {
        if let Some(server) = &mut self.server
            && let Some(status) = server.ended()?
        {
            self.crashes.push(format!("has ended by itself: {status}"));
            self.server = None;
        }
        Ok(())
    }

    /// Starts it, once it has stopped.
    pub fn start(&mut self) {
        let (before, launch) = (self.change.take(), self.launch.clone());
        self.change = Some(tokio::spawn(async move {
            if let Some(before) = before {
                before.await??;
            }
            spawn_blocking(move || Revcast::launch(&launch).map(Some)).await?
        }));
    }
}
