//! The upkeep of a store: proving that it takes writes, removing what is gone, closing it.

use async_trait::async_trait;
use uuid::Uuid;

use super::{StoreError, StoreHealth};

/// Bytes that such a write has after one that found no room.
const STORE_PROBE_ROOM: usize = 64 * 1024;

/// The upkeep of a store.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Removes up to `limit` ops of deleted drawings; returns how many.
    async fn purge_deleted(&self, limit: u32) -> Result<u64, StoreError>;

    /// Writes something of its own and commits it, wherever the store takes writes now. It may wait for as long as the
    /// store does.
    async fn probe(&self, probe: Probe) -> Result<(), StoreError>;

    /// The state of its writing.
    fn health(&self) -> &StoreHealth;

    /// Finishes what is running and closes the connections.
    async fn close(&self);
}

/// The amount that is written to prove that the store takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// One row, in a place that is there already.
    Small,
    /// So much that it takes new room.
    WithRoom,
}

impl Probe {
    /// The bytes that it writes: they cannot be compressed.
    pub(super) fn filling(self) -> Option<Vec<u8>> {
        let count = STORE_PROBE_ROOM / size_of::<Uuid>();
        (self == Self::WithRoom).then(|| (0..count).flat_map(|_| Uuid::new_v4().into_bytes()).collect())
    }
}
