//! The logs of the store in memory; `append` has what is written to them.

use async_trait::async_trait;
use uuid::Uuid;

use super::{MemoryStore, Op, Row, State};
use crate::{
    model::{DrawingId, Epoch, OpId, Revision},
    store::{AppendRequest, Appended, Heads, Log, LogPage, Meta, ReadRange, Stand, StoreError, StoredOp},
};

#[async_trait]
impl Log for MemoryStore {
    async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        Ok(self.write()?.append(batch, now_ms))
    }

    async fn read(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError> {
        Ok(self.lock()?.read(range))
    }

    async fn find_op(&self, drawing: DrawingId, op_id: OpId) -> Result<Option<StoredOp>, StoreError> {
        let state = self.lock()?;
        let found = state.headed(drawing).and_then(|(_, row)| row.find(op_id));
        Ok(found.map(|(revision, op)| Row::stored(revision, op)))
    }

    async fn revision_at(&self, drawing: DrawingId, at_ms: i64) -> Result<Option<Revision>, StoreError> {
        let state = self.lock()?;
        let last = |row: &Row| row.ops.partition_point(|op| op.ts <= at_ms) as u64;
        Ok(state.headed(drawing).map(|(_, row)| Revision(last(row))))
    }

    async fn heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        let state = self.lock()?;
        let stand = |id: &DrawingId| {
            let (head, _) = state.headed(*id)?;
            Some((*id, Stand { branch: state.branch(&head), head: head.revision, floor: head.floor }))
        };
        Ok(Heads { epoch: state.epoch, stands: drawings.iter().filter_map(stand).collect() })
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        let state = self.lock()?;
        Ok(Meta { epoch: state.epoch, server_key: state.server_key })
    }

    async fn new_epoch(&self) -> Result<Epoch, StoreError> {
        let mut state = self.write()?;
        (state.epoch, state.previous) = (Epoch(Uuid::new_v4()), None);
        Ok(state.epoch)
    }
}

impl State {
    fn read(&self, range: &ReadRange) -> Option<LogPage> {
        let (head, row) = self.headed(range.drawing_id)?;
        let until = range.until.map_or(head.revision, |until| until.min(head.revision));
        let (mut ops, mut bytes) = (Vec::new(), 0);
        for (revision, op) in row.range(range.after, until).take(range.limit as usize) {
            let op = Row::stored(revision, op);
            bytes += op.page_bytes();
            if !ops.is_empty() && bytes > range.max_bytes {
                break;
            }
            ops.push(op);
        }
        Some(LogPage { branch: self.branch(&head), head: head.revision, ops })
    }
}

impl Row {
    fn stored(revision: Revision, op: &Op) -> StoredOp {
        StoredOp { revision, actor: op.actor.as_str().to_owned(), ts: op.ts, body: op.body.to_string() }
    }
}
