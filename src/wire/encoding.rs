//! The encodings of the protocol, and the bytes of one message in each of them.

use std::{fmt, sync::OnceLock};

use bytes::Bytes;

/// The form in which a connection gets its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON in text frames.
    Json,
    /// The same, compressed where that is worth it.
    JsonDeflate,
    /// MessagePack in binary frames.
    MessagePack,
    /// The same, compressed where that is worth it.
    MessagePackDeflate,
    /// JSON as server-sent events.
    EventStream,
}

impl Encoding {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Json, Self::JsonDeflate, Self::MessagePack, Self::MessagePackDeflate, Self::EventStream];

    pub(crate) fn of_socket(is_message_pack: bool, is_compressed: bool) -> Self {
        match (is_message_pack, is_compressed) {
            (false, false) => Self::Json,
            (false, true) => Self::JsonDeflate,
            (true, false) => Self::MessagePack,
            (true, true) => Self::MessagePackDeflate,
        }
    }

    pub(crate) fn is_message_pack(self) -> bool {
        matches!(self, Self::MessagePack | Self::MessagePackDeflate)
    }

    pub(crate) fn is_compressed(self) -> bool {
        matches!(self, Self::JsonDeflate | Self::MessagePackDeflate)
    }
}

/// The bytes of one message in each encoding, made once, when the first reader needs them. Those who
/// ask meanwhile wait for the one who makes them.
#[derive(Default)]
pub struct Encodings([OnceLock<Bytes>; Encoding::ALL.len()]);

impl Encodings {
    /// The bytes in one encoding; `make` runs if nobody has made them.
    pub fn get(&self, encoding: Encoding, make: impl FnOnce() -> Bytes) -> &Bytes {
        self.0[encoding as usize].get_or_init(make)
    }
}

impl Clone for Encodings {
    /// Empty: they are made again when they are needed.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Encodings {
    /// Always: they say nothing that the message does not.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Encodings {}

impl fmt::Debug for Encodings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.0.iter().filter(|slot| slot.get().is_some()).count();
        write!(f, "Encodings({made} made)")
    }
}
