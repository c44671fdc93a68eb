//! A PgBouncer of its own, in front of a Postgres.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::Context;

use super::{TempFolder, command, free_port, run, spawn, unprivileged_user, wait_until_listening};

/// A PgBouncer of its own.
#[derive(Debug)]
pub struct PgBouncer {
    child: Child,
    _folder: TempFolder,
    /// The port that it listens on.
    pub port: u16,
}

impl PgBouncer {
    /// Starts one in front of the Postgres at a port, with these lines of configuration besides.
    pub fn start(postgres: u16, settings: &str) -> anyhow::Result<Self> {
        let (port, folder) = (free_port()?, TempFolder::new("pgbouncer")?);
        let owner = unprivileged_user()?;
        let path = folder.path().display();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={postgres}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {path}/users.txt\n{settings}\n"
        );
        fs::write(folder.path().join("pgbouncer.ini"), configuration)?;
        fs::write(folder.path().join("users.txt"), "\"revcast\" \"\"\n")?;
        let mut server = command(&program(), "KILL", owner.as_ref());
        server.arg(folder.path().join("pgbouncer.ini"));
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = spawn(server).context("PgBouncer is not installed: run make setup")?;
        wait_until_listening(port, &mut child, "PgBouncer")?;
        Ok(Self { child, _folder: folder, port })
    }
}

/// The version of PgBouncer, as `(1, 18)`.
pub fn pgbouncer_version() -> anyhow::Result<(u32, u32)> {
    let told = run(Command::new(program()).arg("--version"))?;
    let version = told.split_whitespace().nth(1).context("PgBouncer tells no version")?;
    let mut parts = version.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => anyhow::bail!("PgBouncer tells the version {version}"),
    }
}

/// Debian's, or the one that the variable `PGBOUNCER` names.
fn program() -> PathBuf {
    std::env::var_os("PGBOUNCER").unwrap_or_else(|| "/usr/sbin/pgbouncer".into()).into()
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
