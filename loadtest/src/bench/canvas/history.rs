//! The costs of an open history that weighs as much as the budget allows: for the snapshot, for whoever opens the
//! drawing, for whoever looks for what can be undone, and for whoever applies ops.

use std::{ffi::OsStr, io::Write, time::Instant};

use anyhow::{Context, ensure};
use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::{Builder, Uuid};

use super::{
    heights,
    log::{self, Drawn},
    picture::read,
};
use crate::{
    bench::{
        report::{Report, median, verdict},
        rows::{Cluster, ROUNDS},
    },
    http::Connection,
    pen::{self, Stroke},
    services::{Revcast, TempFolder},
    swarm::as_f64,
};

/// Tells the process `reducer` what is wanted.
pub const COMMAND: &str = "history";
/// Units that write to one register, and eight times as many, which is about as many as the budget holds.
pub const HOT_UNITS: u64 = 2_500;
/// See [`HOT_UNITS`].
pub const HOT_UNITS_MORE: u64 = 8 * HOT_UNITS;

/// Objects that are moved about. They were made before the open history.
const OBJECTS: usize = 500;
/// Users that draw by turns, a gesture each.
const USERS: usize = 8;
/// The least time from one gesture to the next, in milliseconds; it may be up to twice that.
const PAUSE_MS: u64 = 300;
/// The time of the first gesture, in milliseconds since 1970: long ago.
const BEGIN_MS: u64 = 1_750_000_000_000;
/// Points of a stroke, as of a pen at 60 Hz.
const POINTS: u8 = 50;
/// Ops that are more than any budget holds.
const OPS: usize = 60_000;
/// Undos and redos in each round, by turns, each with a look at the history after it.
const PRESSES: usize = 20;
/// As the server compresses.
const GZIP_LEVEL: u32 = 1;

/// Promised of the registers, gzipped, in KiB.
const REGISTERS_KIB: f64 = 1_024.0;
/// Promised of the first snapshot of a server that has just started, in milliseconds.
const OPEN_MS: f64 = 150.0;
/// Promised of writes to one register, eight times as many: by how much longer they take. Sixty-four times would be quadratic.
const HOT_RATIO: f64 = 16.0;

/// The figures that the process `reducer` reports; times are medians.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Ops of the log that the budget holds.
    pub ops: u64,
    /// Open units that they leave.
    pub units: u64,
    /// Their weight, in bytes.
    pub weight: u64,
    /// The time to fold half of that.
    pub fold_seconds: f64,
    /// The time to find what can be undone and redone, for all users.
    pub history_seconds: f64,
    /// The time to apply [`HOT_UNITS`] writes to one register, once they have been read.
    pub hot_seconds: f64,
    /// The time to apply [`HOT_UNITS_MORE`] of them.
    pub hot_more_seconds: f64,
}

/// The mix of gestures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mix {
    Moves,
    Strokes,
    /// One or the other, by turns.
    Both,
}

/// A drawing of one mix, and what was measured of it, times in milliseconds.
struct Side {
    mix: Mix,
    drawing: Uuid,
    reducer: Figures,
    cold: Vec<f64>,
    presses: Vec<f64>,
    looks: Vec<f64>,
    /// The registers in JSON, and gzipped.
    registers: (usize, usize),
    /// The snapshot as it came.
    wire: usize,
}

impl Cluster<'_> {
    pub(super) async fn history(&self, report: &mut Report) -> anyhow::Result<()> {
        let url = self.postgres.create_database()?;
        let mut server = self.start_server(&url, &[])?;
        let mut sides = Vec::new();
        for mix in [Mix::Moves, Mix::Strokes, Mix::Both] {
            sides.push(self.import_history(&url, &server, mix).await?);
        }
        for _ in 0..ROUNDS {
            for nth in 0..sides.len() {
                server.terminate()?;
                server = self.start_server(&url, &[])?;
                let mut connection = Connection::open(&server.base, &self.tokens[0]).await?;
                // Something else to read.
                let other = sides[(nth + 1) % sides.len()].drawing;
                read(&mut connection, &other).await?;
                look(&mut connection, &mut sides[nth]).await?;
            }
        }
        sides.iter().for_each(|side| add_rows(side, report));
        Ok(())
    }

    /// Imports as much of a log as the budget holds, and waits for its snapshot.
    async fn import_history(&self, url: &str, server: &Revcast, mix: Mix) -> anyhow::Result<Side> {
        let folder = TempFolder::new("history")?;
        let (ops, log) = (folder.path().join("ops"), folder.path().join("log"));
        let drawn: Vec<Drawn> = Artist::default().draw(mix).take(OPS).collect();
        log::write(&ops, drawn.iter().map(|drawn| drawn.op.clone()))?;
        let reducer: Figures = self.run_reducer(&[OsStr::new(COMMAND), ops.as_os_str()])?;
        log::write_drawn(&log, drawn.into_iter().take(usize::try_from(reducer.ops)?))?;
        let (drawing, _) = self.import(url, &log)?;
        self.wait_for_snapshot(server, &drawing).await?;
        let mut connection = Connection::open(&server.base, &self.tokens[0]).await?;
        let (head, _) = heights(&mut connection, &drawing).await?;
        ensure!(head == reducer.ops, "the drawing was folded");
        Ok(Side {
            mix,
            drawing,
            reducer,
            cold: Vec::new(),
            presses: Vec::new(),
            looks: Vec::new(),
            registers: (0, 0),
            wire: 0,
        })
    }
}

/// Opens the drawing; then somebody undoes and redoes.
async fn look(connection: &mut Connection, side: &mut Side) -> anyhow::Result<()> {
    let snapshot = read(connection, &side.drawing).await?;
    side.cold.push(snapshot.ms);
    let (_, registers) = snapshot.json.split_once(r#","registers":"#).context("no registers")?;
    let registers = registers.strip_suffix('}').context("more than registers")?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
    gzip.write_all(registers.as_bytes())?;
    side.registers = (registers.len(), gzip.finish()?.len());
    side.wire = snapshot.bytes.0;
    let path = format!("/v1/drawings/{}", side.drawing);
    for press in ["undo", "redo"].into_iter().cycle().take(PRESSES) {
        let started = Instant::now();
        let status = connection.post(&format!("{path}/{press}"), br#"{"scope":"all"}"#).await?;
        side.presses.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(status == 200, "status {status} of {press}");
        let started = Instant::now();
        let status = connection.get(&format!("{path}/history?scope=all")).await?;
        side.looks.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(status == 200, "status {status}");
        let history: Value = serde_json::from_slice(connection.body())?;
        ensure!(history["undo_floor"] == OBJECTS, "the drawing was folded: {history}");
    }
    Ok(())
}

fn add_rows(side: &Side, report: &mut Report) {
    let Side { mix, reducer, registers: (json, gzip), .. } = side;
    let name = match mix {
        Mix::Moves => "moves",
        Mix::Strokes => "strokes",
        Mix::Both => "moves and strokes",
    };
    let (kib, cold) = (as_f64(*gzip as u64) / 1_024.0, median(side.cold.clone()));
    report.note(format!(
        "history: {name}: {} ops, {} open units that weigh {} KiB: registers gzipped {kib:.0} KiB (at most {REGISTERS_KIB}: \
         {}), {} KiB of JSON; snapshot on the wire {} KiB; cold {cold:.1} ms (at most {OPEN_MS}: {})",
        reducer.ops,
        reducer.units,
        reducer.weight / 1_024,
        verdict(kib <= REGISTERS_KIB),
        json / 1_024,
        side.wire / 1_024,
        verdict(cold <= OPEN_MS),
    ));
    let ratio = reducer.hot_more_seconds / reducer.hot_seconds;
    report.note(format!(
        "history: {name}: of all users: GET history {:.1} ms, undo or redo {:.1} ms until answered; in the reducer: what can be \
         undone {:.1} ms, fold of half {:.1} ms; {HOT_UNITS} units that write to one register {:.2} ms, {HOT_UNITS_MORE} \
         {:.2} ms: {ratio:.1}× (at most {HOT_RATIO}×: {})",
        median(side.looks.clone()),
        median(side.presses.clone()),
        reducer.history_seconds * 1e3,
        reducer.fold_seconds * 1e3,
        reducer.hot_seconds * 1e3,
        reducer.hot_more_seconds * 1e3,
        verdict(ratio <= HOT_RATIO),
    ));
}

/// Makes gestures and ids as clients do, the same ones each time.
struct Artist {
    state: u64,
    ms: u64,
}

impl Default for Artist {
    fn default() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, ms: BEGIN_MS }
    }
}

impl Artist {
    /// Objects and a fold that closes them, then one gesture after the other without end.
    fn draw(mut self, mix: Mix) -> impl Iterator<Item = Drawn> {
        let objects: Vec<Uuid> = (0..OBJECTS).map(|_| self.id()).collect();
        let mut first: Vec<Drawn> = Vec::new();
        for object in &objects {
            let op = json!({
                "op_id": self.id(), "type": "object.create", "object_id": object, "kind": "rect", "z": "a0",
                "props": {"x": self.coordinate(), "y": self.coordinate(), "width": 120, "height": 80, "fill": "#ffd166"},
            });
            first.push(Drawn { op, user: 0, ts: self.ms });
        }
        // It lies below the head by one op, since that is what a fold has to do.
        let note = json!({"op_id": self.id(), "type": "canvas.set", "set": {"background": "#fff"}});
        let fold = json!({"op_id": self.id(), "type": "fold", "floor": OBJECTS});
        first.extend([note, fold].map(|op| Drawn { op, user: 0, ts: self.ms }));
        let strokes: Vec<Stroke> =
            pen::load_or_make_up().0.iter().map(|stroke| pen::sampled(stroke, POINTS)).collect();
        let gestures = (0..).flat_map(move |nth: usize| {
            self.ms += PAUSE_MS + self.random() % PAUSE_MS;
            let is_move = mix == Mix::Moves || (mix == Mix::Both && nth.is_multiple_of(2));
            let ops = if is_move {
                vec![self.move_of(&objects)]
            } else {
                pen::ops_with_ids(&strokes[nth % strokes.len()], || self.id())
            };
            let ts = self.ms;
            ops.into_iter().map(move |op| Drawn { op, user: nth % USERS, ts })
        });
        first.into_iter().chain(gestures)
    }

    fn move_of(&mut self, objects: &[Uuid]) -> Value {
        let object = objects[usize::try_from(self.random()).unwrap_or_default() % objects.len()];
        let set = json!({"x": self.coordinate(), "y": self.coordinate()});
        json!({"op_id": self.id(), "type": "object.update", "object_id": object, "set": set})
    }

    /// Up to a tenth, as the whiteboard rounds.
    fn coordinate(&mut self) -> f64 {
        as_f64(self.random() % 40_000) / 10.0
    }

    /// A UUID v7 of a client that has drawn all of it by chance but the time.
    fn id(&mut self) -> Uuid {
        let [high, low] = [self.random(), self.random()].map(u64::to_be_bytes);
        let mut chance = [0; 10];
        chance[..8].copy_from_slice(&high);
        chance[8..].copy_from_slice(&low[..2]);
        Builder::from_unix_timestamp_millis(self.ms, &chance).into_uuid()
    }

    /// Xorshift, scrambled by a product: its bits are to look like chance to whoever compresses them.
    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
