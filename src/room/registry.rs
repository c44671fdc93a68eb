//! Which rooms this node has; joining them, their heartbeat, and the look at their readers' roles.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    attach::{Attached, Waiting},
    audience::Audience,
    broadcast::{Broadcast, Member, Outlet},
    mailbox::{Heartbeat, Joining, Mailbox},
    presence::{Presence, PresenceRooms},
    ring::{Reader, Ring},
    task::Room,
};
use crate::{
    bus::{Bus, ControlMessage},
    limits,
    model::{Branch, DrawingId, Epoch, Revision, UserId},
    store::{self, Store, StoreError},
    telemetry::Metrics,
    wire::ResetReason,
};

/// The rooms of one node. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) presence: PresenceRooms,
    pub(super) metrics: Arc<Metrics>,
    pub(super) heartbeat: Duration,
    /// The epoch as of the last heartbeat.
    epoch: watch::Sender<Epoch>,
    tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// The rooms of this node. Held for map operations only.
    rooms: Mutex<HashMap<DrawingId, Entry>>,
    /// Most of them.
    most: usize,
    /// When none of them was found unused.
    last_look: Mutex<Option<Instant>>,
}

/// What rooms are made with.
#[allow(missing_debug_implementations, reason = "made once, and never shown")]
pub struct RoomParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The hint.
    pub bus: Arc<dyn Bus>,
    /// Who is present.
    pub presence: PresenceRooms,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// How often the heads are read.
    pub heartbeat: Duration,
    /// Rooms that there may be at once; 0 for any number.
    pub most: u32,
    /// The epoch when the server started.
    pub epoch: Epoch,
    /// Where rooms run.
    pub tasks: TaskTracker,
    /// Ends all rooms.
    pub stop: CancellationToken,
}

/// One room, as the registry knows it.
#[derive(Clone)]
pub(super) struct Entry {
    /// The way into its task.
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) ring: Arc<Ring>,
    pub(super) broadcast: Arc<Broadcast>,
    /// Who reads there.
    pub(super) audience: Arc<Audience>,
}

/// Where a reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last revision it has; `None` to start from the head.
    pub after: Option<Revision>,
    /// The epoch of that revision, if it knows.
    pub epoch: Option<Epoch>,
}

/// What became of a wish to join.
#[derive(Debug)]
pub enum Joined<R = Reader> {
    /// The reader follows the drawing.
    Live {
        /// The epoch of the log, and how it goes on from the one before.
        branch: Branch,
        /// The reader has everything up to here.
        revision: Revision,
        /// Its place in the room.
        reader: R,
    },
    /// The reader must go to REST first.
    Reset {
        /// Why.
        reason: ResetReason,
        /// The epoch of the log, and how it goes on from the one before.
        branch: Branch,
        /// The head of the log.
        revision: Revision,
    },
}

/// Why a room could not be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// There is no such drawing.
    #[error("the drawing does not exist")]
    NoDrawing,
    /// The store does not answer.
    #[error("the store is unavailable")]
    Unavailable,
    /// The node is stopping.
    #[error("the server is stopping")]
    Draining,
    /// The node follows as many drawings as it may.
    #[error("this node follows as many drawings as it may")]
    Full,
}

impl<R> Joined<R> {
    pub(super) fn map<S>(self, into: impl FnOnce(R) -> S) -> Joined<S> {
        match self {
            Self::Live { branch, revision, reader } => {
                Joined::Live { branch, revision, reader: into(reader) }
            }
            Self::Reset { reason, branch, revision } => Joined::Reset { reason, branch, revision },
        }
    }
}

impl Rooms {
    /// A node without rooms; starts the heartbeat.
    #[must_use]
    pub fn start(parts: RoomParts) -> Self {
        let RoomParts { store, bus, presence, metrics, heartbeat, most, epoch, tasks, stop } = parts;
        let (epoch, rooms) = (watch::Sender::new(epoch), Mutex::default());
        let (most, last_look) = (at_most(most), Mutex::default());
        let inner = Arc::new(Inner {
            store,
            bus,
            presence,
            metrics,
            heartbeat,
            epoch,
            tasks,
            stop,
            rooms,
            most,
            last_look,
        });
        inner.tasks.spawn(beat(inner.clone()));
        inner.tasks.spawn(watch_roles(inner.clone()));
        Self { inner }
    }

    /// The epoch as of the last heartbeat.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        *self.inner.epoch.borrow()
    }

    /// Joins the room of a drawing, which is made if this node has none. What the room tells goes to
    /// `outlet`, for its reader number `number`; the role of `user` is looked after meanwhile. Whoever
    /// joined reads once by themselves: the outlet may have been offered something before.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub async fn join(
        &self,
        drawing: DrawingId,
        user: &UserId,
        position: Position,
        outlet: Arc<dyn Outlet>,
        number: u64,
    ) -> Result<Joined, JoinError> {
        let member = Member { outlet, reader: number };
        loop {
            if self.inner.stop.is_cancelled() {
                return Err(JoinError::Draining);
            }
            let (reply, answer) = oneshot::channel();
            let (entry, _joining) = self.inner.room(drawing)?;
            if !entry.mailbox.attach(Waiting::new(position, reply)) {
                // The room was just closing; the next one is new.
                self.inner.forget(drawing, &entry.mailbox);
                continue;
            }
            match answer.await {
                Ok(Ok(Attached::Live { branch, revision, mut reader })) => {
                    reader.take_seat(entry.audience.join(user, member.clone()));
                    entry.broadcast.join(member);
                    return Ok(Joined::Live { branch, revision, reader });
                }
                Ok(Ok(Attached::Reset { reason, branch, revision })) => {
                    return Ok(Joined::Reset { reason, branch, revision });
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => (),
            }
        }
    }

    /// The presence of a drawing, and from now on its flushes reach the readers of the room.
    #[must_use]
    pub fn presence(&self, drawing: DrawingId) -> Arc<Presence> {
        let presence = self.inner.presence.of(drawing);
        if let Some(room) = self.inner.lock().get(&drawing) {
            presence.tell(&room.broadcast);
            presence.set_readers(room.ring.reader_count());
        }
        presence
    }

    /// Brings news to the room it is about, if this node has it.
    pub fn apply(&self, message: &ControlMessage) {
        self.inner.presence.apply(message);
        let room = self.inner.lock().get(&message.drawing_id()).cloned();
        let Some(room) = room else { return };
        match message {
            ControlMessage::Role { user_id, role, .. } => room.audience.tell_role(user_id, *role),
            ControlMessage::Deleted { .. } => {
                room.audience.dismiss();
                room.mailbox.delete();
            }
            ControlMessage::Grown { .. } => (),
        }
    }
}

impl Inner {
    fn room(self: &Arc<Self>, drawing: DrawingId) -> Result<(Entry, Joining), JoinError> {
        let mut rooms = self.lock();
        if let Some(room) = rooms.get(&drawing) {
            return Ok((room.clone(), room.mailbox.begin_joining()));
        }
        if rooms.len() >= self.most && !self.make_room(&mut rooms) {
            self.metrics.rooms_refused.increment(1);
            return Err(JoinError::Full);
        }
        let (ring, stop) = (Arc::new(Ring::new(drawing)), self.stop.child_token());
        let broadcast = Arc::new(Broadcast::new(&ring, &self.tasks, stop.clone()));
        let entry = Entry { mailbox: Arc::default(), ring, broadcast, audience: Arc::default() };
        let joining = entry.mailbox.begin_joining();
        rooms.insert(drawing, entry.clone());
        self.tasks.spawn(Room::run(self.clone(), entry.clone(), stop.drop_guard()));
        Ok((entry, joining))
    }

    /// Ends a room that waits in vain for somebody to come back, if there is one. Looked for now and then only: nobody can
    /// join anything meanwhile.
    fn make_room(&self, rooms: &mut HashMap<DrawingId, Entry>) -> bool {
        let mut last_look = self.last_look.lock().unwrap_or_else(PoisonError::into_inner);
        if last_look.is_some_and(|at| at.elapsed() < limits::ROOM_EVICTION_PAUSE) {
            return false;
        }
        // Whoever joins does so under the lock of the map.
        let is_unused = |room: &Entry| room.ring.reader_count() == 0 && !room.mailbox.is_joined();
        let unused = rooms.iter().filter(|(_, room)| is_unused(room)).map(|(id, _)| *id);
        let unused: Vec<_> = unused.take(limits::ROOM_EVICTIONS).collect();
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
    fn forget(&self, drawing: DrawingId, room: &Arc<Mailbox>) {
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

    fn lock(&self) -> MutexGuard<'_, HashMap<DrawingId, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many as an operator says, for whom 0 is any number.
pub(super) fn at_most(most: u32) -> usize {
    if most == 0 { usize::MAX } else { usize::try_from(most).unwrap_or(usize::MAX) }
}

/// Reads the heads of all rooms in one query at every beat, and tells each its own.
async fn beat(inner: Arc<Inner>) {
    let mut beats = tokio::time::interval(inner.heartbeat);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = inner.stop.cancelled() => return,
            _ = beats.tick() => (),
        }
        let rooms: Vec<_> = inner.lock().iter().map(|(id, room)| (*id, room.clone())).collect();
        inner.metrics.rooms.set(f64::from(u32::try_from(rooms.len()).unwrap_or(u32::MAX)));
        let ids: Vec<_> = rooms.iter().map(|(id, _)| *id).collect();
        match store::call(inner.store.heads(&ids)).await {
            Ok(heads) => {
                inner.epoch.send_if_modified(|epoch| std::mem::replace(epoch, heads.epoch) != heads.epoch);
                for (id, room) in &rooms {
                    inner.presence.note_readers(*id, room.ring.reader_count());
                    room.mailbox.beat(Heartbeat { epoch: heads.epoch, head: heads.head(*id) });
                }
            }
            Err(error) => crate::store::log_store_failure!(error, "the heads could not be read"),
        }
    }
}

/// Looks after the roles of all readers: the safety net under control messages.
async fn watch_roles(inner: Arc<Inner>) {
    let mut ticks = tokio::time::interval(limits::ROLE_CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = inner.stop.cancelled() => return,
            _ = ticks.tick() => (),
        }
        let rooms: Vec<_> = inner.lock().iter().map(|(id, room)| (*id, room.clone())).collect();
        match store::call(check_roles(&inner, &rooms)).await {
            Ok(()) => (),
            Err(error) => crate::store::log_store_failure!(error, "the roles of readers could not be read"),
        }
    }
}

/// Reads the roles of all readers in one query, and tells the rooms what no message told them.
async fn check_roles(inner: &Inner, rooms: &[(DrawingId, Entry)]) -> Result<(), StoreError> {
    let users_of = |(id, room): &(DrawingId, Entry)| {
        room.audience.users().into_iter().map(|user| (*id, user)).collect::<Vec<_>>()
    };
    let pairs: Vec<(DrawingId, UserId)> = rooms.iter().flat_map(users_of).collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let mut roles = HashMap::new();
    for some in pairs.chunks(limits::ROLE_CHECK_BATCH) {
        roles.extend(inner.store.roles(some).await?);
    }
    let asked: HashSet<_> = pairs.into_iter().collect();
    for (drawing_id, room) in rooms {
        for user_id in room.audience.users() {
            let role = roles.get(&(*drawing_id, user_id.clone())).copied();
            // A user who sat down after the query is for the next beat.
            let was_asked = role.is_some() || asked.contains(&(*drawing_id, user_id.clone()));
            if was_asked && room.audience.learn_role(&user_id, role) {
                if role.is_none() {
                    let (drawing_id, user_id) = (*drawing_id, user_id.clone());
                    inner.presence.apply(&ControlMessage::Role { drawing_id, user_id, role });
                }
                room.audience.tell_role(&user_id, role);
            }
        }
    }
    Ok(())
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").field("count", &self.inner.lock().len()).finish_non_exhaustive()
    }
}
