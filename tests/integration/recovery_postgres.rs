//! A server on Postgres through each outage of that. G11 of the contract.

use loadtest::services::{Durability, Postgres, PostgresPair, Replication, execute};

use crate::{
    recovery_setup::{Expected, Trial},
    support::eventually,
};

const NO_ANSWER: [&str; 3] = [
    "the database does not answer in time",
    "no connection to the database can be had in time",
    "the connection to the database is broken",
];

#[tokio::test(flavor = "multi_thread")]
async fn g11_a_full_disk_of_postgres_ends_by_itself() {
    let (mut postgres, disk) = Postgres::start_on_small_disk(120).unwrap();
    let mut trial = Trial::start(&["--database-url", &postgres.create_database().unwrap()]).await;
    disk.fill().unwrap();
    let expected = Expected { reasons: &["the disk of the database is full"], reads_go_on: true };
    trial.live_through(&expected, async || disk.free().unwrap()).await;
    drop(trial);
    postgres.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_sessions_with_a_server_that_was_read_only_do_not_stay_so() {
    let postgres = Postgres::start(Durability::Process).unwrap();
    let url = postgres.create_database().unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let set = |value: &str| {
        // For sessions that begin from now on.
        let admin = postgres.url(postgres.port, "postgres");
        execute(&admin, &format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}"))
            .unwrap();
    };
    let mut trial = Trial::start(&["--database-url", &url]).await;
    set("on");
    postgres.kill_sessions(&url).unwrap();
    let expected = Expected { reasons: &["the database is read-only"], reads_go_on: true };
    trial.live_through(&expected, async || set("off")).await;
    // None of many writes meets a session of before.
    for _ in 0..50 {
        assert_eq!(trial.write().await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_a_server_with_too_many_connections_is_waited_for() {
    let postgres = Postgres::start(Durability::Process).unwrap();
    let url = postgres.create_database().unwrap();
    execute(&url, "CREATE ROLE app LOGIN; GRANT ALL ON SCHEMA public TO app").unwrap();
    let mut trial = Trial::start(&["--database-url", &url.replace("revcast@", "app@")]).await;
    execute(&url, "ALTER ROLE app CONNECTION LIMIT 0").unwrap();
    postgres.kill_sessions(&url).unwrap();
    let expected = Expected { reasons: &["the database has too many connections"], reads_go_on: false };
    trial
        .live_through(&expected, async || execute(&url, "ALTER ROLE app CONNECTION LIMIT -1").unwrap())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_killed_sessions_cost_nothing_but_a_retry() {
    let postgres = Postgres::start(Durability::Process).unwrap();
    let url = postgres.create_database().unwrap();
    let mut trial = Trial::start(&["--database-url", &url]).await;
    for _ in 0..5 {
        postgres.kill_sessions(&url).unwrap();
        trial.write_until(200).await;
        eventually("it is ready", async || (trial.readiness().await.0 == 200).then_some(())).await;
    }
    trial.check_log().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_a_server_that_froze_is_used_again_when_it_thaws() {
    let mut postgres = Postgres::start(Durability::Process).unwrap();
    let mut trial = Trial::start(&["--database-url", &postgres.create_database().unwrap()]).await;
    postgres.freeze().unwrap();
    let expected = Expected { reasons: &NO_ANSWER, reads_go_on: false };
    trial.live_through(&expected, async || postgres.thaw().unwrap()).await;
    drop(trial);
    postgres.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_of_several_hosts_the_one_that_takes_writes_is_used() {
    let mut pair = PostgresPair::start(Replication::Asynchronous).await.unwrap();
    let url = pair.both_urls().unwrap();
    // The standby stands first.
    let mut trial = Trial::start(&["--database-url", &url]).await;
    pair.catch_up().await.unwrap();
    pair.kill_primary().unwrap();
    trial.write_until(503).await;
    let (status, body) = trial.readiness().await;
    assert_eq!((status, &body["status"]), (503, &"unavailable".into()));
    // The standby gives what it has.
    trial.check_log().await;
    pair.promote().await.unwrap();
    trial.write_until(200).await;
    eventually("it is ready", async || (trial.readiness().await.0 == 200).then_some(())).await;
    trial.check_log().await;
    assert_eq!(trial.server.count("the store takes no writes"), 1);
}
