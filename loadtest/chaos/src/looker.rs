//! The owner of all drawings: makes them, gives and takes roles, looks at pictures, and in the end reads all logs.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use loadtest::socket::Socket;
use reqwest::Method;
use revcast_checker::{
    format::{CallName, EntryLine, Invoke, Line, LogLine, Role, Tag},
    generate::random::Random,
    ids::{Digest, OpId},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use crate::{
    hand::{Hand, Scene},
    reader::Heads,
    recorder::End,
};

/// Time after a read of the keys of the issuer for which a node does not read them again, as docs/reference.md says
/// (`JWKS_MIN_REFRESH`).
const KEYS_KEPT: Duration = Duration::from_secs(10);
/// The pause between two looks, in milliseconds.
const PAUSE_MS: (u64, u64) = (100, 400);
/// Ops that are read of a node that is inspected, and the time to follow them.
const INSPECTED_OPS: u64 = 5;
/// See [`INSPECTED_OPS`].
const FOLLOWED: Duration = Duration::from_secs(8);
/// Pictures of the past that are compared at the end, of each drawing.
pub const PAST_PICTURES: u64 = 3;

/// The owner.
#[derive(Debug)]
pub struct Owner(Hand);

impl Owner {
    /// An owner with a client of this kind who asks this node alone.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn at(scene: &Arc<Scene>, kind: &str, node: usize) -> anyhow::Result<Self> {
        Ok(Self(Hand::new(scene, &format!("{kind}{node}"), "owner", node)?.pinned()))
    }

    /// An owner whose client has this name.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn new(scene: &Arc<Scene>, client: &str, node: usize) -> anyhow::Result<Self> {
        Ok(Self(Hand::new(scene, client, "owner", node)?))
    }

    /// Makes a drawing.
    ///
    /// # Errors
    /// When the server does not make it.
    pub async fn create(&mut self, drawing: &str) -> anyhow::Result<()> {
        let body = json!({"drawing_id": drawing});
        let asked = Invoke::asking(CallName::Create);
        match self.0.insist(drawing, asked, Method::POST, "/v1/drawings", Some(&body)).await? {
            Some(End::Ok(_)) => Ok(()),
            other => bail!("a drawing cannot be made: {other:?}"),
        }
    }

    /// Gives somebody a role, or takes it away. False when there is no answer in time.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn set_role(&mut self, drawing: &str, user: &str, role: Option<Role>) -> anyhow::Result<bool> {
        let path = format!("/v1/drawings/{drawing}/members/{user}");
        let asked = Invoke { user: Some(user.to_owned()), role, ..Invoke::asking(CallName::Role) };
        let (method, body) = match role {
            Some(role) => (Method::PUT, Some(json!({"role": role}))),
            None => (Method::DELETE, None),
        };
        let unknown = self.0.unknown();
        match self.0.insist(drawing, asked, method, &path, body.as_ref()).await? {
            Some(End::Ok(_)) => Ok(true),
            // It was taken away by a request whose answer was lost.
            Some(End::Refused { status: 404, .. }) if role.is_none() && self.0.unknown() > unknown => {
                Ok(true)
            }
            Some(end) => bail!("the role of {user} cannot be set: {end:?}"),
            None => Ok(false),
        }
    }

    /// Looks at drawings, now and then, until `stop`.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub async fn look(mut self, seed: u64, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let mut random = Random::new(seed);
        let scene = self.0.scene().clone();
        while !*stop.borrow() {
            let drawing = &scene.drawings[random.index(scene.drawings.len())];
            if random.percent(50) {
                self.picture(drawing, None).await?;
            } else {
                let path = format!("/v1/drawings/{drawing}/ops?after=0");
                let asked = Invoke { after: Some(0), ..Invoke::asking(CallName::Page) };
                let end = self.0.ask(drawing, asked, Method::GET, &path, None).await?;
                self.expect_no_refusal("a page", &end);
            }
            sleep(Duration::from_millis(random.between(PAUSE_MS.0, PAUSE_MS.1))).await;
        }
        self.0.recorder.finish()
    }

    /// Does at its node, and there alone, all that a node is for. An answer that does not come in time, or is
    /// otherwise than it should be, is a complaint.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub async fn inspect(mut self) -> anyhow::Result<()> {
        let scene = self.0.scene().clone();
        for drawing in &scene.drawings {
            let path = format!("/v1/drawings/{drawing}");
            let op = json!({"op_id": Uuid::now_v7(), "type": "custom.inspected", "data": {}});
            let end = self.0.append(drawing, &[op], false).await?;
            let Some(committed) = self.taken("a commit", end) else { continue };
            let (epoch, head) = (committed["epoch"].as_str(), committed["latest_revision"].as_u64());
            let (Some(epoch), Some(head)) = (epoch, head) else { bail!("no position: {committed}") };
            let after = head.saturating_sub(INSPECTED_OPS);
            let asked = Invoke { after: Some(after), ..Invoke::asking(CallName::Page) };
            let page = format!("{path}/ops?after={after}");
            let end = self.0.insist(drawing, asked, Method::GET, &page, None).await?;
            self.taken("a page", end);
            for at in [None, Some(head / 2)] {
                let query = at.map_or_else(String::new, |at| format!("&at={at}"));
                let asked = Invoke { at, ..Invoke::asking(CallName::Snapshot) };
                let picture = format!("{path}/snapshot?view=only{query}");
                let end = self.0.insist(drawing, asked, Method::GET, &picture, None).await?;
                self.taken("a picture", end);
            }
            let followed = timeout(FOLLOWED, self.follow(drawing, (after, head), epoch)).await;
            if let Err(error) = followed.unwrap_or_else(|_| Err(anyhow::anyhow!("not in time"))) {
                let node = self.0.node();
                scene
                    .complaints
                    .add(format!("node {node}: {drawing} cannot be followed to its head: {error:#}"));
            }
        }
        self.0.recorder.finish()
    }

    /// Shows its node a token of a key that the node has never seen: it has to read the keys and to take it, at once if it
    /// did not read them within the last [`KEYS_KEPT`].
    /// Returns whether there was an answer.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub async fn show_new_key(mut self) -> anyhow::Result<bool> {
        let scene = self.0.scene().clone();
        let drawing = &scene.drawings[0];
        let path = format!("/v1/drawings/{drawing}/ops?after=0");
        let shown_at = Instant::now();
        let is_told = loop {
            let asked = Invoke { after: Some(0), ..Invoke::asking(CallName::Page) };
            match self.0.ask(drawing, asked, Method::GET, &path, None).await? {
                End::Ok(_) => break true,
                End::Refused { status: 429, .. } | End::Unknown(_) if !scene.is_too_late() => {
                    sleep(Duration::from_millis(PAUSE_MS.0)).await;
                }
                // A node that has just started has read the keys a moment ago.
                End::Refused { status: 401, .. } if shown_at.elapsed() < KEYS_KEPT => {
                    sleep(Duration::from_millis(PAUSE_MS.0)).await;
                }
                End::Unknown(_) => break false,
                end => {
                    let node = self.0.node();
                    scene
                        .complaints
                        .add(format!("node {node} does not take a token of the issuer's new key: {end:?}"));
                    break true;
                }
            }
        };
        self.0.recorder.finish()?;
        Ok(is_told)
    }

    /// Follows a drawing from one revision to another.
    async fn follow(&mut self, drawing: &str, (after, to): (u64, u64), epoch: &str) -> anyhow::Result<()> {
        let (base, token) = (self.0.base().to_owned(), self.0.token()?);
        let mut socket = Socket::open(&base, &token).await?;
        let told = socket.resume(drawing, after, epoch).await?;
        ensure!(told["type"] == "subscribed", "{told}");
        while socket.receive_type("ops").await?["revision"].as_u64().is_none_or(|at| at < to) {}
        Ok(())
    }

    /// The body of an answer that is one; any other is a complaint.
    fn taken(&self, what: &str, end: Option<End>) -> Option<Value> {
        match end {
            Some(End::Ok(body)) => return Some(body),
            // That there is none has been said.
            None => (),
            Some(end) => {
                let node = self.0.node();
                self.0.scene().complaints.add(format!("node {node} does not answer {what}: {end:?}"));
            }
        }
        None
    }

    /// Commits a last op to each drawing, reads all logs and compares pictures. Returns where the logs end.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn close(&mut self, is_lossless: bool) -> anyhow::Result<Heads> {
        let mut heads = Vec::new();
        let scene = self.0.scene().clone();
        for drawing in &scene.drawings {
            let last = json!({"op_id": Uuid::now_v7(), "type": "custom.last", "data": {}});
            let Some(End::Ok(_)) = self.0.append(drawing, &[last], false).await? else {
                bail!("nothing can be committed to {drawing} although all is well again")
            };
            heads.push(self.log(drawing, is_lossless).await?);
        }
        Ok(heads)
    }

    /// Looks at a drawing at its head and before, at each node in turn.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub async fn compare(&mut self, heads: &Heads) -> anyhow::Result<()> {
        let scene = self.0.scene().clone();
        for (drawing, (_, head)) in scene.drawings.iter().zip(heads) {
            for part in 1..=PAST_PICTURES {
                let at = (part < PAST_PICTURES).then_some(head * part / PAST_PICTURES);
                self.picture(drawing, at).await?;
                self.0.turn();
            }
        }
        Ok(())
    }

    /// Ends the history.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.0.recorder.finish()
    }

    async fn picture(&mut self, drawing: &str, at: Option<u64>) -> anyhow::Result<()> {
        let query = at.map_or_else(String::new, |at| format!("&at={at}"));
        let path = format!("/v1/drawings/{drawing}/snapshot?view=only{query}");
        let asked = Invoke { at, ..Invoke::asking(CallName::Snapshot) };
        let end = self.0.ask(drawing, asked, Method::GET, &path, None).await?;
        self.expect_no_refusal("a picture", &end);
        Ok(())
    }

    /// Complains of a refusal: the owner may look at everything.
    fn expect_no_refusal(&self, what: &str, end: &End) {
        if let End::Refused { status, code } = end
            && !matches!(status, 401 | 429)
        {
            self.0.scene().complaints.add(format!("{what} is refused to the owner: {status} {code}"));
        }
    }

    /// Reads a log from its beginning to its end and notes it as what is true.
    async fn log(&mut self, drawing: &str, is_lossless: bool) -> anyhow::Result<(String, u64)> {
        let (mut after, mut entries, mut declared) = (0, Vec::new(), None::<Value>);
        loop {
            let path = format!("/v1/drawings/{drawing}/ops?after={after}");
            let asked = Invoke { after: Some(after), ..Invoke::asking(CallName::Page) };
            let Some(End::Ok(mut page)) = self.0.insist(drawing, asked, Method::GET, &path, None).await?
            else {
                bail!("the log of {drawing} cannot be read although all is well again")
            };
            entries.extend(page["ops"].as_array_mut().map(std::mem::take).unwrap_or_default());
            after = page["to"].as_u64().context("a page has no end")?;
            let is_complete = page["complete"] == true;
            let epoch = page["epoch"].clone();
            let first = declared.get_or_insert(page);
            if first["epoch"] != epoch {
                bail!("the epoch of {drawing} changes although all is well again");
            }
            if is_complete {
                break;
            }
        }
        let declared = declared.context("no page was read")?;
        let text = |name: &str| declared[name].as_str().map(str::to_owned);
        let epoch = text("epoch").context("a page has no epoch")?;
        self.0.recorder.write(&Line::Log(LogLine {
            drawing: drawing.to_owned(),
            epoch: epoch.clone(),
            previous_epoch: text("previous_epoch"),
            base: declared["base"].as_u64(),
            head: Some(after),
            lossless: Some(is_lossless),
            tag: Tag,
        }))?;
        for op in &entries {
            self.0.recorder.write(&Line::Entry(entry(drawing, &epoch, op)?))?;
        }
        Ok((epoch, after))
    }
}

fn entry(drawing: &str, epoch: &str, op: &Value) -> anyhow::Result<EntryLine> {
    let text = |name: &str| op[name].as_str().map(str::to_owned);
    let mut body = op.clone();
    for added in ["revision", "actor", "ts"] {
        body.as_object_mut().context("an op is no object")?.remove(added);
    }
    Digest::of_body(&body).context("an op has no digest")?;
    Ok(EntryLine {
        drawing: drawing.to_owned(),
        epoch: epoch.to_owned(),
        revision: op["revision"].as_u64().context("an op has no revision")?,
        op_id: text("op_id").as_deref().and_then(OpId::parse).context("an op has no id")?,
        actor: text("actor").context("an op has no actor")?,
        hash: None,
        body: Some(body),
        r#type: None,
        unit: None,
        object_ids: None,
        floor: None,
        tag: Tag,
    })
}
