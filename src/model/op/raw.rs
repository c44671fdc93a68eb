//! Parts of an op that stay the JSON that they came as: strings, and objects of the client's own making.
//!
//! Owns how they are read, and checks that they are sound.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::model::json::Sound;

/// A free-form JSON object as it came: each key once, sound strings.
#[derive(Clone, Copy, Debug)]
pub struct RawObject<'a>(pub &'a RawValue);

/// A string, borrowed where the JSON has no escapes in it.
#[derive(Debug)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<'a>(PhantomData<&'a str>);
        impl<'de: 'a, 'a> de::Visitor<'de> for TextVisitor<'a> {
            type Value = Text<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

impl RawObject<'_> {
    /// Calls `each` with every key and the JSON of its value, in the order in which they came.
    pub fn for_each(self, each: impl FnMut(&str, &str)) {
        // It was parsed when it was taken in.
        let _ = serde_json::Deserializer::from_str(self.0.get()).deserialize_map(EntriesVisitor(each));
    }

    /// Returns `true` if it has no entries.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.get().trim_matches(['{', '}']).trim_ascii().is_empty()
    }

    /// Returns `true` if one of these keys is among its own.
    pub(super) fn has_any_key(self, keys: &[Cow<'_, str>]) -> bool {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(self.0.get())
            .is_ok_and(|map| keys.iter().any(|key| map.contains_key(&**key)))
    }
}

/// Hands over the entries of an object, one by one.
struct EntriesVisitor<F>(F);

impl<'de, F: FnMut(&str, &str)> de::Visitor<'de> for EntriesVisitor<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some((key, value)) = entries.next_entry::<Text<'de>, &'de RawValue>()? {
            (self.0)(&key.0, value.get());
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'a RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Err(de::Error::custom("invalid type: expected an object"));
        }
        serde_json::from_str::<Sound>(raw.get())
            .map_err(|error| de::Error::custom(without_position(&error)))?;
        Ok(Self(raw))
    }
}

/// serde's message without its position, which counts in the compacted text the client never saw.
pub(super) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
