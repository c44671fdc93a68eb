//! What a history says: the verdict of the checker, and what it cannot know, which is when faults happened.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use revcast_checker::{Options, judge};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// For how long a role that was taken away may be served (G10), and what a busy machine may add.
const REVOCATION: Duration = Duration::from_secs(2);
/// How long after a fault its end is felt, in nanoseconds.
const AFTER_A_FAULT: i64 = 1_000_000_000;

/// What came of a round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// What is wrong; nothing, if all is well.
    pub findings: Vec<String>,
    /// Events of the history.
    pub events: u64,
    /// Ops in the logs.
    pub ops: u64,
    /// Requests of which nobody knows what became of them.
    pub unanswered: u64,
    /// How many milliseconds after the last fault all nodes were ready.
    pub recovery_ms: u64,
    /// How many things each check has examined.
    #[serde(default)]
    pub examined: BTreeMap<String, u64>,
    /// What the checker says, in full.
    #[serde(skip)]
    pub verdict: String,
}

/// What is known of a history.
#[derive(Debug)]
pub struct Verdict {
    findings: Vec<String>,
    events: u64,
    unanswered: u64,
    examined: BTreeMap<String, u64>,
    table: String,
}

impl Verdict {
    /// Makes it a part of what came of a round.
    pub fn add_to(self, outcome: &mut Outcome) {
        outcome.findings.extend(self.findings);
        outcome.events = self.events;
        outcome.unanswered = self.unanswered;
        outcome.examined = self.examined;
        outcome.verdict = self.table;
    }
}

/// Judges the history in a folder. `windows` are when something held up what readers are told; what was acknowledged
/// before `kept_until` may not be lost.
///
/// # Errors
/// When a line is not as documented.
pub fn judge_history(
    folder: &Path,
    windows: &[(i64, i64)],
    kept_until: Option<i64>,
) -> anyhow::Result<Verdict> {
    let (paths, history) = (files(folder)?, Loose::read(folder)?);
    let grace = REVOCATION.as_millis() + u128::from(history.held_up(windows).unsigned_abs()) / 1_000_000;
    let verdict = judge(&paths, Options::with_grace_ms(u32::try_from(grace).unwrap_or(u32::MAX)))?;
    let told = verdict.findings.iter().map(|finding| format!("{}: {}", finding.check, finding.text));
    let mut findings: Vec<String> = told.collect();
    findings.extend(kept_until.into_iter().flat_map(|until| history.lost_before(until)));
    Ok(Verdict {
        findings,
        events: verdict.input.events,
        unanswered: history.unanswered,
        examined: verdict.tallies.iter().map(|tally| (tally.check.to_owned(), tally.examined)).collect(),
        table: verdict.table(),
    })
}

/// By drawing: the revisions at which somebody has seen a picture of it, as far as they lie on its log.
///
/// # Errors
/// When the history cannot be read.
pub fn pictures(folder: &Path) -> anyhow::Result<HashMap<String, Vec<u64>>> {
    let history = Loose::read(folder)?;
    let mut shown: HashMap<String, BTreeSet<u64>> = HashMap::new();
    for Position { drawing, epoch, revision } in &history.pictures {
        if history.logs.get(drawing).is_some_and(|log| log.has(epoch, *revision)) {
            shown.entry(drawing.clone()).or_default().insert(*revision);
        }
    }
    Ok(shown.into_iter().map(|(drawing, revisions)| (drawing, revisions.into_iter().collect())).collect())
}

/// What of a history is looked at here.
#[derive(Debug, Default)]
struct Loose {
    unanswered: u64,
    /// By drawing.
    logs: HashMap<String, Log>,
    /// Clocks by client: what to add for the one that all share, and how far that may be off.
    clocks: HashMap<String, (i64, i64)>,
    /// What somebody has seen a picture of.
    pictures: Vec<Position>,
    /// Acknowledgements: when each had come at the latest, and the highest revision in it.
    acknowledged: Vec<(i64, Position)>,
    /// When a role began to be taken away, and when it was gone.
    revoked: Option<(i64, i64)>,
}

#[derive(Debug)]
struct Position {
    drawing: String,
    epoch: String,
    revision: u64,
}

/// A log, as it was in the end.
#[derive(Debug)]
struct Log {
    epoch: String,
    head: u64,
    trunk: Option<(String, u64)>,
}

impl Log {
    fn has(&self, epoch: &str, revision: u64) -> bool {
        let trunk = self.trunk.as_ref().filter(|(before, _)| before == epoch);
        (epoch == self.epoch && revision <= self.head) || trunk.is_some_and(|(_, base)| revision <= *base)
    }
}

impl Loose {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut history = Self::default();
        for path in files(folder)? {
            for line in BufReader::new(File::open(path)?).lines() {
                // A line that is torn is for the checker to tell.
                if let Ok(line) = serde_json::from_str(&line?) {
                    history.take(&line);
                }
            }
        }
        Ok(history)
    }

    fn take(&mut self, line: &Value) {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| line[name].as_i64().unwrap_or_default();
        let at = |revision: u64| Position { drawing: text("drawing"), epoch: text("epoch"), revision };
        let client = text("client");
        let (offset, error) = self.clocks.get(&client).copied().unwrap_or_default();
        let time = number("t") + offset;
        let is_revoker = client == REVOKER;
        match line["event"].as_str().unwrap_or_default() {
            "client" => drop(self.clocks.insert(client, (number("offset"), number("error")))),
            "info" => self.unanswered += 1,
            "log" => {
                let trunk = line["previous_epoch"].as_str().map(str::to_owned).zip(line["base"].as_u64());
                let log =
                    Log { epoch: text("epoch"), head: line["head"].as_u64().unwrap_or_default(), trunk };
                self.logs.insert(text("drawing"), log);
            }
            "picture" => self.pictures.extend(line["revision"].as_u64().map(at)),
            "invoke" if is_revoker => {
                self.revoked.get_or_insert((time, i64::MAX));
            }
            "ok" => {
                if let Some((_, done)) = self.revoked.as_mut().filter(|_| is_revoker) {
                    *done = time;
                }
                if line["hash"].is_string() {
                    self.pictures.extend(line["revision"].as_u64().map(at));
                }
                let results = line["results"].as_array().into_iter().flatten();
                let highest = results.filter_map(|result| result["revision"].as_u64()).max();
                self.acknowledged.extend(highest.map(|highest| (time + error, at(highest))));
            }
            _ => (),
        }
    }

    /// How long what told of the revoked role may have been held up: as long as the longest fault of that time.
    fn held_up(&self, windows: &[(i64, i64)]) -> i64 {
        let Some((begun, done)) = self.revoked else { return 0 };
        let is_of_that_time = |(from, to): &&(i64, i64)| {
            *from <= done.saturating_add(AFTER_A_FAULT) && to.saturating_add(AFTER_A_FAULT) >= begun
        };
        windows.iter().filter(is_of_that_time).map(|(from, to)| to - from).max().unwrap_or_default()
    }

    /// What was acknowledged before a time, and is lost nevertheless.
    fn lost_before(&self, until: i64) -> Vec<String> {
        let is_lost =
            |at: &Position| self.logs.get(&at.drawing).is_some_and(|log| !log.has(&at.epoch, at.revision));
        let lost = self.acknowledged.iter().filter(|(time, at)| *time < until && is_lost(at));
        let word = |(_, Position { drawing, epoch, revision }): &(i64, Position)| {
            format!("revision {revision} of epoch {epoch} of {drawing} is lost, which the standby had")
        };
        lost.map(word).collect()
    }
}

/// The client that takes a role away.
pub(crate) const REVOKER: &str = "revoker";

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_acknowledged_before_the_standby_was_cut_off_may_not_be_void() {
        let mut history = Loose::default();
        history.take(&json!({"event": "client", "client": "a", "user": "a", "offset": 100, "error": 5}));
        for (t, revision) in [(10, 8), (20, 9), (30, 7)] {
            let results = json!([{"op_id": "x", "revision": revision, "duplicate": false}]);
            history.take(&json!({"event": "ok", "client": "a", "t": t, "drawing": "d", "epoch": "e1",
                "results": results}));
        }
        history
            .take(&json!({"event": "log", "drawing": "d", "epoch": "e2", "previous_epoch": "e1", "base": 7,
            "head": 12}));
        assert_eq!(history.lost_before(115), Vec::<String>::new());
        assert_eq!(history.lost_before(116).len(), 1);
        assert_eq!(history.lost_before(1_000).len(), 2);
    }

    #[test]
    fn only_a_fault_at_the_time_of_a_revocation_excuses_a_delay() {
        const SECOND: i64 = 1_000_000_000;
        let mut history = Loose::default();
        assert_eq!(history.held_up(&[(0, 9)]), 0);
        history.take(&json!({"event": "invoke", "client": REVOKER, "t": 10 * SECOND}));
        history.take(&json!({"event": "ok", "client": REVOKER, "t": 11 * SECOND}));
        let held_up = |from: i64, to: i64| history.held_up(&[(from * SECOND, to * SECOND)]) / SECOND;
        assert_eq!((held_up(5, 8), held_up(7, 9), held_up(12, 15), held_up(13, 15)), (0, 2, 3, 0));
    }
}
