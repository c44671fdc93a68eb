//! The news that a broadcaster hands to its readers in one round.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};

use crate::{
    model::{Branch, Epoch, Revision},
    wire::{Encoding, Encodings, Item, News},
};

/// The items that a broadcaster hands to its readers in one round.
#[derive(Debug)]
pub struct Batch {
    /// The items, in order.
    pub items: Vec<Arc<Item>>,
    /// Their numbers, those of heads that were superseded included; and how often numbers had been given again by then.
    pub(super) numbers: Range<u64>,
    pub(super) layout: u64,
    /// First and last revision of their ops, if there are any.
    pub(super) revisions: Option<(Revision, Revision)>,
    /// The number of times that the log had been replaced when they were told.
    pub(super) log: u64,
    /// `true` if the log is replaced in between.
    pub(super) restarts: bool,
    /// The epoch of the log when they were told, and the one before, if it is among them that the log goes on.
    pub(super) epoch: Option<Epoch>,
    pub(super) tells_after: Option<Epoch>,
    /// The last branch that a head among them tells.
    pub(super) branch: Option<Branch>,
    /// All of them as one piece.
    joined: Encodings,
}

impl Batch {
    pub(super) fn new(items: Vec<Arc<Item>>, numbers: Range<u64>, log: u64, layout: u64) -> Self {
        let (restarts, joined) = (false, Encodings::default());
        let (revisions, epoch, tells_after, branch) = (None, None, None, None);
        let mut batch =
            Self { items, numbers, layout, revisions, log, restarts, epoch, tells_after, branch, joined };
        for item in &batch.items {
            match &item.news {
                News::Ops(frame) => {
                    let from = batch.revisions.map_or(frame.first, |(from, _)| from);
                    batch.revisions = Some((from, frame.last));
                }
                News::Restarted { .. } => batch.restarts = true,
                News::Head { branch, .. } => batch.branch = Some(*branch),
            }
        }
        batch
    }

    /// Notes of which epoch the log is, and after which one the items tell so.
    pub(super) fn note_epoch(&mut self, epoch: Epoch, tells_after: Option<Epoch>) {
        (self.epoch, self.tells_after) = (Some(epoch), tells_after);
    }

    /// Number of the item after the last.
    pub(in crate::room) fn end(&self) -> u64 {
        self.numbers.end
    }

    /// All items as one piece in one encoding, made once for all readers.
    pub(crate) fn bytes(&self, encoding: Encoding) -> &Bytes {
        self.joined.get(encoding, || match self.items.as_slice() {
            [item] => item.bytes(encoding).clone(),
            items => {
                let mut all = BytesMut::new();
                for item in items {
                    all.extend_from_slice(item.bytes(encoding));
                }
                all.freeze()
            }
        })
    }
}
