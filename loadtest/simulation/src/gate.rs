//! The life of a node, and what it takes to end it at any moment.
//!
//! Whatever a node does to others goes through its gate: calls of the store, messages of the bus, bytes of connections.
//! When the node crashes, the gate is closed, and nothing that its tasks still do is seen by anybody.

use std::future::pending;

use tokio_util::sync::CancellationToken;

/// Stands between a node and the rest of the world.
#[derive(Clone, Debug, Default)]
pub struct Gate(CancellationToken);

impl Gate {
    /// Ends the node.
    pub fn close(&self) {
        self.0.cancel();
    }

    /// True if the node has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Goes on at once, or never.
    pub async fn pass(&self) {
        if self.is_closed() {
            pending::<()>().await;
        }
    }

    /// Completes when the node ends.
    pub async fn closed(&self) {
        self.0.cancelled().await;
    }
}
