//! The choice of snapshots that are kept: the newest few, and one in each stretch of the log.

use uuid::Uuid;

use crate::{limits, store::Snapshot};

/// Those of `snapshots`, which come newest first and at most `SNAPSHOT_RETENTION_LOOK` at a time, that are not
/// needed any more: all but the newest `SNAPSHOTS_KEPT` without which there is a snapshot, or the beginning of
/// the log, within `SNAPSHOT_STRETCH` below each revision still. A snapshot that is kept once is kept for good.
pub(super) fn superseded(snapshots: &[Snapshot]) -> Vec<Uuid> {
    let mut superseded = Vec::new();
    // The last one that is kept. If there may be more of them, the oldest of these has been kept before.
    let is_all = snapshots.len() < limits::SNAPSHOT_RETENTION_LOOK as usize;
    let mut kept = match snapshots.last() {
        Some(oldest) if !is_all => oldest.revision.0,
        _ => 0,
    };
    for pair in snapshots.windows(2).skip(limits::SNAPSHOTS_KEPT - 1).rev() {
        let (next, this) = (&pair[0], &pair[1]);
        if next.revision.0 - kept <= limits::SNAPSHOT_STRETCH && this.revision.0 > kept {
            superseded.push(this.snapshot_id);
        } else {
            kept = this.revision.0;
        }
    }
    superseded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Revision;

    fn snapshots(revisions: &[u64]) -> Vec<Snapshot> {
        let snapshot = |&revision: &u64| Snapshot {
            revision: Revision(revision),
            snapshot_id: Uuid::from_u128(revision.into()),
            checksum: String::new(),
            bytes: 0,
            log_bytes: 0,
            created_at: 0,
        };
        revisions.iter().map(snapshot).collect()
    }

    fn gone(revisions: &[u64]) -> Vec<u128> {
        superseded(&snapshots(revisions)).iter().map(|id| id.as_u128()).collect()
    }

    #[test]
    fn the_newest_three_stay() {
        assert!(gone(&[]).is_empty());
        assert!(gone(&[1500, 1000, 500]).is_empty());
    }

    #[test]
    fn of_the_others_those_stay_without_which_a_way_would_be_longer_than_ten_thousand_revisions() {
        assert_eq!(gone(&[2500, 2000, 1500, 1000, 500]), [500, 1000]);
        assert_eq!(gone(&[31_500, 31_000, 30_500, 30_000, 20_500, 20_000, 9_500, 500]), [500, 20_500]);
        assert_eq!(gone(&[40_000, 39_999, 39_998, 29_999, 19_999, 10_000]), [0; 0]);
    }

    #[test]
    fn what_has_been_kept_once_is_kept_as_snapshots_are_added() {
        let mut kept: Vec<u64> = Vec::new();
        for revision in (500..=60_000).step_by(500) {
            kept.insert(0, revision);
            let gone = gone(&kept);
            kept.retain(|revision| !gone.contains(&u128::from(*revision)));
        }
        assert_eq!(kept, [60_000, 59_500, 59_000, 50_000, 40_000, 30_000, 20_000, 10_000]);
    }

    #[test]
    fn of_more_snapshots_than_are_looked_at_the_oldest_is_taken_for_kept() {
        let look = u64::from(limits::SNAPSHOT_RETENTION_LOOK);
        let revisions: Vec<u64> = (100..100 + look).rev().map(|nth| nth * limits::SNAPSHOT_STRETCH).collect();
        assert!(gone(&revisions).is_empty());
    }
}
