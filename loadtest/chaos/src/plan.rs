//! What a round is: who takes part, and what happens when. All of it follows from the seed and the number of the round.

use std::{fmt, time::Duration};

use loadtest::{proxy::Way, services::Standby};
use revcast_checker::generate::random::Random;

use crate::fault::{Fault, Link, NodeId, Trouble};

/// Every so many rounds one is about the embedded server.
const EMBEDDED_EVERY: u64 = 4;
/// Nodes of a clustered deployment.
pub const NODES: usize = 3;
/// Most faults of a round.
const FAULTS: usize = 7;
/// When the first fault happens, at the earliest and at the latest, in milliseconds.
const FIRST_FAULT_MS: (u64, u64) = (1_200, 2_000);
/// When the last fault begins, at the latest.
const LAST_FAULT: Duration = Duration::from_secs(11);
/// How long the load goes on after the last fault.
const CALM: Duration = Duration::from_millis(1_500);
/// How long a fault lasts, in milliseconds.
const LASTS_MS: (u64, u64) = (400, 2_500);
/// The pause between two faults that do not overlap, in milliseconds.
const PAUSE_MS: (u64, u64) = (300, 1_500);
/// In so many of 100 cases a fault begins while the one before lasts.
const OVERLAPS: u64 = 25;
/// In so many of 100 rounds there is a failover at the end.
const FAIL_OVERS: u64 = 45;
/// Of these, so many of 100 lose what was acknowledged.
const LOSSY: u64 = 40;

/// How the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Three nodes on Postgres, NATS and a bucket.
    Clustered,
    /// One process with an SQLite file.
    Embedded,
}

/// What the person who runs it has decided.
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
    /// How long after the beginning of the load.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What happens.
    pub fault: Fault,
}

/// One round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the round, from 1.
    pub round: u64,
    /// How the server runs.
    pub kind: Kind,
    /// NATS servers.
    pub bus_servers: usize,
    /// Drawings.
    pub drawings: usize,
    /// Users who write, of whom the first owns all drawings.
    pub writers: usize,
    /// Users who follow a drawing live, of whom the last one loses their role.
    pub readers: usize,
    /// Users with the TypeScript client, who write and follow.
    pub scripts: usize,
    /// The node that runs the version before.
    pub previous: Option<NodeId>,
    /// When the last reader loses their role.
    pub revoked_at: Duration,
    /// What happens, by when it begins.
    pub faults: Vec<Planned>,
}

impl Plan {
    /// The plan of a round.
    #[must_use]
    pub fn new(seed: u64, round: u64, means: Means) -> Self {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(round));
        let kind = if round.is_multiple_of(EMBEDDED_EVERY) { Kind::Embedded } else { Kind::Clustered };
        let bus_servers = if random.percent(50) { 3 } else { 1 };
        // What is drawn does not depend on what there is, so that the rest of the plan stays the same.
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
        plan.faults = faults(&plan, means, &mut random);
        if !plan.is_lossless() {
            // What is lost with the primary may be that somebody has lost their role.
            let last = plan.faults.last().map(|planned| planned.at).unwrap_or_default();
            plan.revoked_at = last + CALM;
        }
        plan
    }

    /// The same without all faults but these.
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

    /// Nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        if self.kind == Kind::Clustered { NODES } else { 1 }
    }

    /// How long the load lasts.
    #[must_use]
    pub fn load(&self) -> Duration {
        let last = self.faults.iter().map(|planned| planned.at + planned.lasts).max();
        last.unwrap_or_default().max(self.revoked_at) + CALM
    }

    /// Whether nothing that was acknowledged may be lost.
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        !self.faults.iter().any(|planned| planned.fault == Fault::FailOver(Standby::Asynchronous))
    }

    /// Whether the tables are on a small disk: then it can be filled.
    #[must_use]
    pub fn has_small_disk(&self) -> bool {
        self.faults.iter().any(|planned| planned.fault == Fault::FullDisk)
    }

    /// Whether the clock of a node is set wrong in this round.
    #[must_use]
    pub fn has_wrong_clock(&self, node: NodeId) -> bool {
        self.faults.iter().any(|planned| matches!(planned.fault, Fault::Clock(wrong, _) if wrong == node))
    }
}

fn faults(plan: &Plan, means: Means, random: &mut Random) -> Vec<Planned> {
    let mut faults: Vec<Planned> = Vec::new();
    let mut at = Duration::from_millis(random.between(FIRST_FAULT_MS.0, FIRST_FAULT_MS.1));
    while faults.len() < FAULTS && at < LAST_FAULT {
        let fault = pick(plan, random);
        let lasts = Duration::from_millis(random.between(LASTS_MS.0, LASTS_MS.1));
        let lasts = if fault.is_momentary() { Duration::ZERO } else { lasts };
        let number = faults.len();
        if faults.iter().any(|before| conflict(before, fault, at)) {
            at += Duration::from_millis(200);
            continue;
        }
        faults.push(Planned { number, at, lasts, fault });
        at += if random.percent(OVERLAPS) {
            lasts / 2
        } else {
            lasts + Duration::from_millis(random.between(PAUSE_MS.0, PAUSE_MS.1))
        };
    }
    if plan.kind == Kind::Clustered && random.percent(FAIL_OVERS) {
        let lossy = random.percent(LOSSY);
        let fault = Fault::FailOver(if lossy { Standby::Asynchronous } else { Standby::Synchronous });
        let over = faults.iter().map(|planned| planned.at + planned.lasts).max().unwrap_or_default();
        let at = over + Duration::from_millis(random.between(PAUSE_MS.0, PAUSE_MS.1));
        faults.push(Planned { number: faults.len(), at, lasts: Duration::ZERO, fault });
    }
    // Left out in the end, so that all else stays the same.
    faults.retain(|planned| means.has_faketime || !matches!(planned.fault, Fault::Clock(..)));
    faults
}

/// Whether a fault that begins now would act upon something to which another one still happens.
fn conflict(before: &Planned, fault: Fault, at: Duration) -> bool {
    before.at + before.lasts + Duration::from_millis(300) > at && before.fault.target() == fault.target()
}

fn pick(plan: &Plan, random: &mut Random) -> Fault {
    let node = random.index(plan.nodes());
    let seconds = [-30, -12, 12, 30][random.index(4)];
    let is_clustered = plan.kind == Kind::Clustered;
    match random.between(0, 99) {
        0..10 => Fault::Kill(node),
        10..16 => Fault::Freeze(node),
        16..22 => Fault::Terminate(node),
        22..27 => Fault::Descriptors(node),
        27..32 => Fault::Clock(node, seconds),
        32..36 => Fault::RotateKeys,
        36..41 => Fault::DropClients,
        41..47 => Fault::FullDisk,
        47..52 if is_clustered => Fault::RestartFast,
        52..58 if is_clustered => Fault::RestartImmediate,
        58..61 if is_clustered => Fault::FreezeStore,
        61..64 if is_clustered => Fault::EndSessions,
        64..68 if is_clustered => Fault::KillBus(random.index(plan.bus_servers)),
        _ => link(plan, node, random),
    }
}

fn link(plan: &Plan, node: NodeId, random: &mut Random) -> Fault {
    let link = match (plan.kind, random.between(0, 9)) {
        (Kind::Embedded, 9) => Link::Keys(node),
        (Kind::Embedded, _) | (_, 0..2) => Link::Clients(node),
        (_, 2..5) => Link::Store(node),
        (_, 5..7) => Link::Bus(node),
        (_, 7) => Link::Blobs(node),
        (_, 8) => Link::Keys(node),
        _ if random.percent(50) => Link::Standby(Standby::Synchronous),
        _ => Link::Standby(Standby::Asynchronous),
    };
    let way = if random.percent(50) { Way::ToServer } else { Way::ToClient };
    let trouble = match random.between(0, 9) {
        0..3 => Trouble::Cut,
        3 => Trouble::Hang,
        4..6 => Trouble::HalfOpen(way),
        6..8 => Trouble::Slow(random.between(20, 400)),
        8 => Trouble::Narrow(u32::try_from(random.between(2_000, 30_000)).unwrap_or(2_000)),
        _ => Trouble::Reset,
    };
    Fault::Link(link, trouble)
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
        write!(f, "    {:>6.1}         a reader loses their role", self.revoked_at.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Means = Means { has_previous: true, has_faketime: true, has_node: true };

    #[test]
    fn the_same_seed_and_round_are_the_same_plan_and_others_another_one() {
        let plan = Plan::new(7, 3, ALL);
        assert_eq!(plan, Plan::new(7, 3, ALL));
        assert_ne!(plan.faults, Plan::new(7, 2, ALL).faults);
        assert_ne!(plan.faults, Plan::new(8, 3, ALL).faults);
    }

    #[test]
    fn faults_that_overlap_act_upon_different_things_and_a_failover_comes_last() {
        for round in 1..500 {
            let plan = Plan::new(1, round, ALL);
            assert!((3..=FAULTS + 1).contains(&plan.faults.len()), "{plan}");
            for (nth, late) in plan.faults.iter().enumerate() {
                assert!(late.number == nth && late.at >= Duration::from_secs(1), "{plan}");
                for early in &plan.faults[..nth] {
                    let is_over = early.at + early.lasts <= late.at;
                    assert!(is_over || early.fault.target() != late.fault.target(), "{plan}");
                }
                if matches!(late.fault, Fault::FailOver(_)) {
                    assert_eq!(nth + 1, plan.faults.len(), "{plan}");
                }
            }
            assert!(plan.load() < Duration::from_secs(20), "{plan}");
        }
    }

    #[test]
    fn what_an_embedded_server_has_not_does_not_fail_in_it() {
        for round in (EMBEDDED_EVERY..200).step_by(4) {
            let plan = Plan::new(2, round, ALL);
            assert_eq!((plan.kind, plan.nodes(), plan.previous), (Kind::Embedded, 1, None));
            for Planned { fault, .. } in plan.faults {
                let is_fit = match fault {
                    Fault::Link(link, _) => matches!(link, Link::Clients(0) | Link::Keys(0)),
                    Fault::KillBus(_) | Fault::FailOver(_) | Fault::RestartFast => false,
                    Fault::RestartImmediate | Fault::FreezeStore | Fault::EndSessions => false,
                    _ => true,
                };
                assert!(is_fit, "{fault}");
            }
        }
    }

    #[test]
    fn without_the_means_a_fault_is_left_out() {
        for round in 1..100 {
            let plan = Plan::new(3, round, Means::default());
            let is_clock = |planned: &Planned| matches!(planned.fault, Fault::Clock(..));
            assert!(!plan.faults.iter().any(is_clock) && plan.previous.is_none() && plan.scripts == 0);
            let others = Plan::new(3, round, ALL).faults.into_iter().filter(|planned| !is_clock(planned));
            assert!(others.eq(plan.faults), "the others stay as they are");
        }
    }

    #[test]
    fn a_fault_that_is_left_out_leaves_the_others_as_they_were() {
        let plan = Plan::new(1, 1, ALL);
        let fewer = plan.only(&[0, 2]);
        assert_eq!(fewer.numbers(), [0, 2]);
        assert_eq!(fewer.faults[1], plan.faults[2]);
    }
}
