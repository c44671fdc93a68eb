//! The costs of ten thousand sockets that do nothing, in few drawings and in one each, and whether they can all come
//! at once.

use std::time::Duration;

use tokio::time::sleep;

use super::{Live, verdict};
use crate::{
    bench::{
        probe::{Memory, TcpTrouble},
        report::Report,
    },
    swarm::{Apart, as_f64},
};

const SOCKETS: usize = 10_000;
/// Drawings over which idle sockets are spread.
const DRAWINGS: usize = 100;
/// The time for which a server is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(5);
/// The time for which drawings are quiet before that: many heartbeats.
const QUIET: Duration = Duration::from_secs(30);
/// Promised for an idle socket, in KiB.
const KIB_A_SOCKET: f64 = 6.0;
/// Promised for a quiet drawing with one reader, its socket included, in KiB.
const KIB_A_ROOM: f64 = 12.0;

impl Live<'_> {
    pub(super) async fn idle(&self, report: &mut Report) -> anyhow::Result<()> {
        for deflate in [false, true] {
            // A server of its own each time: what one has allocated once it may keep.
            let stage = self.stage(DRAWINGS).await?;
            let mut plan = self.plan(&stage, SOCKETS)?;
            plan.deflate = deflate;
            sleep(SETTLE).await;
            let before = Memory::of(stage.server.pid())?;
            let mut sockets = Apart::start(&plan)?;
            let started = sockets.ready().await?;
            started.check()?;
            sleep(SETTLE).await;
            let with = Memory::of(stage.server.pid())?;
            sockets.stop().await?.started.check()?;
            let each =
                |with: u64, before: u64| as_f64(with.saturating_sub(before)) / as_f64(plan.readers as u64);
            let (rss, anonymous) = (each(with.rss, before.rss), each(with.anonymous, before.anonymous));
            let asked = match (deflate, started.deflated) {
                (false, _) => "without compression".to_owned(),
                (true, 0) => "compression offered, the server declined".to_owned(),
                (true, deflated) => format!("{deflated} of them compressed"),
            };
            report.note(format!(
                "idle: {} sockets subscribed to {DRAWINGS} drawings, {asked}: RSS {} KiB before, {} KiB with them: \
                 {rss:.2} KiB a socket (at most {KIB_A_SOCKET}: {}), {anonymous:.2} of it anonymous",
                plan.readers,
                before.rss,
                with.rss,
                verdict(rss <= KIB_A_SOCKET),
            ));
        }
        Ok(())
    }

    pub(super) async fn rooms(&self, report: &mut Report) -> anyhow::Result<()> {
        for presence in [false, true] {
            let stage = self.lonely_stage(self.readers(SOCKETS)).await?;
            let mut plan = self.plan(&stage, SOCKETS)?;
            plan.presence = presence;
            sleep(SETTLE).await;
            let before = Memory::of(stage.server.pid())?;
            let mut sockets = Apart::start(&plan)?;
            sockets.ready().await?.check()?;
            sleep(QUIET).await;
            let with = Memory::of(stage.server.pid())?;
            sockets.stop().await?.started.check()?;
            let each = as_f64(with.rss.saturating_sub(before.rss)) / as_f64(plan.readers as u64);
            report.note(format!(
                "rooms: {} drawings with a reader each, {}: RSS {} KiB before, {} KiB with them: {each:.2} KiB a drawing \
                 and its reader (at most {KIB_A_ROOM}: {})",
                plan.readers,
                if presence { "who wants presence" } else { "without presence" },
                before.rss,
                with.rss,
                verdict(each <= KIB_A_ROOM),
            ));
        }
        Ok(())
    }

    pub(super) async fn storm(&self, report: &mut Report) -> anyhow::Result<()> {
        let stage = self.stage(DRAWINGS).await?;
        let mut plan = self.plan(&stage, SOCKETS)?;
        plan.at_once = plan.readers;
        let before = TcpTrouble::now()?;
        let mut storm = Apart::start(&plan)?;
        let (started, cores) = self.measure(&[&stage.server], storm.ready()).await?;
        let trouble = TcpTrouble::now()?.since(&before);
        storm.stop().await?;
        // Segments sent again may be anybody's; the others are about connections being made.
        let is_calm =
            started.failed == 0 && trouble.iter().all(|(name, count)| *count == 0 || *name == "RetransSegs");
        let trouble: Vec<String> = trouble.iter().map(|(name, count)| format!("{name} {count}")).collect();
        report.note(format!(
            "storm: {} sockets connect and subscribe at once, {DRAWINGS} drawings: {} subscribed, {} failed, {} (no refusal, \
             no SYN sent again: {}); subscribed after {}; cores: server {:.2}, database {:.2}",
            plan.readers,
            started.subscribed,
            started.failed,
            trouble.join(", "),
            verdict(is_calm),
            started.subscribed_ms,
            cores.server,
            cores.database,
        ));
        for failure in started.failures {
            report.note(format!("storm: {failure}"));
        }
        Ok(())
    }
}
