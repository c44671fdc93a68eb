//! The end of a connection that stands here: its name, its bytes, and the bell of its task.
//!
//! Owns what never changes while a socket is open, and so needs no lock. It keeps nothing for its client: whatever waits
//! to leave is the business of `outgoing`.

use bytes::Bytes;
use tokio::sync::{Notify, futures::Notified};

use crate::{
    model::{Branch, ConnectionId, DrawingId, Revision},
    telemetry,
    transport::Transport,
    wire::{Encoding, ResetReason, ServerMessage, encode},
};

/// This node's end of a socket.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) id: ConnectionId,
    pub(super) stream: Transport,
    pub(super) encoding: Encoding,
    /// Wakes the task of the socket: it fell behind, or is to close.
    bell: Notify,
}

impl Endpoint {
    pub(super) fn new(id: ConnectionId, stream: Transport, encoding: Encoding) -> Self {
        Self { id, stream, encoding, bell: Notify::new() }
    }

    /// Wakes the task of the socket.
    pub(super) fn wake(&self) {
        self.bell.notify_one();
    }

    /// Waits until the task of the socket is woken.
    pub(super) fn woken(&self) -> Notified<'_> {
        self.bell.notified()
    }

    /// Encodes a message for this client.
    pub(super) fn encode(&self, message: &ServerMessage<'_>) -> Bytes {
        encode::message(message, self.encoding)
    }

    /// Encodes that a subscription ends for this reason, and counts it.
    pub(super) fn reset(
        &self,
        drawing_id: DrawingId,
        reason: ResetReason,
        branch: Branch,
        revision: Revision,
    ) -> Bytes {
        telemetry::count_reset(reason.as_str());
        self.encode(&ServerMessage::reset(drawing_id, reason, branch, revision))
    }
}
