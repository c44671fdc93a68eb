//! Imports: a log that comes from another server, visible only when it is whole.
//!
//! Owns the way of a drawing from the begin of its import to the end. It never numbers an op and never checks one; the log
//! was committed elsewhere.

use async_trait::async_trait;

use super::{CreateOutcome, StoreError};
use crate::model::{CheckedOp, DrawingId, OpId, Revision, UserId};

/// The part of the store that takes in whole logs. Times are milliseconds since 1970.
///
/// Invariants every back end keeps:
///
/// 1. A drawing that is being imported shows itself to nobody, takes no op, and its id is taken.
/// 2. The ops that were imported are 1, 2, 3 … without hole, and are kept as they came.
/// 3. An import that is being undone takes nothing more, and is never finished.
#[async_trait]
pub trait Imports: Send + Sync + 'static {
    /// Begins an import. [`CreateOutcome::Exists`] when `owner` began it before: what was imported is
    /// there still, and it may go on or be aborted.
    async fn begin_import(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError>;

    /// Adds ops in one transaction; those that were added before are passed over, so that a call that
    /// broke off may be repeated. False, and nothing is written, when there is no such import or the
    /// ops do not follow those that are there: none is missing, and the last one is there as it came, if
    /// it comes again.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when an `op_id` stands elsewhere in the log.
    async fn import_ops(&self, id: DrawingId, ops: &[ImportedOp]) -> Result<bool, StoreError>;

    /// Makes the drawing visible, with `owner` as its owner; false, and nothing changes, when there is
    /// no such import or its last op is not the head of `log`. The log has nothing in common with one of an epoch before.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when an op of it is missing by now.
    async fn finish_import(
        &self,
        id: DrawingId,
        owner: &UserId,
        log: &ImportedLog,
    ) -> Result<bool, StoreError>;

    /// Removes up to `limit` ops of an unfinished import, and the drawing when none are left. True
    /// when all is gone, or there is no such import.
    async fn abort_import(&self, id: DrawingId, limit: u32) -> Result<bool, StoreError>;

    /// Lists the unfinished imports that began before `before_ms` or are being undone.
    async fn stale_imports(&self, before_ms: i64) -> Result<Vec<DrawingId>, StoreError>;
}

/// The sum of a whole log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportedLog {
    /// Its last revision.
    pub head: Revision,
    /// The floor of its latest fold.
    pub floor: Revision,
    /// The time of its latest op, in milliseconds since 1970.
    pub ts: i64,
    /// The bytes of all its ops.
    pub bytes: u64,
}

/// One op of a log that is imported, with what the other server had added to it.
#[derive(Clone, Debug)]
pub struct ImportedOp {
    /// The op.
    pub op: CheckedOp,
    /// Its place in the log.
    pub revision: Revision,
    /// The user who sent it.
    pub actor: UserId,
    /// When it was committed, in milliseconds since 1970.
    pub ts: i64,
}

/// The ops after `last`; `None` when they do not follow it one by one, or are those of another log: a log only grows,
/// so that two with the same op at one place are the same up to there.
pub(super) fn ops_after(last: (Revision, Option<OpId>), ops: &[ImportedOp]) -> Option<&[ImportedOp]> {
    let (last, last_id) = last;
    let known = ops.iter().take_while(|op| op.revision <= last).count();
    let (old, new) = ops.split_at(known);
    if old.iter().any(|op| op.revision == last && Some(op.op.op_id) != last_id) {
        return None;
    }
    let mut next = last;
    let is_contiguous = new.iter().all(|op| {
        next = next.next();
        op.revision == next
    });
    is_contiguous.then_some(new)
}
