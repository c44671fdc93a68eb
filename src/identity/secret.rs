//! A secret that does not show itself.

use std::{fmt, str::FromStr};

use crate::limits;

/// A key to sign and verify with; redacted wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// The secret is too short to be safe for HS256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret must have at least {} bytes (RFC 7518, 3.2)", limits::MIN_SECRET_BYTES)]
pub struct SecretTooShort;

impl Secret {
    /// The bytes, for the one who signs or verifies.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Secret {
    type Err = SecretTooShort;
    fn from_str(text: &str) -> Result<Self, SecretTooShort> {
        if text.len() < limits::MIN_SECRET_BYTES { Err(SecretTooShort) } else { Ok(Self(text.into())) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
