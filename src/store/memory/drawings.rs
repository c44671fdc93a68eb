//! Drawings of the store in memory.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Head, Life, MemoryStore, Row, State};
use crate::{
    model::{DrawingId, Role, UserId},
    store::{CreateOutcome, Drawing, DrawingCursor, Drawings, StoreError},
};

#[async_trait]
impl Drawings for MemoryStore {
    async fn create_drawing(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        Ok(self.write()?.create(id, title, owner, now_ms))
    }

    async fn count_created(&self, user: &UserId, most: u32) -> Result<u32, StoreError> {
        let state = self.lock()?;
        let is_theirs = |row: &&Row| row.created_by == *user && row.life != Life::Deleted;
        let count = state.drawings.values().filter(is_theirs).count();
        Ok(u32::try_from(count).unwrap_or(u32::MAX).min(most))
    }

    async fn drawing(&self, id: DrawingId, user: &UserId) -> Result<Option<Drawing>, StoreError> {
        Ok(self.lock()?.shown(id, user))
    }

    async fn drawings(
        &self,
        user: &UserId,
        cursor: Option<DrawingCursor>,
        limit: u32,
    ) -> Result<Vec<Drawing>, StoreError> {
        Ok(self.lock()?.list(user, cursor, limit))
    }

    async fn rename_drawing(&self, id: DrawingId, title: &str, now_ms: i64) -> Result<bool, StoreError> {
        let mut state = self.write()?;
        let Some(row) = state.whole(id) else { return Ok(false) };
        (row.title, row.updated_at) = (title.to_owned(), now_ms);
        Ok(true)
    }

    async fn confirm(&self, _: DrawingId) -> Result<(), StoreError> {
        drop(self.write()?);
        Ok(())
    }

    async fn delete_drawing(&self, id: DrawingId, _: i64) -> Result<bool, StoreError> {
        Ok(self.write()?.delete(id))
    }
}

impl State {
    fn create(&mut self, id: DrawingId, title: &str, owner: &UserId, now_ms: i64) -> CreateOutcome {
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
    fn shown(&self, id: DrawingId, user: &UserId) -> Option<Drawing> {
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

    fn list(&self, user: &UserId, cursor: Option<DrawingCursor>, limit: u32) -> Vec<Drawing> {
        let after =
            cursor.unwrap_or(DrawingCursor { created_at: i64::MAX, drawing_id: DrawingId(Uuid::max()) });
        let place = |drawing: &Drawing| (drawing.created_at, drawing.drawing_id);
        let mut drawings: Vec<_> = self.drawings.keys().filter_map(|id| self.shown(*id, user)).collect();
        drawings.retain(|drawing| place(drawing) < (after.created_at, after.drawing_id));
        drawings.sort_by_key(|drawing| std::cmp::Reverse(place(drawing)));
        drawings.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        drawings
    }

    fn delete(&mut self, id: DrawingId) -> bool {
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
}
