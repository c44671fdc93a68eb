//! The rows of the table.

use anyhow::Context;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Bench, SECRET, canvas, latency, live, load,
    report::{CpuMeter, Measured, Report, Rounds, percentile, verdict},
    sql,
};
use crate::http::Connection;
use crate::services::{Durability, Nats, Postgres, Revcast, TempFolder, cpu_seconds};

/// Limit and service take turns this often; the machine's own ups and downs then meet both.
pub(super) const ROUNDS: usize = 3;
/// Users of the largest row.
const USERS: usize = 256;
/// Drawings of the rows that spread.
const DRAWINGS: usize = 1_000;
/// Connections with which SQL is measured.
const SQL_CONNECTIONS: u32 = 32;
/// Drawings of the SQLite row: those of a small server.
const SQLITE_DRAWINGS: usize = 10;
/// Ops in the log that is read.
const READ_OPS: usize = 100_000;

/// Measures all rows, or those whose name contains `only`.
pub async fn run(bench: &Bench, only: Option<&str>, report: &mut Report) -> anyhow::Result<()> {
    let is_wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    let postgres = Postgres::start(Durability::Full)?;
    let nats = Nats::start()?;
    let tokens = load::tokens(&bench.binary, USERS)?;
    let cluster = Cluster { bench, postgres: &postgres, nats: &nats, tokens: &tokens };
    // First, before the other rows have left work to the database.
    if is_wanted("latency") {
        cluster.latency(report).await?;
    }
    if is_wanted("hot") {
        cluster.hot(report).await?;
    }
    if is_wanted("spread") {
        cluster.spread(report).await?;
    }
    if is_wanted("batches") {
        cluster.batches(report).await?;
    }
    if is_wanted("sqlite") {
        sqlite(bench, &tokens, report).await?;
    }
    if is_wanted("read") {
        cluster.read(report).await?;
    }
    canvas::run(&cluster, &is_wanted, report).await?;
    live::run(&cluster, &is_wanted, report).await
}

/// The services that all rows run on.
pub(super) struct Cluster<'a> {
    pub(super) bench: &'a Bench,
    pub(super) postgres: &'a Postgres,
    pub(super) nats: &'a Nats,
    /// The tokens of as many users as the largest row needs.
    pub(super) tokens: &'a [String],
}

/// A database of its own for one row, and a server on it.
struct Setup {
    server: Revcast,
    pool: PgPool,
}

impl Cluster<'_> {
    async fn set_up(&self) -> anyhow::Result<Setup> {
        let url = self.postgres.create_database()?;
        let server = self.start_server(&url, &[])?;
        Ok(Setup { server, pool: sql::postgres_pool(&url, SQL_CONNECTIONS).await? })
    }

    /// The service as it runs in production: NATS, JWT, rate limits (far away).
    pub(super) fn start_server(&self, url: &str, further: &[&str]) -> anyhow::Result<Revcast> {
        let mut flags = server_flags(url);
        let nats = self.nats.url();
        flags.extend(["--nats-url", &nats]);
        flags.extend(further);
        Revcast::start(&self.bench.binary, &flags)
    }

    /// Cores that the server and the database use while `work` runs.
    async fn measure(
        &self,
        server: Option<&Revcast>,
        work: impl Future<Output = anyhow::Result<f64>>,
    ) -> anyhow::Result<Measured> {
        let server_cpu = || server.map_or(0.0, |server| cpu_seconds(server.pid()));
        let database_cpu = || self.postgres.cpu_seconds();
        let meter = CpuMeter::start(&server_cpu, &database_cpu);
        let rate = work.await?;
        Ok(Measured { rate, cores: meter.stop() })
    }

    async fn hot(&self, report: &mut Report) -> anyhow::Result<()> {
        let Setup { server, pool } = self.set_up().await?;
        let everyone = |_| (0..USERS).map(load::user).collect();
        let drawings = sql::make_drawings(&pool, 2, everyone).await?;
        let (seconds, tokens) = (self.bench.seconds, &self.tokens[..64]);
        let (mut limit, mut service) = (Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            let work = sql::one_op_a_transaction(&pool, &drawings[..1], SQL_CONNECTIONS as usize, seconds);
            limit.add(self.measure(None, work).await?);
            let work = load::post_ops(&server.base, tokens, &drawings[1..], 1, seconds);
            service.add(self.measure(Some(&server), work).await?);
        }
        report.compare("hot: 64 clients, one op a request, one drawing", &limit, &service, 8.0);
        Ok(())
    }

    async fn spread(&self, report: &mut Report) -> anyhow::Result<()> {
        let Setup { server, pool } = self.set_up().await?;
        let seconds = self.bench.seconds;
        let drawings =
            sql::make_drawings(&pool, DRAWINGS, |nth| vec![load::user(nth % 64), load::user(nth % 256)]);
        let drawings = drawings.await?;
        let (mut limit, mut few, mut many) = (Rounds::default(), Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            let work = sql::one_op_a_transaction(&pool, &drawings, SQL_CONNECTIONS as usize, seconds);
            limit.add(self.measure(None, work).await?);
            for (clients, rounds) in [(64, &mut few), (USERS, &mut many)] {
                let work = load::post_ops(&server.base, &self.tokens[..clients], &drawings, 1, seconds);
                rounds.add(self.measure(Some(&server), work).await?);
            }
        }
        report.compare("spread: 64 clients, one op a request, 1,000 drawings", &limit, &few, 1.3);
        report.compare("spread: 256 clients, one op a request, 1,000 drawings", &limit, &many, 2.0);
        Ok(())
    }

    async fn batches(&self, report: &mut Report) -> anyhow::Result<()> {
        let Setup { server, pool } = self.set_up().await?;
        let seconds = self.bench.seconds;
        let drawings = sql::make_drawings(&pool, 16, |nth| vec![load::user(nth)]).await?;
        let (mut limit, mut service) = (Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            limit.add(self.measure(None, sql::plain_insert(&pool, 16, 100, seconds)).await?);
            let work = load::post_ops(&server.base, &self.tokens[..16], &drawings, 50, seconds);
            service.add(self.measure(Some(&server), work).await?);
        }
        let name = "batches: 16 clients, 50 ops a request; limit: plain insert, 100 rows a transaction";
        report.compare(name, &limit, &service, 0.6);
        Ok(())
    }

    async fn latency(&self, report: &mut Report) -> anyhow::Result<()> {
        let url = self.postgres.create_database()?;
        let (writing, reading) = (self.start_server(&url, &[])?, self.start_server(&url, &[])?);
        let pool = sql::postgres_pool(&url, 2).await?;
        let drawings = sql::make_drawings(&pool, 20, |nth| vec![load::user(nth)]).await?;
        let seconds = self.bench.seconds.max(5);
        let measured =
            latency::measure(&writing.base, &reading.base, self.tokens, &drawings, 1_000, seconds).await?;
        let (p50, p99) = (percentile(&measured.until_read, 0.5), percentile(&measured.until_read, 0.99));
        let answer = (percentile(&measured.until_answer, 0.5), percentile(&measured.until_answer, 0.99));
        let verdict = verdict(p99 < 20.0);
        report.note(format!(
            "latency: POST sent → socket on another node, 1,000 ops/s over 20 drawings, {} ops: p50 {p50:.2} ms, \
             p99 {p99:.2} ms (under 20 ms: {verdict}); POST sent → answered: p50 {:.2} ms, p99 {:.2} ms",
            measured.until_read.len(),
            answer.0,
            answer.1
        ));
        Ok(())
    }

    async fn read(&self, report: &mut Report) -> anyhow::Result<()> {
        let Setup { server, pool } = self.set_up().await?;
        let drawings: Vec<Uuid> = sql::make_drawings(&pool, 1, |_| vec![load::user(0)]).await?;
        sql::fill(&pool, drawings[0], READ_OPS).await?;
        #[allow(clippy::cast_precision_loss, reason = "a count of ops")]
        let ops = READ_OPS as f64;
        // Once to warm up, then measured.
        sql::copy_out(&pool, drawings[0]).await?;
        load::read_pages(&server.base, &self.tokens[0], drawings[0]).await?;
        let (mut limit, mut service) = (Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            let work = async { Ok(ops / sql::copy_out(&pool, drawings[0]).await?) };
            limit.add(self.measure(None, work).await?);
            let work = async {
                let (read, seconds) = load::read_pages(&server.base, &self.tokens[0], drawings[0]).await?;
                anyhow::ensure!(read == READ_OPS as u64, "{read} ops were read");
                Ok(ops / seconds)
            };
            service.add(self.measure(Some(&server), work).await?);
        }
        report.compare("read: 100,000 ops by pages of 1,000; limit: COPY … TO", &limit, &service, 0.3);
        Ok(())
    }
}

fn server_flags(url: &str) -> Vec<&str> {
    let mut flags = vec!["--database-url", url, "--jwt-secret", SECRET];
    flags.extend(["--write-requests-per-second", "1000000", "--write-ops-per-second", "1000000"]);
    flags.extend(["--drawing-bytes-per-second", "100000000", "--drawing-units-per-second", "1000000"]);
    flags
}

async fn sqlite(bench: &Bench, tokens: &[String], report: &mut Report) -> anyhow::Result<()> {
    let folder = TempFolder::new("bench")?;
    let url = |name: &str| format!("sqlite://{}/{name}.db", folder.path().display());
    // A server makes the file with the schema, and stops before SQL is measured.
    let (limit_url, service_url) = (url("limit"), url("service"));
    Revcast::start(&bench.binary, &server_flags(&limit_url))?.terminate()?;
    let server = Revcast::start(&bench.binary, &server_flags(&service_url))?;
    let drawings = make_over_http(&server.base, tokens, SQLITE_DRAWINGS).await.context("making drawings")?;
    let (nothing, server_cpu) = (|| 0.0, || cpu_seconds(server.pid()));
    let (mut limit, mut service) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let meter = CpuMeter::start(&nothing, &nothing);
        let rate =
            sql::sqlite_one_op(&folder.path().join("limit.db"), SQLITE_DRAWINGS, bench.seconds).await?;
        limit.add(Measured { rate, cores: meter.stop() });
        let meter = CpuMeter::start(&server_cpu, &nothing);
        let rate = load::post_ops(&server.base, &tokens[..64], &drawings, 1, bench.seconds).await?;
        service.add(Measured { rate, cores: meter.stop() });
    }
    report.compare("sqlite: 64 clients, one op a request, 10 drawings", &limit, &service, 5.0);
    Ok(())
}

/// Makes drawings, each with the first 64 users as its members.
async fn make_over_http(base: &str, tokens: &[String], count: usize) -> anyhow::Result<Vec<Uuid>> {
    let mut users = Vec::new();
    for token in &tokens[..64] {
        users.push(Connection::open(base, token).await?);
    }
    let (owner, others) = users.split_first_mut().context("there are no users")?;
    let mut drawings = Vec::new();
    for _ in 0..count {
        let id = Uuid::now_v7();
        owner.post("/v1/drawings", format!(r#"{{"drawing_id":"{id}"}}"#).as_bytes()).await?;
        owner.post(&format!("/v1/drawings/{id}/links"), br#"{"role":"editor"}"#).await?;
        let link: serde_json::Value = serde_json::from_slice(owner.body())?;
        let join = format!("/v1/links/{}/join", link["token"].as_str().context("no link")?);
        for user in &mut *others {
            let status = user.post(&join, b"").await?;
            anyhow::ensure!(status == 200, "status {status}");
        }
        drawings.push(id);
    }
    Ok(drawings)
}
