//! `revcast verify`: reads all logs and snapshots, and tells what is wrong with them.
//!
//! Owns the walk through the drawings, and what is told of it. It writes nothing, and works beside running servers: of a
//! drawing it looks at what was there when it came, and what is deleted meanwhile is no finding.

mod finding;
mod log;
mod snapshots;

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use serde::Serialize;

use self::{finding::Findings, log::LogCheck, snapshots::SnapshotChecks};
use crate::{
    model::{Canvas, DrawingId, Revision},
    snapshot::{BlobError, Blobs},
    store::{InspectedHead, InspectedOp, Store, StoreError, call},
};

pub use finding::{Finding, Kind};

/// Drawings that are listed at once.
const VERIFY_DRAWINGS: u32 = 1_000;
/// Ops that are read at once: at most some 16 MB.
const VERIFY_OPS: u32 = 250;
/// The number of times that a drawing is looked at again because a failover changed it meanwhile.
const VERIFY_ATTEMPTS: u32 = 3;
/// The interval at which the progress is told.
const VERIFY_PROGRESS: Duration = Duration::from_secs(5);

/// The number of things that were looked at, and of the findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Drawings.
    pub drawings: u64,
    /// Ops.
    pub ops: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Findings, those included that were only counted.
    pub findings: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drawings, ops, snapshots, findings } = self;
        write!(f, "{drawings} drawings, {ops} ops, {snapshots} snapshots: {findings} findings")
    }
}

/// Why it could not be told whether all is well.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store does not answer.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// A finding could not be told.
    #[error("a finding could not be written: {0}")]
    Output(#[from] io::Error),
    /// There is no such drawing.
    #[error("there is no drawing {0}")]
    NoDrawing(DrawingId),
    /// The log went back again and again.
    #[error("the log of drawing {0} changes under the hands; is a failover under way?")]
    Unsteady(DrawingId),
}

/// Looks at drawings, one after the other.
#[allow(missing_debug_implementations, reason = "made once, and never shown")]
pub struct Verifier<'a> {
    store: &'a dyn Store,
    /// Where snapshots lie; `None` to leave them out.
    blobs: Option<&'a Blobs>,
    summary: Summary,
    told_at: Instant,
}

/// The outcome of looking at a drawing once.
enum Looked {
    /// It was looked at to the end.
    Whole,
    /// It is not there, or not any more.
    Gone,
    /// A failover has changed it meanwhile.
    Changed,
}

/// The faults in the rows of a whole log, as [`Verifier`] would tell them.
#[must_use]
pub fn check_log(drawing: DrawingId, head: &InspectedHead, rows: &[InspectedOp]) -> Vec<Finding> {
    let (mut check, mut found) = (LogCheck::default(), Findings::of(drawing));
    for row in rows {
        check.take(row, &mut found);
    }
    check.end(head, &mut found);
    found.into_told().0
}

impl<'a> Verifier<'a> {
    /// Reads from `store` and, unless snapshots are left out, from `blobs`.
    #[must_use]
    pub fn new(store: &'a dyn Store, blobs: Option<&'a Blobs>) -> Self {
        Self { store, blobs, summary: Summary::default(), told_at: Instant::now() }
    }

    /// Looks at one drawing, or at all of them, and tells each finding.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub async fn run(
        mut self,
        only: Option<DrawingId>,
        tell: &mut (dyn FnMut(&Finding) -> io::Result<()> + Send),
    ) -> Result<Summary, VerifyError> {
        if let Some(drawing) = only {
            if !self.look(drawing, tell).await? {
                return Err(VerifyError::NoDrawing(drawing));
            }
            return Ok(self.summary);
        }
        let mut after = None;
        loop {
            let drawings = call(self.store.list_drawings(after, VERIFY_DRAWINGS)).await?;
            let Some(last) = drawings.last() else { return Ok(self.summary) };
            after = Some(*last);
            for drawing in drawings {
                self.look(drawing, tell).await?;
            }
        }
    }

    /// Looks at a drawing; false when it is not there, or not any more.
    async fn look(
        &mut self,
        drawing: DrawingId,
        tell: &mut (dyn FnMut(&Finding) -> io::Result<()> + Send),
    ) -> Result<bool, VerifyError> {
        for _ in 0..VERIFY_ATTEMPTS {
            let mut found = Findings::of(drawing);
            match self.look_once(drawing, &mut found).await? {
                Looked::Changed => continue,
                Looked::Gone => return Ok(false),
                Looked::Whole => (),
            }
            let (told, count) = found.into_told();
            // A finding may be a trace of the drawing's deletion.
            if !told.is_empty() && call(self.store.inspect_drawing(drawing)).await?.is_none() {
                return Ok(false);
            }
            self.summary.drawings += 1;
            self.summary.findings += count;
            for finding in &told {
                tell(finding)?;
            }
            return Ok(true);
        }
        Err(VerifyError::Unsteady(drawing))
    }

    async fn look_once(&mut self, drawing: DrawingId, found: &mut Findings) -> Result<Looked, VerifyError> {
        let mut snapshots = match self.blobs {
            Some(blobs) => Some(SnapshotChecks::list(drawing, self.store, blobs).await?),
            None => None,
        };
        let Some(inspected) = call(self.store.inspect_drawing(drawing)).await? else {
            return Ok(Looked::Gone);
        };
        let (first, last) = inspected.ends.unwrap_or_default();
        let Some(head) = inspected.head else {
            found.add(Kind::HeadMissing, Revision(last.unsigned_abs()), "the row of its head is missing");
            return Ok(Looked::Whole);
        };
        let Ok(until) = u64::try_from(head.revision).map(Revision) else {
            found.add(Kind::HeadMissing, Revision(0), "the revision of its head is negative");
            return Ok(Looked::Whole);
        };
        if first < 0 || (inspected.ends.is_some() && first == 0) {
            found.add(Kind::OpOutside, Revision(0), format!("ops stand below revision 1, from {first} on"));
        }
        if last > head.revision {
            let detail = format!("ops stand beyond the head {until}, up to {last}");
            found.add(Kind::OpOutside, until.next(), detail);
        }
        let looked = self.follow(drawing, &head, until, &mut snapshots, found).await?;
        if let (Looked::Whole, Some(snapshots)) = (&looked, snapshots) {
            self.summary.snapshots += snapshots.end(found);
        }
        Ok(looked)
    }

    /// Follows the log up to `until`, and looks at the snapshots on the way.
    async fn follow(
        &mut self,
        drawing: DrawingId,
        head: &InspectedHead,
        until: Revision,
        snapshots: &mut Option<SnapshotChecks<'_>>,
        found: &mut Findings,
    ) -> Result<Looked, VerifyError> {
        let mut check = LogCheck::default();
        // The canvas at the last op; unknown behind what is missing.
        let mut canvas = Some(Canvas::new());
        let (mut after, mut ops) = (Revision(0), 0);
        loop {
            let page = self.store.inspect_ops(drawing, after, until, VERIFY_OPS);
            let Some(page) = call(page).await? else { return Ok(Looked::Gone) };
            if page.epoch != head.epoch || page.head < head.revision {
                return Ok(Looked::Changed);
            }
            let Some(last) = page.ops.last() else { break };
            after = last.revision;
            ops += page.ops.len() as u64;
            for row in &page.ops {
                if let Some(snapshots) = snapshots {
                    // Those of revisions that are missing here.
                    let before = Revision(row.revision.0 - 1);
                    snapshots.reach(before, &mut canvas, None, found).await?;
                }
                let op = check.take(row, found);
                let is_next = |canvas: &Canvas| canvas.revision().next() == row.revision;
                canvas = match (canvas, op) {
                    (Some(mut canvas), Some(op)) if snapshots.is_some() && is_next(&canvas) => {
                        canvas.apply(&op);
                        Some(canvas)
                    }
                    _ => None,
                };
                if let Some(snapshots) = snapshots {
                    let bytes = check.is_whole().then_some(check.bytes());
                    snapshots.reach(row.revision, &mut canvas, bytes, found).await?;
                }
            }
            self.report_progress(ops);
        }
        if let Some(snapshots) = snapshots {
            snapshots.reach(until, &mut None, None, found).await?;
        }
        check.end(head, found);
        self.summary.ops += ops;
        Ok(Looked::Whole)
    }

    fn report_progress(&mut self, ops_of_drawing: u64) {
        if self.told_at.elapsed() >= VERIFY_PROGRESS {
            self.told_at = Instant::now();
            let Summary { drawings, ops, snapshots, findings } = self.summary;
            let ops = ops + ops_of_drawing;
            tracing::info!(drawings, ops, snapshots, findings, "verifying");
        }
    }
}
