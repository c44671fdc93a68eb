//! The parts of tests of failovers: a primary with a standby and servers in front of them, logs that lose their end,
//! positions and how they are answered.

use loadtest::services::{PostgresPair, Replication};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use crate::{
    http::history::rect,
    support::{Answer, App, Client, eventually, op},
};

/// Revisions that the standby has when the log loses its end.
pub const KEPT: u64 = 7;

/// Connections that a node has to its store.
const CONNECTIONS: u32 = 10;

/// A drawing on an asynchronous pair, seen through two nodes that tell each other nothing.
pub struct Forked {
    pub postgres: PostgresPair,
    pub database_url: String,
    /// Sees each op at once or at its next heartbeat.
    pub near: App,
    /// Sees what it is asked to read or to write, and no more: its heart does not beat.
    pub far: App,
    /// The owner, at the near node.
    pub alice: Client,
    pub drawing: String,
    /// The epoch before the failover.
    pub epoch: String,
}

impl Forked {
    /// A drawing with `KEPT` ops.
    pub async fn start() -> Self {
        let (postgres, database_url) = pair(Replication::Asynchronous).await;
        let near = App::start(&database_url, &["--heartbeat", "200ms"]).await;
        let far = App::start(&database_url, &["--heartbeat", "1h"]).await;
        let alice = near.client("alice").await;
        let drawing = alice.create_drawing().await;
        alice.commit_some(&drawing, KEPT).await;
        let epoch = lineage(&alice, &drawing).await.epoch;
        Self { postgres, database_url, near, far, alice, drawing, epoch }
    }

    /// The owner at the far node.
    pub fn alice_far(&self) -> Client {
        self.alice.at(&self.far.base)
    }

    /// Commits ops that the standby does not get, and returns them as they were sent.
    pub async fn commit_what_is_lost(&self, count: u64) -> Vec<Value> {
        self.postgres.part().await.unwrap();
        let ops: Vec<Value> = (0..count).map(|n| rect(&format!("lost{n}"))).collect();
        for op in &ops {
            self.alice.commit(&self.drawing, std::slice::from_ref(op)).await.expect(200);
        }
        ops
    }

    /// The primary is gone, and the standby takes its place.
    pub async fn fail_over(&mut self) {
        self.postgres.fail_over().await.unwrap();
    }

    /// Commits as many ops through the far node, one by one, which take the revisions of what was lost. Returns the new
    /// epoch.
    pub async fn commit_in_place(&self, count: u64) -> String {
        let alice = self.alice_far();
        let mut epoch = Value::Null;
        for n in 0..count {
            let answer = commit_patiently(&alice, &self.drawing, &[rect(&format!("new{n}"))]).await;
            epoch = answer.expect(200).json()["epoch"].take();
        }
        let epoch = epoch.as_str().expect("an answer bears its epoch").to_owned();
        assert_ne!(epoch, self.epoch, "another timeline is another epoch");
        for client in [&self.alice, &alice] {
            settle(client, &self.drawing).await;
        }
        epoch
    }

    /// Loses two ops, of which the owner has seen both, and commits two in their place. Returns the new epoch.
    pub async fn fork(&mut self) -> String {
        self.commit_what_is_lost(2).await;
        self.fail_over().await;
        self.commit_in_place(2).await
    }

    /// The lineage that the new epoch must have.
    pub fn lineage(&self, epoch: &str) -> Lineage {
        Lineage { epoch: epoch.to_owned(), before: Some((self.epoch.clone(), KEPT)) }
    }
}

/// A pair, and a database on it.
pub async fn pair(replication: Replication) -> (PostgresPair, String) {
    let postgres = PostgresPair::start(replication).await.unwrap();
    let database_url = postgres.url();
    (postgres, database_url)
}

/// An epoch, and the one with which it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    pub epoch: String,
    /// The epoch before, and up to which revision both have the same log.
    pub before: Option<(String, u64)>,
}

impl Lineage {
    /// Reads it from a message or a body.
    #[track_caller]
    pub fn of(body: &Value) -> Self {
        let before = match (body.get("previous_epoch"), body.get("base")) {
            (None, None) => None,
            (Some(previous), Some(base)) => Some((
                previous.as_str().expect("previous_epoch is a string").to_owned(),
                base.as_u64().expect("base is a revision"),
            )),
            _ => panic!("previous_epoch and base go together: {body}"),
        };
        Self { epoch: body["epoch"].as_str().expect("it bears an epoch").to_owned(), before }
    }

    /// Reads it from the headers of a page.
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let before = text("revcast-previous-epoch").zip(text("revcast-base"));
        let before = before.map(|(epoch, base)| (epoch, base.parse().expect("base is a revision")));
        Self { epoch: text("revcast-epoch").expect("a page bears its epoch"), before }
    }

    /// True if a reader at this position goes on without reading anew.
    pub fn continues(&self, epoch: &str, revision: u64) -> bool {
        self.epoch == epoch
            || self.before.as_ref().is_some_and(|(before, base)| before == epoch && revision <= *base)
    }
}

/// The lineage that the metadata of a drawing bear.
pub async fn lineage(client: &Client, drawing: &str) -> Lineage {
    Lineage::of(&read_patiently(client, &format!("/v1/drawings/{drawing}")).await.expect(200).json())
}

/// A page after a position.
pub async fn page_after(client: &Client, drawing: &str, after: u64, epoch: &str) -> Answer {
    read_patiently(client, &format!("/v1/drawings/{drawing}/ops?after={after}&epoch={epoch}")).await
}

/// Checks that a position is one to go on from, over HTTP and on a socket.
pub async fn expect_good(client: &Client, drawing: &str, after: u64, epoch: &str) {
    let page = page_after(client, drawing, after, epoch).await.expect(200).json();
    assert_eq!(page["from"], after + 1);
    let mut socket = client.socket().await;
    let subscribed = socket.resume(drawing, after, epoch).await.unwrap();
    assert_eq!((&subscribed["type"], &subscribed["revision"]), (&json!("subscribed"), &json!(after)));
    assert_eq!(Lineage::of(&subscribed), Lineage::of(&page));
}

/// Checks that a position is refused, over HTTP and on a socket, because it is of another line.
pub async fn expect_refused(client: &Client, drawing: &str, after: u64, epoch: &str) {
    let refused = page_after(client, drawing, after, epoch).await.expect_problem(410, "epoch_changed");
    let mut socket = client.socket().await;
    let reset = socket.resume(drawing, after, epoch).await.unwrap();
    assert_eq!((&reset["type"], &reset["reason"]), (&json!("reset"), &json!("epoch_changed")), "{reset}");
    assert_eq!(reset["epoch"], refused.json()["epoch"]);
}

/// Waits until a node has found the store again with each of its connections, of which it uses the one that has rested
/// longest.
pub async fn settle(client: &Client, drawing: &str) {
    let path = format!("/v1/drawings/{drawing}");
    eventually("the node has found the store again", || async {
        for _ in 0..2 * CONNECTIONS {
            if client.get(&path).await.status == 503 {
                return None;
            }
        }
        Some(())
    })
    .await;
}

/// Posts ops, again and again while the store is not there.
pub async fn commit_patiently(client: &Client, drawing: &str, ops: &[Value]) -> Answer {
    post_patiently(client, &format!("/v1/drawings/{drawing}/ops"), &json!({"ops": ops})).await
}

/// Posts JSON, again and again while the store is not there.
pub async fn post_patiently(client: &Client, path: &str, body: &Value) -> Answer {
    patiently(|| client.request(Method::POST, path).json(body)).await
}

/// Reads, again and again while the store is not there.
pub async fn read_patiently(client: &Client, path: &str) -> Answer {
    patiently(|| client.request(Method::GET, path)).await
}

async fn patiently(request: impl Fn() -> reqwest::RequestBuilder) -> Answer {
    eventually("the store is back", || async {
        let answer = Client::send(request()).await.expect("the server answers");
        (answer.status != 503).then_some(answer)
    })
    .await
}

/// Changes the epoch after a promotion by an op on a drawing that is there for nothing else, and returns it.
pub async fn change_epoch(client: &Client, drawing: &str) -> String {
    let answer = commit_patiently(client, drawing, &[op(0)]).await.expect(200).json();
    answer["epoch"].as_str().expect("an answer bears its epoch").to_owned()
}
