//! The bus inside one process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Bus, ControlMessage, Delivery, OpsMessage, Subscription};
use crate::{limits, model::DrawingId};

type Channels = Arc<Mutex<HashMap<DrawingId, broadcast::Sender<OpsMessage>>>>;

/// A bus for one process: bounded channels in memory.
#[derive(Clone, Debug)]
pub struct LocalBus {
    /// One channel for each drawing that somebody follows. The lock is held for a look-up or a
    /// clean-up, never across an await.
    ops: Channels,
    control: broadcast::Sender<ControlMessage>,
}

impl LocalBus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self { ops: Arc::default(), control: broadcast::Sender::new(limits::SUBSCRIPTION_MESSAGES) }
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish_ops(&self, message: OpsMessage) {
        let channels = self.ops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&message.drawing_id) {
            // An error means that the last subscriber is just leaving.
            let _ = channel.send(message);
        }
    }

    fn publish_control(&self, message: ControlMessage) {
        // An error means that nobody listens, which is no loss.
        let _ = self.control.send(message);
    }

    async fn subscribe_ops(&self, drawing: DrawingId) -> Subscription<OpsMessage> {
        let receiver = {
            let mut channels = self.ops.lock().unwrap_or_else(PoisonError::into_inner);
            channels
                .entry(drawing)
                .or_insert_with(|| broadcast::Sender::new(limits::LOCAL_SUBSCRIPTION_MESSAGES))
                .subscribe()
        };
        into_stream(receiver, Cleanup { channels: self.ops.clone(), drawing })
    }

    async fn subscribe_control(&self) -> Subscription<ControlMessage> {
        into_stream(self.control.subscribe(), ())
    }

    fn is_connected(&self) -> bool {
        true
    }

    async fn flush(&self) {}
}

/// Forgets the channel of a drawing when its last subscriber leaves.
struct Cleanup {
    channels: Channels,
    drawing: DrawingId,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
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
