//! The connections that are present, and the rules for how long.
//!
//! Owns what this node knows of presence in one room, and the changes by clients of this node. The changes by
//! other nodes stand in `exchange`, and what readers have been told in `shown`. Pure: time is passed in,
//! messages to others wait in an outbox until they are taken.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use uuid::Uuid;

use super::{
    exchange::Pace,
    holdings::{HoldingChange, Holdings},
    peers::Peers,
};
use crate::{
    bus::{PresenceEntry, PresenceMessage},
    limits,
    model::{ConnectionId, PresenceState, UserId},
};

/// The connection that is present, and its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Its user.
    pub user_id: UserId,
    /// The name to show to others.
    pub name: Option<Arc<str>>,
}

/// Why somebody cannot be present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresenceError {
    /// This node keeps `PRESENCE_MAX_LOCAL` presences for the room already.
    #[error("too many are present in this drawing")]
    Full,
    /// The connection is another user's.
    #[error("the connection belongs to another user")]
    NotYours,
}

/// When and why a local connection ends by itself.
#[derive(Clone, Copy, Debug)]
enum Expiry {
    /// Its socket has dropped.
    Grace(Instant),
    /// It was posted over HTTP and has not been since.
    Http(Instant),
}

impl Expiry {
    fn at(self) -> Instant {
        match self {
            Self::Grace(at) | Self::Http(at) => at,
        }
    }
}

/// The connections that are present in one room, as far as this node knows.
#[derive(Debug)]
pub(super) struct Roster {
    /// This node, in this life of the room.
    pub(super) me: Uuid,
    /// All connections, those of other nodes included.
    pub(super) holdings: Holdings,
    /// The place that the news of other nodes has reached.
    pub(super) peers: Peers,
    /// The local connections that end by themselves; a live socket is not among them.
    expiring: HashMap<ConnectionId, Expiry>,
    /// The number of connections that this node holds, at most `PRESENCE_MAX_LOCAL`.
    local: usize,
    /// Those of them whose present state the other nodes do not know.
    pub(super) untold: HashSet<ConnectionId>,
    /// The number of the latest diff to other nodes.
    pub(super) seq: u64,
    /// The times at which other nodes were told something.
    pub(super) pace: Pace,
    /// The messages to them. Emptied after every step, so that it holds those of one step.
    pub(super) outbox: Vec<PresenceMessage>,
}

impl Roster {
    /// Nobody is present. `me` must be new for every life of a room on a node.
    pub(super) fn new(me: Uuid) -> Self {
        Self {
            me,
            holdings: Holdings::default(),
            peers: Peers::default(),
            expiring: HashMap::new(),
            local: 0,
            untold: HashSet::new(),
            seq: 0,
            pace: Pace::default(),
            outbox: Vec::new(),
        }
    }

    // --- What clients of this node do -----------------------------------------------------------------

    /// A socket shows `state`. Its connection id was made by a server, so nobody else's claim to it
    /// stands.
    pub(super) fn publish(&mut self, who: &Present, state: PresenceState) -> Result<(), PresenceError> {
        self.hold(who, state)?;
        self.expiring.remove(&who.connection_id);
        Ok(())
    }

    /// A client without a socket shows `state`, at whichever node it likes.
    pub(super) fn publish_http(
        &mut self,
        who: &Present,
        state: PresenceState,
        now: Instant,
    ) -> Result<(), PresenceError> {
        self.check_owner(who)?;
        let is_live_socket =
            self.is_mine(who.connection_id) && !self.expiring.contains_key(&who.connection_id);
        self.hold(who, state)?;
        if !is_live_socket {
            let expiry = Expiry::Http(now + limits::PRESENCE_HTTP_TTL);
            self.expiring.insert(who.connection_id, expiry);
        }
        Ok(())
    }

    /// A local connection leaves at once.
    pub(super) fn leave(&mut self, connection: ConnectionId) {
        if self.holdings.remove(self.me, connection) {
            self.local -= 1;
            self.expiring.remove(&connection);
            self.untold.insert(connection);
        }
    }

    /// A client without a socket leaves; the node that holds its connection is told.
    pub(super) fn leave_http(&mut self, who: &Present) -> Result<(), PresenceError> {
        self.check_owner(who)?;
        self.leave(who.connection_id);
        if self.holdings.get(who.connection_id).is_some() {
            // When this is lost, the connection expires where it is held.
            self.outbox.push(PresenceMessage::Leave {
                node: self.me,
                connection_id: who.connection_id,
                user_id: who.user_id.clone(),
            });
        }
        Ok(())
    }

    /// The socket of a local connection has dropped; its user may be back in a moment.
    pub(super) fn socket_dropped(&mut self, connection: ConnectionId, now: Instant) {
        if self.is_mine(connection) {
            let grace = Expiry::Grace(now + limits::PRESENCE_GRACE);
            self.expiring.entry(connection).or_insert(grace);
        }
    }

    /// A user may not be here any more.
    pub(super) fn leave_user(&mut self, user: &UserId) {
        let theirs = self.holdings.all_of(self.me).filter(|entry| entry.user_id == *user);
        for connection in theirs.map(|entry| entry.connection_id).collect::<Vec<_>>() {
            self.leave(connection);
        }
    }

    /// Every local connection leaves.
    pub(super) fn leave_all(&mut self) {
        for connection in self.holdings.all_of(self.me).map(|entry| entry.connection_id).collect::<Vec<_>>() {
            self.leave(connection);
        }
    }

    /// Ends the local connections whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        let over = self.expiring.iter().filter(|(_, expiry)| expiry.at() <= now);
        for connection in over.map(|(connection, _)| *connection).collect::<Vec<_>>() {
            self.leave(connection);
        }
    }

    /// A user is here with a new connection: the ones they lost are not waited for.
    pub(super) fn end_grace(&mut self, entry: &PresenceEntry) {
        let is_theirs = |connection: &ConnectionId, expiry: &Expiry| {
            matches!(expiry, Expiry::Grace(_))
                && *connection != entry.connection_id
                && self.holdings.of(self.me, *connection).is_some_and(|held| held.user_id == entry.user_id)
        };
        let over = self.expiring.iter().filter(|(connection, expiry)| is_theirs(connection, expiry));
        for connection in over.map(|(connection, _)| *connection).collect::<Vec<_>>() {
            self.leave(connection);
        }
    }

    // --- What others see --------------------------------------------------------------------------------

    /// The number of connections that are present, on all nodes.
    pub(super) fn count(&self) -> usize {
        self.holdings.len()
    }

    /// The number of connections that this node holds.
    pub(super) fn local(&self) -> usize {
        self.local
    }

    /// Returns `true` if there may be news for readers or for other nodes.
    pub(super) fn is_pending(&self) -> bool {
        self.holdings.is_dirty() || !self.untold.is_empty()
    }

    /// Takes the changes that readers of this node have not been told. The news for other nodes is in the
    /// outbox then.
    pub(super) fn flush(&mut self) -> Vec<HoldingChange> {
        self.push_diff();
        self.holdings.take_changes()
    }

    /// Takes the messages to other nodes, in their order.
    pub(super) fn take_outbox(&mut self) -> Vec<PresenceMessage> {
        std::mem::take(&mut self.outbox)
    }

    // --- Parts ------------------------------------------------------------------------------------------

    pub(super) fn is_mine(&self, connection: ConnectionId) -> bool {
        self.holdings.of(self.me, connection).is_some()
    }

    fn check_owner(&self, who: &Present) -> Result<(), PresenceError> {
        let held = self.holdings.get(who.connection_id);
        if held.is_some_and(|held| held.entry.user_id != who.user_id) {
            return Err(PresenceError::NotYours);
        }
        Ok(())
    }

    /// Holds a connection from now on, wherever it was held before.
    fn hold(&mut self, who: &Present, state: PresenceState) -> Result<(), PresenceError> {
        let mine = self.holdings.of(self.me, who.connection_id);
        let is_new = mine.is_none();
        if is_new && self.local >= limits::PRESENCE_MAX_LOCAL {
            return Err(PresenceError::Full);
        }
        let claim = match (mine, self.holdings.get(who.connection_id)) {
            (Some(mine), _) => mine.claim,
            (None, Some(others)) => others.entry.claim.saturating_add(1),
            (None, None) => 1,
        };
        let Present { connection_id, user_id, name } = who.clone();
        let entry = PresenceEntry { connection_id, user_id, name, claim, state };
        if mine.is_some_and(|mine| **mine == entry) {
            return Ok(());
        }
        if is_new {
            self.end_grace(&entry);
            self.local += 1;
        }
        self.holdings.put(self.me, Arc::new(entry));
        self.untold.insert(who.connection_id);
        Ok(())
    }
}
