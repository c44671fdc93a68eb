//! Looking up what guarded requests insist on, under the lock of the heads.

use super::{Dialect, Tx, query};
use crate::{
    model::UserId,
    store::{AppendRequest, StoreError, resolve::Known, revision_from_sql, revision_to_sql},
};

/// Looks up the undos and redos of units that guarded requests act on, under the lock of the heads.
pub(in crate::store) async fn look_up_toggles<DB: Dialect>(
    tx: &mut Tx<DB>,
    batch: &[AppendRequest],
    known: &mut Known,
) -> Result<(), StoreError> {
    for request in batch {
        let Some(since) = request.untoggled_since else { continue };
        let Some(head) = known.heads.get(&request.drawing_id).copied() else { continue };
        // A unit that is open began above the floor, and so did all that toggled it.
        let after = since.max(head.floor);
        let toggled = request.ops.iter().filter(|op| op.is_undo_redo);
        for unit in toggled.filter_map(|op| op.unit) {
            let rows = query(
                "SELECT revision, body FROM ops
                  WHERE drawing_id = $1 AND revision > $2 AND revision <= $3
                    AND unit = $4 AND op_id <> unit",
            )
            .bind(request.drawing_id.0)
            .bind(revision_to_sql(after))
            .bind(revision_to_sql(head.revision))
            .bind(unit.0)
            .fetch_all::<(i64, String)>(&mut *tx)
            .await?;
            for row in rows {
                known.add_of_unit(request.drawing_id, unit, row)?;
            }
        }
    }
    Ok(())
}

/// Looks up what conditional requests and folds insist on, under the lock of the heads: the latest op that is no
/// fold, and the lowest unit that was named since a fold was planned.
pub(in crate::store) async fn look_up_conditions<DB: Dialect>(
    tx: &mut Tx<DB>,
    batch: &[AppendRequest],
    known: &mut Known,
) -> Result<(), StoreError> {
    for request in batch {
        let drawing = request.drawing_id;
        let Some(head) = known.heads.get(&drawing).copied() else { continue };
        if request.if_revision.is_some_and(|expected| expected < head.revision)
            && !known.unfolded.contains_key(&drawing)
        {
            let latest = query(
                "SELECT revision FROM ops WHERE drawing_id = $1 AND revision <= $2 AND actor <> $3
                  ORDER BY revision DESC LIMIT 1",
            )
            .bind(drawing.0)
            .bind(revision_to_sql(head.revision))
            .bind(UserId::folder().as_str())
            .fetch_optional::<i64>(&mut *tx)
            .await?;
            known.unfolded.insert(drawing, revision_from_sql(latest.unwrap_or_default())?);
        }
        if let Some(plan) = request.fold.filter(|plan| plan.yields) {
            let lowest = query(
                "SELECT min(first.revision) FROM ops o
                   JOIN ops first ON first.drawing_id = o.drawing_id AND first.op_id = o.unit
                  WHERE o.drawing_id = $1 AND o.revision > $2 AND o.revision <= $3 AND o.op_id <> o.unit",
            )
            .bind(drawing.0)
            .bind(revision_to_sql(plan.planned_at))
            .bind(revision_to_sql(head.revision))
            .fetch_one::<Option<i64>>(&mut *tx)
            .await?;
            if let Some(lowest) = lowest {
                let lowest = revision_from_sql(lowest)?;
                let known = known.named.entry(drawing).or_insert(lowest);
                *known = lowest.min(*known);
            }
        }
    }
    Ok(())
}
