//! From the request of a writer on one node to the socket of a reader on another.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use uuid::Uuid;

use super::load::path;
use crate::{http::Connection, socket::Socket};

/// Milliseconds for each op, from just before its POST to its arrival at the reader.
#[derive(Debug)]
pub struct Latencies {
    /// Sorted.
    pub until_read: Vec<f64>,
    /// Sorted; until the answer to the POST.
    pub until_answer: Vec<f64>,
}

/// Each writer commits to a drawing of its own on `writing`, with one reader on `reading`:
/// together `rate` ops a second for `seconds`.
pub async fn measure(
    writing: &str,
    reading: &str,
    tokens: &[String],
    drawings: &[Uuid],
    rate: u32,
    seconds: u64,
) -> anyhow::Result<Latencies> {
    let epoch = Instant::now();
    let per_writer = u64::from(rate) * seconds / drawings.len() as u64;
    #[allow(clippy::cast_precision_loss, reason = "a handful of writers")]
    let pause = Duration::from_secs_f64(drawings.len() as f64 / f64::from(rate));
    let pairs = drawings.iter().zip(tokens).enumerate().map(|(nth, (drawing, token))| async move {
        let mut socket = Socket::open(reading, token).await?;
        let subscribed = socket.subscribe(&drawing.to_string(), None).await?;
        ensure!(subscribed["type"] == "subscribed", "{subscribed}");
        // Writers take turns within the pause, so that the rate is even.
        let start = Instant::now() + pause * u32::try_from(nth)? / u32::try_from(drawings.len())?;
        let write = write_paced(writing, token, drawing, epoch, start, pause, per_writer);
        let read = read_all(&mut socket, epoch, per_writer);
        tokio::try_join!(write, read)
    });
    let (mut until_answer, mut until_read) = (Vec::new(), Vec::new());
    for (answers, reads) in futures_util::future::try_join_all(pairs).await? {
        until_answer.extend(answers);
        until_read.extend(reads);
    }
    until_answer.sort_by(f64::total_cmp);
    until_read.sort_by(f64::total_cmp);
    Ok(Latencies { until_read, until_answer })
}

async fn write_paced(
    base: &str,
    token: &str,
    drawing: &Uuid,
    epoch: Instant,
    start: Instant,
    pause: Duration,
    count: u64,
) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(base, token).await?;
    let path = path(drawing);
    let mut latencies = Vec::new();
    for nth in 0..count {
        let due = start + pause * u32::try_from(nth)?;
        tokio::time::sleep_until(due.into()).await;
        let sent = epoch.elapsed().as_secs_f64() * 1e3;
        let body =
            format!(r#"{{"ops":[{{"op_id":"{}","type":"custom.bench","data":{sent}}}]}}"#, Uuid::now_v7());
        let status = connection.post(&path, body.as_bytes()).await?;
        ensure!(status == 200, "status {status}");
        latencies.push(epoch.elapsed().as_secs_f64() * 1e3 - sent);
    }
    Ok(latencies)
}

async fn read_all(socket: &mut Socket, epoch: Instant, count: u64) -> anyhow::Result<Vec<f64>> {
    let mut latencies = Vec::new();
    while (latencies.len() as u64) < count {
        for op in socket.receive_ops().await? {
            let sent = op["data"].as_f64().context("an op of another program")?;
            latencies.push(epoch.elapsed().as_secs_f64() * 1e3 - sent);
        }
    }
    Ok(latencies)
}
