//! The effect on writers of snapshots being built.

use std::collections::HashMap;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep_until};
use uuid::Uuid;

use super::{
    heights,
    log::{self, Fate},
};
use crate::{
    bench::{
        load,
        pace::{Pace, paces, post},
        probe::counter,
        report::{Report, median, percentile, verdict},
        rows::Cluster,
        sql,
    },
    http::Connection,
    pen::{self, Stroke},
    services::TempFolder,
};

/// Drawings, with a writer each; the first is large.
const DRAWINGS: u32 = 20;
/// Ops a second, of all together.
const RATE: u32 = 1_000;
/// Strokes of the large drawing.
const STROKES: usize = 5_000;
/// Points of a stroke, as of a pen at 60 Hz.
const POINTS: u8 = 50;
/// With and without a worker by turns, so often.
const ROUNDS: usize = 5;
/// Ops by which a drawing grows before its next snapshot: a fifth of the default, so that all fall due every two seconds.
const EVERY: &str = "100";
/// Promised: p99 while snapshots are built in relation to p99 while none are.
const RATIO: f64 = 1.5;
/// Not measured, since a server that has just started has yet to find its feet.
const WARM_UP_SECONDS: u64 = 1;
const BUILT: &str = "revcast_snapshots_built_total";

/// The measurements of one phase.
struct Phase {
    /// The median time of a commit, in milliseconds; `p99` likewise.
    p50: f64,
    p99: f64,
    /// Snapshots built, and how far the one of the large drawing has moved on.
    built: u64,
    moved: u64,
}

impl Cluster<'_> {
    pub(super) async fn snapshots(&self, report: &mut Report) -> anyhow::Result<()> {
        let url = self.postgres.create_database()?;
        let strokes = pen::load_or_make_up().0;
        let strokes: Vec<Stroke> = strokes.iter().map(|stroke| pen::sampled(stroke, POINTS)).collect();
        let drawings = self.import_large(&url, &strokes).await?;
        let mut phases: HashMap<&str, Vec<Phase>> = HashMap::new();
        for _ in 0..ROUNDS {
            for roles in ["api,gateway", "api,gateway,worker"] {
                let phase = self.phase(&url, &drawings, &strokes, roles).await?;
                phases.entry(roles).or_default().push(phase);
            }
        }
        let (without, with) = (&phases["api,gateway"], &phases["api,gateway,worker"]);
        ensure!(without.iter().all(|phase| phase.built == 0), "snapshots were built without a worker");
        let is_built = |phase: &Phase| phase.built > 0 && phase.moved > 0;
        ensure!(with.iter().all(is_built), "no snapshot of the large drawing was built");
        let of = |phases: &[Phase], what: fn(&Phase) -> f64| median(phases.iter().map(what).collect());
        let ratio = of(with, |phase| phase.p99) / of(without, |phase| phase.p99);
        let built: u64 = with.iter().map(|phase| phase.built).sum();
        let moved: u64 = with.iter().map(|phase| phase.moved).sum();
        report.note(format!(
            "snapshots: POST sent → answered, {RATE} ops/s over {DRAWINGS} drawings, {ROUNDS} rounds: p50 {:.2} ms, p99 \
             {:.2} ms while none are built; p50 {:.2} ms, p99 {:.2} ms while they are: {ratio:.2}× (at most {RATIO}×: {}); \
             {built} were built, those of the drawing with {STROKES} strokes over {moved} ops",
            of(without, |phase| phase.p50),
            of(without, |phase| phase.p99),
            of(with, |phase| phase.p50),
            of(with, |phase| phase.p99),
            verdict(ratio <= RATIO),
        ));
        Ok(())
    }

    /// A large drawing with its first snapshot, and others that are empty. The nth is that of the nth user.
    async fn import_large(&self, url: &str, strokes: &[Stroke]) -> anyhow::Result<Vec<Uuid>> {
        let folder = TempFolder::new("log")?;
        let file = folder.path().join("large");
        log::write_committed(&file, log::folded(drawn(strokes, 0, STROKES)))?;
        let (large, _) = self.import(url, &file)?;
        let server = self.start_server(url, &[])?;
        self.wait_for_snapshot(&server, &large).await?;
        let pool = sql::postgres_pool(url, 1).await?;
        sql::weigh_down(&pool, large).await?;
        let others = DRAWINGS as usize - 1;
        let others = sql::make_drawings(&pool, others, |nth| vec![load::user(nth + 1)]).await?;
        Ok([vec![large], others].concat())
    }

    async fn phase(
        &self,
        url: &str,
        drawings: &[Uuid],
        strokes: &[Stroke],
        roles: &str,
    ) -> anyhow::Result<Phase> {
        let mut server = self.start_server(url, &["--roles", roles, "--snapshot-every", EVERY])?;
        let mut connection = Connection::open(&server.base, &self.tokens[0]).await?;
        let (_, before) = heights(&mut connection, &drawings[0]).await?;
        let paces = paces(DRAWINGS, RATE, WARM_UP_SECONDS + self.bench.seconds)?;
        let writers = paces.into_iter().zip(drawings).zip(self.tokens).enumerate();
        let writers = writers.map(|(nth, ((pace, drawing), token))| {
            // Not all the same at the same time.
            write(&server.base, token, drawing, pace, drawn(strokes, nth, usize::MAX))
        });
        let mut latencies = futures_util::future::try_join_all(writers).await?.concat();
        latencies.sort_by(f64::total_cmp);
        let (_, after) = heights(&mut connection, &drawings[0]).await?;
        let built = counter(&server.base, BUILT).await?.unwrap_or(0);
        server.terminate()?;
        let (p50, p99) = (percentile(&latencies, 0.5), percentile(&latencies, 0.99));
        Ok(Phase { p50, p99, built, moved: after - before })
    }
}

/// The ops of `count` strokes, all of which stay; those from the nth on, over and over.
fn drawn(strokes: &[Stroke], nth: usize, count: usize) -> impl Iterator<Item = Value> {
    log::ops(strokes.iter().cycle().skip(nth).take(count).map(|stroke| (stroke.clone(), Fate::Stays)))
}

/// Commits ops at a pace; returns how many milliseconds each took, but for those of the warm-up.
async fn write(
    base: &str,
    token: &str,
    drawing: &Uuid,
    pace: Pace,
    ops: impl Iterator<Item = Value>,
) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(base, token).await?;
    let (path, measured) = (load::path(drawing), pace.start + Duration::from_secs(WARM_UP_SECONDS));
    let mut latencies = Vec::new();
    for (nth, op) in (0..pace.count).zip(ops) {
        let body = json!({ "ops": [op] }).to_string();
        let due = pace.start + pace.pause * nth;
        // An op that had to wait for the one before it has waited since it was due.
        let sent = if Instant::now() < due {
            sleep_until(due).await;
            Instant::now()
        } else {
            due
        };
        post(&mut connection, &path, body.as_bytes()).await?;
        if due >= measured {
            latencies.push(sent.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(latencies)
}
