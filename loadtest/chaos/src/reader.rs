//! A user who follows a drawing live, and reads over HTTP what that does not bring.
//!
//! Does what docs/positions.md asks of a client: it keeps one position, adopts a new epoch where it may, and starts
//! anew where it has to. It notes what it is told; the checker says whether that is right.

use std::{sync::Arc, time::Duration};

use loadtest::socket::{JSON, MESSAGE_PACK, Socket};
use reqwest::Method;
use revcast_checker::format::{CallName, FrameType, Invoke};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    hand::{Hand, Scene},
    recorder::End,
};

/// Time to open a socket.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
/// Silence after which a socket is given up: long enough to be told from an op that is late.
const SILENCE: Duration = Duration::from_secs(8);
/// The time for which a socket is watched on which nothing may come, and after which others are tried.
const AFTER_DENIAL: Duration = Duration::from_secs(2);
/// The pause before another socket is opened.
const PAUSE: Duration = Duration::from_millis(150);

/// The heads of the logs, in the order of drawings: an epoch and a revision each.
pub type Heads = Vec<(String, u64)>;

/// The reason why a reader has done with something.
enum Over {
    /// It has everything.
    Reached,
    /// Its user has no role.
    Denied,
    /// The connection has ended, or is of no use.
    Broken,
}

/// A reader, and where it stands.
struct Reader {
    hand: Hand,
    which: usize,
    drawing: String,
    subprotocol: &'static str,
    position: Option<(String, u64)>,
    /// Connections so far.
    connections: u64,
    /// The last one's name in the history: its number and that of its node.
    connection: String,
    heads: watch::Receiver<Option<Heads>>,
}

/// Follows a drawing until it has all of it, or its user has no role any more.
///
/// # Errors
/// When the history cannot be written, or an answer is not as documented.
pub async fn follow(
    scene: Arc<Scene>,
    nth: usize,
    is_revoked: bool,
    heads: watch::Receiver<Option<Heads>>,
) -> anyhow::Result<()> {
    let which = nth % scene.drawings.len();
    let hand = Hand::new(&scene, &format!("reader{nth}"), &format!("reader{nth}"), nth)?;
    let mut reader = Reader {
        hand,
        which,
        drawing: scene.drawings[which].clone(),
        subprotocol: if nth.is_multiple_of(2) { JSON } else { MESSAGE_PACK },
        position: None,
        connections: 0,
        connection: String::new(),
        heads,
    };
    let denied = reader.follow().await?;
    if denied != is_revoked {
        let word = if denied { "is told to have no role" } else { "still follows without a role" };
        scene.complaints.add(format!("reader{nth} {word}"));
    }
    if denied {
        reader.try_everywhere().await?;
    }
    reader.hand.recorder.finish()
}

impl Reader {
    /// Returns whether it was denied in the end.
    async fn follow(&mut self) -> anyhow::Result<bool> {
        loop {
            match self.connect().await? {
                Over::Reached => return Ok(false),
                Over::Denied => return Ok(true),
                Over::Broken => (),
            }
            if self.hand.scene().is_too_late() {
                let (drawing, at) = (&self.drawing, &self.position);
                let text = format!("{} has not reached the head of {drawing}, but {at:?}", self.hand.user);
                self.hand.scene().complaints.add(text);
                return Ok(false);
            }
            self.hand.turn();
            sleep(PAUSE).await;
        }
    }

    /// Whoever has no role gets nothing any more from any node, live or over HTTP.
    async fn try_everywhere(&mut self) -> anyhow::Result<()> {
        sleep(AFTER_DENIAL).await;
        for _ in 0..self.hand.scene().nodes.len() {
            let node = self.hand.node();
            let is_denied = matches!(self.page().await?, Some(Over::Denied | Over::Broken));
            self.position = None;
            // One that does not answer at all serves nothing either.
            if let Ok(over) = timeout(AFTER_DENIAL, self.connect()).await {
                over?;
            }
            let is_followed = self.position.is_some();
            if !is_denied || is_followed {
                let text =
                    format!("{} is served by node {node} long after the role was gone", self.hand.user);
                self.hand.scene().complaints.add(text);
            }
            self.hand.turn();
        }
        Ok(())
    }

    /// Notes what comes on a socket that should be silent, to have it judged.
    async fn listen_on(&mut self, socket: &mut Socket) -> anyhow::Result<()> {
        let until = Instant::now() + AFTER_DENIAL;
        while let Ok(Ok(message)) = timeout_at(until, socket.receive()).await {
            match message["type"].as_str() {
                Some("ops") => self.note(FrameType::Ops, &message)?,
                Some("head") => self.note(FrameType::Head, &message)?,
                _ => (),
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> anyhow::Result<Over> {
        let (node, base, token) = (self.hand.node(), self.hand.base().to_owned(), self.hand.token()?);
        let opening = timeout(OPEN_TIMEOUT, Socket::open_with(&base, &token, self.subprotocol));
        let Ok(Ok(mut socket)) = opening.await else { return Ok(Over::Broken) };
        self.connections += 1;
        self.connection = format!("{}@{node}", self.connections);
        let over = self.serve(&mut socket).await;
        self.note(FrameType::Closed, &json!({}))?;
        over
    }

    async fn serve(&mut self, socket: &mut Socket) -> anyhow::Result<Over> {
        if !self.subscribe(socket).await? {
            return Ok(Over::Broken);
        }
        let mut heads = self.heads.clone();
        loop {
            if self.has_reached(&heads.borrow_and_update()) {
                return Ok(Over::Reached);
            }
            let message = tokio::select! {
                message = timeout(SILENCE, socket.receive()) => message,
                // Whoever tells the heads may have given up.
                changed = heads.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Ok(Over::Broken),
                },
            };
            let Ok(Ok(message)) = message else { return Ok(Over::Broken) };
            if let Some(over) = self.take(socket, &message).await? {
                return Ok(over);
            }
        }
    }

    /// Returns whether it could be said.
    async fn subscribe(&mut self, socket: &mut Socket) -> anyhow::Result<bool> {
        let mut said = json!({"type": "subscribe", "drawing_id": self.drawing, "presence": false});
        if let Some((epoch, revision)) = &self.position {
            said["after"] = (*revision).into();
            said["epoch"] = epoch.as_str().into();
        }
        self.note(FrameType::Subscribe, &said)?;
        Ok(matches!(timeout(OPEN_TIMEOUT, socket.send(&said)).await, Ok(Ok(()))))
    }

    async fn take(&mut self, socket: &mut Socket, message: &Value) -> anyhow::Result<Option<Over>> {
        match message["type"].as_str().unwrap_or_default() {
            "subscribed" => {
                self.note(FrameType::Subscribed, message)?;
                self.position = position(message);
            }
            "ops" => {
                self.note(FrameType::Ops, message)?;
                if let (Some((_, at)), Some(revision)) = (&mut self.position, message["revision"].as_u64()) {
                    *at = revision.max(*at);
                }
            }
            "head" => {
                self.note(FrameType::Head, message)?;
                if let (Some((epoch, _)), Some(told)) = (&mut self.position, message["epoch"].as_str()) {
                    told.clone_into(epoch);
                }
            }
            "role" => {
                self.note(FrameType::Role, message)?;
                if message["role"].is_null() {
                    self.listen_on(socket).await?;
                    return Ok(Some(Over::Denied));
                }
            }
            "reset" => {
                self.note(FrameType::Reset, message)?;
                if let Some(over) = self.catch_up(message).await? {
                    return Ok(Some(over));
                }
                if !self.subscribe(socket).await? {
                    return Ok(Some(Over::Broken));
                }
            }
            "error" => {
                let is_denied = matches!(message["code"].as_str(), Some("not_found" | "forbidden"));
                return Ok(Some(if is_denied { Over::Denied } else { Over::Broken }));
            }
            "goaway" => return Ok(Some(Over::Broken)),
            _ => (),
        }
        Ok(None)
    }

    /// Reads over HTTP what is missing after a reset.
    async fn catch_up(&mut self, reset: &Value) -> anyhow::Result<Option<Over>> {
        let is_of_another_log = match reset["reason"].as_str() {
            Some("epoch_changed") => match &self.position {
                Some((epoch, revision)) => {
                    let continues = reset["previous_epoch"].as_str() == Some(epoch);
                    !continues || reset["base"].as_u64().is_none_or(|base| *revision > base)
                }
                None => true,
            },
            Some("revision_ahead") => true,
            _ => false,
        };
        if is_of_another_log {
            self.position = None;
        }
        self.page().await
    }

    /// Reads from the position to the head.
    async fn page(&mut self) -> anyhow::Result<Option<Over>> {
        loop {
            let (epoch, after) = match &self.position {
                Some((epoch, revision)) => (Some(epoch.clone()), *revision),
                None => (None, 0),
            };
            let mut path = format!("/v1/drawings/{}/ops?after={after}", self.drawing);
            if let Some(epoch) = &epoch {
                path += &format!("&epoch={epoch}");
            }
            let asked = Invoke { after: Some(after), epoch, ..Invoke::asking(CallName::Page) };
            let drawing = self.drawing.clone();
            let page = match self.hand.insist(&drawing, asked, Method::GET, &path, None).await? {
                Some(End::Ok(page)) => page,
                Some(End::Refused { status: 410, .. }) => {
                    self.position = None;
                    continue;
                }
                Some(End::Refused { .. }) => return Ok(Some(Over::Denied)),
                _ => return Ok(Some(Over::Broken)),
            };
            self.position = page["epoch"].as_str().map(str::to_owned).zip(page["to"].as_u64());
            if page["complete"] == true {
                return Ok(None);
            }
        }
    }

    fn note(&mut self, kind: FrameType, body: &Value) -> anyhow::Result<()> {
        self.hand.recorder.live(&self.drawing, &self.connection, kind, body)
    }

    fn has_reached(&self, heads: &Option<Heads>) -> bool {
        let Some((epoch, revision)) = heads.as_ref().and_then(|heads| heads.get(self.which)) else {
            return false;
        };
        self.position.as_ref().is_some_and(|(own, at)| own == epoch && at >= revision)
    }
}

fn position(message: &Value) -> Option<(String, u64)> {
    Some((message["epoch"].as_str()?.to_owned(), message["revision"].as_u64()?))
}
