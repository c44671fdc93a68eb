//! The plan of a round: who takes part, and what happens when. All of it follows from the seed and the number of the
//! round.

mod draw;

use std::{fmt, time::Duration};

use loadtest::services::Standby;
use revcast_checker::generate::random::Random;

use crate::fault::{Fault, Link, NodeId, Target};

/// Every so many rounds one is about the embedded server.
const EMBEDDED_EVERY: u64 = 4;
/// Nodes of a clustered deployment.
pub const NODES: usize = 3;
/// The time for which the load goes on after the last fault.
const CALM: Duration = Duration::from_millis(1_500);

/// The way in which the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Three nodes on Postgres, NATS and a bucket.
    Clustered,
    /// One process with an SQLite file.
    Embedded,
}

/// The means that the person who runs it has provided.
#[derive(Clone, Copy, Debug, Default)]
pub struct Means {
    /// There is a program of the version before.
    pub has_previous: bool,
    /// Clocks can be set wrong.
    pub has_faketime: bool,
    /// TypeScript clients can run.
    pub has_node: bool,
}

/// A fault, and when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its number in the round, which stays the same when others are left out.
    pub number: usize,
    /// The time at which it begins, from the beginning of the load.
    pub at: Duration,
    /// The time that it lasts.
    pub lasts: Duration,
    /// The fault itself.
    pub fault: Fault,
}

/// One round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the round, from 1.
    pub round: u64,
    /// The way in which the server runs.
    pub kind: Kind,
    /// NATS servers.
    pub bus_servers: usize,
    /// Drawings.
    pub drawings: usize,
    /// Users who write, besides one who loses their role.
    pub writers: usize,
    /// Users who follow a drawing live, of whom the last one loses their role.
    pub readers: usize,
    /// Users with the TypeScript client, who write and follow.
    pub scripts: usize,
    /// The node that runs the version before.
    pub previous: Option<NodeId>,
    /// The time at which the last reader and a writer lose their roles, from the beginning of the load.
    pub revoked_at: Duration,
    /// The faults that happen, by when they begin.
    pub faults: Vec<Planned>,
}

impl Plan {
    /// The plan of a round.
    #[must_use]
    pub fn new(seed: u64, round: u64, means: Means) -> Self {
        Self::with(seed, round, means, &[])
    }

    /// The plan of a round in which these faults happen for certain, and others as they come.
    #[must_use]
    pub fn with(seed: u64, round: u64, means: Means, certain: &[Fault]) -> Self {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(round));
        let kind = kind(round);
        let bus_servers = if random.percent(50) { 3 } else { 1 };
        // The draws do not depend on the means at hand, so that the rest of the plan stays the same.
        let previous = Some(random.index(NODES)).filter(|_| random.percent(50));
        let mut plan = Self {
            seed,
            round,
            kind,
            bus_servers,
            drawings: 2 + random.index(2),
            writers: 4,
            readers: 5,
            scripts: if means.has_node { 2 } else { 0 },
            previous: previous.filter(|_| means.has_previous && kind == Kind::Clustered),
            revoked_at: Duration::from_millis(random.between(2_000, 9_000)),
            faults: Vec::new(),
        };
        plan.faults = draw::faults(&plan, means, certain, &mut random);
        if !plan.is_lossless() {
            // The loss of a role may be among what is lost with the primary.
            let last = plan.faults.last().map(|planned| planned.at).unwrap_or_default();
            plan.revoked_at = last + CALM;
        }
        plan
    }

    /// Returns the same plan with these faults alone.
    #[must_use]
    pub fn only(&self, numbers: &[usize]) -> Self {
        let mut plan = self.clone();
        plan.faults.retain(|planned| numbers.contains(&planned.number));
        plan
    }

    /// The numbers of its faults.
    #[must_use]
    pub fn numbers(&self) -> Vec<usize> {
        self.faults.iter().map(|planned| planned.number).collect()
    }

    /// True if a round has the part that a fault acts upon.
    #[must_use]
    pub fn allows(round: u64, fault: Fault) -> bool {
        let is_there = |target: Target| match target {
            Target::Node(node) | Target::Link(Link::Clients(node) | Link::Keys(node)) => node == 0,
            Target::Issuer | Target::Clients => true,
            Target::Store | Target::Bus(_) | Target::Link(_) => false,
        };
        kind(round) == Kind::Clustered || fault == Fault::FullDisk || is_there(fault.target())
    }

    /// Nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        if self.kind == Kind::Clustered { NODES } else { 1 }
    }

    /// The duration of the load.
    #[must_use]
    pub fn load(&self) -> Duration {
        let last = self.faults.iter().map(|planned| planned.at + planned.lasts).max();
        last.unwrap_or_default().max(self.revoked_at) + CALM
    }

    /// True if nothing that was acknowledged may be lost.
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        !self.faults.iter().any(|planned| planned.fault == Fault::FailOver(Standby::Asynchronous))
    }

    /// True if the tables are on a small disk, which can then be filled.
    #[must_use]
    pub fn has_small_disk(&self) -> bool {
        self.faults.iter().any(|planned| planned.fault == Fault::FullDisk)
    }

    /// True if it has such a fault.
    #[must_use]
    pub fn has(&self, is_such: impl Fn(Fault) -> bool) -> bool {
        self.faults.iter().any(|planned| is_such(planned.fault))
    }

    /// True if the clock of a node is set wrong in this round.
    #[must_use]
    pub fn has_wrong_clock(&self, node: NodeId) -> bool {
        self.faults.iter().any(|planned| matches!(planned.fault, Fault::Clock(wrong, _) if wrong == node))
    }
}

fn kind(round: u64) -> Kind {
    if round.is_multiple_of(EMBEDDED_EVERY) { Kind::Embedded } else { Kind::Clustered }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, round, drawings, writers, readers, scripts, .. } = self;
        let how = match self.kind {
            Kind::Embedded => "embedded".to_owned(),
            Kind::Clustered => format!("clustered, NATS {}", self.bus_servers),
        };
        writeln!(
            f,
            "round {round} of seed {seed}: {how}; {drawings} drawings, {writers} writers, {readers} readers, \
             {scripts} in TypeScript; {:.1} s",
            self.load().as_secs_f64()
        )?;
        if let Some(node) = self.previous {
            writeln!(f, "node {node} runs the version before")?;
        }
        writeln!(f, "  #     at  lasts  fault")?;
        for Planned { number, at, lasts, fault } in &self.faults {
            writeln!(f, "{number:>3} {:>6.1} {:>6.1}  {fault}", at.as_secs_f64(), lasts.as_secs_f64())?;
        }
        write!(f, "    {:>6.1}         a reader and a writer lose their roles", self.revoked_at.as_secs_f64())
    }
}

#[cfg(test)]
mod tests;
