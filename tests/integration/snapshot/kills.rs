//! Servers that are killed while their worker builds: what they leave behind is made up for.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use loadtest::services::Revcast;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    snapshot::setup::Setup,
    store::contract::Database,
    support::{Client, LIFTED_LIMITS, eventually, op},
};

/// Drawings that are written to at once: the claim of a killed worker keeps others from one of them for a while.
const DRAWINGS: usize = 8;
const KILLS: u64 = 5;
/// Commits between two kills, at least; and as many more at random.
const COMMITS: u64 = 60;

/// Commits to each drawing until the server is gone, and counts.
fn write_steadily(client: &Client, drawings: &[String], commits: &Arc<AtomicU64>) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for drawing in drawings {
        let (client, commits) = (client.clone(), commits.clone());
        let path = format!("/v1/drawings/{drawing}/ops");
        writers.spawn(async move {
            for x in 0.. {
                let ops = json!({"ops": [op(x), op(x + 1), op(x + 2)]});
                let request = client.request(reqwest::Method::POST, &path).json(&ops);
                if Client::send(request).await.is_err() {
                    return;
                }
                commits.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    writers
}

async fn survive_kills(database: Database) {
    let setup = Setup::new(database).await;
    let blob_url = format!("file:{}", setup.folder.path().display());
    let mut flags = [&["--dev"], &LIFTED_LIMITS[..]].concat();
    flags.extend(["--database-url", setup.database.url(), "--blob-url", &blob_url, "--snapshot-every", "10"]);
    let start = || Revcast::start(Path::new(env!("CARGO_BIN_EXE_revcast")), &flags).unwrap();
    let mut server = start();
    let mut alice = Client::new(&server.base, "alice").await;
    let mut drawings = Vec::new();
    for _ in 0..DRAWINGS {
        drawings.push(alice.create_drawing().await);
    }
    for _ in 0..KILLS {
        let commits = Arc::new(AtomicU64::new(0));
        let mut writers = write_steadily(&alice, &drawings, &commits);
        let enough = COMMITS + u64::from(Uuid::new_v4().as_bytes()[0]) % COMMITS;
        eventually("ops are committed", || async {
            (commits.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
        server.kill().unwrap();
        while writers.join_next().await.is_some() {}
        server = start();
        alice = alice.at(&server.base);
    }
    server.kill().unwrap();
    // Claims are given up, as they are once they have run out.
    setup.store.expire_claims(i64::MAX, 1_000).await.unwrap();
    let mut built = 0;
    for drawing in drawings {
        let drawing = drawing.parse().unwrap();
        setup.adopt(drawing);
        built += setup.revisions(drawing).await.len();
        setup.builder().build(drawing).await.unwrap();
        setup.assert_exact(drawing).await;
    }
    assert!(built > 0, "workers have built");
    setup.assert_nothing_dangles().await;
    assert_eq!(setup.counter("revcast_snapshots_damaged_total"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_leave_nothing_behind_on_sqlite() {
    survive_kills(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_leave_nothing_behind_on_postgres() {
    survive_kills(Database::postgres()).await;
}
