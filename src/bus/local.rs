//! The bus inside one process.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    Bus, ControlMessage, OpsMessage, PresenceMessage, Subscription,
    queue::{Queue, follow},
};
use crate::model::DrawingId;

/// A bus for one process: bounded queues in memory.
#[derive(Clone, Debug, Default)]
pub struct LocalBus {
    ops: Topics<DrawingId, OpsMessage>,
    presence: Topics<DrawingId, PresenceMessage>,
    control: Topics<(), ControlMessage>,
}

impl LocalBus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The queues of all subscribers, by what they follow. The lock is held for a look-up and what is told to those it finds,
/// never across an await.
#[derive(Debug)]
struct Topics<K, T>(Arc<Mutex<Queues<K, T>>>);

type Queues<K, T> = HashMap<K, Vec<Arc<Queue<T>>>>;

impl<K: Copy + Eq + Hash + Send + 'static, T: Clone + Send + 'static> Topics<K, T> {
    fn publish(&self, topic: K, message: T) {
        let topics = self.lock();
        let Some((last, others)) = topics.get(&topic).and_then(|queues| queues.split_last()) else { return };
        others.iter().for_each(|queue| queue.push(message.clone()));
        last.push(message);
    }

    fn subscribe(&self, topic: K) -> Subscription<T> {
        let queue = Queue::new();
        self.lock().entry(topic).or_default().push(queue.clone());
        follow(TopicQueue { topics: self.clone(), topic, queue })
    }
}

impl<K, T> Topics<K, T> {
    fn lock(&self) -> MutexGuard<'_, Queues<K, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T> Clone for Topics<K, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, T> Default for Topics<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish_ops(&self, message: OpsMessage) {
        self.ops.publish(message.drawing_id, message);
    }

    fn publish_control(&self, message: ControlMessage) {
        self.control.publish((), message);
    }

    fn publish_presence(&self, drawing: DrawingId, message: PresenceMessage) {
        self.presence.publish(drawing, message);
    }

    async fn subscribe_ops(&self, drawing: DrawingId) -> Subscription<OpsMessage> {
        self.ops.subscribe(drawing)
    }

    async fn subscribe_control(&self) -> Subscription<ControlMessage> {
        self.control.subscribe(())
    }

    async fn subscribe_presence(&self, drawing: DrawingId) -> Subscription<PresenceMessage> {
        self.presence.subscribe(drawing)
    }

    fn reaches_other_nodes(&self) -> bool {
        false
    }

    fn is_connected(&self) -> bool {
        true
    }

    async fn flush(&self) {}
}

/// A subscriber's queue among those of its topic, which it leaves when it is dropped.
struct TopicQueue<K: Copy + Eq + Hash, T> {
    topics: Topics<K, T>,
    topic: K,
    queue: Arc<Queue<T>>,
}

impl<K: Copy + Eq + Hash, T> AsRef<Queue<T>> for TopicQueue<K, T> {
    fn as_ref(&self) -> &Queue<T> {
        &self.queue
    }
}

impl<K: Copy + Eq + Hash, T> Drop for TopicQueue<K, T> {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        let Some(queues) = topics.get_mut(&self.topic) else { return };
        queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        if queues.is_empty() {
            topics.remove(&self.topic);
        }
    }
}
