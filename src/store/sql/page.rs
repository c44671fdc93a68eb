//! Pages of a log, whole or not at all.

use uuid::Uuid;

use super::{Dialect, Pools, query};
use crate::{
    limits,
    model::{DrawingId, Revision},
    store::{LogPage, ReadRange, StoreError, StoredOp, branch_from_sql, revision_from_sql, revision_to_sql},
};

/// One row of `read_portion`: the epoch and the one before, base and head, and an op's revision, actor, ts and body.
type OpRow = (Uuid, Option<Uuid>, i64, i64, Option<i64>, Option<String>, Option<i64>, Option<String>);

/// Reads a page.
pub(super) async fn read_page<DB: Dialect>(
    pools: &Pools<DB>,
    range: &ReadRange,
) -> Result<Option<LogPage>, StoreError> {
    let mut page: Option<LogPage> = None;
    let (mut after, mut until, mut bytes) = (range.after, range.until, 0);
    let damaged = |after: Revision| StoreError::damaged(range.drawing_id, after.next());
    let mut rest = range.limit;
    // A few ops tell how large they are; then comes what fits. So a page of large ops does not
    // make the database send many times what is kept.
    let mut portion = rest.min(limits::PAGE_PROBE_OPS);
    'portions: while portion > 0 {
        let rows = match read_portion(pools, range.drawing_id, after, until, portion).await {
            Err(sqlx::Error::ColumnDecode { .. }) => return Err(damaged(after)),
            rows => rows?,
        };
        // A drawing that is deleted meanwhile loses its head first.
        let Some((epoch, previous, base, head, ..)) = rows.first() else { break };
        let branch = branch_from_sql(*epoch, *previous, *base)?;
        let head = revision_from_sql(*head)?;
        let page = page.get_or_insert_with(|| LogPage { branch, head, ops: Vec::new() });
        // Rows that are read later end where the head was first: the page shows one moment.
        until = Some(until.map_or(page.head, |until| until.min(page.head)));
        if page.branch.epoch != branch.epoch {
            break;
        }
        // One statement shows one moment: its rows are all that there are up to the head that it shows.
        let last = until.map_or(head, |until| until.min(head)).0;
        let last = last.min(after.0.saturating_add(portion.into()));
        let before = page.ops.len();
        for row in rows {
            let (.., Some(revision), Some(actor), Some(ts), Some(body)) = row else { break };
            let op = StoredOp { revision: revision_from_sql(revision)?, actor, ts, body };
            if op.revision != after.next() || !op.is_readable() {
                return Err(damaged(after));
            }
            let with_op = bytes + op.page_bytes();
            if !page.ops.is_empty() && with_op > range.max_bytes {
                break 'portions;
            }
            (after, bytes) = (op.revision, with_op);
            page.ops.push(op);
        }
        if after.0 < last {
            return Err(damaged(after));
        }
        let read = page.ops.len() - before;
        if read < portion as usize || bytes >= range.max_bytes {
            break;
        }
        rest -= portion;
        let average = (bytes / page.ops.len().max(1)).max(1);
        let fitting = (range.max_bytes - bytes).div_ceil(average);
        portion = rest.min(u32::try_from(fitting).unwrap_or(u32::MAX));
    }
    Ok(page)
}

/// The epoch and head with each of the next `limit` ops, or alone; nothing for an unknown drawing.
async fn read_portion<DB: Dialect>(
    pools: &Pools<DB>,
    drawing: DrawingId,
    after: Revision,
    until: Option<Revision>,
    limit: u32,
) -> Result<Vec<OpRow>, sqlx::Error> {
    query(
        "SELECT m.epoch, m.previous_epoch, CASE WHEN h.epoch = m.epoch THEN h.base ELSE h.revision END,
                h.revision, o.revision, o.actor, o.ts, o.body
           FROM heads h CROSS JOIN meta m
           LEFT JOIN (SELECT revision, actor, ts, body FROM ops
                       WHERE drawing_id = $1 AND revision > $2 AND revision <= $3
                       ORDER BY revision LIMIT $4) AS o ON true
          WHERE h.drawing_id = $1
          ORDER BY o.revision",
    )
    .bind(drawing.0)
    .bind(revision_to_sql(after))
    .bind(until.map_or(i64::MAX, revision_to_sql))
    .bind(i64::from(limit))
    .fetch_all::<OpRow>(&pools.read)
    .await
}
