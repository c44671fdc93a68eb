//! An open socket, as it is shared by the rooms that it follows, its own task and the registry.
//!
//! Owns the lock around its state. All verbs are those of the guard that the lock gives.

use std::sync::{Mutex, PoisonError};

use super::{
    endpoint::Endpoint,
    guard::{SocketGuard, SocketState},
};
use crate::{
    identity::Identity,
    model::{ConnectionId, Role},
    room::{Batch, Outlet},
    transport::Transport,
    wire::Encoding,
};

/// An open socket.
#[derive(Debug)]
pub(super) struct Socket {
    endpoint: Endpoint,
    /// Held for one message or one look, never across an await.
    state: Mutex<SocketState>,
}

impl Socket {
    pub(super) fn new(id: ConnectionId, stream: Transport, encoding: Encoding, identity: Identity) -> Self {
        let state = Mutex::new(SocketState::new(identity));
        Self { endpoint: Endpoint::new(id, stream, encoding), state }
    }

    /// The part of the socket that needs no lock.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Locks the socket, for one verb or a few that belong together.
    pub(super) fn lock(&self) -> SocketGuard<'_> {
        SocketGuard::new(&self.endpoint, self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Outlet for Socket {
    fn offer(&self, number: u64, batch: &Batch) -> bool {
        self.lock().deliver(number, batch)
    }

    fn offer_presence(&self, number: u64) {
        self.lock().deliver_presence(number);
    }

    fn change_role(&self, number: u64, role: Option<Role>) {
        self.lock().change_role(number, role);
    }
}
