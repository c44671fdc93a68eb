//! The roles that users may have had at each time, as far as the changes of roles tell.
//!
//! Owns the one question: can this user have had this role at that time? It gives the server the benefit of every doubt.

use crate::{
    clock::{Clocks, Place},
    format::Role,
    history::{History, Outcome, Request},
};

/// All changes of roles of a drawing.
#[derive(Debug)]
pub(crate) struct Roles {
    /// The changes of roles, by user.
    changes: Vec<Vec<Change>>,
    /// True if the drawing was made in this history, so that all roles are known.
    pub(crate) are_known: bool,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    begun: Place,
    /// The place by which it had taken effect for certain.
    done: Option<Place>,
    role: Option<Role>,
}

impl Roles {
    /// Gathers the changes.
    #[must_use]
    pub(crate) fn new(history: &History) -> Self {
        let mut this = Self { changes: vec![Vec::new(); history.users.len()], are_known: false };
        for call in &history.calls {
            let (user, role) = match call.request {
                Request::Create => (call.user, Some(Role::Owner)),
                Request::Role { user, role } => (user, role),
                _ => continue,
            };
            if call.may_have_committed() {
                this.are_known |= matches!(call.request, Request::Create);
                let done = call.ended.filter(|_| matches!(call.outcome, Outcome::Done));
                this.changes[user as usize].push(Change { begun: call.sent, done, role });
            }
        }
        this
    }

    /// True if the user can have had that role or a higher one at some time from `grace` nanoseconds before `begun`
    /// until `ended`.
    #[must_use]
    pub(crate) fn may(
        &self,
        clocks: &Clocks,
        user: u32,
        role: Role,
        (begun, ended): (Place, Place),
        grace: i64,
    ) -> bool {
        let changes = &self.changes[user as usize];
        changes.iter().any(|change| {
            let came_later = clocks.is_before(ended, change.begun);
            let is_over = || {
                changes.iter().any(|other| {
                    let Some((done, before)) = other.done.zip(change.done) else { return false };
                    clocks.is_before(before, other.begun) && clocks.is_before_by(done, begun, grace)
                })
            };
            change.role >= Some(role) && !came_later && !is_over()
        })
    }

    /// True if the user can have had any role before an event.
    #[must_use]
    pub(crate) fn had_any(&self, clocks: &Clocks, user: u32, at: Place) -> bool {
        let changes = &self.changes[user as usize];
        changes.iter().any(|change| change.role.is_some() && !clocks.is_before(at, change.begun))
    }

    /// True if a role is ever taken from the user.
    #[must_use]
    pub(crate) fn loses_role(&self, user: u32) -> bool {
        self.changes[user as usize].iter().any(|change| change.role.is_none())
    }

    /// The place where the role was last taken from the user, for the words of a finding.
    #[must_use]
    pub(crate) fn last_change(&self, user: u32) -> Option<Place> {
        self.changes[user as usize].iter().rev().find_map(|change| change.done)
    }
}
