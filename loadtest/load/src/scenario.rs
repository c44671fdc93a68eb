//! The scenario of a run: a TOML file, each of whose values a flag can replace.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail, ensure};
use loadtest::swarm::Encoding;
use serde::{Deserialize, Serialize};

/// Most users, readers and writers: a port number is 16 bits, and all come from one address.
const MAX_PEOPLE: usize = 60_000;
/// Most ops in a request, as the server takes them.
const MAX_OPS_PER_REQUEST: usize = 500;
/// The shortest run: rates are those of whole seconds.
const MIN_DURATION: Duration = Duration::from_secs(3);
/// The longest run.
const MAX_DURATION: Duration = Duration::from_secs(24 * 3_600);

/// A load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The name of the result.
    pub(crate) name: String,
    /// Drawings; readers and writers take them in turn, one each.
    pub(crate) drawings: usize,
    /// People; readers and writers take them in turn. 0: as many as there are readers or writers, whichever are more.
    pub(crate) users: usize,
    /// Sockets that follow a drawing.
    pub(crate) readers: usize,
    /// People who draw.
    pub(crate) writers: usize,
    /// Ops that all writers together commit each second, whether the server keeps up or not.
    pub(crate) ops_per_second: f64,
    /// Ops in a request.
    pub(crate) ops_per_request: usize,
    /// The shares of the gestures.
    pub(crate) mix: Mix,
    /// Readers, of those above, that move their cursor; with any, all readers want presence.
    pub(crate) cursors: usize,
    /// The moves of each of them, every second.
    pub(crate) cursor_rate: u32,
    /// The encoding on sockets; requests are JSON.
    pub(crate) encoding: Spoken,
    /// True if readers offer permessage-deflate.
    pub(crate) deflate: bool,
    /// The log that a drawing has before the run, in KiB of ops.
    pub(crate) canvas_kib: u64,
    /// The duration of the load, the ramp not counted.
    #[serde(with = "humantime_serde")]
    pub(crate) duration: Duration,
    /// The time over which readers come, and then the load grows. Latencies of that time are not in the summary.
    #[serde(with = "humantime_serde")]
    pub(crate) ramp: Duration,
    /// True if a reader that was too slow subscribes again from the head on, instead of failing the run.
    pub(crate) rejoin: bool,
    /// The promises that the run has to keep, besides that nothing is lost.
    pub(crate) expect: Expect,
    /// The server to start for the run, where none is named.
    pub(crate) start: Start,
}

/// Shares of the gestures, in any unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mix {
    /// A stroke of pen data: begin, appends of five points, end.
    pub(crate) draw: u32,
    /// Another color for an object of one's own.
    pub(crate) change: u32,
    /// An object of one's own is deleted.
    pub(crate) erase: u32,
    /// One's last unit is undone.
    pub(crate) undo: u32,
}

/// The encoding of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Spoken {
    /// `revcast.v1.json`.
    Json,
    /// `revcast.v1.msgpack`.
    Msgpack,
}

/// Limits that make the run fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Expect {
    /// The limit that half of the deliveries keep below, in ms from when an op was due to its arrival at a reader.
    pub delivery_p50_ms: Option<f64>,
    /// The limit that 99 of 100 deliveries keep below.
    pub delivery_p99_ms: Option<f64>,
    /// The limit that 99 of 100 answers keep below, in ms from when a request was due.
    pub answer_p99_ms: Option<f64>,
    /// Least ops a second at all readers together.
    pub(crate) deliveries_per_second: Option<f64>,
    /// Least bytes of ops a second at all readers together.
    pub(crate) bytes_per_second: Option<f64>,
}

/// A server of the run's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Start {
    /// The store in which it keeps the log.
    pub(crate) store: Store,
    /// The number of nodes; SQLite has one.
    pub(crate) nodes: usize,
    /// Further flags of `revcast serve`.
    pub(crate) flags: Vec<String>,
}

/// The store in which a started server keeps the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Store {
    /// A file; the bus is inside the process.
    Sqlite,
    /// A Postgres of its own, and NATS.
    Postgres,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "scenario".to_owned(),
            drawings: 1,
            users: 0,
            readers: 10,
            writers: 2,
            ops_per_second: 25.0,
            ops_per_request: 1,
            mix: Mix::default(),
            cursors: 0,
            cursor_rate: 20,
            encoding: Spoken::Json,
            deflate: false,
            canvas_kib: 0,
            duration: Duration::from_secs(10),
            ramp: Duration::ZERO,
            rejoin: false,
            expect: Expect::default(),
            start: Start::default(),
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self { draw: 90, change: 5, erase: 2, undo: 3 }
    }
}

impl Default for Start {
    fn default() -> Self {
        Self { store: Store::Postgres, nodes: 1, flags: Vec::new() }
    }
}

impl Spoken {
    /// The name that a swarm has for it.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            Self::Json => Encoding::Json,
            Self::Msgpack => Encoding::Msgpack,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Msgpack => "MessagePack",
        }
    }
}

impl Scenario {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is no scenario", path.display()))
    }

    /// People, once it is known how many.
    pub(crate) fn people(&self) -> usize {
        if self.users > 0 { self.users } else { self.readers.max(self.writers) }
    }

    /// Ops that are due until the end, the ramp included, at all writers.
    pub(crate) fn total_ops(&self) -> f64 {
        self.ops_per_second * (self.duration.as_secs_f64() + self.ramp.as_secs_f64() / 2.0)
    }

    /// Checks what no type does.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let at_least_one = |count: usize, name: &str| {
            ensure!((1..=MAX_PEOPLE).contains(&count), "{name} must be 1 to {MAX_PEOPLE}, and is {count}");
            Ok(())
        };
        at_least_one(self.drawings, "drawings")?;
        at_least_one(self.readers, "readers")?;
        at_least_one(self.writers, "writers")?;
        at_least_one(self.start.nodes, "start.nodes")?;
        ensure!(self.users <= MAX_PEOPLE, "users must be {MAX_PEOPLE} at most, and is {}", self.users);
        ensure!(
            self.cursors <= self.readers,
            "cursors must be readers as well: there are {} of {}",
            self.cursors,
            self.readers
        );
        ensure!(
            self.drawings <= self.readers,
            "each of {} drawings needs a reader, and there are {}",
            self.drawings,
            self.readers
        );
        let is_rate =
            self.ops_per_second.is_finite() && self.ops_per_second > 0.0 && self.ops_per_second <= 1e6;
        ensure!(
            is_rate,
            "ops_per_second must be above 0 and at most 1,000,000, and is {}",
            self.ops_per_second
        );
        let batch = self.ops_per_request;
        ensure!(
            (1..=MAX_OPS_PER_REQUEST).contains(&batch),
            "ops_per_request must be 1 to {MAX_OPS_PER_REQUEST}, and is {batch}"
        );
        ensure!(
            (1..=60).contains(&self.cursor_rate),
            "cursor_rate must be 1 to 60, and is {}",
            self.cursor_rate
        );
        ensure!(
            self.mix.draw > 0,
            "mix.draw must be above 0: there is nothing to change, erase or undo before a stroke"
        );
        ensure!(self.mix.total() <= 1_000_000, "the shares of mix must be 1,000,000 at most together");
        ensure!(self.duration >= MIN_DURATION, "duration must be three seconds or more");
        ensure!(
            self.duration + self.ramp <= MAX_DURATION,
            "duration and ramp must be a day at most together"
        );
        ensure!(
            self.canvas_kib <= 1 << 20,
            "canvas_kib must be 1,048,576 at most, and is {}",
            self.canvas_kib
        );
        if self.start.store == Store::Sqlite && self.start.nodes > 1 {
            bail!("SQLite has one node: start.nodes is {}", self.start.nodes);
        }
        Ok(())
    }
}

impl Mix {
    /// All shares.
    pub(crate) fn total(&self) -> u64 {
        [self.draw, self.change, self.erase, self.undo].into_iter().map(u64::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_it_wants_and_a_word_it_does_not_know_is_an_error() {
        let text = "name = 'a'\nreaders = 50\nduration = '2m'\n[mix]\nundo = 0\n[start]\nstore = 'sqlite'\n";
        let scenario: Scenario = toml::from_str(text).unwrap();
        assert_eq!((scenario.readers, scenario.writers, scenario.people()), (50, 2, 50));
        assert_eq!(scenario.duration, Duration::from_secs(120));
        assert_eq!((scenario.mix.undo, scenario.mix.draw), (0, 90));
        scenario.check().unwrap();
        let error = toml::from_str::<Scenario>("reader = 5").unwrap_err();
        assert!(error.to_string().contains("unknown field `reader`"), "{error}");
        let written = toml::to_string(&scenario).unwrap();
        assert_eq!(toml::from_str::<Scenario>(&written).unwrap(), scenario);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let wrong = |change: fn(&mut Scenario)| {
            let mut scenario = Scenario::default();
            change(&mut scenario);
            scenario.check().unwrap_err().to_string()
        };
        assert!(wrong(|scenario| scenario.readers = 0).starts_with("readers must be"));
        assert!(wrong(|scenario| scenario.cursors = 11).starts_with("cursors must be"));
        assert!(wrong(|scenario| scenario.ops_per_second = f64::NAN).starts_with("ops_per_second must be"));
        assert!(wrong(|scenario| scenario.mix.draw = 0).starts_with("mix.draw must be"));
        assert!(wrong(|scenario| scenario.drawings = 11).starts_with("each of 11 drawings"));
        assert!(
            wrong(|scenario| scenario.start = Start { store: Store::Sqlite, nodes: 2, flags: Vec::new() })
                .starts_with("SQLite")
        );
    }

    #[test]
    fn the_scenarios_that_come_along_are_good() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            Scenario::read(&path).unwrap().check().unwrap();
            count += 1;
        }
        assert!(count >= 7, "{count}");
    }
}
