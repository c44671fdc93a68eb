//! Draws the faults of a round, and their times.

use std::{collections::VecDeque, time::Duration};

use loadtest::{proxy::Way, services::Standby};
use revcast_checker::generate::random::Random;

use super::{Kind, Means, Plan, Planned};
use crate::fault::{Fault, Link, NodeId, Target, Trouble};

/// Most faults of a round.
pub(super) const FAULTS: usize = 7;
/// The earliest and the latest time of the first fault, in milliseconds.
const FIRST_FAULT_MS: (u64, u64) = (1_200, 2_000);
/// The latest time at which the last fault begins.
const LAST_FAULT: Duration = Duration::from_secs(11);
/// The shortest and the longest duration of a fault, in milliseconds.
const LASTS_MS: (u64, u64) = (400, 2_500);
/// The pause between two faults that do not overlap, in milliseconds.
const PAUSE_MS: (u64, u64) = (300, 1_500);
/// In so many of 100 cases a fault begins while the one before lasts.
const OVERLAPS: u64 = 25;
/// In so many of 100 rounds there is a failover at the end.
const FAIL_OVERS: u64 = 45;
/// In so many of 100 such rounds the failover loses what was acknowledged.
const LOSSY: u64 = 40;
/// In so many of 100 rounds the issuer takes a key at the end that nobody has seen.
const REPLACED: u64 = 50;
/// The time after which a node may read the issuer's keys again: no sooner than the server does (10 s).
pub(super) const KEYS_REST: Duration = Duration::from_millis(10_500);

pub(super) fn faults(plan: &Plan, means: Means, certain: &[Fault], random: &mut Random) -> Vec<Planned> {
    let mut faults: Vec<Planned> = Vec::new();
    let mut at = Duration::from_millis(random.between(FIRST_FAULT_MS.0, FIRST_FAULT_MS.1));
    let comes_last = |fault: &Fault| matches!(fault, Fault::FailOver(_) | Fault::ReplaceKeys);
    let mut first: VecDeque<Fault> = certain.iter().copied().filter(|fault| !comes_last(fault)).collect();
    let is_replaced = certain.contains(&Fault::ReplaceKeys);
    while faults.len() < FAULTS && at < LAST_FAULT {
        let fault = first.front().copied().unwrap_or_else(|| pick(plan, random));
        let lasts = Duration::from_millis(random.between(LASTS_MS.0, LASTS_MS.1));
        let lasts = if fault.is_momentary() { Duration::ZERO } else { lasts };
        let number = faults.len();
        let is_in_the_way = is_replaced && (reads_keys(fault) || fault == Fault::RotateKeys);
        if is_in_the_way || faults.iter().any(|before| conflict(before, fault, at)) {
            at += Duration::from_millis(200);
            continue;
        }
        first.pop_front();
        faults.push(Planned { number, at, lasts, fault });
        at += if random.percent(OVERLAPS) {
            lasts / 2
        } else {
            lasts + Duration::from_millis(random.between(PAUSE_MS.0, PAUSE_MS.1))
        };
    }
    if is_replaced || random.percent(REPLACED) {
        let at = after(&faults, random).max(KEYS_REST);
        let are_fresh = |planned: &Planned| {
            reads_keys(planned.fault) && planned.at + planned.lasts + KEYS_REST > at
                || planned.fault == Fault::RotateKeys
        };
        if !faults.iter().any(are_fresh) {
            let number = faults.len();
            faults.push(Planned { number, at, lasts: Duration::ZERO, fault: Fault::ReplaceKeys });
        }
    }
    let is_lossy = random.percent(LOSSY);
    let standby = if is_lossy { Standby::Asynchronous } else { Standby::Synchronous };
    let drawn = Some(Fault::FailOver(standby)).filter(|_| random.percent(FAIL_OVERS));
    let wanted = certain.iter().copied().find(|fault| matches!(fault, Fault::FailOver(_)));
    if let Some(fault) = wanted.or(drawn)
        && plan.kind == Kind::Clustered
    {
        let (number, at) = (faults.len(), after(&faults, random));
        faults.push(Planned { number, at, lasts: Duration::ZERO, fault });
    }
    // Left out in the end, so that all else stays the same.
    faults.retain(|planned| means.has_faketime || !matches!(planned.fault, Fault::Clock(..)));
    faults
}

/// A moment after all of them.
fn after(faults: &[Planned], random: &mut Random) -> Duration {
    let over = faults.iter().map(|planned| planned.at + planned.lasts).max().unwrap_or_default();
    over + Duration::from_millis(random.between(PAUSE_MS.0, PAUSE_MS.1))
}

/// True if a node reads the issuer's keys in the course of a fault.
pub(super) fn reads_keys(fault: Fault) -> bool {
    matches!(fault, Fault::Kill(_) | Fault::Terminate(_))
}

/// True if a fault that begins now would act upon something that another fault still harms. A round changes its keys
/// only once: a node that has just read them does not read them again.
fn conflict(before: &Planned, fault: Fault, at: Duration) -> bool {
    let is_over =
        before.at + before.lasts + Duration::from_millis(300) <= at && fault.target() != Target::Issuer;
    !is_over && before.fault.target() == fault.target()
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
