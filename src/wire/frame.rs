//! A frame: some ops of one drawing, sealed as the JSON of one message.
//!
//! Its bytes on the wire are those of its item, once for each encoding.

use bytes::Bytes;

use crate::{
    limits,
    model::{CommittedOp, DrawingId, Epoch, Revision},
};

/// Contiguous ops, sealed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The log that they are of.
    pub epoch: Epoch,
    /// Revision of the first op.
    pub first: Revision,
    /// Revision of the last op.
    pub last: Revision,
    /// `{"type":"ops","drawing_id":…,"revision":…,"ops":[…]}`.
    pub json: Bytes,
    /// Where each op begins in `json`; the next one begins a comma later than it ends.
    starts: Box<[u32]>,
}

/// The end of a frame, after the last op.
const TAIL: &[u8] = b"]}";

impl Frame {
    /// Seals contiguous `ops`; `None` when there are none.
    #[must_use]
    pub fn seal(drawing: DrawingId, epoch: Epoch, ops: &[CommittedOp]) -> Option<Self> {
        let (first, last) = (ops.first()?.revision, ops.last()?.revision);
        let size: usize = ops.iter().map(|op| op.json.len() + 1).sum();
        let mut json = Vec::with_capacity(size + 128);
        json.extend_from_slice(b"{\"type\":\"ops\",\"drawing_id\":\"");
        json.extend_from_slice(drawing.to_string().as_bytes());
        json.extend_from_slice(format!("\",\"revision\":{last},\"ops\":[").as_bytes());
        let mut starts = Vec::with_capacity(ops.len());
        for (nth, op) in ops.iter().enumerate() {
            if nth > 0 {
                json.push(b',');
            }
            // Frames end soon after MAX_FRAME_BYTES.
            starts.push(u32::try_from(json.len()).unwrap_or(u32::MAX));
            json.extend_from_slice(&op.json);
        }
        json.extend_from_slice(TAIL);
        Some(Self { epoch, first, last, json: json.into(), starts: starts.into() })
    }

    /// The ops after `after`, sharing the bytes of the frame.
    pub fn ops_after(&self, after: Revision) -> impl Iterator<Item = CommittedOp> + '_ {
        let skip = usize::try_from(after.next().0.saturating_sub(self.first.0)).unwrap_or(usize::MAX);
        (self.first.0..).zip(0..self.starts.len()).skip(skip).map(|(revision, nth)| {
            let start = self.starts[nth] as usize;
            let end =
                self.starts.get(nth + 1).map_or(self.json.len() - TAIL.len(), |next| *next as usize - 1);
            CommittedOp { revision: Revision(revision), json: self.json.slice(start..end) }
        })
    }
}

/// Seals ops into frames of about `MAX_FRAME_BYTES`.
pub(crate) fn seal_all(drawing: DrawingId, epoch: Epoch, ops: &[CommittedOp]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (nth, op) in ops.iter().enumerate() {
        bytes += op.json.len();
        if bytes >= limits::MAX_FRAME_BYTES {
            frames.extend(Frame::seal(drawing, epoch, &ops[start..=nth]));
            (start, bytes) = (nth + 1, 0);
        }
    }
    frames.extend(Frame::seal(drawing, epoch, &ops[start..]));
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_come_out_of_a_frame_as_they_went_in() {
        let drawing: DrawingId = "0198f0a0-7d2c-7aaa-8bbb-0123456789ab".parse().unwrap();
        let ops: Vec<_> = (3..6)
            .map(|n| CommittedOp { revision: Revision(n), json: format!(r#"{{"revision":{n}}}"#).into() })
            .collect();
        let frame = Frame::seal(drawing, Epoch(uuid::Uuid::nil()), &ops).unwrap();
        let expected = format!(
            r#"{{"type":"ops","drawing_id":"{drawing}","revision":5,"ops":[{{"revision":3}},{{"revision":4}},{{"revision":5}}]}}"#
        );
        assert_eq!(frame.json, expected);
        for (after, from) in [(0, 0), (2, 0), (3, 1), (4, 2), (5, 3), (9, 3)] {
            assert_eq!(frame.ops_after(Revision(after)).collect::<Vec<_>>(), ops[from..], "after {after}");
        }
        assert!(Frame::seal(drawing, Epoch(uuid::Uuid::nil()), &[]).is_none());
    }
}
