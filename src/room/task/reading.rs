//! The room's reads of the store: for its position, to close a hole, to fill up those who join.
//!
//! At most one is under way, and everyone who waits shares it.

use tokio::time::Instant;

use super::{Read, Room};
use crate::{
    limits,
    model::{CommittedOp, Revision},
    room::{JoinError, attach::Purpose, order::Order},
    store::{LogPage, ReadRange, StoreError},
    trace,
    wire::{ResetReason, seal_all},
};

impl Room {
    pub(super) fn on_read(&mut self, purpose: Purpose, outcome: Result<Option<LogPage>, StoreError>) {
        self.read = None;
        match (outcome, purpose) {
            (Ok(Some(page)), Purpose::Follow { after }) => self.on_page(page, after),
            (Ok(Some(page)), Purpose::Fill) => self.on_fill(page),
            (Ok(None), _) => self.end(),
            (Err(StoreError::Damaged { revision, .. }), purpose) => self.on_damage(revision, purpose),
            (Err(error), purpose) => {
                crate::store::log_store_failure!(error, drawing = %self.ring().drawing_id, "a room could not read the store");
                self.not_before = Some(Instant::now() + limits::REPAIR_RETRY);
                self.wants_read |= self.log.is_some() && purpose != Purpose::Fill;
                self.waitlist.fail_asked(JoinError::Unavailable);
            }
        }
    }

    /// What the room wants to read is damaged. Its readers are sent to REST, which says so, and it goes on from the head:
    /// what is committed from now on is whole.
    fn on_damage(&mut self, revision: Revision, purpose: Purpose) {
        self.damage = Some((revision, Instant::now()));
        match purpose {
            Purpose::Follow { .. } => (self.skips_damage, self.wants_read) = (true, true),
            Purpose::Fill => self.waitlist.note_filled(),
        }
    }

    fn on_page(&mut self, page: LogPage, after: Revision) {
        let LogPage { branch, head, .. } = page;
        let is_first = self.log.is_none();
        if let Some((known, order)) = &self.log
            && known.epoch != branch.epoch
            && branch.goes_on_from(known.epoch, order.delivered())
        {
            self.go_on_in(branch);
        }
        match &mut self.log {
            None => self.begin(page, after),
            Some((known, _)) if known.epoch != branch.epoch => {
                self.skips_damage = false;
                self.restart(ResetReason::EpochChanged, branch, head);
            }
            Some(_) if std::mem::take(&mut self.skips_damage) => {
                self.restart(ResetReason::LogDamaged, branch, head);
            }
            // The log is shorter than what was delivered from it: a promotion has lost some of it, and nothing was written
            // since, or it was replaced without a new epoch.
            Some(_) if head < self.read_from => {
                let drawing_id = self.ring().drawing_id;
                tracing::warn!(%drawing_id, "the log went back; its readers start anew");
                self.restart(ResetReason::RevisionAhead, branch, head);
            }
            Some((_, order)) => {
                order.settle(head);
                let before = order.delivered();
                for op in committed(page) {
                    order.accept(op);
                }
                self.deliver();
                if self.delivered() > before {
                    let (drawing, first, last) =
                        (self.ring().drawing_id, before.next().0, self.delivered().0);
                    tracing::debug!(node = trace::node(), %drawing, first, last, "read from the store");
                    self.inner.metrics.repairs.increment(1);
                    // It may be on its way still; the heartbeat looks again.
                    let since = self.untold.map_or_else(Instant::now, |(_, since)| since);
                    self.untold = Some((self.delivered(), since));
                }
            }
        }
        if self.delivered() < head {
            // A page was not enough; those who wait go on waiting, unless it led nowhere.
            self.wants_read = true;
            if self.delivered() == self.read_from && !is_first {
                self.not_before = Some(Instant::now() + limits::REPAIR_RETRY);
                self.waitlist.fail_asked(JoinError::Unavailable);
            }
        } else {
            self.verified_at = Some(Instant::now());
            self.waitlist.settle_asked();
            self.note_caught_up();
        }
    }

    /// Learns where the log stands, and keeps what was read of it if that reaches the head.
    fn begin(&mut self, page: LogPage, after: Revision) {
        let LogPage { branch, head, .. } = page;
        let reaches_head = page.ops.last().is_some_and(|op| op.revision == head);
        let start = if reaches_head { after } else { head };
        self.log = Some((branch, Order::starting_after(start)));
        self.beat_from = head;
        self.skips_damage = false;
        if let (true, Some((_, order))) = (reaches_head, &mut self.log) {
            for op in committed(page) {
                order.accept(op);
            }
        }
        self.deliver();
    }

    /// Puts what was read before the first frame, for those who wait for it.
    fn on_fill(&mut self, page: LogPage) {
        let epoch = page.branch.epoch;
        if self.log.as_ref().is_some_and(|(known, _)| known.epoch == epoch) {
            let frames = seal_all(self.ring().drawing_id, epoch, &committed(page));
            self.ring().prepend(frames, self.delivered());
        } else {
            self.wants_read = true;
        }
        self.waitlist.note_filled();
    }

    /// When a read is due by itself: a hole has become too old, or somebody waits for one.
    pub(super) fn next_read_at(&self) -> Option<Instant> {
        if self.read.is_some() {
            return None;
        }
        let repair_at = self.hole_since.map(|since| since + limits::HOLE_PATIENCE);
        let wanted_at = (self.wants_read || self.waitlist.wants_read()).then(Instant::now);
        let due_at = [repair_at, wanted_at].into_iter().flatten().min()?;
        Some(self.not_before.map_or(due_at, |not_before| due_at.max(not_before)))
    }

    pub(super) fn start_read_if_due(&mut self) {
        if self.next_read_at().is_none_or(|at| at > Instant::now()) {
            return;
        }
        let is_behind = self.wants_read || self.hole_since.is_some();
        let (purpose, range) = match &self.log {
            _ if self.skips_damage => {
                let after = Revision(u64::MAX);
                (Purpose::Follow { after }, self.range(after, None))
            }
            Some(_) if !is_behind && !self.waitlist.wants_head() => {
                let (after, until) = self.waitlist.fill_range(self.ring(), self.delivered());
                (Purpose::Fill, self.range(after, Some(until)))
            }
            Some((_, order)) => {
                (Purpose::Follow { after: order.delivered() }, self.range(order.delivered(), None))
            }
            // What those who wait may lack comes with the head, in one read.
            None => {
                let after = self.waitlist.first_wanted();
                (Purpose::Follow { after }, self.range(after, None))
            }
        };
        let store = self.inner.store.clone();
        let read = async move {
            let read = tokio::time::timeout(limits::STORE_CALL_TIMEOUT, store.read(&range)).await;
            read.unwrap_or(Err(StoreError::timed_out()))
        };
        self.inner.metrics.room_reads.increment(1);
        self.waitlist.ask(purpose);
        if purpose != Purpose::Fill {
            self.read_from = self.delivered();
            self.wants_read = false;
            if self.hole_since.is_some() {
                self.hole_since = Some(Instant::now() + limits::REPAIR_RETRY);
            }
        }
        self.not_before = None;
        self.read = Some((purpose, Box::pin(read)));
    }

    fn range(&self, after: Revision, until: Option<Revision>) -> ReadRange {
        ReadRange {
            drawing_id: self.ring().drawing_id,
            after,
            until,
            limit: limits::ROOM_READ_OPS,
            max_bytes: limits::ROOM_READ_BYTES,
        }
    }
}

/// The ops of a page as readers get them. What cannot be read ends them: readers never skip. The store has looked.
fn committed(page: LogPage) -> Vec<CommittedOp> {
    let mut ops = Vec::with_capacity(page.ops.len());
    for op in page.ops {
        match op.commit() {
            Ok(op) => ops.push(op),
            Err(error) => {
                tracing::error!(%error, "a room met an op that it cannot read");
                break;
            }
        }
    }
    ops
}

pub(super) async fn poll_read(
    read: &mut Option<(Purpose, Read)>,
) -> (Purpose, Result<Option<LogPage>, StoreError>) {
    match read {
        Some((purpose, read)) => (*purpose, read.await),
        None => std::future::pending().await,
    }
}
