//! The parts of a history that the rounds look at: who was told what, and when, by the clock that all share. The
//! checker reads the history by itself.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::Value;

use crate::fault::NodeId;

/// The client that takes roles away.
pub(crate) const REVOKER: &str = "revoker";
/// The writer who loses their role, and their client.
pub(crate) const LEAVER: &str = "leaver";

/// The facts that a history tells. Times are in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Requests of which nobody knows what became of them.
    pub(crate) unanswered: u64,
    /// The logs, by drawing.
    pub(crate) logs: HashMap<String, Log>,
    /// The positions that somebody has seen a picture of.
    pub(crate) pictures: Vec<Position>,
    /// Answers to commits, each with its highest revision.
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// The roles that were taken away, by user.
    pub(crate) revoked: HashMap<String, Revoked>,
    /// The revisions that live readers had on each connection, from one start to the next.
    pub(crate) stretches: Vec<Stretch>,
    /// The attempts of the writer who loses their role.
    pub(crate) attempts: Vec<Attempt>,
    /// The time to add to each client's clock for the one that all share, and how far that may be off.
    clocks: HashMap<String, (i64, i64)>,
    /// Requests that have no end yet, by client and number.
    open: HashMap<(String, u64), Open>,
    /// Stretches that have no end yet, by client and connection.
    followed: HashMap<(String, String), Stretch>,
    /// Ops of which nobody knew what became of them.
    unknown: HashSet<String>,
}

/// A place in a log.
#[derive(Debug)]
pub(crate) struct Position {
    pub(crate) drawing: String,
    pub(crate) epoch: String,
    pub(crate) revision: u64,
}

/// Something that was acknowledged.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    /// The time by which the answer had come.
    pub(crate) by: i64,
    pub(crate) at: Position,
    pub(crate) op_id: String,
    /// An attempt before had no answer.
    pub(crate) was_unknown: bool,
}

/// A role that is taken away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revoked {
    pub(crate) from: i64,
    pub(crate) by: Option<i64>,
}

/// An attempt of the one who loses their role.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The earliest time at which it can have been sent.
    pub(crate) sent: i64,
    pub(crate) drawing: String,
    pub(crate) op_id: String,
    pub(crate) end: Ending,
}

/// The end of an attempt.
#[derive(Debug)]
pub(crate) enum Ending {
    Taken,
    /// It was refused with this status, by this time.
    Refused(u64, i64),
    Unknown,
}

/// A live reader on one connection, from when it follows until it does no more.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) client: String,
    pub(crate) node: Option<NodeId>,
    pub(crate) drawing: String,
    /// The time by which it followed, and the revision that it followed from.
    pub(crate) from: (i64, u64),
    /// The revisions that it reached, each with the earliest time of that.
    pub(crate) steps: Vec<(i64, u64)>,
    /// The time until which it followed at least.
    pub(crate) to: i64,
}

/// A log, as it was in the end.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) epoch: String,
    pub(crate) head: u64,
    pub(crate) trunk: Option<(String, u64)>,
    /// The revision of each op by its id.
    pub(crate) places: HashMap<String, u64>,
}

impl Log {
    pub(crate) fn has(&self, epoch: &str, revision: u64) -> bool {
        let trunk = self.trunk.as_ref().filter(|(before, _)| before == epoch);
        (epoch == self.epoch && revision <= self.head) || trunk.is_some_and(|(_, base)| revision <= *base)
    }
}

/// A request that was sent.
#[derive(Debug)]
struct Open {
    sent: i64,
    drawing: String,
    ops: Vec<String>,
    /// The user whose role the request takes away.
    loses: Option<String>,
}

impl Account {
    /// Reads a history.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut account = Self::default();
        for path in files(folder)? {
            for line in BufReader::new(File::open(path)?).lines() {
                // A line that is torn is for the checker to tell.
                if let Ok(line) = serde_json::from_str(&line?) {
                    account.take(&line);
                }
            }
        }
        let open = std::mem::take(&mut account.followed);
        account.stretches.extend(open.into_values());
        Ok(account)
    }

    /// The revisions of each drawing at which somebody has seen a picture of it, as far as they lie on its log.
    pub(crate) fn pictures(&self) -> HashMap<String, Vec<u64>> {
        let mut shown: HashMap<String, BTreeSet<u64>> = HashMap::new();
        for Position { drawing, epoch, revision } in &self.pictures {
            if self.logs.get(drawing).is_some_and(|log| log.has(epoch, *revision)) {
                shown.entry(drawing.clone()).or_default().insert(*revision);
            }
        }
        shown.into_iter().map(|(drawing, revisions)| (drawing, revisions.into_iter().collect())).collect()
    }

    pub(crate) fn take(&mut self, line: &Value) {
        let client = text(line, "client");
        let (offset, error) = self.clocks.get(&client).copied().unwrap_or_default();
        let time = number(line, "t") + offset;
        match line["event"].as_str().unwrap_or_default() {
            "client" => drop(self.clocks.insert(client, (number(line, "offset"), number(line, "error")))),
            "invoke" => self.begin(line, client, time - error),
            "ok" | "fail" | "info" => self.end(line, client, time + error),
            "live" => self.follow(line, client, (time - error, time + error)),
            "picture" => self.pictures.extend(position(line)),
            "log" => {
                let log = self.logs.entry(text(line, "drawing")).or_default();
                log.epoch = text(line, "epoch");
                log.head = line["head"].as_u64().unwrap_or_default();
                log.trunk = line["previous_epoch"].as_str().map(str::to_owned).zip(line["base"].as_u64());
            }
            "entry" => {
                let log = self.logs.entry(text(line, "drawing")).or_default();
                log.places.insert(text(line, "op_id"), line["revision"].as_u64().unwrap_or_default());
            }
            _ => (),
        }
    }

    fn begin(&mut self, line: &Value, client: String, sent: i64) {
        let ids = line["ops"].as_array().into_iter().flatten().map(|op| text(op, "op_id"));
        let ops = ids.collect();
        let loses = (line["call"] == "role" && line["role"].is_null()).then(|| text(line, "user"));
        if let Some(user) = &loses {
            self.revoked.entry(user.clone()).or_insert(Revoked { from: sent, by: None });
        }
        let id = line["id"].as_u64().unwrap_or_default();
        self.open.insert((client, id), Open { sent, drawing: text(line, "drawing"), ops, loses });
    }

    fn end(&mut self, line: &Value, client: String, by: i64) {
        let id = line["id"].as_u64().unwrap_or_default();
        let is_leaver = client == LEAVER;
        let Some(Open { sent, drawing, ops, loses }) = self.open.remove(&(client, id)) else { return };
        let event = line["event"].as_str().unwrap_or_default();
        let status = line["status"].as_u64().unwrap_or_default();
        // A 404 says that an earlier request, whose answer was lost, has taken the role away.
        if let Some(user) = loses
            && (event == "ok" || status == 404)
            && let Some(revoked) = self.revoked.get_mut(&user)
        {
            revoked.by.get_or_insert(by);
        }
        if is_leaver && let Some(op_id) = ops.first().cloned() {
            let end = match event {
                "ok" => Ending::Taken,
                "fail" => Ending::Refused(status, by),
                _ => Ending::Unknown,
            };
            self.attempts.push(Attempt { sent, drawing, op_id, end });
        }
        match event {
            "info" => {
                self.unanswered += 1;
                self.unknown.extend(ops);
            }
            "ok" => {
                if line["hash"].is_string() {
                    self.pictures.extend(position(line));
                }
                self.acknowledge(line, by);
            }
            _ => (),
        }
    }

    fn acknowledge(&mut self, line: &Value, by: i64) {
        let results = line["results"].as_array().into_iter().flatten();
        let Some(highest) = results.max_by_key(|result| result["revision"].as_u64()) else { return };
        let Some(revision) = highest["revision"].as_u64() else { return };
        let at = Position { drawing: text(line, "drawing"), epoch: text(line, "epoch"), revision };
        let op_id = text(highest, "op_id");
        let was_unknown = self.unknown.remove(&op_id);
        self.acknowledged.push(Acknowledged { by, at, op_id, was_unknown });
    }

    fn follow(&mut self, line: &Value, client: String, (earliest, latest): (i64, i64)) {
        let name = text(line, "reader");
        let key = (client.clone(), name.clone());
        let kind = line["type"].as_str().unwrap_or_default();
        let revision = line["revision"].as_u64();
        if let Some(stretch) = self.followed.get_mut(&key) {
            stretch.to = earliest;
        }
        match kind {
            "subscribed" => {
                let Some(revision) = revision else { return };
                let node = name.rsplit_once('@').and_then(|(_, node)| node.parse().ok());
                let (from, to) = ((latest, revision), latest);
                let stretch =
                    Stretch { client, node, drawing: text(line, "drawing"), from, steps: Vec::new(), to };
                self.stretches.extend(self.followed.insert(key, stretch));
            }
            "ops" => {
                let step = self.followed.get_mut(&key).zip(revision);
                if let Some((stretch, revision)) = step {
                    stretch.steps.push((earliest, revision));
                }
            }
            "reset" | "closed" | "subscribe" => self.stretches.extend(self.followed.remove(&key)),
            "role" if line["role"].is_null() => self.stretches.extend(self.followed.remove(&key)),
            _ => (),
        }
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}

fn position(line: &Value) -> Option<Position> {
    let revision = line["revision"].as_u64()?;
    Some(Position { drawing: text(line, "drawing"), epoch: text(line, "epoch"), revision })
}

/// The files of a history, in order.
pub(crate) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
