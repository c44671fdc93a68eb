//! The items that a room tells its readers, in bytes that all of them share.

use std::time::Instant;

use bytes::Bytes;

use super::{Encoding, Encodings, Frame, ResetReason, ServerMessage, encode};
use crate::model::{Branch, DrawingId, Revision};

/// Bytes an item counts for beyond its JSON.
const ITEM_OVERHEAD_BYTES: usize = 256;

/// One thing that a room tells its readers.
#[derive(Debug)]
pub struct Item {
    /// The drawing of the room.
    pub drawing_id: DrawingId,
    /// Its content.
    pub news: News,
    /// When it was told.
    pub(crate) told_at: Instant,
    /// Its bytes on the wire.
    encodings: Encodings,
}

/// The content of an item.
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

impl Item {
    pub(crate) fn new(drawing_id: DrawingId, news: News) -> Self {
        Self { drawing_id, news, encodings: Encodings::default(), told_at: Instant::now() }
    }

    /// Its bytes in one encoding, made once for all readers.
    pub fn bytes(&self, encoding: Encoding) -> &Bytes {
        self.encodings.get(encoding, || match &self.news {
            News::Ops(frame) => encode::sealed("ops", Some((frame.epoch, frame.last)), &frame.json, encoding),
            News::Head { branch, revision } => {
                encode::message(&ServerMessage::head(self.drawing_id, *branch, *revision), encoding)
            }
            News::Restarted { reason, branch, revision } => {
                encode::message(&ServerMessage::reset(self.drawing_id, *reason, *branch, *revision), encoding)
            }
        })
    }

    /// The bytes that the item counts for in the ring. Its encodings come on top: the JSON of a socket is as
    /// large, the others are smaller.
    pub(crate) fn size(&self) -> usize {
        match &self.news {
            News::Ops(frame) => frame.json.len() + ITEM_OVERHEAD_BYTES,
            _ => ITEM_OVERHEAD_BYTES,
        }
    }
}
