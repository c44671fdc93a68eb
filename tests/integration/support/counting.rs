//! A store that counts what is asked of it, and that can be told to answer slowly.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use revcast::{
    model::DrawingId,
    store::{Store, StoreError},
};
use tokio::sync::Semaphore;

use super::watched::{Call, Watch, WatchedStore};

/// Passes everything on to another store.
pub type CountingStore = WatchedStore<Counts>;

/// The calls that were made of a store.
pub struct Counts {
    reads: Mutex<HashMap<DrawingId, u64>>,
    calls: AtomicU64,
    heads: AtomicU64,
    /// Each read of a log needs a permit and gives it back; none is there while reads are held.
    gate: Semaphore,
}

impl CountingStore {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        let (calls, heads, gate) = (AtomicU64::new(0), AtomicU64::new(0), Semaphore::new(1_000));
        Self { inner, watch: Counts { reads: Mutex::default(), calls, heads, gate } }
    }

    /// The number of times that the log of a drawing was read.
    pub fn reads(&self, drawing: DrawingId) -> u64 {
        let reads = self.watch.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.get(&drawing).copied().unwrap_or(0)
    }

    /// The number of calls of the store, except for heads and roles, which rooms look at as time passes.
    pub fn calls(&self) -> u64 {
        self.watch.calls.load(Ordering::Relaxed)
    }

    /// The number of times that heads were read.
    pub fn heads(&self) -> u64 {
        self.watch.heads.load(Ordering::Relaxed)
    }

    /// Lets reads of logs wait until [`release`](Self::release).
    pub fn hold(&self) {
        assert_eq!(self.watch.gate.forget_permits(1_000), 1_000);
    }

    pub fn release(&self) {
        self.watch.gate.add_permits(1_000);
    }
}

impl Watch for Counts {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match call {
            Call::Heads => drop(self.heads.fetch_add(1, Ordering::Relaxed)),
            Call::Roles => (),
            Call::Read(range) => {
                let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
                *reads.entry(range.drawing_id).or_default() += 1;
            }
            Call::DueSnapshots | Call::Other => drop(self.calls.fetch_add(1, Ordering::Relaxed)),
        }
        if !matches!(call, Call::Read(_)) {
            return answer.await;
        }
        let _permit = self.gate.acquire().await.unwrap();
        self.calls.fetch_add(1, Ordering::Relaxed);
        answer.await
    }
}
