//! Drawings, members and links: the SQL that both back ends understand alike.
//!
//! Owns every statement about them; `log.rs`, `snapshots.rs` and `import.rs` own the others. Macros, because sqlx's
//! types differ by database while the statements do not: each back end expands them once.

/// Expands to `impl Store` for a back end with two pools, `read` and `write`, which may be the same,
/// four methods of its own: `begin_write`, `append_batch`, `read_heads`, `read_roles`, and those of
/// `impl_log`.
macro_rules! impl_store {
    ($backend:ty, $database:ty) => {
        #[async_trait]
        impl Store for $backend {
        async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
            self.health.admit()?;
            self.append_batch(batch, now_ms).await
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

        async fn heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
            self.read_heads(drawings).await
        }

        async fn read(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError> {
            self.read_log(range).await
        }

        async fn find_op(&self, drawing: DrawingId, op_id: OpId) -> Result<Option<StoredOp>, StoreError> {
            self.find_in_log(drawing, op_id).await
        }

        async fn revision_at(&self, drawing: DrawingId, at_ms: i64) -> Result<Option<Revision>, StoreError> {
            self.search_log(drawing, at_ms).await
        }

        async fn meta(&self) -> Result<Meta, StoreError> {
            let (epoch, server_key) = sqlx::query_as::<_, (Uuid, Uuid)>("SELECT epoch, server_key FROM meta")
                .fetch_one(&self.read)
                .await?;
            Ok(Meta { epoch: Epoch(epoch), server_key })
        }

        async fn new_epoch(&self) -> Result<Epoch, StoreError> {
            let epoch = Uuid::new_v4();
            sqlx::query(Self::NEW_EPOCH).bind(epoch).execute(&self.write).await?;
            Ok(Epoch(epoch))
        }

        async fn count_created(&self, user: &UserId, most: u32) -> Result<u32, StoreError> {
            let count: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM (SELECT 1 FROM drawings WHERE created_by = $1 AND deleted_at IS NULL LIMIT $2) AS created",
            )
            .bind(user.as_str())
            .bind(i64::from(most))
            .fetch_one(&self.read)
            .await?;
            Ok(u32::try_from(count).unwrap_or(u32::MAX))
        }

        async fn create_drawing(
            &self,
            id: DrawingId,
            title: &str,
            owner: &UserId,
            now_ms: i64,
        ) -> Result<CreateOutcome, StoreError> {
            let mut tx = self.begin_write().await?;
            let inserted = sqlx::query(
                "INSERT INTO drawings (drawing_id, title, created_by, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING",
            )
            .bind(id.0)
            .bind(title)
            .bind(owner.as_str())
            .bind(now_ms)
            .execute(&mut tx)
            .await?;
            if inserted.rows_affected() == 0 {
                let (created_by, is_whole) = sqlx::query_as::<_, (String, bool)>(
                    "SELECT created_by, deleted_at IS NULL AND importing_since IS NULL
                       FROM drawings WHERE drawing_id = $1",
                )
                .bind(id.0)
                .fetch_one(&mut tx)
                .await?;
                if created_by != owner.as_str() || !is_whole {
                    return Ok(CreateOutcome::Taken);
                }
                // Written and committed again, so that it is durable before the retry is told so.
                Self::touch(&mut tx, id).await?;
                tx.commit().await?;
                return Ok(CreateOutcome::Exists);
            }
            sqlx::query("INSERT INTO heads (drawing_id) VALUES ($1)").bind(id.0).execute(&mut tx).await?;
            sqlx::query("INSERT INTO members (drawing_id, user_id, role) VALUES ($1, $2, 'owner')")
                .bind(id.0)
                .bind(owner.as_str())
                .execute(&mut tx)
                .await?;
            tx.commit().await?;
            Ok(CreateOutcome::Created)
        }

        async fn drawing(&self, id: DrawingId, user: &UserId) -> Result<Option<Drawing>, StoreError> {
            let row = sqlx::query_as::<_, DrawingRow>(
                "SELECT d.drawing_id, d.title, d.created_by, d.created_at, d.updated_at, x.epoch, x.previous_epoch,
                        CASE WHEN h.epoch = x.epoch THEN h.base ELSE h.revision END, h.revision,
                        (SELECT max(s.revision) FROM snapshots s WHERE s.drawing_id = d.drawing_id), m.role
                   FROM members m
                   JOIN drawings d ON d.drawing_id = m.drawing_id
                   JOIN heads h ON h.drawing_id = m.drawing_id
                   CROSS JOIN meta x
                  WHERE m.drawing_id = $1 AND m.user_id = $2",
            )
            .bind(id.0)
            .bind(user.as_str())
            .fetch_optional(&self.read)
            .await?;
            row.map(Drawing::try_from).transpose()
        }

        async fn drawings(
            &self,
            user: &UserId,
            cursor: Option<DrawingCursor>,
            limit: u32,
        ) -> Result<Vec<Drawing>, StoreError> {
            let after = cursor.unwrap_or(DrawingCursor { created_at: i64::MAX, drawing_id: DrawingId(Uuid::max()) });
            let rows = sqlx::query_as::<_, DrawingRow>(
                "SELECT d.drawing_id, d.title, d.created_by, d.created_at, d.updated_at, x.epoch, x.previous_epoch,
                        CASE WHEN h.epoch = x.epoch THEN h.base ELSE h.revision END, h.revision,
                        (SELECT max(s.revision) FROM snapshots s WHERE s.drawing_id = d.drawing_id), m.role
                   FROM members m
                   JOIN drawings d ON d.drawing_id = m.drawing_id
                   JOIN heads h ON h.drawing_id = m.drawing_id
                   CROSS JOIN meta x
                  WHERE m.user_id = $1 AND (d.created_at, d.drawing_id) < ($2, $3)
                  ORDER BY d.created_at DESC, d.drawing_id DESC
                  LIMIT $4",
            )
            .bind(user.as_str())
            .bind(after.created_at)
            .bind(after.drawing_id.0)
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await?;
            rows.into_iter().map(Drawing::try_from).collect()
        }

        async fn rename_drawing(&self, id: DrawingId, title: &str, now_ms: i64) -> Result<bool, StoreError> {
            let done = sqlx::query(
                "UPDATE drawings SET title = $2, updated_at = $3
                  WHERE drawing_id = $1 AND deleted_at IS NULL AND importing_since IS NULL",
            )
            .bind(id.0)
            .bind(title)
            .bind(now_ms)
            .execute(&self.write)
            .await?;
            Ok(done.rows_affected() > 0)
        }

        async fn confirm(&self, id: DrawingId) -> Result<(), StoreError> {
            let mut tx = self.begin_write().await?;
            Self::touch(&mut tx, id).await?;
            tx.commit().await?;
            Ok(())
        }

        async fn delete_drawing(&self, id: DrawingId, now_ms: i64) -> Result<bool, StoreError> {
            let mut tx = self.begin_write().await?;
            let done = sqlx::query(
                "UPDATE drawings SET deleted_at = $2, title = ''
                  WHERE drawing_id = $1 AND deleted_at IS NULL AND importing_since IS NULL",
            )
            .bind(id.0)
            .bind(now_ms)
            .execute(&mut tx)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            for statement in [
                "DELETE FROM heads WHERE drawing_id = $1",
                "DELETE FROM members WHERE drawing_id = $1",
                "DELETE FROM links WHERE drawing_id = $1",
                "DELETE FROM fog WHERE drawing_id = $1",
                // Nobody moves these meanwhile: who does holds the row of the drawing.
                "INSERT INTO snapshot_waste (snapshot_id, drawing_id)
                 SELECT snapshot_id, drawing_id FROM snapshots WHERE drawing_id = $1
                 UNION ALL SELECT snapshot_id, drawing_id FROM snapshot_claims WHERE drawing_id = $1",
                "DELETE FROM snapshots WHERE drawing_id = $1",
                "DELETE FROM snapshot_claims WHERE drawing_id = $1",
            ] {
                sqlx::query(statement).bind(id.0).execute(&mut tx).await?;
            }
            tx.commit().await?;
            Ok(true)
        }

        async fn purge_deleted(&self, limit: u32) -> Result<u64, StoreError> {
            loop {
                let next = sqlx::query_scalar::<_, Uuid>(
                    "SELECT drawing_id FROM drawings WHERE deleted_at IS NOT NULL AND NOT purged LIMIT 1",
                )
                .fetch_optional(&self.read)
                .await?;
                let Some(drawing) = next else { return Ok(0) };
                let removed = sqlx::query(
                    "DELETE FROM ops WHERE drawing_id = $1 AND revision IN (
                         SELECT revision FROM ops WHERE drawing_id = $1 ORDER BY revision LIMIT $2)",
                )
                .bind(drawing)
                .bind(i64::from(limit))
                .execute(&self.write)
                .await?
                .rows_affected();
                if removed > 0 {
                    return Ok(removed);
                }
                sqlx::query("UPDATE drawings SET purged = true WHERE drawing_id = $1")
                    .bind(drawing)
                    .execute(&self.write)
                    .await?;
            }
        }

        async fn role(&self, id: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError> {
            let role = sqlx::query_scalar::<_, String>(
                "SELECT role FROM members WHERE drawing_id = $1 AND user_id = $2",
            )
            .bind(id.0)
            .bind(user.as_str())
            .fetch_optional(&self.read)
            .await?;
            role.as_deref().map(role_from_sql).transpose()
        }

        async fn members(&self, id: DrawingId) -> Result<Vec<Member>, StoreError> {
            let rows = sqlx::query_as::<_, (String, String)>(
                "SELECT user_id, role FROM members WHERE drawing_id = $1 ORDER BY user_id",
            )
            .bind(id.0)
            .fetch_all(&self.read)
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
            let mut tx = self.begin_write().await?;
            // Changes to the members of one drawing wait for each other at its row.
            let locked = sqlx::query(
                "UPDATE drawings SET updated_at = $2
                  WHERE drawing_id = $1 AND deleted_at IS NULL AND importing_since IS NULL",
            )
            .bind(id.0)
            .bind(now_ms)
            .execute(&mut tx)
            .await?;
            if locked.rows_affected() == 0 {
                return Ok(MemberOutcome::NotFound);
            }
            let before = Self::role_of(&mut tx, id.0, user).await?;
            let done = match role {
                Some(role) => sqlx::query(
                    "INSERT INTO members (drawing_id, user_id, role) VALUES ($1, $2, $3)
                     ON CONFLICT (drawing_id, user_id) DO UPDATE SET role = excluded.role",
                )
                .bind(id.0)
                .bind(user.as_str())
                .bind(role.as_str()),
                None => sqlx::query("DELETE FROM members WHERE drawing_id = $1 AND user_id = $2")
                    .bind(id.0)
                    .bind(user.as_str()),
            }
            .execute(&mut tx)
            .await?;
            if done.rows_affected() == 0 {
                // Who is gone already has to be gone for good before a retry is told so.
                tx.commit().await?;
                return Ok(MemberOutcome::NotFound);
            }
            let owners = sqlx::query_scalar::<_, i64>(
                "SELECT count(*) FROM members WHERE drawing_id = $1 AND role = 'owner'",
            )
            .bind(id.0)
            .fetch_one(&mut tx)
            .await?;
            if owners == 0 {
                return Ok(MemberOutcome::LastOwner);
            }
            tx.commit().await?;
            Ok(MemberOutcome::Changed { before })
        }

        async fn create_link(&self, link: &Link, token_hash: &str) -> Result<(), StoreError> {
            sqlx::query(
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
            .execute(&self.write)
            .await?;
            Ok(())
        }

        async fn links(&self, id: DrawingId) -> Result<Vec<Link>, StoreError> {
            let rows = sqlx::query_as::<_, (Uuid, String, String, i64, Option<i64>)>(
                "SELECT link_id, role, created_by, created_at, expires_at
                   FROM links WHERE drawing_id = $1 ORDER BY created_at, link_id",
            )
            .bind(id.0)
            .fetch_all(&self.read)
            .await?;
            rows.into_iter()
                .map(|(link_id, role, created_by, created_at, expires_at)| {
                    let (role, created_by) = (role_from_sql(&role)?, user_from_sql(&created_by)?);
                    Ok(Link { link_id, drawing_id: id, role, created_by, created_at, expires_at })
                })
                .collect()
        }

        async fn delete_link(&self, id: DrawingId, link_id: Uuid) -> Result<bool, StoreError> {
            let mut tx = self.begin_write().await?;
            // Written whether or not the link is there still: one that is gone has to be gone for good before a retry is
            // told so.
            Self::touch(&mut tx, id).await?;
            let done = sqlx::query("DELETE FROM links WHERE drawing_id = $1 AND link_id = $2")
                .bind(id.0)
                .bind(link_id)
                .execute(&mut tx)
                .await?;
            tx.commit().await?;
            Ok(done.rows_affected() > 0)
        }

        async fn join_link(
            &self,
            token_hash: &str,
            user: &UserId,
            now_ms: i64,
        ) -> Result<Option<JoinedLink>, StoreError> {
            let mut tx = self.begin_write().await?;
            let found = sqlx::query_as::<_, (Uuid, Uuid, String)>(
                "SELECT link_id, drawing_id, role FROM links
                  WHERE token_hash = $1 AND (expires_at IS NULL OR expires_at > $2)",
            )
            .bind(token_hash)
            .bind(now_ms)
            .fetch_optional(&mut tx)
            .await?;
            let Some((link_id, drawing_id, offered)) = found else { return Ok(None) };
            let offered = role_from_sql(&offered)?;
            // The same lock as in `set_member`; a drawing deleted meanwhile has no row to lock.
            let locked = sqlx::query(
                "UPDATE drawings SET updated_at = $2 WHERE drawing_id = $1 AND deleted_at IS NULL",
            )
            .bind(drawing_id)
            .bind(now_ms)
            .execute(&mut tx)
            .await?;
            if locked.rows_affected() == 0 {
                return Ok(None);
            }
            let before = Self::role_of(&mut tx, drawing_id, user).await?;
            let role = before.map_or(offered, |before| before.max(offered));
            sqlx::query(
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

        async fn probe(&self, probe: Probe) -> Result<(), StoreError> {
            self.write_probe(probe).await
        }

        fn health(&self) -> &Health {
            &self.health
        }

        async fn close(&self) {
            self.read.close().await;
            self.write.close().await;
        }
        }

        impl $backend {
            /// The role of a user, under the lock of the drawing.
            async fn role_of(
                tx: &mut Tx<$database>,
                id: Uuid,
                user: &UserId,
            ) -> Result<Option<Role>, StoreError> {
                let role = sqlx::query_scalar::<_, String>(
                    "SELECT role FROM members WHERE drawing_id = $1 AND user_id = $2",
                )
                .bind(id)
                .bind(user.as_str())
                .fetch_optional(&mut *tx)
                .await?;
                role.as_deref().map(role_from_sql).transpose()
            }

            /// Writes the row of a drawing as it is, so that the transaction has something to commit.
            async fn touch(tx: &mut Tx<$database>, id: DrawingId) -> Result<(), StoreError> {
                sqlx::query("UPDATE drawings SET updated_at = updated_at WHERE drawing_id = $1")
                    .bind(id.0)
                    .execute(&mut *tx)
                    .await?;
                Ok(())
            }
        }
    };
}
pub(super) use impl_store;

use uuid::Uuid;

use super::{Drawing, StoreError, revision_from_sql, types::branch_from_sql};
use crate::model::{DrawingId, Role, UserId};

/// A drawing as both databases return it.
pub(super) type DrawingRow =
    (Uuid, String, String, i64, i64, Uuid, Option<Uuid>, i64, i64, Option<i64>, String);

impl TryFrom<DrawingRow> for Drawing {
    type Error = StoreError;

    fn try_from(row: DrawingRow) -> Result<Self, StoreError> {
        let (
            drawing_id,
            title,
            created_by,
            created_at,
            updated_at,
            epoch,
            previous,
            base,
            head,
            snapshot,
            role,
        ) = row;
        Ok(Self {
            drawing_id: DrawingId(drawing_id),
            title,
            created_by: user_from_sql(&created_by)?,
            created_at,
            updated_at,
            branch: branch_from_sql(epoch, previous, base)?,
            head: revision_from_sql(head)?,
            snapshot_revision: snapshot.map(revision_from_sql).transpose()?,
            role: role_from_sql(&role)?,
        })
    }
}

pub(super) fn role_from_sql(text: &str) -> Result<Role, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt("role"))
}

pub(super) fn user_from_sql(text: &str) -> Result<UserId, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt("user id"))
}
