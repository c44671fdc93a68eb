//! The bus: the hint. It carries committed ranges to the rooms of every node, news of roles, and presence.
//!
//! Owns the messages between nodes and their two carriers. A message may be lost, late, repeated or
//! out of order; whoever relies on one reads the store when it does not come.

mod local;
mod message;
mod nats;
mod presence;
mod queue;

use std::fmt;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::model::DrawingId;

pub(crate) use presence::{ENVELOPE_BYTES, GONE_BYTES};

pub use local::LocalBus;
pub use message::{ControlMessage, OpsMessage};
pub use nats::{InvalidNatsOptions, NatsBus, NatsError, NatsOptions};
pub use presence::{PresenceEntry, PresenceMessage};

/// Carries messages between the nodes of one deployment, the sender's own node included.
///
/// Invariants every carrier keeps:
///
/// 1. Publishing never waits and never fails towards the caller; what is lost is counted.
/// 2. Once `subscribe_*` has returned, messages published anywhere from then on arrive, unless the
///    carrier is cut (see [`is_connected`](Bus::is_connected)); then they arrive again without a new
///    subscription when the carrier is back.
/// 3. A subscription holds a bounded number of messages; what it had to drop shows as
///    [`Delivery::Lagged`] or as a gap.
/// 4. Messages of one publisher about one drawing arrive in the order of publishing.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Tells the rooms of a drawing what was committed.
    fn publish_ops(&self, message: OpsMessage);

    /// Tells every node that a role or a drawing changed.
    fn publish_control(&self, message: ControlMessage);

    /// Tells the lanes of a drawing who is present.
    fn publish_presence(&self, drawing: DrawingId, message: PresenceMessage);

    /// Follows the commits of one drawing.
    async fn subscribe_ops(&self, drawing: DrawingId) -> Subscription<OpsMessage>;

    /// Follows the control messages of all drawings.
    async fn subscribe_control(&self) -> Subscription<ControlMessage>;

    /// Follows the presence of one drawing.
    async fn subscribe_presence(&self, drawing: DrawingId) -> Subscription<PresenceMessage>;

    /// Returns `true` if there may be other nodes at all.
    fn reaches_other_nodes(&self) -> bool;

    /// Returns `true` while messages are carried.
    fn is_connected(&self) -> bool;

    /// Sends what is waiting to be sent.
    async fn flush(&self);
}

/// A live subscription; dropping it ends it.
pub type Subscription<T> = BoxStream<'static, Delivery<T>>;

/// An item of a subscription.
#[derive(Clone, PartialEq, Eq)]
pub enum Delivery<T> {
    /// A message.
    Message(T),
    /// Messages were dropped because the subscriber was slow.
    Lagged,
}

impl<T> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message(_) => "Message",
            Self::Lagged => "Lagged",
        })
    }
}
