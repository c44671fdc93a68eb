//! What a room has told its readers lately, and each reader's place in it.
//!
//! Owns the byte-bounded ring and the cursors into it. A reader has no queue of its own: it is a
//! cursor, and one that falls out of the ring is told so.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{Frame, audience::Seat};
use crate::{
    limits,
    model::{CommittedOp, DrawingId, Epoch, Revision, Role, UserId},
};

/// Bytes an item counts for beyond its JSON.
const ITEM_OVERHEAD_BYTES: usize = 128;

/// One thing that a room tells its readers. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Item {
    /// Ops, in order.
    Ops(Frame),
    /// The log stands here; sent every heartbeat.
    Head {
        /// The epoch.
        epoch: Epoch,
        /// The head.
        revision: Revision,
    },
    /// The role of one user changed.
    Role {
        /// Whose.
        user_id: UserId,
        /// What it is now.
        role: Option<Role>,
    },
    /// The log is another one than before; every reader must start anew.
    Restarted {
        /// Why.
        reason: ResetReason,
        /// The epoch now.
        epoch: Epoch,
        /// The head now.
        revision: Revision,
    },
    /// The drawing is deleted.
    Gone,
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
        }
    }
}

/// What the room's task and its readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) drawing_id: DrawingId,
    /// Held for a push or a look, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Number of the first item in the ring, counting all there ever were.
    start: u64,
    bytes: usize,
    /// Whom to wake when something is pushed.
    readers: HashMap<u64, Arc<Notify>>,
    next_reader: u64,
    /// Epoch and head as of the last push, for those who fell out of the ring.
    position: Option<(Epoch, Revision)>,
}

/// One reader's place in a room; leaving is dropping it.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    id: u64,
    /// Number of the next item to read.
    cursor: u64,
    /// Its place in the audience, which it leaves with the room.
    seat: Option<Seat>,
}

/// What a reader finds.
#[derive(Debug)]
pub enum Next {
    /// The next item.
    Item(Item),
    /// Nothing new; the reader's `Notify` fires when there is.
    Empty,
    /// The ring has moved past the reader.
    Lagged {
        /// The epoch.
        epoch: Epoch,
        /// The head.
        revision: Revision,
    },
}

impl Shared {
    pub(super) fn new(drawing_id: DrawingId) -> Self {
        Self { drawing_id, state: Mutex::default() }
    }

    /// Appends items, drops the oldest over the bound, and wakes the readers.
    pub(super) fn push(&self, items: impl IntoIterator<Item = Item>, epoch: Epoch, head: Revision) {
        let mut state = self.lock();
        state.position = Some((epoch, head));
        for item in items {
            state.bytes += item.size();
            state.items.push_back(item);
        }
        while state.bytes > limits::ROOM_RING_BYTES && state.items.len() > 1 {
            if let Some(item) = state.items.pop_front() {
                state.bytes -= item.size();
                state.start += 1;
            }
        }
        for reader in state.readers.values() {
            reader.notify_one();
        }
    }

    /// A reader of what is pushed from now on, woken through `wake`.
    pub(super) fn join(self: &Arc<Self>, wake: Arc<Notify>) -> Reader {
        let mut state = self.lock();
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(id, wake);
        let cursor = state.start + state.items.len() as u64;
        Reader { shared: self.clone(), id, cursor, seat: None }
    }

    pub(super) fn reader_count(&self) -> usize {
        self.lock().readers.len()
    }

    /// The ops in `(after, until]`, if the ring still has all of them.
    pub(super) fn ops_between(&self, after: Revision, until: Revision) -> Option<Vec<CommittedOp>> {
        let state = self.lock();
        let frames = state.items.iter().filter_map(|item| match item {
            Item::Ops(frame) => Some(frame),
            _ => None,
        });
        let mut ops = Vec::new();
        let mut position = after;
        for frame in frames {
            if frame.last <= position {
                continue;
            }
            if frame.first > position.next() {
                return None;
            }
            ops.extend(frame.ops_after(position).take_while(|op| op.revision <= until));
            position = ops.last().map_or(position, |op| op.revision);
            if position >= until {
                break;
            }
        }
        (position >= until).then_some(ops)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// The next item, if there is one.
    pub fn read(&mut self) -> Next {
        let state = self.shared.lock();
        let Some(offset) = self.cursor.checked_sub(state.start) else {
            // Only a push moves the start, and every push brings a position.
            let Some((epoch, revision)) = state.position else { return Next::Empty };
            return Next::Lagged { epoch, revision };
        };
        let item = usize::try_from(offset).ok().and_then(|offset| state.items.get(offset)).cloned();
        drop(state);
        match item {
            Some(item) => {
                self.cursor += 1;
                Next::Item(item)
            }
            None => Next::Empty,
        }
    }

    /// Notes the role that the reader's user was told, so that a later one is news.
    pub fn note_role(&self, role: Role) {
        if let Some(seat) = &self.seat {
            seat.note_role(role);
        }
    }

    pub(super) fn take_seat(&mut self, seat: Seat) {
        self.seat = Some(seat);
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.lock().readers.remove(&self.id);
    }
}

impl Item {
    fn size(&self) -> usize {
        match self {
            Self::Ops(frame) => frame.json.len() + ITEM_OVERHEAD_BYTES,
            _ => ITEM_OVERHEAD_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn shared() -> Arc<Shared> {
        Arc::new(Shared::new(DrawingId(Uuid::nil())))
    }

    fn push(shared: &Shared, revisions: std::ops::RangeInclusive<u64>, size: usize) {
        let last = Revision(*revisions.end());
        let ops: Vec<_> =
            revisions.map(|n| CommittedOp { revision: Revision(n), json: vec![b'x'; size].into() }).collect();
        let frame = Frame::seal(shared.drawing_id, &ops).unwrap();
        shared.push([Item::Ops(frame)], Epoch(Uuid::nil()), last);
    }

    #[test]
    fn a_reader_sees_each_item_once_from_where_it_joined() {
        let shared = shared();
        push(&shared, 1..=1, 10);
        let mut reader = shared.join(Arc::default());
        assert!(matches!(reader.read(), Next::Empty));
        push(&shared, 2..=3, 10);
        assert!(matches!(reader.read(), Next::Item(Item::Ops(frame)) if frame.last == Revision(3)));
        assert!(matches!(reader.read(), Next::Empty));
    }

    #[test]
    fn the_ring_is_bounded_by_bytes_and_a_slow_reader_is_told_where_the_log_stands() {
        let shared = shared();
        let mut reader = shared.join(Arc::default());
        let frames = 2 * limits::ROOM_RING_BYTES / 10_000;
        for revision in 1..=frames as u64 {
            push(&shared, revision..=revision, 10_000);
        }
        assert!(shared.lock().bytes <= limits::ROOM_RING_BYTES);
        assert!(matches!(reader.read(), Next::Lagged { revision, .. } if revision.0 == frames as u64));
    }

    #[test]
    fn ops_between_are_all_there_or_not_at_all() {
        let shared = shared();
        push(&shared, 3..=5, 10);
        push(&shared, 6..=6, 10);
        let revisions = |after, until| {
            let ops = shared.ops_between(Revision(after), Revision(until));
            ops.map(|ops| ops.iter().map(|op| op.revision.0).collect::<Vec<_>>())
        };
        assert_eq!(revisions(2, 6), Some(vec![3, 4, 5, 6]));
        assert_eq!(revisions(4, 5), Some(vec![5]));
        assert_eq!(revisions(6, 6), Some(vec![]));
        assert_eq!(revisions(1, 6), None);
        assert_eq!(revisions(5, 7), None);
    }
}
