//! Presence: who is here, and what they show of themselves. A lane of its own beside the log.
//!
//! Owns the presence of one room on one node: its roster, what its readers are told of it, and the task that
//! brings both together. It never touches the store, knows no sockets, and is shed before anything else. A
//! client's change takes effect here at once, and for readers with the next flush.

mod exchange;
mod holdings;
pub mod lane;
mod peers;
mod rooms;
mod roster;
mod shown;
mod viewport;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use self::{roster::Roster, shown::Board};
use super::broadcast::Broadcast;
use crate::{
    bus::PresenceMessage,
    limits,
    model::{ConnectionId, DrawingId, PresenceState, UserId},
};

pub use rooms::{PresenceLease, PresenceRooms};
pub use roster::{PresenceError, Present};
pub use shown::{PresenceDiff, RosterText, Since};
pub use viewport::ViewState;

/// Wait of `GET …/presence` for the roster to be complete.
/// At the bound, the answer is what is known by then.
const PRESENCE_SYNC_TIMEOUT: Duration = Duration::from_secs(1);

/// The presence of one room on one node. Its lane must run: see [`lane::run`].
pub struct Presence {
    drawing_id: DrawingId,
    /// The true state. Held for one step, never across an await.
    roster: Mutex<Roster>,
    /// The state that readers are told. Held for a look, or while a diff is made for all who want the same. A
    /// task that needs both locks takes this one first.
    board: Mutex<Board>,
    /// The version of the board.
    flushed: AtomicU64,
    /// The number of those who are present, by the board.
    count: AtomicUsize,
    /// The number of readers that this node has in the room.
    readers: AtomicUsize,
    /// The readers of this node, if there are any. Held for a look.
    readers_of_room: Mutex<Weak<Broadcast>>,
    /// Wakes the lane: something changed.
    changed: Notify,
    /// Wakes whoever waits for a flush.
    flushes: Notify,
    /// When the other nodes have had time to answer; unknown until they were asked.
    synced_at: watch::Sender<Option<tokio::time::Instant>>,
}

impl Presence {
    /// Nobody is present. `node` names this node to the others, and must be new for each life of a room:
    /// what others remember of an earlier one is not to be mixed up with it.
    #[must_use]
    pub fn new(drawing_id: DrawingId, node: Uuid) -> Self {
        Self {
            drawing_id,
            roster: Mutex::new(Roster::new(node)),
            board: Mutex::new(Board::new(drawing_id)),
            flushed: AtomicU64::new(0),
            count: AtomicUsize::new(0),
            readers: AtomicUsize::new(0),
            readers_of_room: Mutex::default(),
            changed: Notify::new(),
            flushes: Notify::new(),
            synced_at: watch::Sender::new(None),
        }
    }

    /// The drawing.
    #[must_use]
    pub fn drawing_id(&self) -> DrawingId {
        self.drawing_id
    }

    // --- What clients do ------------------------------------------------------------------------------

    /// A socket joins, or shows another state. The last value wins.
    ///
    /// # Errors
    /// [`PresenceError::Full`].
    pub fn publish(&self, who: &Present, state: PresenceState) -> Result<(), PresenceError> {
        self.step(|roster| roster.publish(who, state))
    }

    /// A client without a socket joins, or shows another state; it stays for `PRESENCE_HTTP_TTL`. It may
    /// go on at another node. Returns how many are present then, itself included.
    ///
    /// # Errors
    /// See [`PresenceError`].
    pub fn publish_http(&self, who: &Present, state: PresenceState) -> Result<usize, PresenceError> {
        self.step(|roster| roster.publish_http(who, state, Instant::now()).map(|()| roster.count()))
    }

    /// A socket leaves at once.
    pub fn leave(&self, connection: ConnectionId) {
        self.step(|roster| roster.leave(connection));
    }

    /// A client without a socket leaves at once, wherever it came in. Returns how many are present then,
    /// as far as this node knows.
    ///
    /// # Errors
    /// [`PresenceError::NotYours`].
    pub fn leave_http(&self, who: &Present) -> Result<usize, PresenceError> {
        self.step(|roster| roster.leave_http(who).map(|()| roster.count()))
    }

    /// A socket has dropped. It stays present for `PRESENCE_GRACE`, unless its user joins with another
    /// connection before that.
    pub fn socket_dropped(&self, connection: ConnectionId) {
        self.step(|roster| roster.socket_dropped(connection, Instant::now()));
    }

    /// A user's role was taken away: their connections on this node leave at once.
    pub fn leave_user(&self, user: &UserId) {
        self.step(|roster| roster.leave_user(user));
    }

    /// Everybody on this node leaves at once.
    pub fn leave_all(&self) {
        self.step(Roster::leave_all);
    }

    // --- What readers are told ------------------------------------------------------------------------

    /// The latest version. Cheap.
    #[must_use]
    pub fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// The diff that a reader at version `from` lacks, if it is told of everybody. Made once for all readers at
    /// that version.
    #[must_use]
    pub fn since(&self, from: u64) -> Since {
        if from == self.flushed() {
            return Since::Nothing;
        }
        self.lock_board().since(from)
    }

    /// Everybody, with the version from which a reader goes on. Made once a version.
    #[must_use]
    pub fn roster(&self) -> RosterText {
        self.lock_board().text()
    }

    /// Returns `true` if a reader is to be told of a part of the room alone: it is large, and the state of `me`
    /// says what it sees. Cheap in a small room.
    #[must_use]
    pub fn wants_view(&self, me: ConnectionId) -> bool {
        self.is_large() && self.lock_board().viewport_of(me).is_some()
    }

    /// The diff that a reader lacks, both for one that is told of everybody and for one that is told of a part;
    /// it may have been the other before. Such a reader keeps a [`ViewState`] in place of its version.
    #[must_use]
    pub fn view(&self, me: ConnectionId, reader: &mut ViewState) -> Since {
        if reader.version() == self.flushed() {
            return Since::Nothing;
        }
        let (everybody, viewport, left) = {
            let mut board = self.lock_board();
            let is_large = board.count() > limits::PRESENCE_VIEWPORT_ABOVE;
            let viewport = if is_large { board.viewport_of(me) } else { None };
            if viewport.is_none() && !reader.is_partial() {
                let since = board.since(reader.version());
                reader.note(&since);
                return since;
            }
            let left =
                if reader.is_partial() { Some(Vec::new()) } else { board.left_since(reader.version()) };
            let Some(left) = left else { return Since::TooOld };
            (board.everybody(), viewport, left)
        };
        let choice = match viewport {
            Some(viewport) => viewport::choose(&everybody.all, me, viewport),
            None => everybody.all.iter().collect(),
        };
        let diff = reader.advance(self.drawing_id, &everybody, &choice, left);
        diff.map_or(Since::Nothing, |diff| Since::Diff(Arc::new(diff)))
    }

    /// Waits until the roster holds what was done on this node before, and what other nodes told when
    /// they were asked first; or until there is no hope of it.
    pub async fn synced(&self) {
        let synced = async {
            let mut synced_at = self.synced_at.subscribe();
            if let Ok(at) = synced_at.wait_for(Option::is_some).await.map(|at| *at) {
                tokio::time::sleep_until(at.unwrap_or_else(tokio::time::Instant::now)).await;
            }
            // Registered before the look, so that a flush in between is not missed.
            let flush = self.flushes.notified();
            tokio::pin!(flush);
            flush.as_mut().enable();
            if self.lock_roster().is_pending() {
                flush.await;
            }
        };
        // After that time the answer is what is there.
        let _ = tokio::time::timeout(PRESENCE_SYNC_TIMEOUT, synced).await;
    }

    // --- For the room -----------------------------------------------------------------------------------

    /// Returns `true` if somebody is present through this node: then the room must go on.
    #[must_use]
    pub fn has_local(&self) -> bool {
        self.lock_roster().local() > 0
    }

    /// Learns how many readers the room has on this node: the more, the slower it tells them.
    pub fn set_readers(&self, readers: usize) {
        self.readers.store(readers, Ordering::Relaxed);
    }

    /// Lets the broadcasters of the room look after each flush.
    pub(super) fn set_broadcast(&self, broadcast: &Arc<Broadcast>) {
        *self.readers_of_room.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(broadcast);
    }

    /// The interval at which readers are told, at the present size of the room.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let size = self.count.load(Ordering::Relaxed).max(self.readers.load(Ordering::Relaxed));
        let step = limits::PRESENCE_INTERVALS.iter().find(|(up_to, _)| size <= *up_to);
        step.unwrap_or(&limits::PRESENCE_INTERVALS[0]).1
    }

    // --- For the lane -----------------------------------------------------------------------------------

    /// Shows readers what has changed; returns whether there is a new version.
    fn flush(&self) -> bool {
        let has_changed = {
            // Taken first and held: whoever sees nothing pending finds it on the board.
            let mut board = self.lock_board();
            let changes = self.lock_roster().flush();
            let has_changed = board.apply(changes);
            self.count.store(board.count(), Ordering::Relaxed);
            self.flushed.store(board.version(), Ordering::Release);
            has_changed
        };
        self.flushes.notify_waiters();
        has_changed
    }

    /// Does something to the roster, and wakes the lane if there is something to tell of which it does not
    /// know yet.
    fn step<T>(&self, step: impl FnOnce(&mut Roster) -> T) -> T {
        let (outcome, is_news) = {
            let mut roster = self.lock_roster();
            let was_pending = roster.is_pending();
            let outcome = step(&mut roster);
            (outcome, (!was_pending && roster.is_pending()) || !roster.outbox.is_empty())
        };
        if is_news {
            self.changed.notify_one();
        }
        outcome
    }

    fn wake_readers(&self) {
        let broadcast = self.readers_of_room.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(broadcast) = broadcast {
            broadcast.wake_for_presence();
        }
    }

    fn is_pending(&self) -> bool {
        self.lock_roster().is_pending()
    }

    fn take_outbox(&self) -> Vec<PresenceMessage> {
        self.lock_roster().take_outbox()
    }

    fn is_large(&self) -> bool {
        self.count.load(Ordering::Relaxed) > limits::PRESENCE_VIEWPORT_ABOVE
    }

    fn lock_roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").field("drawing_id", &self.drawing_id).finish_non_exhaustive()
    }
}
