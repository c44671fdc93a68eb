//! The rooms of a node without a server around them, and readers that note what they are told.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use loadtest::services::TempFolder;
use revcast::{
    bus::{Bus, OpsMessage},
    limits,
    model::{CheckedOp, CommittedOp, DrawingId, Revision, Role},
    room::{Batch, Joined, Next, Outlet, Position, Reader, RoomParts, Rooms, presence::PresenceRooms},
    store::{AppendOutcome, Log, OpOutcome, PoolOptions, SqliteStore},
    telemetry::Metrics,
    wire::{Item, News, ResetReason},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{CountingStore, FickleBus, eventually};
use crate::store::contract::{by_alice, new_drawing, op, ops, user, with_body};

/// Rooms on a store that counts and a bus that fails on demand.
pub struct Node {
    pub store: Arc<CountingStore>,
    pub bus: Arc<FickleBus>,
    pub rooms: Rooms,
    /// The database.
    pub url: String,
    stop: CancellationToken,
    _folder: TempFolder,
}

impl Node {
    pub async fn start(heartbeat: Duration) -> Self {
        let folder = TempFolder::new("rooms").unwrap();
        let url = format!("sqlite://{}/revcast.db", folder.path().display());
        let options = PoolOptions { max_connections: 4, start_timeout: limits::STORE_START_TIMEOUT };
        let sqlite = SqliteStore::connect(&url, options).await.unwrap();
        let (store, bus) = (Arc::new(CountingStore::new(Arc::new(sqlite))), Arc::new(FickleBus::default()));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let epoch = store.meta().await.unwrap().epoch;
        let as_bus: Arc<dyn Bus> = bus.clone();
        let metrics = Arc::new(Metrics::new());
        let rooms = Rooms::start(RoomParts {
            store: store.clone(),
            bus: as_bus.clone(),
            presence: PresenceRooms::start(&as_bus, 0, &metrics, &tasks, &stop),
            metrics,
            heartbeat,
            most: 0,
            epoch,
            tasks,
            stop: stop.clone(),
        });
        // The first beat comes at once: it must not meet the rooms of a test that wants none.
        eventually("the first beat", || async { (store.heads() > 0).then_some(()) }).await;
        Self { store, bus, rooms, url, stop, _folder: folder }
    }

    /// A drawing of alice's with so many ops.
    pub async fn drawing_with(&self, count: usize) -> DrawingId {
        let drawing = new_drawing(&*self.store).await;
        for start in (0..count).step_by(500) {
            self.append(drawing, (count - start).min(500)).await;
        }
        drawing
    }

    /// Commits ops and publishes them, as a committer does; returns the head.
    pub async fn commit(&self, drawing: DrawingId, count: usize) -> u64 {
        let message = self.append(drawing, count).await;
        let head = message.last.0;
        self.bus.publish_ops(message);
        head
    }

    /// Commits ops of which no bus tells; returns what it would have told.
    pub async fn append(&self, drawing: DrawingId, count: usize) -> OpsMessage {
        self.append_these(drawing, &ops(count)).await
    }

    /// Commits an op of so many bytes, of which no bus tells.
    pub async fn append_large(&self, drawing: DrawingId, size: usize) -> OpsMessage {
        let op = op();
        let body =
            format!(r#"{{"op_id":"{}","type":"custom.test","data":"{}"}}"#, op.op_id, "x".repeat(size));
        self.append_these(drawing, &[with_body(&op, &body)]).await
    }

    async fn append_these(&self, drawing: DrawingId, ops: &[CheckedOp]) -> OpsMessage {
        let appended = self.store.append(&[by_alice(drawing, ops)], 1).await.unwrap();
        let [AppendOutcome::Accepted { ops: outcomes, .. }] = &appended.outcomes[..] else {
            panic!("{appended:?}");
        };
        let commit = |(outcome, op): (&OpOutcome, &CheckedOp)| {
            CommittedOp::new(outcome.revision(), &user("alice"), 1, &op.body)
        };
        let committed = outcomes.iter().zip(ops).map(commit).collect();
        OpsMessage::new(drawing, appended.epoch, committed).unwrap()
    }

    /// Publishes what was appended.
    pub fn publish_all(&self, messages: Vec<OpsMessage>) {
        messages.into_iter().for_each(|message| self.bus.publish_ops(message));
    }

    /// Joins a room as a new reader of alice's.
    pub async fn join(&self, drawing: DrawingId, after: Option<u64>) -> Arc<Listener> {
        let listener = Arc::new(Listener::default());
        self.join_with(drawing, after, &listener).await.unwrap();
        listener
    }

    /// Joins a room with this reader; tells why it must go to REST, if it must.
    pub async fn join_with(
        &self,
        drawing: DrawingId,
        after: Option<u64>,
        listener: &Arc<Listener>,
    ) -> Result<u64, ResetReason> {
        let position = Position { after: after.map(Revision), epoch: None };
        match self.rooms.join(drawing, &user("alice"), position, listener.clone(), 0).await.unwrap() {
            Joined::Live { revision, reader, .. } => {
                listener.begin(reader);
                Ok(revision.0)
            }
            Joined::Reset { reason, .. } => Err(reason),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A reader that notes what it is told.
#[derive(Debug, Default)]
pub struct Listener(Mutex<Heard>);

/// The messages that a reader was told.
#[derive(Debug, Default)]
pub struct Heard {
    reader: Option<Reader>,
    /// The revisions of all ops, in the order in which they came.
    pub revisions: Vec<u64>,
    /// All that was told, as it is shared.
    pub items: Vec<Arc<Item>>,
    /// The head that was told last.
    pub head: Option<u64>,
    /// The reason why it ended.
    pub reset: Option<ResetReason>,
    pub roles: Vec<Option<Role>>,
}

impl Listener {
    /// While this is held, the reader is busy.
    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the reader has the ops from `first` to `last`, each once and in order.
    pub async fn expect(&self, first: u64, last: u64) {
        let is_there = || async { (self.heard().revisions.last() >= Some(&last)).then_some(()) };
        eventually("the reader has all ops", is_there).await;
        assert_eq!(self.heard().revisions, (first..=last).collect::<Vec<_>>());
    }

    /// The same of a reader that had to wait for nothing.
    pub fn expect_now(&self, first: u64, last: u64) {
        assert_eq!(self.heard().revisions, (first..=last).collect::<Vec<_>>());
    }

    fn begin(&self, reader: Reader) {
        let mut heard = self.heard();
        heard.reader = Some(reader);
        heard.read_all();
    }
}

impl Outlet for Listener {
    fn offer(&self, _: u64, batch: &Batch) -> bool {
        let mut heard = self.heard();
        let Some(reader) = &mut heard.reader else { return heard.reset.is_none() };
        if reader.take(batch) {
            batch.items.iter().for_each(|item| heard.note(item));
        } else {
            heard.read_all();
        }
        true
    }

    fn offer_presence(&self, _: u64) {}

    fn change_role(&self, _: u64, role: Option<Role>) {
        self.heard().roles.push(role);
    }
}

impl Heard {
    fn read_all(&mut self) {
        while let Some(reader) = &mut self.reader {
            match reader.read() {
                Next::Item(item) => self.note(&item),
                Next::Empty => return,
                Next::Lagged { reason, .. } => self.end(reason),
            }
        }
    }

    fn note(&mut self, item: &Arc<Item>) {
        self.items.push(item.clone());
        match &item.news {
            News::Ops(frame) => {
                self.revisions.extend(frame.ops_after(Revision(0)).map(|op| op.revision.0));
            }
            News::Head { revision, .. } => self.head = Some(revision.0),
            News::Restarted { reason, .. } => self.end(*reason),
        }
    }

    fn end(&mut self, reason: ResetReason) {
        self.reader = None;
        self.reset = Some(reason);
    }

    /// The number of frames of ops.
    pub fn frames(&self) -> usize {
        self.items.iter().filter(|item| matches!(item.news, News::Ops(_))).count()
    }
}
