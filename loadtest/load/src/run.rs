//! One run: prepare, let readers come, draw, wait for the last op at the last reader, and look whether all is well.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use loadtest::{
    pen,
    services::cpu_seconds,
    swarm::{Histogram, Latency, Outcome, as_f64, now_ms},
};
use reqwest::Method;
use serde::Deserialize;
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};
use uuid::Uuid;

use crate::{
    checks::{self, Evidence},
    hand::Hand,
    ledger::{Audit, Ledger, Log},
    readers::Readers,
    result::{Cores, Row, RunResult, Totals, rows},
    scenario::Scenario,
    stage::Stage,
    target::{Target, Usage},
    writer::{Schedule, Shared, Writer},
};

/// The interval at which the progress is told.
const PROGRESS: Duration = Duration::from_millis(250);
/// The time from the end of the preparation to the first op.
const LEAD: Duration = Duration::from_millis(200);
/// Logs that are read at the same time.
const LOGS_AT_ONCE: usize = 8;
/// Ops in a page.
const PAGE: u32 = 1_000;

/// Goes through with it.
pub(crate) async fn run(target: &Target, scenario: &Scenario, is_quiet: bool) -> anyhow::Result<RunResult> {
    let steps = Steps { is_quiet };
    steps.log_step(&format!(
        "preparing {} drawings and {} people",
        scenario.drawings,
        if target.is_one_user() { 1 } else { scenario.people() }
    ));
    let stage = Stage::new(target, scenario).await?;
    steps.log_step(&format!("{} readers subscribe", scenario.readers));
    let readers =
        Readers::start(target, &stage, scenario).await.context("the readers could not all subscribe")?;
    let began = SystemTime::now();
    let (start, start_ms) = (Instant::now() + LEAD, now_ms() + LEAD.as_secs_f64() * 1e3);
    let (usage_before, own_cpu) = (target.usage(), cpu_seconds(std::process::id()));
    let shared = Shared::new(scenario.clone());
    let (strokes, pen_data) = pen::load_or_make_up();
    let hands = hands(&strokes.into(), scenario);
    let writers =
        let_draw(target, &stage, &shared, hands, |nth| Schedule::new(scenario, nth, start, start_ms));
    let Drawn { ledgers, peak, broken_off } = steps.watch(writers, &shared, target, start).await?;
    let elapsed = start.elapsed();
    let usage =
        usage_before.zip(target.usage()).map(|(before, after)| Cores::between(before, after, elapsed));
    let cores = Cores {
        client: (cpu_seconds(std::process::id()) - own_cpu) / elapsed.as_secs_f64(),
        server_rss: peak.server_rss,
        ..usage.unwrap_or_default()
    };
    steps.log_step("waiting until all readers have all ops");
    let heads = heads(&stage, &ledgers);
    let outcomes = readers.finish(&heads).await.map_err(|error| format!("{error:#}"));
    let (outcomes, silent) = match outcomes {
        Ok(outcomes) => (outcomes, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    steps.log_step("reading the logs again");
    let audit = read_logs(target, &stage).await;
    let audit = audit.map(|logs| (hold_against(&logs, &stage, &ledgers), logs));
    let audit = audit.map_err(|error| format!("{error:#}"));
    let measured = shared.measured();
    let expected = expected_deliveries(scenario, &stage, &heads);
    let delivery = delivery(&outcomes);
    let evidence = Evidence {
        scenario,
        measured: &measured,
        broken_off: broken_off.as_deref(),
        outcomes: &outcomes,
        silent: silent.as_deref(),
        audit: audit.as_ref().map_err(String::as_str),
        expected,
        delivery,
    };
    let seconds = rows(&measured.timeline.seconds(), &outcomes, start_ms);
    let totals = Totals::new(&measured, &outcomes, expected, elapsed, &steady(&seconds, scenario, elapsed));
    Ok(RunResult {
        checks: checks::all(&evidence, &totals),
        seconds,
        answer: Latency::from(&measured.answer),
        delivery,
        hindrances: measured.hindrances.clone(),
        cores,
        is_started: usage.is_some(),
        nodes: target.nodes.clone(),
        began: humantime::format_rfc3339_seconds(began).to_string(),
        pen_data: pen_data.to_owned(),
        scenario: scenario.clone(),
        broken_off,
        totals,
    })
}

/// Lets all writers begin. Each ends with the index of its drawing, what it was told, and whether it came to its end.
fn let_draw(
    target: &Target,
    stage: &Stage,
    shared: &Arc<Shared>,
    hands: Vec<Hand>,
    schedule: impl Fn(usize) -> Schedule,
) -> JoinSet<(usize, Ledger, anyhow::Result<()>)> {
    let mut writers = JoinSet::new();
    let drawings = stage.drawings.len();
    for (nth, hand) in hands.into_iter().enumerate() {
        let drawing = nth % drawings;
        let writer = Writer {
            shared: shared.clone(),
            base: target.nodes[nth / drawings % target.nodes.len()].clone(),
            token: stage.token(nth).to_owned(),
            drawing: stage.drawings[drawing],
            hand,
            schedule: schedule(nth),
        };
        writers.spawn(async move {
            let mut ledger = Ledger::default();
            let ended = writer.run(&mut ledger).await;
            (drawing, ledger, ended)
        });
    }
    writers
}

/// Holds what was acknowledged against the logs.
fn hold_against(logs: &[Log], stage: &Stage, ledgers: &HashMap<usize, Vec<Ledger>>) -> Audit {
    let mut audit = Audit::default();
    for (nth, (drawing, log)) in stage.drawings.iter().zip(logs).enumerate() {
        audit.look_at(*drawing, log, ledgers.get(&nth).into_iter().flatten());
    }
    audit
}

/// The whole seconds after the ramp, up to the end of the load.
fn steady(rows: &[Row], scenario: &Scenario, elapsed: Duration) -> Vec<Row> {
    let (ramp, end) = (scenario.ramp.as_secs(), (scenario.ramp + scenario.duration).min(elapsed).as_secs());
    rows.iter().copied().filter(|row| row.second > ramp && row.second < end).collect()
}

fn hands(strokes: &Arc<[pen::Stroke]>, scenario: &Scenario) -> Vec<Hand> {
    (0..scenario.writers).map(|nth| Hand::new(strokes.clone(), scenario.mix, nth)).collect()
}

/// The revision that the readers of each drawing have to reach.
fn heads(stage: &Stage, ledgers: &HashMap<usize, Vec<Ledger>>) -> Vec<u64> {
    let acknowledged =
        |nth: &usize| ledgers.get(nth).into_iter().flatten().map(Ledger::last).max().unwrap_or_default();
    stage.heads.iter().enumerate().map(|(nth, before)| acknowledged(&nth).max(*before)).collect()
}

/// Ops that all readers together have to get.
fn expected_deliveries(scenario: &Scenario, stage: &Stage, heads: &[u64]) -> u64 {
    (0..scenario.readers)
        .map(|nth| nth % scenario.drawings)
        .map(|drawing| heads[drawing] - stage.heads[drawing])
        .sum()
}

/// The latencies of all readers.
fn delivery(outcomes: &[Outcome]) -> Latency {
    let mut all = Histogram::default();
    outcomes.iter().for_each(|outcome| all.add(&outcome.latencies));
    Latency::from(&all)
}

/// A page of a log, as far as it is looked at.
#[derive(Deserialize)]
struct Page {
    complete: bool,
    ops: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    revision: u64,
    op_id: Uuid,
}

async fn read_logs(target: &Target, stage: &Stage) -> anyhow::Result<Vec<Log>> {
    stream::iter(stage.drawings.iter().enumerate())
        .map(|(nth, drawing)| async move {
            let mut log = Log::default();
            loop {
                let path = format!("/v1/drawings/{drawing}/ops?after={}&limit={PAGE}", log.head());
                let body = target.call_raw(Method::GET, &path, Some(stage.token_in(nth)), None).await?;
                let page: Page = serde_json::from_slice(&body).context("a page cannot be read")?;
                page.ops.iter().for_each(|op| log.push(op.revision, op.op_id));
                if page.complete {
                    return anyhow::Ok(log);
                }
                anyhow::ensure!(
                    !page.ops.is_empty(),
                    "a page of {drawing} brings nothing, and is not the last"
                );
            }
        })
        .buffered(LOGS_AT_ONCE)
        .try_collect()
        .await
}

/// The outcome of the writers.
struct Drawn {
    /// The ledgers of the writers, by index of the drawing.
    ledgers: HashMap<usize, Vec<Ledger>>,
    /// The most that the started servers used.
    peak: Usage,
    /// The reason why the load ended before its time.
    broken_off: Option<String>,
}

/// Tells the user how far the run is.
struct Steps {
    is_quiet: bool,
}

impl Steps {
    fn log_step(&self, step: &str) {
        if !self.is_quiet {
            eprintln!("{step}");
        }
    }

    /// Waits for all writers. The first that fails ends the load: what is under way gets its answer, and no more is sent.
    async fn watch(
        &self,
        mut writers: JoinSet<(usize, Ledger, anyhow::Result<()>)>,
        shared: &Shared,
        target: &Target,
        start: Instant,
    ) -> anyhow::Result<Drawn> {
        let length = shared.scenario.ramp + shared.scenario.duration;
        let bar = if self.is_quiet { ProgressBar::hidden() } else { ProgressBar::new(length.as_secs()) };
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} s  {msg}")?);
        let (mut ledgers, mut peak) = (HashMap::<usize, Vec<Ledger>>::new(), Usage::default());
        let mut broken_off = None;
        let mut ticks = interval(PROGRESS);
        loop {
            tokio::select! {
                joined = writers.join_next() => match joined {
                    Some(joined) => {
                        let ended = match joined {
                            Ok((drawing, ledger, ended)) => {
                                ledgers.entry(drawing).or_default().push(ledger);
                                ended
                            }
                            Err(error) => Err(error.into()),
                        };
                        if let Err(error) = ended {
                            self.log_step(&format!("the load ends here: {error:#}"));
                            shared.end.cancel();
                            broken_off.get_or_insert(format!("{error:#}"));
                        }
                    }
                    None => break,
                },
                _ = ticks.tick() => {
                    bar.set_position(start.elapsed().min(length).as_secs());
                    let usage = target.usage().unwrap_or_default();
                    peak.server_rss = peak.server_rss.max(usage.server_rss);
                    let measured = shared.measured();
                    bar.set_message(format!(
                        "{} ops, answers p50 {:.1} ms, p99 {:.1} ms, {} late, {} sent again",
                        measured.acknowledged,
                        measured.answer.percentile(0.5),
                        measured.answer.percentile(0.99),
                        measured.late,
                        measured.hindrances.values().sum::<u64>(),
                    ));
                }
            }
        }
        bar.finish_and_clear();
        Ok(Drawn { ledgers, peak, broken_off })
    }
}

fn mean(rows: &[Row], count: fn(&Row) -> u64) -> f64 {
    as_f64(rows.iter().map(count).sum()) / as_f64(rows.len().max(1) as u64)
}

impl Cores {
    fn between(before: Usage, after: Usage, elapsed: Duration) -> Self {
        let cores = |before: f64, after: f64| (after - before) / elapsed.as_secs_f64();
        Self {
            server: cores(before.server_cpu, after.server_cpu),
            database: cores(before.database_cpu, after.database_cpu),
            ..Self::default()
        }
    }
}

impl Totals {
    fn new(
        measured: &crate::measured::Measured,
        outcomes: &[Outcome],
        expected: u64,
        elapsed: Duration,
        steady: &[Row],
    ) -> Self {
        let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
        Self {
            seconds: elapsed.as_secs_f64(),
            offered: measured.offered,
            acknowledged: measured.acknowledged,
            requests: measured.requests,
            late: measured.late,
            nothing_to_undo: measured.nothing_to_undo,
            ops_per_second: mean(steady, |row| row.acknowledged),
            expected,
            delivered: sum(|outcome| outcome.ops),
            frames: sum(|outcome| outcome.frames),
            deliveries_per_second: mean(steady, |row| row.delivered),
            bytes_per_second: mean(steady, |row| row.bytes),
            presence_frames: sum(|outcome| outcome.presence_frames),
            presence_bytes_per_second: mean(steady, |row| row.presence_bytes),
            rejoined: sum(|outcome| outcome.rejoined),
            skipped: sum(|outcome| outcome.skipped),
        }
    }
}
