//! Canvases of a lost branch: none is stored as a snapshot, none is shown in the new epoch.

use loadtest::services::Replication;
use reqwest::header::HeaderMap;
use revcast::worker::Built;
use serde_json::json;

use crate::{
    failover::setup::{Forked, KEPT, pair, read_patiently},
    http::snapshot::snapshot,
    snapshot::setup::{EVERY, Setup},
    store::contract::Database,
    support::{
        App, Client, eventually,
        replica::{Replica, SnapshotBody},
        scripted::{Fault, Script},
    },
};

/// The number of the call in a first build that writes the blob.
async fn call_that_writes_the_blob(setup: &Setup) -> usize {
    let mut nth = 1;
    loop {
        let drawing = setup.drawing(EVERY).await;
        let script = Script::at(nth, Fault::Pauses);
        let builder = setup.scripted_builder(&script);
        tokio::select! {
            built = builder.build(drawing) => panic!("no blob was written: {built:?}"),
            () = script.is_reached() => (),
        }
        if script.puts() == 1 {
            return nth;
        }
        nth += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canvas_computed_at_a_lost_revision_is_not_stored_as_a_snapshot() {
    let (mut postgres, url) = pair(Replication::Asynchronous).await;
    let setup = Setup::new(Database::at(&url)).await;
    let nth = call_that_writes_the_blob(&setup).await;
    let drawing = setup.drawing(EVERY - 1).await;
    // The op that comes after is lost, and makes a snapshot due.
    postgres.part().await.unwrap();
    setup.grow(drawing, 1).await;
    let script = Script::at(nth, Fault::Pauses);
    let builder = setup.scripted_builder(&script);
    let building = tokio::spawn(async move { builder.build(drawing).await });
    script.is_reached().await;
    assert_eq!(script.puts(), 1);
    postgres.fail_over().await.unwrap();
    eventually("the store is back", || async { setup.store.heads(&[drawing]).await.ok().map(drop) }).await;
    // Another op takes the revision at which the canvas was computed.
    setup.grow(drawing, 1).await;
    script.go_on();
    let outcome = building.await.unwrap();
    assert!(!matches!(outcome, Ok(Built::Snapshot(_) | Built::Stretch(_))), "{outcome:?}");
    assert_eq!(setup.revisions(drawing).await, Vec::<u64>::new());
    // Now it is due in the new epoch, and right.
    setup.builder().build(drawing).await.unwrap();
    assert_eq!(setup.revisions(drawing).await, [EVERY]);
    setup.assert_exact(drawing).await;
}

/// Checks the canvas at each revision against the log as it is now.
async fn expect_canvases_of_the_log(client: &Client, drawing: &str) {
    let log = client.read_all(drawing, 0).await;
    for at in 0..=log.len() {
        let answer = read_patiently(client, &snapshot(drawing, &format!("?at={at}"))).await.expect(200);
        let told = SnapshotBody::read(&answer.bytes);
        let expected = Replica::replay(&log[..at]).canvas;
        assert_eq!((told.revision, told.view.get()), (at as u64, &*expected.view()));
        assert_eq!(told.registers.get(), expected.registers());
    }
    let answer = read_patiently(client, &snapshot(drawing, "")).await.expect(200);
    assert_eq!(SnapshotBody::read(&answer.bytes).view.get(), Replica::replay(&log).canvas.view());
}

fn etag(headers: &HeaderMap) -> String {
    headers["etag"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canvas_of_a_lost_branch_is_not_shown_in_the_new_epoch() {
    let mut forked = Forked::start().await;
    let (drawing, old) = (forked.drawing.clone(), forked.epoch.clone());
    forked.commit_what_is_lost(2).await;
    // Both nodes have the lost canvas in their memories, of the head and of the past.
    let mut known = Vec::new();
    for alice in [forked.alice.clone(), forked.alice_far()] {
        for query in [String::new(), "?at=8".to_owned(), format!("?at=8&epoch={old}")] {
            let shown = alice.get(&snapshot(&drawing, &query)).await.expect(200);
            assert!(String::from_utf8_lossy(&shown.bytes).contains("lost0"));
            known.push((query, etag(&shown.headers)));
        }
    }
    forked.fail_over().await;
    let new = forked.commit_in_place(2).await;
    let fresh = App::start(&forked.database_url, &[]).await;
    for alice in [forked.alice.clone(), forked.alice_far(), forked.alice.at(&fresh.base)] {
        expect_canvases_of_the_log(&alice, &drawing).await;
        for (query, etag) in &known {
            let answer = alice.get_with(&snapshot(&drawing, query), &[("if-none-match", etag)]).await;
            if query.contains("epoch") {
                answer.expect_problem(410, "epoch_changed");
            } else {
                let shown = answer.expect(200);
                assert!(!String::from_utf8_lossy(&shown.bytes).contains("lost0"));
                assert_eq!(shown.json()["epoch"], json!(new));
            }
        }
        let common = alice.get(&snapshot(&drawing, &format!("?at={KEPT}&epoch={old}"))).await.expect(200);
        assert_eq!(common.json()["revision"], KEPT);
    }
}
