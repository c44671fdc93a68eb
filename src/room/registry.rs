//! Which rooms this node has; joining them, and their heartbeat.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Frame, Reader, ResetReason,
    audience::Audience,
    task::{Attached, Command, Room},
};
use crate::{
    bus::{Bus, ControlMessage},
    limits,
    model::{CommittedOp, DrawingId, Epoch, Revision, UserId},
    store::{ReadRange, Store, StoreError},
    telemetry::Metrics,
};

/// The rooms of one node. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) metrics: Arc<Metrics>,
    tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
    /// The rooms of this node. Held for map operations only.
    rooms: Mutex<HashMap<DrawingId, Entry>>,
}

/// One room, as the registry knows it.
#[derive(Clone)]
struct Entry {
    /// The way into its task.
    commands: mpsc::Sender<Command>,
    /// Who reads there.
    audience: Arc<Audience>,
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
pub enum Joined {
    /// The reader follows the drawing.
    Live {
        /// The epoch of the log.
        epoch: Epoch,
        /// The reader has everything up to here.
        revision: Revision,
        /// What it lacks between there and its place in the room, in order.
        backlog: Vec<Frame>,
        /// Its place in the room.
        reader: Reader,
    },
    /// The reader must go to REST first.
    Reset {
        /// Why.
        reason: ResetReason,
        /// The epoch of the log.
        epoch: Epoch,
        /// The head of the log.
        revision: Revision,
    },
}

/// What a reader lacks when it joins.
enum Backlog {
    /// This, in order.
    Frames(Vec<Frame>),
    /// More than a room remembers for anybody.
    TooLarge,
    /// The log was replaced while it was read; it stands there now.
    OtherEpoch(Epoch, Revision),
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
}

impl Rooms {
    /// A node without rooms; starts the heartbeat.
    #[must_use]
    pub fn start(
        store: &Arc<dyn Store>,
        bus: &Arc<dyn Bus>,
        metrics: &Arc<Metrics>,
        heartbeat: Duration,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        let inner = Arc::new(Inner {
            store: store.clone(),
            bus: bus.clone(),
            metrics: metrics.clone(),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
            rooms: Mutex::default(),
        });
        tasks.spawn(beat(inner.clone(), heartbeat));
        tasks.spawn(watch_roles(inner.clone()));
        Self { inner }
    }

    /// Joins the room of a drawing, which is made if this node has none. `wake` fires whenever the
    /// reader has something to read. The role of `user` is looked after while it reads.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub async fn join(
        &self,
        drawing: DrawingId,
        user: &UserId,
        position: Position,
        wake: &Arc<Notify>,
    ) -> Result<Joined, JoinError> {
        loop {
            if self.inner.shutdown.is_cancelled() {
                return Err(JoinError::Draining);
            }
            let (reply, answer) = oneshot::channel();
            let command = Command::Attach { position, wake: wake.clone(), reply };
            let Entry { commands, audience } = self.inner.room(drawing);
            if commands.send(command).await.is_err() {
                // The room was just closing; the next one is new.
                self.inner.forget(drawing, &commands);
                continue;
            }
            match answer.await {
                Ok(Ok(Attached::Live { epoch, revision, until, mut reader })) => {
                    reader.take_seat(audience.join(user));
                    return Ok(match self.inner.backlog(&reader, drawing, epoch, revision, until).await? {
                        Backlog::Frames(backlog) => Joined::Live { epoch, revision, backlog, reader },
                        Backlog::TooLarge => {
                            Joined::Reset { reason: ResetReason::TooFarBehind, epoch, revision: until }
                        }
                        Backlog::OtherEpoch(epoch, head) => {
                            Joined::Reset { reason: ResetReason::EpochChanged, epoch, revision: head }
                        }
                    });
                }
                Ok(Ok(Attached::Reset { reason, epoch, revision })) => {
                    return Ok(Joined::Reset { reason, epoch, revision });
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => (),
            }
        }
    }

    /// Passes a control message to the room it is about, if this node has it.
    pub fn apply(&self, message: ControlMessage) {
        let room = self.inner.lock().get(&message.drawing_id()).cloned();
        if let Some(Entry { commands, .. }) = room {
            // A room that is closing has no readers who would want to know, and one with a full queue
            // learns of it when the roles of its readers are read.
            let _ = commands.try_send(Command::Control(message));
        }
    }
}

impl Inner {
    fn room(self: &Arc<Self>, drawing: DrawingId) -> Entry {
        let mut rooms = self.lock();
        if let Some(room) = rooms.get(&drawing) {
            return room.clone();
        }
        let (sender, commands) = mpsc::channel(limits::ROOM_COMMANDS);
        let entry = Entry { commands: sender, audience: Arc::default() };
        rooms.insert(drawing, entry.clone());
        self.tasks.spawn(Room::run(self.clone(), drawing, commands));
        entry
    }

    /// Takes a room off the map, unless another one has its place by now.
    fn forget(&self, drawing: DrawingId, room: &mpsc::Sender<Command>) {
        let mut rooms = self.lock();
        if rooms.get(&drawing).is_some_and(|present| present.commands.same_channel(room)) {
            rooms.remove(&drawing);
        }
    }

    /// Ends a room for good, if `is_idle` still holds while nobody can join.
    pub(super) fn close_if(&self, drawing: DrawingId, is_idle: impl FnOnce() -> bool) -> bool {
        let mut rooms = self.lock();
        let is_closing = is_idle();
        if is_closing {
            rooms.remove(&drawing);
        }
        is_closing
    }

    /// The ops in `(after, until]`, sealed: from the ring, or else from the store.
    async fn backlog(
        &self,
        reader: &Reader,
        drawing: DrawingId,
        epoch: Epoch,
        after: Revision,
        until: Revision,
    ) -> Result<Backlog, JoinError> {
        let mut frames = Vec::new();
        if let Some(ops) = reader.shared().ops_between(after, until) {
            frames.extend(seal_all(drawing, &ops));
            return Ok(Backlog::Frames(frames));
        }
        let mut bytes = 0;
        let mut position = after;
        while position < until {
            let range = ReadRange {
                drawing_id: drawing,
                after: position,
                until: Some(until),
                limit: limits::MAX_PAGE_OPS,
                max_bytes: limits::MAX_PAGE_BYTES,
            };
            let page = tokio::time::timeout(limits::STORE_CALL_TIMEOUT, self.store.read(&range)).await;
            let page = page.map_err(|_| JoinError::Unavailable)?.map_err(|error| unavailable(&error))?;
            let page = page.ok_or(JoinError::NoDrawing)?;
            if page.epoch != epoch {
                return Ok(Backlog::OtherEpoch(page.epoch, page.head));
            }
            let ops = page.ops;
            let ops = ops.into_iter().map(|op| op.commit()).collect::<Result<Vec<_>, _>>();
            let ops = ops.map_err(|error| unavailable(&error))?;
            // The log holds what the room delivered; if not, the reader is better off anew.
            position = ops.last().ok_or(JoinError::Unavailable)?.revision;
            bytes += ops.iter().map(|op| op.json.len()).sum::<usize>();
            if bytes > limits::ROOM_RING_BYTES {
                return Ok(Backlog::TooLarge);
            }
            frames.extend(seal_all(drawing, &ops));
        }
        Ok(Backlog::Frames(frames))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DrawingId, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs why the store did not answer a room.
pub(super) fn unavailable(error: &StoreError) -> JoinError {
    tracing::warn!(%error, "a room could not read the store");
    JoinError::Unavailable
}

/// Seals ops into frames of about `MAX_FRAME_BYTES`.
pub(super) fn seal_all(drawing: DrawingId, ops: &[CommittedOp]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (nth, op) in ops.iter().enumerate() {
        bytes += op.json.len();
        if bytes >= limits::MAX_FRAME_BYTES {
            frames.extend(Frame::seal(drawing, &ops[start..=nth]));
            (start, bytes) = (nth + 1, 0);
        }
    }
    frames.extend(Frame::seal(drawing, &ops[start..]));
    frames
}

/// Reads the heads of all rooms in one query at every beat, and tells each its own.
async fn beat(inner: Arc<Inner>, period: Duration) {
    let mut beats = tokio::time::interval(period);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = inner.shutdown.cancelled() => return,
            _ = beats.tick() => (),
        }
        let rooms: Vec<_> = inner.lock().iter().map(|(id, room)| (*id, room.clone())).collect();
        inner.metrics.rooms.set(f64::from(u32::try_from(rooms.len()).unwrap_or(u32::MAX)));
        if rooms.is_empty() {
            continue;
        }
        let ids: Vec<_> = rooms.iter().map(|(id, _)| *id).collect();
        match tokio::time::timeout(limits::STORE_CALL_TIMEOUT, inner.store.heads(&ids)).await {
            Ok(Ok(heads)) => {
                for (id, room) in &rooms {
                    let head = heads.revisions.get(id).copied();
                    // A room with a full queue is busy and gets the next beat.
                    let _ = room.commands.try_send(Command::Heartbeat { epoch: heads.epoch, head });
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the heads could not be read"),
            Err(_) => tracing::warn!("the heads could not be read in time"),
        }
    }
}

/// Looks after the roles of all readers: the safety net under control messages, as tight as the
/// cache of roles.
async fn watch_roles(inner: Arc<Inner>) {
    let mut ticks = tokio::time::interval(limits::ROLE_CACHE_TTL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = inner.shutdown.cancelled() => return,
            _ = ticks.tick() => (),
        }
        let rooms: Vec<_> = inner.lock().iter().map(|(id, room)| (*id, room.clone())).collect();
        match tokio::time::timeout(limits::STORE_CALL_TIMEOUT, check_roles(&inner, &rooms)).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => tracing::warn!(%error, "the roles of readers could not be read"),
            Err(_) => tracing::warn!("the roles of readers could not be read in time"),
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
    let roles = inner.store.roles(&pairs).await?;
    let asked: HashSet<_> = pairs.into_iter().collect();
    for (drawing_id, room) in rooms {
        for user_id in room.audience.users() {
            let role = roles.get(&(*drawing_id, user_id.clone())).copied();
            // A user who sat down after the query is for the next beat.
            let was_asked = role.is_some() || asked.contains(&(*drawing_id, user_id.clone()));
            if was_asked && room.audience.learn_role(&user_id, role) {
                let message = ControlMessage::Role { drawing_id: *drawing_id, user_id, role };
                // A room with a full queue is busy and gets the next beat.
                let _ = room.commands.try_send(Command::Control(message));
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
