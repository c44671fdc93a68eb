//! The bus inside one process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Bus, ControlMessage, Delivery, OpsMessage, PresenceMessage, Subscription};
use crate::{limits, model::DrawingId};

/// A bus for one process: bounded channels in memory.
#[derive(Clone, Debug, Default)]
pub struct LocalBus {
    ops: Topic<OpsMessage>,
    presence: Topic<PresenceMessage>,
    control: Control,
}

impl LocalBus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The channel of the control messages, which all drawings share.
#[derive(Clone, Debug)]
struct Control(broadcast::Sender<ControlMessage>);

impl Default for Control {
    fn default() -> Self {
        Self(broadcast::Sender::new(limits::SUBSCRIPTION_MESSAGES))
    }
}

/// One channel for each drawing that somebody follows. The lock is held for a look-up or a clean-up,
/// never across an await.
#[derive(Debug)]
struct Topic<T>(Arc<Mutex<HashMap<DrawingId, broadcast::Sender<T>>>>);

impl<T: Clone + Send + 'static> Topic<T> {
    fn publish(&self, drawing: DrawingId, message: T) {
        if let Some(channel) = self.lock().get(&drawing) {
            // An error means that the last subscriber is just leaving.
            let _ = channel.send(message);
        }
    }

    fn subscribe(&self, drawing: DrawingId) -> Subscription<T> {
        let new_channel = || broadcast::Sender::new(limits::LOCAL_SUBSCRIPTION_MESSAGES);
        let receiver = self.lock().entry(drawing).or_insert_with(new_channel).subscribe();
        into_stream(receiver, Cleanup { topic: self.clone(), drawing })
    }
}

impl<T> Topic<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<DrawingId, broadcast::Sender<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Topic<T> {
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
        // An error means that nobody listens, which is no loss.
        let _ = self.control.0.send(message);
    }

    fn publish_presence(&self, drawing: DrawingId, message: PresenceMessage) {
        self.presence.publish(drawing, message);
    }

    async fn subscribe_ops(&self, drawing: DrawingId) -> Subscription<OpsMessage> {
        self.ops.subscribe(drawing)
    }

    async fn subscribe_control(&self) -> Subscription<ControlMessage> {
        into_stream(self.control.0.subscribe(), ())
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

/// Forgets the channel of a drawing when its last subscriber leaves.
struct Cleanup<T> {
    topic: Topic<T>,
    drawing: DrawingId,
}

impl<T> Drop for Cleanup<T> {
    fn drop(&mut self) {
        let mut channels = self.topic.lock();
        if channels.get(&self.drawing).is_some_and(|channel| channel.receiver_count() == 0) {
            channels.remove(&self.drawing);
        }
    }
}

/// The messages of `receiver`; `guard` is dropped after it.
fn into_stream<T, G>(receiver: broadcast::Receiver<T>, guard: G) -> Subscription<T>
where
    T: Clone + Send + 'static,
    G: Send + 'static,
{
    stream::unfold((receiver, guard), |(mut receiver, guard)| async {
        let delivery = match receiver.recv().await {
            Ok(message) => Delivery::Message(message),
            Err(RecvError::Lagged(_)) => Delivery::Lagged,
            Err(RecvError::Closed) => return None,
        };
        Some((delivery, (receiver, guard)))
    })
    .boxed()
}
