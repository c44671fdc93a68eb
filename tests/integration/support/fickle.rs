//! A bus that fails on demand: subscriptions that hear nothing more, and a carrier that is cut.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures_util::StreamExt;
use revcast::{
    bus::{Bus, ControlMessage, LocalBus, OpsMessage, PresenceMessage, Subscription},
    model::DrawingId,
};

/// A bus inside this process that can be made to lose ops.
#[derive(Default)]
pub struct FickleBus {
    inner: LocalBus,
    /// True while nobody hears of ops, one flag for each subscription to them.
    is_deaf: Mutex<Vec<Arc<AtomicBool>>>,
    subscriptions: AtomicUsize,
    is_cut: AtomicBool,
}

impl FickleBus {
    /// The subscriptions that there are hear of no op any more, and do not know.
    pub fn deafen(&self) {
        for is_deaf in &*self.is_deaf.lock().unwrap_or_else(PoisonError::into_inner) {
            is_deaf.store(true, Ordering::Relaxed);
        }
    }

    /// The number of subscriptions to ops that there have been.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::Relaxed)
    }

    /// Carries no ops, and says so; or carries them again.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

#[async_trait]
impl Bus for FickleBus {
    fn publish_ops(&self, message: OpsMessage) {
        if self.is_connected() {
            self.inner.publish_ops(message);
        }
    }

    fn publish_control(&self, message: ControlMessage) {
        self.inner.publish_control(message);
    }

    fn publish_presence(&self, drawing: DrawingId, message: PresenceMessage) {
        self.inner.publish_presence(drawing, message);
    }

    async fn subscribe_ops(&self, drawing: DrawingId) -> Subscription<OpsMessage> {
        let is_deaf = Arc::new(AtomicBool::new(false));
        self.is_deaf.lock().unwrap_or_else(PoisonError::into_inner).push(is_deaf.clone());
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
        let heard = self.inner.subscribe_ops(drawing).await;
        heard.filter(move |_| std::future::ready(!is_deaf.load(Ordering::Relaxed))).boxed()
    }

    async fn subscribe_control(&self) -> Subscription<ControlMessage> {
        self.inner.subscribe_control().await
    }

    async fn subscribe_presence(&self, drawing: DrawingId) -> Subscription<PresenceMessage> {
        self.inner.subscribe_presence(drawing).await
    }

    fn reaches_other_nodes(&self) -> bool {
        false
    }

    fn is_connected(&self) -> bool {
        !self.is_cut.load(Ordering::Relaxed)
    }

    async fn flush(&self) {}
}
