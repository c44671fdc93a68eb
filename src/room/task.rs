//! The one task that owns a room.
//!
//! It listens to the bus, to the store and to those who join, and decides what is told and when. Only
//! one read of the store is under way for the room, and everyone who waits shares it.

mod reading;

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use self::reading::poll_read;
use super::{
    JoinError,
    attach::{Log, Purpose, Waitlist},
    mailbox::{Heartbeat, Mail, OpenMailbox},
    order::Order,
    registry::{Entry, Inner},
    ring::Ring,
};
use crate::{
    bus::{ControlMessage, Delivery, OpsMessage, Subscription},
    limits,
    model::{Branch, Epoch, Revision},
    store::{LogPage, StoreError},
    trace,
    wire::{News, ResetReason},
};

type Read = BoxFuture<'static, Result<Option<LogPage>, StoreError>>;
type Renewal = BoxFuture<'static, Subscription<OpsMessage>>;

pub(super) struct Room {
    inner: Arc<Inner>,
    entry: Entry,
    /// Where the room stands; unknown until the first read.
    log: Option<(Branch, Order)>,
    /// The read under way, if any, and what it is for.
    read: Option<(Purpose, Read)>,
    /// What had been delivered when it began: the bus goes on delivering meanwhile.
    read_from: Revision,
    /// What had been delivered at the last heartbeat.
    beat_from: Revision,
    /// The head of the last heartbeat, until the room has caught up with it.
    beat_head: Option<Revision>,
    /// When the store last had nothing that the room had not.
    verified_at: Option<Instant>,
    /// Whether another read is wanted when the one under way is done.
    wants_read: bool,
    /// No read before then, after one has failed.
    not_before: Option<Instant>,
    /// Since when there is a hole.
    hole_since: Option<Instant>,
    /// An op that is missing in the store, or cannot be read, and when the room met it.
    damage: Option<(Revision, Instant)>,
    /// Whether the next read is to find the head alone: what lies before it is damaged.
    skips_damage: bool,
    /// The last revision that the bus told of.
    announced: Revision,
    /// The last revision that the store gave, and since when the bus has not told of it.
    untold: Option<(Revision, Instant)>,
    /// A new subscription on its way, because the present one has missed something.
    renewal: Option<Renewal>,
    /// Who waits for a place.
    waitlist: Waitlist,
    /// Whether the readers are to be told the head once the room has caught up.
    owes_head: bool,
    /// Set when the drawing is gone: the room ends.
    is_over: bool,
    /// Ends the broadcasters with the room.
    _broadcasters: DropGuard,
}

impl Room {
    /// Runs the room until nobody needs it.
    pub(super) async fn run(inner: Arc<Inner>, entry: Entry, broadcasters: DropGuard) {
        let drawing = entry.ring.drawing_id;
        let mailbox = entry.mailbox.clone();
        let _open = OpenMailbox(&mailbox);
        // Live before the first read of the head: what is committed after that read is heard.
        let stop = inner.stop.clone();
        let mut bus = tokio::select! {
            bus = inner.bus.subscribe_ops(drawing) => bus,
            () = stop.cancelled() => return,
        };
        let mut room = Self::new(inner, entry, broadcasters);
        let mut idle_since = Instant::now();
        while !room.is_over {
            room.attach_waiting();
            room.start_read_if_due();
            let read_at = room.next_read_at();
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
                    if room.inner.close_if(drawing, &mailbox, is_idle) {
                        return;
                    }
                }
            }
            if !room.is_unused() || idle_since.elapsed() >= limits::ROOM_LINGER {
                idle_since = Instant::now();
            }
        }
        room.inner.close_if(drawing, &mailbox, || true);
    }

    fn new(inner: Arc<Inner>, entry: Entry, broadcasters: DropGuard) -> Self {
        Self {
            inner,
            entry,
            log: None,
            read: None,
            read_from: Revision(0),
            beat_from: Revision(0),
            beat_head: None,
            verified_at: None,
            wants_read: false,
            not_before: None,
            hole_since: None,
            damage: None,
            skips_damage: false,
            announced: Revision(0),
            untold: None,
            renewal: None,
            waitlist: Waitlist::default(),
            owes_head: false,
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
        self.owes_head = true;
        self.renew_if_dead();
        if let Some(then) = std::time::Instant::now().checked_sub(limits::RING_MAX_AGE) {
            self.ring().forget_before(then);
        }
        // A head below what was delivered before the heads were read: the log may have gone back.
        let has_gone_back = head < self.beat_from;
        self.beat_from = self.delivered();
        match &mut self.log {
            Some((known, order)) if known.epoch == epoch && !has_gone_back => {
                // What the bus is just bringing needs no read; what it has lost does.
                self.wants_read |= head > order.delivered() && !self.inner.bus.is_connected();
                order.learn_head(head);
                self.beat_head = Some(head);
                self.deliver();
                self.note_caught_up();
            }
            // Whatever does not fit together is settled by a read.
            _ => self.wants_read = true,
        }
    }

    fn on_bus(&mut self, delivery: Delivery<OpsMessage>, bus: &mut Subscription<OpsMessage>) {
        self.take_in(delivery);
        // What has come meanwhile joins the same frame.
        for _ in 0..limits::SUBSCRIPTION_MESSAGES {
            match bus.next().now_or_never() {
                Some(Some(delivery)) => self.take_in(delivery),
                _ => break,
            }
        }
        self.deliver();
        self.note_caught_up();
    }

    fn take_in(&mut self, delivery: Delivery<OpsMessage>) {
        let Delivery::Message(message) = delivery else {
            self.wants_read = true;
            return;
        };
        let (drawing, first, last) = (message.drawing_id, message.first.0, message.last.0);
        tracing::debug!(node = trace::node(), %drawing, first, last, "received");
        match &mut self.log {
            Some((branch, order)) if branch.epoch == message.epoch => {
                self.announced = self.announced.max(message.last);
                order.learn_head(message.last);
                // Sent as revisions alone, the ops can only come from the store.
                self.wants_read |= message.ops.is_empty() && order.has_hole();
                for op in message.ops {
                    order.accept(op);
                }
            }
            // Another epoch than ours: the store says which is the present one. Without a log, the read
            // under way may have looked just before these ops; another one will find them.
            _ => self.wants_read = true,
        }
    }

    // --- What the room does -------------------------------------------------------------------------

    /// Takes what is next out of the order, and tells it.
    fn deliver(&mut self) {
        let Some((branch, order)) = &mut self.log else { return };
        let ready = order.take_ready();
        self.hole_since = if order.has_hole() { self.hole_since.or(Some(Instant::now())) } else { None };
        if !ready.is_empty() {
            self.entry.ring.append(ready, *branch, order.delivered());
            self.entry.broadcast.wake();
        }
    }

    /// Tells the head when a heartbeat asked for it and the room has everything up to it.
    fn note_caught_up(&mut self) {
        let Some((branch, order)) = &self.log else { return };
        let (branch, revision) = (*branch, order.delivered());
        if self.beat_head.is_some_and(|head| head > revision) || order.has_hole() {
            return;
        }
        if self.beat_head.take().is_some() {
            self.verified_at = Some(Instant::now());
        }
        if std::mem::take(&mut self.owes_head) {
            self.push(News::Head { branch, revision });
        }
    }

    fn push(&self, news: News) {
        if let Some((branch, order)) = &self.log {
            self.ring().push(news, *branch, order.delivered());
            self.entry.broadcast.wake();
        }
    }

    /// Sends every reader to REST and goes on from the head.
    fn restart(&mut self, reason: ResetReason, branch: Branch, head: Revision) {
        self.log = Some((branch, Order::starting_after(head)));
        (self.read_from, self.beat_from, self.announced) = (head, head, Revision(0));
        (self.hole_since, self.beat_head, self.untold) = (None, None, None);
        if reason != ResetReason::LogDamaged {
            self.damage = None;
        }
        self.push(News::Restarted { reason, branch, revision: head });
    }

    /// Goes on in a new epoch from what was delivered, which both have in common. What waits behind a hole may not be.
    /// Every reader is told before it gets an op of the new epoch.
    fn go_on_in(&mut self, branch: Branch) {
        let revision = self.delivered();
        self.log = Some((branch, Order::starting_after(revision)));
        (self.hole_since, self.beat_head, self.untold) = (None, None, None);
        self.push(News::Head { branch, revision });
    }

    fn end(&mut self) {
        self.is_over = true;
        let drawing_id = self.ring().drawing_id;
        self.inner.presence.apply(&ControlMessage::Deleted { drawing_id });
        self.entry.audience.dismiss();
        self.waitlist.fail_all(JoinError::NoDrawing);
    }

    /// Subscribes anew when the store had what a connected bus has not told for a while: its subscription
    /// is dead.
    fn renew_if_dead(&mut self) {
        let has_told = self.untold.is_none_or(|(revision, _)| revision <= self.announced);
        if has_told || !self.inner.bus.is_connected() {
            self.untold = None;
        }
        let is_dead = self.untold.is_some_and(|(_, since)| since.elapsed() >= limits::BUS_CONFIRM_TIMEOUT);
        if is_dead && self.renewal.is_none() {
            let (bus, drawing) = (self.inner.bus.clone(), self.ring().drawing_id);
            self.untold = None;
            self.inner.metrics.renewals.increment(1);
            self.renewal = Some(Box::pin(async move { bus.subscribe_ops(drawing).await }));
        }
    }

    // --- Those who wait for a place -------------------------------------------------------------------

    /// Whether the store has had nothing new a heartbeat ago, and the bus works: then nobody who joins
    /// misses more than those who are here already.
    fn is_fresh(&self) -> bool {
        let patience = self.inner.heartbeat + self.inner.heartbeat / 2;
        self.verified_at.is_some_and(|at| at.elapsed() < patience) && self.inner.bus.is_connected()
    }

    fn attach_waiting(&mut self) {
        if self.waitlist.is_empty() || self.log.is_none() {
            return;
        }
        let is_fresh = self.is_fresh();
        self.damage = self.damage.filter(|(_, met_at)| met_at.elapsed() < limits::LOG_DAMAGE_MEMORY);
        if let Some((branch, order)) = &self.log {
            let (head, damage) = (order.delivered(), self.damage.map(|(revision, _)| revision));
            self.waitlist.attach(&self.entry.ring, Log { branch: *branch, head, damage }, is_fresh);
        }
    }

    fn delivered(&self) -> Revision {
        self.log.as_ref().map_or(Revision(0), |(_, order)| order.delivered())
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
