//! The notes of the clients: a history as docs/history-format.md describes it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use revcast_checker::ids::Digest;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::wire::Answer;

/// All lines of a run, in the order in which they were written.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    lines: Mutex<Vec<String>>,
    /// Digests of ops that were met before: most are met many times.
    digests: Mutex<HashMap<String, String>>,
}

/// The hand of one client.
#[derive(Clone, Debug)]
pub struct Scribe {
    recorder: Arc<Recorder>,
    client: String,
}

impl Recorder {
    /// Begins a history, now.
    #[must_use]
    pub fn begin() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), lines: Mutex::default(), digests: Mutex::default() })
    }

    /// Writes a line.
    pub fn write(&self, line: &Value) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_string());
    }

    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The digest of an op, as it was sent or as it was committed.
    #[must_use]
    pub fn digest(&self, op: &Value) -> String {
        let mut body = op.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|name, _| !matches!(name.as_str(), "revision" | "actor" | "ts"));
        }
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Digest::of_body(&body).map(|digest| digest.to_string()).unwrap_or_default();
        digests.entry(body.to_string()).or_insert_with(made).clone()
    }

    /// Virtual nanoseconds since the beginning.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The hand of a client; their clocks are one.
    #[must_use]
    pub fn scribe(self: &Arc<Self>, client: &str, user: &str) -> Scribe {
        self.write(&json!({"event": "client", "client": client, "user": user, "offset": 0, "error": 0}));
        Scribe { recorder: self.clone(), client: client.to_owned() }
    }
}

impl Scribe {
    fn write(&self, event: &str, drawing: &str, mut fields: Map<String, Value>) {
        fields.insert("event".into(), event.into());
        fields.insert("client".into(), self.client.as_str().into());
        fields.insert("t".into(), self.recorder.now().into());
        fields.insert("drawing".into(), drawing.into());
        self.recorder.write(&Value::Object(fields));
    }

    /// The digest of an op.
    #[must_use]
    pub fn digest(&self, op: &Value) -> String {
        self.recorder.digest(op)
    }

    /// A request leaves.
    pub fn invoke(&self, drawing: &str, id: u64, mut fields: Map<String, Value>) {
        fields.insert("id".into(), id.into());
        self.write("invoke", drawing, fields);
    }

    /// A request has ended: an answer was read, or the connection broke.
    pub fn end(&self, drawing: &str, id: u64, outcome: Result<&Answer, &str>) {
        let fields = |value: Value| match value {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        match outcome {
            Ok(Answer { status: 200..300, body }) => {
                let mut answer = self.seen(body, &OF_ANSWERS);
                answer.insert("id".into(), id.into());
                self.write("ok", drawing, answer);
            }
            Ok(Answer { status: status @ 400..500, body }) => {
                let code = body.get("code").and_then(Value::as_str).unwrap_or("unknown");
                self.write("fail", drawing, fields(json!({"id": id, "status": status, "code": code})));
            }
            Ok(Answer { status, .. }) => {
                self.write("info", drawing, fields(json!({"id": id, "reason": status.to_string()})));
            }
            Err(reason) => self.write("info", drawing, fields(json!({"id": id, "reason": reason}))),
        }
    }

    /// A live reader says something, or is told it.
    pub fn live(&self, drawing: &str, kind: &str, message: &Value) {
        let mut fields = self.seen(message, &OF_MESSAGES);
        fields.insert("reader".into(), "live".into());
        fields.insert("type".into(), kind.into());
        self.write("live", drawing, fields);
    }

    /// Returns the fields of an answer or a message that a history keeps.
    fn seen(&self, message: &Value, kept: &[&str]) -> Map<String, Value> {
        let mut fields = Map::new();
        for name in kept {
            let value = message.get(*name).filter(|value| !value.is_null());
            if let Some(value) = value {
                fields.insert((*name).into(), value.clone());
            }
        }
        if let Some(hash) = message.get("state_hash") {
            fields.insert("hash".into(), hash.clone());
        }
        if let Some(Value::Array(ops)) = fields.get_mut("ops") {
            for op in ops {
                let revision = op.get("revision").cloned().unwrap_or_default();
                let op_id = op.get("op_id").cloned().unwrap_or_default();
                *op = json!({"revision": revision, "op_id": op_id, "hash": self.digest(op)});
            }
        }
        fields
    }
}

/// The fields of an answer that a history keeps.
const OF_ANSWERS: [&str; 12] = [
    "epoch",
    "previous_epoch",
    "base",
    "latest_revision",
    "results",
    "unit",
    "from",
    "to",
    "complete",
    "revision",
    "ops",
    "hash",
];
/// The fields of a message that a history keeps.
const OF_MESSAGES: [&str; 8] =
    ["epoch", "previous_epoch", "base", "revision", "after", "role", "reason", "ops"];
