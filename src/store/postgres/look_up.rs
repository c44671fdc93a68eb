//! Locking heads in Postgres, and looking up what `resolve` wants to know.

use sqlx::Postgres;
use uuid::Uuid;

use crate::{
    model::{DrawingId, Epoch},
    store::{
        AppendRequest, StoreError, branch_from_sql,
        resolve::{Known, KnownHead, fog_candidates},
        revision_from_sql,
        sql::{Dialect, Tx, look_up_conditions, look_up_toggles, query},
    },
};

/// Locks the heads and looks up everything that `resolve` wants to know.
pub(super) async fn look_up(
    tx: &mut Tx<Postgres>,
    batch: &[AppendRequest],
) -> Result<(Epoch, Known), StoreError> {
    let drawings: Vec<Uuid> = batch.iter().map(|r| r.drawing_id.0).collect();
    let locked = query(
        "SELECT drawing_id, revision, has_fog, floor, ts, epoch, base
           FROM heads WHERE drawing_id = ANY($1) ORDER BY drawing_id FOR UPDATE",
    )
    .bind(&drawings)
    .fetch_all::<(Uuid, i64, bool, i64, i64, Option<Uuid>, i64)>(&mut *tx)
    .await?;
    let (epoch, previous) = Postgres::current_epoch(tx).await?;
    let mut known = Known::default();
    let mut foggy = Vec::new();
    for (id, revision, has_fog, floor, ts, last_epoch, base) in locked {
        let base = if last_epoch == Some(epoch) { base } else { revision };
        let branch = branch_from_sql(epoch, previous, base)?;
        let (revision, floor) = (revision_from_sql(revision)?, revision_from_sql(floor)?);
        known.heads.insert(DrawingId(id), KnownHead { revision, floor, ts, branch });
        if has_fog {
            foggy.push(id);
        }
    }
    let (mut wanted_drawings, mut wanted_ops) = (Vec::new(), Vec::new());
    for request in batch {
        for op in &request.ops {
            for id in [Some(op.op_id), op.named_unit()].into_iter().flatten() {
                wanted_drawings.push(request.drawing_id.0);
                wanted_ops.push(id.0);
            }
        }
    }
    let rows = query(
        "SELECT o.drawing_id, o.op_id, o.revision, o.unit, o.actor, o.body
           FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[]) AS w (drawing_id, op_id)) AS w
           JOIN ops o ON o.drawing_id = w.drawing_id AND o.op_id = w.op_id",
    )
    .bind(&wanted_drawings)
    .bind(&wanted_ops)
    .fetch_all::<(Uuid, Uuid, i64, Uuid, String, String)>(&mut *tx)
    .await?;
    for row in rows {
        known.add_op(row)?;
    }
    if !foggy.is_empty() {
        let (drawings, objects): (Vec<Uuid>, Vec<&str>) = fog_candidates(batch, &foggy).unzip();
        let rows = query(
            "SELECT DISTINCT f.drawing_id, f.object_id FROM unnest($1::uuid[], $2::text[]) AS w (drawing_id, object_id)
               JOIN fog f ON f.drawing_id = w.drawing_id AND f.object_id = w.object_id",
        )
        .bind(drawings)
        .bind(objects)
        .fetch_all::<(Uuid, String)>(&mut *tx)
        .await?;
        for row in rows {
            known.add_fog(row)?;
        }
    }
    look_up_toggles(tx, batch, &mut known).await?;
    look_up_conditions(tx, batch, &mut known).await?;
    Ok((Epoch(epoch), known))
}
