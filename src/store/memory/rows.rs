//! The rows of the store in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use crate::{
    model::{Branch, DrawingId, Epoch, ObjectId, OpId, Revision, Role, Trunk, UserId},
    store::{Link, Snapshot},
};

/// Everything that is stored.
#[derive(Debug)]
pub(super) struct State {
    pub epoch: Epoch,
    /// The epoch with which this one goes on.
    pub previous: Option<Epoch>,
    pub server_key: Uuid,
    pub drawings: BTreeMap<DrawingId, Row>,
    /// Links by the hash of their token.
    pub links: BTreeMap<String, Link>,
    /// Ids whose blobs are to be removed.
    pub waste: BTreeMap<Uuid, DrawingId>,
}

/// Where a drawing is between its beginning and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It is being imported, since then.
    Importing(i64),
    /// Its import is being undone.
    Aborting,
    Whole,
    Deleted,
}

/// One drawing.
#[derive(Debug)]
pub(super) struct Row {
    pub title: String,
    pub created_by: UserId,
    pub created_at: i64,
    pub updated_at: i64,
    pub life: Life,
    /// Absent while it is imported, and once it is deleted.
    pub head: Option<Head>,
    /// The log, from revision 1 on.
    pub ops: Vec<Op>,
    /// Places in `ops`.
    pub by_id: HashMap<OpId, usize>,
    pub fog: BTreeSet<ObjectId>,
    pub members: BTreeMap<UserId, Role>,
    pub snapshots: BTreeMap<Revision, Snapshot>,
    /// The id that is claimed, and until when.
    pub claim: Option<(Uuid, i64)>,
}

/// Where a log stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    pub revision: Revision,
    pub floor: Revision,
    pub ts: i64,
    pub bytes: i64,
    /// The epoch of its latest op, and the head before the first one in that epoch.
    pub epoch: Option<Epoch>,
    pub base: Revision,
}

/// One op of a log.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub op_id: OpId,
    pub unit: Option<OpId>,
    pub actor: UserId,
    pub ts: i64,
    pub body: Box<str>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            epoch: Epoch(Uuid::new_v4()),
            previous: None,
            server_key: Uuid::new_v4(),
            drawings: BTreeMap::new(),
            links: BTreeMap::new(),
            waste: BTreeMap::new(),
        }
    }
}

impl State {
    /// The branch by which the log of a drawing goes on from the epoch before.
    pub(super) fn branch(&self, head: &Head) -> Branch {
        let base = if head.epoch == Some(self.epoch) { head.base } else { head.revision };
        Branch { epoch: self.epoch, trunk: self.previous.map(|epoch| Trunk { epoch, base }) }
    }

    /// A drawing that is there for its members.
    pub(super) fn whole(&mut self, id: DrawingId) -> Option<&mut Row> {
        self.drawings.get_mut(&id).filter(|row| row.life == Life::Whole)
    }

    /// The head of a drawing, and its row.
    pub(super) fn headed(&self, id: DrawingId) -> Option<(Head, &Row)> {
        let row = self.drawings.get(&id)?;
        Some((row.head?, row))
    }
}

impl Row {
    pub(super) fn new(title: &str, owner: &UserId, now_ms: i64, life: Life) -> Self {
        Self {
            title: title.to_owned(),
            created_by: owner.clone(),
            created_at: now_ms,
            updated_at: now_ms,
            life,
            head: None,
            ops: Vec::new(),
            by_id: HashMap::new(),
            fog: BTreeSet::new(),
            members: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            claim: None,
        }
    }

    pub(super) fn push(&mut self, op: Op) {
        self.by_id.insert(op.op_id, self.ops.len());
        self.ops.push(op);
    }

    /// The revision of the op with this id, and the op.
    pub(super) fn find(&self, id: OpId) -> Option<(Revision, &Op)> {
        let place = *self.by_id.get(&id)?;
        Some((Revision(place as u64 + 1), self.ops.get(place)?))
    }

    /// The ops in `(after, until]`, each with its revision.
    pub(super) fn range(
        &self,
        after: Revision,
        until: Revision,
    ) -> impl DoubleEndedIterator<Item = (Revision, &Op)> {
        let place =
            |revision: Revision| usize::try_from(revision.0).unwrap_or(usize::MAX).min(self.ops.len());
        let (after, until) = (place(after), place(until));
        let ops = self.ops.get(after..until).unwrap_or_default();
        ops.iter().enumerate().map(move |(nth, op)| (Revision((after + nth) as u64 + 1), op))
    }
}
