//! A page of a log, and its three forms: JSON, NDJSON, MessagePack.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    error::{Error, ErrorCode},
    http::{
        extract::knows_etag,
        position_headers::{BASE, COMPLETE, EPOCH, FROM, LATEST, PREVIOUS_EPOCH, TO},
    },
    model::{Branch, CommittedOp, Epoch, Revision},
    offload::on_bytes,
    store::StoredOp,
    wire::op_schema,
};

/// Ops in order, and where the log stood when they were read.
#[derive(Debug)]
pub(super) struct Page {
    pub branch: Branch,
    /// Exclusive start, as asked for.
    pub after: Revision,
    /// Revision of the last op; `after` when there are none.
    pub to: Revision,
    pub head: Revision,
    /// Inclusive end, as asked for.
    pub until: Option<Revision>,
    /// `true` if its address names this epoch: in another epoch, another page may stand there.
    pub names_epoch: bool,
    pub ops: Vec<StoredOp>,
}

/// The body of a page in JSON and MessagePack.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what `Page::json` writes")]
pub(super) struct OpsPage {
    #[schema(value_type = uuid::Uuid)]
    epoch: Epoch,
    /// The epoch before, if this one goes on with it: positions of it are good up to `base`.
    #[schema(value_type = Option<uuid::Uuid>)]
    previous_epoch: Option<Epoch>,
    /// The revision up to which the logs of both epochs are equal.
    base: Option<u64>,
    /// First revision of the page: `after` + 1.
    from: u64,
    /// Last revision of the page, and the `after` of the next one; `from` - 1 when the page is empty.
    to: u64,
    /// The head of the log when the page was read.
    latest_revision: u64,
    /// `true` if the page reaches `until`, or else the head: there is nothing more to fetch now.
    complete: bool,
    ops: Vec<op_schema::CommittedOp>,
}

/// The form of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Ndjson,
    MessagePack,
}

impl Form {
    /// The form with the highest quality in `Accept`; JSON among equals, and for those who accept none.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let ranges = accepted_ranges(headers);
        let mut best = (Self::Json, 0.0);
        for form in [Self::Json, Self::Ndjson, Self::MessagePack] {
            let quality = form.quality(&ranges);
            if quality > best.1 {
                best = (form, quality);
            }
        }
        best.0
    }

    /// The quality that the most specific range gives the form (RFC 9110, 12.5.1); 0 where none has it.
    fn quality(self, ranges: &[(String, f32)]) -> f32 {
        let matching = ranges.iter().filter_map(|(range, quality)| match &**range {
            "*/*" => Some((0, *quality)),
            "application/*" => Some((1, *quality)),
            name => self.names().contains(&name).then_some((2, *quality)),
        });
        let best = matching.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        best.map_or(0.0, |(_, quality)| quality)
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::Ndjson => &["application/x-ndjson", "application/ndjson"],
            Self::MessagePack => &["application/msgpack", "application/vnd.msgpack", "application/x-msgpack"],
        }
    }

    fn content_type(self) -> &'static str {
        self.names()[0]
    }
}

impl Page {
    fn is_complete(&self) -> bool {
        self.to >= self.until.map_or(self.head, |until| until.min(self.head))
    }

    /// A closed page ends where it was asked to, and never reads otherwise in this epoch.
    fn is_closed(&self) -> bool {
        self.until.is_some_and(|until| until <= self.head && self.to == until)
    }

    fn etag(&self, form: Form) -> String {
        let form = match form {
            Form::Json => "json",
            Form::Ndjson => "ndjson",
            Form::MessagePack => "msgpack",
        };
        // Weak: the bytes differ by content encoding.
        format!("W/\"{}/{}-{}.{form}\"", self.branch.epoch, self.after, self.to)
    }

    /// The response, or `304` when the client has this closed page already.
    pub(super) fn into_response(self, form: Form, request: &HeaderMap) -> Result<Response, Error> {
        let mut headers = HeaderMap::new();
        let is_closed = self.is_closed();
        let cache = match (is_closed, self.names_epoch) {
            (true, true) => "private, max-age=31536000, immutable",
            // In another epoch another page may stand at this address.
            (true, false) => "private, no-cache",
            (false, _) => "no-store",
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        headers.insert(header::VARY, HeaderValue::from_static("accept, authorization"));
        for (name, value) in self.position() {
            headers.insert(name, value);
        }
        if is_closed {
            let etag = self.etag(form);
            headers.insert(header::ETAG, header_value(&etag));
            if knows_etag(request, &etag) {
                return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
            }
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
        let body = match form {
            Form::Json => self.json(),
            Form::Ndjson => self.ndjson(),
            Form::MessagePack => self.message_pack()?,
        };
        Ok((headers, body).into_response())
    }

    fn position(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let trunk = self.branch.trunk.map(|trunk| {
            [
                (PREVIOUS_EPOCH, header_value(&trunk.epoch.to_string())),
                (BASE, HeaderValue::from(trunk.base.0)),
            ]
        });
        let position = [
            (EPOCH, header_value(&self.branch.epoch.to_string())),
            (FROM, HeaderValue::from(self.after.next().0)),
            (TO, HeaderValue::from(self.to.0)),
            (LATEST, HeaderValue::from(self.head.0)),
            (COMPLETE, HeaderValue::from_static(if self.is_complete() { "true" } else { "false" })),
        ];
        position.into_iter().chain(trunk.into_iter().flatten())
    }

    /// The ops are spliced in as the bytes that came.
    fn json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.ops.iter().map(|op| op.body.len() + 96).sum::<usize>() + 256);
        let (epoch, from, to, head) = (self.branch.json_fields(), self.after.next(), self.to, self.head);
        let complete = self.is_complete();
        out.extend_from_slice(
            format!(
                "{{{epoch},\"from\":{from},\"to\":{to},\"latest_revision\":{head},\"complete\":{complete},\"ops\":["
            )
            .as_bytes(),
        );
        self.write_ops(&mut out, b',');
        if !self.ops.is_empty() {
            out.pop();
        }
        out.extend_from_slice(b"]}");
        out
    }

    fn ndjson(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.ops.iter().map(|op| op.body.len() + 96).sum::<usize>());
        self.write_ops(&mut out, b'\n');
        out
    }

    fn write_ops(&self, out: &mut Vec<u8>, end: u8) {
        for op in &self.ops {
            CommittedOp::write(out, op.revision, &op.actor, op.ts, &op.body);
            out.push(end);
        }
    }

    fn message_pack(&self) -> Result<Vec<u8>, Error> {
        let damaged = |what: String| {
            tracing::error!(what, "a page could not be encoded");
            Error::new(ErrorCode::Internal, "the page could not be encoded")
        };
        let json = self.json();
        on_bytes(json.len(), || {
            let page: Value = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
            rmp_serde::to_vec_named(&page).map_err(|error| damaged(error.to_string()))
        })
    }
}

/// The media ranges of `Accept` in lower case, each with its quality: 1 where none is given, or none that is one.
fn accepted_ranges(headers: &HeaderMap) -> Vec<(String, f32)> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let range = |item: &str| {
        let mut parts = item.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.and_then(|weight| weight.parse().ok());
        (range, weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0))
    };
    values.flat_map(|value| value.split(',')).map(range).collect()
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits, model::Trunk};

    #[test]
    fn what_a_page_says_besides_its_ops_has_its_bound() {
        let end = Revision(u64::MAX - 1);
        let page = Page {
            branch: Branch {
                epoch: Epoch(uuid::Uuid::nil()),
                trunk: Some(Trunk { epoch: Epoch(uuid::Uuid::nil()), base: end }),
            },
            after: end,
            to: end,
            head: Revision(u64::MAX),
            until: None,
            names_epoch: true,
            ops: Vec::new(),
        };
        assert!(!page.is_complete(), "the longer word");
        let said = page.json().len();
        assert!((limits::PAGE_ENVELOPE_BYTES / 2..=limits::PAGE_ENVELOPE_BYTES).contains(&said), "{said}");
    }
}
