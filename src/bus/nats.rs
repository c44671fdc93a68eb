//! The bus over NATS core subjects: `revcast.<drawing_id>.ops`, `.presence` and `.control`.

mod access;
mod link;

use std::{
    collections::HashMap,
    fmt,
    future::ready,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ConnectOptions, connection::State};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::{sync::oneshot, task::unconstrained};
use uuid::Uuid;

use access::NatsAccess;
use link::NatsLink;

use super::{Bus, ControlMessage, Delivery, OpsMessage, PresenceMessage, Subscription};
use crate::{limits, model::DrawingId, telemetry::Metrics};

pub use access::{InvalidNatsOptions, NatsOptions};

/// The interval at which a NATS connection is probed; two unanswered probes end it.
const NATS_PING_INTERVAL: Duration = Duration::from_secs(5);
/// Longest pause between attempts to reach NATS again.
const NATS_RECONNECT_MAX: Duration = Duration::from_secs(2);

/// Why there is no bus over NATS.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The options do not do.
    #[error(transparent)]
    Options(#[from] InvalidNatsOptions),
    /// The client did not start.
    #[error(transparent)]
    Client(#[from] async_nats::ConnectError),
}

/// A bus over NATS. It connects in the background and reconnects by itself for ever.
#[derive(Clone)]
pub struct NatsBus {
    client: Client,
    link: Arc<NatsLink>,
    confirmations: Arc<Confirmations>,
    metrics: Arc<Metrics>,
}

/// Answers whether the server has taken in all that was sent to it before: a message to ourselves
/// comes back only after it.
struct Confirmations {
    /// Where the messages to ourselves go.
    inbox: String,
    next: AtomicU64,
    /// The tasks that wait until a message to ourselves is back, by its number. The lock is held for one map
    /// operation.
    waiting: Mutex<HashMap<u64, oneshot::Sender<()>>>,
}

impl NatsBus {
    /// Starts connecting. Returns when connected, or after `NATS_CONNECT_TIMEOUT` without.
    ///
    /// # Errors
    /// When the options do not do.
    pub async fn connect(options: &NatsOptions, metrics: Arc<Metrics>) -> Result<Self, NatsError> {
        let access = NatsAccess::new(options)?;
        let addresses = access.addresses();
        let link = Arc::new(NatsLink::new(access));
        let client = connect_options(&link).connect(addresses).await?;
        let inbox = format!("_INBOX.revcast.{}", Uuid::new_v4().simple());
        let confirmations =
            Arc::new(Confirmations { inbox, next: AtomicU64::new(0), waiting: Mutex::default() });
        let bus = Self { client, link, confirmations, metrics };
        bus.listen_to_ourselves().await;
        // The first connection is worth a short wait: what follows then starts with a live bus.
        bus.confirm(limits::NATS_CONNECT_TIMEOUT).await;
        Ok(bus)
    }

    async fn listen_to_ourselves(&self) {
        let Ok(mut replies) = self.client.subscribe(format!("{}.*", self.confirmations.inbox)).await else {
            return;
        };
        let confirmations = Arc::downgrade(&self.confirmations);
        // Ends with the client, whose last handle goes with the bus.
        tokio::spawn(async move {
            while let Some(reply) = replies.next().await {
                let Some(confirmations) = confirmations.upgrade() else { return };
                let number = reply.subject.rsplit('.').next().and_then(|n| n.parse::<u64>().ok());
                if let Some(waiter) = number.and_then(|n| confirmations.take(n)) {
                    // The waiter may have given up.
                    let _ = waiter.send(());
                }
            }
        });
    }

    /// Waits until the server has taken in all that was sent to it so far; false after `timeout`.
    async fn confirm(&self, timeout: std::time::Duration) -> bool {
        let number = self.confirmations.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.confirmations.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, sender);
        let subject = format!("{}.{number}", self.confirmations.inbox);
        let round_trip =
            async { self.client.publish(subject, Bytes::new()).await.is_ok() && receiver.await.is_ok() };
        let is_confirmed = tokio::time::timeout(timeout, round_trip).await.unwrap_or(false);
        self.confirmations.take(number);
        is_confirmed
    }

    /// Hands a message to the client if that can be done at once; counts it as lost otherwise.
    fn publish(&self, subject: String, payload: Bytes) {
        // Without a connection it would wait for the reconnect, and rooms read the store before that.
        let is_sent = self.client.connection_state() == State::Connected
            // Unconstrained: a task that has sent much since it last waited would be told to wait.
            && matches!(unconstrained(self.client.publish(subject, payload)).now_or_never(), Some(Ok(())));
        if !is_sent {
            self.metrics.publish_failures.increment(1);
        }
    }

    async fn subscribe<T: Send + 'static>(
        &self,
        subject: String,
        decode: impl Fn(async_nats::Message) -> Option<T> + Send + Sync + 'static,
    ) -> Subscription<T> {
        // A message that cannot be read is of another version, and as good as lost.
        let read = move |message| ready(decode(message).map(Delivery::Message));
        let client = self.client.clone();
        let mut subscribe = Box::pin(async move { client.subscribe(subject).await });
        match tokio::time::timeout(limits::BUS_CONFIRM_TIMEOUT, &mut subscribe).await {
            Ok(Ok(messages)) => {
                self.confirm(limits::BUS_CONFIRM_TIMEOUT).await;
                messages.filter_map(read).boxed()
            }
            // The client is closed for good, which happens only when the process ends.
            Ok(Err(_)) => stream::pending().boxed(),
            // The client's queue is full while NATS stalls: it subscribes when it can, and the room
            // reads the store until then.
            Err(_) => stream::once(subscribe)
                .filter_map(|outcome| ready(outcome.ok()))
                .flatten()
                .filter_map(read)
                .boxed(),
        }
    }
}

impl Confirmations {
    fn take(&self, number: u64) -> Option<oneshot::Sender<()>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number)
    }
}

#[async_trait]
impl Bus for NatsBus {
    fn publish_ops(&self, message: OpsMessage) {
        self.publish(format!("revcast.{}.ops", message.drawing_id), message.encode());
    }

    fn publish_control(&self, message: ControlMessage) {
        match serde_json::to_vec(&message) {
            Ok(json) => self.publish(format!("revcast.{}.control", message.drawing_id()), json.into()),
            Err(_) => self.metrics.publish_failures.increment(1),
        }
    }

    fn publish_presence(&self, drawing: DrawingId, message: PresenceMessage) {
        let bytes = message.encode();
        // Whoever makes a message cuts it to size. One that is not would only end at the server.
        if bytes.len() <= limits::MAX_BUS_MESSAGE_BYTES {
            self.publish(format!("revcast.{drawing}.presence"), bytes);
        } else {
            self.metrics.publish_failures.increment(1);
        }
    }

    async fn subscribe_ops(&self, drawing: DrawingId) -> Subscription<OpsMessage> {
        self.subscribe(format!("revcast.{drawing}.ops"), move |m| OpsMessage::decode(drawing, m.payload))
            .await
    }

    async fn subscribe_control(&self) -> Subscription<ControlMessage> {
        self.subscribe("revcast.*.control".to_owned(), |m| serde_json::from_slice(&m.payload).ok()).await
    }

    async fn subscribe_presence(&self, drawing: DrawingId) -> Subscription<PresenceMessage> {
        self.subscribe(format!("revcast.{drawing}.presence"), |m| PresenceMessage::decode(&m.payload)).await
    }

    fn reaches_other_nodes(&self) -> bool {
        true
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected && self.link.is_allowed()
    }

    async fn flush(&self) {
        if self.is_connected() {
            self.confirm(limits::BUS_CONFIRM_TIMEOUT).await;
        }
    }
}

/// The options to connect with, and to connect again for ever.
fn connect_options(link: &Arc<NatsLink>) -> ConnectOptions {
    let (answering, choosing, hearing) = (link.clone(), link.clone(), link.clone());
    let options = ConnectOptions::with_auth_callback(move |nonce| ready(answering.answer(&nonce)))
        .reconnect_to_server_callback(move |pool, _| ready(choosing.next_server(&pool)))
        .event_callback(move |event| {
            hearing.hear(&event);
            ready(())
        });
    link.with_tls(options)
        .name("revcast")
        .retry_on_initial_connect()
        .ping_interval(NATS_PING_INTERVAL)
        .connection_timeout(limits::NATS_CONNECT_TIMEOUT)
        .reconnect_delay_callback(|attempt| {
            let millis = 50u64.saturating_mul(1 << attempt.min(10));
            std::time::Duration::from_millis(millis).min(NATS_RECONNECT_MAX)
        })
        .client_capacity(limits::PUBLISH_QUEUE_MESSAGES)
        .subscription_capacity(limits::SUBSCRIPTION_MESSAGES)
}

impl fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsBus").field("state", &self.client.connection_state()).finish_non_exhaustive()
    }
}
