//! Those who follow: a swarm of quiet readers, and one of readers who move their cursors, each in a process of its own.

use futures_util::future::try_join_all;
use loadtest::swarm::{Apart, Outcome, Plan};

use crate::{scenario::Scenario, stage::Stage, target::Target};

/// The close codes and statuses by which a server says that it takes no more sockets.
const FULL: [&str; 3] = ["4003", "429", "503"];

/// Adds advice to an error that comes from a limit on sockets.
fn with_hint(error: anyhow::Error) -> anyhow::Error {
    let text = error.to_string();
    if FULL.iter().any(|sign| text.contains(sign)) {
        return error.context(
            "a limit of the server was reached: let more users share the sockets, or raise the limit \
             (--connections-per-user, --handshakes-per-second, --max-rooms, --limit-by-address)",
        );
    }
    error
}

/// The readers of a run.
pub(crate) struct Readers {
    quiet: Option<Apart>,
    moving: Option<Apart>,
}

impl Readers {
    /// Lets all of them subscribe; fails with what the server said to the first that it refused.
    pub(crate) async fn start(target: &Target, stage: &Stage, scenario: &Scenario) -> anyhow::Result<Self> {
        let plan = |first, readers: usize, cursors_per_second| Plan {
            first,
            encoding: scenario.encoding.encoding(),
            deflate: scenario.deflate,
            presence: scenario.cursors > 0,
            rejoins: scenario.rejoin,
            ramp_ms: u64::try_from(scenario.ramp.as_millis()).unwrap_or(u64::MAX),
            cursors_per_second,
            ..Plan::new(target.addresses.clone(), &stage.tokens, &stage.drawings, readers)
        };
        let start = |first, readers, rate| {
            (readers > 0).then(|| Apart::start(&plan(first, readers, rate))).transpose()
        };
        let quiet = scenario.readers - scenario.cursors;
        let mut readers = Self {
            quiet: start(0, quiet, 0)?,
            moving: start(quiet, scenario.cursors, scenario.cursor_rate)?,
        };
        for swarm in [&mut readers.quiet, &mut readers.moving].into_iter().flatten() {
            swarm.ready().await?.check().map_err(with_hint)?;
        }
        Ok(readers)
    }

    /// Waits until they have these revisions, or have failed.
    pub(crate) async fn finish(self, heads: &[u64]) -> anyhow::Result<Vec<Outcome>> {
        try_join_all([self.quiet, self.moving].into_iter().flatten().map(|swarm| swarm.finish(heads))).await
    }
}
