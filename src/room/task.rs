//! The one task that owns a room.
//!
//! It listens to the bus, to the store and to those who join, and does what the room's [`LogState`] says. Only one read of
//! the store is under way for the room, and everyone who waits shares it.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::{
    JoinError,
    attach::{ReadPurpose, Waitlist},
    log_state::{Announcement, LogState, NextRead, PageOutcome, PendingAnnouncement, Progress, committed},
    mailbox::{Heartbeat, Mail, OpenMailbox},
    map::RoomEntry,
    ring::Ring,
    shared::RoomServices,
};
use crate::{
    bus::{ControlMessage, Delivery, OpsMessage, Subscription},
    limits,
    model::{DrawingId, Epoch, Revision},
    store::{LogPage, ReadRange, StoreError, call},
    trace,
    wire::seal_all,
};

/// Ops that a room reads at once, to close a hole or to fill up those who join.
/// At the bound, another read follows; whoever joins and lacks more than two reads bring is told `reset
/// {too_far_behind}`.
const ROOM_READ_OPS: u32 = 2_000;

/// Age of what a room told its readers, looked at with each heartbeat.
/// At the bound, the oldest is forgotten; readers that still need it are told `reset {lagged}`.
const RING_MAX_AGE: Duration = Duration::from_secs(60);

type Read = BoxFuture<'static, Result<Option<LogPage>, StoreError>>;
type Renewal = BoxFuture<'static, Subscription<OpsMessage>>;

pub(super) struct Room {
    shared: Arc<RoomServices>,
    entry: RoomEntry,
    state: LogState,
    /// The read under way, if any, and what it is for.
    read: Option<(ReadPurpose, Read)>,
    /// A new subscription on its way, because the present one has missed something.
    renewal: Option<Renewal>,
    /// Readers that wait for a place.
    waitlist: Waitlist,
    /// Set when the drawing is gone: the room ends.
    is_over: bool,
    /// Ends the broadcasters with the room.
    _broadcasters: DropGuard,
}

impl Room {
    /// Runs the room until nobody needs it.
    pub(super) async fn run(shared: Arc<RoomServices>, entry: RoomEntry, broadcasters: DropGuard) {
        let drawing = entry.ring.drawing_id;
        let mailbox = entry.mailbox.clone();
        let _open = OpenMailbox(&mailbox);
        // Live before the first read of the head: what is committed after that read is heard.
        let stop = shared.stop.clone();
        let mut bus = tokio::select! {
            bus = shared.bus.subscribe_ops(drawing) => bus,
            () = stop.cancelled() => return,
        };
        let mut room = Self::new(shared, entry, broadcasters);
        let mut idle_since = Instant::now();
        while !room.is_over {
            room.attach_waiting();
            room.start_read_if_due();
            let read_at = room.next_read_at(Instant::now());
            tokio::select! {
                () = stop.cancelled() => return,
                mail = mailbox.next() => {
                    if mailbox.is_closed() {
                        return;
                    }
                    room.on_mail(mail);
                }
                Some(delivery) = bus.next() => room.on_bus(delivery, &mut bus),
                (purpose, outcome) = poll_read(&mut room.read) => room.on_read(purpose, outcome),
                renewed = poll_renewal(&mut room.renewal) => {
                    room.renewal = None;
                    bus = renewed;
                }
                () = sleep_until(read_at) => (),
                () = tokio::time::sleep_until(idle_since + limits::ROOM_LINGER) => {
                    let is_idle = || mailbox.is_empty() && room.is_unused();
                    if room.shared.rooms.close_if(drawing, &mailbox, is_idle) {
                        return;
                    }
                }
            }
            room.announce();
            if !room.is_unused() || idle_since.elapsed() >= limits::ROOM_LINGER {
                idle_since = Instant::now();
            }
        }
        room.shared.rooms.close_if(drawing, &mailbox, || true);
    }

    fn new(shared: Arc<RoomServices>, entry: RoomEntry, broadcasters: DropGuard) -> Self {
        Self {
            shared,
            entry,
            state: LogState::default(),
            read: None,
            renewal: None,
            waitlist: Waitlist::default(),
            is_over: false,
            _broadcasters: broadcasters,
        }
    }

    fn is_unused(&self) -> bool {
        self.ring().reader_count() == 0 && self.waitlist.is_empty()
    }

    fn ring(&self) -> &Arc<Ring> {
        &self.entry.ring
    }

    fn drawing_id(&self) -> DrawingId {
        self.ring().drawing_id
    }

    // --- What happens -----------------------------------------------------------------------------

    fn on_mail(&mut self, mail: Mail) {
        let Mail { waiting, heartbeat, is_deleted } = mail;
        self.waitlist.extend(waiting);
        match heartbeat {
            _ if is_deleted => self.end(),
            Some(Heartbeat { head: None, .. }) => self.end(),
            Some(Heartbeat { epoch, head: Some(head) }) => self.on_heartbeat(epoch, head),
            None => (),
        }
    }

    fn on_heartbeat(&mut self, epoch: Epoch, head: Revision) {
        let (is_connected, now) = (self.shared.bus.is_connected(), Instant::now());
        if self.state.finds_bus_dead(is_connected, self.renewal.is_some(), now) {
            let (bus, drawing) = (self.shared.bus.clone(), self.drawing_id());
            self.shared.metrics.renewals.increment(1);
            self.renewal = Some(Box::pin(async move { bus.subscribe_ops(drawing).await }));
        }
        if let Some(then) = std::time::Instant::now().checked_sub(RING_MAX_AGE) {
            self.ring().forget_before(then);
        }
        self.state.on_heartbeat(epoch, head, is_connected, now);
    }

    fn on_bus(&mut self, delivery: Delivery<OpsMessage>, bus: &mut Subscription<OpsMessage>) {
        self.take_in(delivery);
        // Messages that have come meanwhile join the same frame.
        for _ in 0..limits::SUBSCRIPTION_MESSAGES {
            match bus.next().now_or_never() {
                Some(Some(delivery)) => self.take_in(delivery),
                _ => break,
            }
        }
        self.state.deliver(Instant::now());
    }

    fn take_in(&mut self, delivery: Delivery<OpsMessage>) {
        if let Delivery::Message(message) = &delivery {
            let (drawing, first, last) = (message.drawing_id, message.first.0, message.last.0);
            tracing::debug!(node = trace::node(), %drawing, first, last, "received");
        }
        self.state.on_delivery(delivery);
    }

    fn on_read(&mut self, purpose: ReadPurpose, outcome: Result<Option<LogPage>, StoreError>) {
        self.read = None;
        match (outcome, purpose) {
            (Ok(Some(page)), ReadPurpose::Follow { after }) => self.on_page(page, after),
            (Ok(Some(page)), ReadPurpose::Fill) => self.on_fill(page),
            (Ok(None), _) => self.end(),
            (Err(StoreError::Damaged { revision, .. }), purpose) => {
                self.state.on_damage(revision, purpose, Instant::now());
                if purpose == ReadPurpose::Fill {
                    self.waitlist.note_filled();
                }
            }
            (Err(error), purpose) => {
                crate::store::log_store_failure!(error, drawing = %self.drawing_id(), "a room could not read the store");
                self.state.on_failure(purpose, Instant::now());
                self.waitlist.fail_asked(JoinError::Unavailable);
            }
        }
    }

    fn on_page(&mut self, page: LogPage, after: Revision) {
        let drawing_id = self.drawing_id();
        let PageOutcome { repaired, has_gone_back, progress } =
            self.state.on_page(page, after, Instant::now());
        if has_gone_back {
            tracing::warn!(%drawing_id, "the log went back; its readers start anew");
        }
        if let Some((first, last)) = repaired {
            let (drawing, first, last) = (drawing_id, first.0, last.0);
            tracing::debug!(node = trace::node(), %drawing, first, last, "read from the store");
            self.shared.metrics.repairs.increment(1);
        }
        match progress {
            Progress::CaughtUp => self.waitlist.settle_asked(),
            Progress::Further => (),
            Progress::Stuck => self.waitlist.fail_asked(JoinError::Unavailable),
        }
    }

    /// Puts what was read before the first frame, for those who wait for it.
    fn on_fill(&mut self, page: LogPage) {
        let epoch = page.branch.epoch;
        if self.state.takes_fill_of(epoch) {
            let frames = seal_all(self.drawing_id(), epoch, &committed(page));
            self.ring().prepend(frames, self.state.delivered());
        }
        self.waitlist.note_filled();
    }

    fn end(&mut self) {
        self.is_over = true;
        let drawing_id = self.drawing_id();
        self.shared.presence.apply(&ControlMessage::Deleted { drawing_id });
        self.entry.audience.dismiss();
        self.waitlist.fail_all(JoinError::NoDrawing);
    }

    // --- What the room does -------------------------------------------------------------------------

    /// Tells the readers what the state has for them.
    fn announce(&mut self) {
        let ring = &self.entry.ring;
        let mut has_announced = false;
        for PendingAnnouncement { what, branch, delivered } in self.state.drain_announcements() {
            match what {
                Announcement::Ops(ops) => ring.append(ops, branch, delivered),
                Announcement::News(news) => ring.push(news, branch, delivered),
            }
            has_announced = true;
        }
        if has_announced {
            self.entry.broadcast.wake();
        }
    }

    fn attach_waiting(&mut self) {
        if self.waitlist.is_empty() {
            return;
        }
        let now = Instant::now();
        let is_fresh = self.state.is_fresh(self.shared.heartbeat, now) && self.shared.bus.is_connected();
        if let Some(log) = self.state.standing(now) {
            self.waitlist.attach(&self.entry.ring, log, is_fresh);
        }
    }

    /// When a read is due by itself.
    fn next_read_at(&self, now: Instant) -> Option<Instant> {
        if self.read.is_some() {
            return None;
        }
        self.state.read_due_at(self.waitlist.wants_read(), now)
    }

    fn start_read_if_due(&mut self) {
        let now = Instant::now();
        if self.next_read_at(now).is_none_or(|at| at > now) {
            return;
        }
        let follow = |after| (ReadPurpose::Follow { after }, self.range(after, None));
        let (purpose, range) = match self.state.next_read(self.waitlist.wants_head()) {
            NextRead::Head => follow(Revision(u64::MAX)),
            NextRead::After(after) => follow(after),
            // The ops that those who wait may lack come with the head, in one read.
            NextRead::First => follow(self.waitlist.first_wanted()),
            NextRead::Fill => {
                let (after, until) = self.waitlist.fill_range(self.ring(), self.state.delivered());
                (ReadPurpose::Fill, self.range(after, Some(until)))
            }
        };
        let store = self.shared.store.clone();
        self.shared.metrics.room_reads.increment(1);
        self.waitlist.ask(purpose);
        self.state.begin_read(purpose, now);
        self.read = Some((purpose, Box::pin(async move { call(store.read(&range)).await })));
    }

    fn range(&self, after: Revision, until: Option<Revision>) -> ReadRange {
        ReadRange {
            drawing_id: self.drawing_id(),
            after,
            until,
            limit: ROOM_READ_OPS,
            max_bytes: limits::ROOM_READ_BYTES,
        }
    }
}

async fn poll_read(
    read: &mut Option<(ReadPurpose, Read)>,
) -> (ReadPurpose, Result<Option<LogPage>, StoreError>) {
    match read {
        Some((purpose, read)) => (*purpose, read.await),
        None => std::future::pending().await,
    }
}

async fn poll_renewal(renewal: &mut Option<Renewal>) -> Subscription<OpsMessage> {
    match renewal {
        Some(renewal) => renewal.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
