//! People, drawings, and who may draw where: what has to be there before the load begins.

use std::collections::BTreeSet;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use loadtest::pen;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{scenario::Scenario, target::Target};

/// Requests of the preparation under way at a time.
const AT_ONCE: usize = 32;
/// Ops in a request that fills a drawing.
const FILL_OPS: usize = 200;

/// The stage on which the load takes place.
pub(crate) struct Stage {
    /// The tokens, one for each user.
    pub(crate) tokens: Vec<String>,
    /// The drawings that the load goes to.
    pub(crate) drawings: Vec<Uuid>,
    /// The revision of each before it begins.
    pub(crate) heads: Vec<u64>,
}

/// The users who take part in each drawing, by numbers.
struct Cast {
    users: usize,
    drawings: usize,
    pairs: BTreeSet<(usize, usize)>,
}

impl Cast {
    fn new(scenario: &Scenario, users: usize) -> Self {
        let people = scenario.readers.max(scenario.writers);
        let pairs = (0..people).map(|nth| (nth % scenario.drawings, nth % users)).collect();
        Self { users, drawings: scenario.drawings, pairs }
    }

    /// The user who makes a drawing: the first who takes part in it.
    fn owner(&self, drawing: usize) -> usize {
        self.pairs.range((drawing, 0)..).next().map_or(0, |(_, user)| *user)
    }

    fn guests(&self) -> Vec<(usize, usize)> {
        self.pairs.iter().copied().filter(|(drawing, user)| self.owner(*drawing) != *user).collect()
    }
}

impl Stage {
    /// Makes all of it.
    pub(crate) async fn new(target: &Target, scenario: &Scenario) -> anyhow::Result<Self> {
        let run = Uuid::now_v7().simple().to_string();
        let users = if target.is_one_user() { 1 } else { scenario.people() };
        let cast = Cast::new(scenario, users);
        let tokens: Vec<String> = stream::iter(0..cast.users)
            .map(|nth| {
                let name = format!("load-{run}-{nth}");
                async move { target.token(&name, scenario).await }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let (strokes, _) = pen::load_or_make_up();
        let made: Vec<(Uuid, u64, Option<String>)> = stream::iter(0..cast.drawings)
            .map(|nth| {
                let (token, strokes) = (&tokens[cast.owner(nth)], &strokes);
                async move {
                    let drawing = Uuid::now_v7();
                    let body = json!({"drawing_id": drawing, "title": format!("revcast-load {nth}")});
                    target.call(Method::POST, "/v1/drawings", Some(token), Some(body)).await?;
                    let head = fill(target, token, drawing, scenario.canvas_kib, strokes).await?;
                    let link = match users {
                        1 => None,
                        _ => Some(link(target, token, drawing).await?),
                    };
                    anyhow::Ok((drawing, head, link))
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .context("the drawings could not be made")?;
        stream::iter(cast.guests())
            .map(|(drawing, user)| {
                let (token, link) = (&tokens[user], made[drawing].2.as_deref().unwrap_or_default());
                async move {
                    let path = format!("/v1/links/{link}/join");
                    target.call(Method::POST, &path, Some(token), None).await.map(drop)
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
            .context("the people could not join")?;
        let (drawings, heads) = made.into_iter().map(|(drawing, head, _)| (drawing, head)).unzip();
        Ok(Self { tokens, drawings, heads })
    }

    /// The token of the nth reader or writer.
    pub(crate) fn token(&self, nth: usize) -> &str {
        &self.tokens[nth % self.tokens.len()]
    }

    /// The token of one who takes part in a drawing.
    pub(crate) fn token_in(&self, drawing: usize) -> &str {
        self.token(drawing)
    }
}

/// Draws strokes until a drawing holds so many KiB of ops; returns its revision.
async fn fill(
    target: &Target,
    token: &str,
    drawing: Uuid,
    kib: u64,
    strokes: &[pen::Stroke],
) -> anyhow::Result<u64> {
    let (wanted, path) = (kib << 10, format!("/v1/drawings/{drawing}/ops"));
    let (mut bytes, mut head, mut batch) = (0, 0, Vec::new());
    for stroke in strokes.iter().cycle() {
        let is_enough = bytes >= wanted;
        if batch.len() >= FILL_OPS || (is_enough && !batch.is_empty()) {
            let ops: Vec<Value> = std::mem::take(&mut batch);
            let answer = target.call(Method::POST, &path, Some(token), Some(json!({"ops": ops}))).await?;
            head = answer["latest_revision"].as_u64().context("the answer has no revision")?;
        }
        if is_enough {
            break;
        }
        for op in pen::ops(stroke) {
            bytes += op.to_string().len() as u64;
            batch.push(op);
        }
    }
    Ok(head)
}

async fn link(target: &Target, token: &str, drawing: Uuid) -> anyhow::Result<String> {
    let path = format!("/v1/drawings/{drawing}/links");
    let answer = target.call(Method::POST, &path, Some(token), Some(json!({"role": "editor"}))).await?;
    Ok(answer["token"].as_str().context("the link has no token")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_reads_or_writes_in_a_drawing_takes_part_in_it() {
        for (drawings, readers, writers, users) in [(3, 10, 4, 10), (4, 10, 2, 7), (1, 5, 9, 9), (5, 5, 1, 1)]
        {
            let scenario = Scenario { drawings, readers, writers, ..Scenario::default() };
            let cast = Cast::new(&scenario, users);
            for nth in 0..readers.max(writers) {
                assert!(cast.pairs.contains(&(nth % drawings, nth % users)));
            }
            for drawing in 0..drawings {
                let owner = cast.owner(drawing);
                assert!(cast.pairs.contains(&(drawing, owner)));
                assert!(!cast.guests().contains(&(drawing, owner)));
                // `token_in` relies on it.
                assert!(cast.pairs.contains(&(drawing, drawing % users)));
            }
        }
    }
}
