//! A clock on live delivery: how long each op that was acknowledged takes to each reader who follows its drawing.
//!
//! The time in which a fault may hold up what a reader's node tells, and that in which the node recovers, does not count;
//! nor does that in which the reader does not follow, after which it counts anew.

use std::collections::HashMap;

use crate::{
    account::{Account, Acknowledged, Stretch},
    check::Check,
    fault::{Happened, Reach},
};

/// The time that an op may take, in nanoseconds: a heartbeat, which finds what the bus has lost (G5), 2 s, and 3 s on
/// a machine that does other things as well.
const IN_TIME: i64 = 6_000_000_000;
/// The time for which a fault is felt after it is over, in nanoseconds (G11).
const RECOVERY: i64 = 5_000_000_000;

/// Holds the histories of live readers against what was acknowledged.
pub(crate) fn in_time(account: &Account, happened: &[Happened]) -> Check {
    let rule = "a live reader gets an op within a heartbeat and 5 s that no fault excuses";
    let mut check = Check::new("live_in_time", rule);
    let mut by_drawing: HashMap<&str, Vec<&Acknowledged>> = HashMap::new();
    for acknowledged in &account.acknowledged {
        let at = &acknowledged.at;
        if account.logs.get(&at.drawing).is_some_and(|log| log.has(&at.epoch, at.revision)) {
            by_drawing.entry(&at.drawing).or_default().push(acknowledged);
        }
    }
    for stretch in &account.stretches {
        let excused = Excused::of(stretch, happened);
        // A user who has lost their role is told nothing more.
        let to = match account.revoked.get(&stretch.client) {
            Some(revoked) => stretch.to.min(revoked.from),
            None => stretch.to,
        };
        for acknowledged in by_drawing.get(stretch.drawing.as_str()).into_iter().flatten() {
            judge(stretch, acknowledged, &excused, to, &mut check);
        }
    }
    check
}

fn judge(stretch: &Stretch, acknowledged: &Acknowledged, excused: &Excused, to: i64, check: &mut Check) {
    let (begun, revision) = (acknowledged.by.max(stretch.from.0), acknowledged.at.revision);
    if revision <= stretch.from.1 || begun >= to {
        return;
    }
    let first = stretch.steps.partition_point(|(_, reached)| *reached < revision);
    let reached = stretch.steps.get(first).map(|(at, _)| *at).filter(|at| *at <= to);
    if !excused.has(begun) {
        check.examine();
    }
    let waited = excused.counted(begun, reached.unwrap_or(to));
    if waited > IN_TIME {
        let (op_id, drawing, client) = (&acknowledged.op_id, &stretch.drawing, &stretch.client);
        let came = if reached.is_some() { "came" } else { "had not come" };
        let node = stretch.node.map_or_else(String::new, |node| format!(" at node {node}"));
        let late = waited / 1_000_000;
        check.find(format!(
            "the op {op_id}, revision {revision} of {drawing}, {came} to {client}{node} after {late} ms"
        ));
    }
}

/// Times that do not count, one after the other.
#[derive(Debug)]
struct Excused(Vec<(i64, i64)>);

impl Excused {
    fn of(stretch: &Stretch, happened: &[Happened]) -> Self {
        let touches = |happened: &&Happened| {
            let reach = happened.fault.delays_ops();
            // Where it is not known at which node a reader is, it may be at any.
            stretch.node.map_or(reach != Reach::Nobody, |node| reach.has(node))
        };
        let windows = happened.iter().filter(touches);
        let mut windows: Vec<_> =
            windows.map(|Happened { from, to, .. }| (*from, to.saturating_add(RECOVERY))).collect();
        windows.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::new();
        for (from, to) in windows {
            match merged.last_mut().filter(|(_, last)| from <= *last) {
                Some((_, last)) => *last = to.max(*last),
                None => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    fn has(&self, time: i64) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&time))
    }

    /// The time from one moment to another, less what is excused.
    fn counted(&self, from: i64, to: i64) -> i64 {
        let excused = |(begun, over): &(i64, i64)| ((*over).min(to) - (*begun).max(from)).max(0);
        (to - from - self.0.iter().map(excused).sum::<i64>()).max(0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::{Fault, Link, Trouble};

    const SECOND: i64 = 1_000_000_000;

    /// A reader at node 1 follows from the first second on and gets the op 5, acknowledged after 2 s, when it is told.
    fn account(told: Option<i64>, over: i64) -> Account {
        let mut account = Account::default();
        for client in ["writer", "reader"] {
            account
                .take(&json!({"event": "client", "client": client, "user": client, "offset": 0, "error": 0}));
        }
        let mut live = |t: i64, kind: &str, revision: u64| {
            account.take(&json!({"event": "live", "client": "reader", "t": t * SECOND, "drawing": "d",
                "reader": "1@1", "type": kind, "revision": revision}));
        };
        live(1, "subscribed", 4);
        if let Some(told) = told {
            live(told, "ops", 5);
        }
        live(over, "closed", 0);
        account.take(&json!({"event": "invoke", "client": "writer", "t": SECOND, "drawing": "d", "id": 1,
            "call": "append", "ops": [{"op_id": "o"}]}));
        account.take(&json!({"event": "ok", "client": "writer", "t": 2 * SECOND, "drawing": "d", "id": 1,
            "epoch": "e", "results": [{"op_id": "o", "revision": 5, "duplicate": false}]}));
        account.take(&json!({"event": "log", "drawing": "d", "epoch": "e", "head": 5}));
        account
    }

    fn late(told: Option<i64>, over: i64, happened: &[(Fault, i64, i64)]) -> (u64, usize) {
        let happened: Vec<_> = happened
            .iter()
            .map(|&(fault, from, to)| Happened { fault, from: from * SECOND, to: to * SECOND })
            .collect();
        let check = in_time(&account(told, over), &happened);
        (check.examined, check.findings().len())
    }

    #[test]
    fn an_op_that_comes_late_or_never_is_a_finding() {
        assert_eq!(late(Some(3), 20, &[]), (1, 0));
        assert_eq!(late(Some(9), 20, &[]), (1, 1));
        assert_eq!(late(None, 20, &[]), (1, 1));
        // Whoever stops following is owed nothing.
        assert_eq!(late(None, 7, &[]), (1, 0));
    }

    #[test]
    fn faults_excuse_the_readers_of_the_nodes_that_they_touch() {
        let cut = |node| Fault::Link(Link::Store(node), Trouble::Cut);
        assert_eq!(late(Some(9), 20, &[(cut(1), 3, 4)]), (1, 0));
        assert_eq!(late(Some(9), 20, &[(cut(1), 1, 4)]), (0, 0));
        assert_eq!(late(Some(9), 20, &[(cut(0), 1, 4)]), (1, 1));
        assert_eq!(late(Some(9), 20, &[(Fault::FreezeStore, 3, 4)]), (1, 0));
        assert_eq!(late(Some(9), 20, &[(Fault::KillBus(0), 3, 4)]), (1, 1));
        // They overlap: 3 to 10 does not count, and 2 to 3 and 10 to 16 does.
        assert_eq!(late(Some(16), 20, &[(cut(1), 3, 4), (cut(1), 4, 5)]), (1, 1));
        assert_eq!(late(Some(15), 20, &[(cut(1), 3, 4), (cut(1), 4, 5)]), (1, 0));
    }
}
