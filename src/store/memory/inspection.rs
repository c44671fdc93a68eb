//! Rows of the store in memory, as `revcast verify` sees them.

use async_trait::async_trait;

use super::{Life, MemoryStore, Op};
use crate::{
    model::{DrawingId, Revision},
    store::{
        InspectedDrawing, InspectedHead, InspectedOp, InspectedOps, Inspection, StoreError, revision_to_sql,
        unit_to_sql,
    },
};

#[async_trait]
impl Inspection for MemoryStore {
    async fn list_drawings(
        &self,
        after: Option<DrawingId>,
        limit: u32,
    ) -> Result<Vec<DrawingId>, StoreError> {
        let state = self.lock()?;
        let whole = state.drawings.iter().filter(|(_, row)| row.life == Life::Whole).map(|(id, _)| *id);
        Ok(whole.filter(|id| after.is_none_or(|after| *id > after)).take(limit as usize).collect())
    }

    async fn inspect_drawing(&self, id: DrawingId) -> Result<Option<InspectedDrawing>, StoreError> {
        let state = self.lock()?;
        let Some(row) = state.drawings.get(&id).filter(|row| row.life == Life::Whole) else {
            return Ok(None);
        };
        let head = row.head.map(|head| InspectedHead {
            epoch: state.epoch,
            revision: revision_to_sql(head.revision),
            floor: revision_to_sql(head.floor),
            ts: head.ts,
            bytes: head.bytes,
            has_fog: !row.fog.is_empty(),
        });
        let ends = (!row.ops.is_empty()).then(|| (1, i64::try_from(row.ops.len()).unwrap_or(i64::MAX)));
        Ok(Some(InspectedDrawing { ends, head }))
    }

    async fn inspect_ops(
        &self,
        id: DrawingId,
        after: Revision,
        until: Revision,
        limit: u32,
    ) -> Result<Option<InspectedOps>, StoreError> {
        let state = self.lock()?;
        let Some((head, row)) = state.headed(id) else { return Ok(None) };
        let inspected = |(revision, op): (Revision, &Op)| InspectedOp {
            revision,
            op_id: op.op_id.0,
            unit: unit_to_sql(op.unit),
            actor: op.actor.as_str().into(),
            ts: op.ts,
            body: op.body.as_bytes().into(),
        };
        let ops = row.range(after, until).take(limit as usize).map(inspected).collect();
        Ok(Some(InspectedOps { epoch: state.epoch, head: revision_to_sql(head.revision), ops }))
    }
}
