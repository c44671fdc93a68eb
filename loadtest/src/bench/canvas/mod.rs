//! The rows about canvases: the reducer, the open history, the first picture of a long log, what building snapshots costs
//! the writers, and what large answers cost small ones.

mod exports;
pub mod history;
pub mod log;
mod picture;
pub mod reducer;
mod snapshots;

use std::{
    ffi::OsStr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::{load, report::Report, rows::Cluster};
use crate::{http::Connection, services::Revcast};

/// The time that a snapshot may take to be there.
const PATIENCE: Duration = Duration::from_secs(120);
/// A worker that has built none for so long builds none: it looks at all heads every second.
const NO_MORE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// The number of ops by which a head may be ahead of its newest snapshot.
const SNAPSHOT_EVERY: u64 = 500;

/// Measures the rows of this module that are wanted.
pub(super) async fn run(
    cluster: &Cluster<'_>,
    is_wanted: &dyn Fn(&str) -> bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    if is_wanted("reducer") {
        cluster.reducer(report)?;
    }
    if is_wanted("history") {
        cluster.history(report).await?;
    }
    if is_wanted("picture") {
        cluster.picture(report).await?;
    }
    if is_wanted("snapshots") {
        cluster.snapshots(report).await?;
    }
    if is_wanted("exports") {
        cluster.exports(report).await?;
    }
    Ok(())
}

impl Cluster<'_> {
    /// Starts the process `reducer` with these arguments, and then the seconds of a measurement; tells its figures.
    fn run_reducer<F: DeserializeOwned>(&self, arguments: &[&OsStr]) -> anyhow::Result<F> {
        let program = std::env::current_exe()?.with_file_name("reducer");
        let output = Command::new(&program).args(arguments).arg(self.bench.seconds.to_string()).output();
        let output = output.with_context(|| format!("starting {}", program.display()))?;
        ensure!(output.status.success(), "the reducer failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Makes a drawing of the first user of a log in a file, with `revcast import`; tells the seconds as well.
    fn import(&self, url: &str, log: &Path) -> anyhow::Result<(Uuid, f64)> {
        let (drawing, owner) = (Uuid::now_v7(), load::user(0));
        let mut import = Command::new(&self.bench.binary);
        import.args(["import", "--database-url", url, "--owner", &owner]);
        import.args(["--drawing-id", &drawing.to_string()]).arg(log);
        let started = Instant::now();
        let output = import.output()?;
        ensure!(output.status.success(), "the import failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok((drawing, started.elapsed().as_secs_f64()))
    }

    /// Waits until a drawing has a snapshot near its head, or one that is near enough for the workers: what came since
    /// is little beside it. Tells the seconds.
    async fn wait_for_snapshot(&self, server: &Revcast, drawing: &Uuid) -> anyhow::Result<f64> {
        let started = Instant::now();
        let mut connection = Connection::open(&server.base, &self.tokens[0]).await?;
        let (mut last, mut built_after) = (0, Duration::ZERO);
        loop {
            let (head, snapshot) = heights(&mut connection, drawing).await?;
            let waited = started.elapsed();
            if std::mem::replace(&mut last, snapshot) != snapshot {
                built_after = waited;
            }
            let is_left_alone = waited - built_after > NO_MORE;
            if snapshot > 0 && (head - snapshot < SNAPSHOT_EVERY || is_left_alone) {
                return Ok(built_after.as_secs_f64());
            }
            ensure!(waited < PATIENCE, "no snapshot was built in time: the head is {head}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The head of a drawing and the revision of its newest snapshot, 0 without one.
async fn heights(connection: &mut Connection, drawing: &Uuid) -> anyhow::Result<(u64, u64)> {
    let status = connection.get(&format!("/v1/drawings/{drawing}")).await?;
    ensure!(status == 200, "status {status}");
    let drawing: Value = serde_json::from_slice(connection.body())?;
    let head = drawing["latest_revision"].as_u64().context("no head")?;
    Ok((head, drawing["snapshot_revision"].as_u64().unwrap_or(0)))
}
