//! Drawings, members and links of the store in memory.

use uuid::Uuid;

use super::{Head, Life, Row, State};
use crate::{
    model::{DrawingId, Role, UserId},
    store::{CreateOutcome, Drawing, DrawingCursor, JoinedLink, Link, MemberOutcome, StoreError},
};

impl State {
    pub(super) fn create(
        &mut self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> CreateOutcome {
        if let Some(row) = self.drawings.get(&id) {
            let is_same = row.created_by == *owner && row.life == Life::Whole;
            return if is_same { CreateOutcome::Exists } else { CreateOutcome::Taken };
        }
        let mut row = Row::new(title, owner, now_ms, Life::Whole);
        row.head = Some(Head::default());
        row.members.insert(owner.clone(), Role::Owner);
        self.drawings.insert(id, row);
        CreateOutcome::Created
    }

    /// A drawing as `user` may see it.
    pub(super) fn shown(&self, id: DrawingId, user: &UserId) -> Option<Drawing> {
        let (head, row) = self.headed(id)?;
        let role = *row.members.get(user)?;
        Some(Drawing {
            drawing_id: id,
            title: row.title.clone(),
            created_by: row.created_by.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            branch: self.branch(&head),
            head: head.revision,
            snapshot_revision: row.snapshots.keys().next_back().copied(),
            role,
        })
    }

    pub(super) fn list(&self, user: &UserId, cursor: Option<DrawingCursor>, limit: u32) -> Vec<Drawing> {
        let after =
            cursor.unwrap_or(DrawingCursor { created_at: i64::MAX, drawing_id: DrawingId(Uuid::max()) });
        let place = |drawing: &Drawing| (drawing.created_at, drawing.drawing_id);
        let mut drawings: Vec<_> = self.drawings.keys().filter_map(|id| self.shown(*id, user)).collect();
        drawings.retain(|drawing| place(drawing) < (after.created_at, after.drawing_id));
        drawings.sort_by_key(|drawing| std::cmp::Reverse(place(drawing)));
        drawings.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        drawings
    }

    pub(super) fn delete(&mut self, id: DrawingId) -> bool {
        let Some(row) = self.whole(id) else { return false };
        (row.life, row.head) = (Life::Deleted, None);
        row.title.clear();
        row.members.clear();
        row.fog.clear();
        row.by_id.clear();
        let snapshots = std::mem::take(&mut row.snapshots).into_values();
        let ids = snapshots.map(|snapshot| snapshot.snapshot_id).chain(row.claim.take().map(|(id, _)| id));
        let waste: Vec<_> = ids.map(|snapshot| (snapshot, id)).collect();
        self.waste.extend(waste);
        self.links.retain(|_, link| link.drawing_id != id);
        true
    }

    pub(super) fn set_member(
        &mut self,
        id: DrawingId,
        user: &UserId,
        role: Option<Role>,
        now_ms: i64,
    ) -> MemberOutcome {
        let Some(row) = self.whole(id) else { return MemberOutcome::NotFound };
        let before = row.members.get(user).copied();
        if role.is_none() && before.is_none() {
            row.updated_at = now_ms;
            return MemberOutcome::NotFound;
        }
        let is_another_owner = |(other, role): (&UserId, &Role)| other != user && *role == Role::Owner;
        if role != Some(Role::Owner) && !row.members.iter().any(is_another_owner) {
            return MemberOutcome::LastOwner;
        }
        match role {
            Some(role) => row.members.insert(user.clone(), role),
            None => row.members.remove(user),
        };
        row.updated_at = now_ms;
        MemberOutcome::Changed { before }
    }

    pub(super) fn add_link(&mut self, link: &Link, token_hash: &str) -> Result<(), StoreError> {
        if self.links.contains_key(token_hash) || self.whole(link.drawing_id).is_none() {
            let refused = sqlx::Error::InvalidArgument("no drawing, or a token that is taken".to_owned());
            return Err(StoreError::Failed(refused));
        }
        self.links.insert(token_hash.to_owned(), link.clone());
        Ok(())
    }

    pub(super) fn join(&mut self, token_hash: &str, user: &UserId, now_ms: i64) -> Option<JoinedLink> {
        let link = self.links.get(token_hash)?;
        if link.expires_at.is_some_and(|expires_at| expires_at <= now_ms) {
            return None;
        }
        let (drawing_id, link_id, offered) = (link.drawing_id, link.link_id, link.role);
        let row = self.whole(drawing_id)?;
        let before = row.members.get(user).copied();
        let role = before.map_or(offered, |before| before.max(offered));
        row.members.insert(user.clone(), role);
        row.updated_at = now_ms;
        Some(JoinedLink { drawing_id, link_id, before, role })
    }
}
