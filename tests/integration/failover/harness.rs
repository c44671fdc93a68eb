//! The pair of Postgres servers that the tests of failovers stand on, with SQL alone: an asynchronous standby lacks what
//! it was not sent, a synchronous one is waited for.

use loadtest::services::{PostgresPair, Replication};
use sqlx::{Connection, PgConnection};

use crate::support::eventually;

/// A pair, and a table in a database that is reached as servers reach theirs.
async fn setup(replication: Replication) -> (PostgresPair, String) {
    let pair = PostgresPair::start(replication).await.unwrap();
    let url = pair.url();
    run(&url, "CREATE TABLE numbers (n bigint)").await.unwrap();
    (pair, url)
}

/// Runs one statement on a connection of its own.
async fn run(url: &str, statement: &'static str) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(statement).execute(&mut connection).await.map(drop)
}

async fn numbers(url: &str) -> Vec<i64> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT n FROM numbers ORDER BY n").fetch_all(&mut connection).await.unwrap()
}

/// The timeline as the first eight digits of the name of a WAL file tell it.
async fn timeline(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asynchronous_standby_lacks_what_it_was_not_sent() {
    let (mut pair, url) = setup(Replication::Asynchronous).await;
    run(&url, "INSERT INTO numbers VALUES (1)").await.unwrap();
    pair.part().await.unwrap();
    run(&url, "INSERT INTO numbers VALUES (2)").await.unwrap();
    pair.rejoin().await.unwrap();
    pair.part().await.unwrap();
    run(&url, "INSERT INTO numbers VALUES (3)").await.unwrap();
    assert_eq!((numbers(&url).await, timeline(&url).await), (vec![1, 2, 3], "00000001".to_owned()));
    let mut open = PgConnection::connect(&url).await.unwrap();
    pair.fail_over().await.unwrap();
    open.ping().await.expect_err("the connection broke");
    // The same address leads to the new primary, which takes writes.
    assert_eq!((numbers(&url).await, timeline(&url).await), (vec![1, 2], "00000002".to_owned()));
    run(&url, "INSERT INTO numbers VALUES (4)").await.unwrap();
    // And once more.
    pair.add_standby().await.unwrap();
    pair.fail_over().await.unwrap();
    assert_eq!((numbers(&url).await, timeline(&url).await), (vec![1, 2, 4], "00000003".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_standby_is_waited_for() {
    let (mut pair, url) = setup(Replication::Synchronous).await;
    run(&url, "INSERT INTO numbers VALUES (1)").await.unwrap();
    pair.part().await.unwrap();
    let waiting = tokio::spawn({
        let url = url.clone();
        async move { run(&url, "INSERT INTO numbers VALUES (2)").await }
    });
    pair.wait_for_waiting_commit().await.unwrap();
    assert!(!waiting.is_finished());
    assert_eq!(numbers(&url).await, [1], "nobody sees what is not safe");
    pair.rejoin().await.unwrap();
    waiting.await.unwrap().unwrap();
    pair.fail_over().await.unwrap();
    assert_eq!(numbers(&url).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_switchover_loses_nothing_and_changes_the_timeline() {
    let (mut pair, url) = setup(Replication::Asynchronous).await;
    run(&url, "INSERT INTO numbers SELECT generate_series(1, 1000)").await.unwrap();
    pair.switch_over().await.unwrap();
    assert_eq!((numbers(&url).await.len(), timeline(&url).await), (1_000, "00000002".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_restarts_stays_on_its_timeline() {
    let (mut pair, url) = setup(Replication::Asynchronous).await;
    run(&url, "INSERT INTO numbers VALUES (1)").await.unwrap();
    pair.restart_primary().unwrap();
    eventually("the primary is back", || async { PgConnection::connect(&url).await.ok() }).await;
    assert_eq!((numbers(&url).await, timeline(&url).await), (vec![1], "00000001".to_owned()));
}
