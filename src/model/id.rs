//! Identifiers and positions, each parsed once at the edge.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use super::shown;
use crate::limits;

/// Why a string is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not 8-4-4-4-12 hexadecimal digits.
    #[error("must be a UUID with hyphens")]
    Uuid,
    /// Empty, too long, or with other characters.
    #[error("must be 1 to 64 characters of A-Z a-z 0-9 _ -")]
    Object,
    /// Empty, too long, or with control characters.
    #[error("must be 1 to 128 characters without control characters")]
    User,
    /// Too long, with control characters, or with nothing that is seen.
    #[error("must be at most 200 characters without control characters, and not of unseen ones alone")]
    Title,
}

/// Parses the hyphenated form alone, in either case: one spelling for each UUID on the wire.
fn parse_uuid(text: &str) -> Result<Uuid, InvalidId> {
    if text.len() != 36 {
        return Err(InvalidId::Uuid);
    }
    Uuid::try_parse(text).map_err(|_| InvalidId::Uuid)
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_uuid(text).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(FromStrVisitor("a UUID with hyphens", std::marker::PhantomData))
            }
        }
    )+};
}

uuid_id! {
    /// One drawing: the unit of ordering, of access and of fan-out.
    DrawingId;
    /// One op: made by the client, its idempotency key.
    OpId;
    /// One connection to a drawing: a socket, or a client that posts its presence.
    ConnectionId;
    /// One share link, as owners name it.
    LinkId;
    /// One history of the database; a position is a pair of epoch and revision.
    Epoch;
}

/// Deserializes whatever can be parsed from a string, without copying the string.
struct FromStrVisitor<T>(&'static str, std::marker::PhantomData<T>);

impl<T: FromStr<Err = InvalidId>> de::Visitor<'_> for FromStrVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// A position in the log of one drawing; 0 is before the first op.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The user who acts: the `sub` of a verified token. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The id as it stands in the token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The beginning of the ids of the server's own actors: no token may name one.
const RESERVED_ACTORS: &str = "revcast:";

impl UserId {
    /// The server itself, as the one that folds.
    #[must_use]
    pub fn folder() -> Self {
        Self("revcast:fold".into())
    }

    /// Returns `true` if a text is the id of a user, or a name of the server.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        !text.is_empty()
            && text.chars().count() <= limits::MAX_USER_ID_CHARS
            && !text.chars().any(char::is_control)
    }

    /// Returns `true` if it names the server rather than a user.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED_ACTORS)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for UserId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::is_one(text).then(|| Self(text.into())).ok_or(InvalidId::User)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromStrVisitor("a user id", std::marker::PhantomData))
    }
}

/// The name of a drawing; it may be empty. It has no characters that turn the text around. Unless it is empty,
/// something of it is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Title(Box<str>);

impl Title {
    /// The title as others see it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Title {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // Postgres stores no NUL, and no title needs a control character.
        let fits = text.chars().count() <= limits::MAX_TITLE_CHARS && !text.chars().any(char::is_control);
        let shown = shown::without_turns(text);
        let is_title = fits && (text.is_empty() || shown::is_seen(&shown));
        is_title.then(|| Self(shown.into())).ok_or(InvalidId::Title)
    }
}

/// An object on the canvas; made by the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ObjectId(Box<str>);

impl ObjectId {
    /// The id as the client made it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let fits = (1..=limits::MAX_OBJECT_ID_CHARS).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        fits.then(|| Self(text.into())).ok_or(InvalidId::Object)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromStrVisitor("an object id", std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_one_form() {
        let id = "0198f0a0-7d2c-7aaa-8bbb-0123456789ab";
        assert!(id.parse::<OpId>().is_ok());
        assert!(id.to_uppercase().parse::<OpId>().is_ok());
        for other in [id.replace('-', ""), format!("{{{id}}}"), format!("urn:uuid:{id}"), String::new()] {
            assert_eq!(other.parse::<OpId>(), Err(InvalidId::Uuid), "{other}");
        }
    }

    #[test]
    fn user_ids_titles_and_object_ids_end_at_their_limits() {
        assert!("ä".repeat(128).parse::<UserId>().is_ok());
        assert!("ä".repeat(129).parse::<UserId>().is_err());
        assert!("a\u{0}".parse::<UserId>().is_err());
        assert!("ä".repeat(200).parse::<Title>().is_ok() && "".parse::<Title>().is_ok());
        assert!("ä".repeat(201).parse::<Title>().is_err());
        assert!("a\n".parse::<Title>().is_err());
        assert!(" \u{200b}".parse::<Title>().is_err() && "\u{202e}".parse::<Title>().is_err());
        assert_eq!("a\u{202e}b".parse::<Title>().unwrap().as_str(), "ab");
        assert!("a".repeat(64).parse::<ObjectId>().is_ok());
        assert!("a".repeat(65).parse::<ObjectId>().is_err());
        assert!("a b".parse::<ObjectId>().is_err());
    }
}
