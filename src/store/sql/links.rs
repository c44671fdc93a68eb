//! Share links in SQL.

use async_trait::async_trait;
use uuid::Uuid;

use super::{SqlBackend, drawings::touch, members::role_of, query};
use crate::{
    model::{DrawingId, UserId},
    store::{JoinedLink, Link, Links, StoreError, role_from_sql, user_from_sql},
};

#[async_trait]
impl<S: SqlBackend> Links for S {
    async fn create_link(&self, link: &Link, token_hash: &str) -> Result<(), StoreError> {
        query(
            "INSERT INTO links (link_id, token_hash, drawing_id, role, created_by, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(link.link_id)
        .bind(token_hash)
        .bind(link.drawing_id.0)
        .bind(link.role.as_str())
        .bind(link.created_by.as_str())
        .bind(link.created_at)
        .bind(link.expires_at)
        .execute(&self.pools().write)
        .await?;
        Ok(())
    }

    async fn links(&self, id: DrawingId) -> Result<Vec<Link>, StoreError> {
        let rows = query(
            "SELECT link_id, role, created_by, created_at, expires_at
               FROM links WHERE drawing_id = $1 ORDER BY created_at, link_id",
        )
        .bind(id.0)
        .fetch_all::<(Uuid, String, String, i64, Option<i64>)>(&self.pools().read)
        .await?;
        rows.into_iter()
            .map(|(link_id, role, created_by, created_at, expires_at)| {
                let (role, created_by) = (role_from_sql(&role)?, user_from_sql(&created_by)?);
                Ok(Link { link_id, drawing_id: id, role, created_by, created_at, expires_at })
            })
            .collect()
    }

    async fn delete_link(&self, id: DrawingId, link_id: Uuid) -> Result<bool, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        // Written whether or not the link is there still: one that is gone has to be gone for good before a retry is
        // told so.
        touch(&mut tx, id).await?;
        let done = query("DELETE FROM links WHERE drawing_id = $1 AND link_id = $2")
            .bind(id.0)
            .bind(link_id)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(done > 0)
    }

    async fn join_link(
        &self,
        token_hash: &str,
        user: &UserId,
        now_ms: i64,
    ) -> Result<Option<JoinedLink>, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        let found = query(
            "SELECT link_id, drawing_id, role FROM links
              WHERE token_hash = $1 AND (expires_at IS NULL OR expires_at > $2)",
        )
        .bind(token_hash)
        .bind(now_ms)
        .fetch_optional::<(Uuid, Uuid, String)>(&mut tx)
        .await?;
        let Some((link_id, drawing_id, offered)) = found else { return Ok(None) };
        let offered = role_from_sql(&offered)?;
        // The same lock as in `set_member`; a drawing deleted meanwhile has no row to lock.
        let locked =
            query("UPDATE drawings SET updated_at = $2 WHERE drawing_id = $1 AND deleted_at IS NULL")
                .bind(drawing_id)
                .bind(now_ms)
                .execute(&mut tx)
                .await?;
        if locked == 0 {
            return Ok(None);
        }
        let before = role_of(&mut tx, drawing_id, user).await?;
        let role = before.map_or(offered, |before| before.max(offered));
        query(
            "INSERT INTO members (drawing_id, user_id, role) VALUES ($1, $2, $3)
             ON CONFLICT (drawing_id, user_id) DO UPDATE SET role = excluded.role",
        )
        .bind(drawing_id)
        .bind(user.as_str())
        .bind(role.as_str())
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(Some(JoinedLink { drawing_id: DrawingId(drawing_id), link_id, before, role }))
    }
}
