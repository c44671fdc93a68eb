//! Share links of the store in memory.

use async_trait::async_trait;
use uuid::Uuid;

use super::{MemoryStore, State};
use crate::{
    model::{DrawingId, UserId},
    store::{JoinedLink, Link, Links, StoreError},
};

#[async_trait]
impl Links for MemoryStore {
    async fn create_link(&self, link: &Link, token_hash: &str) -> Result<(), StoreError> {
        self.write()?.add_link(link, token_hash)
    }

    async fn links(&self, id: DrawingId) -> Result<Vec<Link>, StoreError> {
        let state = self.lock()?;
        let mut links: Vec<_> = state.links.values().filter(|link| link.drawing_id == id).cloned().collect();
        links.sort_by_key(|link| (link.created_at, link.link_id));
        Ok(links)
    }

    async fn delete_link(&self, id: DrawingId, link_id: Uuid) -> Result<bool, StoreError> {
        let mut state = self.write()?;
        let before = state.links.len();
        state.links.retain(|_, link| link.drawing_id != id || link.link_id != link_id);
        Ok(state.links.len() < before)
    }

    async fn join_link(
        &self,
        token_hash: &str,
        user: &UserId,
        now_ms: i64,
    ) -> Result<Option<JoinedLink>, StoreError> {
        Ok(self.write()?.join(token_hash, user, now_ms))
    }
}

impl State {
    fn add_link(&mut self, link: &Link, token_hash: &str) -> Result<(), StoreError> {
        if self.links.contains_key(token_hash) || self.whole(link.drawing_id).is_none() {
            let refused = sqlx::Error::InvalidArgument("no drawing, or a token that is taken".to_owned());
            return Err(StoreError::Failed(refused));
        }
        self.links.insert(token_hash.to_owned(), link.clone());
        Ok(())
    }

    fn join(&mut self, token_hash: &str, user: &UserId, now_ms: i64) -> Option<JoinedLink> {
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
