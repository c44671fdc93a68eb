//! A user's way to the server: one request after the other, each noted before it leaves and when it has ended.
//!
//! Goes to the next node when one does not answer, and asks for another token when one is refused. Whoever waits for the
//! answer sends the request again under the same ids.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Method, RequestBuilder};
use revcast_checker::format::{CallName, Invoke};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    issuer::Issuer,
    recorder::{Clock, End, Recorder, sent},
};

/// Time for one request, from the connection to the last byte of its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The first pause before a request is sent again, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(400));

/// The things that all clients share.
#[derive(Debug)]
pub struct Scene {
    /// The folder of the history.
    pub folder: std::path::PathBuf,
    /// The clock of all.
    pub clock: Clock,
    /// The issuer, which signs tokens.
    pub issuer: Arc<Issuer>,
    /// The addresses of the nodes, as clients reach them.
    pub nodes: Vec<String>,
    /// The drawings.
    pub drawings: Vec<String>,
    /// The troubles of clients that nothing excuses.
    pub complaints: Complaints,
    /// The time at which whoever still waits for an answer gives up. It is set once all faults are over.
    pub deadline: tokio::sync::watch::Sender<Option<Instant>>,
}

/// The troubles of clients that nothing excuses, in words.
#[derive(Debug, Default)]
pub struct Complaints(Mutex<Vec<String>>);

impl Complaints {
    /// Adds one.
    pub fn add(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// Takes all of them out.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Scene {
    /// True if whoever still waits has waited too long.
    #[must_use]
    pub fn is_too_late(&self) -> bool {
        self.deadline.borrow().is_some_and(|deadline| Instant::now() > deadline)
    }
}

/// A user with a history.
#[derive(Debug)]
pub struct Hand {
    /// The history.
    pub recorder: Recorder,
    /// The user's id.
    pub user: String,
    scene: Arc<Scene>,
    http: reqwest::Client,
    /// The token that is shown, and the key with which it was signed.
    token: Option<(String, String)>,
    /// The number of the node that is asked.
    node: usize,
    /// True if no other node is asked, whatever becomes of requests.
    is_pinned: bool,
    /// Requests of which nobody knows what became of them.
    unknown: u64,
}

impl Hand {
    /// A user whose client has this name, and who begins at this node.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn new(scene: &Arc<Scene>, client: &str, user: &str, node: usize) -> anyhow::Result<Self> {
        let http =
            reqwest::Client::builder().timeout(REQUEST_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build()?;
        let recorder = Recorder::start(Path::new(&scene.folder), client, user, scene.clock)?;
        Ok(Self {
            recorder,
            user: user.to_owned(),
            scene: scene.clone(),
            http,
            token: None,
            node,
            is_pinned: false,
            unknown: 0,
        })
    }

    /// Returns the same user, who asks this node alone.
    #[must_use]
    pub fn pinned(self) -> Self {
        Self { is_pinned: true, ..self }
    }

    /// The number of the node that is asked.
    #[must_use]
    pub fn node(&self) -> usize {
        self.node % self.scene.nodes.len()
    }

    /// The number of requests whose outcome nobody knows.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// The things that all clients share.
    #[must_use]
    pub fn scene(&self) -> &Arc<Scene> {
        &self.scene
    }

    /// The address of the node that is asked.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.scene.nodes[self.node()]
    }

    /// The token that is shown: one of the key that the issuer has now.
    ///
    /// # Errors
    /// When none can be signed.
    pub fn token(&mut self) -> anyhow::Result<String> {
        let key = self.scene.issuer.key_id();
        match &self.token {
            Some((token, signed_with)) if *signed_with == key => Ok(token.clone()),
            _ => {
                let token = self.scene.issuer.token(&self.user)?;
                self.token = Some((token.clone(), key));
                Ok(token)
            }
        }
    }

    /// Another node is to be asked from now on, with another token.
    pub fn turn(&mut self) {
        self.node += usize::from(!self.is_pinned);
        self.token = None;
    }

    /// One request, noted.
    ///
    /// # Errors
    /// When the history cannot be written, or an answer is not as documented.
    pub async fn ask(
        &mut self,
        drawing: &str,
        asked: Invoke,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<End> {
        let base = self.base().to_owned();
        let request = self.request(&base, method, path, body)?;
        let id = self.recorder.invoke(drawing, asked)?;
        let end = self.hear(send(request).await);
        self.recorder.end(drawing, id, &end)?;
        Ok(end)
    }

    /// Sends the same request to this node and to the next one at the same time; returns the outcome of the first.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn ask_twice(
        &mut self,
        drawing: &str,
        asked: Invoke,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<End> {
        let other = self.scene.nodes[(self.node + 1) % self.scene.nodes.len()].clone();
        let base = self.base().to_owned();
        let first = self.request(&base, Method::POST, path, Some(body))?;
        let second = self.request(&other, Method::POST, path, Some(body))?;
        let ids = [self.recorder.invoke(drawing, asked.clone())?, self.recorder.invoke(drawing, asked)?];
        let (first, second) = tokio::join!(send(first), send(second));
        let (first, second) = (self.hear(first), self.hear(second));
        self.recorder.end(drawing, ids[0], &first)?;
        self.recorder.end(drawing, ids[1], &second)?;
        match (&first, &second) {
            (End::Ok(_), refused @ End::Refused { .. }) | (refused @ End::Refused { .. }, End::Ok(_))
                if !may_be_sent_again(refused) =>
            {
                self.scene
                    .complaints
                    .add(format!("of two equal requests one is taken and one is {refused:?}"));
            }
            _ => (),
        }
        Ok(if matches!(first, End::Ok(_)) { first } else { second })
    }

    /// Commits ops with one request, whatever becomes of it.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn append_once(&mut self, drawing: &str, ops: &[Value]) -> anyhow::Result<End> {
        let (path, body) = (format!("/v1/drawings/{drawing}/ops"), json!({"ops": ops}));
        let asked = Invoke { ops: Some(sent(ops)?), ..Invoke::asking(CallName::Append) };
        self.ask(drawing, asked, Method::POST, &path, Some(&body)).await
    }

    /// Commits ops, again and again until there is an answer. `None` when that took too long, which is a complaint.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn append(&mut self, drawing: &str, ops: &[Value], twice: bool) -> anyhow::Result<Option<End>> {
        let (path, body) = (format!("/v1/drawings/{drawing}/ops"), json!({"ops": ops}));
        let asked = Invoke { ops: Some(sent(ops)?), ..Invoke::asking(CallName::Append) };
        let mut patience = Patience::default();
        loop {
            let end = match twice {
                true => self.ask_twice(drawing, asked.clone(), &path, &body).await?,
                false => self.ask(drawing, asked.clone(), Method::POST, &path, Some(&body)).await?,
            };
            if !may_be_sent_again(&end) {
                return Ok(Some(end));
            }
            if !patience.lasts(&self.scene, "a write has no answer", &end).await {
                return Ok(None);
            }
        }
    }

    /// Any request, again and again until there is an answer. `None` when that took too long, which is a complaint.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn insist(
        &mut self,
        drawing: &str,
        asked: Invoke,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Option<End>> {
        let mut patience = Patience::default();
        loop {
            let end = self.ask(drawing, asked.clone(), method.clone(), path, body).await?;
            if !may_be_sent_again(&end) {
                return Ok(Some(end));
            }
            if !patience
                .lasts(&self.scene, &format!("{method} {path} has no answer from node {}", self.node()), &end)
                .await
            {
                return Ok(None);
            }
        }
    }

    fn request(
        &mut self,
        base: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<RequestBuilder> {
        let token = self.token()?;
        let request = self.http.request(method, format!("{base}{path}")).bearer_auth(token);
        Ok(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    /// Draws the consequences of an answer for the requests to come.
    fn hear(&mut self, end: End) -> End {
        match &end {
            End::Ok(_) => (),
            End::Refused { status: 401, .. } => self.token = None,
            End::Refused { .. } => (),
            End::Unknown(_) => {
                self.node += usize::from(!self.is_pinned);
                self.unknown += 1;
            }
        }
        end
    }
}

/// The pauses between attempts, and the time for all of them.
#[derive(Debug, Default)]
struct Patience {
    attempts: u32,
}

impl Patience {
    /// Waits before the next attempt; false when it is too late for one.
    async fn lasts(&mut self, scene: &Scene, what: &str, last: &End) -> bool {
        if scene.is_too_late() {
            scene.complaints.add(format!("{what}, long after everything was well again: {last:?}"));
            return false;
        }
        sleep((PAUSES.0 * 2_u32.pow(self.attempts.min(8))).min(PAUSES.1)).await;
        self.attempts += 1;
        true
    }
}

/// True if the outcome is unknown, or the refusal has a reason that passes.
pub(crate) fn may_be_sent_again(end: &End) -> bool {
    match end {
        End::Ok(_) => false,
        End::Refused { status, .. } => matches!(status, 401 | 429),
        End::Unknown(_) => true,
    }
}

async fn send(request: RequestBuilder) -> End {
    let answer = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok::<_, reqwest::Error>((status, response.bytes().await?))
    };
    let (status, bytes) = match answer.await {
        Ok(answer) => answer,
        Err(error) => return End::Unknown(error.without_url().to_string()),
    };
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let code = || body["code"].as_str().unwrap_or("none").to_owned();
    match status {
        200..300 => End::Ok(body),
        400..500 => End::Refused { status, code: code() },
        _ => End::Unknown(format!("{status} {}", code())),
    }
}
