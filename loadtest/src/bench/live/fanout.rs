//! One room with many readers: an op a frame, and as many ops a frame as come.

use anyhow::bail;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Live, Stage, verdict};
use crate::{
    bench::{
        bare::{self, Rate, Window},
        load,
        pace::post,
        report::{Measured, Report, Rounds},
        rows::ROUNDS,
    },
    http::Connection,
    services::Revcast,
    swarm::{Outcome, Swarm},
};

/// Readers of the two sizes of `fanout`; `coalesced` has the first.
const READERS: [usize; 2] = [1_000, 5_000];
/// Ops under way: the next ones are committed while one is delivered.
const IN_FLIGHT: u32 = 3;

/// The figures of a round of the service.
struct Round {
    /// Ops delivered a second, with the cores used meanwhile.
    ops: Measured,
    /// Frames delivered a second.
    frames: Measured,
    outcome: Outcome,
}

impl Live<'_> {
    pub(super) async fn fanout(&self, report: &mut Report) -> anyhow::Result<()> {
        let stage = self.hasty_stage(1).await?;
        for readers in READERS.map(|readers| self.readers(readers)) {
            let (mut limit, mut in_step, mut service) =
                (Rounds::default(), Rounds::default(), Rounds::default());
            let (payload, seconds) = (frame_json(&stage.drawings[0]).len(), self.cluster.bench.seconds);
            let (mut ops_a_frame, mut bytes_a_frame) = (0.0, 0);
            for _ in 0..ROUNDS {
                limit.add(bare::measure(readers, payload, Window::Open, seconds).await?);
                in_step.add(bare::measure(readers, payload, Window::Rounds(IN_FLIGHT), seconds).await?);
                let round = self.one_op_a_frame(&stage, readers).await?;
                ops_a_frame = round.ops.rate / round.frames.rate;
                bytes_a_frame = round.outcome.bytes / round.outcome.frames.max(1);
                service.add(round.frames);
            }
            let name = format!(
                "fanout: {readers} readers of one room, deliveries/s; limit: the same bytes written to bare sockets"
            );
            report.compare(&name, &limit, &service, 0.8);
            report.note(format!(
                "fanout: {readers} readers: {ops_a_frame:.2} ops a frame of {bytes_a_frame} bytes (limit: {payload} and a \
                 header of 4); with {IN_FLIGHT} rounds in flight, as the service has, the limit delivers {:.0}/s",
                in_step.median().rate
            ));
        }
        Ok(())
    }

    pub(super) async fn coalesced(&self, report: &mut Report) -> anyhow::Result<()> {
        let stage = self.stage(1).await?;
        let readers = self.readers(READERS[0]);
        let mut single = Rounds::default();
        let mut busy = [1, 50].map(|ops| (ops, Rounds::default(), 0.0, 0));
        for _ in 0..ROUNDS {
            single.add(self.one_op_a_frame(&stage, readers).await?.frames);
            for (ops, rounds, ops_a_frame, rejoined) in &mut busy {
                let round = self.full_speed(&stage, readers, *ops).await?;
                *ops_a_frame = round.ops.rate / round.frames.rate;
                *rejoined += round.outcome.rejoined;
                rounds.add(round.ops);
            }
        }
        for (ops, rounds, ops_a_frame, rejoined) in &busy {
            let name = format!(
                "coalesced: 64 writers, {ops} ops a request, {readers} readers of one room, ops delivered/s; limit: fanout"
            );
            report.compare(&name, &single, rounds, 10.0);
            report.note(format!(
                "coalesced: {ops} ops a request: {ops_a_frame:.1} ops a frame; readers too slow for the ring: {rejoined} ({})",
                verdict(*rejoined == 0)
            ));
        }
        Ok(())
    }

    /// A few ops under way, each posted when the one before it on its turn has reached everyone.
    async fn one_op_a_frame(&self, stage: &Stage, readers: usize) -> anyhow::Result<Round> {
        let mut swarm = Swarm::start(self.plan(stage, readers)?)?;
        swarm.ready().await?.check()?;
        let writers = (0..IN_FLIGHT)
            .zip(self.tokens)
            .map(|(_, token)| post_when_delivered(&stage.server, token, &stage.drawings[0], swarm.floor()));
        let work = async {
            tokio::select! {
                rate = bare::deliveries(&swarm, self.cluster.bench.seconds) => Ok(rate),
                ended = futures_util::future::try_join_all(writers) => bail!("the writers ended: {ended:?}"),
            }
        };
        let (rate, cores) = self.measure(&[&stage.server], work).await?;
        finish(swarm, rate, cores).await
    }

    /// 64 writers as fast as they are answered.
    async fn full_speed(&self, stage: &Stage, readers: usize, ops: usize) -> anyhow::Result<Round> {
        let mut plan = self.plan(stage, readers)?;
        plan.rejoins = true;
        let mut swarm = Swarm::start(plan)?;
        swarm.ready().await?.check()?;
        let seconds = self.cluster.bench.seconds;
        let work = async {
            let posting = load::post_ops(&stage.server.base, self.tokens, &stage.drawings, ops, seconds);
            let (rate, posted) = tokio::join!(bare::deliveries(&swarm, seconds), posting);
            posted?;
            Ok(rate)
        };
        let (rate, cores) = self.measure(&[&stage.server], work).await?;
        finish(swarm, rate, cores).await
    }
}

async fn finish(swarm: Swarm, rate: Rate, cores: crate::bench::report::Cores) -> anyhow::Result<Round> {
    let outcome = swarm.stop().await?;
    outcome.started.check()?;
    let measured = |rate| Measured { rate, cores };
    Ok(Round { ops: measured(rate.ops), frames: measured(rate.frames), outcome })
}

async fn post_when_delivered(
    server: &Revcast,
    token: &str,
    drawing: &Uuid,
    mut floor: watch::Receiver<u64>,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(&server.base, token).await?;
    let path = load::path(drawing);
    for nth in 0.. {
        let body = format!("{{\"ops\":[{}]}}", load::op_json(Uuid::now_v7(), nth));
        let revision = post(&mut connection, &path, body.as_bytes()).await?;
        floor.wait_for(|floor| *floor >= revision).await?;
    }
    Ok(())
}

/// A frame with one op as the service sends it, for the limit to have the same length.
fn frame_json(drawing: &Uuid) -> String {
    let op = load::op_json(Uuid::now_v7(), 1_000);
    format!(
        r#"{{"type":"ops","drawing_id":"{drawing}","revision":1000,"ops":[{{"revision":1000,"actor":"user-0","ts":1700000000000,{}]}}"#,
        &op[1..]
    )
}
