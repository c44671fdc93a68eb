//! The messages between nodes, and their bytes on the wire.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    limits,
    model::{CommittedOp, DrawingId, Epoch, Revision, Role, UserId},
};

/// First byte of an encoded [`OpsMessage`]: the version of the encoding. A node ignores others.
const VERSION: u8 = 1;
/// Bytes before the first op: version, epoch, first and last revision, number of ops.
const HEADER_BYTES: usize = 1 + 16 + 8 + 8 + 4;

/// A range of one log that was committed. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsMessage {
    /// The drawing.
    pub drawing_id: DrawingId,
    /// The epoch in which the range was committed.
    pub epoch: Epoch,
    /// First revision of the range.
    pub first: Revision,
    /// Last revision of the range.
    pub last: Revision,
    /// Every op of the range in order, or none at all when they are too large for one message.
    pub ops: Vec<CommittedOp>,
}

impl OpsMessage {
    /// The message for contiguous `ops`; `None` when there are none.
    #[must_use]
    pub fn new(drawing_id: DrawingId, epoch: Epoch, ops: Vec<CommittedOp>) -> Option<Self> {
        let (first, last) = (ops.first()?.revision, ops.last()?.revision);
        let size = HEADER_BYTES + ops.iter().map(|op| 4 + op.json.len()).sum::<usize>();
        let ops = if size <= limits::MAX_BUS_MESSAGE_BYTES { ops } else { Vec::new() };
        Some(Self { drawing_id, epoch, first, last, ops })
    }

    /// The bytes on the wire; the drawing stands in the subject.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let size = HEADER_BYTES + self.ops.iter().map(|op| 4 + op.json.len()).sum::<usize>();
        let mut bytes = BytesMut::with_capacity(size);
        bytes.put_u8(VERSION);
        bytes.put_slice(self.epoch.0.as_bytes());
        bytes.put_u64(self.first.0);
        bytes.put_u64(self.last.0);
        // Both counts are bounded by MAX_BUS_MESSAGE_BYTES.
        bytes.put_u32(u32::try_from(self.ops.len()).unwrap_or(u32::MAX));
        for op in &self.ops {
            bytes.put_u32(u32::try_from(op.json.len()).unwrap_or(u32::MAX));
            bytes.put_slice(&op.json);
        }
        bytes.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote, sharing its bytes; `None` when it is damaged or of
    /// another version.
    #[must_use]
    pub fn decode(drawing_id: DrawingId, mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < HEADER_BYTES || bytes.get_u8() != VERSION {
            return None;
        }
        let mut epoch = [0; 16];
        bytes.copy_to_slice(&mut epoch);
        let (first, last) = (Revision(bytes.get_u64()), Revision(bytes.get_u64()));
        let count = usize::try_from(bytes.get_u32()).ok()?;
        let span = last.0.checked_sub(first.0)?.checked_add(1)?;
        if first.0 == 0 || (count > 0 && count as u64 != span) {
            return None;
        }
        let mut ops = Vec::with_capacity(count.min(bytes.len() / 4));
        for revision in (first.0..).take(count) {
            let size = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
            if bytes.len() < size {
                return None;
            }
            ops.push(CommittedOp { revision: Revision(revision), json: bytes.split_to(size) });
        }
        bytes.is_empty().then_some(Self {
            drawing_id,
            epoch: Epoch(Uuid::from_bytes(epoch)),
            first,
            last,
            ops,
        })
    }
}

/// News about a drawing, its ops aside; JSON on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ControlMessage {
    /// A user's role changed, or was taken away.
    Role {
        /// The drawing.
        drawing_id: DrawingId,
        /// The user.
        user_id: UserId,
        /// The role from now on.
        role: Option<Role>,
    },
    /// The drawing was deleted.
    Deleted {
        /// The drawing.
        drawing_id: DrawingId,
    },
    /// Its log has grown so much that a snapshot may be due.
    Grown {
        /// The drawing.
        drawing_id: DrawingId,
    },
}

impl ControlMessage {
    /// The drawing it is about.
    #[must_use]
    pub fn drawing_id(&self) -> DrawingId {
        match self {
            Self::Role { drawing_id, .. } | Self::Deleted { drawing_id } | Self::Grown { drawing_id } => {
                *drawing_id
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sizes: &[usize]) -> OpsMessage {
        let ops = (5..)
            .zip(sizes)
            .map(|(revision, size)| CommittedOp {
                revision: Revision(revision),
                json: vec![b'x'; *size].into(),
            })
            .collect();
        OpsMessage::new(DrawingId(Uuid::new_v4()), Epoch(Uuid::new_v4()), ops).unwrap()
    }

    #[test]
    fn a_message_survives_the_wire() {
        let sent = message(&[10, 0, 300]);
        assert_eq!(OpsMessage::decode(sent.drawing_id, sent.encode()), Some(sent));
    }

    #[test]
    fn a_range_too_large_for_one_message_travels_as_its_revisions() {
        let sent = message(&[limits::MAX_BUS_MESSAGE_BYTES, 1]);
        assert!(sent.ops.is_empty());
        let received = OpsMessage::decode(sent.drawing_id, sent.encode()).unwrap();
        assert_eq!((received.first, received.last), (Revision(5), Revision(6)));
    }

    #[test]
    fn damage_is_refused_wherever_it_is() {
        let sent = message(&[10, 20]);
        let bytes = sent.encode();
        for end in 0..bytes.len() {
            assert_eq!(OpsMessage::decode(sent.drawing_id, bytes.slice(..end)), None, "cut at {end}");
        }
        let mut other_version = bytes.to_vec();
        other_version[0] = VERSION + 1;
        assert_eq!(OpsMessage::decode(sent.drawing_id, other_version.into()), None);
    }
}
