//! The messages of the server, decoded as far as a reader must know.

use std::borrow::Cow;

use anyhow::{Context, bail, ensure};
use flate2::{Decompress, FlushDecompress, Status};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Encoding, Plan};

/// The bytes that end a sync flush, which permessage-deflate leaves out (RFC 7692, 7.2.2).
const FLUSH_TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Room made at a time for what comes out of the inflater.
const INFLATE_STEP: usize = 64 * 1024;

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    Ops(Ops),
    /// Frames begin at the next revision.
    Subscribed(u64),
    Presence,
    Head,
    /// Nothing that a reader of the swarm cares for.
    Other,
    /// `reset` because the reader was too slow.
    Lagged,
    /// Any other `reset`, `error`, `goaway` and a role that has ended, in words.
    Refusal(String),
}

impl Message {
    /// True if all readers of a room get the same bytes.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Ops(_) | Self::Presence | Self::Head)
    }
}

/// Contiguous ops.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ops {
    pub(super) first: u64,
    pub(super) last: u64,
    /// The times at which they were sent, as far as they say so.
    pub(super) sent: Vec<Sent>,
    /// Their ids; empty for a frame without ids.
    pub(super) ids: Vec<Uuid>,
}

/// The time at which an op was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sent {
    /// In ms of the day's clock.
    pub(super) at_ms: f64,
    /// True if the load was still growing.
    pub(super) is_ramp: bool,
}

/// The fields of all messages that matter here.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    revision: Option<u64>,
    #[serde(borrow, default)]
    ops: Vec<Op<'a>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    role: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Op<'a> {
    revision: u64,
    /// Text in every encoding.
    #[serde(borrow, default)]
    op_id: Option<Cow<'a, str>>,
    /// The time at which a `custom.bench` op was sent.
    data: Option<f64>,
    #[serde(default)]
    meta: Meta,
}

/// The times that ops of a scenario bear.
#[derive(Default, Deserialize)]
struct Meta {
    /// The time at which they were sent.
    sent: Option<f64>,
    /// The same while the load grows.
    ramp: Option<f64>,
}

impl Op<'_> {
    fn id(&self) -> anyhow::Result<Option<Uuid>> {
        self.op_id.as_deref().map(Uuid::try_parse).transpose().context("an op id is no UUID")
    }

    fn sent(&self) -> Option<Sent> {
        let sent = self.data.or(self.meta.sent).map(|at_ms| Sent { at_ms, is_ramp: false });
        sent.or_else(|| self.meta.ramp.map(|at_ms| Sent { at_ms, is_ramp: true }))
    }
}

/// Decodes the messages of one swarm.
pub(super) struct Decoder {
    encoding: Encoding,
    inflater: Decompress,
    /// The payload that came out of it last.
    inflated: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self { encoding, inflater: Decompress::new(false), inflated: Vec::new() }
    }

    /// The kind of a message that needs no decoding; most frames of a quiet room are of these.
    pub(super) fn glance(&self, payload: &[u8], is_deflated: bool) -> Option<Message> {
        if is_deflated || self.encoding != Encoding::Json {
            return None;
        }
        let kind = payload.strip_prefix(b"{\"type\":\"")?;
        if kind.starts_with(b"presence\"") {
            Some(Message::Presence)
        } else if kind.starts_with(b"head\"") {
            Some(Message::Head)
        } else {
            None
        }
    }

    /// Decodes a message in full, and checks that its ops are contiguous.
    pub(super) fn decode(&mut self, payload: &[u8], is_deflated: bool) -> anyhow::Result<Message> {
        let encoding = self.encoding;
        let plain = if is_deflated { self.inflate(payload)? } else { payload };
        let fields: Fields<'_> = match encoding {
            Encoding::Msgpack => rmp_serde::from_slice(plain).context("broken MessagePack")?,
            _ => serde_json::from_slice(plain).context("broken JSON")?,
        };
        fields.into_message()
    }

    fn inflate(&mut self, payload: &[u8]) -> anyhow::Result<&[u8]> {
        self.inflater.reset(false);
        self.inflated.clear();
        for mut input in [payload, &FLUSH_TAIL] {
            loop {
                self.inflated.reserve(INFLATE_STEP);
                let before = self.inflater.total_in();
                let status =
                    self.inflater.decompress_vec(input, &mut self.inflated, FlushDecompress::Sync)?;
                input = &input[usize::try_from(self.inflater.total_in() - before)?..];
                let is_full = self.inflated.len() == self.inflated.capacity();
                if status == Status::StreamEnd || (input.is_empty() && !is_full) {
                    break;
                }
                ensure!(is_full || status == Status::Ok, "a deflated frame is damaged");
            }
        }
        Ok(&self.inflated)
    }
}

impl Fields<'_> {
    fn into_message(self) -> anyhow::Result<Message> {
        Ok(match &*self.kind {
            "ops" => {
                let first = self.ops.first().context("a frame without ops")?.revision;
                let last = self.revision.context("a frame without a revision")?;
                let is_contiguous = self.ops.iter().map(|op| op.revision).eq(first..=last);
                ensure!(is_contiguous, "a frame has a hole or a repeat between {first} and {last}");
                let sent = self.ops.iter().filter_map(Op::sent).collect();
                let ids =
                    self.ops.iter().map(Op::id).collect::<anyhow::Result<Option<_>>>()?.unwrap_or_default();
                Message::Ops(Ops { first, last, sent, ids })
            }
            "subscribed" => Message::Subscribed(self.revision.context("no revision in subscribed")?),
            "presence" => Message::Presence,
            "head" => Message::Head,
            "reset" if self.reason.as_deref() == Some("lagged") => Message::Lagged,
            "reset" => Message::Refusal(format!("reset: {}", self.reason.unwrap_or_default())),
            "error" => Message::Refusal(format!("error: {}", self.code.unwrap_or_default())),
            "goaway" => Message::Refusal("goaway".to_owned()),
            "role" if self.role.is_none() => Message::Refusal("the role has ended".to_owned()),
            _ => Message::Other,
        })
    }
}

/// The message with which a reader of a room subscribes.
pub(super) fn subscribe(plan: &Plan, room: usize, after: Option<u64>) -> anyhow::Result<Vec<u8>> {
    let mut message = json!({"type": "subscribe", "drawing_id": plan.drawings[room].to_string(), "presence": plan.presence});
    if let Some(after) = after {
        message["after"] = after.into();
    }
    encode(&message, plan.encoding)
}

/// A cursor somewhere on the canvas; `tick` moves it.
pub(super) fn cursor(plan: &Plan, room: usize, tick: u64) -> anyhow::Result<Vec<u8>> {
    // Strides without a common divisor, so that no two states in a row are alike.
    let (x, y) = (tick * 7 % 1_920, tick * 11 % 1_080);
    let state = json!({"cursor": {"x": x, "y": y}});
    let message = json!({"type": "presence", "drawing_id": plan.drawings[room].to_string(), "state": state});
    encode(&message, plan.encoding)
}

fn encode(message: &serde_json::Value, encoding: Encoding) -> anyhow::Result<Vec<u8>> {
    Ok(match encoding {
        Encoding::Json => serde_json::to_vec(message)?,
        Encoding::Msgpack => rmp_serde::to_vec_named(message)?,
        Encoding::Bare => bail!("bare readers say nothing"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn frame(revisions: &[u64]) -> serde_json::Value {
        let ops: Vec<_> = revisions
            .iter()
            .map(|r| json!({"revision": r, "op_id": Uuid::nil(), "type": "custom.bench", "data": 5}))
            .collect();
        json!({"type": "ops", "drawing_id": "d", "revision": revisions.last(), "ops": ops})
    }

    #[test]
    fn ops_are_the_same_in_every_encoding() {
        let sent = Sent { at_ms: 5.0, is_ramp: false };
        let expected =
            Message::Ops(Ops { first: 3, last: 5, sent: vec![sent; 3], ids: vec![Uuid::nil(); 3] });
        let value = frame(&[3, 4, 5]);
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let plain = encode(&value, encoding).unwrap();
            let mut decoder = Decoder::new(encoding);
            assert_eq!(decoder.decode(&plain, false).unwrap(), expected);
            let mut deflated = Vec::with_capacity(4_096);
            let mut compress = Compress::new(Compression::default(), false);
            compress.compress_vec(&plain, &mut deflated, FlushCompress::Sync).unwrap();
            let deflated = deflated.strip_suffix(&FLUSH_TAIL).unwrap();
            // Twice, since a frame must not depend on the one before it.
            for _ in 0..2 {
                assert_eq!(decoder.decode(deflated, true).unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_large_frame_is_inflated_whole() {
        let value = frame(&(1..=5_000).collect::<Vec<_>>());
        let plain = encode(&value, Encoding::Json).unwrap();
        let mut deflated = Vec::with_capacity(plain.len());
        let mut compress = Compress::new(Compression::default(), false);
        compress.compress_vec(&plain, &mut deflated, FlushCompress::Sync).unwrap();
        let deflated = deflated.strip_suffix(&FLUSH_TAIL).unwrap();
        let mut decoder = Decoder::new(Encoding::Json);
        assert_eq!(decoder.inflate(deflated).unwrap(), plain);
    }

    #[test]
    fn a_hole_in_a_frame_is_an_error_and_a_reset_a_refusal() {
        let mut decoder = Decoder::new(Encoding::Json);
        assert!(decoder.decode(frame(&[3, 5]).to_string().as_bytes(), false).is_err());
        assert!(decoder.decode(frame(&[3, 3]).to_string().as_bytes(), false).is_err());
        let reset = |reason: &str| {
            format!(r#"{{"type":"reset","drawing_id":"d","reason":"{reason}","epoch":"e","revision":9}}"#)
        };
        assert_eq!(decoder.decode(reset("lagged").as_bytes(), false).unwrap(), Message::Lagged);
        let refusal = Message::Refusal("reset: epoch_changed".to_owned());
        assert_eq!(decoder.decode(reset("epoch_changed").as_bytes(), false).unwrap(), refusal);
        let role = br#"{"type":"role","drawing_id":"d","role":"editor"}"#;
        assert_eq!(decoder.decode(role, false).unwrap(), Message::Other);
    }
}
