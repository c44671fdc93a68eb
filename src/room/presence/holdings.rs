//! The connections that each node holds, and what follows from them.
//!
//! Owns all that this node knows of present connections, kept apart by the node that told of them, so
//! that the news of one node never depend on those of another. Where two hold the same connection, which
//! happens while it moves, the higher claim counts. Pure.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use uuid::Uuid;

use crate::{bus::PresenceEntry, model::ConnectionId};

/// A connection as one node holds it.
#[derive(Clone, Debug)]
pub(super) struct HeldConnection {
    /// The node.
    pub(super) owner: Uuid,
    /// The entry that it told.
    pub(super) entry: Arc<PresenceEntry>,
}

/// The new state of one connection since it was last asked; `None` when nobody holds it.
pub(super) type HoldingChange = (ConnectionId, Option<Arc<PresenceEntry>>);

/// All present connections.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// The holders of each connection: mostly one node, never none.
    held: HashMap<ConnectionId, Vec<HeldConnection>>,
    /// The connections whose entries may have changed since the changes were last taken.
    dirty: HashSet<ConnectionId>,
}

impl Holdings {
    /// The number of connections that are present.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Returns `true` if something may have changed since the changes were last taken.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// A connection as it counts.
    pub(super) fn get(&self, connection: ConnectionId) -> Option<&HeldConnection> {
        self.held.get(&connection)?.iter().max_by_key(|held| (held.entry.claim, held.owner))
    }

    /// A connection as `owner` holds it.
    pub(super) fn of(&self, owner: Uuid, connection: ConnectionId) -> Option<&Arc<PresenceEntry>> {
        let held = self.held.get(&connection)?;
        held.iter().find(|held| held.owner == owner).map(|held| &held.entry)
    }

    /// All that `owner` holds, in no order.
    pub(super) fn all_of(&self, owner: Uuid) -> impl Iterator<Item = &Arc<PresenceEntry>> {
        self.held.values().flatten().filter(move |held| held.owner == owner).map(|held| &held.entry)
    }

    /// Takes in what `owner` holds; returns whether it did not hold the connection before.
    pub(super) fn put(&mut self, owner: Uuid, entry: Arc<PresenceEntry>) -> bool {
        self.dirty.insert(entry.connection_id);
        let held = self.held.entry(entry.connection_id).or_default();
        match held.iter_mut().find(|held| held.owner == owner) {
            Some(held) => {
                held.entry = entry;
                false
            }
            None => {
                held.push(HeldConnection { owner, entry });
                true
            }
        }
    }

    /// `owner` does not hold the connection any more; returns whether it did.
    pub(super) fn remove(&mut self, owner: Uuid, connection: ConnectionId) -> bool {
        let Some(held) = self.held.get_mut(&connection) else { return false };
        let before = held.len();
        held.retain(|held| held.owner != owner);
        let has_changed = held.len() < before;
        if held.is_empty() {
            self.held.remove(&connection);
        }
        if has_changed {
            self.dirty.insert(connection);
        }
        has_changed
    }

    /// `owner` holds nothing any more but what `keeps`.
    pub(super) fn retain_of(&mut self, owner: Uuid, keeps: impl Fn(ConnectionId) -> bool) {
        let all: Vec<_> = self.all_of(owner).map(|entry| entry.connection_id).collect();
        for connection in all.into_iter().filter(|connection| !keeps(*connection)) {
            self.remove(owner, connection);
        }
    }

    /// The connections that may have changed since this was last called.
    pub(super) fn take_changes(&mut self) -> Vec<HoldingChange> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().map(|id| (id, self.get(id).map(|held| held.entry.clone()))).collect()
    }
}
