//! Servers for tests that are not written in Rust: starts throwaway nodes, and what they need, for as long as its
//! standard input is open.
//!
//! ```text
//! testbed [--backend sqlite|postgres] [--nodes 1] [flags of `revcast serve`]
//! ```
//!
//! The first line that it prints bears the addresses: `{"nodes":["http://127.0.0.1:…"]}`. Then it takes commands, one
//! JSON object a line, and answers each with `{"ok":true}` or `{"error":"…"}`:
//!
//! | Command | Does |
//! |---|---|
//! | `{"kill":0}` | ends a node at once, as a crash would |
//! | `{"stop":0}` | asks a node to stop (SIGTERM), and waits until it has |
//! | `{"start":0}` | starts a node again, at its address |
//! | `{"new_epoch":null}` | gives the database a new epoch, as after a restored backup; nodes take it up when they start |
//!
//! There are guests (`--dev`), unless a flag is `--jwt-secret`. `REVCAST_BIN` names another server than the one beside
//! this program.

use std::{
    io::{BufRead, Write},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, bail, ensure};
use loadtest::services::{Durability, Nats, Postgres, Revcast, TempFolder};
use serde::Deserialize;
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let mut testbed = Testbed::start(Wanted::from_arguments(std::env::args().skip(1))?)?;
    let addresses: Vec<_> = testbed.nodes.iter().map(|node| format!("http://{}", node.address)).collect();
    print_line(&json!({"nodes": addresses}))?;
    for line in std::io::stdin().lock().lines() {
        let outcome = serde_json::from_str(&line?).map_err(Into::into).and_then(|order| testbed.obey(order));
        print_line(&match outcome {
            Ok(()) => json!({"ok": true}),
            Err(error) => json!({"error": format!("{error:#}")}),
        })?;
    }
    Ok(())
}

fn print_line(line: &Value) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("writing to standard output")
}

/// The processes to start.
struct Wanted {
    nodes: usize,
    has_postgres: bool,
    /// Further flags of the nodes.
    flags: Vec<String>,
}

impl Wanted {
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut wanted = Self { nodes: 1, has_postgres: false, flags: Vec::new() };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} has no value"));
            match argument.as_str() {
                "--nodes" => wanted.nodes = value()?.parse().context("--nodes")?,
                "--backend" => match value()?.as_str() {
                    "sqlite" => wanted.has_postgres = false,
                    "postgres" => wanted.has_postgres = true,
                    other => bail!("--backend is sqlite or postgres, not {other}"),
                },
                _ => wanted.flags.push(argument),
            }
        }
        ensure!(wanted.nodes > 0, "there is at least one node");
        ensure!(wanted.nodes == 1 || wanted.has_postgres, "several nodes need --backend postgres");
        Ok(wanted)
    }
}

/// A command.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Kill(usize),
    Stop(usize),
    Start(usize),
    NewEpoch,
}

/// A node, which may be down.
struct Node {
    address: String,
    server: Option<Revcast>,
}

/// The processes that run. The nodes end before what they need.
struct Testbed {
    nodes: Vec<Node>,
    binary: PathBuf,
    database_url: String,
    flags: Vec<String>,
    _services: Option<(Postgres, Nats)>,
    _folder: TempFolder,
}

impl Testbed {
    fn start(wanted: Wanted) -> anyhow::Result<Self> {
        let binary = match std::env::var_os("REVCAST_BIN") {
            Some(binary) => binary.into(),
            None => std::env::current_exe()?.with_file_name("revcast"),
        };
        let folder = TempFolder::new("testbed")?;
        let in_folder = |name: &str| format!("{}/{name}", folder.path().display());
        let mut flags = vec!["--blob-url".to_owned(), format!("file:{}", in_folder("blobs"))];
        if !wanted.flags.iter().any(|flag| flag == "--jwt-secret") {
            flags.push("--dev".to_owned());
        }
        let (database_url, services) = if wanted.has_postgres {
            let (postgres, nats) = (Postgres::start(Durability::Process)?, Nats::start()?);
            flags.extend(["--nats-url".to_owned(), nats.url()]);
            (postgres.create_database()?, Some((postgres, nats)))
        } else {
            (format!("sqlite://{}", in_folder("revcast.db")), None)
        };
        flags.extend(wanted.flags);
        let mut testbed =
            Self { nodes: Vec::new(), binary, database_url, flags, _services: services, _folder: folder };
        for _ in 0..wanted.nodes {
            let server = testbed.serve("127.0.0.1:0")?;
            let address = server.base.trim_start_matches("http://").to_owned();
            testbed.nodes.push(Node { address, server: Some(server) });
        }
        Ok(testbed)
    }

    fn serve(&self, address: &str) -> anyhow::Result<Revcast> {
        let mut flags = vec!["--database-url", &self.database_url];
        flags.extend(self.flags.iter().map(String::as_str));
        Revcast::start_at(&self.binary, address, &flags)
    }

    fn obey(&mut self, order: Order) -> anyhow::Result<()> {
        match order {
            Order::Kill(nth) => self.running(nth)?.kill(),
            Order::Stop(nth) => self.running(nth)?.terminate(),
            Order::Start(nth) => {
                let node = self.nodes.get(nth).context("there is no such node")?;
                ensure!(node.server.is_none(), "the node is running");
                let server = self.serve(&node.address)?;
                self.nodes[nth].server = Some(server);
                Ok(())
            }
            Order::NewEpoch => {
                let mut command = Command::new(&self.binary);
                let output = command.args(["new-epoch", "--database-url", &self.database_url]).output()?;
                ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Ok(())
            }
        }
    }

    /// A node that runs, to be ended.
    fn running(&mut self, nth: usize) -> anyhow::Result<Revcast> {
        self.nodes.get_mut(nth).and_then(|node| node.server.take()).context("there is no such node running")
    }
}
