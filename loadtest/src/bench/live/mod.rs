//! The rows about sockets: fan-out, crowds, memory, storms, bytes and resumes.
//!
//! Readers are a swarm: a thread of the bench where both sides of a comparison have it so, a process
//! of its own where they are many or where the writers should not share a thread with them.

mod bytes;
mod crowd;
mod fanout;
mod resume;
mod sockets;

use std::{net::SocketAddr, process::Command};

use anyhow::Context;
use uuid::Uuid;

use super::{
    load,
    report::{Cores, CpuMeter, Report, verdict},
    rows::Cluster,
    sql,
};
use crate::{
    services::{Revcast, cpu_seconds},
    swarm::Plan,
};

/// Users among whom readers and writers are shared.
const USERS: usize = 64;
/// Connections to fill drawings with.
const SQL_CONNECTIONS: u32 = 4;
/// Limits for each user and node that would stand in the way of a swarm, put far away.
const FAR_LIMITS: [&str; 2] = ["--connections-per-user", "--handshakes-per-second"];

/// Measures the rows of this module that are wanted.
pub(super) async fn run(
    cluster: &Cluster<'_>,
    is_wanted: &dyn Fn(&str) -> bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    let tokens = &cluster.tokens[..USERS];
    let live = Live { cluster, tokens, flags: far_limits(cluster)? };
    if is_wanted("fanout") {
        live.fanout(report).await?;
    }
    if is_wanted("coalesced") {
        live.coalesced(report).await?;
    }
    if is_wanted("crowd") {
        live.crowd(report).await?;
    }
    if is_wanted("nodes") {
        live.nodes(report).await?;
    }
    if is_wanted("idle") {
        live.idle(report).await?;
    }
    if is_wanted("rooms") {
        live.rooms(report).await?;
    }
    if is_wanted("storm") {
        live.storm(report).await?;
    }
    if is_wanted("bytes") {
        live.bytes(report).await?;
    }
    if is_wanted("resume") {
        live.resume(report).await?;
    }
    Ok(())
}

struct Live<'a> {
    cluster: &'a Cluster<'a>,
    tokens: &'a [String],
    /// Further flags of servers, as far as the binary knows them.
    flags: Vec<&'static str>,
}

/// A server on a database of its own, with drawings.
struct Stage {
    server: Revcast,
    url: String,
    pool: sqlx::PgPool,
    drawings: Vec<Uuid>,
}

impl Live<'_> {
    async fn stage(&self, drawings: usize) -> anyhow::Result<Stage> {
        self.stage_on(self.cluster.postgres.create_database()?, drawings, everyone).await
    }

    /// A stage of which each drawing has one member: the user of the reader with its number.
    async fn lonely_stage(&self, drawings: usize) -> anyhow::Result<Stage> {
        let reader = |nth| vec![load::user(nth % USERS)];
        self.stage_on(self.cluster.postgres.create_database()?, drawings, reader).await
    }

    /// A stage whose commits do not wait for the disk: for rows that measure delivery alone.
    async fn hasty_stage(&self, drawings: usize) -> anyhow::Result<Stage> {
        let url = self.cluster.postgres.create_database()?;
        self.stage_on(format!("{url}?options[synchronous_commit]=off"), drawings, everyone).await
    }

    async fn stage_on(
        &self,
        url: String,
        drawings: usize,
        members: impl Fn(usize) -> Vec<String>,
    ) -> anyhow::Result<Stage> {
        let server = self.start_server(&url)?;
        let pool = sql::postgres_pool(&url, SQL_CONNECTIONS).await?;
        let drawings = sql::make_drawings(&pool, drawings, members).await?;
        Ok(Stage { server, url, pool, drawings })
    }

    fn start_server(&self, url: &str) -> anyhow::Result<Revcast> {
        self.cluster.start_server(url, &self.flags)
    }

    /// Readers of JSON of the drawings of a stage.
    fn plan(&self, stage: &Stage, readers: usize) -> anyhow::Result<Plan> {
        let addresses = vec![address(&stage.server)?];
        Ok(Plan::new(addresses, self.tokens, &stage.drawings, self.readers(readers)))
    }

    /// As many readers as a row wants, or as may be.
    fn readers(&self, wanted: usize) -> usize {
        wanted.min(self.cluster.bench.max_readers)
    }

    /// Cores that these servers and the database use while `work` runs.
    async fn measure<T>(
        &self,
        servers: &[&Revcast],
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<(T, Cores)> {
        let server_cpu = || servers.iter().map(|server| cpu_seconds(server.pid())).sum();
        let database_cpu = || self.cluster.postgres.cpu_seconds();
        let meter = CpuMeter::start(&server_cpu, &database_cpu);
        let worked = work.await?;
        Ok((worked, meter.stop()))
    }
}

fn everyone(_: usize) -> Vec<String> {
    (0..USERS).map(load::user).collect()
}

/// The address that a server listens on.
fn address(server: &Revcast) -> anyhow::Result<SocketAddr> {
    let address = server.base.strip_prefix("http://").context("a base without scheme")?;
    Ok(address.parse()?)
}

/// Flags that lift limits, as far as the binary knows them.
fn far_limits(cluster: &Cluster<'_>) -> anyhow::Result<Vec<&'static str>> {
    let output = Command::new(&cluster.bench.binary).args(["serve", "--help"]).output()?;
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(FAR_LIMITS.into_iter().filter(|flag| help.contains(flag)).flat_map(|flag| [flag, "0"]).collect())
}
