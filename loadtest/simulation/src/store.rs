//! The store as a node sees it: the one that all share, behind calls that take time and fail.
//!
//! Owns what may befall a call; `calls` has the calls themselves, and the store in memory does their work.

mod calls;

use std::{io, sync::Arc, time::Duration};

use revcast::{
    limits,
    store::{MemoryStore, StoreError, StoreHealth},
};
use tokio::time::sleep;

use crate::{chance::Chance, gate::Gate, weather::Weather};

/// The way of one node to the store.
#[derive(Clone, Debug)]
pub struct NodeStore {
    store: MemoryStore,
    gate: Gate,
    weather: Arc<Weather>,
    chance: Arc<Chance>,
    health: Arc<StoreHealth>,
}

/// The most by which a call that has failed may be done later, in milliseconds.
const LATE_MS: u64 = 6_000;
/// The longest way of a call, in one direction.
const SLOW_MS: u64 = 1_500;
/// A call that was made this long ago has no effect any more, if it had none so far.
pub const LATEST: Duration = Duration::from_millis(LATE_MS + 2 * SLOW_MS);

/// The fate of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    /// It fails before it is done, with this error.
    Failed(Failure),
    /// It is done, and fails.
    DoneUnheard,
    /// It fails, and is done so much later.
    DoneLater(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Broken,
    Refused,
    Exhausted,
}

impl Failure {
    fn error(self) -> StoreError {
        match self {
            Self::Broken => sqlx::Error::Io(io::ErrorKind::ConnectionReset.into()).into(),
            Self::Refused => StoreError::Failed(sqlx::Error::RowNotFound),
            Self::Exhausted => sqlx::Error::PoolTimedOut.into(),
        }
    }
}

impl NodeStore {
    /// A way to `store` through a gate.
    #[must_use]
    pub fn new(store: MemoryStore, gate: Gate, weather: Arc<Weather>, chance: Chance) -> Self {
        Self { store, gate, weather, chance: Arc::new(chance), health: Arc::default() }
    }

    /// Makes a call, which may be made later and by another task: what a connection has begun goes on without its client.
    async fn call<T, F>(&self, call: impl FnOnce(MemoryStore) -> F + Send) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.gate.pass().await;
        let fate = self.fate();
        self.travel().await;
        let done = call(self.store.clone());
        let outcome = match fate {
            Fate::Failed(failure) => {
                if failure == Failure::Exhausted {
                    sleep(limits::STORE_ACQUIRE_TIMEOUT).await;
                }
                Err(failure.error())
            }
            Fate::DoneLater(pause) => {
                tokio::spawn(async move {
                    sleep(pause).await;
                    // Nobody hears of it any more.
                    drop(done.await);
                });
                Err(Failure::Broken.error())
            }
            Fate::Done => done.await,
            Fate::DoneUnheard => {
                drop(done.await);
                Err(Failure::Broken.error())
            }
        };
        self.gate.pass().await;
        self.travel().await;
        self.gate.pass().await;
        outcome
    }

    fn fate(&self) -> Fate {
        let (faults, chance) = (self.weather.store(), &self.chance);
        if self.weather.is_out() || chance.happens(faults.before) {
            Fate::Failed(Failure::Broken)
        } else if chance.happens(faults.after) {
            Fate::DoneUnheard
        } else if chance.happens(faults.later) {
            Fate::DoneLater(chance.millis(0, LATE_MS))
        } else if chance.happens(faults.refused) {
            Fate::Failed(Failure::Refused)
        } else if chance.happens(faults.exhausted) {
            Fate::Failed(Failure::Exhausted)
        } else {
            Fate::Done
        }
    }

    /// The time that a call takes in one direction: none, but others may be first; a little; or long.
    async fn travel(&self) {
        if self.chance.happens(self.weather.store().slow) {
            return sleep(self.chance.millis(10, SLOW_MS)).await;
        }
        match self.chance.below(4) {
            0 => (),
            1 => tokio::task::yield_now().await,
            _ => sleep(self.chance.millis(1, 4)).await,
        }
    }
}
