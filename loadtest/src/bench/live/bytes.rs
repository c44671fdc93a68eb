//! Bytes on the wire for an op of pen data, by encoding.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Live, Stage};
use crate::{
    bench::{load, pace::post, report::Report},
    http::Connection,
    pen,
    services::Revcast,
    swarm::{Encoding, Outcome, Plan, Swarm, as_f64},
};

/// Ops drawn: as many as a subscription is filled up with.
const OPS: usize = 1_000;
/// People who draw, and the pause between their ops: that of a pen whose points are sent in batches.
const WRITERS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(80);

/// The encodings that are spoken, by name; the last field says whether frames are deflated.
const ENCODINGS: [(&str, Encoding, bool); 4] = [
    ("JSON", Encoding::Json, false),
    ("JSON deflated", Encoding::Json, true),
    ("MessagePack", Encoding::Msgpack, false),
    ("MessagePack deflated", Encoding::Msgpack, true),
];

impl Live<'_> {
    pub(super) async fn bytes(&self, report: &mut Report) -> anyhow::Result<()> {
        let stage = self.stage(1).await?;
        let (strokes, source) = pen::load_or_make_up();
        let following = self.readers_of_each(&stage, None).await?;
        let writers = (0..WRITERS).zip(self.tokens).map(|(nth, token)| {
            let (own_first, writers) = (nth as usize, WRITERS as usize);
            // Strokes stay whole: a unit belongs to one person.
            let own = strokes.iter().cycle().skip(own_first).step_by(writers);
            let ops = own.flat_map(|stroke| pen::ops(stroke)).take(OPS / writers);
            draw(&stage.server, token, &stage.drawings[0], ops, PAUSE * nth / WRITERS)
        });
        futures_util::future::try_join_all(writers).await?;
        let pace = outcomes(following).await?;
        let resuming = self.readers_of_each(&stage, Some(0)).await?;
        let resume = outcomes(resuming).await?;
        report.note(format!("bytes: on the wire for each op of pen data ({source}), {OPS} ops:"));
        for (((name, ..), pace), resume) in ENCODINGS.iter().zip(&pace).zip(&resume) {
            let line = match (pace, resume) {
                (Ok(pace), Ok(resume)) => {
                    format!(
                        "as it is drawn {}; in a resume of all {}",
                        bytes_an_op(pace),
                        bytes_an_op(resume)
                    )
                }
                (Err(reason), _) | (_, Err(reason)) => format!("not measured: {reason}"),
            };
            report.note(format!("bytes: {name}: {line}"));
        }
        Ok(())
    }

    /// A reader of each encoding, or why there is none.
    async fn readers_of_each(
        &self,
        stage: &Stage,
        after: Option<u64>,
    ) -> anyhow::Result<Vec<Result<Swarm, String>>> {
        let mut swarms = Vec::new();
        for (_, encoding, deflate) in ENCODINGS {
            let plan = self.plan(stage, 1)?;
            let after = after.map(|after| vec![after]);
            let mut swarm = Swarm::start(Plan { encoding, deflate, after, ..plan })?;
            let started = swarm.ready().await?;
            swarms.push(match started.check() {
                Ok(()) if deflate && started.deflated == 0 => Err("the server does not compress".to_owned()),
                Ok(()) => Ok(swarm),
                Err(error) => Err(error.to_string()),
            });
        }
        Ok(swarms)
    }
}

/// The outcomes of swarms once each reader has all ops.
async fn outcomes(swarms: Vec<Result<Swarm, String>>) -> anyhow::Result<Vec<Result<Outcome, String>>> {
    let mut outcomes = Vec::new();
    for swarm in swarms {
        outcomes.push(match swarm {
            Ok(swarm) => {
                let outcome = swarm.finish(vec![OPS as u64]).await?;
                outcome.started.check()?;
                ensure!(outcome.ops == OPS as u64, "{} ops were delivered", outcome.ops);
                Ok(outcome)
            }
            Err(reason) => Err(reason),
        });
    }
    Ok(outcomes)
}

fn bytes_an_op(outcome: &Outcome) -> String {
    let (bytes, ops, frames) = (as_f64(outcome.bytes), as_f64(outcome.ops), as_f64(outcome.frames));
    format!("{:.1} ({:.1} ops a frame)", bytes / ops, ops / frames)
}

/// Draws ops one after the other, at the pace of a pen.
async fn draw(
    server: &Revcast,
    token: &str,
    drawing: &Uuid,
    ops: impl Iterator<Item = Value>,
    delay: Duration,
) -> anyhow::Result<()> {
    // People do not draw in step.
    sleep(delay).await;
    let mut connection = Connection::open(&server.base, token).await?;
    let path = load::path(drawing);
    for op in ops {
        let body = json!({ "ops": [op] }).to_string();
        post(&mut connection, &path, body.as_bytes()).await.context("drawing")?;
        sleep(PAUSE).await;
    }
    Ok(())
}
