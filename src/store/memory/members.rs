//! Members of the store in memory.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{MemoryStore, State};
use crate::{
    model::{DrawingId, Role, UserId},
    store::{Member, MemberOutcome, Members, StoreError},
};

#[async_trait]
impl Members for MemoryStore {
    async fn role(&self, id: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError> {
        let state = self.lock()?;
        Ok(state.drawings.get(&id).and_then(|row| row.members.get(user).copied()))
    }

    async fn roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<HashMap<(DrawingId, UserId), Role>, StoreError> {
        let state = self.lock()?;
        let role = |(id, user): &(DrawingId, UserId)| {
            let role = *state.drawings.get(id)?.members.get(user)?;
            Some(((*id, user.clone()), role))
        };
        Ok(pairs.iter().filter_map(role).collect())
    }

    async fn members(&self, id: DrawingId) -> Result<Vec<Member>, StoreError> {
        let state = self.lock()?;
        let members = state.drawings.get(&id).into_iter().flat_map(|row| &row.members);
        Ok(members.map(|(user, role)| Member { user_id: user.clone(), role: *role }).collect())
    }

    async fn set_member(
        &self,
        id: DrawingId,
        user: &UserId,
        role: Option<Role>,
        now_ms: i64,
    ) -> Result<MemberOutcome, StoreError> {
        Ok(self.write()?.set_member(id, user, role, now_ms))
    }
}

impl State {
    fn set_member(&mut self, id: DrawingId, user: &UserId, role: Option<Role>, now_ms: i64) -> MemberOutcome {
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
}
