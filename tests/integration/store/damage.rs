//! Logs from which somebody has taken ops, or in which one cannot be read: whoever reads them says so, and nobody asks
//! again and again.

use std::{sync::Arc, time::Duration};

use loadtest::services::TempFolder;
use revcast::{
    import::{Import, ImportError},
    model::{DrawingId, Revision},
    store::{ImportedLog, Log, LogPage, PoolOptions, ReadRange, SqliteStore, StoreError},
    telemetry,
    wire::ResetReason,
    worker::{Worker, hints},
};
use serde_json::{Value, json};
use sqlx::{PgPool, SqlitePool};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    snapshot::setup::{EVERY, Setup},
    store::contract::{Database, NOW, append_one, by_alice, new_drawing, new_drawing_id, ops, user},
    store::import::imported,
    support::{App, Client, CountingStore, Logs, eventually, op, program, rooms::Node, within},
};

/// Does to the rows of a drawing, which are `$1`, what nobody should; returns how many it did it to.
pub async fn tamper(database_url: &str, sql: &'static str, drawing: DrawingId) -> u64 {
    if database_url.starts_with("sqlite:") {
        let pool = SqlitePool::connect(database_url).await.unwrap();
        sqlx::query(sql).bind(drawing.0).execute(&pool).await.unwrap().rows_affected()
    } else {
        let pool = PgPool::connect(database_url).await.unwrap();
        sqlx::query(sql).bind(drawing.0).execute(&pool).await.unwrap().rows_affected()
    }
}

fn range(drawing_id: DrawingId, after: u64, until: Option<u64>) -> ReadRange {
    let (after, until) = (Revision(after), until.map(Revision));
    ReadRange { drawing_id, after, until, limit: 1_000, max_bytes: 1 << 20 }
}

fn damaged_at(read: &Result<Option<LogPage>, StoreError>) -> Option<u64> {
    match read {
        Err(StoreError::Damaged { revision, .. }) => Some(revision.0),
        _ => None,
    }
}

// --- The store --------------------------------------------------------------------------------------

/// Makes one test a rule and back end, of a function that takes a database.
macro_rules! on_both {
    ($($rule:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                super::$rule($crate::store::contract::Database::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                super::$rule($crate::store::contract::Database::postgres()).await;
            })+
        }
    };
}
pub(crate) use on_both;

on_both! {
    a_read_that_meets_a_hole_says_where,
    a_row_that_cannot_be_read_is_damage,
    a_drawing_that_is_deleted_and_purged_while_it_is_read_is_not_damaged,
    an_import_that_lost_ops_between_two_attempts_is_not_finished,
    every_way_to_read_a_damaged_log_says_so,
}

async fn a_read_that_meets_a_hole_says_where(database: Database) {
    let store = database.connect().await;
    let holes = [
        ("DELETE FROM ops WHERE drawing_id = $1 AND revision <= 3", 1),
        ("DELETE FROM ops WHERE drawing_id = $1 AND revision IN (150, 170)", 150),
        ("DELETE FROM ops WHERE drawing_id = $1 AND revision > 295", 296),
        ("DELETE FROM ops WHERE drawing_id = $1", 1),
    ];
    for (sql, first) in holes {
        let drawing = new_drawing(&*store).await;
        append_one(&*store, by_alice(drawing, &ops(300))).await;
        tamper(database.url(), sql, drawing).await;
        let read = async |after, until| store.read(&range(drawing, after, until)).await;
        assert_eq!(damaged_at(&read(0, None).await), Some(first), "{sql}");
        assert_eq!(damaged_at(&read(first - 1, None).await), Some(first), "{sql}");
        assert_eq!(damaged_at(&read(0, Some(first)).await), Some(first), "{sql}");
        // A read that does not reach the hole is whole.
        let before = read(0, Some(first - 1)).await.unwrap().unwrap();
        assert_eq!((before.ops.len() as u64, before.head), (first - 1, Revision(300)), "{sql}");
        assert!(read(300, None).await.unwrap().unwrap().ops.is_empty(), "{sql}");
        assert!(read(u64::MAX, None).await.unwrap().unwrap().ops.is_empty(), "{sql}");
    }
}

async fn a_row_that_cannot_be_read_is_damage(database: Database) {
    let store = database.connect().await;
    for sql in [
        "UPDATE ops SET body = '' WHERE drawing_id = $1 AND revision = 70",
        "UPDATE ops SET body = 'x' WHERE drawing_id = $1 AND revision = 70",
        "UPDATE ops SET body = substr(body, 1, 20) WHERE drawing_id = $1 AND revision = 70",
        "UPDATE ops SET actor = '' WHERE drawing_id = $1 AND revision = 70",
    ] {
        let drawing = new_drawing(&*store).await;
        append_one(&*store, by_alice(drawing, &ops(80))).await;
        assert_eq!(tamper(database.url(), sql, drawing).await, 1);
        assert_eq!(damaged_at(&store.read(&range(drawing, 0, None)).await), Some(70), "{sql}");
        assert_eq!(store.read(&range(drawing, 70, None)).await.unwrap().unwrap().ops.len(), 10);
    }
}

async fn a_drawing_that_is_deleted_and_purged_while_it_is_read_is_not_damaged(database: Database) {
    let (store, other) = (database.connect().await, database.connect().await);
    for _ in 0..8 {
        let drawing = new_drawing(&*store).await;
        append_one(&*store, by_alice(drawing, &ops(500))).await;
        let reader = async {
            // Pages of many portions.
            while let Some(page) = store.read(&range(drawing, 0, None)).await.expect("it is not damaged") {
                assert_eq!(page.head, Revision(500));
            }
        };
        let remover = async {
            store.read(&range(drawing, 0, None)).await.unwrap();
            assert!(other.delete_drawing(drawing, NOW).await.unwrap());
            while other.purge_deleted(50).await.unwrap() > 0 {}
        };
        within("the drawing is gone", async { tokio::join!(reader, remover) }).await;
    }
}

async fn an_import_that_lost_ops_between_two_attempts_is_not_finished(database: Database) {
    let store = database.connect().await;
    let (id, alice) = (new_drawing_id(), user("alice"));
    store.begin_import(id, "", &alice, NOW).await.unwrap();
    let log = imported(1, &ops(20));
    assert!(store.import_ops(id, &log).await.unwrap());
    tamper(database.url(), "DELETE FROM ops WHERE drawing_id = $1 AND revision = 7", id).await;
    assert!(store.import_ops(id, &log).await.unwrap(), "what is there is passed over");
    let whole = ImportedLog { head: Revision(20), ..ImportedLog::default() };
    let finished = store.finish_import(id, &alice, &whole).await;
    assert!(matches!(finished, Err(StoreError::Damaged { revision: Revision(7), .. })), "{finished:?}");
    // The command removes what is there, so that it begins anew the next time.
    let lines: Vec<u8> = (1..).zip(&log).flat_map(|(n, op)| line(n, &op.op.body)).collect();
    let import = Import { drawing_id: id, title: "".parse().unwrap(), owner: alice };
    let outcome = import.run(&*store, &lines[..]).await;
    assert!(matches!(outcome, Err(ImportError::Store(StoreError::Damaged { .. }))), "{outcome:?}");
    assert_eq!(import.run(&*store, &lines[..]).await.unwrap(), Revision(20));
}

/// A line of an export.
fn line(revision: u64, body: &str) -> Vec<u8> {
    let mut op: Value = serde_json::from_str(body).unwrap();
    (op["revision"], op["actor"], op["ts"]) = (json!(revision), json!("alice"), json!(NOW));
    format!("{op}\n").into_bytes()
}

// One thread, so that all is logged there.
#[tokio::test]
async fn damage_is_counted_each_time_and_logged_once() {
    let folder = TempFolder::new("damage").unwrap();
    let url = format!("sqlite://{}/revcast.db", folder.path().display());
    let options = PoolOptions { max_connections: 4, start_timeout: Duration::from_secs(5) };
    let (logs, store) = (Logs::start(), SqliteStore::connect(&url, options).await.unwrap());
    let drawing = new_drawing(&store).await;
    append_one(&store, by_alice(drawing, &ops(9))).await;
    tamper(&url, "DELETE FROM ops WHERE drawing_id = $1 AND revision = 4", drawing).await;
    let before = counter();
    for _ in 0..20 {
        assert_eq!(damaged_at(&store.read(&range(drawing, 0, None)).await), Some(4));
    }
    assert!(counter() >= before + 20);
    let told = logs.with(&drawing.to_string());
    assert!(told.len() == 1 && told[0].contains(" ERROR ") && told[0].contains("revision=4"), "{told:?}");
}

fn counter() -> u64 {
    let text = telemetry::render_metrics();
    let line = text.lines().find(|line| line.starts_with("revcast_log_damage_total"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_text_is_damage() {
    // Postgres lets no such text in.
    let database = Database::sqlite();
    let store = database.connect().await;
    let drawing = new_drawing(&*store).await;
    append_one(&*store, by_alice(drawing, &ops(5))).await;
    let sql = "UPDATE ops SET body = CAST(x'7b22ff227d' AS TEXT) WHERE drawing_id = $1 AND revision = 3";
    assert_eq!(tamper(database.url(), sql, drawing).await, 1);
    assert!(damaged_at(&store.read(&range(drawing, 0, None)).await).is_some());
    let line = ["verify", "--database-url", database.url(), "--skip-snapshots"];
    let run = program::run(&line).await;
    assert!(run.code == Some(1) && run.stdout.contains(" at 3: op_unreadable: "), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_builds_no_snapshot_over_a_hole_and_leaves_the_drawing_alone() {
    let mut setup = Setup::new(Database::sqlite()).await;
    let (damaged, sound) = (setup.drawing(EVERY).await, setup.drawing(EVERY).await);
    tamper(setup.database.url(), "DELETE FROM ops WHERE drawing_id = $1 AND revision = 4", damaged).await;
    let built = setup.builder().build(damaged).await;
    assert!(matches!(&built, Err(error) if error.is_damage()), "{built:?}");
    let counting = Arc::new(CountingStore::new(setup.store.clone()));
    setup.store = counting.clone();
    let (open, _open) = mpsc::channel(8);
    let (hints, hinted) = hints();
    let stop = CancellationToken::new();
    let worker = Worker::new(setup.store.clone(), setup.builder(), open).run(hinted, stop.clone());
    let worker = tokio::spawn(worker);
    // A hint a moment, and the sweeps besides: it is tried once.
    eventually("the sound drawing has its snapshots", || async {
        hints.give(damaged);
        setup.grow(sound, 1).await;
        (setup.revisions(sound).await.len() >= 2 && counting.reads(damaged) > 0).then_some(())
    })
    .await;
    assert_eq!((counting.reads(damaged), setup.revisions(damaged).await), (1, vec![]));
    stop.cancel();
    worker.await.unwrap();
}

// --- A server ---------------------------------------------------------------------------------------

async fn every_way_to_read_a_damaged_log_says_so(database: Database) {
    let app = App::start(database.url(), &["--snapshot-every", "100000"]).await;
    let alice = app.client("alice").await;
    let holes = [
        ("DELETE FROM ops WHERE drawing_id = $1 AND revision <= 3", 1),
        ("DELETE FROM ops WHERE drawing_id = $1 AND revision = 64", 64),
        ("DELETE FROM ops WHERE drawing_id = $1 AND revision = 100", 100),
    ];
    for (sql, hole) in holes {
        let drawing = alice.create_drawing().await;
        alice.commit_some(&drawing, 100).await;
        tamper(&app.database_url, sql, drawing.parse().unwrap()).await;
        let (path, before) = (format!("/v1/drawings/{drawing}"), hole - 1);
        for read in [
            "/ops".to_owned(),
            format!("/ops?after={before}"),
            format!("/ops?after={before}&until=100"),
            format!("/ops?after={before}&limit=1"),
            format!("/ops?after={before}&wait=20"),
            "/snapshot".to_owned(),
            "/snapshot?at=100&view=only".to_owned(),
            "/history".to_owned(),
            "/snapshot?at_time=4102444800000".to_owned(),
            "/export?format=json".to_owned(),
            "/export?format=ndjson".to_owned(),
        ] {
            let answer = alice.get(&format!("{path}{read}")).await;
            let problem = answer.expect_problem(500, "log_damaged").json();
            assert_eq!(problem["retryable"], false, "{read}");
            assert!(problem["detail"].as_str().unwrap().contains(&format!("revision {hole};")), "{problem}");
        }
        let ndjson = [("accept", "application/x-ndjson")];
        alice.get_with(&format!("{path}/ops"), &ndjson).await.expect_problem(500, "log_damaged");
        for step in ["undo", "redo"] {
            alice.post(&format!("{path}/{step}"), &json!({})).await.expect_problem(500, "log_damaged");
        }
        expect_reset_on_all_ways_to_follow(&app, &alice, &drawing, hole).await;
        // A new op is as safe as ever, and is read where the log is whole.
        alice.commit(&drawing, &[op(1)]).await.expect(200);
        let page = alice.get(&format!("{path}/ops?after=100")).await.expect(200).json();
        assert_eq!((&page["complete"], &page["to"]), (&json!(true), &json!(101)));
        alice.delete(&path).await.expect(204);
        alice.get(&format!("{path}/ops")).await.expect_problem(404, "not_found");
    }
}

async fn expect_reset_on_all_ways_to_follow(app: &App, alice: &Client, drawing: &str, hole: u64) {
    let mut socket = alice.socket().await;
    socket.send(&json!({"type": "subscribe", "drawing_id": drawing, "after": hole - 1})).await.unwrap();
    let reset = socket.receive_type("reset").await.unwrap();
    assert_eq!(reset["reason"], "log_damaged");
    let events = format!("{}/v1/drawings/{drawing}/events?after={}", app.base, hole - 1);
    let stream = reqwest::Client::new().get(events).bearer_auth(&alice.token).send().await.unwrap();
    let text = within("the stream ends", stream.text()).await.unwrap();
    assert!(text.contains("event: reset") && text.contains(r#""reason":"log_damaged""#), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_meets_an_unreadable_op_harms_no_neighbour() {
    let app = App::postgres().await;
    let alice = app.client("alice").await;
    let (drawing, neighbour) = (alice.create_drawing().await, alice.create_drawing().await);
    let sent = alice.commit_some(&drawing, 3).await;
    let sql = "UPDATE ops SET actor = '' WHERE drawing_id = $1 AND revision = 2";
    tamper(&app.database_url, sql, drawing.parse().unwrap()).await;
    for _ in 0..10 {
        let (ours, theirs) = ([op(1)], [sent[1].clone()]);
        let (good, bad) = tokio::join!(alice.commit(&neighbour, &ours), alice.commit(&drawing, &theirs));
        good.expect(200);
        bad.expect_problem(500, "log_damaged");
    }
}

// --- Rooms ------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_meets_a_hole_sends_its_readers_to_rest_and_goes_on_beyond_it() {
    let node = Node::start(Duration::from_millis(100)).await;
    let drawing = node.drawing_with(20).await;
    let listener = node.join(drawing, Some(0)).await;
    listener.expect(1, 20).await;
    // The bus has lost these, and the store one of them.
    node.append(drawing, 5).await;
    tamper(&node.url, "DELETE FROM ops WHERE drawing_id = $1 AND revision = 22", drawing).await;
    let reset = || async { listener.heard().reset };
    assert_eq!(eventually("a reset", reset).await, ResetReason::LogDamaged);
    assert!(listener.heard().revisions.iter().all(|revision| *revision <= 21), "no gap is told");
    // A reader that comes from before it is told the same, at no cost.
    let reads = node.store.reads(drawing);
    for after in [0, 15, 20, 21] {
        for _ in 0..10 {
            let joined = node.join_with(drawing, Some(after), &Default::default()).await;
            assert_eq!(joined, Err(ResetReason::LogDamaged), "after {after}");
        }
    }
    assert_eq!(node.store.reads(drawing), reads);
    // A reader that stands beyond it misses nothing.
    for after in [22, 23, 25] {
        let beyond = node.join(drawing, Some(after)).await;
        beyond.expect(after + 1, node.commit(drawing, 1).await).await;
    }
    let head = node.join(drawing, None).await;
    let reads = node.store.reads(drawing);
    let first = node.commit(drawing, 1).await;
    for _ in 0..10 {
        let last = node.commit(drawing, 1).await;
        head.expect(first, last).await;
    }
    assert!(node.store.reads(drawing) <= reads + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_without_a_reader_begins_beyond_the_hole() {
    let node = Node::start(Duration::from_millis(100)).await;
    let drawing = node.drawing_with(20).await;
    tamper(&node.url, "DELETE FROM ops WHERE drawing_id = $1 AND revision > 18", drawing).await;
    let joined = node.join_with(drawing, Some(3), &Default::default()).await;
    assert_eq!(joined, Err(ResetReason::LogDamaged));
    let listener = node.join(drawing, None).await;
    let head = node.commit(drawing, 2).await;
    listener.expect(21, head).await;
    // Heartbeats find nothing amiss.
    let reads = node.store.reads(drawing);
    let beats = listener.heard().items.len() + 5;
    eventually("five heartbeats", || async { (listener.heard().items.len() >= beats).then_some(()) }).await;
    assert_eq!(node.store.reads(drawing), reads);
    assert_eq!(listener.heard().reset, None);
}
