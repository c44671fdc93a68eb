//! The checks that have to hold at the end of a run.

use std::collections::BTreeSet;

use loadtest::swarm::{Latency, Outcome, as_f64};

use crate::{
    ledger::{Audit, Faults, Log},
    measured::Measured,
    result::{Check, Totals},
    scenario::Scenario,
};

/// The facts that the checks look at.
pub(crate) struct Evidence<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) measured: &'a Measured,
    /// The reason why the load ended before its time.
    pub(crate) broken_off: Option<&'a str>,
    pub(crate) outcomes: &'a [Outcome],
    /// The reason why the readers did not say what they saw.
    pub(crate) silent: Option<&'a str>,
    /// The findings of holding answers against logs, and the logs; or why these could not be read again.
    pub(crate) audit: Result<&'a (Audit, Vec<Log>), &'a str>,
    pub(crate) expected: u64,
    pub(crate) delivery: Latency,
}

/// All promises: those that always hold, and those that the scenario asks for.
pub(crate) fn all(evidence: &Evidence<'_>, totals: &Totals) -> Vec<Check> {
    let measured = evidence.measured;
    let mut checks = vec![
        Check {
            name: "every op that was due is acknowledged".to_owned(),
            ok: evidence.broken_off.is_none()
                && measured.acknowledged + measured.nothing_to_undo == measured.offered
                && is_all_of_the_schedule(evidence)
                && measured.acknowledged > 0,
            detail: format!(
                "{} of {}, {} undos with nothing to undo{}",
                measured.acknowledged,
                measured.offered,
                measured.nothing_to_undo,
                evidence
                    .broken_off
                    .map(|why| format!("; the load was broken off: {why}"))
                    .unwrap_or_default(),
            ),
        },
        unbroken(evidence),
        complete(evidence, totals),
    ];
    match evidence.audit {
        Ok((audit, logs)) => checks.extend(held_against_the_logs(audit, logs, evidence.outcomes)),
        Err(why) => checks.push(Check {
            name: "the logs can be read again".to_owned(),
            ok: false,
            detail: why.to_owned(),
        }),
    }
    checks.extend(expectations(evidence, totals));
    checks
}

fn held_against_the_logs(audit: &Audit, logs: &[Log], outcomes: &[Outcome]) -> [Check; 4] {
    let acknowledged = match audit.found_unanswered {
        0 => format!("{} acknowledged ops", audit.acknowledged),
        found => format!("{} acknowledged ops, and {found} that got no answer", audit.acknowledged),
    };
    [
        free_of("acknowledged ops are in the log, at their revision", &audit.lost, &acknowledged),
        free_of("no op is in a log twice", &audit.doubled, &acknowledged),
        free_of("logs have no hole, and answers keep the order", &audit.disorder, &acknowledged),
        as_in_the_log(outcomes, logs),
    ]
}

/// True if as many ops were sent as were due: each writer may go beyond its share by a request.
fn is_all_of_the_schedule(evidence: &Evidence<'_>) -> bool {
    let Evidence { scenario, measured, .. } = evidence;
    let spare = as_f64((scenario.writers * scenario.ops_per_request) as u64);
    (as_f64(measured.offered) - scenario.total_ops()).abs() <= spare
}

fn free_of(name: &str, faults: &Faults, looked_at: &str) -> Check {
    let detail = match faults.count {
        0 => looked_at.to_owned(),
        count => format!("{count}, such as: {}", faults.told.join("; ")),
    };
    Check { name: name.to_owned(), ok: faults.count == 0, detail }
}

/// No reader saw a gap, a repeat or a step back, or lost its socket.
fn unbroken(evidence: &Evidence<'_>) -> Check {
    let failed: usize = evidence.outcomes.iter().map(|outcome| outcome.started.failed).sum();
    let told: Vec<&str> =
        evidence.outcomes.iter().flat_map(|outcome| &outcome.started.failures).map(String::as_str).collect();
    let detail = match (failed, evidence.silent) {
        (_, Some(why)) => why.to_owned(),
        (0, None) => format!("{} readers", evidence.scenario.readers),
        _ => format!("{failed} readers failed, such as: {}", told.join("; ")),
    };
    let ok = failed == 0 && evidence.silent.is_none();
    Check { name: "no reader saw a gap, a repeat or a step back".to_owned(), ok, detail }
}

/// Every reader got every op.
fn complete(evidence: &Evidence<'_>, totals: &Totals) -> Check {
    let is_complete = evidence.outcomes.iter().all(|outcome| outcome.complete_ms.is_some());
    // Those who were too slow, and may come again, have missed some by their own choice.
    let ok = is_complete && totals.delivered + totals.skipped >= evidence.expected;
    let late = if totals.rejoined > 0 {
        format!(
            "; {} times a reader was too slow and came again, without {} ops",
            totals.rejoined, totals.skipped
        )
    } else {
        String::new()
    };
    let detail =
        format!("{} of {} deliveries{late}", totals.delivered.min(evidence.expected), evidence.expected);
    Check { name: "every op reached every reader".to_owned(), ok, detail }
}

/// Checks that readers were told exactly what the log holds.
fn as_in_the_log(outcomes: &[Outcome], logs: &[Log]) -> Check {
    let (mut looked_at, mut wrong) = (0, BTreeSet::new());
    for outcome in outcomes {
        for (nth, digest) in
            (0..).zip(&outcome.digests).flat_map(|(nth, runs)| runs.iter().map(move |run| (nth, run)))
        {
            looked_at += digest.last - digest.first + 1;
            let held = logs.get(nth).and_then(|log: &Log| log.digest(digest.first, digest.last));
            if held != Some(*digest) {
                wrong.insert(nth);
            }
        }
    }
    let detail = match wrong.first() {
        None => format!("{looked_at} ops of {} logs", logs.len()),
        Some(first) => format!("{} drawings differ, such as number {first}", wrong.len()),
    };
    Check {
        name: "readers were told what the logs hold".to_owned(),
        ok: wrong.is_empty() && looked_at > 0,
        detail,
    }
}

fn expectations(evidence: &Evidence<'_>, totals: &Totals) -> Vec<Check> {
    let expect = &evidence.scenario.expect;
    let answer = Latency::from(&evidence.measured.answer);
    let delivery = &evidence.delivery;
    let below = |name: &str, wanted: Option<f64>, is: f64| {
        wanted.map(|wanted| Check {
            name: format!("{name} at most {wanted} ms"),
            // Where nothing was measured, nothing was kept.
            ok: is <= wanted && is > 0.0,
            detail: format!("{is:.2} ms, {:.0} % of it", is / wanted * 100.0),
        })
    };
    let above = |name: &str, wanted: Option<f64>, is: f64| {
        wanted.map(|wanted| Check {
            name: format!("{name} at least {wanted}"),
            ok: is >= wanted,
            detail: format!("{is:.0}, {:.0} % of it", is / wanted * 100.0),
        })
    };
    [
        below("op due → reader, p50", expect.delivery_p50_ms, delivery.p50),
        below("op due → reader, p99", expect.delivery_p99_ms, delivery.p99),
        below("request due → answer, p99", expect.answer_p99_ms, answer.p99),
        above("deliveries a second", expect.deliveries_per_second, totals.deliveries_per_second),
        above("bytes of ops delivered a second", expect.bytes_per_second, totals.bytes_per_second),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadtest::swarm::{Digest, Started};
    use uuid::Uuid;

    /// A run of one drawing with one op and one reader, of which `change` spoils something.
    fn failed(change: impl FnOnce(&mut Measured, &mut Audit, &mut Outcome, &mut Scenario)) -> Vec<String> {
        let id = Uuid::from_u128(1);
        let mut log = Log::default();
        log.push(1, id);
        let mut measured = Measured { offered: 1, acknowledged: 1, ..Measured::default() };
        let mut audit = Audit { acknowledged: 1, ..Audit::default() };
        let mut scenario = Scenario { readers: 1, ops_per_second: 0.1, ..Scenario::default() };
        let mut outcome = Outcome {
            ops: 1,
            complete_ms: Some(1.0),
            digests: vec![Vec::from_iter(Digest::of(1, std::iter::once(id)))],
            ..Outcome::default()
        };
        change(&mut measured, &mut audit, &mut outcome, &mut scenario);
        let totals = Totals {
            delivered: outcome.ops,
            rejoined: outcome.rejoined,
            skipped: outcome.skipped,
            ..Totals::default()
        };
        let audit = (audit, vec![log]);
        let outcomes = [outcome];
        let evidence = Evidence {
            scenario: &scenario,
            measured: &measured,
            broken_off: None,
            outcomes: &outcomes,
            silent: None,
            audit: Ok(&audit),
            expected: 1,
            delivery: Latency { count: 1, p50: 5.0, p99: 50.0, ..Latency::default() },
        };
        all(&evidence, &totals).into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn each_promise_fails_alone() {
        assert_eq!(failed(|_, _, _, _| ()), Vec::<String>::new());
        assert_eq!(
            failed(|measured, _, _, _| measured.offered = 2),
            ["every op that was due is acknowledged"]
        );
        assert_eq!(
            failed(|_, _, _, scenario| scenario.ops_per_second = 100.0),
            ["every op that was due is acknowledged"]
        );
        assert_eq!(
            failed(|_, audit, _, _| audit.lost.add(|| "x".to_owned())),
            ["acknowledged ops are in the log, at their revision"]
        );
        assert_eq!(
            failed(|_, audit, _, _| audit.doubled.add(|| "x".to_owned())),
            ["no op is in a log twice"]
        );
        assert_eq!(
            failed(|_, audit, _, _| audit.disorder.add(|| "x".to_owned())),
            ["logs have no hole, and answers keep the order"]
        );
        let broken = Started { failed: 1, ..Started::default() };
        assert_eq!(
            failed(|_, _, outcome, _| outcome.started = broken),
            ["no reader saw a gap, a repeat or a step back"]
        );
        assert_eq!(failed(|_, _, outcome, _| outcome.ops = 0), ["every op reached every reader"]);
        assert_eq!(failed(|_, _, outcome, _| outcome.complete_ms = None), ["every op reached every reader"]);
        assert_eq!(
            failed(|_, _, outcome, _| outcome.digests[0] =
                Vec::from_iter(Digest::of(1, std::iter::once(Uuid::nil())))),
            ["readers were told what the logs hold"]
        );
        assert_eq!(
            failed(|_, _, outcome, _| outcome.digests[0].clear()),
            ["readers were told what the logs hold"]
        );
        assert_eq!(
            failed(|_, _, _, scenario| scenario.expect.delivery_p99_ms = Some(49.0)),
            ["op due → reader, p99 at most 49 ms"]
        );
        assert_eq!(
            failed(|_, _, _, scenario| scenario.expect.delivery_p99_ms = Some(50.0)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_run_that_broke_off_or_left_no_logs_says_so() {
        let told = |audit: Result<&(Audit, Vec<Log>), &str>, broken_off| {
            let measured = Measured { acknowledged: 1, offered: 1, ..Measured::default() };
            let evidence = Evidence {
                scenario: &Scenario { ops_per_second: 0.1, ..Scenario::default() },
                measured: &measured,
                broken_off,
                outcomes: &[],
                silent: Some("the swarm has ended"),
                audit,
                expected: 1,
                delivery: Latency::default(),
            };
            let checks = all(&evidence, &Totals::default());
            checks.into_iter().map(|check| format!("{} {}: {}", check.ok, check.name, check.detail)).collect()
        };
        let lines: Vec<String> = told(Err("it is gone"), Some("no answer"));
        assert!(lines.contains(&"false the logs can be read again: it is gone".to_owned()), "{lines:?}");
        assert!(lines[0].starts_with("false ") && lines[0].ends_with("broken off: no answer"), "{lines:?}");
        assert!(lines[1].starts_with("false ") && lines[1].ends_with("the swarm has ended"), "{lines:?}");
        let audit = Audit { acknowledged: 1, found_unanswered: 2, ..Audit::default() };
        let lines: Vec<String> = told(Ok(&(audit, Vec::new())), None);
        assert!(
            lines.iter().any(|line| line.ends_with("1 acknowledged ops, and 2 that got no answer")),
            "{lines:?}"
        );
    }

    #[test]
    fn a_reader_that_may_come_again_may_miss_what_it_was_too_slow_for() {
        let slow = |skipped: u64| {
            failed(move |_, _, outcome, _| (outcome.ops, outcome.rejoined, outcome.skipped) = (0, 1, skipped))
        };
        assert_eq!(slow(1), Vec::<String>::new());
        assert_eq!(slow(0), ["every op reached every reader"]);
    }
}
