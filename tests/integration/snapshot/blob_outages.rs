//! The blob store when its folder or its bucket cannot be used.

use std::{fs, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use loadtest::{proxy::Proxy, services::TempFolder};
use object_store::{ObjectStore, memory::InMemory};
use revcast::{
    limits,
    model::DrawingId,
    snapshot::{BlobError, BlobHealth, Blobs},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use crate::{
    snapshot::blobs::{folder_url, new_ids},
    support::{
        S3Server, eventually,
        scripted::{Fault, Script},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_cut_off_is_unavailable_until_it_is_back() {
    let s3 = S3Server::start().await;
    let proxy = Proxy::start(s3.port).await.unwrap();
    let blobs = Blobs::open(&s3.url_through(proxy.port, "a")).unwrap();
    let (drawing, snapshot) = new_ids();
    blobs.put(drawing, snapshot, Bytes::from("before")).await.unwrap();
    assert!(blobs.probe().await);

    proxy.cut();
    assert!(!blobs.probe().await);
    expect_unavailable(&blobs, drawing, snapshot).await;

    proxy.restore();
    assert_eq!(blobs.get(drawing, snapshot).await.unwrap(), "before");
    assert!(!blobs.probe().await, "no write has succeeded yet");
    blobs.put(drawing, snapshot, Bytes::from("after")).await.unwrap();
    assert!(blobs.probe().await);
    assert_eq!(blobs.get(drawing, snapshot).await.unwrap(), "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_breaks_off_is_made_again() {
    let s3 = S3Server::start().await;
    let (drawing, snapshot) = new_ids();
    Blobs::open(&s3.url("a")).unwrap().put(drawing, snapshot, Bytes::from("a")).await.unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let blobs = Blobs::open(&s3.url_through(listener.local_addr().unwrap().port(), "a")).unwrap();
    let reading = tokio::spawn(async move { blobs.get(drawing, snapshot).await });
    // The first connection ends at once, the second one is served.
    drop(listener.accept().await.unwrap());
    let (mut client, _) = listener.accept().await.unwrap();
    let mut server = TcpStream::connect(("127.0.0.1", s3.port)).await.unwrap();
    tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
    assert_eq!(reading.await.unwrap().unwrap(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_hangs_is_given_up() {
    let s3 = S3Server::start().await;
    // The kernel takes the connections, and nobody else.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let blobs = Blobs::open(&s3.url_through(silent.local_addr().unwrap().port(), "a")).unwrap();
    let start = Instant::now();
    assert!(!blobs.probe().await);
    assert!(start.elapsed() < 2 * limits::BLOB_PROBE_TIMEOUT, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_entered_does_not_look_like_missing_blobs() {
    let s3 = S3Server::start().await;
    let (drawing, snapshot) = new_ids();
    // A wrong secret, a wrong key, a bucket that is not there.
    for url in [
        s3.url("a").replace(&s3.secret_key, "another"),
        s3.url("a").replace(&s3.access_key, "another"),
        s3.url("a").replace(&s3.bucket, "another"),
    ] {
        let blobs = Blobs::open(&url).unwrap();
        assert!(!blobs.probe().await, "{url}");
        expect_unavailable(&blobs, drawing, snapshot).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_whose_place_a_file_stands_is_unavailable() {
    let folder = TempFolder::new("blobs").unwrap();
    let blobs = Blobs::open(&folder_url(&folder)).unwrap();
    let (drawing, snapshot) = new_ids();
    blobs.put(drawing, snapshot, Bytes::from("a")).await.unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    fs::write(folder.path(), "").unwrap();
    assert!(!blobs.probe().await);
    expect_unavailable(&blobs, drawing, snapshot).await;

    fs::remove_file(folder.path()).unwrap();
    fs::create_dir(folder.path()).unwrap();
    assert!(!blobs.probe().await, "no write has succeeded yet");
    blobs.put(drawing, snapshot, Bytes::from("b")).await.unwrap();
    assert!(blobs.probe().await);
    assert_eq!(blobs.get(drawing, snapshot).await.unwrap(), "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_gone_does_not_look_like_missing_blobs() {
    let folder = TempFolder::new("blobs").unwrap();
    let blobs = Blobs::open(&folder_url(&folder)).unwrap();
    let (drawing, snapshot) = new_ids();
    fs::remove_dir_all(folder.path()).unwrap();
    for failed in [
        blobs.get(drawing, snapshot).await.map(drop),
        blobs.delete(drawing, snapshot).await.map(drop),
        blobs.list().await.map(drop),
    ] {
        assert!(matches!(failed, Err(BlobError::Unavailable(_))), "{failed:?}");
    }
    assert!(matches!(blobs.put(drawing, snapshot, Bytes::from("a")).await, Err(BlobError::Unavailable(_))));
    // Nobody makes another one, in which all would seem to be missing.
    assert!(!blobs.probe().await && !folder.path().exists());
    fs::create_dir(folder.path()).unwrap();
    assert!(matches!(blobs.get(drawing, snapshot).await, Err(BlobError::Missing)));
    blobs.put(drawing, snapshot, Bytes::from("a")).await.unwrap();
    assert!(blobs.probe().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_blob_that_cannot_be_read_is_no_outage() {
    let folder = TempFolder::new("blobs").unwrap();
    let blobs = Blobs::open(&folder_url(&folder)).unwrap();
    let (drawing, snapshot) = new_ids();
    let path = folder.path().join(format!("{drawing}/{snapshot}.snap"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let outcome = blobs.get(drawing, snapshot).await;
    assert!(matches!(outcome, Err(BlobError::Unreadable(_))), "{outcome:?}");
    assert!(blobs.probe().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawing_whose_blobs_cannot_be_written_shows_in_the_probe() {
    let folder = TempFolder::new("blobs").unwrap();
    let blobs = Blobs::open(&folder_url(&folder)).unwrap();
    let (drawing, snapshot) = new_ids();
    let of_drawing = folder.path().join(drawing.to_string());
    fs::write(&of_drawing, "").unwrap();
    let refused = blobs.put(drawing, snapshot, Bytes::from("a")).await;
    assert!(matches!(refused, Err(BlobError::Unavailable(_))), "{refused:?}");
    assert!(!blobs.probe().await);
    fs::remove_file(of_drawing).unwrap();
    blobs.put(drawing, snapshot, Bytes::from("a")).await.unwrap();
    assert!(blobs.probe().await);
}

/// Panics unless every call says so in time, and never that the blob is missing.
async fn expect_unavailable(blobs: &Blobs, drawing: DrawingId, snapshot: Uuid) {
    let start = Instant::now();
    for failed in [
        blobs.get(drawing, snapshot).await.map(drop),
        blobs.put(drawing, snapshot, Bytes::from("x")).await,
        blobs.delete(drawing, snapshot).await.map(drop),
        blobs.list().await.map(drop),
    ] {
        assert!(matches!(failed, Err(BlobError::Unavailable(_))), "{failed:?}");
    }
    assert!(start.elapsed() < 4 * limits::BLOB_TIMEOUT, "{:?}", start.elapsed());
}

#[tokio::test]
async fn many_who_ask_whether_blobs_are_there_cost_one_probe() {
    let (script, memory): (_, Arc<dyn ObjectStore>) = (Script::idle(), Arc::new(InMemory::new()));
    let health = BlobHealth::new(Blobs::new(script.objects(&memory)));
    let asked = join_all((0..100).map(|_| health.is_good())).await;
    assert!(asked.into_iter().all(|is_good| is_good));
    assert_eq!(script.calls(), 1);
    script.take_blobs_away(true);
    eventually("the answer is too old", || async { (!health.is_good().await).then_some(()) }).await;
}

#[tokio::test]
async fn a_probe_that_hangs_is_waited_for_once_by_all() {
    let (script, memory): (_, Arc<dyn ObjectStore>) =
        (Script::at(1, Fault::HangsBefore), Arc::new(InMemory::new()));
    let health = BlobHealth::new(Blobs::new(script.objects(&memory)));
    let asked = join_all((0..100).map(|_| health.is_good())).await;
    assert!(asked.into_iter().all(|is_good| !is_good));
    assert_eq!(script.calls(), 1);
}
