//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser};

use crate::scenario::{Scenario, Spoken, Store};

/// Draws on a Revcast server as many people, and checks while it measures that nothing is lost, doubled or out of
/// order.
#[derive(Debug, Parser)]
#[command(name = "revcast-load", version)]
pub(crate) struct Cli {
    /// The scenario, a TOML file; flags replace its values. Without one the defaults hold
    pub(crate) scenario: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: Load,
    #[command(flatten)]
    pub(crate) target: TargetFlags,
    /// File for the result as JSON; `-` is the standard output, and then the table goes to standard error
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// File for the result as an HTML page, with latency and throughput over time
    #[arg(long)]
    pub(crate) html: Option<PathBuf>,
    /// No progress bar
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Values of the scenario.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load (replaces what the scenario says)")]
pub(crate) struct Load {
    /// Drawings
    #[arg(long)]
    pub(crate) drawings: Option<usize>,
    /// People; 0 for as many as there are readers or writers
    #[arg(long)]
    pub(crate) users: Option<usize>,
    /// Sockets that follow a drawing each
    #[arg(long)]
    pub(crate) readers: Option<usize>,
    /// People who draw
    #[arg(long)]
    pub(crate) writers: Option<usize>,
    /// Ops a second of all writers together
    #[arg(long)]
    pub(crate) ops_per_second: Option<f64>,
    /// Ops in a request
    #[arg(long)]
    pub(crate) ops_per_request: Option<usize>,
    /// Readers that move their cursor
    #[arg(long)]
    pub(crate) cursors: Option<usize>,
    /// The moves of each of them, every second
    #[arg(long)]
    pub(crate) cursor_rate: Option<u32>,
    /// The encoding that sockets speak
    #[arg(long)]
    pub(crate) encoding: Option<Spoken>,
    /// Offer permessage-deflate
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) deflate: Option<bool>,
    /// The log that a drawing has beforehand, in KiB of ops
    #[arg(long)]
    pub(crate) canvas_kib: Option<u64>,
    /// The duration of the load, such as 60s
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// The time over which readers come, and then the load grows
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) ramp: Option<Duration>,
    /// A reader that was too slow subscribes again instead of failing the run
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) rejoin: Option<bool>,
    /// Highest p99 from when an op was due to its arrival at a reader, in ms
    #[arg(long)]
    pub expect_delivery_p99_ms: Option<f64>,
    /// Highest p99 from when a request was due to its answer, in ms
    #[arg(long)]
    pub expect_answer_p99_ms: Option<f64>,
}

/// The server that the load goes to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct TargetFlags {
    /// Addresses of nodes of a running server, such as http://127.0.0.1:8080; several separated by commas
    #[arg(long, value_delimiter = ',', env = "REVCAST_URL")]
    pub(crate) url: Vec<String>,
    /// The secret with which tokens for the people are signed (HS256). Without it and without --token, the server has to
    /// run with --dev
    #[arg(long, env = "REVCAST_JWT_SECRET", hide_env_values = true)]
    pub(crate) jwt_secret: Option<String>,
    /// One token with which all of them come
    #[arg(long, env = "REVCAST_TOKEN", hide_env_values = true, conflicts_with = "jwt_secret")]
    pub(crate) token: Option<String>,
    /// Start a server for the run, with a store and a bus of its own, instead
    #[arg(long, conflicts_with_all = ["url", "token", "jwt_secret"], num_args = 0..=1, default_missing_value = "postgres")]
    pub(crate) start: Option<Store>,
    /// Nodes to start
    #[arg(long, requires = "start")]
    pub(crate) nodes: Option<usize>,
    /// The program to start
    #[arg(long, env = "REVCAST_BIN", default_value = "target/release/revcast")]
    pub(crate) binary: PathBuf,
}

impl Load {
    /// Puts the flags that were given in place of what the scenario says.
    pub(crate) fn apply(&self, scenario: &mut Scenario) {
        fn put<T: Clone>(value: &Option<T>, place: &mut T) {
            if let Some(value) = value {
                *place = value.clone();
            }
        }
        put(&self.drawings, &mut scenario.drawings);
        put(&self.users, &mut scenario.users);
        put(&self.readers, &mut scenario.readers);
        put(&self.writers, &mut scenario.writers);
        put(&self.ops_per_second, &mut scenario.ops_per_second);
        put(&self.ops_per_request, &mut scenario.ops_per_request);
        put(&self.cursors, &mut scenario.cursors);
        put(&self.cursor_rate, &mut scenario.cursor_rate);
        put(&self.encoding, &mut scenario.encoding);
        put(&self.deflate, &mut scenario.deflate);
        put(&self.canvas_kib, &mut scenario.canvas_kib);
        put(&self.duration, &mut scenario.duration);
        put(&self.ramp, &mut scenario.ramp);
        put(&self.rejoin, &mut scenario.rejoin);
        let expect = &mut scenario.expect;
        expect.delivery_p99_ms = self.expect_delivery_p99_ms.or(expect.delivery_p99_ms);
        expect.answer_p99_ms = self.expect_answer_p99_ms.or(expect.answer_p99_ms);
    }
}

impl TargetFlags {
    /// Puts the flags about a started server in place of what the scenario says.
    pub(crate) fn apply(&self, scenario: &mut Scenario) {
        if let Some(store) = self.start {
            scenario.start.store = store;
            if store == Store::Sqlite {
                scenario.start.nodes = 1;
            }
        }
        scenario.start.nodes = self.nodes.unwrap_or(scenario.start.nodes);
    }
}
