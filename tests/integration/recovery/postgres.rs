//! A server on Postgres through each outage of that. G11 of the contract.

use loadtest::{
    proxy::Proxy,
    services::{Durability, Postgres, PostgresPair, Replication, execute},
};

use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::{
    recovery::setup::{Expected, Trial},
    support::{eventually, program::Serving},
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
async fn g11_a_node_that_does_not_write_is_degraded_and_not_unavailable() {
    let postgres = Postgres::start(Durability::Process).unwrap();
    let url = postgres.create_database().unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let server = Serving::start(&["--database-url", &url, "--roles", "gateway"]).await;
    execute(&url, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).unwrap();
    postgres.kill_sessions(&url).unwrap();
    eventually("it is told", async || {
        let answer = reqwest::get(format!("{}/readyz", server.base)).await.unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = answer.json().await.unwrap();
        assert!(body["status"] == "degraded" || body["status"] == "ready", "{body}");
        (body["reason"] == "the database is read-only" && body["store"] == false).then_some(())
    })
    .await;
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
        trial.recover().await;
    }
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
async fn g11_a_server_out_of_reach_is_used_again_when_it_is_back() {
    let postgres = Postgres::start(Durability::Process).unwrap();
    let url = postgres.create_database().unwrap();
    let link = Proxy::start(postgres.port).await.unwrap();
    let mut trial = Trial::start(&["--database-url", &through(&url, &postgres, &link)]).await;
    // Nothing comes back, and nothing breaks.
    link.hold();
    let expected = Expected { reasons: &NO_ANSWER, reads_go_on: false };
    trial.live_through(&expected, async || link.restore()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_sessions_that_lead_nowhere_are_left_for_a_server_that_answers() {
    let postgres = Postgres::start(Durability::Process).unwrap();
    let url = postgres.create_database().unwrap();
    let link = Proxy::start(postgres.port).await.unwrap();
    let mut trial = Trial::start(&["--database-url", &through(&url, &postgres, &link)]).await;
    link.hold();
    trial.write_until(503).await;
    // As a virtual address that moves: those that were open stay silent, new ones are served.
    link.serve_new();
    trial.recover().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_commits_that_wait_for_a_standby_leave_sessions_to_reads() {
    let pair = PostgresPair::start(Replication::Synchronous).await.unwrap();
    let mut trial = Trial::start(&["--database-url", &pair.url(), "--database-connections", "4"]).await;
    pair.part().await.unwrap();
    let expected = Expected { reasons: &["the database does not answer in time"], reads_go_on: true };
    trial.live_through(&expected, async || pair.rejoin().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_a_pool_that_was_exhausted_serves_again() {
    let postgres = Postgres::start(Durability::Process).unwrap();
    let url = postgres.create_database().unwrap();
    let mut trial = Trial::start(&["--database-url", &url, "--database-connections", "2"]).await;
    // Writers of a drawing wait for the lock, and they take all places while they wait.
    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT FROM heads FOR UPDATE; SELECT FROM drawings FOR UPDATE; LOCK write_probe")
        .execute(&mut other)
        .await
        .unwrap();
    let expected = Expected { reasons: &NO_ANSWER, reads_go_on: false };
    let end = async || {
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    };
    trial.live_through_noisily(&expected, end).await;
}

/// The same database through a proxy.
fn through(url: &str, postgres: &Postgres, link: &Proxy) -> String {
    url.replace(&postgres.port.to_string(), &link.port.to_string())
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
    pair.promote().await.unwrap();
    trial.recover().await;
    assert_eq!(trial.server.count("the store takes no writes"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_a_host_that_fell_silent_is_left_for_the_one_that_was_promoted() {
    let mut pair = PostgresPair::start(Replication::Asynchronous).await.unwrap();
    let url = pair.both_urls().unwrap();
    let mut trial = Trial::start(&["--database-url", &url]).await;
    pair.catch_up().await.unwrap();
    pair.freeze_primary().unwrap();
    trial.write_until(503).await;
    pair.promote_beside_frozen().await.unwrap();
    trial.recover().await;
}
