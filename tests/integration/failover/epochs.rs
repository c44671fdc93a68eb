//! When an epoch ends and when it does not: after a backup was restored, after a restart, and where Postgres does not tell
//! its timeline.

use loadtest::services::{Durability, Postgres, Replication, dump_database, restore_database};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    failover::setup::{
        Lineage, commit_patiently, expect_good, expect_refused, lineage, page_after, pair, read_patiently,
    },
    support::{App, Logs, new_database, op, program, revisions},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_after_a_restored_backup_refuses_every_older_position() {
    let mut app = App::postgres().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 5).await;
    let old = lineage(&alice, &drawing).await;
    assert_eq!(old.before, None);
    let dump = dump_database(&app.database_url).unwrap();
    // Ops that come after the backup are lost.
    alice.commit_some(&drawing, 2).await;
    app.stop();
    app.stopped().await;
    let restored = new_database();
    restore_database(&restored, &dump).unwrap();
    let mut app = App::start(&restored, &[]).await;
    let alice = alice.at(&app.base);
    alice.commit_some(&drawing, 1).await;
    assert_eq!(lineage(&alice, &drawing).await, old, "the timeline is the same");
    app.stop();
    app.stopped().await;
    let new = program::new_epoch(&restored).await;
    assert_ne!(new, old.epoch);
    let app = App::start(&restored, &[]).await;
    let alice = alice.at(&app.base);
    let cut = Lineage { epoch: new.clone(), before: None };
    for _ in 0..2 {
        for revision in 0..8 {
            expect_refused(&alice, &drawing, revision, &old.epoch).await;
        }
        assert_eq!(lineage(&alice, &drawing).await, cut);
        let until = format!("/v1/drawings/{drawing}/ops?after=0&until=5&epoch={}", old.epoch);
        alice.get(&until).await.expect_problem(410, "epoch_changed");
        let head = alice.head(&drawing).await;
        expect_good(&alice, &drawing, head, &new).await;
        alice.commit_some(&drawing, 1).await;
    }
    assert_eq!(revisions(&alice.read_all(&drawing, 0).await), (1..=8).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_right_after_a_promotion_cuts_the_line_for_good() {
    let (mut postgres, url) = pair(Replication::Asynchronous).await;
    let mut app = App::start(&url, &[]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 5).await;
    let old = lineage(&alice, &drawing).await.epoch;
    postgres.catch_up().await.unwrap();
    app.stop();
    app.stopped().await;
    postgres.fail_over().await.unwrap();
    let new = program::new_epoch(&url).await;
    let app = App::start(&url, &[]).await;
    let alice = alice.at(&app.base);
    // It knows the timeline that it was begun on: the first op changes nothing.
    for _ in 0..2 {
        let answer = commit_patiently(&alice, &drawing, &[op(1)]).await.expect(200).json();
        assert_eq!(answer["epoch"], json!(new));
        assert_eq!(lineage(&alice, &drawing).await, Lineage { epoch: new.clone(), before: None });
        for revision in [0, 3, 5] {
            expect_refused(&alice, &drawing, revision, &old).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_the_same_timeline_changes_nothing() {
    let mut postgres = Postgres::start(Durability::Full).unwrap();
    let app = App::start(&postgres.create_database().unwrap(), &["--heartbeat", "200ms"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 3).await;
    let before = lineage(&alice, &drawing).await;
    let mut socket = alice.socket().await;
    socket.subscribe(&drawing, Some(3)).await.unwrap();
    postgres.stop().unwrap();
    alice.commit(&drawing, &[op(1)]).await.expect_problem(503, "store_unavailable");
    postgres.start_again().unwrap();
    let answer = commit_patiently(&alice, &drawing, &[op(1)]).await.expect(200).json();
    assert_eq!(answer["epoch"], json!(before.epoch));
    loop {
        let message = socket.receive().await.unwrap();
        match message["type"].as_str().unwrap() {
            "head" => assert_eq!(Lineage::of(&message), before),
            "ops" => break,
            other => panic!("unexpected {other}: {message}"),
        }
    }
    assert_eq!(lineage(&alice, &drawing).await, before);
    assert_eq!(before.before, None);
    page_after(&alice, &drawing, 3, &before.epoch).await.expect(200);
}

/// Gives a database to a role of its own that may not ask where the WAL is. Returns the URL for this role.
async fn url_of_limited_role(url: &str) -> String {
    let role = format!("limited_{}", Uuid::now_v7().simple());
    let (_, database) = url.rsplit_once('/').unwrap();
    let mut connection = PgConnection::connect(url).await.unwrap();
    for statement in [
        format!("CREATE ROLE {role} LOGIN"),
        format!("ALTER DATABASE {database} OWNER TO {role}"),
        "REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn(), pg_walfile_name(pg_lsn) FROM PUBLIC".to_owned(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    url.replacen("revcast@", &format!("{role}@"), 1)
}

// On one thread, so that all that is logged is seen.
#[tokio::test]
async fn a_role_that_may_not_ask_for_the_timeline_is_warned_of_and_writes_all_the_same() {
    let url = url_of_limited_role(&new_database()).await;
    let logs = Logs::start();
    let app = App::start(&url, &[]).await;
    let warnings = logs.with("timeline");
    assert!(warnings.iter().any(|line| line.contains("WARN")), "{warnings:?}");
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let before = lineage(&alice, &drawing).await;
    for x in 1..4 {
        let answer = alice.commit(&drawing, &[op(x)]).await.expect(200).json();
        assert_eq!((&answer["latest_revision"], &answer["epoch"]), (&json!(x), &json!(before.epoch)));
    }
    assert_eq!(lineage(&alice, &drawing).await, before);
    let told: Value = read_patiently(&alice, &format!("/v1/drawings/{drawing}/ops?after=0")).await.json();
    assert_eq!(told["to"], 3);
}
