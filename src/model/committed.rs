//! A committed op: the client's JSON with what the server adds.

use std::io;

use bytes::Bytes;

use super::{Revision, UserId};

/// One op of a log, in the form in which every reader gets it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOp {
    /// Its place in the log.
    pub revision: Revision,
    /// `{"revision":…,"actor":…,"ts":…,` and the fields of the client's JSON as the log has them.
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

    /// The length of the same JSON, in bytes.
    #[must_use]
    pub fn json_len(revision: Revision, actor: &str, ts: i64, body: &str) -> usize {
        let mut envelope = Counted(0);
        // See `write`. The last brace of the envelope gives way to a comma, and with it the first one of the body.
        let _ = serde_json::to_writer(&mut envelope, &Envelope { revision, actor, ts });
        envelope.0 + body.len() - 1
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

/// Counts what is written, and keeps none of it.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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

    #[test]
    fn the_length_is_known_without_writing() {
        for (revision, actor, ts) in [(0, "a", 0), (10, "ä\"\\ \u{7f}", -1), (u64::MAX, "\u{1}\n", i64::MIN)]
        {
            for body in [r#"{"op_id":"x"}"#, r#"{"data":"é😀"}"#] {
                let mut json = Vec::new();
                CommittedOp::write(&mut json, Revision(revision), actor, ts, body);
                assert_eq!(CommittedOp::json_len(Revision(revision), actor, ts, body), json.len());
            }
        }
    }
}
