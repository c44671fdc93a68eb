//! Heads as rows.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    model::{DrawingId, Epoch},
    store::{Heads, Stand, StoreError, branch_from_sql, revision_from_sql},
};

/// A row of heads: the epoch and the one before; id, head, base and floor of a drawing.
pub(in crate::store) type HeadRow = (Uuid, Option<Uuid>, Option<Uuid>, Option<i64>, Option<i64>, Option<i64>);

/// Collects rows of the epoch with one head each; a row without a head only brings the epoch.
pub(in crate::store) fn collect_heads(rows: Vec<HeadRow>) -> Result<Heads, StoreError> {
    let epoch = rows.first().map(|row| Epoch(row.0)).ok_or(StoreError::Corrupt("meta table"))?;
    let mut stands = HashMap::with_capacity(rows.len());
    for row in rows {
        if let (epoch, previous, Some(id), Some(revision), Some(base), Some(floor)) = row {
            let branch = branch_from_sql(epoch, previous, base)?;
            let (head, floor) = (revision_from_sql(revision)?, revision_from_sql(floor)?);
            stands.insert(DrawingId(id), Stand { branch, head, floor });
        }
    }
    Ok(Heads { epoch, stands })
}
