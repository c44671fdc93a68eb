//! Joining late, by the recipe: read the snapshot, then the ops after it, then subscribe after those.

use std::{ops::Range, sync::Arc};

use futures_util::future::{join, join_all};
use loadtest::{services::blob_url_beside, socket::Socket};
use revcast::{
    model::{DrawingId, Revision},
    snapshot::{Blobs, Loader},
    store::{Snapshots, Store},
    telemetry::Metrics,
};
use serde_json::{Value, json};
use tokio::sync::{Barrier, watch};

use crate::{
    store::contract::connect,
    support::{
        App, Client, CountingStore, eventually, new_database, new_id,
        random_log::{ACTORS, OWNER},
        replica::{Replica, SnapshotBody},
        scribblers::{Book, scribble},
    },
};

/// The actions of each writer while others join, and again once they have.
const ACTIONS: usize = 60;
/// Heads at which somebody joins.
const JOINS: [u64; 4] = [0, 50, 150, 300];
/// Ops after which a joiner loses its socket, and resumes.
const PATIENCE: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn g9_late_joiners_have_what_everybody_has_on_sqlite() {
    let app = App::sqlite_with(&["--snapshot-every", "20", "--heartbeat", "100ms"]).await;
    join_while_others_write(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_late_joiners_have_what_everybody_has_on_postgres() {
    let flags = ["--snapshot-every", "20", "--heartbeat", "100ms"];
    join_while_others_write(&App::start(&new_database(), &flags).await).await;
}

async fn join_while_others_write(app: &App) {
    let users = join_all(ACTORS.map(|name| app.client(name))).await;
    let drawing = users[0].create_drawing().await;
    for editor in ACTORS.iter().filter(|name| **name != OWNER) {
        users[0].grant(&drawing, editor, "editor").await;
    }
    let reader = app.client("reader").await;
    users[0].grant(&drawing, "reader", "viewer").await;

    let book = Book::default();
    let all_joined = Barrier::new(JOINS.len() + 1);
    // The head once nobody writes any more.
    let (end, _) = watch::channel(None);
    let write = |seeds: Range<u64>| {
        let writers = users.iter().zip(ACTORS).zip(seeds);
        join_all(writers.map(|((user, name), seed)| {
            scribble(std::slice::from_ref(user), name, &drawing, &book, seed, ACTIONS)
        }))
    };
    let writing = async {
        write(0..3).await;
        all_joined.wait().await;
        write(3..6).await;
        end.send_replace(Some(book.told().head));
    };
    let joining = JOINS.map(|at| {
        let (reader, drawing, book, end, all_joined) = (&reader, &drawing, &book, &end, &all_joined);
        async move {
            eventually("the drawing grows", || async { (book.told().head >= at).then_some(()) }).await;
            let joiner = Joiner::join(reader, drawing).await;
            all_joined.wait().await;
            joiner.follow_to(end.subscribe()).await
        }
    });
    let ((), joined) = join(writing, join_all(joining)).await;

    let log = reader.read_all(&drawing, 0).await;
    let replayed = Replica::replay(&log);
    assert_eq!(Some(replayed.revision()), *end.borrow());
    let snapshot = reader.get(&format!("/v1/drawings/{drawing}/snapshot")).await.expect(200).bytes;
    assert_eq!(SnapshotBody::read(&snapshot).state_hash, replayed.state_hash());
    for replica in joined {
        assert_eq!(replica.state_hash(), replayed.state_hash());
        assert_eq!(replica.canvas.registers(), replayed.canvas.registers());
    }
}

/// A reader that came by the recipe.
struct Joiner<'a> {
    client: &'a Client,
    drawing: &'a str,
    epoch: String,
    replica: Replica,
    socket: Socket,
}

impl<'a> Joiner<'a> {
    async fn join(client: &'a Client, drawing: &'a str) -> Self {
        let body = client.get(&format!("/v1/drawings/{drawing}/snapshot")).await.expect(200).bytes;
        let snapshot = SnapshotBody::read(&body);
        let (epoch, replica) = (snapshot.epoch.clone(), snapshot.replica());
        let mut joiner = Self { client, drawing, epoch, replica, socket: client.socket().await };
        joiner.resume().await;
        joiner
    }

    /// Reads what has come since, and subscribes after it.
    async fn resume(&mut self) {
        loop {
            let tail = self.client.read_all(self.drawing, self.replica.revision()).await;
            self.replica.follow(&tail);
            let after = self.replica.revision();
            let answer = self.socket.resume(self.drawing, after, &self.epoch).await.unwrap();
            match answer["type"].as_str() {
                Some("subscribed") => break assert_eq!(answer["revision"], after),
                // Others may write faster than it reads.
                Some("reset") => assert_eq!(answer["reason"], "too_far_behind"),
                _ => panic!("{answer}"),
            }
        }
    }

    /// Follows live until the others have ended, and loses its socket once on the way.
    async fn follow_to(mut self, end: watch::Receiver<Option<u64>>) -> Replica {
        let mut patience = self.replica.revision() + PATIENCE;
        while *end.borrow() != Some(self.replica.revision()) {
            // A head comes at every heartbeat, if nothing else does.
            let message = self.socket.receive().await.unwrap();
            match message["type"].as_str() {
                Some("ops") => self.replica.follow(message["ops"].as_array().unwrap()),
                Some("head") => {}
                _ => panic!("{message}"),
            }
            if self.replica.revision() > patience {
                patience = u64::MAX;
                self.socket = self.client.socket().await;
                let after = self.replica.revision();
                let answer = self.socket.resume(self.drawing, after, &self.epoch).await.unwrap();
                assert_eq!(answer["type"], "subscribed");
            }
        }
        self.replica
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_a_long_drawing_is_joined_by_one_snapshot_and_fewer_than_a_thousand_ops() {
    const OPS: u64 = 12_000;
    const BATCH: u64 = 500;
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    for first in (0..OPS).step_by(500) {
        let ops: Vec<Value> = (first..first + BATCH).map(nth_op).collect();
        alice.commit(&drawing, &ops).await.expect(200);
    }
    let log = alice.read_all(&drawing, 0).await;
    let replayed = Replica::replay(&log);

    let id: DrawingId = drawing.parse().unwrap();
    let counting = Arc::new(CountingStore::new(connect(&app.database_url).await.into()));
    let newest = eventually("the worker has caught up", || async {
        let newest = counting.snapshots(id, Revision(OPS), 1).await.unwrap().into_iter().next();
        newest.map(|newest| newest.revision.0).filter(|newest| OPS - newest < 500 + BATCH)
    })
    .await;

    // Whoever knows nothing yet asks for the newest snapshot, and reads the log once.
    let calls = counting.calls();
    let blobs = Blobs::open(&blob_url_beside(&app.database_url).unwrap()).unwrap();
    let store: Arc<dyn Store> = counting.clone();
    let loader = Loader::new(&store, &blobs, &Arc::new(Metrics::new()));
    assert_eq!(loader.base(id, Revision(OPS)).await.unwrap().canvas.revision(), Revision(newest));
    let (canvas, stand) = loader.load(id, Revision(OPS)).await.unwrap();
    assert_eq!(stand.head, Revision(OPS));
    assert_eq!((counting.reads(id), counting.calls() - calls), (1, 3));
    assert_eq!(canvas.registers(), replayed.canvas.registers());

    // So does a node that has just started, and its client reads nothing more.
    let node = App::start(&app.database_url, &[]).await;
    let alice = alice.at(&node.base);
    let joiner = Joiner::join(&alice, &drawing).await;
    assert_eq!(joiner.replica.canvas.registers(), replayed.canvas.registers());
    let snapshot = alice.get(&format!("/v1/drawings/{drawing}/snapshot?at={newest}")).await.expect(200).bytes;
    let mut behind = SnapshotBody::read(&snapshot).replica();
    let tail = alice.read_all(&drawing, newest).await;
    assert!(tail.len() < 1_000);
    behind.follow(&tail);
    assert_eq!(behind.state_hash(), replayed.state_hash());
}

/// Objects that come, move and go.
fn nth_op(nth: u64) -> Value {
    let object_id = format!("o{}", nth % 1_500);
    match nth / 1_500 % 3 {
        0 => {
            json!({"op_id": new_id(), "type": "object.create", "object_id": object_id, "kind": "rect", "props": {"x": nth}})
        }
        1 => {
            json!({"op_id": new_id(), "type": "object.update", "object_id": object_id, "set": {"x": nth, "y": 0.5}})
        }
        _ => json!({"op_id": new_id(), "type": "object.delete", "object_ids": [object_id]}),
    }
}
