//! A NATS server of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use anyhow::Context;

use super::{TempFolder, command, cpu_seconds, free_port, spawn, wait_until_listening};

/// A NATS server of its own.
#[derive(Debug)]
pub struct Nats {
    child: Child,
    /// The port that it listens on.
    pub port: u16,
    folder: TempFolder,
}

impl Nats {
    /// Starts a server that lets anybody in.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with("")
    }

    /// Starts a server with a configuration in NATS's own form, which leaves out where it listens.
    pub fn start_with(configuration: &str) -> anyhow::Result<Self> {
        let (port, folder) = (free_port()?, TempFolder::new("nats")?);
        let mut nats = Self { child: spawn_nats(port, &write(&folder, configuration)?)?, port, folder };
        wait_until_listening(port, &mut nats.child, "NATS")?;
        Ok(nats)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it at once.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts again, at the same address.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = spawn_nats(self.port, &self.folder.path().join(CONFIGURATION))?;
        wait_until_listening(self.port, &mut self.child, "NATS")
    }

    /// Starts again, at the same address, with another configuration.
    pub fn start_again_with(&mut self, configuration: &str) -> anyhow::Result<()> {
        write(&self.folder, configuration)?;
        self.start_again()
    }

    /// CPU seconds so far.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.child.id())
    }
}

/// The file of the configuration in the folder of a server.
const CONFIGURATION: &str = "nats.conf";

fn write(folder: &TempFolder, configuration: &str) -> anyhow::Result<PathBuf> {
    let path = folder.path().join(CONFIGURATION);
    fs::write(&path, configuration)?;
    Ok(path)
}

fn spawn_nats(port: u16, configuration: &Path) -> anyhow::Result<Child> {
    let places = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"];
    let program = places.iter().find(|place| Path::new(place).exists()).copied().unwrap_or("nats-server");
    let mut server = command(Path::new(program), "KILL", None);
    server.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-c"]).arg(configuration);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn(server).context("NATS is not installed: run make setup")
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
