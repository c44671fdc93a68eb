//! The task of one room's presence.
//!
//! It alone flushes: at once when the room was quiet, else at the pace of the room. It brings news to
//! and from the other nodes, and does what time demands. Whatever becomes of the bus, it goes on.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Presence;
use crate::{
    bus::{Bus, Delivery, PresenceMessage, Subscription},
    limits,
};

/// Wait of a new lane for other nodes.
/// At the bound, the answer is what is known by then.
const PRESENCE_SYNC_WAIT: Duration = Duration::from_millis(150);

/// Runs the presence of a room until `shutdown`; then everybody who is present through this node is gone
/// for the others. `wake` is called after each flush that changed something: it must not wait.
pub async fn run(
    presence: Arc<Presence>,
    bus: Arc<dyn Bus>,
    wake: impl Fn() + Send + Sync + 'static,
    shutdown: CancellationToken,
) {
    let mut news = tokio::select! {
        news = bus.subscribe_presence(presence.drawing_id) => news,
        () = shutdown.cancelled() => return,
    };
    let mut lane = Lane { presence, bus, last_flush: None, was_connected: true };
    lane.ask_first();
    let mut ticks = tokio::time::interval(limits::PRESENCE_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            delivery = news.next() => lane.on_news(delivery, &mut news),
            () = lane.presence.changed.notified() => (),
            _ = ticks.tick() => lane.on_tick(),
            () = lane.flush_due() => {
                lane.last_flush = Some(Instant::now());
                if lane.presence.flush() {
                    wake();
                }
            }
        }
        lane.publish();
    }
    lane.presence.leave_all();
    if lane.presence.flush() {
        wake();
    }
    lane.publish();
}

struct Lane {
    presence: Arc<Presence>,
    bus: Arc<dyn Bus>,
    last_flush: Option<Instant>,
    /// `true` if the bus carried messages at the last look.
    was_connected: bool,
}

impl Lane {
    /// Asks the other nodes who is present with them.
    fn ask_first(&mut self) {
        self.was_connected = self.bus.is_connected();
        self.ask_all();
        self.publish();
        let may_hear = self.was_connected && self.bus.reaches_other_nodes();
        let patience = if may_hear { PRESENCE_SYNC_WAIT } else { Duration::ZERO };
        self.presence.synced_at.send_replace(Some(Instant::now() + patience));
    }

    fn on_news(
        &mut self,
        delivery: Option<Delivery<PresenceMessage>>,
        news: &mut Subscription<PresenceMessage>,
    ) {
        match delivery {
            Some(delivery) => self.take_in(delivery),
            // The bus is closed for good: what is here goes on without.
            None => *news = stream::pending().boxed(),
        }
        // Messages that have come meanwhile join the same flush.
        for _ in 0..limits::SUBSCRIPTION_MESSAGES {
            match news.next().now_or_never() {
                Some(Some(delivery)) => self.take_in(delivery),
                _ => break,
            }
        }
    }

    fn take_in(&self, delivery: Delivery<PresenceMessage>) {
        match delivery {
            Delivery::Message(message) => {
                self.presence.lock_roster().receive(message, Instant::now().into_std());
            }
            Delivery::Lagged => self.ask_all(),
        }
    }

    fn on_tick(&mut self) {
        let is_connected = self.bus.is_connected();
        if is_connected && !self.was_connected {
            // Nobody here knows who was present meanwhile.
            self.ask_all();
        }
        self.was_connected = is_connected;
        self.presence.lock_roster().tick(Instant::now().into_std());
    }

    fn ask_all(&self) {
        self.presence.lock_roster().ask_all(Instant::now().into_std());
    }

    /// Says what is to be said to the other nodes.
    fn publish(&self) {
        for message in self.presence.take_outbox() {
            self.bus.publish_presence(self.presence.drawing_id, message);
        }
    }

    /// Completes when a flush is due; never while nothing has changed.
    async fn flush_due(&self) {
        if !self.presence.is_pending() {
            return std::future::pending().await;
        }
        if let Some(last_flush) = self.last_flush {
            tokio::time::sleep_until(last_flush + self.presence.interval()).await;
        }
    }
}
