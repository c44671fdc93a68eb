//! The verdict on a round: that of the checker, and that of checks which need to know when faults happened.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use revcast_checker::{Options, judge};
use serde::{Deserialize, Serialize};

use crate::{
    account::{Account, Acknowledged, Position, files},
    answers::{self, REVOCATION},
    check::{self, Check},
    delivery,
    fault::{Fault, Happened},
    plan::Plan,
};

/// The time for which a fault is felt after its end, in nanoseconds.
const AFTER_A_FAULT: i64 = 1_000_000_000;
/// Checks that have something to examine in each round, however short.
const ALWAYS: [&str; 18] = [
    "log_contiguous",
    "log_unique",
    "log_sourced",
    "ack_kept",
    "conflict_refused",
    "request_whole",
    "real_time_order",
    "page_whole",
    "page_equals_log",
    "read_your_writes",
    "live_order",
    "live_equals_log",
    "live_in_time",
    "role_required",
    "role_revoked",
    "role_lost",
    "stays_alive",
    "ready_in_time",
];
/// Checks that have something to examine where the TypeScript clients take part, whose reducer draws each picture
/// once more.
const WITH_SCRIPTS: [&str; 2] = ["picture_equal", "undo_whole"];

/// The outcome of a round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The faults that were found; none, if all is well.
    pub findings: Vec<String>,
    /// Events of the history.
    pub events: u64,
    /// Ops in the logs.
    pub ops: u64,
    /// Requests of which nobody knows what became of them.
    pub unanswered: u64,
    /// The time from the last fault until all nodes were ready, in milliseconds.
    pub recovery_ms: u64,
    /// The number of things that each check has examined.
    #[serde(default)]
    pub examined: BTreeMap<String, u64>,
    /// The verdict of the checker, in full.
    #[serde(skip)]
    pub verdict: String,
}

/// The facts that a round knows and its history does not tell. Times are by the clock that all share, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// The plan of the round.
    pub(crate) plan: &'a Plan,
    /// The faults that have happened, and when.
    pub(crate) happened: &'a [Happened],
    /// The time before which nothing that was acknowledged may be lost.
    pub(crate) kept_until: Option<i64>,
    /// All is well again from then on.
    pub(crate) calm_from: Option<i64>,
    /// The checks that were made already.
    pub(crate) checks: Vec<Check>,
}

/// Judges the history in a folder, and adds what comes of that.
///
/// # Errors
/// When a line is not as documented.
pub(crate) fn judge_history(folder: &Path, facts: Facts<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let (paths, account) = (files(folder)?, Account::read(folder)?);
    let grace = (REVOCATION + held_up(&account, facts.happened)) / 1_000_000;
    let verdict = judge(&paths, Options::with_grace_ms(u32::try_from(grace).unwrap_or(u32::MAX)))?;
    let told = verdict.findings.iter().map(|finding| format!("{}: {}", finding.check, finding.text));
    outcome.findings.extend(told);
    outcome.findings.extend(facts.kept_until.into_iter().flat_map(|until| lost_before(&account, until)));
    let mut checks = facts.checks;
    checks.push(delivery::in_time(&account, facts.happened));
    checks.push(answers::role_lost(&account));
    checks.push(answers::asked_again(&account, facts.calm_from));
    outcome.findings.extend(checks.iter().flat_map(Check::findings));
    outcome.events = verdict.input.events;
    outcome.unanswered = account.unanswered;
    outcome.examined = verdict.tallies.iter().map(|tally| (tally.check.to_owned(), tally.examined)).collect();
    outcome.examined.extend(checks.iter().map(|check| (check.name.to_owned(), check.examined)));
    outcome.verdict = format!("{}\n{}", check::table(&checks), verdict.table());
    let missing = unexamined(facts.plan, &outcome.examined);
    outcome.findings.extend(missing.map(|name| format!("{name}: nothing was examined")));
    Ok(())
}

/// Checks that have examined nothing although they must have had something to examine.
fn unexamined(plan: &Plan, examined: &BTreeMap<String, u64>) -> impl Iterator<Item = &'static str> {
    let mut wanted = ALWAYS.to_vec();
    if plan.scripts > 0 {
        wanted.extend(WITH_SCRIPTS);
    }
    if plan.has(|fault| matches!(fault, Fault::FailOver(_))) {
        wanted.push("lineage_equal");
    }
    if plan.has(|fault| fault == Fault::ReplaceKeys) {
        wanted.push("keys_read");
    }
    wanted.into_iter().filter(|name| examined.get(*name).is_none_or(|count| *count == 0))
}

/// The revisions of each drawing at which somebody has seen a picture of it, as far as they lie on its log.
///
/// # Errors
/// When the history cannot be read.
pub(crate) fn pictures(folder: &Path) -> anyhow::Result<HashMap<String, Vec<u64>>> {
    Ok(Account::read(folder)?.pictures())
}

/// The longest time for which the news of a revoked role may have been held up: that of the longest fault then.
fn held_up(account: &Account, happened: &[Happened]) -> i64 {
    let roles = || account.revoked.values();
    let Some(begun) = roles().map(|role| role.from).min() else { return 0 };
    let done = roles().map(|role| role.by.unwrap_or(i64::MAX)).max().unwrap_or(i64::MAX);
    let is_of_that_time = |Happened { fault, from, to }: &&Happened| {
        fault.delays_delivery()
            && *from <= done.saturating_add(AFTER_A_FAULT)
            && to.saturating_add(AFTER_A_FAULT) >= begun
    };
    happened.iter().filter(is_of_that_time).map(|fault| fault.to - fault.from).max().unwrap_or_default()
}

/// The ops that were acknowledged before a time, and are lost nevertheless.
fn lost_before(account: &Account, until: i64) -> Vec<String> {
    let is_lost =
        |at: &Position| account.logs.get(&at.drawing).is_some_and(|log| !log.has(&at.epoch, at.revision));
    let lost = account.acknowledged.iter().filter(|answer| answer.by < until && is_lost(&answer.at));
    let word = |answer: &Acknowledged| {
        let Position { drawing, epoch, revision } = &answer.at;
        format!("revision {revision} of epoch {epoch} of {drawing} is lost, which the standby had")
    };
    lost.map(word).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{account::REVOKER, plan::Means};

    #[test]
    fn what_was_acknowledged_before_the_standby_was_cut_off_may_not_be_void() {
        let mut account = Account::default();
        account.take(&json!({"event": "client", "client": "a", "user": "a", "offset": 100, "error": 5}));
        for (id, (t, revision)) in [(10, 8), (20, 9), (30, 7)].into_iter().enumerate() {
            let results = json!([{"op_id": "x", "revision": revision, "duplicate": false}]);
            account.take(&json!({"event": "invoke", "client": "a", "t": 0, "drawing": "d", "id": id,
                "call": "append"}));
            account
                .take(&json!({"event": "ok", "client": "a", "t": t, "drawing": "d", "id": id, "epoch": "e1",
                "results": results}));
        }
        account
            .take(&json!({"event": "log", "drawing": "d", "epoch": "e2", "previous_epoch": "e1", "base": 7,
            "head": 12}));
        assert_eq!(lost_before(&account, 115), Vec::<String>::new());
        assert_eq!(lost_before(&account, 116).len(), 1);
        assert_eq!(lost_before(&account, 1_000).len(), 2);
    }

    #[test]
    fn only_a_fault_at_the_time_of_a_revocation_excuses_a_delay() {
        const SECOND: i64 = 1_000_000_000;
        let mut account = Account::default();
        let held_up = |account: &Account, from: i64, to: i64| {
            let happened = Happened { fault: Fault::FreezeStore, from: from * SECOND, to: to * SECOND };
            held_up(account, &[happened]) / SECOND
        };
        assert_eq!(held_up(&account, 0, 9), 0);
        account
            .take(&json!({"event": "invoke", "client": REVOKER, "t": 10 * SECOND, "drawing": "d", "id": 1,
            "call": "role", "user": "a"}));
        account.take(&json!({"event": "ok", "client": REVOKER, "t": 11 * SECOND, "drawing": "d", "id": 1}));
        let excused = [(5, 8), (7, 9), (12, 15), (13, 15)].map(|(from, to)| held_up(&account, from, to));
        assert_eq!(excused, [0, 2, 3, 0]);
    }

    #[test]
    fn a_round_whose_checks_have_examined_nothing_fails() {
        let plan = Plan::new(1, 1, Means::default());
        let mut examined: BTreeMap<_, _> = ALWAYS.iter().map(|name| ((*name).to_owned(), 1)).collect();
        examined.extend(["lineage_equal", "keys_read"].map(|name| (name.to_owned(), 1)));
        assert_eq!(unexamined(&plan, &examined).count(), 0);
        examined.insert("ack_kept".to_owned(), 0);
        examined.remove("live_order");
        assert_eq!(unexamined(&plan, &examined).collect::<Vec<_>>(), ["ack_kept", "live_order"]);
        assert!(unexamined(&plan, &BTreeMap::new()).count() >= ALWAYS.len());
    }
}
