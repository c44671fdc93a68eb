//! Ids and digests as numbers: the id of an op, and what tells its body from another one.
//!
//! Owns their spelling in a history, and the one way from a body to its digest.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Digits of a hash that count; more are read and left aside.
const DIGEST_DIGITS: usize = 32;

/// The fields that the server adds to an op when it commits it, which are no part of its body.
const ADDED_BY_SERVER: [&str; 3] = ["revision", "actor", "ts"];

/// The id of an op or of a unit, a UUID in either case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(pub u128);

/// The first half of the SHA-256 of something: equal for equal things.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub u128);

impl OpId {
    /// Reads a UUID with hyphens; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let has_hyphens = text.len() == 36 && [8, 13, 18, 23].iter().all(|&at| text.as_bytes()[at] == b'-');
        let mut digits = text.bytes().filter(|&byte| byte != b'-');
        let number = has_hyphens.then(|| digits.by_ref().take(32).try_fold(0, shift_in)).flatten()?;
        digits.next().is_none().then_some(Self(number))
    }
}

impl Digest {
    /// Reads a hash: at least 32 hexadecimal digits, of which the first 32 count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes().get(..DIGEST_DIGITS)?;
        digits.iter().copied().try_fold(0, shift_in).map(Self)
    }

    /// The digest of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        Self(hash.iter().take(DIGEST_DIGITS / 2).fold(0, |sum, &byte| sum << 8 | u128::from(byte)))
    }

    /// The digest of an op: of its canonical JSON (RFC 8785), without what the server adds to it, and with its ids in
    /// lower case. `None` if it is no object, or has no canonical form.
    #[must_use]
    pub fn of_body(body: &Value) -> Option<Self> {
        let mut body = body.as_object()?.clone();
        for name in ADDED_BY_SERVER {
            body.remove(name);
        }
        for name in ["op_id", "unit"] {
            if let Some(Value::String(id)) = body.get_mut(name) {
                id.make_ascii_lowercase();
            }
        }
        serde_json_canonicalizer::to_vec(&body).ok().map(|bytes| Self::of(&bytes))
    }
}

fn shift_in(sum: u128, digit: u8) -> Option<u128> {
    char::from(digit).to_digit(16).map(|digit| sum << 4 | u128::from(digit))
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Implements what both types have in common: they are shown as they are written, and read from a string.
macro_rules! as_text {
    ($name:ident, $wanted:literal) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($wanted)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

as_text!(OpId, "a UUID");
as_text!(Digest, "a hash of at least 32 hexadecimal digits");

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_is_the_same_in_either_case_and_nothing_else_is_one() {
        let lower = "01980000-0000-7000-8000-0000000000ab";
        assert_eq!(OpId::parse(lower), OpId::parse(&lower.to_uppercase()));
        assert_eq!(OpId::parse(lower).unwrap().to_string(), lower);
        for text in
            ["", "01980000", "0198000000-00-7000-8000-0000000000ab", "0198000g-0000-7000-8000-0000000000ab"]
        {
            assert_eq!(OpId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_body_has_one_digest_however_it_is_spelled_and_committed() {
        let sent = json!({"op_id": "01980000-0000-7000-8000-0000000000AB", "type": "custom.a", "data": {"b": 1.0, "a": 2}});
        let committed = json!({"revision": 3, "actor": "alice", "ts": 5, "data": {"a": 2.0, "b": 1}, "type": "custom.a",
            "op_id": "01980000-0000-7000-8000-0000000000ab"});
        let other = json!({"op_id": "01980000-0000-7000-8000-0000000000ab", "type": "custom.a", "data": {"b": 1, "a": 3}});
        assert_eq!(Digest::of_body(&sent), Digest::of_body(&committed));
        assert_ne!(Digest::of_body(&sent), Digest::of_body(&other));
        assert_eq!(Digest::of_body(&json!([])), None);
    }
}
