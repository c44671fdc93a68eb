//! The steps that all clients share: they pick a node, send a request, wait for its answer, and write down what
//! became of it.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    chance::Chance,
    record::Scribe,
    store::LATEST,
    wire::{Answer, Call, Wire},
    world::World,
};

/// The time for which a client waits for an answer: longer than a node works on one.
const PATIENCE: Duration = Duration::from_secs(12);
/// The pause before it looks for a node again.
const PAUSE: Duration = Duration::from_millis(100);
/// A client hangs up while it waits so many times in a thousand.
const HANG_UPS: u64 = 20;

/// One client of one drawing.
#[derive(Debug)]
pub struct Hand {
    /// The world around it.
    pub world: Arc<World>,
    /// The drawing.
    pub drawing: Uuid,
    /// Its own chance.
    pub chance: Chance,
    /// Its hand.
    pub scribe: Scribe,
    /// The token that says who it is.
    pub token: String,
    /// Connections to nodes.
    wires: Vec<Option<Wire>>,
    /// The number of the next request.
    next: u64,
}

/// A request, with what is written down of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request that is sent.
    pub call: Call,
    /// The fields of its line.
    pub line: Value,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &'static str, path: String, line: Value) -> Self {
        Self { call: Call { method, path, body: None }, line }
    }

    /// The same with a body.
    #[must_use]
    pub fn with(mut self, body: Value) -> Self {
        self.call.body = Some(body);
        self
    }
}

impl Hand {
    /// A client `name` of `user`.
    ///
    /// # Errors
    /// When there is no token for them.
    pub fn new(world: &Arc<World>, drawing: Uuid, name: &str, user: &str) -> anyhow::Result<Self> {
        let chance = Chance::new(world.plan.seed).split(name);
        let wires = (0..world.plan.nodes).map(|_| None).collect();
        let (scribe, token) = (world.recorder.scribe(name, user), world.token(user)?);
        Ok(Self { world: world.clone(), drawing, chance, scribe, token, wires, next: 0 })
    }

    /// The name of the drawing, as it stands in paths.
    #[must_use]
    pub fn drawing(&self) -> String {
        self.drawing.to_string()
    }

    /// The path of something of the drawing.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/drawings/{}{rest}", self.drawing)
    }

    /// A new connection to a node that runs.
    pub async fn connect(&self) -> Wire {
        loop {
            let node = self.chance.below(self.world.plan.nodes as u64);
            let node = usize::try_from(node).unwrap_or_default();
            if let Some(wire) = self.world.connect(node) {
                return wire;
            }
            sleep(PAUSE).await;
        }
    }

    /// Sends a request to some node; `None` where nobody knows what became of it.
    pub async fn ask(&mut self, request: &Request) -> Option<Answer> {
        let node = usize::try_from(self.chance.below(self.wires.len() as u64)).unwrap_or_default();
        let wire = match self.wires[node].take() {
            Some(wire) => Some(wire),
            None => self.world.connect(node),
        };
        let Some(mut wire) = wire else {
            sleep(PAUSE).await;
            return None;
        };
        let (id, drawing) = (self.next, self.drawing());
        self.next += 1;
        let line = match &request.line {
            Value::Object(line) => line.clone(),
            _ => Map::new(),
        };
        self.scribe.invoke(&drawing, id, line);
        let patience = if !self.world.weather.is_calm() && self.chance.happens(HANG_UPS) {
            self.chance.millis(0, 30)
        } else {
            PATIENCE
        };
        let exchange = async {
            wire.send(&self.token, &request.call).await?;
            wire.answer().await
        };
        match timeout(patience, exchange).await {
            Ok(Ok(answer)) => {
                self.scribe.end(&drawing, id, Ok(&answer));
                self.wires[node] = Some(wire);
                (answer.status < 500).then_some(answer)
            }
            Ok(Err(error)) => {
                self.scribe.end(&drawing, id, Err(&error.kind().to_string()));
                None
            }
            Err(_) => {
                self.scribe.end(&drawing, id, Err("no answer in time"));
                None
            }
        }
    }

    /// Sends a request again and again until it is known what became of it.
    pub async fn insist(&mut self, request: &Request) -> Answer {
        loop {
            if let Some(answer) = self.ask(request).await {
                return answer;
            }
            sleep(self.chance.millis(20, 800)).await;
        }
    }

    /// The same for what must not be overtaken by an attempt that had no answer: waits until none of them can still take
    /// effect. A role has no revision, so that the last one to arrive holds.
    pub async fn insist_in_order(&mut self, request: &Request) -> Answer {
        let Some(answer) = self.ask(request).await else {
            let answer = self.insist(request).await;
            sleep(LATEST).await;
            return answer;
        };
        answer
    }

    /// Reads a page after a position.
    pub async fn page(&mut self, after: u64, epoch: Option<&str>, until: Option<u64>) -> Option<Answer> {
        let mut path = self.path(&format!("/ops?after={after}"));
        let mut line = json!({"call": "page", "after": after});
        if let Some(epoch) = epoch {
            path += &format!("&epoch={epoch}");
            line["epoch"] = epoch.into();
        }
        if let Some(until) = until {
            path += &format!("&until={until}");
            line["until"] = until.into();
        }
        self.ask(&Request::new("GET", path, line)).await
    }

    /// Reads the picture of the head.
    pub async fn snapshot(&mut self) -> Option<Answer> {
        let request = Request::new("GET", self.path("/snapshot?view=only"), json!({"call": "snapshot"}));
        self.ask(&request).await
    }
}
