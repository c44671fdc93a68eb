//! A reader's place in the ring, and what it finds there.
//!
//! A reader has no queue of its own: it is a cursor, and one that falls out of the ring is told so.

use std::sync::{Arc, atomic::Ordering};

use super::{Batch, Ring, Slot, State};
use crate::{
    model::{Branch, Revision, Role},
    room::audience::Seat,
    wire::{Frame, Item, News, ResetReason},
};

/// One reader's place in a room; leaving is dropping it.
#[derive(Debug)]
pub struct Reader {
    ring: Arc<Ring>,
    /// The log that it reads, as it was told.
    branch: Branch,
    /// The number of times that the log had been replaced when it joined.
    log: u64,
    /// The last revision that it has; it only grows.
    position: Revision,
    /// Number of the next item to read.
    cursor: u64,
    /// Its place in the audience, which it leaves with the room.
    seat: Option<Seat>,
}

/// The result of a read.
#[derive(Debug)]
pub enum Next {
    /// The next item.
    Item(Arc<Item>),
    /// Nothing new.
    Empty,
    /// The ring has moved past the reader.
    Lagged {
        /// `Lagged`, or why the log was replaced meanwhile.
        reason: ResetReason,
        /// The epoch, and how the log goes on from the one before.
        branch: Branch,
        /// The head.
        revision: Revision,
    },
}

impl Reader {
    /// A reader that has everything of log number `log` up to `position`, and reads item `cursor` next.
    pub(super) fn new(ring: Arc<Ring>, branch: Branch, log: u64, position: Revision, cursor: u64) -> Self {
        Self { ring, branch, log, position, cursor, seat: None }
    }

    /// Takes a whole batch, if it begins where the reader stands; else the reader has to read.
    pub fn take(&mut self, batch: &Batch) -> bool {
        let fits = batch.revisions.is_none_or(|(first, _)| first == self.position.next());
        // One that has missed the word of a new epoch must not get its ops.
        let own = self.branch.epoch;
        let knows = batch.epoch.is_none_or(|epoch| epoch == own) || batch.tells_after == Some(own);
        let is_here = self.cursor == batch.numbers.start && self.ring.layout() == batch.layout;
        let is_next = is_here && self.log == batch.log && fits && !batch.restarts && knows;
        if is_next {
            self.cursor = batch.end();
            self.position = batch.revisions.map_or(self.position, |(_, last)| last);
            self.branch = batch.branch.unwrap_or(self.branch);
        }
        is_next
    }

    /// The next item, if there is one.
    pub fn read(&mut self) -> Next {
        loop {
            let item = {
                let mut state = self.ring.lock();
                state.seal(self.ring.drawing_id);
                let offset = self.cursor.checked_sub(state.start);
                let offset = offset.and_then(|offset| usize::try_from(offset).ok());
                let slot = offset.and_then(|offset| state.slots.get(offset));
                if matches!(slot, Some(Slot::Superseded(_))) {
                    self.cursor += 1;
                    continue;
                }
                let item = slot.and_then(Slot::item).cloned();
                let is_lost = match item.as_ref().map(|item| &item.news) {
                    _ if offset.is_none() => true,
                    Some(News::Restarted { .. }) => false,
                    _ if self.log != state.replaced.0 || self.has_missed_epoch(&state) => true,
                    Some(News::Ops(frame)) => frame.first > self.position.next(),
                    _ => false,
                };
                if is_lost {
                    return self.lagged(&state);
                }
                let (Some(item), Some(offset)) = (item, offset) else { return Next::Empty };
                let (item, count) = state.gather(self.ring.drawing_id, offset, item);
                self.cursor += count;
                item
            };
            if let News::Head { branch, .. } = &item.news {
                self.branch = *branch;
            }
            let News::Ops(frame) = &item.news else { return Next::Item(item) };
            let before = self.position;
            self.position = before.max(frame.last);
            if frame.first == before.next() {
                return Next::Item(item);
            }
            // The reader has a part of this frame, or all of it.
            let rest: Vec<_> = frame.ops_after(before).collect();
            if let Some(frame) = Frame::seal(self.ring.drawing_id, frame.epoch, &rest) {
                return Next::Item(Arc::new(Item::new(self.ring.drawing_id, News::Ops(frame))));
            }
        }
    }

    /// Returns `true` if the log has gone on in a new epoch, and the head that told so has left the ring
    /// unread; or in several epochs, which are too many to be told one after the other.
    fn has_missed_epoch(&self, state: &State) -> bool {
        let Some((branch, _)) = state.position else { return false };
        let is_ahead = state.told_epoch_at.is_some_and(|at| self.cursor <= at);
        let will_be_told = is_ahead && branch.previous_epoch() == Some(self.branch.epoch);
        branch.epoch != self.branch.epoch && !will_be_told
    }

    fn lagged(&self, state: &State) -> Next {
        // Only a push moves the start for good, and every push brings a position.
        let Some((branch, revision)) = state.position else { return Next::Empty };
        let (log, why) = state.replaced;
        let reason = if log == self.log { ResetReason::Lagged } else { why };
        Next::Lagged { reason, branch, revision }
    }

    /// Where the reader stands.
    #[must_use]
    pub fn position(&self) -> (Branch, Revision) {
        (self.branch, self.position)
    }

    /// Notes the role that the reader's user was told, so that a later one is news.
    pub fn note_role(&self, role: Role) {
        if let Some(seat) = &self.seat {
            seat.note_role(role);
        }
    }

    pub(in crate::room) fn take_seat(&mut self, seat: Seat) {
        self.seat = Some(seat);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ring.readers.fetch_sub(1, Ordering::Relaxed);
    }
}
