//! A reader of one drawing that takes a new epoch as the protocol says: it goes on where it may, and starts anew where it
//! has seen what is lost.
//!
//! It checks that ops come in order and without a hole, and counts what it has to ask for.

use loadtest::socket::Socket;
use serde_json::Value;
use tokio::sync::watch;

use super::{Client, within};
use crate::failover::setup::Lineage;

/// A reader, and what it has read.
pub struct Follower {
    client: Client,
    drawing: String,
    socket: Socket,
    /// The epoch of what it has read.
    epoch: String,
    /// All ops from the first one.
    pub log: Vec<Value>,
    /// The number of pages it has read since it began to follow.
    pub pages: u64,
    /// The number of times it was told, or found, that it has to start anew.
    pub restarts: u64,
}

impl Follower {
    /// Reads the log up to `after`, and follows from there.
    pub async fn start(client: &Client, drawing: &str, after: u64) -> Self {
        let mut log = client.read_all(drawing, 0).await;
        log.truncate(usize::try_from(after).unwrap());
        let mut socket = client.socket().await;
        let subscribed = socket.subscribe(drawing, Some(after)).await.unwrap();
        assert_eq!(subscribed["type"], "subscribed", "{subscribed}");
        let epoch = Lineage::of(&subscribed).epoch;
        let (client, drawing) = (client.clone(), drawing.to_owned());
        Self { client, drawing, socket, epoch, log, pages: 0, restarts: 0 }
    }

    /// The revision up to which it has read.
    pub fn revision(&self) -> u64 {
        self.log.len() as u64
    }

    /// Reads what came after its position over HTTP, while its socket stands where it stood.
    pub async fn read_ahead(&mut self, client: &Client) {
        self.log.extend(client.read_all(&self.drawing, self.revision()).await);
    }

    /// Follows until it has read up to this position.
    pub async fn follow_to(&mut self, epoch: &str, revision: u64) {
        within("the reader gets there", async {
            while self.epoch != epoch || self.revision() < revision {
                let message = self.socket.receive().await.unwrap();
                self.take(&message).await;
            }
        })
        .await;
    }

    /// Follows until it has read up to the position that it is told at last.
    pub async fn follow_until_told(mut self, mut target: watch::Receiver<Option<(String, u64)>>) -> Self {
        loop {
            let told = target.borrow_and_update().clone();
            if let Some((epoch, revision)) = told {
                self.follow_to(&epoch, revision).await;
                return self;
            }
            tokio::select! {
                message = self.socket.receive() => {
                    let message = message.unwrap();
                    self.take(&message).await;
                }
                told = target.changed() => told.expect("it is told in the end"),
            }
        }
    }

    async fn take(&mut self, message: &Value) {
        match message["type"].as_str().unwrap() {
            "ops" => self.take_ops(message["ops"].as_array().unwrap()),
            "head" => self.take_epoch(&Lineage::of(message)).await,
            "reset" => self.start_anew().await,
            other => panic!("unexpected {other}"),
        }
    }

    fn take_ops(&mut self, ops: &[Value]) {
        for op in ops {
            let revision = op["revision"].as_u64().unwrap();
            if revision <= self.revision() {
                // It has read ahead: what it has must be what it is told.
                assert_eq!(*op, self.log[usize::try_from(revision).unwrap() - 1], "another op at a revision");
                continue;
            }
            assert_eq!(revision, self.revision() + 1, "a hole");
            self.log.push(op.clone());
        }
    }

    async fn take_epoch(&mut self, lineage: &Lineage) {
        if lineage.continues(&self.epoch, self.revision()) {
            self.epoch.clone_from(&lineage.epoch);
        } else {
            self.start_anew().await;
        }
    }

    /// Forgets everything, reads the log, and follows from its end.
    async fn start_anew(&mut self) {
        self.restarts += 1;
        loop {
            self.log.clear();
            self.epoch = self.read_log().await;
            self.socket = self.client.socket().await;
            let answer = self.socket.resume(&self.drawing, self.revision(), &self.epoch).await.unwrap();
            if answer["type"] == "subscribed" {
                self.epoch = Lineage::of(&answer).epoch;
                return;
            }
            // It has changed once more in between, or the store is away for a moment.
            assert!(answer["type"] == "reset" || answer["code"] == "store_unavailable", "{answer}");
        }
    }

    /// Reads the log page by page, again from its beginning when the epoch changes in between. Returns the epoch.
    async fn read_log(&mut self) -> String {
        loop {
            let path = format!("/v1/drawings/{}/ops?after={}", self.drawing, self.revision());
            let answer = self.client.get(&path).await;
            if answer.status == 503 {
                continue;
            }
            let page = answer.expect(200).json();
            self.pages += 1;
            let epoch = Lineage::of(&page).epoch;
            if self.log.is_empty() {
                self.epoch.clone_from(&epoch);
            }
            if self.epoch != epoch {
                self.log.clear();
                continue;
            }
            self.log.extend(page["ops"].as_array().unwrap().iter().cloned());
            if page["complete"] == true {
                return epoch;
            }
        }
    }
}
