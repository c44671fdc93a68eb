//! The users who read in a room. Their roles are looked after, in case a change went unannounced.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::outlet::Recipient;
use crate::model::{Role, UserId};

/// The users with a reader in one room.
#[derive(Debug, Default)]
pub(super) struct Audience {
    /// Held for one map operation, and never while a reader is told something.
    users: Mutex<HashMap<UserId, Listener>>,
}

#[derive(Debug, Default)]
struct Listener {
    readers: Vec<Recipient>,
    /// The role at the last look; unknown before the first.
    role: Option<Role>,
    /// `true` if a reader joined with another role than the readers before it know of.
    is_disputed: bool,
}

/// A reader's presence in the audience; it ends with the value.
#[derive(Debug)]
pub(super) struct Seat {
    audience: Arc<Audience>,
    user: UserId,
    member: Recipient,
}

impl Audience {
    pub(super) fn join(self: &Arc<Self>, user: &UserId, member: Recipient) -> Seat {
        self.lock().entry(user.clone()).or_default().readers.push(member.clone());
        Seat { audience: self.clone(), user: user.clone(), member }
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
        let is_disputed = std::mem::take(&mut listener.is_disputed);
        role.is_none() || is_disputed || before.is_some_and(|before| Some(before) != role)
    }

    /// Tells the readers of a user their role, however far behind they are.
    pub(super) fn change_role(&self, user: &UserId, role: Option<Role>) {
        let told = |listener: &mut Listener| {
            listener.role = role;
            listener.readers.clone()
        };
        let readers = self.lock().get_mut(user).map(told).unwrap_or_default();
        for member in readers {
            member.outlet.change_role(member.reader, role);
        }
    }

    /// Tells everyone that the drawing is gone.
    pub(super) fn dismiss(&self) {
        for user in self.users() {
            self.change_role(&user, None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Listener>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Notes the role that this reader was told. Where it is news, the others hear of it at the next look:
    /// one of the two is outdated.
    pub(super) fn note_role(&self, role: Role) {
        if let Some(listener) = self.audience.lock().get_mut(&self.user) {
            let before = listener.role.replace(role);
            listener.is_disputed |= before.is_some_and(|before| before != role);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut users = self.audience.lock();
        if let Some(listener) = users.get_mut(&self.user) {
            let same = |member: &Recipient| {
                member.reader == self.member.reader && Arc::ptr_eq(&member.outlet, &self.member.outlet)
            };
            if let Some(nth) = listener.readers.iter().position(same) {
                listener.readers.swap_remove(nth);
            }
            if listener.readers.is_empty() {
                users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::{Batch, Outlet};

    /// Notes the roles that its readers are told.
    #[derive(Debug, Default)]
    struct Ear(Mutex<Vec<(u64, Option<Role>)>>);

    impl Ear {
        fn heard(&self) -> Vec<(u64, Option<Role>)> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl Outlet for Ear {
        fn offer(&self, _: u64, _: &Batch) -> bool {
            true
        }

        fn offer_presence(&self, _: u64) {}

        fn change_role(&self, reader: u64, role: Option<Role>) {
            self.0.lock().unwrap().push((reader, role));
        }
    }

    const EDITOR: Option<Role> = Some(Role::Editor);
    const VIEWER: Option<Role> = Some(Role::Viewer);

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    fn sit(audience: &Arc<Audience>, name: &str, outlet: &Arc<Ear>, reader: u64) -> Seat {
        audience.join(&user(name), Recipient { outlet: outlet.clone(), reader })
    }

    #[test]
    fn a_role_is_news_once_and_its_loss_always() {
        let (audience, ear) = (Arc::new(Audience::default()), Arc::default());
        let _seat = sit(&audience, "bob", &ear, 1);
        let looks = [(EDITOR, false), (EDITOR, false), (VIEWER, true), (VIEWER, false), (EDITOR, true)];
        for (role, is_news) in looks.into_iter().chain([(None, true), (None, true), (EDITOR, false)]) {
            assert_eq!(audience.learn_role(&user("bob"), role), is_news, "{role:?}");
        }
        assert!(!audience.learn_role(&user("carol"), None), "she is not here");
    }

    #[test]
    fn who_was_told_another_role_than_those_before_makes_it_news_for_all() {
        let (audience, ear) = (Arc::new(Audience::default()), Arc::default());
        let first = sit(&audience, "bob", &ear, 1);
        first.note_role(Role::Editor);
        assert!(!audience.learn_role(&user("bob"), EDITOR));
        // The change itself went unheard; the second one joins after it.
        let second = sit(&audience, "bob", &ear, 2);
        second.note_role(Role::Viewer);
        assert!(audience.learn_role(&user("bob"), VIEWER), "the first one does not know");
        assert!(!audience.learn_role(&user("bob"), VIEWER), "now it does");
        second.note_role(Role::Viewer);
        assert!(!audience.learn_role(&user("bob"), VIEWER));
    }

    #[test]
    fn every_reader_of_a_user_is_told_and_nobody_else() {
        let audience = Arc::new(Audience::default());
        let (one, other) = (Arc::<Ear>::default(), Arc::<Ear>::default());
        let _seats = (sit(&audience, "bob", &one, 1), sit(&audience, "bob", &other, 1));
        let (third, _carols) = (sit(&audience, "bob", &one, 3), sit(&audience, "carol", &one, 4));
        audience.change_role(&user("bob"), VIEWER);
        assert_eq!((one.heard(), other.heard()), (vec![(1, VIEWER), (3, VIEWER)], vec![(1, VIEWER)]));
        drop(third);
        audience.dismiss();
        let mut heard = one.heard();
        heard.sort_by_key(|(reader, _)| *reader);
        assert_eq!((heard, other.heard()), (vec![(1, None), (4, None)], vec![(1, None)]));
    }

    #[test]
    fn a_user_without_readers_is_not_looked_after() {
        let (audience, ear) = (Arc::new(Audience::default()), Arc::<Ear>::default());
        let seats = [sit(&audience, "bob", &ear, 1), sit(&audience, "bob", &ear, 1)];
        assert_eq!(audience.users(), [user("bob")]);
        let [first, second] = seats;
        drop(first);
        assert_eq!(audience.users(), [user("bob")]);
        drop(second);
        assert!(audience.users().is_empty());
        audience.change_role(&user("bob"), None);
        assert!(ear.heard().is_empty());
    }
}
