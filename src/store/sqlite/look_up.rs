//! Looking up in SQLite what `resolve` wants to know.

use sqlx::Sqlite;
use uuid::Uuid;

use crate::{
    model::{DrawingId, Epoch},
    store::{
        AppendRequest, StoreError, branch_from_sql,
        resolve::{Known, KnownHead, fog_candidates},
        revision_from_sql,
        sql::{Tx, look_up_conditions, look_up_toggles, query},
    },
};

/// A row of `look_up`: the epoch and the one before; id, head, fog, floor, time and base of a drawing.
type LockedRow =
    (Uuid, Option<Uuid>, Option<Uuid>, Option<i64>, Option<bool>, Option<i64>, Option<i64>, Option<i64>);

/// Looks up everything that `resolve` wants to know; the transaction is the lock.
pub(super) async fn look_up(
    tx: &mut Tx<Sqlite>,
    batch: &[AppendRequest],
) -> Result<(Epoch, Known), StoreError> {
    let mut ids: Vec<DrawingId> = batch.iter().map(|r| r.drawing_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = query(
        "SELECT m.epoch, m.previous_epoch, h.drawing_id, h.revision, h.has_fog, h.floor, h.ts,
                CASE WHEN h.epoch = m.epoch THEN h.base ELSE h.revision END
           FROM meta m
           LEFT JOIN json_each($1) AS j LEFT JOIN heads h ON h.drawing_id = unhex(j.value)",
    )
    .bind(json_ids(ids.iter().map(|id| id.0)))
    .fetch_all::<LockedRow>(&mut *tx)
    .await?;
    let epoch = rows.first().map(|row| Epoch(row.0)).ok_or(StoreError::Corrupt("meta table"))?;
    let mut known = Known::default();
    let mut foggy = Vec::new();
    for row in rows {
        let (epoch, previous, Some(id), Some(revision), Some(has_fog), Some(floor), Some(ts), Some(base)) =
            row
        else {
            continue;
        };
        let branch = branch_from_sql(epoch, previous, base)?;
        let (revision, floor) = (revision_from_sql(revision)?, revision_from_sql(floor)?);
        known.heads.insert(DrawingId(id), KnownHead { revision, floor, ts, branch });
        if has_fog {
            foggy.push(id);
        }
    }
    let mut wanted = String::from("[");
    for request in batch {
        for op in &request.ops {
            let id = |id: Uuid| id.simple().to_string();
            for op_id in [Some(op.op_id), op.named_unit()].into_iter().flatten() {
                let comma = if wanted.len() > 1 { "," } else { "" };
                wanted.push_str(&format!("{comma}[\"{}\",\"{}\"]", id(request.drawing_id.0), id(op_id.0)));
            }
        }
    }
    wanted.push(']');
    let rows = query(
        "SELECT o.drawing_id, o.op_id, o.revision, o.unit, o.actor, o.body
           FROM json_each($1) AS w
           CROSS JOIN ops o ON o.drawing_id = unhex(w.value ->> 0) AND o.op_id = unhex(w.value ->> 1)",
    )
    .bind(wanted)
    .fetch_all::<(Uuid, Uuid, i64, Uuid, String, String)>(&mut *tx)
    .await?;
    for row in rows {
        known.add_op(row)?;
    }
    if !foggy.is_empty() {
        let rows = query(
            "SELECT DISTINCT f.drawing_id, f.object_id FROM json_each($1) AS w
              CROSS JOIN fog f ON f.drawing_id = unhex(w.value ->> 0) AND f.object_id = w.value ->> 1",
        )
        .bind(
            serde_json::json!(
                fog_candidates(batch, &foggy)
                    .map(|(id, object)| (id.simple().to_string(), object))
                    .collect::<Vec<_>>()
            )
            .to_string(),
        )
        .fetch_all::<(Uuid, String)>(&mut *tx)
        .await?;
        for row in rows {
            known.add_fog(row)?;
        }
    }
    look_up_toggles(tx, batch, &mut known).await?;
    look_up_conditions(tx, batch, &mut known).await?;
    Ok((epoch, known))
}

/// UUIDs as a JSON array of hexadecimal strings: SQLite's stand-in for an array parameter.
pub(super) fn json_ids(ids: impl Iterator<Item = Uuid>) -> String {
    let mut json = String::from("[");
    for id in ids {
        if json.len() > 1 {
            json.push(',');
        }
        json.push('"');
        json.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
        json.push('"');
    }
    json.push(']');
    json
}
