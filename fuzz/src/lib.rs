//! The parts that fuzz targets share: logs, the reference reducer, which is that of the tests, and a bound on memory.

mod bounded;

#[path = "../../tests/integration/support"]
mod support {
    pub mod naive;
}

pub use support::naive;

use revcast::model::{LoggedOp, Op, Revision, compact};
use serde_json::Value;

/// The key by which serde_json knows a text that it is to take for JSON; ops do not have it.
pub const RAW_VALUE: &str = "$serde_json::private::RawValue";
/// The users who send ops.
pub const ACTORS: [&str; 3] = ["alice", "bob", "gm"];

/// A log as a server could have committed it, but for units and folds that it would refuse.
pub struct Log {
    /// The ops, from revision 1 on.
    pub ops: Vec<LogEntry>,
}

/// An op of a log.
pub struct LogEntry {
    revision: Revision,
    actor: &'static str,
    body: Box<str>,
}

impl Log {
    /// The log of a text: of each line, the first byte says who has sent it, and the rest is the op. Lines that no server
    /// would take are passed over.
    pub fn of(text: &str, most: usize) -> Self {
        let mut ops = Vec::new();
        for line in text.lines() {
            if ops.len() == most {
                break;
            }
            let Some((who, json)) = line.split_at_checked(1) else { continue };
            let is_json = serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok();
            let Some(body) = is_json.then(|| compact(json).ok()).flatten() else { continue };
            let Ok(op) = Op::parse(&body) else { continue };
            let body = op.respelled(&body).unwrap_or_else(|| body.clone());
            let actor = ACTORS[usize::from(who.as_bytes()[0]) % ACTORS.len()];
            ops.push(LogEntry { revision: Revision(ops.len() as u64 + 1), actor, body });
        }
        Self { ops }
    }
}

impl LogEntry {
    fn ts(&self) -> i64 {
        1_700_000_000_000 + self.revision.0.cast_signed()
    }

    /// The op as the reducer takes it.
    pub fn logged(&self) -> LoggedOp<'_> {
        LoggedOp::read(self.revision, self.actor, self.ts(), &self.body)
    }

    /// The op as readers get it.
    pub fn committed(&self) -> Value {
        let mut op: Value = serde_json::from_str(&self.body).expect("it was parsed");
        op["revision"] = self.revision.0.into();
        op["actor"] = self.actor.into();
        op["ts"] = self.ts().into();
        op
    }
}

/// Asserts that a view is canonical JSON, exactly as another implementation of RFC 8785 writes it.
pub fn assert_canonical(json: &str) {
    let value: Value = serde_json::from_str(json).expect("a view is JSON");
    assert_eq!(serde_json_canonicalizer::to_string(&value).expect("it can be written"), json);
}
