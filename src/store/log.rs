//! Reading logs: pages, single ops, the revision at a time, and what a guarded undo must know.
//!
//! Owns every statement that reads ops and that both back ends understand alike; `directory.rs` says
//! why that is a macro.

use uuid::Uuid;

/// The step with which the search for a time begins: half the revisions a drawing could ever have.
pub(super) const FIRST_STEP: i64 = 1 << 40;

/// One row of `read_portion`: the epoch and the one before, base and head, and an op's revision, actor, ts and body.
pub(super) type OpRow =
    (Uuid, Option<Uuid>, i64, i64, Option<i64>, Option<String>, Option<i64>, Option<String>);

/// Expands to inherent methods, which `impl_store` and the back end call.
macro_rules! impl_log {
    ($backend:ty, $database:ty) => {
        impl $backend {
            async fn read_log(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError> {
                let mut page: Option<LogPage> = None;
                let (mut after, mut until, mut bytes) = (range.after, range.until, 0);
                let damaged = |after: Revision| StoreError::damaged(range.drawing_id, after.next());
                let mut rest = range.limit;
                // A few ops tell how large they are; then comes what fits. So a page of large ops does not
                // make the database send many times what is kept.
                let mut portion = rest.min(limits::PAGE_PROBE_OPS);
                'portions: while portion > 0 {
                    let rows = match self.read_portion(range.drawing_id, after, until, portion).await {
                        Err(sqlx::Error::ColumnDecode { .. }) => return Err(damaged(after)),
                        rows => rows?,
                    };
                    // A drawing that is deleted meanwhile loses its head first.
                    let Some((epoch, previous, base, head, ..)) = rows.first() else { break };
                    let branch = branch_from_sql(*epoch, *previous, *base)?;
                    let head = revision_from_sql(*head)?;
                    let page = page.get_or_insert_with(|| LogPage { branch, head, ops: Vec::new() });
                    // What is read later ends where the head was first: the page shows one moment.
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
            async fn read_portion(
                &self,
                drawing: DrawingId,
                after: Revision,
                until: Option<Revision>,
                limit: u32,
            ) -> Result<Vec<OpRow>, sqlx::Error> {
                sqlx::query_as::<_, OpRow>(
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
                .fetch_all(&self.read)
                .await
            }

            async fn find_in_log(
                &self,
                drawing: DrawingId,
                op_id: OpId,
            ) -> Result<Option<StoredOp>, StoreError> {
                // The ops of a drawing without a head are on their way in or out.
                let row = sqlx::query_as::<_, (i64, String, i64, String)>(
                    "SELECT o.revision, o.actor, o.ts, o.body
                       FROM heads h JOIN ops o ON o.drawing_id = h.drawing_id
                      WHERE h.drawing_id = $1 AND o.op_id = $2",
                )
                .bind(drawing.0)
                .bind(op_id.0)
                .fetch_optional(&self.read)
                .await?;
                row.map(|(revision, actor, ts, body)| {
                    Ok(StoredOp { revision: revision_from_sql(revision)?, actor, ts, body })
                })
                .transpose()
            }

            /// A binary search over the primary key, in one statement and so at one moment: `low` climbs by
            /// steps that are halved. A step past the head meets no op and is not taken; nor is one that meets a hole.
            async fn search_log(
                &self,
                drawing: DrawingId,
                at_ms: i64,
            ) -> Result<Option<Revision>, StoreError> {
                let found = sqlx::query_scalar::<_, i64>(
                    "WITH RECURSIVE search (low, step) AS (
                         SELECT CAST(0 AS bigint), CAST($3 AS bigint) FROM heads WHERE drawing_id = $1
                         UNION ALL
                         SELECT CASE WHEN (SELECT o.ts FROM ops o
                                            WHERE o.drawing_id = $1 AND o.revision = low + step) <= $2
                                     THEN low + step ELSE low END, step / 2
                           FROM search WHERE step > 0)
                     SELECT low FROM search WHERE step = 0",
                )
                .bind(drawing.0)
                .bind(at_ms)
                .bind(FIRST_STEP)
                .fetch_optional(&self.read)
                .await?;
                found.map(revision_from_sql).transpose()
            }

            /// Looks up the undos and redos of units that guarded requests act on, under the lock of the heads.
            async fn look_up_toggles(
                tx: &mut Tx<$database>,
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
                        let rows = sqlx::query_as::<_, (i64, String)>(
                            "SELECT revision, body FROM ops
                              WHERE drawing_id = $1 AND revision > $2 AND revision <= $3
                                AND unit = $4 AND op_id <> unit",
                        )
                        .bind(request.drawing_id.0)
                        .bind(revision_to_sql(after))
                        .bind(revision_to_sql(head.revision))
                        .bind(unit.0)
                        .fetch_all(&mut *tx)
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
            async fn look_up_conditions(
                tx: &mut Tx<$database>,
                batch: &[AppendRequest],
                known: &mut Known,
            ) -> Result<(), StoreError> {
                for request in batch {
                    let drawing = request.drawing_id;
                    let Some(head) = known.heads.get(&drawing).copied() else { continue };
                    if request.if_revision.is_some_and(|expected| expected < head.revision)
                        && !known.unfolded.contains_key(&drawing)
                    {
                        let latest = sqlx::query_scalar::<_, i64>(
                            "SELECT revision FROM ops WHERE drawing_id = $1 AND revision <= $2 AND actor <> $3
                              ORDER BY revision DESC LIMIT 1",
                        )
                        .bind(drawing.0)
                        .bind(revision_to_sql(head.revision))
                        .bind(UserId::folder().as_str())
                        .fetch_optional(&mut *tx)
                        .await?;
                        known.unfolded.insert(drawing, revision_from_sql(latest.unwrap_or_default())?);
                    }
                    if let Some(plan) = request.fold.filter(|plan| plan.yields) {
                        let lowest = sqlx::query_scalar::<_, Option<i64>>(
                            "SELECT min(first.revision) FROM ops o
                               JOIN ops first ON first.drawing_id = o.drawing_id AND first.op_id = o.unit
                              WHERE o.drawing_id = $1 AND o.revision > $2 AND o.revision <= $3 AND o.op_id <> o.unit",
                        )
                        .bind(drawing.0)
                        .bind(revision_to_sql(plan.planned_at))
                        .bind(revision_to_sql(head.revision))
                        .fetch_one(&mut *tx)
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
        }
    };
}
pub(super) use impl_log;
