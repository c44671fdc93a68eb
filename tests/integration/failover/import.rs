//! A drawing that is imported, lost in a failover, and imported again from another log.

use serde_json::Value;

use crate::{
    failover::setup::{Forked, Lineage, change_epoch, expect_good, expect_refused, lineage, settle},
    program::import::{fed, made_up, piped},
    support::{Client, new_id, revisions},
};

async fn import(database_url: &str, drawing: &str, log: &[u8]) {
    let run = fed(piped(database_url, drawing), log).await;
    assert!(run.succeeded && run.stdout == drawing, "{run:?}");
}

async fn op_ids(client: &Client, drawing: &str) -> Vec<Value> {
    let log = client.read_all(drawing, 0).await;
    assert_eq!(revisions(&log), (1..=log.len() as u64).collect::<Vec<_>>());
    log.iter().map(|op| op["op_id"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_of_an_import_that_was_lost_are_refused_after_the_next_one() {
    let mut forked = Forked::start().await;
    let (url, old) = (forked.database_url.clone(), forked.epoch.clone());
    let carol = forked.near.client("carol").await;
    let kept = new_id();
    import(&url, &kept, &made_up(5)).await;
    forked.postgres.part().await.unwrap();
    // The first one is what changes the epoch; the second one comes when it has changed.
    let [first, second] = [new_id(), new_id()];
    let mut lost = Vec::new();
    for drawing in [&first, &second] {
        import(&url, drawing, &made_up(5)).await;
        expect_good(&carol, drawing, 5, &old).await;
        lost.push(op_ids(&carol, drawing).await);
    }
    forked.fail_over().await;
    for (drawing, lost) in [&first, &second].into_iter().zip(&lost) {
        import(&url, drawing, &made_up(8)).await;
        settle(&carol, drawing).await;
        let Lineage { epoch, before } = lineage(&carol, drawing).await;
        assert_ne!(epoch, old);
        assert_eq!(before, Some((old.clone(), 0)), "nothing is common");
        for revision in [1, 5, 8] {
            expect_refused(&carol, drawing, revision, &old).await;
            expect_good(&carol, drawing, revision, &epoch).await;
        }
        expect_good(&carol, drawing, 0, &old).await;
        let found = op_ids(&carol, drawing).await;
        assert!(found.len() == 8 && found.iter().all(|id| !lost.contains(id)));
    }
    // An import that was whole, and replicated, goes on as any other drawing.
    let epoch = change_epoch(&forked.alice, &forked.drawing).await;
    assert_eq!(lineage(&carol, &kept).await, Lineage { epoch, before: Some((old.clone(), 5)) });
    expect_good(&carol, &kept, 5, &old).await;
}
