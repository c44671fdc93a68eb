//! A secret that does not show itself.

use std::{convert::Infallible, fmt, str::FromStr};

use crate::limits;

/// A key to sign and verify with; redacted wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// The bytes, for the one who signs or verifies.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Returns `true` if it is long enough for HS256 (RFC 7518, 3.2). Parsing does not check this, because
    /// whoever reports a parse error quotes the text.
    #[must_use]
    pub fn is_long_enough(&self) -> bool {
        self.0.len() >= limits::MIN_SECRET_BYTES
    }
}

impl FromStr for Secret {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
