//! Imports that fail, are cut off and are tried again: a drawing is there whole or not at all.

use revcast::store::CreateOutcome;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{
    http::export::lines,
    http::snapshot::snapshot,
    program::import::{export, fed, made_up, piped},
    store::contract::{Database, log, user},
    support::{App, new_id},
};

/// A log of which line 1,204 is no longer what it was, and what is said about it.
fn damaged_logs() -> Vec<(Vec<u8>, &'static str)> {
    const AT: usize = 1_203;
    let lines: Vec<String> = String::from_utf8(made_up(1_500)).unwrap().lines().map(str::to_owned).collect();
    let line: Value = serde_json::from_str(&lines[AT]).unwrap();
    let with = |field: &str, value: Value| {
        let mut changed = line.clone();
        changed[field] = value;
        changed.to_string()
    };
    let rows = [
        ("{".to_owned(), "EOF"),
        ("\"line\"".to_owned(), "expected struct"),
        (lines[AT][..40].to_owned(), "EOF"),
        (lines[AT].clone() + " {}", "trailing"),
        (lines[AT - 1].clone(), "does not follow"),
        (lines[AT + 1].clone(), "does not follow"),
        (with("revision", json!("1204")), "expected u64 at column"),
        (with("revision", json!(-1)), "expected u64"),
        (with("actor", json!("")), "must be 1 to 128"),
        (with("ts", json!(1.5)), "expected i64"),
        (with("type", json!("draw")), "/type"),
        (with("op_id", json!("x")), "1204: must be a UUID"),
        (with("sett", json!({})), "unknown field `sett`"),
        (with("unit", json!(new_id())), "/unit"),
        (with("object_id", json!("x".repeat(70_000))), "65536 bytes"),
        (lines[AT].clone() + &" ".repeat(300_000), "longer than an op"),
    ];
    let damaged = |(line, said): (String, &'static str)| {
        let mut damaged = lines.clone();
        damaged[AT] = line;
        (damaged.join("\n").into_bytes(), said)
    };
    let mut rows: Vec<_> = rows.into_iter().map(damaged).collect();
    let mut not_text = lines.join("\n").into_bytes();
    let at = lines[..AT].iter().map(|line| line.len() + 1).sum::<usize>() + 20;
    not_text[at] = 0xff;
    rows.push((not_text, "UTF-8"));
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_line_is_named_and_leaves_nothing_behind() {
    for database in [Database::sqlite(), Database::postgres()] {
        let store = database.connect().await;
        for (sent, said) in damaged_logs() {
            let id = new_id();
            let run = fed(piped(database.url(), &id), &sent).await;
            assert!(!run.succeeded && run.stdout.is_empty(), "{said}: {run:?}");
            assert!(run.stderr.contains("line 1204: ") && run.stderr.contains(said), "{said}: {run:?}");
            let drawing = id.parse().unwrap();
            let created = store.create_drawing(drawing, "", &user("bob"), 1).await.unwrap();
            assert_eq!(created, CreateOutcome::Created, "{said}");
            assert!(log(&*store, drawing).await.is_empty());
        }
        // The store finds an op that stands twice, wherever it stood first.
        let sent = made_up(1_500);
        let id = |line: usize| lines(&sent)[line]["op_id"].as_str().unwrap().to_owned();
        let text = String::from_utf8(sent.clone()).unwrap().replace(&id(1_400), &id(3));
        let again = new_id();
        let run = fed(piped(database.url(), &again), text.as_bytes()).await;
        assert!(!run.succeeded && run.stderr.contains("op_id of lines 1001 to 1500"), "{run:?}");
        let created = store.create_drawing(again.parse().unwrap(), "", &user("bob"), 1).await.unwrap();
        assert_eq!(created, CreateOutcome::Created);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on_and_ends_whole() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (carol, id, log) = (app.client("carol").await, new_id(), made_up(5_000));
        let part = log.len() * 4 / 5;
        for _ in 0..2 {
            let mut import = piped(&app.database_url, &id);
            // All that a pipe and a buffer cannot hold has been read, and all but the last ops written.
            import.stdin.as_mut().unwrap().write_all(&log[..part]).await.unwrap();
            import.kill().await.unwrap();
            carol.get(&snapshot(&id, "")).await.expect_problem(404, "not_found");
            carol
                .post("/v1/drawings", &json!({"drawing_id": id}))
                .await
                .expect_problem(409, "drawing_id_taken");
        }
        let run = fed(piped(&app.database_url, &id), &log).await;
        assert!(run.succeeded && run.stdout == id, "{run:?}");
        assert_eq!(lines(&export(&carol, &id).await), lines(&log));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_does_not_go_on_where_one_was_cut_off() {
    for database in [Database::sqlite(), Database::postgres()] {
        let store = database.connect().await;
        let (id, sent) = (new_id(), made_up(3_000));
        let mut import = piped(database.url(), &id);
        import.stdin.as_mut().unwrap().write_all(&sent).await.unwrap();
        import.kill().await.unwrap();
        let run = fed(piped(database.url(), &id), &made_up(3_000)).await;
        assert!(!run.succeeded && run.stderr.contains("do not follow"), "{run:?}");
        // The part that was there is removed.
        let run = fed(piped(database.url(), &id), &made_up(10)).await;
        assert!(run.succeeded, "{run:?}");
        assert_eq!(log(&*store, id.parse().unwrap()).await.len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_imports_of_one_log_at_once_one_succeeds_and_it_is_whole() {
    for database in [Database::sqlite(), Database::postgres()] {
        let store = database.connect().await;
        let (id, sent) = (new_id(), made_up(3_500));
        let imports =
            tokio::join!(fed(piped(database.url(), &id), &sent), fed(piped(database.url(), &id), &sent));
        assert_ne!(imports.0.succeeded, imports.1.succeeded, "{imports:?}");
        assert_eq!(log(&*store, id.parse().unwrap()).await.len(), 3_500);
    }
}
