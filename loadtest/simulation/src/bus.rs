//! The bus that the nodes share: it loses, repeats, delays and reorders, cuts nodes off, and lets subscriptions die.
//!
//! Owns what may befall a message. Within those faults it keeps what [`Bus`] says of a carrier.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream;
use revcast::{
    bus::{Bus, ControlMessage, Delivery, OpsMessage, PresenceMessage, Subscription},
    limits,
    model::DrawingId,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{chance::Chance, gate::Gate, weather::Weather};

/// The hub that carries messages between nodes.
#[derive(Debug)]
pub struct Hub {
    weather: Arc<Weather>,
    chance: Chance,
    ops: Topic<DrawingId, OpsMessage>,
    control: Topic<(), ControlMessage>,
    presence: Topic<DrawingId, PresenceMessage>,
}

/// The subscriptions to messages of one kind, in the order of their beginning.
#[derive(Debug)]
struct Topic<K, T>(Mutex<BTreeMap<u64, Seat<K, T>>>);

/// One subscription.
#[derive(Debug)]
struct Seat<K, T> {
    node: usize,
    of: K,
    queue: mpsc::Sender<Delivery<T>>,
    /// It gets nothing any more, and does not know it.
    is_deaf: AtomicBool,
    /// The arrival of the latest message among those that keep their order.
    last: Mutex<Option<Instant>>,
}

impl<K, T> Default for Topic<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + PartialEq, T: Clone + Send + 'static> Topic<K, T> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Seat<K, T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribe(&self, node: usize, of: K) -> Subscription<T> {
        let (queue, messages) = mpsc::channel(limits::SUBSCRIPTION_MESSAGES);
        let mut seats = self.lock();
        seats.retain(|_, seat| !seat.queue.is_closed());
        let number = seats.keys().next_back().map_or(0, |last| last + 1);
        let (is_deaf, last) = (AtomicBool::new(false), Mutex::default());
        seats.insert(number, Seat { node, of, queue, is_deaf, last });
        Box::pin(stream::unfold(messages, |mut messages| async move {
            messages.recv().await.map(|delivery| (delivery, messages))
        }))
    }

    fn publish(&self, hub: &Hub, from: usize, of: K, message: &T) {
        if hub.weather.is_cut(from) {
            return;
        }
        for seat in self.lock().values().filter(|seat| seat.of == of) {
            seat.send(hub, message);
        }
    }
}

impl<K, T: Clone + Send + 'static> Seat<K, T> {
    fn send(&self, hub: &Hub, message: &T) {
        let (faults, chance) = (hub.weather.bus(), &hub.chance);
        if chance.happens(faults.deaf) {
            self.is_deaf.store(true, Ordering::Relaxed);
        }
        let is_lost = self.is_deaf.load(Ordering::Relaxed) || hub.weather.is_cut(self.node);
        if is_lost || chance.happens(faults.lost) {
            return;
        }
        let delivery =
            if chance.happens(faults.lagged) { Delivery::Lagged } else { Delivery::Message(message.clone()) };
        let now = Instant::now();
        let arrival = if chance.happens(faults.late) {
            now + chance.millis(1, 3_000)
        } else {
            // Messages that are not delayed keep their order.
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let after_last =
                last.filter(|last| *last > now).map_or(now, |last| last + Duration::from_millis(1));
            let arrival = (now + chance.millis(0, 3)).max(after_last);
            *last = Some(arrival);
            arrival
        };
        if arrival == now {
            // A full queue is the subscriber's own fault, and it is told by the gap.
            drop(self.queue.try_send(delivery.clone()));
        } else {
            arrive(self.queue.clone(), arrival, delivery.clone());
        }
        if chance.happens(faults.repeated) {
            arrive(self.queue.clone(), arrival + chance.millis(0, 2_000), delivery);
        }
    }
}

fn arrive<T: Send + 'static>(queue: mpsc::Sender<Delivery<T>>, at: Instant, delivery: Delivery<T>) {
    tokio::spawn(async move {
        sleep_until(at).await;
        drop(queue.try_send(delivery));
    });
}

impl Hub {
    /// A bus without subscribers.
    #[must_use]
    pub fn new(weather: Arc<Weather>, chance: Chance) -> Self {
        let (ops, control, presence) = (Topic::default(), Topic::default(), Topic::default());
        Self { weather, chance, ops, control, presence }
    }
}

/// The way of one node to the bus.
#[derive(Clone, Debug)]
pub struct NodeBus {
    hub: Arc<Hub>,
    node: usize,
    gate: Gate,
}

impl NodeBus {
    /// A way to the bus through a gate.
    #[must_use]
    pub fn new(hub: Arc<Hub>, node: usize, gate: Gate) -> Self {
        Self { hub, node, gate }
    }

    async fn travel(&self) {
        self.gate.pass().await;
        match self.hub.chance.below(3) {
            0 => (),
            1 => tokio::task::yield_now().await,
            _ => tokio::time::sleep(self.hub.chance.millis(1, 20)).await,
        }
        self.gate.pass().await;
    }
}

#[async_trait]
impl Bus for NodeBus {
    fn publish_ops(&self, message: OpsMessage) {
        if !self.gate.is_closed() {
            self.hub.ops.publish(&self.hub, self.node, message.drawing_id, &message);
        }
    }

    fn publish_control(&self, message: ControlMessage) {
        if !self.gate.is_closed() {
            self.hub.control.publish(&self.hub, self.node, (), &message);
        }
    }

    fn publish_presence(&self, drawing: DrawingId, message: PresenceMessage) {
        if !self.gate.is_closed() {
            self.hub.presence.publish(&self.hub, self.node, drawing, &message);
        }
    }

    async fn subscribe_ops(&self, drawing: DrawingId) -> Subscription<OpsMessage> {
        self.travel().await;
        let subscription = self.hub.ops.subscribe(self.node, drawing);
        self.travel().await;
        subscription
    }

    async fn subscribe_control(&self) -> Subscription<ControlMessage> {
        self.travel().await;
        self.hub.control.subscribe(self.node, ())
    }

    async fn subscribe_presence(&self, drawing: DrawingId) -> Subscription<PresenceMessage> {
        self.travel().await;
        self.hub.presence.subscribe(self.node, drawing)
    }

    fn reaches_other_nodes(&self) -> bool {
        true
    }

    fn is_connected(&self) -> bool {
        !self.hub.weather.is_cut(self.node)
    }

    async fn flush(&self) {}
}
