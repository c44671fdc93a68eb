//! The store in memory: for tests and for the simulation, where nothing may take time or a thread of its own.
//!
//! Owns one state behind one lock, so that each call shows one moment. The rules of appending are those of `resolve`.
//! Nothing of it outlives the process, and no server is started on it.

mod append;
mod drawings;
mod imports;
mod inspection;
mod links;
mod log;
mod members;
mod rows;
mod snapshots;
mod upkeep;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use uuid::Uuid;

use super::{StoreError, StoreHealth};
use crate::model::{DrawingId, Epoch};
use rows::{Head, Life, Op, Row, State};

/// A store in memory. Clones share it, as nodes share a database.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    /// Held for one call, never across an await.
    state: Arc<Mutex<State>>,
    health: Arc<StoreHealth>,
    is_closed: Arc<AtomicBool>,
}

/// The rows that a standby had when it was copied: see [`MemoryStore::fail_over_to`].
#[derive(Debug)]
pub struct Standby(BTreeMap<DrawingId, (Vec<Op>, Option<Head>)>);

impl MemoryStore {
    /// A store without drawings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The logs as they are now, as a standby has them that follows no further.
    #[must_use]
    pub fn standby(&self) -> Standby {
        let logs = |(id, row): (&DrawingId, &Row)| (*id, (row.ops.clone(), row.head));
        Standby(self.state().drawings.iter().map(logs).collect())
    }

    /// Promotes a standby: its logs are the truth from now on, in an epoch that goes on with the one before. Drawings of
    /// which it had heard nothing lose all their ops; what else is stored stays, which a standby would lose as well.
    pub fn fail_over_to(&self, Standby(mut logs): Standby) {
        let mut state = self.state();
        for (id, row) in &mut state.drawings {
            let is_headless = row.head.is_none();
            if is_headless {
                continue;
            }
            let (ops, head) = logs.remove(id).unwrap_or_default();
            row.head = Some(head.unwrap_or_default());
            (row.ops, row.by_id) = (Vec::new(), HashMap::new());
            ops.into_iter().for_each(|op| row.push(op));
        }
        state.previous = Some(state.epoch);
        state.epoch = Epoch(Uuid::new_v4());
    }

    /// The same store as another node has it, which is closed by itself.
    #[must_use]
    pub fn of_another_node(&self) -> Self {
        Self { is_closed: Arc::default(), ..self.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless the store is closed.
    fn lock(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        if self.is_closed.load(Ordering::Relaxed) { Err(StoreError::stopped()) } else { Ok(self.state()) }
    }

    /// The state, to write to it.
    fn write(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        self.health.proved();
        self.lock()
    }
}
