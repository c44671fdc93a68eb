//! The faults of a drawing, as they are printed.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::{
    limits,
    model::{DrawingId, Revision},
};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The drawing.
    pub drawing_id: DrawingId,
    /// The revision of the op or of the snapshot; where several are meant, the first.
    pub revision: Revision,
    /// The kind of fault.
    pub kind: Kind,
    /// The snapshot, where it is one that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<Uuid>,
    /// The same for a person; never a payload.
    pub detail: String,
}

/// Kinds of findings; docs/operating.md says what to do about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "docs/operating.md describes each")]
pub enum Kind {
    Hole,
    HeadMissing,
    OpOutside,
    HeadFloor,
    HeadBytes,
    HeadTime,
    HeadFog,
    OpRepeated,
    OpUnreadable,
    OpInvalid,
    OpIdDiffers,
    UnitDiffers,
    UnitUnfit,
    FoldUnfit,
    SnapshotBeyondHead,
    SnapshotMissing,
    SnapshotUnreadable,
    SnapshotDamaged,
    SnapshotDiffers,
    SnapshotBytes,
    More,
}

impl Kind {
    /// The name as it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hole => "hole",
            Self::HeadMissing => "head_missing",
            Self::OpOutside => "op_outside",
            Self::HeadFloor => "head_floor",
            Self::HeadBytes => "head_bytes",
            Self::HeadTime => "head_time",
            Self::HeadFog => "head_fog",
            Self::OpRepeated => "op_repeated",
            Self::OpUnreadable => "op_unreadable",
            Self::OpInvalid => "op_invalid",
            Self::OpIdDiffers => "op_id_differs",
            Self::UnitDiffers => "unit_differs",
            Self::UnitUnfit => "unit_unfit",
            Self::FoldUnfit => "fold_unfit",
            Self::SnapshotBeyondHead => "snapshot_beyond_head",
            Self::SnapshotMissing => "snapshot_missing",
            Self::SnapshotUnreadable => "snapshot_unreadable",
            Self::SnapshotDamaged => "snapshot_damaged",
            Self::SnapshotDiffers => "snapshot_differs",
            Self::SnapshotBytes => "snapshot_bytes",
            Self::More => "more",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drawing_id, revision, kind, snapshot_id, detail } = self;
        write!(f, "drawing {drawing_id} at {revision}: {}: ", kind.as_str())?;
        match snapshot_id {
            Some(id) => write!(f, "snapshot {id}: {detail}"),
            None => f.write_str(detail),
        }
    }
}

/// The faults that were found in one drawing: told at its end, when it is sure that it was not deleted
/// meanwhile.
#[derive(Debug)]
pub(super) struct Findings {
    drawing_id: DrawingId,
    found: Vec<Finding>,
    /// Those beyond `VERIFY_FINDINGS`.
    more: u64,
}

impl Findings {
    pub(super) fn of(drawing_id: DrawingId) -> Self {
        Self { drawing_id, found: Vec::new(), more: 0 }
    }

    pub(super) fn add(&mut self, kind: Kind, revision: Revision, detail: impl Into<String>) {
        self.push(kind, revision, None, detail.into());
    }

    pub(super) fn add_snapshot(
        &mut self,
        kind: Kind,
        revision: Revision,
        id: Uuid,
        detail: impl Into<String>,
    ) {
        self.push(kind, revision, Some(id), detail.into());
    }

    fn push(&mut self, kind: Kind, revision: Revision, snapshot_id: Option<Uuid>, detail: String) {
        if self.found.len() < limits::VERIFY_FINDINGS {
            let drawing_id = self.drawing_id;
            self.found.push(Finding { drawing_id, revision, kind, snapshot_id, detail });
        } else {
            self.more += 1;
        }
    }

    /// All that is to be told, and how many findings that is.
    pub(super) fn into_told(mut self) -> (Vec<Finding>, u64) {
        let count = self.found.len() as u64 + self.more;
        if self.more > 0 {
            let detail = format!("{} further findings", self.more);
            let (drawing_id, revision) = (self.drawing_id, Revision(0));
            self.found.push(Finding { drawing_id, revision, kind: Kind::More, snapshot_id: None, detail });
        }
        (self.found, count)
    }
}
