//! The messages of clients on a socket.
//!
//! Owns their names and shapes, from which the AsyncAPI document is made, and reads them.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::{DrawingId, Epoch, Revision};

/// A message of a client. Unknown fields are ignored, and so are unknown types.
#[derive(Clone, Debug, Deserialize, PartialEq, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Follow a drawing, from `after` or from the head on.
    Subscribe {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// The last revision that the client has.
        #[serde(default)]
        #[schema(value_type = Option<u64>)]
        after: Option<Revision>,
        /// The epoch of `after`.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        epoch: Option<Epoch>,
        /// `true` to be told who is present.
        #[serde(default)]
        presence: bool,
    },
    /// Stop following a drawing.
    Unsubscribe {
        /// The drawing.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
    },
    /// Be present with this state; `null` leaves.
    Presence {
        /// The drawing, which the socket follows.
        #[schema(value_type = Uuid)]
        drawing_id: DrawingId,
        /// An object; absent is an error.
        #[schema(value_type = Option<HashMap<String, Value>>, required)]
        state: Value,
    },
    /// Go on under a fresh ticket.
    Auth {
        /// A ticket from `POST /v1/tickets`.
        ticket: String,
    },
    /// Answered with `pong` and the same `t`.
    Ping {
        /// Anything.
        #[serde(default)]
        t: Value,
    },
    /// A type of another version, or an op, which belongs to REST.
    #[serde(other)]
    Unknown,
}

impl ClientMessage {
    /// Reads a message; `None` when it is not as documented.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // serde would read an array as the fields of a message in order.
        text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
    }

    /// The JSON of a message in MessagePack; `None` when it is none.
    #[must_use]
    pub fn unpack(bytes: &[u8]) -> Option<String> {
        rmp_serde::from_slice::<Value>(bytes).ok().map(|value| value.to_string())
    }

    /// Returns `true` if a message of no known type is an op on the wrong way.
    #[must_use]
    pub fn names_an_op(text: &str) -> bool {
        #[derive(Deserialize)]
        struct Probe {
            #[serde(rename = "type")]
            type_name: Option<String>,
            op_id: Option<serde::de::IgnoredAny>,
        }
        serde_json::from_str::<Probe>(text)
            .is_ok_and(|probe| probe.op_id.is_some() || probe.type_name.as_deref().is_some_and(is_type_of_op))
    }

    /// The drawing that a message names, be the message as documented or not.
    #[must_use]
    pub fn named_drawing(text: &str) -> Option<DrawingId> {
        #[derive(Deserialize)]
        struct Probe {
            drawing_id: DrawingId,
        }
        let probe = text.trim_start().starts_with('{').then(|| serde_json::from_str::<Probe>(text).ok());
        probe.flatten().map(|probe| probe.drawing_id)
    }
}

/// Returns `true` if ops have this `type`, or some version of them may have it.
fn is_type_of_op(name: &str) -> bool {
    let families = ["object.", "stroke.", "canvas.", "custom."];
    matches!(name, "op" | "ops" | "undo" | "redo") || families.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Option<ClientMessage> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn unknown_types_and_fields_are_ignored() {
        assert_eq!(parse(r#"{"type":"wave","at":3}"#), Some(ClientMessage::Unknown));
        assert_eq!(parse(r#"{"type":"ping","t":1,"x":2}"#), Some(ClientMessage::Ping { t: 1.into() }));
        assert_eq!(parse(r#"{"type":"subscribe"}"#), None);
        assert_eq!(parse("{}"), None);
    }
}
