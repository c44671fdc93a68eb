//! Rounds against real servers: a good one, and one that has to fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there and then")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use loadtest::services::TempFolder;
use revcast_chaos::{
    cluster::{Programs, Sabotage},
    fault::Fault,
    plan::{Means, Plan, Planned},
    round::{self, Outcome},
    run::Run,
    state::State,
};

fn programs() -> Programs {
    let binary = Path::new(env!("CARGO_BIN_EXE_revcast-chaos")).with_file_name("revcast");
    assert!(binary.exists(), "build the server first: cargo test --workspace does");
    Programs { revcast: binary, previous: None, faketime: None, script: None }
}

/// A round of the seed 1 with this number and these faults alone, each for half a second.
async fn round(number: u64, faults: &[Fault], sabotage: Sabotage) -> Outcome {
    let mut plan = Plan::new(1, number, Means::default());
    plan.revoked_at = Duration::from_millis(1_500);
    let planned = |(number, &fault)| {
        let at = Duration::from_millis(2_000 + 1_500 * number as u64);
        Planned { number, at, lasts: Duration::from_millis(500), fault }
    };
    plan.faults = faults.iter().enumerate().map(planned).collect();
    let folder = TempFolder::new("round").unwrap();
    round::run(&plan, &programs(), sabotage, &folder.path().join("round")).await.unwrap()
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ops_that_reach_a_reader_late_fail_a_round() {
    let outcome = round(4, &[], Sabotage::HeldFrames).await;
    assert!(outcome.findings.iter().any(|finding| finding.starts_with("live_in_time: ")), "{outcome:?}");
}

/// The faults of [`brief`], of which the second one is to blame.
const FAULTS: [Fault; 2] = [Fault::RotateKeys, Fault::DropClients];

/// A round of the embedded server that is over soon.
fn brief(round: u64) -> Plan {
    let mut plan = Plan::new(1, 4, Means::default());
    (plan.round, plan.revoked_at) = (round, Duration::from_millis(500));
    let planned = |(number, &fault)| {
        let at = Duration::from_millis(400 + 300 * number as u64);
        Planned { number, at, lasts: Duration::from_millis(200), fault }
    };
    plan.faults = FAULTS.iter().enumerate().map(planned).collect();
    plan
}

fn run(folder: &Path, rounds: u64, sabotage: Sabotage) -> Run {
    Run {
        seed: 1,
        rounds,
        list: None,
        shrink: 3,
        programs: programs(),
        sabotage,
        folder: folder.to_owned(),
        plans: Some(brief),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_round_that_fails_is_made_smaller_until_only_the_fault_is_left_that_is_to_blame() {
    let folder = TempFolder::new("fewer").unwrap();
    let run = run(folder.path(), 1, Sabotage::SwallowedAfter(FAULTS[1]));
    assert_eq!(run.with_fewer(&brief(1)).await.unwrap(), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_that_was_broken_off_goes_on_and_remembers_what_failed() {
    let folder = TempFolder::new("resumed").unwrap();
    let doctored = Run { shrink: 0, ..run(folder.path(), 2, Sabotage::SwallowedFrames) };
    let rounds = folder.path().join("1/rounds.ndjson");
    let begun = [rounds.clone(), folder.path().join("1/2/history/writer0.ndjson")];
    tokio::select! {
        _ = doctored.all(false) => panic!("it was to be broken off"),
        () = appears(&begun) => (),
    }
    let before = fs::read_to_string(&rounds).unwrap();
    assert_eq!(before.lines().count(), 1);
    // The second round is good; the first one has failed, and stays so.
    assert!(!run(folder.path(), 2, Sabotage::None).all(true).await.unwrap());
    assert!(fs::read_to_string(&rounds).unwrap().starts_with(&before));
    let done = State::open(folder.path(), 1, true).unwrap().done().unwrap();
    let done: Vec<_> = done.iter().map(|done| (done.round, done.is_good)).collect();
    assert_eq!(done, [(1, false), (2, true)], "{}", fs::read_to_string(&rounds).unwrap());
}

/// Waits until all of these files are there.
async fn appears(paths: &[PathBuf]) {
    while !paths.iter().all(|path| path.exists()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
