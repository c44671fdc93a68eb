//! The wait of a small request while large answers are made: `/healthz` during a hundred exports at once.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use tokio::time::sleep;

use super::log::{self, Fate};
use crate::{
    bench::{
        report::{Report, verdict},
        rows::Cluster,
    },
    http::Connection,
    pen,
    services::TempFolder,
    swarm::as_f64,
};

/// Strokes of the drawing, and points of each: some 60 MB of JSON.
const STROKES: usize = 18_000;
const POINTS: u8 = 50;
/// Exports at once.
const EXPORTS: usize = 100;
/// Pause between two small requests.
const PAUSE: Duration = Duration::from_millis(5);
/// Small requests without exports.
const ALONE: usize = 400;
/// Promised for 98 of 100 small requests, in milliseconds.
const MS: f64 = 100.0;

impl Cluster<'_> {
    pub(super) async fn exports(&self, report: &mut Report) -> anyhow::Result<()> {
        let url = self.postgres.create_database()?;
        let server = self.start_server(&url, &["--connections-per-user", "0"])?;
        let (strokes, _) = pen::load_or_make_up();
        let strokes = strokes.iter().map(|stroke| pen::sampled(stroke, POINTS)).cycle().take(STROKES);
        let folder = TempFolder::new("log")?;
        let file = folder.path().join("large");
        log::write_committed(&file, log::folded(log::ops(strokes.map(|stroke| (stroke, Fate::Stays)))))?;
        let (drawing, _) = self.import(&url, &file)?;
        let address = format!("{}/v1/drawings/{drawing}/export?format=json", server.base);
        // The first one renders it.
        let bytes = export(&address, &self.tokens[0]).await?;
        let mut health = Connection::open(&server.base, &self.tokens[0]).await?;
        let mut alone = Vec::new();
        for _ in 0..ALONE {
            alone.push(ask(&mut health).await?);
        }
        let started = Instant::now();
        // Tasks of their own: what one of them reads must not keep another from its turn.
        let exports = (0..EXPORTS).map(|_| {
            let (address, token) = (address.clone(), self.tokens[0].clone());
            tokio::spawn(async move { export(&address, &token).await })
        });
        let exports = tokio::spawn(try_join_all(exports));
        let mut times = Vec::new();
        while !exports.is_finished() {
            times.push(ask(&mut health).await?);
        }
        let outcome = exports.await??.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let seconds = started.elapsed().as_secs_f64();
        ensure!(outcome.iter().all(|length| *length == bytes), "an export was cut off");
        let (p50, p98, most) = (at(&mut times, 0.5), at(&mut times, 0.98), at(&mut times, 1.0));
        report.note(format!(
            "exports: {EXPORTS} exports at once of {} MiB gzipped each took {seconds:.1} s; {} requests for /healthz meanwhile: \
             p50 {p50:.1} ms, p98 {p98:.1} ms (at most {MS}: {}), at most {most:.1} ms; without exports p98 {:.1} ms",
            bytes >> 20,
            times.len(),
            verdict(p98 <= MS),
            at(&mut alone, 0.98),
        ));
        Ok(())
    }
}

/// Reads an export to its end; tells its bytes, gzipped.
async fn export(address: &str, token: &str) -> anyhow::Result<usize> {
    let client = reqwest::Client::builder().no_gzip().build()?;
    let request = client.get(address).bearer_auth(token).header("accept-encoding", "gzip");
    let mut response = request.send().await?.error_for_status()?;
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await? {
        bytes += chunk.len();
    }
    Ok(bytes)
}

/// Asks whether the server lives; tells how long that took, in milliseconds.
async fn ask(health: &mut Connection) -> anyhow::Result<f64> {
    sleep(PAUSE).await;
    let started = Instant::now();
    let status = health.get("/healthz").await?;
    ensure!(status == 200, "status {status}");
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// The time below which such a part of all are.
fn at(times: &mut [f64], part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let below = |nth: usize| as_f64(nth as u64 + 1) >= as_f64(times.len() as u64) * part;
    (0..times.len()).find(|nth| below(*nth)).map_or(0.0, |nth| times[nth])
}
