//! The promises of the blob store: one suite of plain functions, run on a folder and on a bucket.
//!
//! Its behaviour in outages stands in `snapshot::blob_outages`.

use std::{collections::HashSet, fs, iter::repeat_with};

use bytes::Bytes;
use clap::Parser;
use futures_util::future::join_all;
use loadtest::services::TempFolder;
use object_store::memory::InMemory;
use revcast::{
    config::{Cli, Command, ConfigError},
    limits,
    model::DrawingId,
    snapshot::{BlobError, BlobOpenError, Blobs},
};
use uuid::Uuid;

use crate::support::S3Server;

/// Makes one test a rule and place.
macro_rules! contract {
    ($($rule:ident),+ $(,)?) => {
        mod folder {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let folder = super::TempFolder::new("blobs").unwrap();
                super::$rule(&super::Blobs::open(&super::folder_url(&folder)).unwrap()).await;
            })+
        }
        mod bucket {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let s3 = super::S3Server::start().await;
                super::$rule(&super::Blobs::open(&s3.url("a/prefix")).unwrap()).await;
            })+
        }
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                super::$rule(&super::Blobs::new(std::sync::Arc::new(super::InMemory::new()))).await;
            })+
        }
    };
}

contract! {
    a_blob_is_read_as_it_was_written,
    a_blob_that_is_not_there_is_missing,
    a_blob_is_replaced_whole,
    a_removed_blob_is_missing,
    a_large_blob_comes_back_whole,
    drawings_do_not_share_names,
    all_blobs_are_listed,
    blobs_are_written_side_by_side,
    a_store_that_answers_is_ready,
}

async fn a_blob_is_read_as_it_was_written(blobs: &Blobs) {
    for content in [&b""[..], b"a", &[0, 255, b'\n', b'\r', b'<']] {
        let (drawing, snapshot) = new_ids();
        blobs.put(drawing, snapshot, Bytes::copy_from_slice(content)).await.unwrap();
        assert_eq!(blobs.get(drawing, snapshot).await.unwrap(), content);
    }
}

async fn a_blob_that_is_not_there_is_missing(blobs: &Blobs) {
    let (drawing, snapshot) = new_ids();
    assert!(matches!(blobs.get(drawing, snapshot).await, Err(BlobError::Missing)));
    // Nor is it when its drawing has others.
    blobs.put(drawing, Uuid::now_v7(), Bytes::from("other")).await.unwrap();
    assert!(matches!(blobs.get(drawing, snapshot).await, Err(BlobError::Missing)));
}

async fn a_blob_is_replaced_whole(blobs: &Blobs) {
    let (drawing, snapshot) = new_ids();
    for content in ["a long first one", "short", "and a longer one again"] {
        blobs.put(drawing, snapshot, Bytes::from(content)).await.unwrap();
        assert_eq!(blobs.get(drawing, snapshot).await.unwrap(), content);
    }
    assert_eq!(blobs.list().await.unwrap(), [(drawing, snapshot)]);
}

async fn a_removed_blob_is_missing(blobs: &Blobs) {
    let (drawing, snapshot) = new_ids();
    blobs.delete(drawing, snapshot).await.expect("what is not there may be removed");
    blobs.put(drawing, snapshot, Bytes::from("a")).await.unwrap();
    for _ in 0..2 {
        blobs.delete(drawing, snapshot).await.unwrap();
        assert!(matches!(blobs.get(drawing, snapshot).await, Err(BlobError::Missing)));
    }
    blobs.put(drawing, snapshot, Bytes::from("again")).await.unwrap();
    assert_eq!(blobs.get(drawing, snapshot).await.unwrap(), "again");
}

async fn a_large_blob_comes_back_whole(blobs: &Blobs) {
    let (drawing, snapshot) = new_ids();
    // No two parts of it are alike.
    let content: Bytes =
        (0..5_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    blobs.put(drawing, snapshot, content.clone()).await.unwrap();
    assert!(blobs.get(drawing, snapshot).await.unwrap() == content, "20 MB are the same");
}

async fn drawings_do_not_share_names(blobs: &Blobs) {
    let ((one, snapshot), (other, _)) = (new_ids(), new_ids());
    blobs.put(one, snapshot, Bytes::from("one")).await.unwrap();
    assert!(matches!(blobs.get(other, snapshot).await, Err(BlobError::Missing)));
    blobs.put(other, snapshot, Bytes::from("other")).await.unwrap();
    blobs.delete(other, snapshot).await.unwrap();
    assert_eq!(blobs.get(one, snapshot).await.unwrap(), "one");
}

async fn all_blobs_are_listed(blobs: &Blobs) {
    assert_eq!(blobs.list().await.unwrap(), []);
    let drawing = new_ids().0;
    let mut ids: HashSet<_> = repeat_with(new_ids).take(5).collect();
    ids.extend(repeat_with(|| (drawing, Uuid::now_v7())).take(5));
    for (drawing, snapshot) in &ids {
        blobs.put(*drawing, *snapshot, Bytes::from("a")).await.unwrap();
    }
    assert_eq!(blobs.list().await.unwrap().len(), ids.len());
    assert_eq!(blobs.list().await.unwrap().into_iter().collect::<HashSet<_>>(), ids);
}

async fn blobs_are_written_side_by_side(blobs: &Blobs) {
    let drawing = new_ids().0;
    let snapshots: Vec<Uuid> = repeat_with(Uuid::now_v7).take(16).collect();
    let content = |snapshot: &Uuid| Bytes::from(snapshot.to_string().repeat(1_000));
    for put in join_all(snapshots.iter().map(|id| blobs.put(drawing, *id, content(id)))).await {
        put.unwrap();
    }
    for (id, got) in snapshots.iter().zip(join_all(snapshots.iter().map(|id| blobs.get(drawing, *id))).await)
    {
        assert_eq!(got.unwrap(), content(id));
    }
    // One name at a time as well: one of them stays, and it is whole.
    let puts = snapshots.iter().map(|id| blobs.put(drawing, snapshots[0], content(id)));
    for put in join_all(puts).await {
        put.unwrap();
    }
    let last = blobs.get(drawing, snapshots[0]).await.unwrap();
    assert!(snapshots.iter().any(|id| content(id) == last));
}

async fn a_store_that_answers_is_ready(blobs: &Blobs) {
    assert!(blobs.probe().await);
    let (drawing, snapshot) = new_ids();
    blobs.put(drawing, snapshot, Bytes::from("a")).await.unwrap();
    assert!(blobs.probe().await);
    assert_eq!(blobs.list().await.unwrap(), [(drawing, snapshot)], "a probe leaves no blob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_made_and_has_one_file_a_blob() {
    let folder = TempFolder::new("blobs").unwrap();
    let place = folder.path().join("to/be made");
    let blobs = Blobs::open(&format!("file:{}", place.display())).unwrap();
    let (drawing, snapshot) = new_ids();
    blobs.put(drawing, snapshot, Bytes::from("a")).await.unwrap();
    assert_eq!(fs::read(place.join(format!("{drawing}/{snapshot}.snap"))).unwrap(), b"a");
    blobs.delete(drawing, snapshot).await.unwrap();
    assert!(!place.join(drawing.to_string()).exists(), "an empty folder goes with its last blob");
    assert!(place.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_blob_is_not_listed() {
    let folder = TempFolder::new("blobs").unwrap();
    let blobs = Blobs::open(&folder_url(&folder)).unwrap();
    let (drawing, snapshot) = new_ids();
    let of_drawing = folder.path().join(drawing.to_string());
    fs::create_dir(&of_drawing).unwrap();
    // The first is what a killed process leaves behind.
    for name in [format!("{snapshot}.snap#1"), "notes.txt".to_owned(), ".snap".to_owned()] {
        fs::write(of_drawing.join(name), "x").unwrap();
    }
    fs::write(folder.path().join(format!("{snapshot}.snap")), "x").unwrap();
    assert_eq!(blobs.list().await.unwrap(), []);
    blobs.put(drawing, snapshot, Bytes::from("a")).await.unwrap();
    assert_eq!(blobs.get(drawing, snapshot).await.unwrap(), "a");
    assert_eq!(blobs.list().await.unwrap(), [(drawing, snapshot)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_keeps_to_itself() {
    let s3 = S3Server::start().await;
    let open = |prefix| Blobs::open(&s3.url(prefix)).unwrap();
    let (one, other, bare) = (open("one"), open("one-more"), open(""));
    let (drawing, snapshot) = new_ids();
    one.put(drawing, snapshot, Bytes::from("a")).await.unwrap();
    assert!(matches!(other.get(drawing, snapshot).await, Err(BlobError::Missing)));
    assert_eq!((other.list().await.unwrap(), bare.list().await.unwrap()), (vec![], vec![]));
    let file = format!("{}/one/{drawing}/{snapshot}.snap", s3.bucket);
    assert_eq!(fs::read(s3.folder.path().join(file)).unwrap(), b"a");
    bare.put(drawing, snapshot, Bytes::from("b")).await.unwrap();
    assert_eq!(one.get(drawing, snapshot).await.unwrap(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_any_snapshot_is_not_read() {
    let folder = TempFolder::new("blobs").unwrap();
    let blobs = Blobs::open(&folder_url(&folder)).unwrap();
    let (drawing, snapshot) = new_ids();
    blobs.put(drawing, snapshot, Bytes::new()).await.unwrap();
    let path = folder.path().join(format!("{drawing}/{snapshot}.snap"));
    // A hole takes no place on the disk.
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(limits::MAX_SNAPSHOT_BYTES as u64 + 1).unwrap();
    assert!(matches!(blobs.get(drawing, snapshot).await, Err(BlobError::Missing)));
}

#[test]
fn a_place_that_cannot_be_is_refused() {
    let folder = TempFolder::new("blobs").unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let refused = Blobs::open(&format!("file:{}", path.display())).unwrap_err();
        assert!(matches!(refused, BlobOpenError::Folder { .. }), "{refused}");
    }
    let half = Blobs::open("s3://bucket?access_key_id=alone").unwrap_err();
    assert!(matches!(half, BlobOpenError::Settings(_)), "{half}");
    let unknown = Blobs::open("gs://bucket").unwrap_err();
    assert!(matches!(unknown, BlobOpenError::Url(_)) && unknown.to_string().contains("s3://"), "{unknown}");
}

#[test]
fn the_flag_is_checked() {
    let check = |flags: &[&str]| {
        let line = ["revcast", "serve", "--dev"].iter().chain(flags);
        let Command::Serve(args) = Cli::try_parse_from(line).unwrap().command else { unreachable!() };
        args.check()
    };
    assert_eq!(check(&[]), Ok(()));
    for url in ["file:blobs", "file:///blobs", "s3://bucket", "s3://bucket/prefix?region=eu-west-1"] {
        assert_eq!(check(&["--blob-url", url]), Ok(()), "{url}");
    }
    for url in ["", "blobs", "gs://bucket", "s3://bucket?colour=red"] {
        assert!(matches!(check(&["--blob-url", url]), Err(ConfigError::BlobUrl(_))), "{url}");
    }
}

/// A new drawing and a new snapshot.
pub fn new_ids() -> (DrawingId, Uuid) {
    (DrawingId(Uuid::now_v7()), Uuid::now_v7())
}

/// The value of `--blob-url` for a folder.
pub fn folder_url(folder: &TempFolder) -> String {
    format!("file://{}", folder.path().display())
}
