//! The rooms of a node by drawing.
//!
//! Owns how many there may be, and how a room gets on the map and off it. It starts none.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    audience::Audience,
    broadcast::Broadcast,
    join::at_most,
    mailbox::{Joining, Mailbox},
    ring::Ring,
};
use crate::model::DrawingId;

/// Time for which nobody looks for an unused room after none was found.
const ROOM_EVICTION_PAUSE: Duration = Duration::from_millis(100);

/// Rooms without readers that end at once when a node is full and somebody wants another one.
const ROOM_EVICTIONS: usize = 64;

/// The rooms of one node.
pub(super) struct RoomMap {
    /// Held for map operations only.
    rooms: Mutex<HashMap<DrawingId, RoomEntry>>,
    /// Most of them.
    most: usize,
    /// When none of them was found unused.
    last_look: Mutex<Option<Instant>>,
}

/// One room, as others know it.
#[derive(Clone)]
pub(super) struct RoomEntry {
    /// The way into its task.
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) ring: Arc<Ring>,
    pub(super) broadcast: Arc<Broadcast>,
    /// The users who read there.
    pub(super) audience: Arc<Audience>,
}

impl RoomMap {
    /// No rooms, and at most so many; 0 for any number.
    pub(super) fn new(most: u32) -> Self {
        Self { rooms: Mutex::default(), most: at_most(most), last_look: Mutex::default() }
    }

    /// The room of a drawing, if this node has it.
    pub(super) fn get(&self, drawing: DrawingId) -> Option<RoomEntry> {
        self.lock().get(&drawing).cloned()
    }

    /// Does something with the room of a drawing, if this node has it, while it can neither end nor be followed by another.
    pub(super) fn with(&self, drawing: DrawingId, act: impl FnOnce(&RoomEntry)) {
        if let Some(room) = self.lock().get(&drawing) {
            act(room);
        }
    }

    /// All rooms.
    pub(super) fn all(&self) -> Vec<(DrawingId, RoomEntry)> {
        self.lock().iter().map(|(id, room)| (*id, room.clone())).collect()
    }

    /// The number of rooms.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The room of a drawing, for somebody who joins it; `open` makes it if this node has none. `None` when it would be one
    /// too many.
    pub(super) fn join(
        &self,
        drawing: DrawingId,
        open: impl FnOnce() -> RoomEntry,
    ) -> Option<(RoomEntry, Joining)> {
        let mut rooms = self.lock();
        if let Some(room) = rooms.get(&drawing) {
            return Some((room.clone(), room.mailbox.begin_joining()));
        }
        if rooms.len() >= self.most && !self.make_room(&mut rooms) {
            return None;
        }
        let entry = open();
        let joining = entry.mailbox.begin_joining();
        rooms.insert(drawing, entry.clone());
        Some((entry, joining))
    }

    /// Ends a room that waits in vain for somebody to come back, if there is one. Looked for now and then only: nobody can
    /// join anything meanwhile.
    fn make_room(&self, rooms: &mut HashMap<DrawingId, RoomEntry>) -> bool {
        let mut last_look = self.last_look.lock().unwrap_or_else(PoisonError::into_inner);
        if last_look.is_some_and(|at| at.elapsed() < ROOM_EVICTION_PAUSE) {
            return false;
        }
        // Whoever joins does so under the lock of the map.
        let is_unused = |room: &RoomEntry| room.ring.reader_count() == 0 && !room.mailbox.is_joined();
        let unused = rooms.iter().filter(|(_, room)| is_unused(room)).map(|(id, _)| *id);
        let unused: Vec<_> = unused.take(ROOM_EVICTIONS).collect();
        if unused.is_empty() {
            *last_look = Some(Instant::now());
        }
        for id in &unused {
            if let Some(room) = rooms.remove(id) {
                room.mailbox.close();
            }
        }
        !unused.is_empty()
    }

    /// Takes a room off the map, unless another one has its place by now.
    pub(super) fn forget(&self, drawing: DrawingId, room: &Arc<Mailbox>) {
        let mut rooms = self.lock();
        if rooms.get(&drawing).is_some_and(|present| Arc::ptr_eq(&present.mailbox, room)) {
            rooms.remove(&drawing);
        }
    }

    /// Ends a room for good, if `is_idle` still holds while nobody can join.
    pub(super) fn close_if(
        &self,
        drawing: DrawingId,
        mailbox: &Arc<Mailbox>,
        is_idle: impl FnOnce() -> bool,
    ) -> bool {
        let mut rooms = self.lock();
        // Another one may have its place.
        if rooms.get(&drawing).is_none_or(|room| !Arc::ptr_eq(&room.mailbox, mailbox)) {
            return true;
        }
        let is_closing = is_idle();
        if is_closing {
            rooms.remove(&drawing);
        }
        is_closing
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DrawingId, RoomEntry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
