//! A reader that waits for what comes next, for those who have a task of their own: long-polls and
//! event streams.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use super::{Batch, JoinError, Joined, Next, Outlet, Position, Reader, Rooms, presence::PresenceLease};
use crate::{
    model::{Branch, DrawingId, Revision, Role, UserId},
    wire::{Item, ResetReason},
};

/// Follows one drawing at its own pace.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    /// The presence it watches, if any, and the version of which it was told that it is there.
    presence: Option<(PresenceLease, u64)>,
    /// The role that its user was told last, if it was.
    role: Option<Role>,
    bell: Arc<Bell>,
}

/// An item for a follower, or its end.
#[derive(Debug)]
pub enum Event {
    /// Something that the room tells.
    Item(Arc<Item>),
    /// The follower was too slow, or the log was replaced meanwhile: it ends.
    Lagged {
        /// Why.
        reason: ResetReason,
        /// The epoch now, and how the log goes on from the one before.
        branch: Branch,
        /// The head now.
        revision: Revision,
    },
    /// The role of its user changed; without one it ends.
    Role(Option<Role>),
    /// There is another version of presence.
    Presence,
}

/// Wakes the follower.
#[derive(Debug, Default)]
struct Bell {
    notify: Notify,
    /// A change of role that the follower has not heard of. Held for a look.
    role: Mutex<Option<Option<Role>>>,
    has_left: AtomicBool,
}

impl Bell {
    fn take_role(&self) -> Option<Option<Role>> {
        self.role.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Outlet for Bell {
    fn offer(&self, _: u64, _: &Batch) -> bool {
        self.notify.notify_one();
        !self.has_left.load(Ordering::Relaxed)
    }

    fn offer_presence(&self, _: u64) {
        self.notify.notify_one();
    }

    fn change_role(&self, _: u64, role: Option<Role>) {
        *self.role.lock().unwrap_or_else(PoisonError::into_inner) = Some(role);
        self.notify.notify_one();
    }
}

impl Rooms {
    /// Joins the room of a drawing as [`join`](Self::join) does, with a reader that waits.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub async fn follow(
        &self,
        drawing: DrawingId,
        user: &UserId,
        position: Position,
    ) -> Result<Joined<Follower>, JoinError> {
        let bell = Arc::new(Bell::default());
        let joined = self.join(drawing, user, position, bell.clone(), 0).await?;
        Ok(joined.map(|reader| Follower { reader, presence: None, role: None, bell }))
    }
}

impl Follower {
    /// Watches this presence too.
    #[must_use]
    pub fn with_presence(mut self, presence: Option<PresenceLease>) -> Self {
        self.presence = presence.map(|presence| (presence, 0));
        self
    }

    /// Where the follower stands.
    #[must_use]
    pub fn position(&self) -> (Branch, Revision) {
        self.reader.position()
    }

    /// Waits for what comes next. Nothing is lost when it is dropped while it waits.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(role) = self.bell.take_role() {
                // The same news may come twice, by the bus and without it.
                if role.is_none() || std::mem::replace(&mut self.role, role) != role {
                    return Event::Role(role);
                }
            }
            match self.reader.read() {
                Next::Item(item) => return Event::Item(item),
                Next::Lagged { reason, branch, revision } => {
                    return Event::Lagged { reason, branch, revision };
                }
                Next::Empty => (),
            }
            if let Some((presence, told)) = &mut self.presence {
                let version = presence.flushed();
                if std::mem::replace(told, version) != version {
                    return Event::Presence;
                }
            }
            self.bell.notify.notified().await;
        }
    }

    /// Notes the role that the user was told, so that a later one is news.
    pub fn note_role(&mut self, role: Role) {
        self.role = Some(role);
        self.reader.note_role(role);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.bell.has_left.store(true, Ordering::Relaxed);
    }
}
