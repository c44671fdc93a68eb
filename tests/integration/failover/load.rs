//! Failovers under load: what was acknowledged, and what readers have seen, is in the log that goes on, or void by its
//! lineage.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use loadtest::services::Replication;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    failover::setup::{Lineage, commit_patiently, lineage, page_after, pair},
    support::{App, Client, eventually, follower::Follower, op, revisions},
};

/// Clients that write at the same time.
const WRITERS: usize = 4;
/// The number of acknowledgements that show that writing goes on.
const SOME: usize = 40;

/// An op that was acknowledged, and where.
#[derive(Debug)]
struct Acknowledged {
    op: Value,
    epoch: String,
    revision: u64,
}

/// Writers that post each op again until it is acknowledged, and then the next one.
struct Load {
    writers: JoinSet<()>,
    acked: Arc<Mutex<Vec<Acknowledged>>>,
    is_stopping: Arc<AtomicBool>,
}

impl Load {
    fn start(client: &Client, drawing: &str) -> Self {
        let mut load = Self { writers: JoinSet::new(), acked: Arc::default(), is_stopping: Arc::default() };
        for _ in 0..WRITERS {
            let (client, drawing) = (client.clone(), drawing.to_owned());
            let (acked, is_stopping) = (load.acked.clone(), load.is_stopping.clone());
            load.writers.spawn(async move {
                for x in 0.. {
                    let op = op(x);
                    let answer = commit_patiently(&client, &drawing, std::slice::from_ref(&op)).await;
                    let answer = answer.expect(200).json();
                    let revision = answer["results"][0]["revision"].as_u64().unwrap();
                    let epoch = answer["epoch"].as_str().unwrap().to_owned();
                    acked.lock().unwrap().push(Acknowledged { op, epoch, revision });
                    if is_stopping.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        load
    }

    fn count(&self) -> usize {
        self.acked.lock().unwrap().len()
    }

    /// Waits until some more ops have been posted and acknowledged.
    async fn go_on(&self) {
        // Each writer may have one under way.
        let enough = self.count() + WRITERS + SOME;
        eventually("ops are acknowledged", || async { (self.count() >= enough).then_some(()) }).await;
    }

    /// Ends the writers, and returns what was acknowledged.
    async fn stop(mut self) -> Vec<Acknowledged> {
        self.is_stopping.store(true, Ordering::SeqCst);
        while let Some(ended) = self.writers.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.acked.lock().unwrap())
    }
}

/// Readers that follow a drawing meanwhile.
struct Readers {
    readers: JoinSet<Follower>,
    target: watch::Sender<Option<(String, u64)>>,
}

impl Readers {
    async fn start(client: &Client, drawing: &str) -> Self {
        let (mut readers, target) = (JoinSet::new(), watch::Sender::new(None));
        for _ in 0..3 {
            let follower = Follower::start(client, drawing, 0).await;
            readers.spawn(follower.follow_until_told(target.subscribe()));
        }
        Self { readers, target }
    }

    /// Returns the readers once they have read a log to its end.
    async fn at_the_end(self, epoch: &str, log: &[Value]) -> Vec<Follower> {
        self.target.send_replace(Some((epoch.to_owned(), log.len() as u64)));
        let followers = self.readers.join_all().await;
        for follower in &followers {
            assert!(follower.log == log, "a reader has another log");
        }
        followers
    }
}

/// A node on a pair, and a drawing of alice's.
async fn start(database_url: &str) -> (App, Client, String) {
    let app = App::start(database_url, &["--heartbeat", "200ms"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    (app, alice, drawing)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_primary_with_an_asynchronous_standby_loses_only_what_its_lineage_tells() {
    let (mut postgres, database_url) = pair(Replication::Asynchronous).await;
    let (_app, alice, drawing) = start(&database_url).await;
    let readers = Readers::start(&alice, &drawing).await;
    let load = Load::start(&alice, &drawing);
    load.go_on().await;
    postgres.part().await.unwrap();
    load.go_on().await;
    postgres.fail_over().await.unwrap();
    load.go_on().await;
    let acked = load.stop().await;

    let lineage = lineage(&alice, &drawing).await;
    let (old, base) = lineage.before.clone().expect("the epoch goes on from another");
    let (kept, void): (Vec<_>, Vec<_>) =
        acked.into_iter().partition(|acked| acked.epoch == lineage.epoch || acked.revision <= base);
    assert!(void.len() >= SOME, "{} were lost", void.len());
    assert!(void.iter().all(|acked| acked.epoch == old));
    check_log(&alice.read_all(&drawing, 0).await, &kept);
    // Each lost op is posted again, and is there once.
    let mut again = Vec::new();
    for Acknowledged { op, .. } in void {
        let answer = alice.commit(&drawing, std::slice::from_ref(&op)).await.expect(200).json();
        let result = &answer["results"][0];
        assert_eq!((&result["duplicate"], &answer["epoch"]), (&json!(false), &json!(lineage.epoch)));
        let (epoch, revision) = (lineage.epoch.clone(), result["revision"].as_u64().unwrap());
        again.push(Acknowledged { op, epoch, revision });
    }
    let log = alice.read_all(&drawing, 0).await;
    check_log(&log, &kept);
    check_log(&log, &again);
    for follower in readers.at_the_end(&lineage.epoch, &log).await {
        assert!(follower.restarts > 0, "it had seen what was lost");
    }
    page_after(&alice, &drawing, base + 1, &old).await.expect_problem(410, "epoch_changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_primary_with_a_synchronous_standby_loses_nothing_and_nobody_is_reset() {
    let (mut postgres, database_url) = pair(Replication::Synchronous).await;
    let (_app, alice, drawing) = start(&database_url).await;
    let readers = Readers::start(&alice, &drawing).await;
    let load = Load::start(&alice, &drawing);
    load.go_on().await;
    postgres.fail_over().await.unwrap();
    load.go_on().await;
    expect_everything(&alice, &drawing, &load.stop().await, readers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_switchover_loses_nothing_and_all_positions_go_on() {
    let (mut postgres, database_url) = pair(Replication::Asynchronous).await;
    let (_app, alice, drawing) = start(&database_url).await;
    let readers = Readers::start(&alice, &drawing).await;
    let load = Load::start(&alice, &drawing);
    load.go_on().await;
    postgres.switch_over().await.unwrap();
    load.go_on().await;
    expect_everything(&alice, &drawing, &load.stop().await, readers).await;
}

/// Checks that all acknowledgements of both epochs hold, that no reader had to read anything, and that every position that
/// anybody was told is one to go on from.
async fn expect_everything(client: &Client, drawing: &str, acked: &[Acknowledged], readers: Readers) {
    let Lineage { epoch, before } = lineage(client, drawing).await;
    let (old, base) = before.expect("the epoch goes on from another");
    let (before, after): (Vec<_>, Vec<_>) = acked.iter().partition(|acked| acked.epoch == old);
    assert!(before.iter().all(|acked| acked.revision <= base), "something above {base} was acknowledged");
    // An op that was committed and not acknowledged before is acknowledged where it is.
    assert!(
        after.iter().all(|acked| acked.epoch == epoch) && after.iter().any(|acked| acked.revision > base)
    );
    let log = client.read_all(drawing, 0).await;
    check_log(&log, acked);
    for follower in readers.at_the_end(&epoch, &log).await {
        assert_eq!((follower.pages, follower.restarts), (0, 0));
    }
    let told = acked.iter().filter(|acked| acked.revision % 64 == 0 || acked.revision.abs_diff(base) < 2);
    for Acknowledged { epoch, revision, .. } in told {
        page_after(client, drawing, *revision, epoch).await.expect(200);
    }
}

/// Checks that every acknowledged op is in the log once, at the revision it was told.
#[track_caller]
fn check_log(log: &[Value], acked: &[Acknowledged]) {
    assert_eq!(revisions(log), (1..=log.len() as u64).collect::<Vec<_>>());
    let mut found = HashMap::new();
    for logged in log {
        let before = found.insert(logged["op_id"].as_str().unwrap(), logged["revision"].as_u64());
        assert_eq!(before, None, "twice: {logged}");
    }
    for Acknowledged { op, revision, .. } in acked {
        assert_eq!(found.get(op["op_id"].as_str().unwrap()), Some(&Some(*revision)), "{op}");
    }
}
