//! A swarm as a thread of this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use anyhow::Context;
use mio::{Poll, Waker};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    Outcome, Plan, Started,
    engine::{Engine, Reports, WAKER},
};

/// Orders that may wait; there are two in the life of a swarm.
const ORDERS: usize = 4;

/// A running swarm. It ends with its handle.
#[derive(Debug)]
pub struct Swarm {
    counts: Arc<Counts>,
    started: watch::Receiver<Option<Started>>,
    floor: watch::Receiver<u64>,
    orders: Orders,
    outcome: oneshot::Receiver<anyhow::Result<Outcome>>,
    start_patience: Duration,
}

/// The counts of what has arrived so far.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) frames: AtomicU64,
    pub(super) ops: AtomicU64,
}

impl Counts {
    /// Frames with ops, counted at each reader.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Ops in them.
    pub fn ops(&self) -> u64 {
        self.ops.load(Ordering::Relaxed)
    }
}

/// The way in which a swarm is to end.
#[derive(Debug)]
pub(super) enum Order {
    /// When all readers of each drawing have this revision.
    Until(Vec<u64>),
    /// At once.
    Stop,
}

/// The way to give orders.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    sender: mpsc::SyncSender<Order>,
    waker: Arc<Waker>,
}

impl Orders {
    /// Gives an order; a swarm that has ended does not mind.
    pub(super) fn give(&self, order: Order) {
        if self.sender.try_send(order).is_ok() {
            // Without it the order is found a nap later.
            let _ = self.waker.wake();
        }
    }
}

impl Swarm {
    /// Starts to connect.
    pub fn start(plan: Plan) -> anyhow::Result<Self> {
        plan.check()?;
        let start_patience = plan.start_patience();
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (sender, receiver) = mpsc::sync_channel(ORDERS);
        let (started_sender, started) = watch::channel(None);
        let (floor_sender, floor) = watch::channel(0);
        let (outcome_sender, outcome) = oneshot::channel();
        let counts = Arc::new(Counts::default());
        let reports = Reports { counts: counts.clone(), started: started_sender, floor: floor_sender };
        thread::Builder::new().name("swarm".to_owned()).spawn(move || {
            // Whoever started it may have gone.
            let _ = outcome_sender.send(Engine::new(plan, poll, reports, receiver).run());
        })?;
        Ok(Self { counts, started, floor, orders: Orders { sender, waker }, outcome, start_patience })
    }

    /// Waits until each reader has subscribed or failed.
    pub async fn ready(&mut self) -> anyhow::Result<Started> {
        let started = timeout(self.start_patience, self.started.wait_for(Option::is_some)).await;
        let started = started.context("the readers did not subscribe in time")?;
        started.context("the swarm has ended")?.clone().context("nothing was told")
    }

    /// The counts of what has arrived so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The revision that all readers of the first drawing have.
    pub fn floor(&self) -> watch::Receiver<u64> {
        self.floor.clone()
    }

    /// Ends when all readers have these revisions, one for each drawing, or when that takes too long.
    pub async fn finish(self, heads: Vec<u64>) -> anyhow::Result<Outcome> {
        self.end(Order::Until(heads)).await
    }

    /// Ends at once.
    pub async fn stop(self) -> anyhow::Result<Outcome> {
        self.end(Order::Stop).await
    }

    async fn end(self, order: Order) -> anyhow::Result<Outcome> {
        self.orders.give(order);
        self.outcome.await.context("the swarm broke off")?
    }

    pub(super) fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Waits for the end that somebody else orders.
    pub(super) async fn outcome(self) -> anyhow::Result<Outcome> {
        // Its own way of giving orders stays open meanwhile.
        let Self { outcome, orders: _orders, .. } = self;
        outcome.await.context("the swarm broke off")?
    }
}
