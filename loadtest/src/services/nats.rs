//! A NATS server of its own.

use std::{
    path::Path,
    process::{Child, Stdio},
};

use anyhow::Context;

use super::{command, cpu_seconds, free_port, spawn, wait_until_listening};

/// A NATS server of its own.
#[derive(Debug)]
pub struct Nats {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Nats {
    /// Starts a server.
    pub fn start() -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut nats = Self { child: spawn_nats(port)?, port };
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
        self.child = spawn_nats(self.port)?;
        wait_until_listening(self.port, &mut self.child, "NATS")
    }

    /// CPU seconds so far.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.child.id())
    }
}

fn spawn_nats(port: u16) -> anyhow::Result<Child> {
    let places = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"];
    let program = places.iter().find(|place| Path::new(place).exists()).copied().unwrap_or("nats-server");
    let mut server = command(Path::new(program), "KILL", None);
    server.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn(server).context("NATS is not installed: run make setup")
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
