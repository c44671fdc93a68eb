//! Starting against a database that is not there, that is not fit, or in which this server has few rights.

use std::time::Duration;

use loadtest::services::{Durability, PgBouncer, Postgres, execute, free_port, pgbouncer_version};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{
    Client, LIFTED_LIMITS, eventually, new_database, new_id, op, program, program::Serving,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_port_is_told_within_five_seconds() {
    let url = format!("postgres://secret:secret@127.0.0.1:{}/db", free_port().unwrap());
    let mut child = program::spawn(&["serve", "--dev", "--database-url", &url, "--log-format", "json"]);
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let warning = async {
        loop {
            let line = output.next_line().await.unwrap().expect("a line");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["level"] == "WARN" {
                break line;
            }
        }
    };
    let line = tokio::time::timeout(Duration::from_secs(5), warning).await.expect("a line in time");
    assert_eq!(line["message"], "the database is not there yet; trying on");
    let text = line.to_string();
    assert!(text.contains("refused") && text.contains("127.0.0.1") && !text.contains("secret"), "{text}");
    child.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_read_and_write_rows_runs_a_server() {
    let owner = new_database();
    let role = format!("app_{}", new_id().replace('-', ""));
    execute(&owner, &format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA public TO {role}")).unwrap();
    let url = owner.replace("revcast@", &format!("{role}@"));

    // Without a schema it says what to do.
    let refused = program::run(&["migrate", "--database-url", &url]).await;
    assert!(!refused.succeeded && refused.stderr.contains("revcast migrate"), "{refused:?}");

    assert!(program::run(&["migrate", "--database-url", &owner]).await.succeeded);
    let grant = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}");
    execute(&owner, &grant).unwrap();
    let server = Serving::start(&[&LIFTED_LIMITS[..], &["--database-url", &url]].concat()).await;
    let alice = Client::new(&server.base, "alice").await;
    let drawing = alice.create_drawing().await;
    let create =
        json!({"op_id": new_id(), "type": "object.create", "object_id": "a", "kind": "rect", "props": {}});
    alice.commit(&drawing, &[create]).await.expect(200);
    alice.grant(&drawing, "bob", "editor").await;
    alice.post(&format!("/v1/drawings/{drawing}/undo"), &json!({})).await.expect(200);
    let ready = alice.get("/readyz").await.expect(200);
    assert_eq!(ready.json()["status"], "ready");
    assert!(program::run(&["new-epoch", "--database-url", &url]).await.succeeded);
    alice.commit(&drawing, &[op(2)]).await.expect(200);
    alice.delete(&format!("/v1/drawings/{drawing}")).await.expect(204);
    assert_eq!(server.lines("ERROR"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_while_a_server_starts_is_waited_for() {
    // Somebody stands in the way of the migrations, then of what is read after them, until the sessions of the server have
    // been ended.
    for (is_migrated, stand_in_the_way) in [
        (false, "SELECT pg_advisory_lock(x'7265766361737401'::bigint)"),
        (true, "BEGIN; LOCK TABLE meta IN ACCESS EXCLUSIVE MODE"),
    ] {
        let url = new_database();
        if is_migrated {
            assert!(program::run(&["migrate", "--database-url", &url]).await.succeeded);
        }
        let mut other = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(stand_in_the_way).execute(&mut other).await.unwrap();
        let starting = tokio::spawn({
            let url = url.clone();
            async move { Serving::start(&["--database-url", &url]).await }
        });
        eventually("the server waits", || async {
            let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let mut watcher = PgConnection::connect(&url).await.unwrap();
            let ended: i64 = sqlx::query_scalar(end).fetch_one(&mut watcher).await.unwrap();
            (ended > 0).then_some(())
        })
        .await;
        other.close().await.unwrap();
        let server = starting.await.unwrap();
        assert_eq!(server.count("the database has gone while this server starts"), 1);
        let alice = Client::new(&server.base, "alice").await;
        alice.get("/readyz").await.expect(200);
    }
}

/// The parameters of a session that PgBouncer has to let pass.
const IGNORED: &str = "ignore_startup_parameters = extra_float_digits, options";

#[tokio::test(flavor = "multi_thread")]
async fn behind_pgbouncer_with_sessions_a_server_works() {
    let postgres = Postgres::start(Durability::Process).unwrap();
    let url = postgres.create_database().unwrap();
    let bouncer = PgBouncer::start(postgres.port, &format!("pool_mode = session\n{IGNORED}")).unwrap();
    work_through(&url.replace(&postgres.port.to_string(), &bouncer.port.to_string())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_pgbouncer_that_gives_sessions_by_transaction_it_works_or_says_what_to_set() {
    let postgres = Postgres::start(Durability::Process).unwrap();
    let url = postgres.create_database().unwrap();
    let through = |settings: &str| {
        let bouncer =
            PgBouncer::start(postgres.port, &format!("pool_mode = transaction\n{settings}")).unwrap();
        let url = url.replace(&postgres.port.to_string(), &bouncer.port.to_string());
        (bouncer, url)
    };
    // With its parameters refused, and then without prepared statements.
    for (settings, word) in [("", "ignore_startup_parameters"), (IGNORED, "max_prepared_statements")] {
        let (_bouncer, url) = through(&format!("{settings}\n{}", without_statements()));
        let run = program::run(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database-url", &url]).await;
        let told = run.stdout.clone() + &run.stderr;
        assert!(!run.succeeded && told.contains(word) && told.contains("pool_mode"), "{run:?}");
    }
    if pgbouncer_version().unwrap() >= (1, 21) {
        let (_bouncer, url) =
            through(&format!("{IGNORED}\nmax_prepared_statements = 100\ndefault_pool_size = 3"));
        work_through(&url).await;
    }
}

/// From 1.21 on prepared statements are to be turned off.
fn without_statements() -> &'static str {
    if pgbouncer_version().unwrap() >= (1, 21) { "max_prepared_statements = 0" } else { "" }
}

/// A server on a database that is empty at first, with many at work at the same time.
async fn work_through(database_url: &str) {
    let server = Serving::start(&[&LIFTED_LIMITS[..], &["--database-url", database_url]].concat()).await;
    let alice = Client::new(&server.base, "alice").await;
    let works = (0..8_u64).map(|_| async {
        let drawing = alice.create_drawing().await;
        for x in 0..20 {
            let op = op(x);
            // Both ways into the log.
            alice.commit(&drawing, std::slice::from_ref(&op)).await.expect(200);
            alice.commit(&drawing, &[op]).await.expect(200);
        }
        assert_eq!(alice.read_all(&drawing, 0).await.len(), 20);
        alice.delete(&format!("/v1/drawings/{drawing}")).await.expect(204);
    });
    futures_util::future::join_all(works).await;
    alice.get("/readyz").await.expect(200);
    assert_eq!(server.lines("ERROR"), Vec::<Value>::new());
}
