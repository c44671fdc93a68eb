//! The rooms of this node that have presence.
//!
//! Owns one [`Presence`] a drawing and its lane, from the first use until nobody uses it any more: whoever uses one has a
//! [`PresenceLease`]. It never looks into a presence, but for whether somebody is there.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{Presence, lane};
use crate::{
    bus::{Bus, ControlMessage},
    limits,
    model::DrawingId,
    room::join::{JoinError, at_most},
    telemetry::Metrics,
};

/// The presences of one node. Cheap to clone.
#[derive(Clone)]
pub struct PresenceRooms {
    inner: Arc<Inner>,
}

struct Inner {
    bus: Arc<dyn Bus>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// Held for map operations only.
    rooms: Mutex<HashMap<DrawingId, Entry>>,
    /// The most of those that nobody follows.
    most: usize,
    metrics: Arc<Metrics>,
}

struct Entry {
    presence: Arc<Presence>,
    /// The number of leases.
    leases: Arc<AtomicUsize>,
    /// Ends the lane.
    end: CancellationToken,
    /// The time at which somebody last asked for it, or was seen to use it.
    used_at: Instant,
}

/// The use of a presence, which goes on at least until this is dropped.
#[derive(Debug)]
pub struct PresenceLease {
    presence: Arc<Presence>,
    /// The number of leases, this one included.
    leases: Arc<AtomicUsize>,
}

impl PresenceLease {
    fn new(presence: &Arc<Presence>, leases: &Arc<AtomicUsize>) -> Self {
        leases.fetch_add(1, Ordering::Relaxed);
        Self { presence: presence.clone(), leases: leases.clone() }
    }
}

impl Clone for PresenceLease {
    fn clone(&self) -> Self {
        Self::new(&self.presence, &self.leases)
    }
}

impl Drop for PresenceLease {
    fn drop(&mut self) {
        self.leases.fetch_sub(1, Ordering::Release);
    }
}

impl Deref for PresenceLease {
    type Target = Presence;
    fn deref(&self) -> &Presence {
        &self.presence
    }
}

impl PresenceRooms {
    /// A node without presence. A client that does not follow a drawing opens no room beyond `most`, unless
    /// that is 0.
    #[must_use]
    pub fn start(
        bus: &Arc<dyn Bus>,
        most: u32,
        metrics: &Arc<Metrics>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        let inner = Arc::new(Inner {
            bus: bus.clone(),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
            rooms: Mutex::default(),
            most: at_most(most),
            metrics: metrics.clone(),
        });
        tasks.spawn(sweep(inner.clone()));
        Self { inner }
    }

    /// The presence of a drawing, which lives at least as long as the lease.
    #[must_use]
    pub fn of(&self, drawing: DrawingId) -> PresenceLease {
        self.inner.lease(&mut self.inner.lock(), drawing)
    }

    /// The same, unless it would be one too many: for those who do not follow the drawing.
    ///
    /// # Errors
    /// [`JoinError::Full`].
    pub fn visit(&self, drawing: DrawingId) -> Result<PresenceLease, JoinError> {
        let mut rooms = self.inner.lock();
        if rooms.len() >= self.inner.most && !rooms.contains_key(&drawing) && !make_room(&mut rooms) {
            self.inner.metrics.rooms_refused.increment(1);
            return Err(JoinError::Full);
        }
        Ok(self.inner.lease(&mut rooms, drawing))
    }

    /// Learns how many readers a room has on this node, if anybody is present there.
    pub(in crate::room) fn note_readers(&self, drawing: DrawingId, readers: usize) {
        if let Some(entry) = self.inner.lock().get(&drawing) {
            entry.presence.set_readers(readers);
        }
    }

    /// Takes in a control message: who has no role any more is not present.
    pub fn apply(&self, message: &ControlMessage) {
        let rooms = self.inner.lock();
        let Some(Entry { presence, .. }) = rooms.get(&message.drawing_id()) else { return };
        match message {
            ControlMessage::Role { user_id, role: None, .. } => presence.leave_user(user_id),
            ControlMessage::Role { .. } | ControlMessage::Grown { .. } => (),
            ControlMessage::Deleted { .. } => presence.leave_all(),
        }
    }
}

impl Entry {
    /// Tells whether anybody has a lease or is present by it. Nobody can get the first lease while the map is locked.
    fn is_used(&self) -> bool {
        self.leases.load(Ordering::Acquire) > 0 || self.presence.has_local()
    }
}

/// Ends a presence that nobody uses, if there is one.
fn make_room(rooms: &mut HashMap<DrawingId, Entry>) -> bool {
    let unused = rooms.iter().find(|(_, entry)| !entry.is_used()).map(|(drawing, _)| *drawing);
    let ended = unused.and_then(|drawing| rooms.remove(&drawing));
    ended.map(|entry| entry.end.cancel()).is_some()
}

impl Inner {
    fn lease(&self, rooms: &mut HashMap<DrawingId, Entry>, drawing: DrawingId) -> PresenceLease {
        let entry = rooms.entry(drawing).or_insert_with(|| self.open(drawing));
        entry.used_at = Instant::now();
        PresenceLease::new(&entry.presence, &entry.leases)
    }

    fn open(&self, drawing: DrawingId) -> Entry {
        let presence = Arc::new(Presence::new(drawing, Uuid::new_v4()));
        let end = self.shutdown.child_token();
        let readers = presence.clone();
        let wake = move || readers.wake_readers();
        self.tasks.spawn(lane::run(presence.clone(), self.bus.clone(), wake, end.clone()));
        Entry { presence, leases: Arc::default(), end, used_at: Instant::now() }
    }

    /// Ends what nobody has used for `ROOM_LINGER`.
    fn close_idle(&self, now: Instant) {
        self.lock().retain(|_, entry| {
            if entry.is_used() {
                entry.used_at = now;
            }
            let is_used = now < entry.used_at + limits::ROOM_LINGER;
            if !is_used {
                entry.end.cancel();
            }
            is_used
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DrawingId, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(inner: Arc<Inner>) {
    let mut ticks = tokio::time::interval(limits::PRESENCE_TICK);
    loop {
        tokio::select! {
            () = inner.shutdown.cancelled() => return,
            _ = ticks.tick() => inner.close_idle(Instant::now()),
        }
    }
}

impl std::fmt::Debug for PresenceRooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresenceRooms").field("count", &self.inner.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bus::LocalBus, model::PresenceState, room::presence::Present};

    /// A node that keeps one presence.
    fn start(stop: &CancellationToken) -> PresenceRooms {
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
        PresenceRooms::start(&bus, 1, &Arc::new(Metrics::new()), &TaskTracker::new(), stop)
    }

    fn drawing(number: u128) -> DrawingId {
        DrawingId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn a_presence_goes_on_until_its_last_lease_is_dropped() {
        let stop = CancellationToken::new();
        let rooms = start(&stop);
        let lease = rooms.visit(drawing(1)).unwrap();
        let (clone, again) = (lease.clone(), rooms.of(drawing(1)));
        for lease in [lease, clone, again] {
            assert_eq!(rooms.visit(drawing(2)).unwrap_err(), JoinError::Full);
            drop(lease);
        }
        assert_eq!(rooms.visit(drawing(2)).unwrap().drawing_id(), drawing(2));
        stop.cancel();
    }

    #[tokio::test]
    async fn a_presence_goes_on_without_a_lease_while_somebody_is_there() {
        let stop = CancellationToken::new();
        let rooms = start(&stop);
        let connection_id = crate::model::ConnectionId(Uuid::nil());
        let who = Present { connection_id, user_id: "alice".parse().unwrap(), name: None };
        rooms.of(drawing(1)).publish(&who, PresenceState::parse("{}").unwrap()).unwrap();
        assert_eq!(rooms.visit(drawing(2)).unwrap_err(), JoinError::Full);
        rooms.of(drawing(1)).leave(connection_id);
        assert!(rooms.visit(drawing(2)).is_ok());
        stop.cancel();
    }
}
