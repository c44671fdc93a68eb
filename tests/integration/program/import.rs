//! `revcast import`: a log that was exported becomes the same drawing on another server.

use std::{path::PathBuf, sync::Arc};

use loadtest::services::TempFolder;
use revcast::{
    import::Import,
    model::{DrawingId, Revision},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Child};
use uuid::Uuid;

use crate::{
    http::export::lines,
    http::history::{begin, press, rect},
    http::snapshot::{scribbled, snapshot},
    store::contract::{Database, log, user},
    support::{
        App, Client, CountingStore, new_id, op,
        program::{self, Run},
        within,
    },
};

/// A file for a log that was exported.
struct File {
    folder: TempFolder,
}

impl File {
    fn new(log: &[u8]) -> Self {
        let folder = TempFolder::new("export").unwrap();
        std::fs::write(folder.path().join("log.ndjson"), log).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log.ndjson")
    }
}

/// Imports a file as a drawing of carol's, with these flags.
async fn import_file(database_url: &str, file: &File, flags: &[&str]) -> Run {
    let path = file.path().display().to_string();
    let arguments = ["import", "--database-url", database_url, "--owner", "carol", &path];
    program::run(&[&arguments[..], flags].concat()).await
}

/// An import that reads from its standard input.
pub fn piped(database_url: &str, drawing: &str) -> Child {
    let arguments = ["import", "--database-url", database_url, "--owner", "carol", "--drawing-id", drawing];
    program::spawn(&arguments)
}

/// Gives an import its log, and waits for its end.
pub async fn fed(mut import: Child, log: &[u8]) -> Run {
    let mut stdin = import.stdin.take().unwrap();
    // An import that fails reads no further.
    let _ = stdin.write_all(log).await;
    drop(stdin);
    program::finished(import).await
}

pub async fn export(client: &Client, drawing: &str) -> Vec<u8> {
    client.get(&format!("/v1/drawings/{drawing}/export?format=ndjson")).await.expect(200).bytes
}

/// A log of small ops of alice's, that was never on a server.
pub fn made_up(count: u64) -> Vec<u8> {
    let one = |revision: u64| {
        let mut op = op(revision);
        op["revision"] = revision.into();
        op["actor"] = "alice".into();
        op["ts"] = (1_700_000_000_000 + revision).into();
        op.to_string() + "\n"
    };
    (1..=count).map(one).collect::<String>().into_bytes()
}

/// The same view, registers and history, whatever the epochs.
async fn expect_the_same_canvas(one: (&Client, &str), other: (&Client, &str)) {
    let told = async |(client, drawing): (&Client, &str)| {
        let mut told = vec![client.get(&snapshot(drawing, "")).await.expect(200).json()];
        for at in 0..told[0]["revision"].as_u64().unwrap() {
            told.push(
                client.get(&snapshot(drawing, &format!("?at={at}&view=only"))).await.expect(200).json(),
            );
        }
        let history = format!("/v1/drawings/{drawing}/history?scope=all");
        told.push(client.get(&history).await.expect(200).json());
        for answer in &mut told {
            answer["epoch"] = Value::Null;
        }
        told
    };
    assert_eq!(told(one).await, told(other).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawing_moves_from_sqlite_to_postgres_and_back_as_it_is() {
    let (sqlite, postgres) = (App::sqlite().await, App::postgres().await);
    let (alice, bob) = (sqlite.client("alice").await, sqlite.client("bob").await);
    let (id, _) = scribbled(&alice).await;
    alice.grant(&id, "bob", "editor").await;
    let odd = format!(
        r#"{{"ops":[{{"data":{{"b":1.50,"a":"\u00e4 \\ ä \u0000"}},"type":"custom.a","op_id":"{}","meta":{{"ts":1}}}}]}}"#,
        new_id()
    );
    bob.post_bytes(&format!("/v1/drawings/{id}/ops"), odd).await.expect(200);
    begin(&bob, &id, rect("his")).await;
    press(&alice, &id, "undo", "all").await.expect(200);
    let exported = export(&alice, &id).await;

    let run = import_file(&postgres.database_url, &File::new(&exported), &["--title", "Crypt ä"]).await;
    assert!(run.succeeded, "{run:?}");
    let moved: DrawingId = run.stdout.parse().expect("the id is all that is printed");
    let moved = moved.to_string();
    assert_ne!(moved, id);
    let carol = postgres.client("carol").await;
    assert_eq!(export(&carol, &moved).await, exported, "byte by byte");
    expect_the_same_canvas((&carol, &moved), (&alice, &id)).await;
    let drawing = carol.get(&format!("/v1/drawings/{moved}")).await.expect(200).json();
    assert_eq!((&drawing["title"], &drawing["role"]), (&json!("Crypt ä"), &json!("owner")));
    // Whoever drew it has no more part in it than anybody else.
    let members = carol.get(&format!("/v1/drawings/{moved}/members")).await.expect(200).json();
    assert_eq!(members["members"].as_array().unwrap().len(), 1, "{members}");
    let stranger = postgres.client("alice").await;
    stranger.get(&snapshot(&moved, "")).await.expect_problem(404, "not_found");

    let run = import_file(&sqlite.database_url, &File::new(&export(&carol, &moved).await), &[]).await;
    assert!(run.succeeded, "{run:?}");
    let carol = sqlite.client("carol").await;
    assert_eq!(export(&carol, &run.stdout).await, exported);
    expect_the_same_canvas((&carol, &run.stdout), (&alice, &id)).await;
    assert_eq!(carol.get("/v1/drawings").await.expect(200).json()["drawings"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_may_begin_with_a_byte_order_mark_and_no_other_line_may() {
    let app = App::sqlite().await;
    let log = made_up(3);
    let marked = [b"\xef\xbb\xbf", &log[..]].concat();
    let run = import_file(&app.database_url, &File::new(&marked), &[]).await;
    assert!(run.succeeded, "{run:?}");
    assert_eq!(lines(&export(&app.client("carol").await, &run.stdout).await), lines(&log));
    let within = String::from_utf8(log).unwrap().replacen('\n', "\n\u{feff}", 1);
    let run = import_file(&app.database_url, &File::new(within.as_bytes()), &[]).await;
    assert!(!run.succeeded && run.stderr.contains("line 2"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_drawing_goes_on_as_any_other() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let fog = json!({"op_id": new_id(), "type": "object.create", "object_id": "mist", "kind": "fog", "props": {}});
        alice.commit(&id, &[fog]).await.expect(200);
        let unit = begin(&alice, &id, rect("a")).await;
        let exported = export(&alice, &id).await;
        let run = import_file(&app.database_url, &File::new(&exported), &[]).await;
        assert!(run.succeeded, "{run:?}");
        let id = run.stdout;
        let (alice, bob, carol) =
            (app.client("alice").await, app.client("bob").await, app.client("carol").await);
        carol.grant(&id, "alice", "editor").await;
        carol.grant(&id, "bob", "editor").await;
        // Numbers go on, op_ids are known, units belong to whom they belonged to, fog is for owners.
        let answer = bob.commit(&id, &[op(1)]).await.expect(200).json();
        assert_eq!(answer["latest_revision"], 3);
        let known = lines(&exported)[1].as_object().unwrap().clone();
        let sent: Value = known
            .into_iter()
            .filter(|(key, _)| !["revision", "actor", "ts"].contains(&key.as_str()))
            .collect();
        let again = alice.commit(&id, &[sent]).await.expect(200).json();
        assert_eq!(again["results"], json!([{"op_id": unit, "revision": 2, "duplicate": true}]));
        let undo = json!({"op_id": new_id(), "type": "undo", "unit": unit});
        bob.commit(&id, &[undo]).await.expect_problem(403, "unit_forbidden");
        for client in [&alice, &bob] {
            let touch =
                json!({"op_id": new_id(), "type": "object.update", "object_id": "mist", "set": {"x": 1}});
            client.commit(&id, &[touch]).await.expect_problem(403, "forbidden");
        }
        assert_eq!(press(&alice, &id, "undo", "mine").await.expect(200).json()["unit"], unit);
        press(&carol, &id, "undo", "all").await.expect(200);
        assert_eq!(carol.head(&id).await, 5);
        let mut socket = carol.socket().await;
        let subscribed = socket.subscribe(&id, Some(0)).await.unwrap();
        assert_eq!(subscribed["revision"], 0, "{subscribed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawing_is_imported_once() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (carol, id) = (app.client("carol").await, new_id());
        let file = File::new(&made_up(3));
        let run = import_file(&app.database_url, &file, &["--drawing-id", &id]).await;
        assert!(run.succeeded && run.stdout == id, "{run:?}");
        carol.commit(&id, &[op(1)]).await.expect(200);
        let existing = carol.create_drawing().await;
        for taken in [&id, &existing] {
            let again = import_file(&app.database_url, &file, &["--drawing-id", taken]).await;
            assert!(
                !again.succeeded && again.stdout.is_empty() && again.stderr.contains("taken"),
                "{again:?}"
            );
        }
        assert_eq!((carol.head(&id).await, carol.head(&existing).await), (4, 0));
        carol.delete(&format!("/v1/drawings/{id}")).await.expect(204);
        let again = import_file(&app.database_url, &file, &["--drawing-id", &id]).await;
        assert!(!again.succeeded && again.stderr.contains("taken"), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_comes_from_a_file_or_from_standard_input_and_may_be_empty() {
    let app = App::sqlite().await;
    let carol = app.client("carol").await;
    // A last line without an end, Windows line ends and empty lines are nothing to fail for.
    let log = made_up(3);
    let windows = String::from_utf8(log.clone()).unwrap().replace('\n', "\r\n\r\n");
    let rows = [
        (log.clone(), 3),
        (log.trim_ascii_end().to_vec(), 3),
        (windows.into_bytes(), 3),
        (vec![], 0),
        (b"\n".to_vec(), 0),
    ];
    for (log, head) in rows {
        let id = new_id();
        let run = fed(piped(&app.database_url, &id), &log).await;
        assert!(run.succeeded && run.stdout == id, "{run:?}");
        assert_eq!(carol.head(&id).await, head);
        carol.commit(&id, &[rect("a")]).await.expect(200);
        assert_eq!(carol.head(&id).await, head + 1);
        press(&carol, &id, "undo", "mine").await.expect(200);
        let dash = ["import", "--database-url", &app.database_url, "--owner", "carol", "-"];
        assert!(fed(program::spawn(&dash), &log).await.succeeded);
    }
    for faulty in [
        &["import", "--owner", "carol", "/nowhere/log.ndjson"][..],
        &["import", "--owner", "carol", "--drawing-id", "x", "-"],
        &["import", "--owner", "", "-"],
        &["import", "--owner", "carol", "--title", "a\nb", "-"],
        &["import", "-"],
    ] {
        let run = program::run(&[faulty, &["--database-url", &app.database_url]].concat()).await;
        assert!(!run.succeeded && run.stdout.is_empty() && !run.stderr.is_empty(), "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_log_takes_few_calls_of_the_store() {
    let database = Database::sqlite();
    let store = Arc::new(CountingStore::new(database.connect().await.into()));
    let import = |title: &str| Import {
        drawing_id: DrawingId(Uuid::now_v7()),
        title: title.parse().unwrap(),
        owner: user("carol"),
    };
    let many = import("many");
    let head = many.run(&*store, &made_up(20_000)[..]).await.unwrap();
    assert_eq!(head, Revision(20_000));
    assert_eq!(store.calls(), 22, "it begins, twenty transactions, it ends");
    let imported = log(&*store, many.drawing_id).await;
    assert_eq!((imported.len(), imported[19_999].ts), (20_000, 1_700_000_020_000));
    // Large ops fill a transaction by their bytes.
    let large = |revision: u64| {
        let text = "x".repeat(60_000);
        let op = json!({"revision": revision, "actor": "a", "ts": 1, "op_id": new_id(), "type": "custom.a", "data": text});
        op.to_string() + "\n"
    };
    let before = store.calls();
    let text: String = (1..=100).map(large).collect();
    within("the import", import("large").run(&*store, text.as_bytes())).await.unwrap();
    assert_eq!(store.calls() - before, 4);
}
