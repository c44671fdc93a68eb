//! The end of a run: the logs are written down, pictures are compared, and the checker has its say.

use std::{fs, path::PathBuf};

use anyhow::Context;
use revcast::{
    limits,
    model::{Canvas, DrawingId, LoggedOp, Revision, state_hash},
    store::{Log, LogPage, ReadRange},
};
use revcast_checker::{Options, judge};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{plan::StoreFaults, reader::Read, storm::log_line, world::World};

/// The findings of a run.
#[derive(Debug)]
pub struct Report {
    /// The history, a line each.
    pub lines: Vec<String>,
    /// The names of the checks that have found something, or `simulation`, each with what it has found.
    pub findings: Vec<(String, String)>,
    /// The verdict of the checker in words.
    pub verdict: String,
}

/// Reads a whole log as it is stored. It never waits.
async fn whole(world: &World, drawing: Uuid) -> Option<LogPage> {
    let range = |after| ReadRange {
        drawing_id: DrawingId(drawing),
        after,
        until: None,
        limit: limits::MAX_PAGE_OPS,
        max_bytes: usize::MAX,
    };
    let mut log = world.store.read(&range(Revision(0))).await.ok()??;
    while (log.ops.len() as u64) < log.head.0 {
        let page = world.store.read(&range(Revision(log.ops.len() as u64))).await.ok()??;
        if page.ops.is_empty() {
            break;
        }
        log.ops.extend(page.ops);
    }
    Some(log)
}

/// Writes down the logs as they are now, before their epoch ends or at the end of all.
pub(crate) async fn record_logs(world: &World, drawings: &[Uuid]) {
    for drawing in drawings {
        let Some(log) = whole(world, *drawing).await else { continue };
        world.recorder.write(&log_line(*drawing, &log.branch, log.head.0));
        for op in &log.ops {
            let body: Value = serde_json::from_str(&op.body).unwrap_or_default();
            world.recorder.write(&json!({
                "event": "entry", "drawing": drawing.to_string(), "epoch": log.branch.epoch.to_string(),
                "revision": op.revision.0, "op_id": body["op_id"], "actor": op.actor, "body": body,
            }));
        }
    }
}

fn record_picture(world: &World, drawing: Uuid, epoch: &str, canvas: &Canvas, via: &str) {
    let view = canvas.view();
    let mut line = json!({
        "event": "picture", "drawing": drawing.to_string(), "epoch": epoch, "revision": canvas.revision().0,
        "hash": state_hash(&view), "via": via, "reducer": "rust",
    });
    if via == "replay" {
        let view: Value = serde_json::from_str(&view).unwrap_or_default();
        let ids = view["objects"].as_array().into_iter().flatten().map(|object| object["object_id"].clone());
        line["objects"] = ids.collect();
    }
    world.recorder.write(&line);
}

/// Compares what readers have in the end with the logs, and lets the checker judge the history.
///
/// # Errors
/// When the history cannot be judged.
pub async fn conclude(world: &World, drawings: &[Uuid], reads: Vec<(Uuid, Read)>) -> anyhow::Result<Report> {
    record_logs(world, drawings).await;
    for drawing in drawings {
        let log = whole(world, *drawing).await.context("a drawing is gone")?;
        let mut canvas = Canvas::new();
        for op in &log.ops {
            canvas.apply(&LoggedOp::read(op.revision, &op.actor, op.ts, &op.body));
        }
        record_picture(world, *drawing, &log.branch.epoch.to_string(), &canvas, "replay");
        for (nth, (_, Read { epoch, canvas })) in reads.iter().filter(|(of, _)| of == drawing).enumerate() {
            let Some(epoch) = epoch else {
                world.object(format!("reader {nth} of {drawing} was never let in"));
                continue;
            };
            record_picture(world, *drawing, epoch, canvas, "live");
            if canvas.revision() != log.head {
                let (has, head) = (canvas.revision(), log.head);
                world.object(format!("reader {nth} of {drawing} ends at {has}, and the head is {head}"));
            }
        }
    }
    let lines = world.recorder.lines();
    let (findings, verdict) = check(world, &lines)?;
    let objections = world.objections().into_iter().map(|text| ("simulation".to_owned(), text));
    Ok(Report { lines, findings: objections.chain(findings).collect(), verdict })
}

type Findings = Vec<(String, String)>;

fn check(world: &World, lines: &[String]) -> anyhow::Result<(Findings, String)> {
    let path = history_path(world.plan.seed);
    fs::write(&path, lines.join("\n") + "\n").context("the history cannot be written")?;
    let verdict = judge(std::slice::from_ref(&path), options(world));
    fs::remove_file(&path).context("the history cannot be removed")?;
    let verdict = verdict.map_err(|error| anyhow::anyhow!("the history is malformed: {error}"))?;
    let findings =
        verdict.findings.iter().map(|finding| (finding.check.to_owned(), finding.text.clone())).collect();
    Ok((findings, verdict.table()))
}

/// The path of the history while it is judged.
fn history_path(seed: u64) -> PathBuf {
    std::env::temp_dir().join(format!("revcast-simulation-{}-{seed}.ndjson", std::process::id()))
}

/// While the store fails nobody can know of roles; else the second that is promised holds.
fn options(world: &World) -> Options {
    Options::with_grace_ms(if is_sound(&world.plan.store) { 1_000 } else { 20_000 })
}

/// True if the store does its work at all times.
pub(crate) fn is_sound(faults: &StoreFaults) -> bool {
    let StoreFaults { before, after, later, refused, slow, exhausted, outages } = *faults;
    before + after + later + refused + slow + exhausted + outages == 0
}
