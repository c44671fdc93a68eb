//! Imports into the store in memory.

use async_trait::async_trait;
use tokio::task::yield_now;

use super::{Head, Life, MemoryStore, Op, Row};
use crate::{
    model::{CheckedOp, DrawingId, Revision, Role, UserId},
    store::{CreateOutcome, ImportedLog, ImportedOp, Imports, StoreError, imports::ops_after},
};

#[async_trait]
impl Imports for MemoryStore {
    async fn begin_import(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        let mut state = self.write()?;
        if let Some(row) = state.drawings.get(&id) {
            let is_same = row.created_by == *owner && matches!(row.life, Life::Importing(_));
            return Ok(if is_same { CreateOutcome::Exists } else { CreateOutcome::Taken });
        }
        state.drawings.insert(id, Row::new(title, owner, now_ms, Life::Importing(now_ms)));
        Ok(CreateOutcome::Created)
    }

    async fn import_ops(&self, id: DrawingId, ops: &[ImportedOp]) -> Result<bool, StoreError> {
        // Whoever imports on and on lets others come between.
        yield_now().await;
        let mut state = self.write()?;
        let row = state.drawings.get_mut(&id).filter(|row| matches!(row.life, Life::Importing(_)));
        let Some(row) = row else { return Ok(false) };
        let last = (Revision(row.ops.len() as u64), row.ops.last().map(|op| op.op_id));
        let Some(ops) = ops_after(last, ops) else { return Ok(false) };
        for (nth, op) in ops.iter().enumerate() {
            if row.find(op.op.op_id).is_some()
                || ops[..nth].iter().any(|before| before.op.op_id == op.op.op_id)
            {
                let twice = sqlx::Error::InvalidArgument("an op id stands twice in a log".to_owned());
                return Err(StoreError::Failed(twice));
            }
        }
        for ImportedOp { op, actor, ts, .. } in ops.iter().cloned() {
            let CheckedOp { op_id, unit, creates_fog, touches, body, .. } = op;
            if creates_fog {
                row.fog.extend(touches);
            }
            row.push(Op { op_id, unit, actor, ts, body });
        }
        Ok(true)
    }

    async fn finish_import(
        &self,
        id: DrawingId,
        owner: &UserId,
        log: &ImportedLog,
    ) -> Result<bool, StoreError> {
        let mut state = self.write()?;
        let epoch = Some(state.epoch);
        let row = state.drawings.get_mut(&id).filter(|row| matches!(row.life, Life::Importing(_)));
        let Some(row) = row.filter(|row| row.ops.len() as u64 == log.head.0) else { return Ok(false) };
        let ImportedLog { head: revision, floor, ts, bytes } = *log;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        row.head = Some(Head { revision, floor, ts, bytes, epoch, base: Revision(0) });
        row.life = Life::Whole;
        row.members.insert(owner.clone(), Role::Owner);
        Ok(true)
    }

    async fn abort_import(&self, id: DrawingId, limit: u32) -> Result<bool, StoreError> {
        let mut state = self.write()?;
        let Some(row) = state.drawings.get_mut(&id) else { return Ok(true) };
        if !matches!(row.life, Life::Importing(_) | Life::Aborting) {
            return Ok(true);
        }
        row.life = Life::Aborting;
        let removed = row.ops.len().min(limit as usize);
        row.ops.drain(..removed);
        let is_all = removed < limit as usize;
        if is_all {
            state.drawings.remove(&id);
        }
        Ok(is_all)
    }

    async fn stale_imports(&self, before_ms: i64) -> Result<Vec<DrawingId>, StoreError> {
        let state = self.lock()?;
        let is_stale = |row: &Row| match row.life {
            Life::Importing(since) => since < before_ms,
            life => life == Life::Aborting,
        };
        Ok(state.drawings.iter().filter(|(_, row)| is_stale(row)).map(|(id, _)| *id).collect())
    }
}
