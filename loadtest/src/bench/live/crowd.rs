//! Many readers at a human pace, and two nodes at the pace of many rooms.

use std::time::Instant;

use anyhow::ensure;

use super::{Live, address, verdict};
use crate::{
    bench::{
        pace::{self, paces},
        report::Report,
    },
    services::cpu_seconds,
    swarm::{Apart, Outcome, Plan, Swarm, as_f64},
};

/// Readers of `crowd`.
const CROWD: usize = 10_000;
/// Ops a second that a crowd watches, and how many people draw them.
const CROWD_RATE: u32 = 30;
const CROWD_WRITERS: u32 = 3;
/// Cursors that move meanwhile, and how often each second.
const CURSORS: usize = 100;
const CURSOR_RATE: u32 = 20;
/// Promised for 99 of 100 deliveries, in ms.
const CROWD_P99: f64 = 250.0;

/// Drawings of `nodes`, and readers of each.
const NODE_DRAWINGS: u32 = 100;
const NODE_READERS: usize = 10;
/// Ops a second over all of them.
const NODE_RATE: u32 = 1_000;
/// Least length: a p99 wants some thousand ops.
const NODE_SECONDS: u64 = 5;
/// Promised, in ms.
const NODE_P50: f64 = 5.0;
const NODE_P99: f64 = 20.0;

impl Live<'_> {
    pub(super) async fn crowd(&self, report: &mut Report) -> anyhow::Result<()> {
        let stage = self.stage(1).await?;
        let mut plan = self.plan(&stage, CROWD)?;
        plan.presence = true;
        let readers = plan.readers;
        let mut crowd = Apart::start(&plan)?;
        crowd.ready().await?.check()?;
        let cursors = Plan { readers: self.readers(CURSORS), cursors_per_second: CURSOR_RATE, ..plan };
        let mut cursors = Swarm::start(cursors)?;
        cursors.ready().await?.check()?;
        let (started, crowd_cpu) = (Instant::now(), cpu_seconds(crowd.pid()));
        let work = async {
            let paces = paces(CROWD_WRITERS, CROWD_RATE, self.cluster.bench.crowd_seconds)?;
            let writers = paces
                .into_iter()
                .zip(self.tokens)
                .map(|(pace, token)| pace::write(&stage.server.base, token, &stage.drawings[0], pace));
            futures_util::future::try_join_all(writers).await
        };
        let (revisions, cores) = self.measure(&[&stage.server], work).await?;
        let head = revisions.into_iter().max().unwrap_or(0);
        let crowd_cores = (cpu_seconds(crowd.pid()) - crowd_cpu) / started.elapsed().as_secs_f64();
        let outcome = crowd.finish(&[head]).await?;
        let seconds = started.elapsed().as_secs_f64();
        cursors.stop().await?.started.check()?;
        check(&outcome, readers, head)?;
        let latency = outcome.latency();
        report.note(format!(
            "crowd: {readers} readers of one room, {CROWD_RATE} ops/s, {CURSORS} cursors moving {CURSOR_RATE} times a second, \
             {seconds:.0} s: every op to every reader; POST sent → socket: {} (p99 under {CROWD_P99} ms: {}); presence \
             {:.1} frames and {:.0} bytes a reader and second; cores: server {:.2}, database {:.2}, readers {crowd_cores:.2}",
            latency,
            verdict(latency.p99 < CROWD_P99),
            as_f64(outcome.presence_frames) / as_f64(readers as u64) / seconds,
            as_f64(outcome.presence_bytes) / as_f64(readers as u64) / seconds,
            cores.server,
            cores.database,
        ));
        Ok(())
    }

    pub(super) async fn nodes(&self, report: &mut Report) -> anyhow::Result<()> {
        let stage = self.stage(NODE_DRAWINGS as usize).await?;
        let second = self.start_server(&stage.url)?;
        let nodes = [&stage.server, &second];
        let wanted = NODE_DRAWINGS as usize * NODE_READERS;
        let addresses = nodes.iter().map(|node| address(node)).collect::<Result<_, _>>()?;
        let plan = Plan::new(addresses, self.tokens, &stage.drawings, self.readers(wanted));
        let readers = plan.readers;
        let mut swarm = Apart::start(&plan)?;
        swarm.ready().await?.check()?;
        let work = async {
            let seconds = self.cluster.bench.seconds.max(NODE_SECONDS);
            let paces = paces(NODE_DRAWINGS, NODE_RATE, seconds)?;
            let writers = paces.into_iter().enumerate().map(|(nth, pace)| {
                let (node, token) = (nodes[nth % 2], &self.tokens[nth % self.tokens.len()]);
                pace::write(&node.base, token, &stage.drawings[nth], pace)
            });
            futures_util::future::try_join_all(writers).await
        };
        let (heads, cores) = self.measure(&nodes, work).await?;
        let outcome = swarm.finish(&heads).await?;
        outcome.started.check()?;
        ensure!(outcome.complete_ms.is_some(), "some readers did not get all ops");
        let latency = outcome.latency();
        let is_kept = latency.p50 <= NODE_P50 && latency.p99 <= NODE_P99;
        report.note(format!(
            "nodes: {NODE_DRAWINGS} drawings, {readers} readers and the writers on two nodes, {NODE_RATE} ops/s: POST sent → \
             socket, {} deliveries: {} (p50 at most {NODE_P50} ms, p99 at most {NODE_P99} ms: {}); cores: servers {:.2}, \
             database {:.2}",
            latency.count,
            latency,
            verdict(is_kept),
            cores.server,
            cores.database,
        ));
        Ok(())
    }
}

/// Every op has reached every reader.
fn check(outcome: &Outcome, readers: usize, head: u64) -> anyhow::Result<()> {
    outcome.started.check()?;
    let expected = readers as u64 * head;
    ensure!(outcome.ops == expected, "{} ops were delivered instead of {expected}", outcome.ops);
    Ok(())
}
