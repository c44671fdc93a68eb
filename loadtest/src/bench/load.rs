//! Load on the service.

use std::{fmt::Write, path::Path, process::Command, sync::atomic::Ordering, time::Instant};

use anyhow::{Context, bail};
use uuid::Uuid;

use super::{SECRET, sql::rate};
use crate::http::Connection;

/// The op that every row commits: an update of two properties, about 150 bytes.
pub fn op_json(op_id: Uuid, nth: usize) -> String {
    format!(
        r#"{{"op_id":"{op_id}","type":"object.update","object_id":"shape-{}","set":{{"x":{nth},"y":{}}}}}"#,
        nth % 100,
        nth * 2
    )
}

/// A bearer token for a user of the bench.
pub fn token(binary: &Path, user: &str) -> anyhow::Result<String> {
    let output = Command::new(binary)
        .args(["token", "--ttl", "1h", "--jwt-secret", SECRET, "--sub", user])
        .output()?;
    if !output.status.success() {
        bail!("no token: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The name of the nth user.
pub fn user(nth: usize) -> String {
    format!("user-{nth}")
}

/// Tokens for `count` users.
pub fn tokens(binary: &Path, count: usize) -> anyhow::Result<Vec<String>> {
    (0..count).map(|nth| token(binary, &user(nth))).collect()
}

/// Posts `ops` ops a request from one connection a token; each client has its share of the drawings.
pub async fn post_ops(
    base: &str,
    tokens: &[String],
    drawings: &[Uuid],
    ops: usize,
    seconds: u64,
) -> anyhow::Result<f64> {
    let clients = tokens.len();
    rate(clients, seconds, ops as u64, |client, done, end| {
        let mut paths: Vec<String> = drawings.iter().skip(client).step_by(clients).map(path).collect();
        if paths.is_empty() {
            paths.push(path(&drawings[client % drawings.len()]));
        }
        async move {
            let mut connection = Connection::open(base, &tokens[client]).await?;
            let (mut nth, mut body) = (0, String::new());
            while Instant::now() < end {
                body.clear();
                body.push_str("{\"ops\":[");
                for op in 0..ops {
                    let comma = if op > 0 { "," } else { "" };
                    write!(body, "{comma}{}", op_json(Uuid::now_v7(), nth + op))?;
                }
                body.push_str("]}");
                let status = connection.post(&paths[nth % paths.len()], body.as_bytes()).await?;
                if status != 200 {
                    bail!("status {status}: {}", String::from_utf8_lossy(connection.body()));
                }
                nth += 1;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    })
    .await
}

/// The path of the ops of a drawing.
pub fn path(drawing: &Uuid) -> String {
    format!("/v1/drawings/{drawing}/ops")
}

/// Reads a whole log by pages; returns how many ops there were, and the seconds.
pub async fn read_pages(base: &str, token: &str, drawing: Uuid) -> anyhow::Result<(u64, f64)> {
    let mut connection = Connection::open(base, token).await?;
    let started = Instant::now();
    let mut after = 0;
    loop {
        let status = connection.get(&format!("{}?after={after}", path(&drawing))).await?;
        let head =
            std::str::from_utf8(&connection.body()[..200.min(connection.body().len())]).unwrap_or_default();
        if status != 200 {
            bail!("status {status}: {head}");
        }
        // The position stands before the ops; parsing all of them would measure this program.
        let to = field(head, "\"to\":").context("no position")?.parse()?;
        if field(head, "\"complete\":").is_some_and(|complete| complete == "true") {
            return Ok((to, started.elapsed().as_secs_f64()));
        }
        if to <= after {
            bail!("a page brings nothing");
        }
        after = to;
    }
}

/// The number or word after a name in JSON, found without parsing the rest.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = &text[text.find(name)? + name.len()..];
    Some(&rest[..rest.find([',', '}'])?])
}
