//! Writers that keep a pace, and bear the time at which they sent in each op.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::load::{field, path};
use crate::{http::Connection, swarm::now_ms};

/// The pace at which a writer writes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The first op.
    pub start: Instant,
    /// The time from one op to the next.
    pub pause: Duration,
    /// The number of ops.
    pub count: u32,
}

/// Paces of `writers` that together write `rate` ops a second for `seconds`, evenly.
pub fn paces(writers: u32, rate: u32, seconds: u64) -> anyhow::Result<Vec<Pace>> {
    let (pause, start) = (Duration::from_secs(1) * writers / rate, Instant::now());
    let count = u32::try_from(u64::from(rate) * seconds)? / writers;
    Ok((0..writers).map(|nth| Pace { start: start + pause * nth / writers, pause, count }).collect())
}

/// Writes ops that bear when they were sent, one a request; returns the revision of the last.
pub async fn write(base: &str, token: &str, drawing: &Uuid, pace: Pace) -> anyhow::Result<u64> {
    let mut connection = Connection::open(base, token).await?;
    let (path, mut revision) = (path(drawing), 0);
    for nth in 0..pace.count {
        sleep_until(pace.start + pace.pause * nth).await;
        let (op_id, sent) = (Uuid::now_v7(), now_ms());
        let body = format!(r#"{{"ops":[{{"op_id":"{op_id}","type":"custom.bench","data":{sent}}}]}}"#);
        revision = post(&mut connection, &path, body.as_bytes()).await?;
    }
    Ok(revision)
}

/// Posts ops; returns the revision of the first.
pub async fn post(connection: &mut Connection, path: &str, body: &[u8]) -> anyhow::Result<u64> {
    let status = connection.post(path, body).await?;
    let answer = std::str::from_utf8(connection.body())?;
    if status != 200 {
        bail!("status {status}: {answer}");
    }
    Ok(field(answer, "\"revision\":").context("no revision in the answer")?.parse()?)
}
