//! One spelling for the ids of an op: clients write UUIDs in either case, a log has them in lower case, so that
//! whoever compares them as strings sees the same units as the server.
//!
//! Owns what is canonical and how the rest is spelled anew. It never touches a payload, and an op whose ids are
//! canonical, as nearly all are, is not written again.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::{Op, OpId, RawObject};
use crate::model::json_equal;

/// An id of an op, as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpelledId {
    /// The id.
    pub id: OpId,
    /// `true` if it is spelled as a log has it: in lower case, without escapes.
    pub is_canonical: bool,
}

impl<'de> Deserialize<'de> for SpelledId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpelledVisitor;
        impl de::Visitor<'_> for SpelledVisitor {
            type Value = SpelledId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a UUID with hyphens")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &str) -> Result<SpelledId, E> {
                let is_canonical = !text.bytes().any(|byte| byte.is_ascii_uppercase());
                self.visit_str(text).map(|spelled| SpelledId { is_canonical, ..spelled })
            }

            /// A text that cannot be borrowed has escapes in it.
            fn visit_str<E: de::Error>(self, text: &str) -> Result<SpelledId, E> {
                let id = text.parse().map_err(E::custom)?;
                Ok(SpelledId { id, is_canonical: false })
            }
        }
        deserializer.deserialize_str(SpelledVisitor)
    }
}

/// The JSON of an op with its ids spelled canonically, and all else as it came.
pub(super) fn respell(json: &str, op_id: OpId, unit: OpId) -> Box<str> {
    let mut out = String::with_capacity(json.len());
    // It was parsed as an op, whose fields are all known: none of their names needs an escape.
    if let Ok(raw) = serde_json::from_str::<&RawValue>(json) {
        RawObject(raw).for_each(|key, value| {
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push_str(&match key {
                "op_id" => format!(r#""{key}":"{op_id}""#),
                "unit" => format!(r#""{key}":"{unit}""#),
                _ => format!(r#""{key}":{value}"#),
            });
        });
    }
    out.push('}');
    out.into_boxed_str()
}

/// Returns `true` if an op that was sent is the one that stands in a log: equal as JSON values. Logs of older
/// servers have ids as they came.
#[must_use]
pub fn same_op(logged: &str, sent: &str) -> bool {
    let respelled = || Op::parse(logged).ok().and_then(|op| op.respelled(logged));
    json_equal(logged, sent) || respelled().is_some_and(|logged| json_equal(&logged, sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0198f0a0-7d2c-7aaa-8bbb-0123456789ab";
    const UNIT: &str = "0198f0a0-7d2c-7aaa-8bbb-0123456789cd";

    fn respelled(json: &str) -> Option<Box<str>> {
        Op::parse(json).unwrap().respelled(json)
    }

    fn upper(id: &str) -> String {
        id.to_uppercase()
    }

    #[test]
    fn ids_are_spelled_in_lower_case_and_nothing_else_is_touched() {
        let op = |id: &str, unit: &str| {
            format!(
                r#"{{"meta":{{"op_id":"ABC","unit":1.50}},"unit":"{unit}","type":"custom.A","data":"{}","op_id":"{id}"}}"#,
                upper(ID)
            )
        };
        let canonical = op(ID, UNIT);
        for (id, unit) in
            [(upper(ID), upper(UNIT)), (ID.to_owned(), upper(UNIT)), (upper(ID), UNIT.to_owned())]
        {
            assert_eq!(respelled(&op(&id, &unit)).as_deref(), Some(&*canonical));
        }
        assert_eq!(respelled(&canonical), None, "nothing is written again");
    }

    #[test]
    fn an_escape_is_another_spelling() {
        let canonical = format!(r#"{{"op_id":"{ID}","type":"canvas.clear"}}"#);
        let escaped = canonical.replacen("\"0198", "\"\\u0030198", 1);
        assert_eq!(respelled(&escaped).as_deref(), Some(&*canonical));
        let escaped = canonical.replacen("op_id", "op\\u005fid", 1).replace(ID, &upper(ID));
        assert_eq!(respelled(&escaped).as_deref(), Some(&*canonical));
    }

    #[test]
    fn an_op_of_an_older_log_is_the_same_in_either_case() {
        let op = |id: &str, data: u8| format!(r#"{{"op_id":"{id}","type":"custom.a","data":{data}}}"#);
        assert!(same_op(&op(&upper(ID), 1), &op(ID, 1)));
        assert!(same_op(&op(ID, 1), &op(ID, 1)));
        assert!(!same_op(&op(&upper(ID), 1), &op(ID, 2)));
        assert!(!same_op("{}", &op(ID, 1)));
    }
}
