//! Members in SQL.

use std::collections::HashMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Dialect, SqlBackend, Tx, query};
use crate::{
    model::{DrawingId, Role, UserId},
    store::{Member, MemberOutcome, Members, StoreError, role_from_sql, user_from_sql},
};

#[async_trait]
impl<S: SqlBackend> Members for S {
    async fn role(&self, id: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError> {
        let role = query("SELECT role FROM members WHERE drawing_id = $1 AND user_id = $2")
            .bind(id.0)
            .bind(user.as_str())
            .fetch_optional::<String>(&self.pools().read)
            .await?;
        role.as_deref().map(role_from_sql).transpose()
    }

    async fn roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<HashMap<(DrawingId, UserId), Role>, StoreError> {
        let parse = |(drawing, user, role): (Uuid, String, String)| {
            Ok(((DrawingId(drawing), user_from_sql(&user)?), role_from_sql(&role)?))
        };
        self.read_roles(pairs).await?.into_iter().map(parse).collect()
    }

    async fn members(&self, id: DrawingId) -> Result<Vec<Member>, StoreError> {
        let rows = query("SELECT user_id, role FROM members WHERE drawing_id = $1 ORDER BY user_id")
            .bind(id.0)
            .fetch_all::<(String, String)>(&self.pools().read)
            .await?;
        rows.into_iter()
            .map(|(user, role)| Ok(Member { user_id: user_from_sql(&user)?, role: role_from_sql(&role)? }))
            .collect()
    }

    async fn set_member(
        &self,
        id: DrawingId,
        user: &UserId,
        role: Option<Role>,
        now_ms: i64,
    ) -> Result<MemberOutcome, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        // Changes to the members of one drawing wait for each other at its row.
        let locked = query(
            "UPDATE drawings SET updated_at = $2
              WHERE drawing_id = $1 AND deleted_at IS NULL AND importing_since IS NULL",
        )
        .bind(id.0)
        .bind(now_ms)
        .execute(&mut tx)
        .await?;
        if locked == 0 {
            return Ok(MemberOutcome::NotFound);
        }
        let before = role_of(&mut tx, id.0, user).await?;
        let done = match role {
            Some(role) => query(
                "INSERT INTO members (drawing_id, user_id, role) VALUES ($1, $2, $3)
                 ON CONFLICT (drawing_id, user_id) DO UPDATE SET role = excluded.role",
            )
            .bind(id.0)
            .bind(user.as_str())
            .bind(role.as_str()),
            None => query("DELETE FROM members WHERE drawing_id = $1 AND user_id = $2")
                .bind(id.0)
                .bind(user.as_str()),
        }
        .execute(&mut tx)
        .await?;
        if done == 0 {
            // A retry may learn that the member is gone only once that is durable.
            tx.commit().await?;
            return Ok(MemberOutcome::NotFound);
        }
        let owners = query("SELECT count(*) FROM members WHERE drawing_id = $1 AND role = 'owner'")
            .bind(id.0)
            .fetch_one::<i64>(&mut tx)
            .await?;
        if owners == 0 {
            return Ok(MemberOutcome::LastOwner);
        }
        tx.commit().await?;
        Ok(MemberOutcome::Changed { before })
    }
}

/// The role of a user, under the lock of the drawing.
pub(super) async fn role_of<DB: Dialect>(
    tx: &mut Tx<DB>,
    id: Uuid,
    user: &UserId,
) -> Result<Option<Role>, StoreError> {
    let role = query("SELECT role FROM members WHERE drawing_id = $1 AND user_id = $2")
        .bind(id)
        .bind(user.as_str())
        .fetch_optional::<String>(&mut *tx)
        .await?;
    role.as_deref().map(role_from_sql).transpose()
}
