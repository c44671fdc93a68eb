//! Who reads in a room: whose roles are looked after, in case a change went unannounced.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::{Role, UserId};

/// The users with a reader in one room.
#[derive(Debug, Default)]
pub(super) struct Audience {
    /// Held for one map operation.
    users: Mutex<HashMap<UserId, Listener>>,
}

#[derive(Debug, Default)]
struct Listener {
    readers: usize,
    /// The role at the last look; unknown before the first.
    role: Option<Role>,
}

/// A reader's presence in the audience; it ends with the value.
#[derive(Debug)]
pub(super) struct Seat {
    audience: Arc<Audience>,
    user: UserId,
}

impl Audience {
    pub(super) fn join(self: &Arc<Self>, user: &UserId) -> Seat {
        self.lock().entry(user.clone()).or_default().readers += 1;
        Seat { audience: self.clone(), user: user.clone() }
    }

    pub(super) fn users(&self) -> Vec<UserId> {
        self.lock().keys().cloned().collect()
    }

    /// Takes in the role that the store has, and tells whether the readers must hear of it: always
    /// when there is none, else when it is another than at the last look.
    pub(super) fn learn_role(&self, user: &UserId, role: Option<Role>) -> bool {
        let mut users = self.lock();
        let Some(listener) = users.get_mut(user) else { return false };
        let before = std::mem::replace(&mut listener.role, role);
        role.is_none() || before.is_some_and(|before| Some(before) != role)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Listener>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub(super) fn note_role(&self, role: Role) {
        self.audience.learn_role(&self.user, Some(role));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut users = self.audience.lock();
        if let Some(listener) = users.get_mut(&self.user) {
            listener.readers -= 1;
            if listener.readers == 0 {
                users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_role_is_told_once_and_its_loss_always() {
        let audience = Arc::new(Audience::default());
        let user: UserId = "alice".parse().unwrap();
        let (first, second) = (audience.join(&user), audience.join(&user));
        assert!(!audience.learn_role(&user, Some(Role::Editor)));
        assert!(!audience.learn_role(&user, Some(Role::Editor)));
        assert!(audience.learn_role(&user, Some(Role::Viewer)));
        assert!(!audience.learn_role(&user, Some(Role::Viewer)));
        assert!(audience.learn_role(&user, None));
        assert!(audience.learn_role(&user, None));
        drop(first);
        assert_eq!(audience.users().len(), 1);
        drop(second);
        assert!(audience.users().is_empty());
        assert!(!audience.learn_role(&user, None));
    }
}
