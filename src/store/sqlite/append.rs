//! Writing to the logs in SQLite.

use sqlx::{AssertSqlSafe, Sqlite};

use crate::{
    model::Epoch,
    store::{
        AppendRequest, StoreError,
        resolve::{LogRow, NewHead, Resolution},
        sql::{Tx, query},
    },
};

/// Rows inserted by one statement, largest first: a batch is cut into these, so that each
/// statement is prepared once.
const INSERT_ROWS: [usize; 4] = [64, 16, 4, 1];

/// Writes what `resolve` has decided.
pub(super) async fn write(
    tx: &mut Tx<Sqlite>,
    batch: &[AppendRequest],
    resolution: &Resolution,
    epoch: Epoch,
) -> Result<(), StoreError> {
    insert_ops(tx, &resolution.rows(batch)).await?;
    let mut heads = String::from("[");
    for (id, NewHead { revision, floor, ts, bytes }) in &resolution.heads {
        let comma = if heads.len() > 1 { "," } else { "" };
        heads.push_str(&format!("{comma}[\"{}\",{revision},{floor},{ts},{bytes}]", id.0.simple()));
    }
    heads.push(']');
    // An upsert rather than an UPDATE … FROM, which would go through all heads: those that are named exist.
    query(
        "INSERT INTO heads (drawing_id, revision, floor, ts, bytes, epoch)
         SELECT unhex(n.value ->> 0), n.value ->> 1, n.value ->> 2, n.value ->> 3, n.value ->> 4, $2
           FROM json_each($1) AS n WHERE true
             ON CONFLICT (drawing_id) DO UPDATE
            SET revision = excluded.revision, floor = excluded.floor, ts = excluded.ts,
                bytes = bytes + excluded.bytes,
                base = CASE WHEN epoch = excluded.epoch THEN base ELSE revision END, epoch = excluded.epoch",
    )
    .bind(heads)
    .bind(epoch.0)
    .execute(&mut *tx)
    .await?;
    for (drawing_id, object) in &resolution.fog {
        query("INSERT INTO fog (drawing_id, object_id) VALUES ($1, $2)")
            .bind(drawing_id.0)
            .bind(object.as_str())
            .execute(&mut *tx)
            .await?;
        query("UPDATE heads SET has_fog = 1 WHERE drawing_id = $1")
            .bind(drawing_id.0)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Inserts rows into the table of ops.
pub(super) async fn insert_ops(tx: &mut Tx<Sqlite>, mut rows: &[LogRow<'_>]) -> Result<(), StoreError> {
    for size in INSERT_ROWS {
        while let Some((chunk, rest)) = rows.split_at_checked(size) {
            insert_chunk(tx, chunk).await?;
            rows = rest;
        }
    }
    Ok(())
}

/// Inserts as many rows as one of `INSERT_ROWS` says. OR FAIL spares SQLite the journal with which it
/// would undo half a statement: a failure undoes the transaction.
async fn insert_chunk(tx: &mut Tx<Sqlite>, rows: &[LogRow<'_>]) -> Result<(), StoreError> {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?)"; rows.len()].join(", ");
    let mut insert = query(AssertSqlSafe(format!(
        "INSERT OR FAIL INTO ops (drawing_id, revision, op_id, unit, actor, ts, body) VALUES {values}"
    )));
    for row in rows {
        insert = insert
            .bind(row.drawing_id)
            .bind(row.revision)
            .bind(row.op_id)
            .bind(row.unit)
            .bind(row.actor)
            .bind(row.ts)
            .bind(row.body);
    }
    insert.execute(&mut *tx).await?;
    Ok(())
}
