//! The header of a token: what it says of itself, before anything of it is believed.
//!
//! Owns the rules of RFC 7515 on what has to be understood, and those of RFC 8725 on what a token is for. It verifies
//! nothing.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::unauthenticated;
use crate::error::Error;

/// The kinds of token that open anything here: a JWT of no particular kind, and an access token (RFC 9068 §2.1). Others,
/// such as `logout+jwt` or `dpop+jwt`, may be signed with the same keys and are for something else (RFC 8725 §3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// The key and the algorithm that a token names for its verification.
#[derive(Debug)]
pub(super) struct TokenHeader {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
}

/// The fields of a header that are looked at. The keys that it names or brings do not count: the configured
/// ones verify it.
#[derive(Deserialize)]
struct Fields {
    alg: Algorithm,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default, rename = "crit", deserialize_with = "present")]
    has_crit: bool,
    #[serde(default)]
    b64: Option<bool>,
}

impl TokenHeader {
    /// Reads the header of a token or ticket.
    ///
    /// # Errors
    /// `unauthenticated` for one that cannot be read, that asks for what nobody here understands, or that is for
    /// something else.
    pub(super) fn read(token: &str) -> Result<Self, Error> {
        let fields = token.split_once('.').and_then(|(header, _)| {
            let json = URL_SAFE_NO_PAD.decode(header).ok()?;
            // If a field is named twice, nobody knows which one counts.
            serde_json::from_slice(&json).ok()
        });
        let Fields { alg, kid, typ, has_crit, b64 } =
            fields.ok_or_else(|| unauthenticated("the token is no JWT"))?;
        // No extension is understood here, and an empty list is not allowed (RFC 7515 §4.1.11).
        if has_crit {
            return Err(unauthenticated("the token has a critical header that is not understood here"));
        }
        // Without `crit` it is not in force, and a JWT may not have it (RFC 7797 §7).
        if b64 == Some(false) {
            return Err(unauthenticated("the payload of a JWT is encoded in base64url"));
        }
        // A media type, of which `application/` may be left out (RFC 7515 §4.1.9).
        let is_for_us = typ.is_none_or(|typ| {
            let typ = typ.to_ascii_lowercase();
            TYPES.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
        });
        if !is_for_us {
            return Err(unauthenticated("the token is of a kind that is for something else"));
        }
        Ok(Self { algorithm: alg, kid })
    }
}

/// Returns `true` because the field is there, whatever it says.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Result<TokenHeader, Error> {
        TokenHeader::read(&format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header)))
    }

    #[test]
    fn what_is_critical_is_not_understood() {
        let crits = [r#"["exp"]"#, r#"["b64"]"#, r#"["b64","exp"]"#, "[]", "null", r#""b64""#, "7", "{}"];
        for crit in crits {
            let error = read(&format!(r#"{{"alg":"HS256","b64":true,"crit":{crit}}}"#)).unwrap_err();
            assert!(error.detail.contains("critical"), "{crit}: {error}");
        }
        read(r#"{"alg":"HS256","b64":true,"x-other":{"crit":["a"]}}"#).unwrap();
        assert!(read(r#"{"alg":"HS256","b64":false}"#).unwrap_err().detail.contains("base64url"));
        assert!(read(r#"{"alg":"HS256","b64":0}"#).is_err());
    }

    #[test]
    fn a_token_of_another_kind_opens_nothing() {
        for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "application/jwt"] {
            read(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#)).expect(typ);
        }
        read(r#"{"alg":"ES256"}"#).unwrap();
        let others = ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "JWE", "", "text/jwt", "JWT "];
        for typ in others {
            let error = read(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#)).unwrap_err();
            assert!(error.detail.contains("something else"), "{typ}: {error}");
        }
    }

    #[test]
    fn a_header_is_an_object_that_names_each_field_once() {
        let odd = [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":""}"#,
            r#"{"typ":"JWT"}"#,
            r#"{"alg":"HS256","alg":"ES256"}"#,
            r#"{"alg":"HS256","kid":"a","kid":"b"}"#,
            r#"{"alg":"HS256","kid":7}"#,
            r#"{"alg":["HS256"]}"#,
            "[]",
            "",
        ];
        for header in odd {
            assert!(read(header).unwrap_err().detail.contains("no JWT"), "{header}");
        }
        assert!(TokenHeader::read("e30").is_err());
        let header = read(r#"{"alg":"EdDSA","kid":"k"}"#).unwrap();
        assert_eq!((header.algorithm, header.kid.as_deref()), (Algorithm::EdDSA, Some("k")));
    }
}
