//! The rooms of a node, as others use them: joining one, its presence, and news for it.

use std::{sync::Arc, time::Duration};

use tokio::sync::{oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    attach::{Attached, PendingJoin},
    broadcast::Broadcast,
    heartbeat::{beat, watch_roles},
    join::{JoinError, Joined, Position},
    mailbox::Joining,
    map::{RoomEntry, RoomMap},
    outlet::{Outlet, Recipient},
    presence::{PresenceLease, PresenceRooms},
    ring::Ring,
    shared::RoomServices,
    task::Room,
};
use crate::{
    bus::{Bus, ControlMessage},
    model::{DrawingId, Epoch, UserId},
    store::Store,
    telemetry::Metrics,
};

/// The rooms of one node. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    shared: Arc<RoomServices>,
    /// Where rooms run.
    tasks: TaskTracker,
}

/// The parts that rooms are made with.
#[allow(missing_debug_implementations, reason = "made once, and never shown")]
pub struct RoomParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The hint.
    pub bus: Arc<dyn Bus>,
    /// The connections that are present.
    pub presence: PresenceRooms,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The interval at which the heads are read.
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

impl Rooms {
    /// A node without rooms; starts the heartbeat.
    #[must_use]
    pub fn start(parts: RoomParts) -> Self {
        let RoomParts { store, bus, presence, metrics, heartbeat, most, epoch, tasks, stop } = parts;
        let (epoch, rooms) = (watch::Sender::new(epoch), RoomMap::new(most));
        let shared = Arc::new(RoomServices { store, bus, presence, metrics, heartbeat, epoch, stop, rooms });
        tasks.spawn(beat(shared.clone()));
        tasks.spawn(watch_roles(shared.clone()));
        Self { shared, tasks }
    }

    /// The epoch as of the last heartbeat.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        *self.shared.epoch.borrow()
    }

    /// Joins the room of a drawing, which is made if this node has none. The news of the room goes to `outlet`,
    /// for its reader number `number`; the role of `user` is looked after meanwhile. After joining, the caller
    /// reads once by itself: the outlet may have been offered something before.
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
        let member = Recipient { outlet, reader: number };
        loop {
            if self.shared.stop.is_cancelled() {
                return Err(JoinError::Draining);
            }
            let (reply, answer) = oneshot::channel();
            let (entry, _joining) = self.room(drawing)?;
            if !entry.mailbox.attach(PendingJoin::new(position, reply)) {
                // The room was just closing; the next one is new.
                self.shared.rooms.forget(drawing, &entry.mailbox);
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
    pub fn presence(&self, drawing: DrawingId) -> PresenceLease {
        let presence = self.shared.presence.of(drawing);
        self.shared.rooms.with(drawing, |room| {
            presence.set_broadcast(&room.broadcast);
            presence.set_readers(room.ring.reader_count());
        });
        presence
    }

    /// Brings news to the room it is about, if this node has it.
    pub fn apply(&self, message: &ControlMessage) {
        self.shared.presence.apply(message);
        let Some(room) = self.shared.rooms.get(message.drawing_id()) else { return };
        match message {
            ControlMessage::Role { user_id, role, .. } => room.audience.change_role(user_id, *role),
            ControlMessage::Deleted { .. } => {
                room.audience.dismiss();
                room.mailbox.delete();
            }
            ControlMessage::Grown { .. } => (),
        }
    }

    /// The room of a drawing, which is started if this node has none.
    fn room(&self, drawing: DrawingId) -> Result<(RoomEntry, Joining), JoinError> {
        let open = || {
            let (ring, stop) = (Arc::new(Ring::new(drawing)), self.shared.stop.child_token());
            let broadcast = Arc::new(Broadcast::new(&ring, &self.tasks, stop.clone()));
            let entry = RoomEntry { mailbox: Arc::default(), ring, broadcast, audience: Arc::default() };
            self.tasks.spawn(Room::run(self.shared.clone(), entry.clone(), stop.drop_guard()));
            entry
        };
        self.shared.rooms.join(drawing, open).ok_or_else(|| {
            self.shared.metrics.rooms_refused.increment(1);
            JoinError::Full
        })
    }
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").field("count", &self.shared.rooms.count()).finish_non_exhaustive()
    }
}
