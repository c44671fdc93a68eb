//! The parts that all log lines share: the name of the node, and the id of the request.
//!
//! Owns these two and nothing else that is logged. docs/logs.md lists the lines and their fields.

use std::{fmt, sync::OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::limits;

/// The header of a request and of its answer that bears its id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name of this process, once it has one.
static NODE: OnceLock<Box<str>> = OnceLock::new();

/// Names this process; only the first name counts.
pub fn name_node(name: &str) {
    let _ = NODE.set(name.into());
}

/// The name of this process among the nodes: the one it was given, or that of the machine with a random ending.
pub fn node() -> &'static str {
    NODE.get_or_init(|| {
        let random = Uuid::new_v4().simple().to_string();
        let machine = rustix::system::uname();
        let machine = machine.nodename().to_str().unwrap_or_default();
        let room = limits::MAX_NODE_NAME_CHARS - NODE_ENDING_CHARS - 1;
        let machine: String = machine.chars().filter(|c| is_plain(*c)).take(room).collect();
        let ending = &random[..NODE_ENDING_CHARS];
        if machine.is_empty() { ending.into() } else { format!("{machine}-{ending}").into() }
    })
}

/// Random characters that tell apart the nodes of one machine.
const NODE_ENDING_CHARS: usize = 6;

/// Returns `true` if a text may be the name of a node.
#[must_use]
pub fn is_node_name(text: &str) -> bool {
    (1..=limits::MAX_NODE_NAME_CHARS).contains(&text.len()) && text.chars().all(is_plain)
}

/// The id of a request. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The client's id if it is short and plain, a new one otherwise: it goes into logs and back to the client.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let fits = |id: &&HeaderValue| {
            (1..=limits::MAX_REQUEST_ID_BYTES).contains(&id.len())
                && id.as_bytes().iter().all(|byte| is_plain(char::from(*byte)))
        };
        match headers.get(REQUEST_ID).filter(fits) {
            Some(id) => Self(id.clone()),
            None => {
                let mut buffer = Uuid::encode_buffer();
                let id = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
                Self(HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("-")))
            }
        }
    }

    /// The same as a header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The same as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sent: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_str(sent).unwrap());
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn an_id_is_taken_over_if_it_is_short_and_plain() {
        for sane in ["a", "Req_1.2-3", &"x".repeat(limits::MAX_REQUEST_ID_BYTES)] {
            assert_eq!(id(sane), sane);
        }
        for odd in ["", "a b", "a\"b", "ä", "a/b", "a,b", &"x".repeat(limits::MAX_REQUEST_ID_BYTES + 1)] {
            assert!(Uuid::parse_str(&id(odd)).is_ok(), "{odd}");
        }
        assert!(Uuid::parse_str(RequestId::of(&HeaderMap::new()).as_str()).is_ok());
    }

    #[test]
    fn a_node_without_a_name_gets_one() {
        assert!(is_node_name(node()), "{}", node());
        assert_eq!(node(), node());
        assert!(!is_node_name("") && !is_node_name("a b") && !is_node_name(&"x".repeat(65)));
    }
}
