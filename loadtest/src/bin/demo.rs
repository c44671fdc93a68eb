//! `make demo`: real pen data, drawn by four writers through two nodes, followed by readers on both.
//!
//! Ends by comparing what every reader holds with `GET …/ops`; any difference is a failure.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use loadtest::{
    bench::report::percentile,
    pen::{self, Stroke},
    services::{Durability, Nats, Postgres, Revcast},
    socket::Socket,
};
use serde_json::{Value, json};
use uuid::Uuid;

const WRITERS: usize = 4;
const READERS_A_NODE: usize = 3;
/// Pause between the appends of a stroke; real pens take 60 to 100 ms, but nobody is watching.
const APPEND_PAUSE: Duration = Duration::from_millis(10);
/// Messages after which one reader loses its socket.
const CUT_AFTER_OPS: usize = 200;

/// The time at which each op was sent, by its id, to tell how long it took to arrive.
type SentAt = Arc<Mutex<HashMap<String, Instant>>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).context("usage: demo <folder of hanzi-writer-data>")?;
    let strokes = pen::load(Path::new(&folder))?;
    let binary =
        PathBuf::from(std::env::var("REVCAST_BIN").unwrap_or_else(|_| "target/release/revcast".to_owned()));
    let (postgres, nats) = (Postgres::start(Durability::Full)?, Nats::start()?);
    let (database, nats_url) = (postgres.create_database()?, nats.url());
    let flags = ["--dev", "--database-url", &database, "--nats-url", &nats_url];
    let nodes = [Revcast::start(&binary, &flags)?, Revcast::start(&binary, &flags)?];
    let points: usize = strokes.iter().map(Vec::len).sum();
    println!("{} strokes, {points} points; nodes {} and {}", strokes.len(), nodes[0].base, nodes[1].base);

    let owner = Pen::new(&nodes[0].base, "owner").await?;
    let drawing = Uuid::now_v7().to_string();
    owner.post("/v1/drawings", &json!({"drawing_id": drawing, "title": "Twenty characters"})).await?;
    let link = owner.post(&format!("/v1/drawings/{drawing}/links"), &json!({"role": "editor"})).await?;
    let link = link["token"].as_str().context("no link")?.to_owned();

    let total: usize = strokes.iter().map(|stroke| pen::count_ops(stroke)).sum();
    let sent_at = SentAt::default();
    let mut readers = Vec::new();
    for (node, server) in nodes.iter().enumerate() {
        for nth in 0..READERS_A_NODE {
            let pen = Pen::new(&server.base, &format!("reader-{node}-{nth}")).await?;
            pen.post(&format!("/v1/links/{link}/join"), &Value::Null).await?;
            let mut socket = Socket::open(&pen.base, &pen.token).await?;
            socket.subscribe(&drawing, Some(0)).await?;
            let is_cut_off = node == 1 && nth == 0;
            readers.push(tokio::spawn(follow(
                pen,
                socket,
                drawing.clone(),
                total,
                is_cut_off,
                sent_at.clone(),
            )));
        }
    }
    let started = Instant::now();
    let mut writers = Vec::new();
    for nth in 0..WRITERS {
        let pen = Pen::new(&nodes[nth % 2].base, &format!("writer-{nth}")).await?;
        pen.post(&format!("/v1/links/{link}/join"), &Value::Null).await?;
        let own: Vec<_> = strokes.iter().skip(nth).step_by(WRITERS).cloned().collect();
        writers.push(tokio::spawn(draw(pen, drawing.clone(), own, sent_at.clone())));
    }
    let mut answers = Vec::new();
    for writer in writers {
        answers.extend(writer.await??);
    }
    let elapsed = started.elapsed();
    println!("{total} ops committed in {:.1} s: {:.0} ops/s", elapsed.as_secs_f64(), ratio(total, elapsed));
    print_latency("POST sent → answered", answers);

    let log = owner.read_log(&drawing).await?;
    ensure!(log.len() == total, "the log holds {} ops, not {total}", log.len());
    let (mut latencies, mut resumes) = (Vec::new(), 0);
    for (nth, reader) in readers.into_iter().enumerate() {
        let read = reader.await??;
        ensure!(read.ops == log, "reader {nth} holds something else than GET …/ops");
        latencies.extend(read.latencies);
        resumes += read.resumes;
    }
    print_latency("POST sent → socket", latencies);
    let count = 2 * READERS_A_NODE;
    println!(
        "{count} readers on two nodes, {resumes} of them cut off and resumed: each holds the {total} ops of GET …/ops, byte for byte as JSON"
    );
    Ok(())
}

/// Draws strokes one after the other: begin, appends, end, one undo unit each.
async fn draw(pen: Pen, drawing: String, strokes: Vec<Stroke>, sent_at: SentAt) -> anyhow::Result<Vec<f64>> {
    let path = format!("/v1/drawings/{drawing}/ops");
    let mut latencies = Vec::new();
    for stroke in strokes {
        for op in pen::ops(&stroke) {
            let id = op["op_id"].as_str().context("an op without id")?.to_owned();
            let sent = Instant::now();
            lock(&sent_at).insert(id, sent);
            pen.post_patiently(&path, &json!({"ops": [op]})).await?;
            latencies.push(sent.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(APPEND_PAUSE).await;
        }
    }
    Ok(latencies)
}

/// The findings of a reader at the end.
struct Read {
    ops: Vec<Value>,
    latencies: Vec<f64>,
    resumes: usize,
}

/// Follows the drawing until it has all ops; one reader loses its socket midway and resumes.
async fn follow(
    pen: Pen,
    mut socket: Socket,
    drawing: String,
    total: usize,
    is_cut_off: bool,
    sent_at: SentAt,
) -> anyhow::Result<Read> {
    let mut read = Read { ops: Vec::new(), latencies: Vec::new(), resumes: 0 };
    while read.ops.len() < total {
        if is_cut_off && read.resumes == 0 && read.ops.len() >= CUT_AFTER_OPS {
            // Gone without a goodbye, as in a tunnel; the others draw on meanwhile.
            drop(socket);
            tokio::time::sleep(Duration::from_secs(1)).await;
            socket = Socket::open(&pen.base, &pen.token).await?;
            let answer = socket.subscribe(&drawing, Some(read.ops.len() as u64)).await?;
            ensure!(answer["type"] == "subscribed", "{answer}");
            read.resumes += 1;
        }
        for op in socket.receive_ops().await? {
            let expected = read.ops.len() as u64 + 1;
            ensure!(op["revision"] == expected, "revision {} came instead of {expected}", op["revision"]);
            let sent = lock(&sent_at).get(op["op_id"].as_str().unwrap_or_default()).copied();
            // An op that was missed while cut off says nothing about latency.
            if let Some(sent) = sent.filter(|_| !is_cut_off) {
                read.latencies.push(sent.elapsed().as_secs_f64() * 1e3);
            }
            read.ops.push(op);
        }
    }
    Ok(read)
}

/// A user of one node.
struct Pen {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Pen {
    async fn new(base: &str, user: &str) -> anyhow::Result<Self> {
        let mut pen = Self { base: base.to_owned(), token: String::new(), http: reqwest::Client::new() };
        let answer = pen.post("/v1/dev/tokens", &json!({"sub": user})).await?;
        answer["token"].as_str().context("no token")?.clone_into(&mut pen.token);
        Ok(pen)
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let request = if body.is_null() { request } else { request.json(body) };
        let response = request.send().await?;
        let status = response.status();
        let answer: Value = response.json().await?;
        ensure!(status.is_success(), "{path}: {status}: {answer}");
        Ok(answer)
    }

    /// Retries as often as it takes: ids make that safe.
    async fn post_patiently(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        for attempt in 1..=5 {
            match self.post(path, body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => eprintln!("attempt {attempt}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        }
        bail!("{path}: given up")
    }

    async fn read_log(&self, drawing: &str) -> anyhow::Result<Vec<Value>> {
        let (mut log, mut after) = (Vec::new(), 0);
        loop {
            let url = format!("{}/v1/drawings/{drawing}/ops?after={after}", self.base);
            let page: Value =
                self.http.get(url).bearer_auth(&self.token).send().await?.error_for_status()?.json().await?;
            log.extend(page["ops"].as_array().context("no ops")?.iter().cloned());
            let to = page["to"].as_u64().context("no position")?;
            if page["complete"] == true {
                return Ok(log);
            }
            ensure!(to > after, "a page brings nothing");
            after = to;
        }
    }
}

fn print_latency(what: &str, mut latencies: Vec<f64>) {
    latencies.sort_by(f64::total_cmp);
    let at = |share| percentile(&latencies, share);
    println!(
        "{what}: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms ({} measured)",
        at(0.5),
        at(0.99),
        at(1.0),
        latencies.len()
    );
}

#[allow(clippy::cast_precision_loss, reason = "a count of ops")]
fn ratio(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

fn lock(sent_at: &SentAt) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
    sent_at.lock().unwrap_or_else(PoisonError::into_inner)
}
