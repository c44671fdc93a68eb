//! The readers of one drawing: where each of them is, and the frames they share.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Digest,
    ids::Ids,
    message::{Decoder, Message},
};

/// Frames kept of a room: readers in step share the newest, and few are ever further behind.
const RECENT_FRAMES: usize = 16;

/// The readers of one drawing.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The number of readers at each revision.
    positions: BTreeMap<u64, usize>,
    /// Decoded frames that all readers get, the newest first.
    recent: VecDeque<Decoded>,
    /// The last message that was for one reader alone.
    single: Option<Message>,
    /// The op at each revision.
    ids: Ids,
}

/// A frame and what it says.
#[derive(Debug)]
struct Decoded {
    is_deflated: bool,
    payload: Box<[u8]>,
    message: Message,
}

impl Room {
    /// The revision that all readers have; nothing without readers.
    pub(super) fn floor(&self) -> Option<u64> {
        self.positions.first_key_value().map(|(revision, _)| *revision)
    }

    /// The ops that its readers were told of.
    pub(super) fn digests(&self) -> Vec<Digest> {
        self.ids.digests()
    }

    /// A reader has joined at a revision.
    pub(super) fn enter(&mut self, revision: u64) {
        *self.positions.entry(revision).or_default() += 1;
    }

    /// A reader is gone. True when that moves the floor.
    pub(super) fn leave(&mut self, revision: u64) -> bool {
        let floor = self.floor();
        if let Some(readers) = self.positions.get_mut(&revision) {
            *readers -= 1;
            if *readers == 0 {
                self.positions.remove(&revision);
            }
        }
        self.floor() != floor
    }

    /// A reader has got further. True when that moves the floor.
    pub(super) fn advance(&mut self, from: u64, to: u64) -> bool {
        self.enter(to);
        self.leave(from)
    }

    /// The message in a frame; it is decoded once, however many readers get the same bytes.
    pub(super) fn decode(
        &mut self,
        decoder: &mut Decoder,
        payload: &[u8],
        is_deflated: bool,
    ) -> anyhow::Result<&Message> {
        let is_same = |known: &Decoded| known.is_deflated == is_deflated && *known.payload == *payload;
        if let Some(place) = self.recent.iter().position(is_same) {
            return Ok(&self.recent[place].message);
        }
        let message = decoder.decode(payload, is_deflated)?;
        if let Message::Ops(ops) = &message {
            self.ids.take(ops.first, &ops.ids)?;
        }
        if !message.is_shared() {
            // It would only push out what others are still to get.
            return Ok(self.single.insert(message));
        }
        self.recent.truncate(RECENT_FRAMES - 1);
        self.recent.push_front(Decoded { is_deflated, payload: payload.into(), message });
        Ok(&self.recent[0].message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::Encoding;

    #[test]
    fn the_floor_is_the_position_of_the_last_reader() {
        let mut room = Room::default();
        assert_eq!(room.floor(), None);
        room.enter(3);
        room.enter(3);
        assert!(!room.advance(3, 7));
        assert_eq!(room.floor(), Some(3));
        assert!(room.advance(3, 5));
        assert_eq!(room.floor(), Some(5));
        assert!(room.leave(5));
        assert_eq!(room.floor(), Some(7));
    }

    #[test]
    fn the_same_bytes_are_decoded_once() {
        let (mut room, mut decoder) = (Room::default(), Decoder::new(Encoding::Json));
        let head = br#"{"type":"head","revision":1}"#;
        for _ in 0..3 {
            assert_eq!(*room.decode(&mut decoder, head, false).unwrap(), Message::Head);
        }
        assert_eq!(room.recent.len(), 1);
        for nth in 0..100 {
            let payload = format!(r#"{{"type":"head","revision":{nth}}}"#);
            room.decode(&mut decoder, payload.as_bytes(), false).unwrap();
        }
        assert_eq!(room.recent.len(), RECENT_FRAMES);
    }
}
