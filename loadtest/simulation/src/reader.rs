//! A live reader: follows by the socket, repairs by pages, obeys `reset`, and has a picture of its own.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use revcast::model::{Canvas, LoggedOp, Revision};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    hand::Hand,
    wire::{Said, Wire},
};

/// Heartbeats after which a reader takes its connection for dead.
const HEARTBEATS: u32 = 3;

/// One reader.
#[derive(Debug)]
pub struct Reader {
    hand: Hand,
    canvas: Canvas,
    /// The epoch of its canvas, once it knows.
    epoch: Option<String>,
    /// True if pages are to be read before it subscribes.
    is_behind: bool,
    shown: Arc<Shown>,
    ends: CancellationToken,
}

/// The part of a reader that others see while it reads.
#[derive(Debug, Default)]
pub struct Shown {
    revision: AtomicU64,
    /// The time since which it follows without a break.
    live_since: Mutex<Option<Instant>>,
}

impl Shown {
    /// The revision that it has, and since when it follows without a break.
    #[must_use]
    pub fn look(&self) -> (u64, Option<Instant>) {
        let since = *self.live_since.lock().unwrap_or_else(PoisonError::into_inner);
        (self.revision.load(Ordering::Relaxed), since)
    }

    fn set_live(&self, is_live: bool) {
        let mut since = self.live_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = is_live.then(Instant::now);
    }
}

/// The state of a reader at the end.
#[derive(Debug)]
pub struct Read {
    /// The epoch, if it ever knew one.
    pub epoch: Option<String>,
    /// The picture.
    pub canvas: Canvas,
}

/// The reason why a connection is left.
enum Left {
    /// It is to be made anew.
    Broken,
    /// The run is over.
    Ended,
}

impl Reader {
    /// A reader with this hand, which reads until `ends`.
    #[must_use]
    pub fn new(hand: Hand, ends: CancellationToken) -> Self {
        let (canvas, shown) = (Canvas::new(), Arc::default());
        Self { hand, canvas, epoch: None, is_behind: false, shown, ends }
    }

    /// The part of it that others see.
    #[must_use]
    pub fn shown(&self) -> Arc<Shown> {
        self.shown.clone()
    }

    /// Reads until the end.
    pub async fn run(mut self) -> Read {
        while !self.ends.is_cancelled() {
            let mut wire = self.hand.connect().await;
            let left = self.stay(&mut wire).await;
            self.shown.set_live(false);
            self.tell("closed", &json!({}));
            if matches!(left, Left::Ended) {
                break;
            }
            drop(wire);
            sleep(self.hand.chance.millis(10, 700)).await;
        }
        Read { epoch: self.epoch, canvas: self.canvas }
    }

    fn tell(&self, kind: &str, message: &Value) {
        self.hand.scribe.live(&self.hand.drawing(), kind, message);
    }

    async fn stay(&mut self, wire: &mut Wire) -> Left {
        let patience = self.hand.world.plan.heartbeat * HEARTBEATS + Duration::from_secs(1);
        let token = self.hand.token.clone();
        if !matches!(timeout(patience, wire.open_socket(&token)).await, Ok(Ok(()))) {
            return Left::Broken;
        }
        if self.subscribe(wire).await.is_err() {
            return Left::Broken;
        }
        loop {
            let said = tokio::select! {
                biased;
                () = self.ends.cancelled() => return Left::Ended,
                said = timeout(patience, wire.hear()) => said,
            };
            let message = match said {
                Ok(Ok(Said::Message(message))) => message,
                Ok(Ok(Said::Close(_)) | Err(_)) | Err(_) => return Left::Broken,
            };
            if self.take(wire, &message).await.is_err() {
                return Left::Broken;
            }
            if self.whim().await {
                return Left::Broken;
            }
        }
    }

    /// Now and then a reader stands still, or leaves.
    async fn whim(&self) -> bool {
        if self.hand.world.weather.is_calm() {
            return false;
        }
        // An op that is read late was told in time, which matters where a role is taken away.
        if self.hand.world.plan.revocations == 0 && self.hand.chance.happens(30) {
            self.shown.set_live(false);
            sleep(self.hand.chance.millis(100, 4_000)).await;
        }
        self.hand.chance.happens(40)
    }

    async fn subscribe(&mut self, wire: &mut Wire) -> std::io::Result<()> {
        if self.is_behind {
            self.catch_up().await;
        }
        let mut message = json!({"after": self.canvas.revision().0});
        if let Some(epoch) = &self.epoch {
            message["epoch"] = epoch.as_str().into();
        }
        self.tell("subscribe", &message);
        message["type"] = "subscribe".into();
        message["drawing_id"] = self.hand.drawing().into();
        wire.say(&message).await
    }

    async fn take(&mut self, wire: &mut Wire, message: &Value) -> std::io::Result<()> {
        let kind = message.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "subscribed" | "head" => {
                self.tell(kind, message);
                self.adopt(message);
                if self.is_behind {
                    // It knew more than the log that goes on.
                    self.shown.set_live(false);
                    self.subscribe(wire).await?;
                } else if kind == "subscribed" {
                    self.shown.set_live(true);
                }
            }
            "ops" => {
                self.tell(kind, message);
                self.apply_all(message);
            }
            "reset" => {
                self.tell(kind, message);
                self.shown.set_live(false);
                self.adopt(message);
                self.is_behind = true;
                self.subscribe(wire).await?;
            }
            "role" => {
                self.tell(kind, message);
                if message.get("role").is_none_or(Value::is_null) {
                    self.shown.set_live(false);
                    sleep(self.hand.chance.millis(100, 1_000)).await;
                    self.subscribe(wire).await?;
                }
            }
            // It is not let in, or not now.
            "error" => {
                self.shown.set_live(false);
                sleep(self.hand.chance.millis(100, 1_000)).await;
                self.subscribe(wire).await?;
            }
            _ => (),
        }
        Ok(())
    }

    /// Takes in the epoch of a message: goes on where the line goes on, and begins anew where it does not.
    fn adopt(&mut self, message: &Value) {
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        let Some(epoch) = text("epoch") else { return };
        if let Some(own) = self.epoch.as_deref().filter(|own| *own != epoch) {
            let base =
                message.get("base").and_then(Value::as_u64).filter(|_| text("previous_epoch") == Some(own));
            if base.is_none_or(|base| base < self.canvas.revision().0) {
                self.restart();
            }
        }
        self.epoch = Some(epoch.to_owned());
    }

    fn restart(&mut self) {
        self.canvas = Canvas::new();
        self.shown.revision.store(0, Ordering::Relaxed);
        self.is_behind = true;
    }

    fn apply_all(&mut self, message: &Value) {
        let ops = message.get("ops").and_then(Value::as_array);
        for op in ops.into_iter().flatten() {
            apply(&mut self.canvas, op);
        }
        self.shown.revision.store(self.canvas.revision().0, Ordering::Relaxed);
    }

    /// Reads pages until nothing is missing.
    async fn catch_up(&mut self) {
        loop {
            if self.ends.is_cancelled() {
                return;
            }
            // A position at the very beginning lies on every log.
            let after = self.canvas.revision().0;
            let epoch = self.epoch.clone().filter(|_| after > 0);
            match self.hand.page(after, epoch.as_deref(), None).await {
                Some(page) if page.status == 200 => {
                    self.adopt(&page.body);
                    if self.canvas.revision().0 == after {
                        self.apply_all(&page.body);
                    }
                    if page.body.get("complete") == Some(&Value::Bool(true))
                        && self.canvas.revision().0 >= after
                    {
                        self.is_behind = false;
                        return;
                    }
                }
                Some(page) if page.status == 410 => {
                    self.restart();
                    self.epoch = None;
                }
                // Not let in: a subscription will say so.
                Some(_) => return,
                None => sleep(self.hand.chance.millis(50, 500)).await,
            }
        }
    }
}

/// Applies an op as readers get it.
fn apply(canvas: &mut Canvas, op: &Value) {
    let mut body = op.clone();
    let Some(fields) = body.as_object_mut() else { return };
    let revision = fields.remove("revision").and_then(|revision| revision.as_u64()).unwrap_or_default();
    let actor = fields.remove("actor");
    let ts = fields.remove("ts").and_then(|ts| ts.as_i64()).unwrap_or_default();
    let actor = actor.as_ref().and_then(Value::as_str).unwrap_or_default();
    let text = body.to_string();
    canvas.apply(&LoggedOp::read(Revision(revision), actor, ts, &text));
}
