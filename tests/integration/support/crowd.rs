//! Users of a deployment behind a balancer: some write, some follow, and all of them count what fails.
//!
//! A reader checks that revisions come in order and without a hole.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use loadtest::socket::Socket;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::{Client, eventually, op, revisions, within};

/// Clients that write at the same time.
const WRITERS: usize = 20;
/// Clients that follow.
pub const READERS: usize = 50;
/// The drawings among which they are spread.
pub const DRAWINGS: usize = 5;
/// The interval at which a writer posts.
const PACE: Duration = Duration::from_millis(100);
/// The number of acknowledgements that show that writing goes on.
const SOME: usize = 2 * WRITERS;
/// The number of times that an op is posted before its writer gives up.
const TRIES: usize = 50;

/// The reaction of a writer to an op that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Goes on to the next one.
    Never,
    /// Posts the same op again, as clients do.
    AtOnce,
}

/// An op that was acknowledged.
#[derive(Debug)]
pub struct Acknowledged {
    pub drawing: String,
    pub op_id: String,
    pub revision: u64,
    pub posted_at: Instant,
    /// The time from the first attempt to the acknowledgement.
    pub took: Duration,
}

/// The outcomes of the requests.
#[derive(Default)]
pub struct CrowdLog {
    pub acknowledged: Vec<Acknowledged>,
    /// Each request without a 2xx, and what came instead.
    pub failures: Vec<String>,
    /// The number of times that a reader has had to open a socket again.
    pub reconnects: usize,
}

/// The writers and readers, at work.
pub struct Crowd {
    client: Client,
    drawings: Vec<String>,
    told: Arc<Mutex<CrowdLog>>,
    is_stopping: Arc<AtomicBool>,
    writers: JoinSet<()>,
    readers: JoinSet<()>,
    /// The heads to read up to, in the order of the drawings, once they are known.
    heads: watch::Sender<Option<Vec<u64>>>,
}

impl Crowd {
    /// Starts them all, with their requests to one address.
    pub async fn start(client: &Client, retry: Retry) -> Self {
        let mut crowd = Self {
            client: client.clone(),
            drawings: Vec::new(),
            told: Arc::default(),
            is_stopping: Arc::default(),
            writers: JoinSet::new(),
            readers: JoinSet::new(),
            heads: watch::Sender::new(None),
        };
        for _ in 0..DRAWINGS {
            crowd.drawings.push(client.create_drawing().await);
        }
        for nth in 0..READERS {
            let (nth, heads) = (nth % DRAWINGS, crowd.heads.subscribe());
            let reader = Reader { drawing: crowd.drawings[nth].clone(), nth, ..crowd.reader() };
            crowd.readers.spawn(reader.follow(heads));
        }
        for nth in 0..WRITERS {
            let writer = Writer {
                // A connection of its own.
                client: Client::with_token(&client.base, &client.token),
                drawing: crowd.drawings[nth % DRAWINGS].clone(),
                told: crowd.told.clone(),
                retry,
            };
            crowd.writers.spawn(writer.write(crowd.is_stopping.clone()));
        }
        crowd
    }

    fn reader(&self) -> Reader {
        let client = Client::with_token(&self.client.base, &self.client.token);
        Reader { client, drawing: String::new(), nth: 0, revision: 0, told: self.told.clone() }
    }

    /// The outcomes of the requests so far.
    pub fn told(&self) -> MutexGuard<'_, CrowdLog> {
        lock(&self.told)
    }

    /// Waits until some more ops have been posted and acknowledged.
    pub async fn go_on(&self) {
        let enough = self.told().acknowledged.len() + SOME;
        eventually("ops are acknowledged", || async {
            (self.told().acknowledged.len() >= enough).then_some(())
        })
        .await;
    }

    /// Ends the writers, waits until all readers have read everything, and checks that what was acknowledged is in the
    /// logs where it was said to be.
    pub async fn stop(mut self) -> CrowdLog {
        self.is_stopping.store(true, Ordering::SeqCst);
        within("the writers end", async {
            while self.writers.join_next().await.transpose().unwrap().is_some() {}
        })
        .await;
        let mut heads = Vec::new();
        for drawing in &self.drawings {
            heads.push(self.client.head(drawing).await);
        }
        self.heads.send_replace(Some(heads));
        within("the readers have everything", async {
            while self.readers.join_next().await.transpose().unwrap().is_some() {}
        })
        .await;
        let told = std::mem::take(&mut *self.told());
        for drawing in &self.drawings {
            let log = self.client.read_all(drawing, 0).await;
            for acknowledged in told.acknowledged.iter().filter(|op| op.drawing == *drawing) {
                let at = usize::try_from(acknowledged.revision).unwrap() - 1;
                assert_eq!(log[at]["op_id"], acknowledged.op_id, "{acknowledged:?}");
            }
        }
        told
    }
}

fn lock(told: &Mutex<CrowdLog>) -> MutexGuard<'_, CrowdLog> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a request; what it answers with a 2xx, or what came instead.
async fn request(client: &Client, path: &str, body: Option<&Value>) -> Result<Value, String> {
    let request = client.request(Method::POST, path);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    // The answer may be that of a balancer, which has not the manners of a node.
    let failed = |error: reqwest::Error| format!("{path}: {error:?}");
    let response = request.send().await.map_err(failed)?;
    let (status, text) = (response.status(), response.text().await.map_err(failed)?);
    if !status.is_success() {
        return Err(format!("{path}: {status} {text}"));
    }
    serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))
}

struct Writer {
    client: Client,
    drawing: String,
    told: Arc<Mutex<CrowdLog>>,
    retry: Retry,
}

impl Writer {
    async fn write(self, is_stopping: Arc<AtomicBool>) {
        let mut pace = tokio::time::interval(PACE);
        for x in 0.. {
            pace.tick().await;
            if is_stopping.load(Ordering::SeqCst) {
                return;
            }
            self.post(&op(x)).await;
        }
    }

    async fn post(&self, op: &Value) {
        let (path, posted_at) = (format!("/v1/drawings/{}/ops", self.drawing), Instant::now());
        let tries = if self.retry == Retry::Never { 1 } else { TRIES };
        for _ in 0..tries {
            match request(&self.client, &path, Some(&json!({"ops": [op]}))).await {
                Ok(answer) => {
                    lock(&self.told).acknowledged.push(Acknowledged {
                        drawing: self.drawing.clone(),
                        op_id: op["op_id"].as_str().unwrap().to_owned(),
                        revision: answer["results"][0]["revision"].as_u64().unwrap(),
                        posted_at,
                        took: posted_at.elapsed(),
                    });
                    return;
                }
                Err(failure) => lock(&self.told).failures.push(failure),
            }
        }
    }
}

struct Reader {
    client: Client,
    drawing: String,
    /// The place of the drawing.
    nth: usize,
    /// The revision up to which it has read.
    revision: u64,
    told: Arc<Mutex<CrowdLog>>,
}

impl Reader {
    /// Follows its drawing up to the head that it is told at last, with a new socket where one ends.
    async fn follow(mut self, mut heads: watch::Receiver<Option<Vec<u64>>>) {
        loop {
            match self.open().await {
                Ok(socket) => {
                    if self.read(socket, &mut heads).await {
                        return;
                    }
                    lock(&self.told).reconnects += 1;
                }
                Err(failure) => {
                    lock(&self.told).failures.push(failure);
                    tokio::time::sleep(PACE).await;
                }
            }
        }
    }

    /// Opens a socket with a ticket, and subscribes where it stands.
    async fn open(&self) -> Result<Socket, String> {
        let ticket = request(&self.client, "/v1/tickets", None).await?;
        let opened = Socket::open_with_ticket(&self.client.base, ticket["ticket"].as_str().unwrap()).await;
        let mut socket = opened.map_err(|error| format!("/v1/ws: {error:?}"))?;
        let answer = socket.subscribe(&self.drawing, Some(self.revision)).await;
        match answer {
            Ok(answer) if answer["type"] == "subscribed" => Ok(socket),
            answer => Err(format!("subscribe: {answer:?}")),
        }
    }

    /// Reads until the socket ends; true when there is nothing more to read.
    async fn read(&mut self, mut socket: Socket, heads: &mut watch::Receiver<Option<Vec<u64>>>) -> bool {
        loop {
            if heads.borrow_and_update().as_ref().is_some_and(|heads| self.revision >= heads[self.nth]) {
                return true;
            }
            let received = tokio::select! {
                received = socket.receive_or_close() => received,
                changed = heads.changed() => {
                    changed.expect("it is told in the end");
                    continue;
                }
            };
            // A node that was killed says no goodbye.
            let Ok(Ok(message)) = received else { return false };
            if message["type"] == "ops" {
                for revision in revisions(message["ops"].as_array().unwrap()) {
                    assert_eq!(revision, self.revision + 1, "a hole");
                    self.revision = revision;
                }
            }
            assert_ne!(message["type"], "reset", "{message}");
        }
    }
}
