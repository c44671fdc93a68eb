//! A committed op: the client's JSON with what the server adds.

use bytes::Bytes;

use super::{Revision, UserId};

/// One op of a log, in the form in which every reader gets it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOp {
    /// Its place in the log.
    pub revision: Revision,
    /// `{"revision":…,"actor":…,"ts":…,` and the fields of the client's JSON as they came.
    pub json: Bytes,
}

impl CommittedOp {
    /// Joins the envelope and the client's compact JSON object, which has at least one field.
    #[must_use]
    pub fn new(revision: Revision, actor: &UserId, ts: i64, body: &str) -> Self {
        let mut json = Vec::with_capacity(body.len() + actor.as_str().len() + 64);
        Self::write(&mut json, revision, actor.as_str(), ts, body);
        Self { revision, json: json.into() }
    }

    /// Writes the same JSON to the end of `out`.
    pub fn write(out: &mut Vec<u8>, revision: Revision, actor: &str, ts: i64, body: &str) {
        // Integers and strings always serialize, and a Vec takes every write.
        let envelope = Envelope { revision, actor, ts };
        if serde_json::to_writer(&mut *out, &envelope).is_ok() {
            out.pop();
            out.push(b',');
            out.extend_from_slice(&body.as_bytes()[1..]);
        }
    }
}

#[derive(serde::Serialize)]
struct Envelope<'a> {
    revision: Revision,
    actor: &'a str,
    ts: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_stands_before_the_bytes_that_came() {
        let actor: UserId = "a\"b".parse().unwrap();
        let op = CommittedOp::new(Revision(7), &actor, 1_700_000_000_000, r#"{"op_id":"x","x":1.50}"#);
        let expected = r#"{"revision":7,"actor":"a\"b","ts":1700000000000,"op_id":"x","x":1.50}"#;
        assert_eq!(op.json, expected);
    }
}
