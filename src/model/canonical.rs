//! Canonical JSON (RFC 8785): one spelling for each value, so that equal pictures have equal bytes.
//!
//! Owns the spelling and the order of numbers, strings and keys. Every part of a canvas is stored in this
//! spelling, so that rendering it is copying.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Point, json::number_end};

/// Decimal digits that a double keeps whatever they are (IEEE 754, C's `DBL_DIG`): two literals of as
/// many digits that differ are different doubles, so the shortest spelling of such a literal is itself.
const SURE_DIGITS: usize = 15;

/// The canonical spelling of a JSON text that has been checked (see [`super::compact`]).
pub(super) fn canonical(json: &str) -> Box<str> {
    if is_canonical_scalar(json) {
        return json.into();
    }
    let spelled = serde_json::from_str::<Value>(json).and_then(|value| to_canonical(&value));
    // An op in a log was parsed before it was numbered.
    spelled.unwrap_or_else(|_| "null".to_owned()).into_boxed_str()
}

fn to_canonical(value: &Value) -> serde_json::Result<String> {
    serde_json_canonicalizer::to_string(value)
}

/// Returns `true` if `json` is a literal in its canonical spelling already, as most are.
fn is_canonical_scalar(json: &str) -> bool {
    match json.as_bytes() {
        b"true" | b"false" | b"null" => true,
        // Without a backslash a string is spelled as it should be: what must be escaped is.
        [b'"', ..] => !json.contains('\\'),
        [b'-' | b'0'..=b'9', ..] => number_end(json.as_bytes(), 0) == json.len() && is_canonical_number(json),
        _ => false,
    }
}

/// Returns `true` for a number that is sure to be spelled canonically; it may miss some that are.
fn is_canonical_number(literal: &str) -> bool {
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    let is_whole = !digits.contains('.');
    // Below one, small fractions are spelled with an exponent; `-0` is spelled `0`.
    is_plain
        && digits.len() <= SURE_DIGITS
        && (literal != "-0")
        && (is_whole || (!fraction.ends_with('0') && !fraction.is_empty() && !fraction.starts_with("000000")))
}

/// Writes a finite double as ECMAScript does.
pub(super) fn write_number(out: &mut String, number: f64) {
    // Whole numbers of that size are exact, and cheaper to write as such; this makes `-0` a `0`, too.
    if number.abs() < 1e15 && number.trunc() == number {
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and far below 2^63")]
        out.push_str(itoa::Buffer::new().format(number as i64));
    } else {
        out.push_str(ryu_js::Buffer::new().format_finite(number));
    }
}

/// Writes a string with its quotes.
pub(super) fn write_string(out: &mut String, text: &str) {
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if text.bytes().any(needs_escape) {
        // serde_json escapes what RFC 8785 wants escaped, and in the same way. A string always serializes.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// The points as a canonical JSON array without its brackets, so that stretches can be joined.
pub(super) fn points_text(points: &[Point]) -> Box<str> {
    let mut out = String::with_capacity(points.len() * 12);
    for point in points {
        out.push_str(if out.is_empty() { "[" } else { ",[" });
        write_number(&mut out, point.x);
        out.push(',');
        write_number(&mut out, point.y);
        if let Some(pressure) = point.pressure {
            out.push(',');
            write_number(&mut out, pressure);
        }
        out.push(']');
    }
    out.into_boxed_str()
}

/// Compares strings by UTF-16 code units, as RFC 8785 sorts keys and JavaScript compares strings.
pub(super) fn compare_utf16(a: &str, b: &str) -> Ordering {
    // Only code points beyond the first plane, whose first unit is a surrogate, sort otherwise than in UTF-8.
    if a.bytes().chain(b.bytes()).all(|byte| byte < 0xf0) {
        return a.cmp(b);
    }
    a.encode_utf16().cmp(b.encode_utf16())
}

/// A key of an object, in the order of [`compare_utf16`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(pub Box<str>);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_utf16(&self.0, &other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_spelling() {
        let rows = [
            ("1", "1"),
            ("1.0", "1"),
            ("1e0", "1"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0.10", "0.1"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("9007199254740992", "9007199254740992"),
            ("123456789.125", "123456789.125"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("0.1000000000000000055511151231257827", "0.1"),
            ("5e-324", "5e-324"),
            ("true", "true"),
            ("null", "null"),
            (r#""a b""#, r#""a b""#),
            (r#""\u00e9\/\u000a\u001f""#, "\"é/\\n\\u001f\""),
            (r#"{"b":[1.50,{}],"a":-2e1}"#, r#"{"a":-20,"b":[1.5,{}]}"#),
            ("{\"\u{fb33}\":1,\"\u{1f600}\":2}", "{\"\u{1f600}\":2,\"\u{fb33}\":1}"),
        ];
        for (literal, spelled) in rows {
            assert_eq!(&*canonical(literal), spelled, "{literal}");
        }
    }

    #[test]
    fn literals_that_are_taken_for_canonical_are() {
        let literals = [
            "0",
            "-1",
            "15",
            "999999999999999",
            "0.5",
            "-0.25",
            "0.000001",
            "0.0000012",
            "10.01",
            "0.",
            "1.20",
            "00000.1",
            "-0.5",
            "0.00001",
            "12345678.1234567",
            "100000000000.1",
            "-0.0",
        ];
        for literal in literals {
            if let (true, Ok(value)) = (is_canonical_scalar(literal), serde_json::from_str::<Value>(literal))
            {
                assert_eq!(to_canonical(&value).unwrap(), literal);
            }
        }
    }

    #[test]
    fn points_are_spelled_like_other_numbers() {
        let point = |x, y, pressure| Point { x, y, pressure };
        let points = [point(1.0, -0.0, None), point(0.5, 1e21, Some(0.25)), point(-1e15, 1e-7, None)];
        assert_eq!(&*points_text(&points), "[1,0],[0.5,1e+21,0.25],[-1000000000000000,1e-7]");
        assert_eq!(&*points_text(&[]), "");
    }

    #[test]
    fn strings_are_ordered_by_their_utf16_code_units() {
        let mut keys = ["\u{fb33}", "\u{1f600}", "é", "a", "", "Z", "aa"].map(|key| Key(key.into()));
        keys.sort();
        let order: Vec<&str> = keys.iter().map(|key| &*key.0).collect();
        assert_eq!(order, ["", "Z", "a", "aa", "é", "\u{1f600}", "\u{fb33}"]);
    }
}
