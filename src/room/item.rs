//! What a room tells its readers, and the encodings that readers share.

use std::{fmt, sync::OnceLock, time::Instant};

use bytes::Bytes;

use super::Frame;
use crate::model::{Branch, DrawingId, Revision};

/// Encodings that one item may have.
pub const ENCODING_SLOTS: usize = 5;
/// Bytes an item counts for beyond its JSON.
const ITEM_OVERHEAD_BYTES: usize = 256;

/// One thing that a room tells its readers.
#[derive(Debug)]
pub struct Item {
    /// The drawing of the room.
    pub drawing_id: DrawingId,
    /// What is told.
    pub news: News,
    /// Its bytes on the wire.
    pub encodings: Encodings,
    /// When it was told.
    pub(super) told_at: Instant,
}

/// What is told.
#[derive(Clone, Debug)]
pub enum News {
    /// Ops, in order.
    Ops(Frame),
    /// The log stands here; told every heartbeat.
    Head {
        /// The epoch, and how the log goes on from the one before.
        branch: Branch,
        /// The head.
        revision: Revision,
    },
    /// The log is another one than before; every reader must start anew.
    Restarted {
        /// Why.
        reason: ResetReason,
        /// The epoch now, and how the log goes on from the one before.
        branch: Branch,
        /// The head now.
        revision: Revision,
    },
}

/// Why a reader is sent to REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// It read too slowly.
    Lagged,
    /// It asked for more ops than a socket fills up.
    TooFarBehind,
    /// Its position is of another epoch.
    EpochChanged,
    /// Its position is ahead of the head.
    RevisionAhead,
    /// What comes next is missing in the log, or cannot be read.
    LogDamaged,
}

impl ResetReason {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lagged => "lagged",
            Self::TooFarBehind => "too_far_behind",
            Self::EpochChanged => "epoch_changed",
            Self::RevisionAhead => "revision_ahead",
            Self::LogDamaged => "log_damaged",
        }
    }
}

impl Item {
    pub(super) fn new(drawing_id: DrawingId, news: News) -> Self {
        Self { drawing_id, news, encodings: Encodings::default(), told_at: Instant::now() }
    }

    /// What the item counts for in the ring. Its encodings come on top: the JSON of a socket is as large,
    /// the others are smaller.
    pub(super) fn size(&self) -> usize {
        match &self.news {
            News::Ops(frame) => frame.json.len() + ITEM_OVERHEAD_BYTES,
            _ => ITEM_OVERHEAD_BYTES,
        }
    }
}

/// The bytes of one message in each encoding, made once, when the first reader needs them. Those who
/// ask meanwhile wait for the one who makes them.
#[derive(Default)]
pub struct Encodings([OnceLock<Bytes>; ENCODING_SLOTS]);

impl Encodings {
    /// The bytes in encoding `slot`, below `ENCODING_SLOTS`; `make` runs if nobody has made them.
    pub fn get(&self, slot: usize, make: impl FnOnce() -> Bytes) -> &Bytes {
        self.0[slot].get_or_init(make)
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
