//! Puts commits in order.
//!
//! Owns the position of a room and what waits behind a hole. Pure: it decides what may be delivered
//! and never reads or sends.

use std::collections::BTreeMap;

use crate::model::{CommittedOp, Revision};

/// Ops that may wait behind a hole in a room.
/// At the bound, the farthest are dropped, and read from the store later.
const MAX_PENDING_OPS: usize = 1_000;

/// Takes commits in any order, with repeats and holes; gives out `n + 1` only.
#[derive(Debug)]
pub(super) struct Order {
    /// Everything up to here is in order.
    delivered: Revision,
    /// The ops that are in order and were not given out yet.
    ready: Vec<CommittedOp>,
    /// Ops beyond a hole, at most `MAX_PENDING_OPS`: the nearest.
    pending: BTreeMap<Revision, CommittedOp>,
    /// The highest revision that is known to be committed.
    known_head: Revision,
}

impl Order {
    pub(super) fn starting_after(revision: Revision) -> Self {
        Self { delivered: revision, ready: Vec::new(), pending: BTreeMap::new(), known_head: revision }
    }

    pub(super) fn delivered(&self) -> Revision {
        self.delivered
    }

    /// Returns `true` if an op is known to be committed that cannot be delivered yet.
    pub(super) fn has_hole(&self) -> bool {
        self.known_head > self.delivered
    }

    /// Learns that the log reaches `head`.
    pub(super) fn learn_head(&mut self, head: Revision) {
        self.known_head = self.known_head.max(head);
    }

    /// Learns from the store that the log ended at `head` a moment ago: what was announced beyond it
    /// and has not come counts no longer.
    pub(super) fn settle(&mut self, head: Revision) {
        let pending = self.pending.last_key_value().map_or(head, |(last, _)| *last);
        self.known_head = self.delivered.max(head).max(pending);
    }

    /// Takes an op in; one that was delivered, or waits already, changes nothing.
    pub(super) fn accept(&mut self, op: CommittedOp) {
        self.learn_head(op.revision);
        if op.revision == self.delivered.next() {
            self.advance(op);
            while let Some(op) = self.pending.remove(&self.delivered.next()) {
                self.advance(op);
            }
        } else if op.revision > self.delivered {
            self.pending.entry(op.revision).or_insert(op);
            if self.pending.len() > MAX_PENDING_OPS {
                // Behind a long hole no more is kept: the store will give it all.
                self.pending.pop_last();
            }
        }
    }

    fn advance(&mut self, op: CommittedOp) {
        self.delivered = op.revision;
        self.ready.push(op);
    }

    /// Gives out what is next, in order.
    pub(super) fn take_ready(&mut self) -> Vec<CommittedOp> {
        std::mem::take(&mut self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(revision: u64) -> CommittedOp {
        CommittedOp { revision: Revision(revision), json: revision.to_string().into() }
    }

    fn ready(order: &mut Order) -> Vec<u64> {
        order.take_ready().iter().map(|op| op.revision.0).collect()
    }

    #[test]
    fn ops_leave_in_order_and_once_however_they_come() {
        let mut order = Order::starting_after(Revision(4));
        for revision in [6, 5, 6, 3, 4, 8, 5] {
            order.accept(op(revision));
        }
        assert_eq!(ready(&mut order), [5, 6]);
        assert!(order.has_hole());
        order.accept(op(7));
        order.accept(op(6));
        assert_eq!(ready(&mut order), [7, 8]);
        assert!(!order.has_hole());
    }

    #[test]
    fn a_head_alone_reveals_a_hole() {
        let mut order = Order::starting_after(Revision(4));
        order.learn_head(Revision(5));
        assert!(order.has_hole());
        assert!(order.take_ready().is_empty());
    }

    #[test]
    fn what_waits_behind_a_hole_is_bounded_and_the_hole_stays_known() {
        let mut order = Order::starting_after(Revision(0));
        let last = 2 * MAX_PENDING_OPS as u64;
        for revision in 2..=last {
            order.accept(op(revision));
        }
        assert_eq!(order.pending.len(), MAX_PENDING_OPS);
        order.accept(op(1));
        assert_eq!(order.take_ready().len(), MAX_PENDING_OPS + 1);
        assert!(order.has_hole());
    }
}
