//! Two promotions in a row: a position goes on over one of them, never over two.

use loadtest::services::Replication;
use serde_json::Value;

use crate::{
    failover::setup::{
        Lineage, change_epoch, commit_patiently, expect_good, expect_refused, lineage, pair, settle,
    },
    support::{App, op},
};

#[tokio::test(flavor = "multi_thread")]
async fn positions_go_on_over_one_promotion_and_not_over_two() {
    let (mut postgres, database_url) = pair(Replication::Asynchronous).await;
    let app = App::start(&database_url, &["--heartbeat", "200ms"]).await;
    let alice = app.client("alice").await;
    // Nobody writes to the first one until the end. The second one is written to in the second epoch alone.
    let (idle, early) = (alice.create_drawing().await, alice.create_drawing().await);
    let other = alice.create_drawing().await;
    for drawing in [&idle, &early] {
        alice.commit_some(drawing, 5).await;
    }
    let first = lineage(&alice, &idle).await.epoch;
    let mut socket = alice.socket().await;
    socket.subscribe(&idle, Some(5)).await.unwrap();
    let mut heads: Vec<Lineage> = Vec::new();
    let mut epochs = vec![first.clone()];
    for _ in 0..2 {
        postgres.catch_up().await.unwrap();
        postgres.fail_over().await.unwrap();
        let epoch = change_epoch(&alice, &other).await;
        settle(&alice, &other).await;
        assert!(!epochs.contains(&epoch), "{epoch} of {epochs:?}");
        if epochs.len() == 1 {
            commit_patiently(&alice, &early, &[op(6), op(7)]).await.expect(200);
            postgres.add_standby().await.unwrap();
            for drawing in [&idle, &early] {
                for revision in [0, 5] {
                    expect_good(&alice, drawing, revision, &first).await;
                }
            }
            expect_refused(&alice, &idle, 6, &first).await;
            expect_refused(&alice, &early, 6, &first).await;
            expect_good(&alice, &early, 7, &epoch).await;
        }
        // The quiet drawing's readers are told, and not reset.
        loop {
            let message = socket.receive().await.unwrap();
            assert_eq!(message["type"], "head", "{message}");
            let told = Lineage::of(&message);
            if heads.last() != Some(&told) {
                heads.push(told);
            }
            if message["epoch"] == epoch {
                break;
            }
        }
        epochs.push(epoch);
    }
    let [first, second, third] = [&epochs[0], &epochs[1], &epochs[2]];
    let after = |epoch: &String, before: &String, base: u64| Lineage {
        epoch: epoch.clone(),
        before: Some((before.clone(), base)),
    };
    assert_eq!(heads[heads.len() - 2..], [after(second, first, 5), after(third, second, 5)]);
    // Up to the second promotion all of both logs is common, whatever was so up to the first one.
    assert_eq!(lineage(&alice, &idle).await, after(third, second, 5));
    assert_eq!(lineage(&alice, &early).await, after(third, second, 7));
    for (drawing, head) in [(&idle, 5), (&early, 7)] {
        for revision in [0, 1, 5] {
            expect_refused(&alice, drawing, revision, first).await;
        }
        for revision in [0, head - 1, head] {
            expect_good(&alice, drawing, revision, second).await;
            expect_good(&alice, drawing, revision, third).await;
        }
        let written = commit_patiently(&alice, drawing, &[op(8)]).await.expect(200).json();
        assert_eq!(
            (&written["epoch"], &written["latest_revision"]),
            (&Value::from(&**third), &(head + 1).into())
        );
        assert_eq!(lineage(&alice, drawing).await, after(third, second, head));
        expect_good(&alice, drawing, head, second).await;
        expect_refused(&alice, drawing, head + 1, second).await;
        expect_refused(&alice, drawing, 0, first).await;
    }
    assert_eq!(socket.receive_ops().await.unwrap()[0]["revision"], 6);
}
