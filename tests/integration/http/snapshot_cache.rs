//! Snapshots that many ask for: tags, gzip, and what is shared by those who join at once.

use std::{io::Read, sync::Arc};

use flate2::read::GzDecoder;
use futures_util::future::{join, join_all};
use loadtest::services::TempFolder;
use revcast::{
    limits,
    model::{DrawingId, Revision},
    snapshot::{Blobs, Canvases, Extent, LoadError, Loader},
    store::{Log, Store},
    telemetry::Metrics,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    http::snapshot::{scribbled, snapshot},
    store::contract::{Database, append_one, by_alice, new_drawing, ops},
    support::{Answer, App, CountingStore, eventually, op},
};

const JOINERS: usize = 50;

fn etag(answer: &Answer) -> &str {
    answer.headers["etag"].to_str().unwrap()
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut inflated = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut inflated).unwrap();
    inflated
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_canvas_is_not_sent_it_again() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (id, _) = scribbled(&alice).await;
    for query in ["", "?view=only", "?at=3", "?at_time=9999999999999"] {
        let path = snapshot(&id, query);
        let first = alice.get(&path).await.expect(200);
        let tag = etag(&first);
        let strong = tag.strip_prefix("W/").unwrap();
        let known = [
            tag.to_owned(),
            strong.to_owned(),
            format!("\"other\", {tag}"),
            format!("W/\"other\",{strong} , \"another\""),
            "*".to_owned(),
        ];
        for known in known {
            let again = alice.get_with(&path, &[("if-none-match", &known)]).await.expect(304);
            assert!(again.bytes.is_empty());
            for header in ["etag", "cache-control", "vary"] {
                assert_eq!(again.headers.get(header), first.headers.get(header), "{header} with {known}");
            }
        }
        let unknown = ["\"other\"", "", "W/\"\"", tag.trim_end_matches('"'), strong.trim_matches('"')];
        for unknown in unknown {
            let other = alice.get_with(&path, &[("if-none-match", unknown)]).await.expect(200);
            assert_eq!(other.bytes, first.bytes, "{unknown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_changes_with_each_commit_and_differs_by_form() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (id, log) = scribbled(&alice).await;
    let other = scribbled(&alice).await.0;
    let mut tags = Vec::new();
    for x in 0..3 {
        for query in ["", "?view=only"] {
            let answer = alice.get(&snapshot(&id, query)).await.expect(200);
            assert!(!tags.contains(&etag(&answer).to_owned()), "{tags:?}");
            tags.push(etag(&answer).to_owned());
        }
        alice.commit(&id, &[op(x)]).await.expect(200);
        let stale = [("if-none-match", &*tags.join(", "))];
        alice.get_with(&snapshot(&id, ""), &stale).await.expect(200);
    }
    // The same revision in the same form is the same, whichever way it was asked for.
    let at = alice.get(&snapshot(&id, &format!("?at={}", log.len()))).await.expect(200);
    assert_eq!(etag(&at), tags[0]);
    // Two drawings have one log each: the tag is looked at for the one that is asked for.
    let theirs = alice.get(&snapshot(&other, "")).await.expect(200);
    assert_eq!(theirs.json()["revision"], at.json()["revision"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canvas_that_never_changes_may_be_kept_for_ever_and_any_other_is_asked_for_again() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (id, log) = scribbled(&alice).await;
    let epoch = alice.get(&snapshot(&id, "")).await.json()["epoch"].as_str().unwrap().to_owned();
    let time = log[2]["ts"].as_i64().unwrap();
    let rows = [
        (String::new(), false),
        ("?view=only".to_owned(), false),
        (format!("?epoch={epoch}"), false),
        ("?at=3".to_owned(), false),
        (format!("?at_time={time}"), false),
        // The clock of another node may be behind.
        (format!("?at_time={time}&epoch={epoch}"), false),
        (format!("?at=0&epoch={epoch}"), true),
        (format!("?at=3&epoch={epoch}&view=only"), true),
        (format!("?at={}&epoch={epoch}", log.len()), true),
    ];
    for (query, is_fixed) in rows {
        let answer = alice.get(&snapshot(&id, &query)).await.expect(200);
        let expected = if is_fixed { "private, max-age=31536000, immutable" } else { "private, no-cache" };
        assert_eq!(answer.headers["cache-control"], expected, "{query}");
        let vary: Vec<_> = answer.headers.get_all("vary").iter().map(|v| v.to_str().unwrap()).collect();
        let vary = vary.join(",").to_ascii_lowercase();
        assert!(vary.contains("accept-encoding") && vary.contains("authorization"), "{vary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canvas_is_gzipped_for_who_accepts_that() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (id, _) = scribbled(&alice).await;
    for query in ["", "?view=only", "?at=5"] {
        let path = snapshot(&id, query);
        let plain = alice.get(&path).await.expect(200);
        for refused in ["identity", "gzip;q=0", "br, gzip; q=0.000", "deflate, br", ""] {
            let answer = alice.get_with(&path, &[("accept-encoding", refused)]).await.expect(200);
            assert!(!answer.headers.contains_key("content-encoding"), "{refused}");
            assert_eq!(answer.headers["content-length"], plain.bytes.len().to_string());
            assert_eq!(answer.bytes, plain.bytes);
        }
        for accepted in
            ["gzip", "GZip", "br, gzip", "gzip;q=0.1", "identity;q=0.5, gzip ; q=1", "deflate,gzip,br"]
        {
            let answer = alice.get_with(&path, &[("accept-encoding", accepted)]).await.expect(200);
            let encodings: Vec<_> = answer.headers.get_all("content-encoding").iter().collect();
            assert_eq!(encodings, ["gzip"], "{accepted}");
            assert_eq!(answer.headers["content-length"], answer.bytes.len().to_string());
            assert_eq!(etag(&answer), etag(&plain));
            assert_eq!(inflate(&answer.bytes), plain.bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_join_at_once_get_the_same() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (id, _) = scribbled(&alice).await;
    alice.commit_some(&id, 1_000).await;
    let path = snapshot(&id, "");
    let joins = (0..JOINERS).map(|nth| {
        let (alice, path) = (alice.clone(), path.clone());
        let accepted = if nth % 2 == 0 { "gzip" } else { "identity" };
        tokio::spawn(async move { alice.get_with(&path, &[("accept-encoding", accepted)]).await.expect(200) })
    });
    let answers: Vec<Answer> = join_all(joins).await.into_iter().map(Result::unwrap).collect();
    let (gzipped, plain) = (&answers[0], &answers[1]);
    assert_eq!(inflate(&gzipped.bytes), plain.bytes);
    for pair in answers.chunks(2) {
        assert_eq!((&pair[0].bytes, &pair[1].bytes), (&gzipped.bytes, &plain.bytes));
    }
}

/// Canvases in front of a store that counts, and a drawing with so many ops.
struct Scene {
    store: Arc<CountingStore>,
    canvases: Canvases,
    drawing: DrawingId,
    _database: Database,
    _blobs: TempFolder,
}

impl Scene {
    async fn new(count: usize) -> Self {
        let database = Database::sqlite();
        let store = Arc::new(CountingStore::new(database.connect().await.into()));
        let drawing = new_drawing(&*store).await;
        append_one(&*store, by_alice(drawing, &ops(count))).await;
        let blobs = TempFolder::new("blobs").unwrap();
        let open = Blobs::open(&format!("file:{}", blobs.path().display())).unwrap();
        let as_store: Arc<dyn Store> = store.clone();
        let loader = Loader::new(&as_store, &open, &Arc::new(Metrics::new()));
        let canvases = Canvases::new(loader, TaskTracker::new(), CancellationToken::new());
        Self { store, canvases, drawing, _database: database, _blobs: blobs }
    }

    /// Waits until somebody reads the log.
    async fn is_reading(&self, reads: u64) {
        let has_begun = || async { (self.store.reads(self.drawing) >= reads).then_some(()) };
        eventually("a read of the log", has_begun).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_while_a_canvas_is_loaded_share_one_more_read() {
    let scene = Scene::new(300).await;
    scene.store.hold();
    let ask = || scene.canvases.picture(scene.drawing, Extent::Whole);
    let first = tokio::spawn({
        let (canvases, drawing) = (scene.canvases.clone(), scene.drawing);
        async move { canvases.picture(drawing, Extent::Whole).await }
    });
    scene.is_reading(1).await;
    // All of them have asked before the store answers: it is looked after in this order.
    let (others, ()) = join(join_all((1..JOINERS).map(|_| ask())), async { scene.store.release() }).await;
    let first = first.await.unwrap().unwrap();
    assert_eq!(first.revision, Revision(300));
    for picture in others {
        assert!(Arc::ptr_eq(&picture.unwrap(), &first));
    }
    // The first read may have been too early for those who came after it.
    assert_eq!(scene.store.reads(scene.drawing), 2);
    // And who asks for this revision by name gets the same.
    let named =
        || scene.canvases.picture_at(scene.drawing, first.branch.epoch, first.revision, Extent::Whole);
    for picture in join_all((0..JOINERS).map(|_| named())).await {
        assert!(Arc::ptr_eq(&picture.unwrap(), &first));
    }
    assert_eq!(scene.store.reads(scene.drawing), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_for_one_revision_of_the_past_share_one_load() {
    let scene = Scene::new(300).await;
    let epoch = scene.store.meta().await.unwrap().epoch;
    let ask = || scene.canvases.picture_at(scene.drawing, epoch, Revision(100), Extent::Whole);
    let pictures = join_all((0..JOINERS).map(|_| ask())).await;
    let first = pictures[0].as_ref().unwrap().clone();
    assert_eq!(first.revision, Revision(100));
    assert!(pictures.into_iter().all(|picture| Arc::ptr_eq(&picture.unwrap(), &first)));
    assert_eq!(scene.store.reads(scene.drawing), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_who_look_at_the_past_are_sent_away_at_once() {
    let scene = Scene::new(300).await;
    let epoch = scene.store.meta().await.unwrap().epoch;
    scene.store.hold();
    let mut asking: JoinSet<_> = (1..=limits::PAST_QUEUE as u64 + 5)
        .map(|at| {
            let (canvases, drawing) = (scene.canvases.clone(), scene.drawing);
            async move {
                canvases
                    .picture_at(drawing, epoch, Revision(at), Extent::Whole)
                    .await
                    .map(|picture| picture.revision)
            }
        })
        .collect();
    for _ in 0..5 {
        let refused = asking.join_next().await.unwrap().unwrap();
        assert!(matches!(refused, Err(LoadError::Overloaded)), "{refused:?}");
    }
    scene.store.release();
    let seen = asking.join_all().await;
    assert_eq!(seen.into_iter().filter(Result::is_ok).count(), limits::PAST_QUEUE);
    assert_eq!(
        scene
            .canvases
            .picture_at(scene.drawing, epoch, Revision(299), Extent::Whole)
            .await
            .unwrap()
            .revision
            .0,
        299
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_when_whoever_asked_has_hung_up() {
    let scene = Scene::new(300).await;
    scene.store.hold();
    let (canvases, drawing) = (scene.canvases.clone(), scene.drawing);
    let asked = tokio::spawn(async move { drop(canvases.picture(drawing, Extent::Whole).await) });
    scene.is_reading(1).await;
    let calls = scene.store.calls();
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    scene.store.release();
    eventually("the load goes on", || async { (scene.store.calls() > calls).then_some(()) }).await;
    let picture = scene.canvases.picture(scene.drawing, Extent::Whole).await.unwrap();
    assert_eq!(picture.revision, Revision(300));
    assert_eq!(scene.store.reads(scene.drawing), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_leave_the_next_one_unharmed() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    alice.commit_some(&id, 2_500).await;
    let address = app.base.trim_start_matches("http://");
    for query in ["", "?at=2400", "?at=2400", "", "?view=only"] {
        let mut hasty = TcpStream::connect(address).await.unwrap();
        let (path, token) = (snapshot(&id, query), &alice.token);
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        hasty.write_all(request.as_bytes()).await.unwrap();
    }
    for (query, revision) in [("", 2_500), ("?at=2400", 2_400)] {
        let body = alice.get(&snapshot(&id, query)).await.expect(200).json();
        assert_eq!(body["revision"], revision);
    }
}
