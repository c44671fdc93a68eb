//! The recent news of a room.
//!
//! Owns the byte-bounded ring; a reader's place in it is a cursor (`reader.rs`), not a queue.

mod batch;
mod reader;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::{
    limits,
    model::{Branch, CommittedOp, DrawingId, Revision},
    wire::{Frame, Item, News, ResetReason, seal_all},
};

pub use batch::Batch;
pub use reader::{Next, Reader};

/// Frames so joined that a room keeps for the next reader at the same place.
/// At the bound, the oldest is forgotten.
const GATHERED_FRAMES: usize = 4;

/// Small frames that are joined for a reader that catches up, in bytes.
/// At the bound, the next frame begins.
const GATHERED_BYTES: usize = 64 * 1024;

/// Number of the first item of a ring; what is read back from the store comes before it.
const FIRST_ITEM: u64 = 1 << 40;

/// The news that a room's task, its broadcasters and its readers share.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) drawing_id: DrawingId,
    /// Held for a push or a look, never across an await. Whoever holds the lock of a connection may take
    /// this one, never the other way round.
    state: Mutex<State>,
    readers: AtomicUsize,
    /// The number of times that places of items that were gone have been given again.
    layout: AtomicU64,
}

#[derive(Debug)]
struct State {
    slots: VecDeque<Slot>,
    /// Number of the first item in the ring, counting all there ever were.
    start: u64,
    bytes: usize,
    /// Ops that are not in a frame yet: whoever looks first seals them, so that what comes while all
    /// broadcasters are busy shares a frame.
    unsealed: Vec<CommittedOp>,
    unsealed_bytes: usize,
    /// Number of the item that told the present epoch, for as long as the ring has it; `None` as well where no reader has to
    /// be told.
    told_epoch_at: Option<u64>,
    /// Where the log stood at the last push, for those who fell out of the ring.
    position: Option<(Branch, Revision)>,
    /// Small frames that were joined for those who catch up, the latest last: number of the first item,
    /// how many, and what they are together.
    gathered: VecDeque<(u64, u64, Arc<Item>)>,
    /// The number of times that the log was replaced, and the reason of the last one.
    replaced: (u64, ResetReason),
}

/// A place in a ring.
#[derive(Clone, Debug)]
enum Slot {
    Held(Arc<Item>),
    /// A head was told then, and a later one has taken its place: a quiet room would keep nothing else.
    Superseded(Instant),
}

impl Slot {
    fn item(&self) -> Option<&Arc<Item>> {
        match self {
            Self::Held(item) => Some(item),
            Self::Superseded(_) => None,
        }
    }

    fn pushed_at(&self) -> Instant {
        match self {
            Self::Held(item) => item.told_at,
            Self::Superseded(told_at) => *told_at,
        }
    }
}

/// Places for which a ring keeps room while they are empty.
const ROOM_AT_REST: usize = 8;

impl Ring {
    pub(super) fn new(drawing_id: DrawingId) -> Self {
        let state = State {
            slots: VecDeque::new(),
            start: FIRST_ITEM,
            bytes: 0,
            unsealed: Vec::new(),
            unsealed_bytes: 0,
            told_epoch_at: None,
            position: None,
            gathered: VecDeque::new(),
            replaced: (0, ResetReason::EpochChanged),
        };
        Self { drawing_id, state: Mutex::new(state), readers: AtomicUsize::new(0), layout: AtomicU64::new(0) }
    }

    /// Appends ops, which reach up to `head`, for whoever looks next.
    pub(super) fn append(&self, ops: Vec<CommittedOp>, branch: Branch, head: Revision) {
        let mut state = self.lock();
        state.position = Some((branch, head));
        state.unsealed_bytes += ops.iter().map(|op| op.json.len()).sum::<usize>();
        state.unsealed.extend(ops);
        if state.unsealed_bytes >= limits::MAX_FRAME_BYTES {
            state.seal(self.drawing_id);
        }
    }

    /// Appends other news.
    pub(super) fn push(&self, news: News, branch: Branch, head: Revision) {
        let mut state = self.lock();
        state.seal(self.drawing_id);
        let before = state.position.replace((branch, head));
        if before.is_some_and(|(before, _)| before.epoch != branch.epoch) {
            state.told_epoch_at = Some(state.end());
        }
        if let News::Restarted { reason, .. } = news {
            // Nobody can go on in a log that is gone.
            while state.drop_first() {}
            state.gathered.clear();
            state.replaced = (state.replaced.0 + 1, reason);
        }
        state.push(Item::new(self.drawing_id, news));
    }

    /// Puts frames before the first one, as far as the bound allows. They must end where it begins, or at
    /// `head`, the last revision that was told; what does not would leave a hole and is not taken.
    pub(super) fn prepend(&self, frames: Vec<Frame>, head: Revision) {
        let mut state = self.lock();
        state.seal(self.drawing_id);
        // The places of items that are gone are given again: what was made of those that had them is void.
        self.layout.fetch_add(1, Ordering::Release);
        state.gathered.clear();
        // A reader that does not know yet that the log is another one learns it by the number of its log.
        let is_restart = |item: &Arc<Item>| matches!(item.news, News::Restarted { .. });
        if let Some(nth) = state.slots.iter().position(|slot| slot.item().is_some_and(is_restart)) {
            for _ in 0..=nth {
                state.drop_first();
            }
        }
        for frame in frames.into_iter().rev() {
            let is_adjacent = state.first_frame().unwrap_or(head.next()) == frame.last.next();
            let item = Item::new(self.drawing_id, News::Ops(frame));
            if !is_adjacent || state.bytes + item.size() > limits::ROOM_RING_BYTES {
                return;
            }
            state.bytes += item.size();
            state.slots.push_front(Slot::Held(Arc::new(item)));
            state.start -= 1;
        }
    }

    /// Drops what was told too long ago.
    pub(super) fn forget_before(&self, then: Instant) {
        let mut state = self.lock();
        while state.slots.front().is_some_and(|slot| slot.pushed_at() < then) {
            state.drop_first();
        }
        let most = (2 * state.slots.len()).max(ROOM_AT_REST);
        if state.slots.capacity() > 2 * most {
            state.slots.shrink_to(most);
        }
    }

    /// A reader of what comes after revision `after`; `None` when the ring does not hold all of that
    /// up to `head`, the last revision that was told.
    pub(super) fn join(self: &Arc<Self>, branch: Branch, after: Revision, head: Revision) -> Option<Reader> {
        let mut state = self.lock();
        // A reader begins at the end of a frame.
        state.seal(self.drawing_id);
        let log = state.replaced.0;
        let cursor = if after < head {
            let mut frames = state.items().filter_map(|(number, item)| match &item.news {
                News::Ops(frame) => Some((number, frame)),
                _ => None,
            });
            let (number, frame) = frames.find(|(_, frame)| frame.last > after)?;
            if frame.first > after.next() {
                return None;
            }
            number
        } else {
            state.end()
        };
        drop(state);
        self.readers.fetch_add(1, Ordering::Relaxed);
        Some(Reader::new(self.clone(), branch, log, after, cursor))
    }

    pub(super) fn reader_count(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    /// The first revision that the ring holds.
    pub(super) fn first_revision(&self) -> Option<Revision> {
        let mut state = self.lock();
        state.seal(self.drawing_id);
        state.first_frame()
    }

    /// Number of the item that will be pushed next.
    pub(super) fn end(&self) -> u64 {
        self.lock().end()
    }

    /// Returns `true` if there is news from item `from` on.
    pub(super) fn has_after(&self, from: u64) -> bool {
        let state = self.lock();
        state.end() > from || !state.unsealed.is_empty()
    }

    /// The news from item `from` on, as far as the ring still has it.
    pub(super) fn batch(&self, from: u64) -> Batch {
        let mut state = self.lock();
        state.seal(self.drawing_id);
        let first = from.max(state.start);
        let skip = usize::try_from(first - state.start).unwrap_or(usize::MAX);
        let items = state.slots.iter().skip(skip).filter_map(Slot::item).cloned().collect();
        let mut batch = Batch::new(items, first..state.end().max(first), state.replaced.0, self.layout());
        if let Some((branch, _)) = state.position {
            let tells = state.told_epoch_at.is_some_and(|at| (first..batch.end()).contains(&at));
            batch.note_epoch(branch.epoch, branch.previous_epoch().filter(|_| tells));
        }
        batch
    }

    fn layout(&self) -> u64 {
        self.layout.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self) -> u64 {
        self.start + self.slots.len() as u64
    }

    /// The news in the ring, with its numbers.
    fn items(&self) -> impl Iterator<Item = (u64, &Arc<Item>)> {
        (self.start..).zip(&self.slots).filter_map(|(number, slot)| Some((number, slot.item()?)))
    }

    fn push(&mut self, item: Item) {
        if matches!(item.news, News::Head { .. }) {
            self.supersede_head();
        }
        self.bytes += item.size();
        self.slots.push_back(Slot::Held(Arc::new(item)));
        while self.bytes > limits::ROOM_RING_BYTES && self.slots.len() > 1 {
            self.drop_first();
        }
    }

    /// Forgets the last item if it is a head: whoever has not read it will read a later one. One that tells of another
    /// epoch stays.
    fn supersede_head(&mut self) {
        let last = self.end().saturating_sub(1);
        let tells_epoch = self.told_epoch_at == Some(last);
        let Some(slot) = self.slots.back_mut().filter(|_| !tells_epoch) else { return };
        if let Slot::Held(item) = slot
            && matches!(item.news, News::Head { .. })
        {
            self.bytes -= item.size();
            *slot = Slot::Superseded(item.told_at);
        }
    }

    /// Puts the ops at hand into frames.
    fn seal(&mut self, drawing: DrawingId) {
        let (Some((branch, _)), false) = (self.position, self.unsealed.is_empty()) else { return };
        self.unsealed_bytes = 0;
        for frame in seal_all(drawing, branch.epoch, &std::mem::take(&mut self.unsealed)) {
            self.push(Item::new(drawing, News::Ops(frame)));
        }
    }

    /// The item at `offset`, and how many it takes the place of: small frames that follow each other are
    /// one for those who have some to catch up on, and so are the heads between them, but for one that tells another epoch.
    fn gather(&mut self, drawing: DrawingId, offset: usize, item: Arc<Item>) -> (Arc<Item>, u64) {
        let (mut ops, mut bytes, mut count, mut frames) = (Vec::<Frame>::new(), 0, 1, 0);
        for (slot, nth) in self.slots.iter().skip(offset).zip(1..) {
            let Some(item) = slot.item() else { continue };
            let is_same = |epoch| ops.first().is_none_or(|first| first.epoch == epoch);
            match &item.news {
                News::Ops(frame) if !is_same(frame.epoch) => break,
                News::Ops(frame) if bytes + frame.json.len() <= GATHERED_BYTES || frames == 0 => {
                    (bytes, count, frames) = (bytes + frame.json.len(), nth, frames + 1);
                    ops.push(frame.clone());
                }
                // The one that tells the epoch is told, even to whom the ops before it came from the store in that epoch.
                News::Head { .. } if self.told_epoch_at == Some(self.start + offset as u64 + nth - 1) => {
                    break;
                }
                News::Head { branch, .. } if frames > 0 && is_same(branch.epoch) => (),
                _ => break,
            }
        }
        let (Some(first), true) = (ops.first(), frames > 1) else { return (item, 1) };
        let number = self.start + offset as u64;
        if let Some((.., made)) = self.gathered.iter().find(|made| (made.0, made.1) == (number, count)) {
            return (made.clone(), count);
        }
        let (epoch, after) = (first.epoch, Revision(first.first.0.saturating_sub(1)));
        let ops: Vec<_> = ops.iter().flat_map(|frame| frame.ops_after(after)).collect();
        let Some(frame) = Frame::seal(drawing, epoch, &ops) else { return (item, 1) };
        let made = Arc::new(Item::new(drawing, News::Ops(frame)));
        self.gathered.push_back((number, count, made.clone()));
        if self.gathered.len() > GATHERED_FRAMES {
            self.gathered.pop_front();
        }
        (made, count)
    }

    fn drop_first(&mut self) -> bool {
        let Some(slot) = self.slots.pop_front() else { return false };
        self.bytes -= slot.item().map_or(0, |item| item.size());
        self.told_epoch_at = self.told_epoch_at.filter(|at| *at != self.start);
        self.start += 1;
        true
    }

    fn first_frame(&self) -> Option<Revision> {
        self.items().find_map(|(_, item)| match &item.news {
            News::Ops(frame) => Some(frame.first),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
