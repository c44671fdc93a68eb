//! Rounds against real servers: a good one, and one that has to fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there and then")]

use std::{path::Path, time::Duration};

use loadtest::services::TempFolder;
use revcast_chaos::{
    cluster::{Programs, Sabotage},
    fault::Fault,
    plan::{Means, Plan, Planned},
    round::{self, Outcome},
};

/// A round of the seed 1 with this number and these faults alone, each for half a second.
async fn round(number: u64, faults: &[Fault], sabotage: Sabotage) -> Outcome {
    let binary = Path::new(env!("CARGO_BIN_EXE_revcast-chaos")).with_file_name("revcast");
    assert!(binary.exists(), "build the server first: cargo test --workspace does");
    let programs = Programs { revcast: binary, previous: None, faketime: None, script: None };
    let mut plan = Plan::new(1, number, Means::default());
    plan.revoked_at = Duration::from_millis(1_500);
    let planned = |(number, &fault)| {
        let at = Duration::from_millis(2_000 + 1_500 * number as u64);
        Planned { number, at, lasts: Duration::from_millis(500), fault }
    };
    plan.faults = faults.iter().enumerate().map(planned).collect();
    let folder = TempFolder::new("round").unwrap();
    round::run(&plan, &programs, sabotage, &folder.path().join("round")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_keeps_what_it_has_acknowledged() {
    let outcome = round(4, &[Fault::Kill(0)], Sabotage::None).await;
    assert_eq!(outcome.findings, Vec::<String>::new(), "{}", outcome.verdict);
    assert!(outcome.ops > 20 && outcome.events > 100, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_forgets_what_it_has_acknowledged_fails_a_round() {
    let outcome = round(1, &[Fault::RestartImmediate], Sabotage::ForgetfulStore).await;
    assert!(outcome.findings.iter().any(|finding| finding.starts_with("ack_kept: ")), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ops_that_are_kept_from_a_reader_fail_a_round() {
    let outcome = round(4, &[], Sabotage::SwallowedFrames).await;
    assert!(outcome.findings.iter().any(|finding| finding.starts_with("live_order: ")), "{outcome:?}");
}
