//! The wait of whoever opens a drawing: the first picture of a long log, against that of a short one that looks the
//! same.

use std::{io::Read, time::Instant};

use anyhow::{Context, ensure};
use flate2::read::GzDecoder;
use uuid::Uuid;

use super::{
    heights,
    log::{self, Fate},
};
use crate::{
    bench::{
        load::{field, path},
        pace::post,
        report::{Report, median, verdict},
        rows::{Cluster, ROUNDS},
    },
    http::Connection,
    pen::{self, Stroke},
    services::{Revcast, TempFolder},
    socket::Socket,
    swarm::as_f64,
};

/// Strokes that are seen in the end.
const STROKES: usize = 900;
/// Points of each, as of a pen at 60 Hz.
const POINTS: u8 = 50;
/// Ops of the log in which each stroke has stayed, about, and of the one in which most were deleted.
const SHORT_OPS: usize = 10_000;
const LONG_OPS: usize = 1_000_000;
/// Ops after the snapshots that the server has built: half of what it lets come together.
const TAIL: usize = 250;
/// Warm pictures in each round.
const WARM: usize = 20;
/// Promised for a picture, in milliseconds, and in relation to that of the short log.
const MS: f64 = 300.0;
const RATIO: f64 = 3.0;

/// One of the two drawings, and what was measured of it, in milliseconds.
struct Side {
    drawing: Uuid,
    name: &'static str,
    cold: Vec<f64>,
    warm: Vec<f64>,
    joins: Vec<f64>,
    /// The snapshot as it came, and inflated.
    bytes: (usize, usize),
    /// Ops that a joining client read after it.
    ops_after: u64,
}

/// A snapshot that was read.
pub(super) struct Snapshot {
    pub(super) revision: u64,
    pub(super) ms: f64,
    /// As it came, and inflated.
    pub(super) bytes: (usize, usize),
    pub(super) json: String,
}

impl Cluster<'_> {
    pub(super) async fn picture(&self, report: &mut Report) -> anyhow::Result<()> {
        let url = self.postgres.create_database()?;
        let mut server = self.start_server(&url, &[])?;
        // Something else to read.
        let other = self.import_strokes(&url, &server, "other", 50, report).await?;
        let short = self.import_strokes(&url, &server, "short", SHORT_OPS, report).await?;
        let long = self.import_strokes(&url, &server, "long", LONG_OPS, report).await?;
        let mut sides = [long, short];
        for side in &sides {
            self.grow(&server, &side.drawing).await?;
        }
        for _ in 0..ROUNDS {
            server.terminate()?;
            server = self.start_server(&url, &[])?;
            let mut connection = Connection::open(&server.base, &self.tokens[0]).await?;
            read(&mut connection, &other.drawing).await?;
            for side in &mut sides {
                self.look(&server, &mut connection, side).await?;
            }
            // Whatever the first one warms up for the second is to help either.
            sides.reverse();
        }
        sides.sort_by_key(|side| side.name);
        add_rows(&sides, report);
        Ok(())
    }

    /// Imports a log of `ops` ops, in the end of which the same strokes are seen, and waits for its snapshot.
    async fn import_strokes(
        &self,
        url: &str,
        server: &Revcast,
        name: &'static str,
        ops: usize,
        report: &mut Report,
    ) -> anyhow::Result<Side> {
        let folder = TempFolder::new("log")?;
        let file = folder.path().join(name);
        log::write_committed(&file, log::folded(log::ops(strokes(ops))))?;
        let (drawing, seconds) = self.import(url, &file)?;
        let built = self.wait_for_snapshot(server, &drawing).await?;
        let mut connection = Connection::open(&server.base, &self.tokens[0]).await?;
        let (head, _) = heights(&mut connection, &drawing).await?;
        report.note(format!(
            "picture: the {name} log, {head} ops: imported at {:.0} ops/s; first snapshot after {built:.1} s",
            as_f64(head) / seconds
        ));
        Ok(Side {
            drawing,
            name,
            cold: Vec::new(),
            warm: Vec::new(),
            joins: Vec::new(),
            bytes: (0, 0),
            ops_after: 0,
        })
    }

    async fn grow(&self, server: &Revcast, drawing: &Uuid) -> anyhow::Result<()> {
        let mut connection = Connection::open(&server.base, &self.tokens[0]).await?;
        for _ in 0..TAIL {
            commit(&mut connection, drawing).await?;
        }
        Ok(())
    }

    /// The first picture, and those that follow, each after one more op; each of the latter with what a client does to join.
    async fn look(
        &self,
        server: &Revcast,
        connection: &mut Connection,
        side: &mut Side,
    ) -> anyhow::Result<()> {
        let cold = read(connection, &side.drawing).await?;
        side.cold.push(cold.ms);
        for _ in 0..WARM {
            commit(connection, &side.drawing).await?;
            let started = Instant::now();
            let warm = read(connection, &side.drawing).await?;
            let status = connection.get(&format!("{}?after={}", path(&side.drawing), warm.revision)).await?;
            ensure!(status == 200, "status {status}");
            let page = std::str::from_utf8(connection.body())?;
            let to: u64 = field(page, "\"to\":").context("no position")?.parse()?;
            let mut socket = Socket::open(&server.base, &self.tokens[0]).await?;
            let subscribed = socket.subscribe(&side.drawing.to_string(), Some(to)).await?;
            ensure!(subscribed["type"] == "subscribed", "{subscribed}");
            side.joins.push(started.elapsed().as_secs_f64() * 1e3);
            side.warm.push(warm.ms);
            side.bytes = warm.bytes;
            side.ops_after = to - warm.revision;
        }
        Ok(())
    }
}

/// Strokes with about `ops` ops, of which `STROKES` stay, spread over the log.
fn strokes(ops: usize) -> impl Iterator<Item = (Stroke, Fate)> {
    let (strokes, _) = pen::load_or_make_up();
    let strokes = strokes.into_iter().map(|stroke| pen::sampled(&stroke, POINTS));
    let staying: Vec<Stroke> = strokes.cycle().take(STROKES).collect();
    let each = pen::count_ops(&staying[0]);
    // Each that stays comes after so many that are deleted, with one more op.
    let deleted = (ops / STROKES).saturating_sub(each).div_ceil(each + 1);
    staying.into_iter().flat_map(move |stroke| {
        let gone = std::iter::repeat_n((stroke.clone(), Fate::Deleted), deleted);
        gone.chain([(stroke, Fate::Stays)])
    })
}

/// Commits one op, so that the canvas moves on.
async fn commit(connection: &mut Connection, drawing: &Uuid) -> anyhow::Result<()> {
    let op_id = Uuid::now_v7();
    let op = format!(r#"{{"ops":[{{"op_id":"{op_id}","type":"canvas.set","set":{{"note":"{op_id}"}}}}]}}"#);
    post(connection, &path(drawing), op.as_bytes()).await.map(drop)
}

/// Reads the canvas at the head, gzipped; the time ends with the last byte, before it is inflated.
pub(super) async fn read(connection: &mut Connection, drawing: &Uuid) -> anyhow::Result<Snapshot> {
    let started = Instant::now();
    let status = connection.get_gzip(&format!("/v1/drawings/{drawing}/snapshot")).await?;
    let ms = started.elapsed().as_secs_f64() * 1e3;
    ensure!(status == 200, "status {status}");
    let mut json = String::new();
    GzDecoder::new(connection.body()).read_to_string(&mut json)?;
    let revision = field(&json, "\"revision\":").context("no revision")?.parse()?;
    Ok(Snapshot { revision, ms, bytes: (connection.body().len(), json.len()), json })
}

fn add_rows(sides: &[Side; 2], report: &mut Report) {
    let [long, short] = sides;
    for (what, of) in [("cold", (|side| &side.cold) as fn(&Side) -> &Vec<f64>), ("warm", |side| &side.warm)] {
        let (long, short) = (median(of(long).clone()), median(of(short).clone()));
        let is_kept = long <= MS && long <= RATIO * short;
        report.note(format!(
            "picture: {what}: {long:.1} ms of the long log, {short:.1} ms of the short one: {:.2}× (at most {MS} ms and \
             {RATIO}×: {})",
            long / short,
            verdict(is_kept)
        ));
    }
    for side in sides {
        let (gzip, json) = side.bytes;
        report.note(format!(
            "picture: the {} log: {} KiB of snapshot on the wire, {} KiB inflated; {TAIL} ops after the server's own; to join \
             late, with {} ops after the snapshot: {:.1} ms until subscribed",
            side.name,
            gzip / 1_024,
            json / 1_024,
            side.ops_after,
            median(side.joins.clone()),
        ));
    }
}
