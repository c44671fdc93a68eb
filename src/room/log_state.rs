//! Where a room stands in the log of its drawing, and what it does next.
//!
//! Pure: it is told what happens and when, and says what readers are to be told and what is to be read. It never reads,
//! tells or waits; the room's task does.

use std::{time::Duration, vec};

use tokio::time::Instant;

use super::{
    attach::{ReadPurpose, Standing},
    order::Order,
};
use crate::{
    bus::{Delivery, OpsMessage},
    limits,
    model::{Branch, CommittedOp, Epoch, Revision},
    store::LogPage,
    wire::{News, ResetReason},
};

/// The position of a room in its log, and what it knows of what lies ahead.
#[derive(Debug, Default)]
pub(super) struct LogState {
    /// The log and what of it was delivered; unknown until the first read.
    log: Option<(Branch, Order)>,
    /// The revision up to which the room had delivered when the read under way began: the bus goes on
    /// delivering meanwhile.
    read_from: Revision,
    /// The revision up to which the room had delivered at the last heartbeat.
    beat_from: Revision,
    /// The head of the last heartbeat, until the room has caught up with it.
    beat_head: Option<Revision>,
    /// When the store last had nothing that the room had not.
    verified_at: Option<Instant>,
    /// `true` if another read is wanted when the one under way is done.
    wants_read: bool,
    /// No read before then, after one has failed.
    not_before: Option<Instant>,
    /// The time since which there is a hole.
    hole_since: Option<Instant>,
    /// An op that is missing in the store, or cannot be read, and when the room met it.
    damage: Option<(Revision, Instant)>,
    /// `true` if the next read is to find the head alone: the log before it is damaged.
    skips_damage: bool,
    /// The last revision that the bus told of.
    announced: Revision,
    /// The last revision that the store gave, and since when the bus has not told of it.
    untold: Option<(Revision, Instant)>,
    /// `true` if the readers are to be told the head once the room has caught up.
    owes_head: bool,
    /// The news for readers, in order.
    announcements: Vec<PendingAnnouncement>,
}

/// Something that readers are to be told.
#[derive(Debug)]
pub(super) struct PendingAnnouncement {
    /// Its content.
    pub what: Announcement,
    /// The log that it is of.
    pub branch: Branch,
    /// The revision up to which it was delivered by then.
    pub delivered: Revision,
}

/// The content of an announcement.
#[derive(Debug)]
pub(super) enum Announcement {
    /// Ops, in order.
    Ops(Vec<CommittedOp>),
    /// Other news.
    News(News),
}

/// The outcome of reading a page of the store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageOutcome {
    /// The ops that the bus had not brought, first and last, if there were any.
    pub repaired: Option<(Revision, Revision)>,
    /// `true` if the log had gone back behind what was delivered.
    pub has_gone_back: bool,
    /// The progress of the room.
    pub progress: Progress,
}

/// The progress that a read has brought the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// To the head.
    CaughtUp,
    /// On, but not far enough.
    Further,
    /// Nowhere, though there is more.
    Stuck,
}

/// The read that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextRead {
    /// The head, and what those who wait may lack.
    First,
    /// The head alone.
    Head,
    /// The ops after this revision.
    After(Revision),
    /// The ops before the ring, for those who lack them.
    Fill,
}

impl LogState {
    /// The last revision that was delivered; 0 while the log is unknown.
    pub(super) fn delivered(&self) -> Revision {
        self.log.as_ref().map_or(Revision(0), |(_, order)| order.delivered())
    }

    /// The epoch of the log, once it is known.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.log.as_ref().map(|(branch, _)| branch.epoch)
    }

    /// The log for those who join, once it is known. Damage that was met long ago is looked for anew.
    pub(super) fn standing(&mut self, now: Instant) -> Option<Standing> {
        self.damage = self.damage.filter(|(_, met_at)| now - *met_at < limits::LOG_DAMAGE_MEMORY);
        let (branch, order) = self.log.as_ref()?;
        let damage = self.damage.map(|(revision, _)| revision);
        Some(Standing { branch: *branch, head: order.delivered(), damage })
    }

    /// Returns `true` if the store had nothing new a heartbeat ago: then nobody who joins misses more than the
    /// readers who are here already, as long as the bus works.
    pub(super) fn is_fresh(&self, heartbeat: Duration, now: Instant) -> bool {
        self.verified_at.is_some_and(|at| now - at < heartbeat + heartbeat / 2)
    }

    /// Gives out what readers are to be told, in order.
    pub(super) fn drain_announcements(&mut self) -> vec::Drain<'_, PendingAnnouncement> {
        self.announcements.drain(..)
    }

    // --- What happens -----------------------------------------------------------------------------

    /// The store had this head a moment ago.
    pub(super) fn on_heartbeat(&mut self, epoch: Epoch, head: Revision, is_connected: bool, now: Instant) {
        self.owes_head = true;
        // A head below what was delivered before the heads were read: the log may have gone back.
        let has_gone_back = head < self.beat_from;
        self.beat_from = self.delivered();
        match &mut self.log {
            Some((known, order)) if known.epoch == epoch && !has_gone_back => {
                // Ops that the bus is just bringing need no read; ops that it has lost do.
                self.wants_read |= head > order.delivered() && !is_connected;
                order.learn_head(head);
                self.beat_head = Some(head);
                self.deliver(now);
            }
            // Whatever does not fit together is settled by a read.
            _ => self.wants_read = true,
        }
    }

    /// Takes in what the bus has brought; [`deliver`](Self::deliver) gives it out.
    pub(super) fn on_delivery(&mut self, delivery: Delivery<OpsMessage>) {
        let Delivery::Message(message) = delivery else {
            self.wants_read = true;
            return;
        };
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

    /// The store has answered with what comes after `after`.
    pub(super) fn on_page(&mut self, page: LogPage, after: Revision, now: Instant) -> PageOutcome {
        let LogPage { branch, head, .. } = page;
        let is_first = self.log.is_none();
        let mut outcome = PageOutcome { repaired: None, has_gone_back: false, progress: Progress::CaughtUp };
        if let Some((known, order)) = &self.log
            && known.epoch != branch.epoch
            && branch.goes_on_from(known.epoch, order.delivered())
        {
            self.go_on_in(branch);
        }
        match &mut self.log {
            None => self.begin(page, after, now),
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
                outcome.has_gone_back = true;
                self.restart(ResetReason::RevisionAhead, branch, head);
            }
            Some((_, order)) => {
                order.settle(head);
                let before = order.delivered();
                for op in committed(page) {
                    order.accept(op);
                }
                self.deliver(now);
                if self.delivered() > before {
                    outcome.repaired = Some((before.next(), self.delivered()));
                    // It may be on its way still; the heartbeat looks again.
                    let since = self.untold.map_or(now, |(_, since)| since);
                    self.untold = Some((self.delivered(), since));
                }
            }
        }
        if self.delivered() >= head {
            self.verified_at = Some(now);
            self.note_caught_up(now);
            return outcome;
        }
        // A page was not enough; those who wait go on waiting, unless it led nowhere.
        self.wants_read = true;
        outcome.progress = Progress::Further;
        if self.delivered() == self.read_from && !is_first {
            self.not_before = Some(now + limits::REPAIR_RETRY);
            outcome.progress = Progress::Stuck;
        }
        outcome
    }

    /// Takes ops from before the ring if they are of the log in this epoch; returns false when the room is in
    /// another epoch, which takes a read.
    pub(super) fn takes_fill_of(&mut self, epoch: Epoch) -> bool {
        let fits = self.epoch() == Some(epoch);
        self.wants_read |= !fits;
        fits
    }

    /// The range to read is damaged at this revision. Readers are sent to REST, which says so, and the room
    /// goes on from the head: ops that are committed from now on are whole.
    pub(super) fn on_damage(&mut self, revision: Revision, purpose: ReadPurpose, now: Instant) {
        self.damage = Some((revision, now));
        if purpose != ReadPurpose::Fill {
            (self.skips_damage, self.wants_read) = (true, true);
        }
    }

    /// The store did not answer.
    pub(super) fn on_failure(&mut self, purpose: ReadPurpose, now: Instant) {
        self.not_before = Some(now + limits::REPAIR_RETRY);
        self.wants_read |= self.log.is_some() && purpose != ReadPurpose::Fill;
    }

    /// Returns `true` if the store had ops that a connected bus has not told for a while: the subscription is
    /// dead then. Says so once, unless it is being renewed already.
    pub(super) fn finds_bus_dead(&mut self, is_connected: bool, is_renewing: bool, now: Instant) -> bool {
        let has_told = self.untold.is_none_or(|(revision, _)| revision <= self.announced);
        if has_told || !is_connected {
            self.untold = None;
        }
        let is_dead = |since: Instant| !is_renewing && now - since >= limits::BUS_CONFIRM_TIMEOUT;
        self.untold.take_if(|(_, since)| is_dead(*since)).is_some()
    }

    // --- What readers are told ----------------------------------------------------------------------

    /// Gives out what is next in the order, and then the head, if it is owed.
    pub(super) fn deliver(&mut self, now: Instant) {
        if let Some((branch, order)) = &mut self.log {
            let ready = order.take_ready();
            self.hole_since = if order.has_hole() { self.hole_since.or(Some(now)) } else { None };
            if !ready.is_empty() {
                let (what, delivered) = (Announcement::Ops(ready), order.delivered());
                self.announcements.push(PendingAnnouncement { what, branch: *branch, delivered });
            }
        }
        self.note_caught_up(now);
    }

    /// Tells the head when a heartbeat asked for it and the room has everything up to it.
    fn note_caught_up(&mut self, now: Instant) {
        let Some((branch, order)) = &self.log else { return };
        let (branch, revision) = (*branch, order.delivered());
        if self.beat_head.is_some_and(|head| head > revision) || order.has_hole() {
            return;
        }
        if self.beat_head.take().is_some() {
            self.verified_at = Some(now);
        }
        if std::mem::take(&mut self.owes_head) {
            self.announce(News::Head { branch, revision });
        }
    }

    fn announce(&mut self, news: News) {
        if let Some((branch, order)) = &self.log {
            let (what, branch, delivered) = (Announcement::News(news), *branch, order.delivered());
            self.announcements.push(PendingAnnouncement { what, branch, delivered });
        }
    }

    /// Learns where the log stands, and keeps what was read of it if that reaches the head.
    fn begin(&mut self, page: LogPage, after: Revision, now: Instant) {
        let LogPage { branch, head, .. } = page;
        let reaches_head = page.ops.last().is_some_and(|op| op.revision == head);
        let mut order = Order::starting_after(if reaches_head { after } else { head });
        self.beat_from = head;
        self.skips_damage = false;
        order.learn_head(head);
        if reaches_head {
            committed(page).into_iter().for_each(|op| order.accept(op));
        }
        self.log = Some((branch, order));
        self.deliver(now);
    }

    /// Sends every reader to REST and goes on from the head.
    fn restart(&mut self, reason: ResetReason, branch: Branch, head: Revision) {
        self.log = Some((branch, Order::starting_after(head)));
        (self.read_from, self.beat_from, self.announced) = (head, head, Revision(0));
        (self.hole_since, self.beat_head, self.untold) = (None, None, None);
        if reason != ResetReason::LogDamaged {
            self.damage = None;
        }
        self.announce(News::Restarted { reason, branch, revision: head });
    }

    /// Goes on in a new epoch from what was delivered, which both logs share. Ops that wait behind a hole may
    /// not be shared. Every reader is told before it gets an op of the new epoch.
    fn go_on_in(&mut self, branch: Branch) {
        let revision = self.delivered();
        self.log = Some((branch, Order::starting_after(revision)));
        (self.hole_since, self.beat_head, self.untold) = (None, None, None);
        self.announce(News::Head { branch, revision });
    }

    // --- What is read -------------------------------------------------------------------------------

    /// The time of the next read: a hole has become too old by then, or one is wanted, by the room or by those who wait.
    pub(super) fn read_due_at(&self, is_awaited: bool, now: Instant) -> Option<Instant> {
        let repair_at = self.hole_since.map(|since| since + limits::HOLE_PATIENCE);
        let wanted_at = (self.wants_read || is_awaited).then_some(now);
        let due_at = [repair_at, wanted_at].into_iter().flatten().min()?;
        Some(self.not_before.map_or(due_at, |not_before| due_at.max(not_before)))
    }

    /// The next read; `wants_head` when some of those who wait need the head.
    pub(super) fn next_read(&self, wants_head: bool) -> NextRead {
        let is_behind = self.wants_read || self.hole_since.is_some();
        match &self.log {
            _ if self.skips_damage => NextRead::Head,
            Some(_) if !is_behind && !wants_head => NextRead::Fill,
            Some((_, order)) => NextRead::After(order.delivered()),
            None => NextRead::First,
        }
    }

    /// A read begins.
    pub(super) fn begin_read(&mut self, purpose: ReadPurpose, now: Instant) {
        if purpose != ReadPurpose::Fill {
            self.read_from = self.delivered();
            self.wants_read = false;
            if self.hole_since.is_some() {
                self.hole_since = Some(now + limits::REPAIR_RETRY);
            }
        }
        self.not_before = None;
    }
}

/// The ops of a page as readers get them. An op that cannot be read ends them, because readers never skip; the
/// store has looked at it already.
pub(super) fn committed(page: LogPage) -> Vec<CommittedOp> {
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

#[cfg(test)]
mod tests;
