//! The faults of the moment: shared by all nodes, and ended by the calm.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::plan::{BusFaults, Plan, StoreFaults};

/// The faults that there are now.
#[derive(Debug)]
pub struct Weather {
    store: StoreFaults,
    bus: BusFaults,
    is_calm: AtomicBool,
    /// Every call of the store fails.
    is_out: AtomicBool,
    /// Nodes that are cut off from the bus.
    cut: Mutex<BTreeSet<usize>>,
}

impl Weather {
    /// The weather of a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            store: plan.store,
            bus: plan.bus,
            is_calm: AtomicBool::new(false),
            is_out: AtomicBool::new(false),
            cut: Mutex::default(),
        }
    }

    /// Ends all faults.
    pub fn calm(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
        self.set_outage(false);
        self.lock().clear();
    }

    /// True if there are no faults any more.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    /// The faults that befall calls of the store at the moment.
    #[must_use]
    pub fn store(&self) -> StoreFaults {
        if self.is_calm() { StoreFaults::default() } else { self.store }
    }

    /// The faults that befall messages of the bus at the moment.
    #[must_use]
    pub fn bus(&self) -> BusFaults {
        if self.is_calm() { BusFaults::default() } else { self.bus }
    }

    /// True if every call of the store fails.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Relaxed)
    }

    /// Begins or ends an outage of the store.
    pub fn set_outage(&self, is_out: bool) {
        self.is_out.store(is_out && !self.is_calm(), Ordering::Relaxed);
    }

    /// True if a node is cut off from the bus.
    #[must_use]
    pub fn is_cut(&self, node: usize) -> bool {
        self.lock().contains(&node)
    }

    /// Cuts a node off from the bus, or joins it again.
    pub fn set_cut(&self, node: usize, is_cut: bool) {
        if is_cut && !self.is_calm() {
            self.lock().insert(node);
        } else {
            self.lock().remove(&node);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
