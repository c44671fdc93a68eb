//! A thousand readers come back to a server that remembers nothing.

use anyhow::ensure;

use super::{Live, Stage, verdict};
use crate::{
    bench::{probe::counter, report::Report, sql},
    swarm::Swarm,
};

const READERS: usize = 1_000;
/// Ops in each drawing, and how many of them the readers lack.
const HEAD: u64 = 200;
const MISSED: u64 = 100;
/// Reads of the store that gave rooms ops.
const READS: &str = "revcast_room_reads_total";

impl Live<'_> {
    pub(super) async fn resume(&self, report: &mut Report) -> anyhow::Result<()> {
        for drawings in [50, 1] {
            let mut stage = self.stage(drawings).await?;
            for drawing in &stage.drawings {
                sql::fill(&stage.pool, *drawing, usize::try_from(HEAD)?).await?;
            }
            // Started anew, so that no room is there.
            stage.server.terminate()?;
            stage.server = self.start_server(&stage.url)?;
            self.come_back(&stage, report).await?;
        }
        Ok(())
    }

    async fn come_back(&self, stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
        let drawings = stage.drawings.len();
        let mut plan = self.plan(stage, READERS)?;
        let readers = plan.readers;
        plan.after = Some(vec![HEAD - MISSED; drawings]);
        plan.at_once = readers;
        let before = counter(&stage.server.base, READS).await?;
        let work = async { Swarm::start(plan)?.finish(vec![HEAD; drawings]).await };
        let (outcome, cores) = self.measure(&[&stage.server], work).await?;
        outcome.started.check()?;
        ensure!(outcome.ops == readers as u64 * MISSED, "{} ops were delivered", outcome.ops);
        let reads = counter(&stage.server.base, READS).await?.map(|reads| reads - before.unwrap_or(0));
        let reads = match reads {
            Some(reads) => {
                format!(
                    "{reads} reads of the store (at most {drawings}: {})",
                    verdict(reads <= drawings as u64)
                )
            }
            None => "reads of the store not counted".to_owned(),
        };
        report.note(format!(
            "resume: {readers} readers of {drawings} drawings at once, {MISSED} ops behind, after a restart: subscribed \
             after {}; all have everything after {:.0} ms; {reads}; cores: server {:.2}, database {:.2}",
            outcome.started.subscribed_ms,
            outcome.complete_ms.unwrap_or(f64::NAN),
            cores.server,
            cores.database,
        ));
        Ok(())
    }
}
