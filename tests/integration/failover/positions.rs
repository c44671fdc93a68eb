//! Positions after a failover that lost ops: pages, conditions of writes, and ops that are posted again.

use serde_json::{Value, json};

use crate::{
    failover::setup::{Forked, KEPT, Lineage, commit_patiently, lineage, post_patiently},
    http::history::rect,
    support::{Client, revisions},
};

fn page(drawing: &str, query: &str) -> String {
    format!("/v1/drawings/{drawing}/ops?{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_page_of_a_lost_branch_is_never_served_in_the_new_epoch() {
    let mut forked = Forked::start().await;
    let (drawing, old) = (forked.drawing.clone(), forked.epoch.clone());
    let lost = forked.commit_what_is_lost(2).await;
    let path = page(&drawing, &format!("after=0&until=8&epoch={old}"));
    let cached = forked.alice.get(&path).await.expect(200);
    assert!(cached.headers["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(cached.json()["ops"][7]["op_id"], lost[0]["op_id"]);
    let etag = cached.headers["etag"].to_str().unwrap().to_owned();
    forked.fail_over().await;
    let new = forked.commit_in_place(2).await;
    for alice in [forked.alice.clone(), forked.alice_far()] {
        alice.get(&path).await.expect_problem(410, "epoch_changed");
        alice.get_with(&path, &[("if-none-match", &etag)]).await.expect_problem(410, "epoch_changed");
        for query in ["after=7&until=8", "after=3&until=9", "after=0&until=100"] {
            let path = page(&drawing, &format!("{query}&epoch={old}"));
            alice.get(&path).await.expect_problem(410, "epoch_changed");
        }
        // Up to where the logs are equal, the old epoch does.
        let common = alice.get(&page(&drawing, &format!("after=0&until={KEPT}&epoch={old}"))).await;
        let common = common.expect(200).json();
        assert_eq!((&common["to"], &common["complete"]), (&json!(KEPT), &json!(true)));
        let answer = alice.get(&page(&drawing, &format!("after=0&until=8&epoch={new}"))).await.expect(200);
        assert_ne!(answer.headers["etag"].to_str().unwrap(), etag);
        assert!(answer.headers["cache-control"].to_str().unwrap().contains("immutable"));
        assert_ne!(answer.json()["ops"][7]["op_id"], lost[0]["op_id"]);
        // An address that names no epoch may mean another page tomorrow.
        let answer = alice.get_with(&page(&drawing, "after=0&until=8"), &[("if-none-match", &etag)]).await;
        let answer = answer.expect(200);
        assert!(!answer.headers["cache-control"].to_str().unwrap().contains("immutable"), "{answer:?}");
        assert_eq!(Lineage::of(&answer.json()), forked.lineage(&new));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_a_lost_revision_conflicts() {
    let mut forked = Forked::start().await;
    let (alice, drawing, old) = (forked.alice.clone(), forked.drawing.clone(), forked.epoch.clone());
    let idle = alice.create_drawing().await;
    alice.commit_some(&idle, KEPT).await;
    let new = forked.fork().await;
    let post = async |drawing: &str, condition: Value| {
        let mut body = json!({"ops": [rect("conditional")]});
        body.as_object_mut().unwrap().extend(condition.as_object().unwrap().clone());
        post_patiently(&alice, &format!("/v1/drawings/{drawing}/ops"), &body).await
    };
    // The head is where the lost log had its own.
    let head = KEPT + 2;
    assert_eq!(alice.head(&drawing).await, head);
    for revision in [KEPT, KEPT + 1, head] {
        let refused = post(&drawing, json!({"if_revision": revision, "epoch": old})).await;
        refused.expect_problem(409, "revision_conflict");
    }
    post(&drawing, json!({"epoch": old})).await.expect_problem(410, "epoch_changed");
    assert_eq!(alice.head(&drawing).await, head, "nothing was written");
    post(&drawing, json!({"if_revision": head, "epoch": new})).await.expect(200);
    post(&drawing, json!({"epoch": new})).await.expect(200);
    post(&drawing, json!({"if_revision": head + 2})).await.expect(200);
    // A position of the epoch before that still is the head.
    post(&idle, json!({"if_revision": KEPT, "epoch": old})).await.expect(200);
    let again = post(&idle, json!({"if_revision": KEPT, "epoch": old})).await;
    again.expect_problem(409, "revision_conflict");
    let ahead = post(&idle, json!({"if_revision": KEPT + 1, "epoch": old})).await;
    ahead.expect_problem(409, "revision_conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn ops_acknowledged_above_the_base_are_committed_once_when_they_are_posted_again() {
    let mut forked = Forked::start().await;
    let (alice, drawing) = (forked.alice.clone(), forked.drawing.clone());
    let kept = alice.read_all(&drawing, 0).await;
    let lost = forked.commit_what_is_lost(3).await;
    forked.fail_over().await;
    let new = forked.commit_in_place(1).await;
    let (_, base) = lineage(&alice, &drawing).await.before.expect("the epoch goes on from another");
    assert_eq!(base, KEPT);
    for is_again in [false, true] {
        let answer = commit_patiently(&alice, &drawing, &lost).await.expect(200).json();
        assert_eq!(answer["epoch"], json!(new));
        let expected: Vec<Value> = (KEPT + 2..)
            .zip(&lost)
            .map(|(revision, op)| json!({"op_id": op["op_id"], "revision": revision, "duplicate": is_again}))
            .collect();
        assert_eq!(answer["results"], json!(expected));
    }
    let log = alice.read_all(&drawing, 0).await;
    assert_eq!(revisions(&log), (1..=KEPT + 4).collect::<Vec<_>>());
    assert_eq!(log[..kept.len()], kept);
    for op in &lost {
        assert_eq!(log.iter().filter(|logged| logged["op_id"] == op["op_id"]).count(), 1);
    }
    assert_times_never_fall(&log);
    // An op that was kept is a duplicate in the new epoch as well.
    let again = repeat(&alice, &drawing, &kept[2]).await;
    assert_eq!(again, json!([{"op_id": kept[2]["op_id"], "revision": 3, "duplicate": true}]));
}

/// Posts an op of the log as it was sent, and returns the results.
async fn repeat(client: &Client, drawing: &str, logged: &Value) -> Value {
    let mut op = logged.clone();
    for envelope in ["revision", "actor", "ts"] {
        op.as_object_mut().unwrap().remove(envelope);
    }
    client.commit(drawing, &[op]).await.expect(200).json()["results"].take()
}

#[track_caller]
fn assert_times_never_fall(log: &[Value]) {
    let times: Vec<u64> = log.iter().map(|op| op["ts"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}
