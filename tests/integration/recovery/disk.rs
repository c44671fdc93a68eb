//! The embedded server, and the folder of its snapshots, when the disk fails them. G11 of the contract.

use std::time::Duration;

use loadtest::services::{SmallDisk, TempFolder};
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::{
    recovery::setup::{Expected, Trial},
    support::{eventually, new_id, program::Serving},
};

#[tokio::test(flavor = "multi_thread")]
async fn g11_a_full_disk_ends_by_itself_on_sqlite() {
    let disk = SmallDisk::mount(12).unwrap();
    let blobs = TempFolder::new("blobs").unwrap();
    let database = format!("sqlite://{}/revcast.db", disk.path().display());
    let blob_url = format!("file:{}", blobs.path().display());
    let mut trial = Trial::start(&["--database-url", &database, "--blob-url", &blob_url]).await;
    disk.fill().unwrap();
    // Larger ops than those of the trial use up what room the file has within.
    let points: Vec<_> = (0..500).map(|x| json!([x, x])).collect();
    eventually("the disk is full", || async {
        let stroke = json!({"op_id": new_id(), "type": "stroke.begin", "object_id": "s", "tool": "pen", "props": {},
                            "points": points});
        (trial.alice.commit(&trial.drawing, &[stroke]).await.status == 503).then_some(())
    })
    .await;
    let expected = Expected { reasons: &["the disk of the database is full"], reads_go_on: true };
    trial.live_through(&expected, async || disk.free().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_a_server_that_starts_on_a_full_disk_waits_for_room() {
    let (disk, blobs) = (SmallDisk::mount(4).unwrap(), TempFolder::new("blobs").unwrap());
    let database = format!("sqlite://{}/revcast.db", disk.path().display());
    let blob_url = format!("file:{}", blobs.path().display());
    let flags = ["--database-url", &database, "--blob-url", &blob_url, "--drain-notice", "0s"];
    let mut server = Serving::launch(&flags);
    server.listens().await;
    server.stop().await;
    disk.fill().unwrap();
    let mut server = Serving::launch(&flags);
    eventually("it is waited for room", async || {
        (server.count("the disk of the database fails while this server starts") > 0).then_some(())
    })
    .await;
    disk.free().unwrap();
    server.listens().await;
    let ready = reqwest::get(format!("{}/readyz", server.base)).await.unwrap();
    assert_eq!(ready.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_a_file_that_another_has_locked_is_waited_for() {
    let folder = TempFolder::new("locked").unwrap();
    let database = format!("sqlite://{}/revcast.db", folder.path().display());
    let blob_url = format!("file:{}/blobs", folder.path().display());
    let mut trial = Trial::start(&["--database-url", &database, "--blob-url", &blob_url]).await;
    let mut other = SqliteConnection::connect(&database).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let expected = Expected {
        reasons: &["the database is too busy", "the database does not answer in time"],
        reads_go_on: true,
    };
    trial
        .live_through(&expected, async || {
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_a_full_disk_of_the_snapshots_ends_by_itself() {
    let (disk, folder) = (SmallDisk::mount(4).unwrap(), TempFolder::new("database").unwrap());
    let database = format!("sqlite://{}/revcast.db", folder.path().display());
    let blob_url = format!("file:{}", disk.path().display());
    let flags = ["--database-url", &database, "--blob-url", &blob_url, "--snapshot-every", "10"];
    let mut trial = Trial::start(&flags).await;
    disk.fill().unwrap();
    for _ in 0..20 {
        assert_eq!(trial.write().await, 200);
    }
    let body = eventually("it is told", async || {
        let (status, body) = trial.readiness().await;
        assert_eq!(status, 200);
        (body["status"] == "degraded").then_some(body)
    })
    .await;
    assert_eq!(body["reason"], "the blob store does not take what is written");
    eventually("it is logged", async || {
        (trial.server.count("a snapshot could not be built") > 0).then_some(())
    })
    .await;
    disk.free().unwrap();
    for _ in 0..20 {
        assert_eq!(trial.write().await, 200);
    }
    eventually("a snapshot is built", || async {
        let drawing = trial.alice.get(&format!("/v1/drawings/{}", trial.drawing)).await;
        drawing.json()["snapshot_revision"].as_u64().filter(|revision| *revision > 0)
    })
    .await;
    eventually("it is ready", async || (trial.readiness().await.1["status"] == "ready").then_some(())).await;
    trial.check_log().await;
    assert_eq!(trial.server.count("a snapshot could not be built"), 1);
    tokio::time::timeout(Duration::from_secs(5), async { trial.write().await }).await.unwrap();
}
