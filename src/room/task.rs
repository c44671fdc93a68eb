//! The task that owns one room.
//!
//! It alone moves the room's position. Whatever happens (a message, a hole, a join, a heartbeat), at
//! most one read of the store is under way for the room, and everyone who waits shares it.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use super::{
    Item, JoinError, Position, Reader, ResetReason,
    order::Order,
    registry::{Inner, seal_all, unavailable},
    ring::Shared,
};
use crate::{
    bus::{ControlMessage, Delivery, OpsMessage, Subscription},
    limits,
    model::{DrawingId, Epoch, Revision},
    store::{LogPage, ReadRange, StoreError},
};

/// What others ask of a room.
pub(super) enum Command {
    /// Somebody wants to follow the drawing.
    Attach { position: Position, wake: Arc<Notify>, reply: AttachReply },
    /// The head of the drawing in the store; `None` when it does not exist.
    Heartbeat { epoch: Epoch, head: Option<Revision> },
    /// A role or the drawing changed.
    Control(ControlMessage),
}

type AttachReply = oneshot::Sender<Result<Attached, JoinError>>;

/// Where a new reader stands.
pub(super) enum Attached {
    /// It has everything up to `revision`, and gets from the room what comes after `until`.
    Live { epoch: Epoch, revision: Revision, until: Revision, reader: Reader },
    /// It must go to REST first.
    Reset { reason: ResetReason, epoch: Epoch, revision: Revision },
}

/// Somebody who waits for the room to know the head.
struct Waiting {
    position: Position,
    wake: Arc<Notify>,
    reply: AttachReply,
}

type Read = BoxFuture<'static, Result<Option<LogPage>, StoreError>>;

pub(super) struct Room {
    inner: Arc<Inner>,
    shared: Arc<Shared>,
    /// Where the room stands; unknown until the first read.
    log: Option<(Epoch, Order)>,
    /// The read under way, if any.
    read: Option<Read>,
    /// What had been delivered when it began: the bus goes on delivering meanwhile.
    read_from: Revision,
    /// What had been delivered at the last heartbeat.
    beat_from: Revision,
    /// Whether another read is wanted when it is done.
    wants_read: bool,
    /// No read before then, after one has failed.
    not_before: Option<Instant>,
    /// Since when there is a hole.
    hole_since: Option<Instant>,
    /// Came before the read under way began, so that it answers them.
    answered_by_read: Vec<Waiting>,
    /// Came after it began.
    arrived: Vec<Waiting>,
    /// Whether the readers are to be told the head once the room has caught up.
    owes_head: bool,
    /// Set when the drawing is gone: the room ends.
    is_over: bool,
}

impl Room {
    /// Runs the room until nobody needs it.
    pub(super) async fn run(inner: Arc<Inner>, drawing: DrawingId, mut commands: mpsc::Receiver<Command>) {
        // Live before the first read of the head: what is committed after that read is heard.
        let shutdown = inner.shutdown.clone();
        let mut bus = tokio::select! {
            bus = inner.bus.subscribe_ops(drawing) => bus,
            () = shutdown.cancelled() => return,
        };
        let mut room = Self {
            inner,
            shared: Arc::new(Shared::new(drawing)),
            log: None,
            read: None,
            read_from: Revision(0),
            beat_from: Revision(0),
            wants_read: false,
            not_before: None,
            hole_since: None,
            answered_by_read: Vec::new(),
            arrived: Vec::new(),
            owes_head: false,
            is_over: false,
        };
        let mut idle_since = Instant::now();
        while !room.is_over {
            room.start_read_if_due();
            let read_at = room.next_read_at();
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(command) = commands.recv() => room.on_command(command),
                Some(delivery) = bus.next() => room.on_bus(delivery, &mut bus),
                outcome = poll_read(&mut room.read) => room.on_read(outcome),
                () = sleep_until(read_at) => (),
                () = tokio::time::sleep_until(idle_since + limits::ROOM_LINGER) => {
                    let is_idle = || commands.is_empty() && room.is_unused();
                    if room.inner.close_if(drawing, is_idle) {
                        return;
                    }
                }
            }
            if !room.is_unused() || idle_since.elapsed() >= limits::ROOM_LINGER {
                idle_since = Instant::now();
            }
        }
        room.inner.close_if(drawing, || true);
    }

    fn is_unused(&self) -> bool {
        self.shared.reader_count() == 0 && self.answered_by_read.is_empty() && self.arrived.is_empty()
    }

    // --- What happens -----------------------------------------------------------------------------

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Attach { position, wake, reply } => self.arrived.push(Waiting { position, wake, reply }),
            Command::Heartbeat { head: None, .. } => self.end(),
            Command::Heartbeat { epoch, head: Some(head) } => {
                self.owes_head = true;
                // A head below what was delivered before the heads were read: the log may have gone back.
                let has_gone_back = head < self.beat_from;
                self.beat_from = self.delivered();
                match &mut self.log {
                    _ if has_gone_back => self.wants_read = true,
                    // Whatever does not fit together is settled by a read.
                    Some((known, order)) if *known == epoch && head <= order.delivered() => self.pay_head(),
                    _ => self.wants_read = true,
                }
            }
            Command::Control(ControlMessage::Deleted { .. }) => self.end(),
            Command::Control(ControlMessage::Role { user_id, role, .. }) => {
                // Without a log the room has no readers yet, and those to come look up their role.
                if self.log.is_some() {
                    self.push([Item::Role { user_id, role }]);
                }
            }
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
    }

    fn take_in(&mut self, delivery: Delivery<OpsMessage>) {
        let Delivery::Message(message) = delivery else {
            self.wants_read = true;
            return;
        };
        match &mut self.log {
            Some((epoch, order)) if *epoch == message.epoch => {
                order.learn_head(message.last);
                // Sent as revisions alone, the ops can only come from the store.
                self.wants_read |= message.ops.is_empty() && order.has_hole();
                for op in message.ops {
                    order.accept(op);
                }
            }
            // Another epoch than ours: the store says which is the present one.
            Some(_) => self.wants_read = true,
            // The first read may have looked just before these ops; another one will find them.
            None => self.wants_read = true,
        }
    }

    fn on_read(&mut self, outcome: Result<Option<LogPage>, StoreError>) {
        self.read = None;
        match outcome {
            Ok(Some(page)) => self.on_page(page),
            Ok(None) => self.end(),
            Err(error) => {
                let error = unavailable(&error);
                self.not_before = Some(Instant::now() + limits::REPAIR_RETRY);
                self.wants_read |= self.log.is_some();
                for waiting in self.answered_by_read.drain(..) {
                    // Whoever hung up needs no answer.
                    let _ = waiting.reply.send(Err(error));
                }
            }
        }
    }

    fn on_page(&mut self, page: LogPage) {
        let LogPage { epoch, head, ops } = page;
        match &mut self.log {
            None => self.log = Some((epoch, Order::starting_after(head))),
            Some((known, _)) if *known != epoch => self.restart(ResetReason::EpochChanged, epoch, head),
            // The log is shorter than what was delivered from it: it was replaced without a new epoch.
            Some(_) if head < self.read_from => {
                tracing::error!(drawing_id = %self.shared.drawing_id, "the log went back without a new epoch");
                self.restart(ResetReason::RevisionAhead, epoch, head);
            }
            Some((_, order)) => {
                order.settle(head);
                let before = order.delivered();
                for op in ops {
                    match op.commit() {
                        Ok(op) => order.accept(op),
                        Err(error) => drop(unavailable(&error)),
                    }
                }
                self.deliver();
                if self.delivered() > before {
                    self.inner.metrics.repairs.increment(1);
                }
            }
        }
        if self.delivered() < head {
            // A page was not enough; those who wait go on waiting.
            self.wants_read = true;
            let waiting = std::mem::take(&mut self.answered_by_read);
            self.arrived.splice(..0, waiting);
        } else {
            self.attach_all();
            if self.owes_head {
                self.pay_head();
            }
        }
    }

    // --- What the room does -------------------------------------------------------------------------

    /// Gives the readers everything that is next.
    fn deliver(&mut self) {
        let Some((_, order)) = &mut self.log else { return };
        let ready = order.take_ready();
        self.hole_since = if order.has_hole() { self.hole_since.or(Some(Instant::now())) } else { None };
        if !ready.is_empty() {
            let frames = seal_all(self.shared.drawing_id, &ready);
            self.push(frames.into_iter().map(Item::Ops));
        }
    }

    fn pay_head(&mut self) {
        if let Some((epoch, order)) = &self.log {
            let head = Item::Head { epoch: *epoch, revision: order.delivered() };
            self.owes_head = false;
            self.push([head]);
        }
    }

    fn push(&self, items: impl IntoIterator<Item = Item>) {
        if let Some((epoch, order)) = &self.log {
            self.shared.push(items, *epoch, order.delivered());
        }
    }

    /// Sends every reader to REST and goes on from the head.
    fn restart(&mut self, reason: ResetReason, epoch: Epoch, head: Revision) {
        self.log = Some((epoch, Order::starting_after(head)));
        (self.read_from, self.beat_from) = (head, head);
        self.hole_since = None;
        self.push([Item::Restarted { reason, epoch, revision: head }]);
        // Nobody can resume in a log that is not theirs: the ring starts anew with the room's readers gone.
        self.shared = Arc::new(Shared::new(self.shared.drawing_id));
    }

    fn end(&mut self) {
        self.is_over = true;
        if self.log.is_some() {
            self.push([Item::Gone]);
        }
        for waiting in self.answered_by_read.drain(..).chain(self.arrived.drain(..)) {
            let _ = waiting.reply.send(Err(JoinError::NoDrawing));
        }
    }

    /// Answers those whose wish came before the read that just ended, now that the room knows the head.
    fn attach_all(&mut self) {
        let Some((epoch, order)) = &self.log else { return };
        for Waiting { position, wake, reply } in self.answered_by_read.drain(..) {
            let attached = attach(&self.shared, position, &wake, *epoch, order.delivered());
            // Whoever hung up leaves the room again with the reader that is dropped here.
            let _ = reply.send(Ok(attached));
        }
    }

    // --- Reading the store ----------------------------------------------------------------------------

    fn delivered(&self) -> Revision {
        self.log.as_ref().map_or(Revision(0), |(_, order)| order.delivered())
    }

    /// When a read is due by itself: a hole has become too old, or a failed read may be repeated.
    fn next_read_at(&self) -> Option<Instant> {
        if self.read.is_some() {
            return None;
        }
        let repair_at = self.hole_since.map(|since| since + limits::HOLE_PATIENCE);
        let wanted_at = (self.wants_read || !self.arrived.is_empty()).then(Instant::now);
        let due_at = [repair_at, wanted_at].into_iter().flatten().min()?;
        Some(self.not_before.map_or(due_at, |not_before| due_at.max(not_before)))
    }

    fn start_read_if_due(&mut self) {
        if self.next_read_at().is_none_or(|at| at > Instant::now()) {
            return;
        }
        let range = ReadRange {
            drawing_id: self.shared.drawing_id,
            // A room without a position wants the head alone, and no ops.
            after: self.log.as_ref().map_or(Revision(u64::MAX), |(_, order)| order.delivered()),
            until: None,
            limit: limits::MAX_PAGE_OPS,
            max_bytes: limits::MAX_PAGE_BYTES,
        };
        let store = self.inner.store.clone();
        self.read = Some(Box::pin(async move {
            let read = tokio::time::timeout(limits::STORE_CALL_TIMEOUT, store.read(&range)).await;
            read.unwrap_or(Err(StoreError::timed_out()))
        }));
        self.read_from = self.delivered();
        self.wants_read = false;
        self.not_before = None;
        if self.hole_since.is_some() {
            self.hole_since = Some(Instant::now() + limits::REPAIR_RETRY);
        }
        self.answered_by_read.append(&mut self.arrived);
    }
}

/// Finds the place of a reader in a room that stands at `head`.
fn attach(
    shared: &Arc<Shared>,
    position: Position,
    wake: &Arc<Notify>,
    epoch: Epoch,
    head: Revision,
) -> Attached {
    let revision = position.after.unwrap_or(head);
    let reset = |reason| Attached::Reset { reason, epoch, revision: head };
    if position.epoch.is_some_and(|known| known != epoch) {
        return reset(ResetReason::EpochChanged);
    }
    if revision > head {
        return reset(ResetReason::RevisionAhead);
    }
    if head.0 - revision.0 > limits::RESUME_LIMIT {
        return reset(ResetReason::TooFarBehind);
    }
    Attached::Live { epoch, revision, until: head, reader: shared.join(wake.clone()) }
}

async fn poll_read(read: &mut Option<Read>) -> Result<Option<LogPage>, StoreError> {
    match read {
        Some(read) => read.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
