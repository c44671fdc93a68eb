//! The memory that canvases take, however many are asked for at once.

use std::{fmt::Write as _, fs, sync::Arc, time::Duration};

use futures_util::future::join_all;
use loadtest::services::{Revcast, TempFolder};
use reqwest::{Method, header::HeaderValue};
use revcast::{
    clock::now_ms,
    limits,
    snapshot::{Canvases, Extent, LoadError, LoadPurpose, Memory},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    snapshot::setup::Setup,
    store::contract::Database,
    support::{Client, LIFTED_LIMITS, eventually, new_id, program},
};

/// Memory for canvases of the server that is asked for too much.
const MEMORY: u64 = limits::MIN_CANVAS_MEMORY;
/// Canvases of the past that are asked for at once.
const ASKED: u64 = 60;
/// Strokes of the drawing, each of one op; it takes some 2 MB.
const STROKES: u64 = 200;
const POINTS: u64 = 500;

/// The log of a drawing with long strokes.
fn log() -> String {
    let mut log = String::new();
    for revision in 1..=STROKES {
        let points: Vec<[u64; 2]> =
            (0..POINTS).map(|nth| [nth * 7_919 * revision % 10_007, nth * 104_729 % 9_973]).collect();
        let points = serde_json::to_string(&points).unwrap();
        let (id, ts) = (new_id(), 1_700_000_000_000 + revision);
        writeln!(
            log,
            r#"{{"revision":{revision},"actor":"alice","ts":{ts},"op_id":"{id}","type":"stroke.begin","object_id":"s{revision}","tool":"pen","props":{{}},"points":{points}}}"#
        )
        .unwrap();
    }
    log
}

/// A figure of `/proc/<pid>/status`, in bytes.
fn proc_status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_canvases_of_the_past_at_once_stay_within_the_memory_for_canvases() {
    let folder = TempFolder::new("memory").unwrap();
    let file = folder.path().join("log.ndjson").display().to_string();
    fs::write(&file, log()).unwrap();
    let database = format!("sqlite://{}/revcast.db", folder.path().display());
    let import = ["import", "--database-url", &database, "--owner", "alice", &file];
    let imported = program::run(&import).await;
    assert!(imported.succeeded, "{imported:?}");
    let drawing = imported.stdout;
    let memory = MEMORY.to_string();
    let flags = ["--dev", "--roles", "api", "--canvas-memory", &memory, "--database-url", &database];
    let server = Revcast::start(program::binary(), &[&flags[..], &LIFTED_LIMITS].concat()).unwrap();
    let alice = Client::new(&server.base, "alice").await;
    alice.get(&format!("/v1/drawings/{drawing}")).await.expect(200);
    let before = proc_status(server.pid(), "VmHWM");

    let ask = async |nth: u64| {
        let path = format!("/v1/drawings/{drawing}/snapshot?at={}", STROKES - 1 - nth);
        alice.get_with(&path, &[("accept-encoding", "gzip")]).await
    };
    let asked = join_all((0..ASKED).map(ask));
    let mut most = 0;
    let watched = async {
        loop {
            most = most.max(taken(&alice).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let answers = tokio::select! {
        answers = asked => answers,
        () = watched => unreachable!(),
    };
    assert!(most > 0 && most <= MEMORY, "{most} bytes");
    for answer in answers {
        if answer.status != 200 {
            // One that had its turn late may have run out of time.
            assert!(matches!(&*answer.code(), "overloaded" | "timeout"), "{answer:?}");
            assert_eq!(
                (answer.status, &answer.headers["retry-after"]),
                (503, &HeaderValue::from_static("1"))
            );
        }
    }
    // Whoever asks alone is answered.
    eventually("an answer", || async { (ask(ASKED).await.status == 200).then_some(()) }).await;
    let grown = proc_status(server.pid(), "VmHWM") - before;
    // The rest is pages of the log on their way, the buffers of sockets, and what the allocator keeps.
    assert!(grown < MEMORY + (80 << 20), "{grown} bytes");
}

/// The bytes that canvases take, as the server tells.
async fn taken(client: &Client) -> u64 {
    let metrics = client.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("revcast_canvas_bytes "));
    line.map_or(0, |bytes| bytes.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asks_for_any_more_is_forgotten() {
    let setup = Setup::new(Database::sqlite()).await;
    let drawing = setup.drawing(100).await;
    let canvases = Canvases::new(setup.loader(), TaskTracker::new(), CancellationToken::new());
    assert_eq!(canvases.bytes(), 0);
    let began = now_ms();
    let picture = canvases.picture(drawing, Extent::Whole).await.unwrap();
    assert!(canvases.bytes() > picture.weight());
    canvases.forget_idle(began);
    let again = canvases.picture(drawing, Extent::ViewOnly).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&picture, &again), "it is still there, and tells more than was asked for");
    drop(again);
    // Whoever is about to undo keeps the place of the drawing.
    let turn = canvases.turn(drawing).await;
    canvases.forget_idle(now_ms() + 1);
    let kept = canvases.bytes();
    assert!(kept > picture.weight());
    drop(turn);
    canvases.forget_idle(now_ms() + 1);
    // The answer is still being sent.
    let sent = canvases.bytes();
    assert!(sent >= picture.weight() && sent < kept, "{sent} of {kept}");
    drop(picture);
    assert_eq!(canvases.bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canvas_for_which_there_is_no_memory_waits_for_it() {
    let setup = Setup::new(Database::sqlite()).await;
    let drawing = setup.drawing(100).await;
    let memory = Memory::new(MEMORY, Duration::from_millis(200));
    let loader = setup.loader().with_memory(memory.clone());
    let canvases = Canvases::new(loader, TaskTracker::new(), CancellationToken::new());
    // Even what pictures that are kept would take.
    let mut others = Vec::new();
    while let Ok(share) = memory.share(LoadPurpose::Present, 1 << 20).await {
        others.push(share);
    }
    let refused = canvases.picture(drawing, Extent::Whole).await.unwrap_err();
    assert!(matches!(refused, LoadError::Overloaded), "{refused}");
    let waiting = tokio::spawn({
        let canvases = canvases.clone();
        async move { canvases.picture(drawing, Extent::Whole).await }
    });
    others.clear();
    let picture =
        eventually("it is there", || async { canvases.picture(drawing, Extent::Whole).await.ok() }).await;
    assert_eq!(waiting.await.unwrap().unwrap().state_hash, picture.state_hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_want_the_same_share_it_even_if_it_is_too_large_to_be_kept() {
    let setup = Setup::new(Database::sqlite()).await;
    let drawing = setup.drawing(300).await;
    let with_memory = |bytes| {
        let loader = setup.loader().with_memory(Memory::new(bytes, Duration::from_millis(200)));
        Canvases::new(loader, TaskTracker::new(), CancellationToken::new())
    };
    let weight = with_memory(MEMORY).picture(drawing, Extent::Whole).await.unwrap().weight();
    // An eighth of the memory is for pictures that are kept.
    let canvases = with_memory(7 * weight);
    let picture = canvases.picture(drawing, Extent::Whole).await.unwrap();
    for extent in [Extent::Whole, Extent::ViewOnly] {
        let same = canvases.picture(drawing, extent).await.unwrap();
        assert!(Arc::ptr_eq(&picture, &same), "{extent:?}");
    }
    let drawn = join_all((0..8).map(|_| canvases.drawing(picture.clone()))).await;
    let drawn: Vec<_> = drawn.into_iter().map(Result::unwrap).collect();
    assert!(drawn.iter().all(|one| Arc::ptr_eq(one, &drawn[0])));
    let other = Arc::downgrade(&picture);
    drop((picture, drawn));
    assert!(other.upgrade().is_none(), "nobody has it any more");
    assert_eq!(canvases.picture(drawing, Extent::Whole).await.unwrap().weight(), weight);
}
