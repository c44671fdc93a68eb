//! The upkeep of the store in memory.

use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::{Life, MemoryStore, Row};
use crate::store::{Probe, StoreError, StoreHealth, Upkeep};

#[async_trait]
impl Upkeep for MemoryStore {
    async fn purge_deleted(&self, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.write()?;
        let has_ops = |row: &&mut Row| row.life == Life::Deleted && !row.ops.is_empty();
        let Some(row) = state.drawings.values_mut().find(has_ops) else { return Ok(0) };
        let removed = row.ops.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        row.ops.drain(..removed);
        Ok(removed as u64)
    }

    async fn probe(&self, _: Probe) -> Result<(), StoreError> {
        drop(self.write()?);
        Ok(())
    }

    fn health(&self) -> &StoreHealth {
        &self.health
    }

    async fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}
