//! Appending to the logs in Postgres, on both roads.

use std::collections::HashMap;

use sqlx::Postgres;
use uuid::Uuid;

use super::{columns::Columns, look_up::look_up};
use crate::{
    model::{DrawingId, Epoch},
    store::{
        AppendRequest, Appended, AppendedTo, StoreError,
        resolve::{LogRow, Resolution, resolve},
        revision_from_sql, revision_to_sql,
        sql::{Pools, Tx, query},
    },
};

/// The one round trip. `None` when the batch needs care.
pub(super) async fn append_plain(
    pools: &Pools<Postgres>,
    batch: &[AppendRequest],
    now_ms: i64,
) -> Result<Option<Appended>, StoreError> {
    let columns = Columns::new(batch);
    let row = query(
        "SELECT log_epoch, heads_before, floors, times
           FROM append_ops($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)",
    )
    .bind(&columns.drawings)
    .bind(&columns.counts)
    .bind(&columns.sizes)
    .bind(&columns.guarded)
    .bind(&columns.op_drawing)
    .bind(&columns.op_nth)
    .bind(&columns.op_ids)
    .bind(&columns.op_units)
    .bind(&columns.op_actors)
    .bind(&columns.op_bodies)
    .bind(&columns.named_drawing)
    .bind(&columns.named_units)
    .bind(&columns.named_actors)
    .bind(&columns.epochs)
    .bind(now_ms)
    .fetch_one::<(Uuid, Vec<i64>, Vec<i64>, Vec<i64>)>(&pools.write)
    .await;
    let (epoch, heads_before, floors, times) = match row {
        Ok(row) => row,
        Err(error) if needs_care(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    pools.write.wrote();
    let heads_before = heads_before.into_iter().map(revision_from_sql).collect::<Result<Vec<_>, _>>()?;
    let mut heads = HashMap::with_capacity(columns.drawings.len());
    for (id, (floor, ts)) in columns.drawings.iter().zip(floors.into_iter().zip(times)) {
        heads.insert(DrawingId(*id), AppendedTo { ts, floor: revision_from_sql(floor)? });
    }
    Ok(Some(Appended { epoch: Epoch(epoch), heads, outcomes: columns.number(batch, &heads_before) }))
}

/// The road that looks at each op.
pub(super) async fn append_with_care(
    pools: &Pools<Postgres>,
    batch: &[AppendRequest],
    now_ms: i64,
) -> Result<Appended, StoreError> {
    let mut tx = pools.begin_write().await?;
    let (epoch, known) = look_up(&mut tx, batch).await?;
    let resolution = resolve(batch, known, now_ms);
    if !resolution.inserts.is_empty() {
        write(&mut tx, batch, &resolution, epoch).await?;
    }
    // Duplicates may not have reached a synchronous standby yet: a commit of one's own waits for that.
    let found = resolution.drawings_with_duplicates(batch);
    if resolution.inserts.is_empty() && !found.is_empty() {
        query("UPDATE heads SET revision = revision WHERE drawing_id = ANY($1)")
            .bind(&found)
            .execute(&mut tx)
            .await?;
    }
    tx.commit().await?;
    if !resolution.inserts.is_empty() {
        pools.write.wrote();
    }
    Ok(Appended { epoch, heads: resolution.appended_to(), outcomes: resolution.outcomes })
}

/// Returns `true` if the batch must be looked at op by op: the function says so, or an `op_id` is there.
fn needs_care(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else { return false };
    database.code().is_some_and(|code| code == "RC001") || database.constraint() == Some("ops_op_id_key")
}

async fn write(
    tx: &mut Tx<Postgres>,
    batch: &[AppendRequest],
    resolution: &Resolution,
    epoch: Epoch,
) -> Result<(), StoreError> {
    insert_ops(tx, &resolution.rows(batch)).await?;
    let heads = || resolution.heads.values();
    let fog: Vec<(Uuid, &str)> = resolution.fog.iter().map(|(id, object)| (id.0, object.as_str())).collect();
    let (fog_drawings, fog_objects): (Vec<Uuid>, Vec<&str>) = fog.into_iter().unzip();
    query(
        "UPDATE heads h
            SET revision = n.revision, floor = n.floor, ts = n.ts, bytes = h.bytes + n.bytes,
                base = CASE WHEN h.epoch = $7 THEN h.base ELSE h.revision END, epoch = $7,
                has_fog = has_fog OR h.drawing_id = ANY($6)
           FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
                AS n (drawing_id, revision, floor, ts, bytes) WHERE h.drawing_id = n.drawing_id",
    )
    .bind(resolution.heads.keys().map(|id| id.0).collect::<Vec<_>>())
    .bind(heads().map(|head| revision_to_sql(head.revision)).collect::<Vec<_>>())
    .bind(heads().map(|head| revision_to_sql(head.floor)).collect::<Vec<_>>())
    .bind(heads().map(|head| head.ts).collect::<Vec<_>>())
    .bind(heads().map(|head| head.bytes).collect::<Vec<_>>())
    .bind(&fog_drawings)
    .bind(epoch.0)
    .execute(&mut *tx)
    .await?;
    if !fog_drawings.is_empty() {
        query("INSERT INTO fog (drawing_id, object_id) SELECT * FROM unnest($1::uuid[], $2::text[])")
            .bind(&fog_drawings)
            .bind(&fog_objects)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Inserts rows into the table of ops.
pub(super) async fn insert_ops(tx: &mut Tx<Postgres>, rows: &[LogRow<'_>]) -> Result<(), StoreError> {
    query(
        "INSERT INTO ops (drawing_id, revision, op_id, unit, actor, ts, body)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::text[])",
    )
    .bind(rows.iter().map(|row| row.drawing_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.revision).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.op_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.unit).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.actor).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.ts).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.body).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    Ok(())
}
