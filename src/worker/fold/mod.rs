//! Folding: the server writes a `fold` into the log where more can be undone than is good.
//!
//! Owns when to fold. Workers tell what can still be undone in a drawing whenever they have built a snapshot of it; the node
//! that commits tells of drawings that no worker looks after. A fold takes the way of every op, and is dropped where the
//! log is not the one on which it was planned.

mod policy;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::OpenHistory;
use crate::{
    clock::{millis, now_ms},
    commit::{CommitError, Committer},
    limits,
    model::{CheckedOp, DrawingId, Epoch, Revision, Role, ServerOps, UserId},
    store::{AppendRequest, FoldPlan, Log, OpOutcome, ReadRange, Snapshots, Store, StoreError, call},
    telemetry::Metrics,
};
use policy::{Plan, plan};

/// Folds what others tell of.
pub struct Folder {
    /// Says when ops were committed, and by whom.
    log: Arc<dyn Log>,
    /// Says how far a worker has come.
    snapshots: Arc<dyn Snapshots>,
    committer: Committer,
    ids: ServerOps,
    metrics: Arc<Metrics>,
    /// The most bytes that the open history of a drawing may weigh.
    budget: u64,
}

/// Where a [`Folder`] is told of drawings.
#[derive(Debug)]
pub struct FolderQueues {
    /// The histories that can still be undone, as workers find them.
    pub open: mpsc::Receiver<OpenHistory>,
    /// Drawings in which many revisions are open.
    pub unattended: mpsc::Receiver<DrawingId>,
}

impl Folder {
    /// Folds histories that weigh more than `budget` bytes.
    #[must_use]
    pub fn new(
        store: &Arc<dyn Store>,
        committer: Committer,
        ids: ServerOps,
        metrics: &Arc<Metrics>,
        budget: u64,
    ) -> Self {
        let (log, snapshots) = (store.clone(), store.clone());
        Self { log, snapshots, committer, ids, metrics: metrics.clone(), budget }
    }

    /// Works until `stop`.
    pub async fn run(self, mut queues: FolderQueues, stop: CancellationToken) {
        let work = async {
            loop {
                let outcome = tokio::select! {
                    Some(open) = queues.open.recv() => self.fold(&open).await.map(drop),
                    Some(drawing) = queues.unattended.recv() => {
                        self.fold_unattended(drawing, now_ms()).await.map(drop)
                    }
                    else => return,
                };
                if let Err(error) = outcome {
                    crate::store::log_store_failure!(
                        error,
                        "a drawing could not be folded; it is looked at again when it has grown"
                    );
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Folds a drawing if what can still be undone there weighs more than the budget; tells whether it was folded.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fold(&self, open: &OpenHistory) -> Result<bool, StoreError> {
        let drawing = open.drawing_id;
        let (floor, yields) = match plan(&open.units, open.revision, self.budget) {
            Plan::Nothing => return Ok(false),
            Plan::Fold { lowest, highest } => {
                let Some(floor) = self.end_of_run(drawing, lowest, highest).await? else { return Ok(false) };
                (floor, true)
            }
            Plan::FoldHard { floor } => (floor, false),
            Plan::FoldLast { lowest, hard, begun_before_ms } => {
                let old = self.committed_before(drawing, begun_before_ms).await?;
                (hard.max(lowest.min(old)), false)
            }
        };
        let plan = FoldPlan { floor, from: open.floor, planned_at: open.revision, yields };
        Ok(plan.floor > plan.from && self.commit(drawing, open.epoch, plan).await)
    }

    /// Folds a drawing in which very much is open, unless a worker has looked at it of late; what was committed within
    /// `FOLD_HARD_KEEPS` stays open in any case.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fold_unattended(&self, drawing: DrawingId, now_ms: i64) -> Result<bool, StoreError> {
        let heads = call(self.log.heads(&[drawing])).await?;
        let Some(stand) = heads.stands.get(&drawing) else { return Ok(false) };
        if stand.head.0.saturating_sub(stand.floor.0) < limits::FOLD_UNATTENDED_OPEN {
            return Ok(false);
        }
        let floor = Revision(stand.head.0 - limits::FOLD_UNATTENDED_KEEPS);
        let newest = call(self.snapshots.snapshots(drawing, stand.head, 1)).await?;
        if newest.first().is_some_and(|snapshot| snapshot.revision >= floor) {
            return Ok(false);
        }
        let then = now_ms - millis(limits::FOLD_HARD_KEEPS);
        let floor = floor.min(self.committed_before(drawing, then).await?);
        let plan = FoldPlan { floor, from: stand.floor, planned_at: stand.head, yields: false };
        Ok(plan.floor > plan.from && self.commit(drawing, stand.branch.epoch, plan).await)
    }

    /// The last revision that was committed by then.
    async fn committed_before(&self, drawing: DrawingId, then_ms: i64) -> Result<Revision, StoreError> {
        Ok(call(self.log.revision_at(drawing, then_ms)).await?.unwrap_or_default())
    }

    /// The last op that was committed at the time of op `lowest`: those of one actor among them may be one gesture. `None`
    /// where that is above `highest`.
    async fn end_of_run(
        &self,
        drawing_id: DrawingId,
        lowest: Revision,
        highest: Revision,
    ) -> Result<Option<Revision>, StoreError> {
        let mut after = Revision(lowest.0.saturating_sub(1));
        let mut time: Option<i64> = None;
        // Mostly the next op is of another time.
        let mut limit = limits::PAGE_PROBE_OPS;
        while after <= highest {
            let range =
                ReadRange { drawing_id, after, until: None, limit, max_bytes: limits::MAX_PAGE_BYTES };
            let Some(page) = call(self.log.read(&range)).await? else { return Ok(None) };
            if page.ops.is_empty() {
                return Ok(None);
            }
            for op in page.ops {
                if *time.get_or_insert(op.ts) != op.ts {
                    return Ok((after <= highest).then_some(after));
                }
                after = op.revision;
            }
            limit = limits::MAX_PAGE_OPS;
        }
        Ok(None)
    }

    async fn commit(&self, drawing: DrawingId, epoch: Epoch, plan: FoldPlan) -> bool {
        let cause: [&[u8]; 2] = [drawing.0.as_bytes(), &plan.from.0.to_be_bytes()];
        let op_id = self.ids.id("fold", &cause);
        let body = format!(r#"{{"op_id":"{op_id}","type":"fold","floor":{}}}"#, plan.floor);
        let op = CheckedOp::without_unit(op_id, body.into());
        let request = AppendRequest::new(drawing, UserId::folder(), Role::Owner, vec![op]);
        let request = AppendRequest { epoch: Some(epoch), fold: Some(plan), ..request };
        match self.committer.commit(request).await {
            Ok(committed) => {
                // Another worker may have written the same one.
                let is_ours = matches!(committed.ops.first(), Some(OpOutcome::Committed(_)));
                self.metrics.folds.increment(u64::from(is_ours));
                tracing::debug!(%drawing, floor = %plan.floor, is_ours, "folded");
                is_ours
            }
            Err(CommitError::Refused(_, refusal)) => {
                tracing::debug!(%drawing, ?refusal, "a fold was dropped");
                false
            }
            // The writer has logged what failed.
            Err(error) => {
                tracing::debug!(%drawing, %error, "a fold was not committed; another one is planned later");
                false
            }
        }
    }
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder").field("budget", &self.budget).finish_non_exhaustive()
    }
}
