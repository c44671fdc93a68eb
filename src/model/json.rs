//! The rules that JSON must satisfy to stand in a log for ever, beyond being JSON.
//!
//! They hold for every value of an op, whatever its place: no white space, bounded depth, numbers that every
//! reader holds alike, each key once, strings that are Unicode.

use std::{collections::HashSet, fmt};

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::limits;

/// Returns the same JSON without white space, its literals untouched.
///
/// `json` must be syntactically valid, as the text of a `RawValue` is.
///
/// # Errors
/// The rule that is broken: nesting over [`limits::MAX_JSON_DEPTH`], a number that is no finite
/// double, or an integer beyond ±2^53.
pub fn compact(json: &str) -> Result<Box<str>, &'static str> {
    let bytes = json.as_bytes();
    let mut out = String::with_capacity(json.len());
    // Everything before `kept` is in `out` already.
    let (mut at, mut kept, mut depth) = (0, 0, 0usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b'-' | b'0'..=b'9' => {
                let end = number_end(bytes, at);
                check_number(&json[at..end])?;
                at = end;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > limits::MAX_JSON_DEPTH {
                    return Err("is nested too deeply");
                }
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b' ' | b'\n' | b'\r' | b'\t' => {
                out.push_str(&json[kept..at]);
                at += 1;
                kept = at;
            }
            _ => at += 1,
        }
    }
    out.push_str(&json[kept..]);
    Ok(out.into_boxed_str())
}

/// The index after the closing quote of the string that opens at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

pub(super) fn number_end(bytes: &[u8], start: usize) -> usize {
    let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    start + bytes[start..].iter().take_while(|b| is_part(b)).count()
}

fn check_number(literal: &str) -> Result<(), &'static str> {
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        // Fifteen digits are below 2^53 whatever they are.
        let fits = digits.len() <= 15 || digits.parse::<u64>().is_ok_and(|n| n <= limits::MAX_INTEGER);
        return if fits { Ok(()) } else { Err("has an integer beyond 2^53") };
    }
    match literal.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(()),
        _ => Err("has a number that is no finite IEEE double"),
    }
}

/// Returns `true` if two JSON texts are the same value: key order aside, numbers as the doubles they denote.
#[must_use]
pub fn json_equal(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    match (serde_json::from_str::<Value>(a), serde_json::from_str::<Value>(b)) {
        (Ok(a), Ok(b)) => values_equal(&a, &b),
        _ => false,
    }
}

fn values_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| values_equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| values_equal(a, b)))
        }
        _ => a == b,
    }
}

/// Any JSON value of which only the soundness is wanted: each key once, strings that are Unicode.
pub(super) struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while entries.next_key_seed(UniqueKey(&mut seen))?.is_some() {
            entries.next_value::<Self>()?;
        }
        Ok(Self)
    }
}

/// The key by which serde_json knows a text that it is to take for JSON. Nobody else's JSON may have it: parsed to a
/// [`Value`], `{"<key>":"1"}` would come to `1`.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Reads one key of an object and refuses it the second time.
struct UniqueKey<'a>(&'a mut HashSet<Box<str>>);

impl<'de> DeserializeSeed<'de> for UniqueKey<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for UniqueKey<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<(), E> {
        if key == RAW_VALUE {
            return Err(E::custom("a key is reserved"));
        }
        if self.0.insert(key.into()) { Ok(()) } else { Err(E::custom("a key stands twice in one object")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_removes_white_space_outside_strings_alone() {
        let json = "{ \"a b\" : [ 1.50 , -2e3,\t\"\\\" x\" ],\r\n\"c\":{} }";
        assert_eq!(&*compact(json).unwrap(), r#"{"a b":[1.50,-2e3,"\" x"],"c":{}}"#);
        assert_eq!(&*compact(r#"{"a":1}"#).unwrap(), r#"{"a":1}"#);
    }

    #[test]
    fn numbers_are_finite_doubles_and_exact_integers() {
        for good in ["0", "-0", "9007199254740992", "-9007199254740992", "1e308", "1e-400", "0.1"] {
            assert!(compact(good).is_ok(), "{good}");
        }
        for bad in ["9007199254740993", "-9007199254740993", "18446744073709551616", "1e309", "-1e999"] {
            assert!(compact(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_ends_at_its_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(compact(&nested(limits::MAX_JSON_DEPTH)).is_ok());
        assert!(compact(&nested(limits::MAX_JSON_DEPTH + 1)).is_err());
    }

    #[test]
    fn equality_ignores_key_order_and_the_spelling_of_numbers() {
        assert!(json_equal(r#"{"a":1,"b":[1.0]}"#, r#"{"b":[1],"a":1e0}"#));
        assert!(!json_equal(r#"{"a":1}"#, r#"{"a":1,"b":null}"#));
        assert!(!json_equal("[1,2]", "[2,1]"));
    }

    #[test]
    fn a_sound_value_has_each_key_once_and_unicode_strings() {
        let is_sound = |json: &str| serde_json::from_str::<Sound>(json).is_ok();
        assert!(is_sound(r#"{"a":{"b":[{"b":null}]},"b":"\ud83d\ude00"}"#));
        assert!(!is_sound(r#"{"a":[{"b":1,"b":2}]}"#));
        assert!(!is_sound(r#"{"a":1,"\u0061":2}"#));
        assert!(!is_sound(r#"["\ud800"]"#));
        // A key that serde_json would unwrap.
        for json in [
            r#"{"a":[{"$serde_json::private::RawValue":"1"}]}"#,
            r#"{"\u0024serde_json::private::RawValue":1}"#,
        ] {
            assert!(!is_sound(json));
        }
        assert_eq!(serde_json::from_str::<Value>(r#"{"$serde_json::private::RawValue":"1"}"#).unwrap(), 1);
    }
}
