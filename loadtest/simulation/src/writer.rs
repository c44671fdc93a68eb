//! A writer: draws, undoes and redoes, insists on heads, and sends again what was not answered.

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    hand::{Hand, Request},
    wire::Answer,
};

/// Ops that a writer remembers to send again.
const REMEMBERED: usize = 20;
/// The most attempts at a request that gets no answer.
const ATTEMPTS: u32 = 8;
/// Objects that a writer draws on.
const OBJECTS: u64 = 6;

/// One writer.
#[derive(Debug)]
pub struct Writer {
    hand: Hand,
    name: String,
    /// Some of what it has sent.
    sent: Vec<Value>,
    /// The latest position that it was told.
    position: Option<(String, u64)>,
    /// Its latest units.
    units: Vec<Value>,
}

impl Writer {
    /// A writer with this hand, whose objects bear its name.
    #[must_use]
    pub fn new(hand: Hand, name: &str) -> Self {
        Self { hand, name: name.to_owned(), sent: Vec::new(), position: None, units: Vec::new() }
    }

    /// Writes until the calm.
    pub async fn run(mut self) {
        while !self.hand.world.weather.is_calm() {
            sleep(self.hand.chance.millis(10, 700)).await;
            match self.hand.chance.below(100) {
                0..52 => self.draw().await,
                52..64 => self.toggle("undo").await,
                64..72 => self.toggle("redo").await,
                72..82 => self.read().await,
                82..88 => drop(self.hand.snapshot().await),
                88..95 => self.repeat().await,
                _ => self.contradict().await,
            }
        }
    }

    fn op(&mut self) -> Value {
        let chance = &self.hand.chance;
        let (op_id, object) = (chance.uuid(), format!("{}-{}", self.name, chance.below(OBJECTS)));
        let number = chance.below(1_000);
        let mut op = match chance.below(10) {
            0..4 => {
                json!({"type": "object.create", "object_id": object, "kind": "rect", "props": {"x": number}})
            }
            4..7 => json!({"type": "object.update", "object_id": object, "set": {"x": number}}),
            7 => json!({"type": "object.delete", "object_ids": [object]}),
            8 => json!({"type": "object.update", "object_id": object, "unset": ["x"]}),
            _ => json!({"type": "custom.note", "data": number}),
        };
        op["op_id"] = op_id.to_string().into();
        if let Some(unit) = chance.pick(&self.units).filter(|_| chance.happens(200)) {
            op["unit"] = unit.clone();
        } else if self.units.len() < REMEMBERED {
            self.units.push(op["op_id"].clone());
        }
        op
    }

    async fn draw(&mut self) {
        let count = self.hand.chance.between(1, 4);
        let ops: Vec<Value> = (0..count).map(|_| self.op()).collect();
        let mut body = json!({"ops": ops});
        let mut line = self.line(&ops);
        if let Some((epoch, revision)) = self.position.as_ref().filter(|_| self.hand.chance.happens(200)) {
            for request in [&mut body, &mut line] {
                request["if_revision"] = (*revision).into();
                request["epoch"] = epoch.as_str().into();
            }
        }
        if self.sent.len() < REMEMBERED {
            self.sent.extend(ops);
        }
        let insists_on = body["if_revision"].as_u64();
        let answer = self.commit(line, body).await;
        let Some(answer) = answer.filter(|answer| answer.status == 200) else { return };
        let first = answer.body["results"][0]["revision"].as_u64();
        // Nobody folds here, so that nothing comes between.
        if let Some(head) = insists_on.filter(|head| first != Some(head + 1)) {
            let Self { name, hand, .. } = self;
            hand.world.object(format!("{name} insisted on the head {head} of {}: {answer:?}", hand.drawing));
        }
    }

    fn line(&self, ops: &[Value]) -> Value {
        let sent = |op: &Value| json!({"op_id": op["op_id"], "hash": self.hand.scribe.digest(op)});
        json!({"call": "append", "ops": ops.iter().map(sent).collect::<Vec<_>>()})
    }

    /// Sends what was sent before, and something new with it perhaps: what is known keeps its place.
    async fn repeat(&mut self) {
        let Some(old) = self.hand.chance.pick(&self.sent).cloned() else { return };
        let mut ops = vec![old];
        if self.hand.chance.happens(500) {
            ops.push(self.op());
        }
        self.commit(self.line(&ops), json!({"ops": ops})).await;
    }

    /// Sends another body under a known id.
    async fn contradict(&mut self) {
        let Some(old) = self.hand.chance.pick(&self.sent).cloned() else { return };
        let ops = vec![json!({"op_id": old["op_id"], "type": "custom.other", "data": 1})];
        self.commit(self.line(&ops), json!({"ops": ops})).await;
    }

    async fn toggle(&mut self, which: &'static str) {
        let op_id = self.hand.chance.uuid().to_string();
        let line = json!({"call": which, "op_id": op_id});
        let request = Request::new("POST", self.hand.path(&format!("/{which}")), line);
        self.send(&request.with(json!({"op_id": op_id}))).await;
    }

    async fn commit(&mut self, line: Value, body: Value) -> Option<Answer> {
        let request = Request::new("POST", self.hand.path("/ops"), line).with(body);
        self.send(&request).await
    }

    /// Sends a request until its outcome is known, or patience ends.
    async fn send(&mut self, request: &Request) -> Option<Answer> {
        for _ in 0..ATTEMPTS {
            let Some(answer) = self.hand.ask(request).await else {
                sleep(self.hand.chance.millis(10, 1_500)).await;
                continue;
            };
            self.learn(&answer.body);
            return Some(answer);
        }
        None
    }

    async fn read(&mut self) {
        let head = self.position.as_ref().map_or(0, |(_, revision)| *revision);
        let (after, until) = match self.hand.chance.below(4) {
            0 => (0, None),
            1 => (head, None),
            // Nobody can have what is not there yet.
            2 => (head + self.hand.chance.between(50, 90), None),
            _ => (self.hand.chance.below(head + 1), Some(head)),
        };
        let epoch = self.position.as_ref().map(|(epoch, _)| epoch.clone());
        let epoch = epoch.filter(|_| after > 0 || until.is_some());
        let answer = self.hand.page(after, epoch.as_deref(), until).await;
        match answer {
            Some(answer) if answer.status == 410 => self.position = None,
            Some(answer) => self.learn(&answer.body),
            None => (),
        }
    }

    fn learn(&mut self, body: &Value) {
        let epoch = body.get("epoch").and_then(Value::as_str);
        let head = body.get("latest_revision").and_then(Value::as_u64);
        if let Some((epoch, head)) = epoch.zip(head) {
            self.position = Some((epoch.to_owned(), head));
        }
    }
}
