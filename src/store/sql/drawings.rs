//! Drawings in SQL.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Dialect, SqlBackend, Tx, query};
use crate::{
    model::{DrawingId, UserId},
    store::{
        CreateOutcome, Drawing, DrawingCursor, Drawings, StoreError, branch_from_sql, revision_from_sql,
        role_from_sql, user_from_sql,
    },
};

/// A drawing as both databases return it.
type DrawingRow = (Uuid, String, String, i64, i64, Uuid, Option<Uuid>, i64, i64, Option<i64>, String);

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

#[async_trait]
impl<S: SqlBackend> Drawings for S {
    async fn create_drawing(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        let inserted = query(
            "INSERT INTO drawings (drawing_id, title, created_by, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING",
        )
        .bind(id.0)
        .bind(title)
        .bind(owner.as_str())
        .bind(now_ms)
        .execute(&mut tx)
        .await?;
        if inserted == 0 {
            let (created_by, is_whole) = query(
                "SELECT created_by, deleted_at IS NULL AND importing_since IS NULL
                   FROM drawings WHERE drawing_id = $1",
            )
            .bind(id.0)
            .fetch_one::<(String, bool)>(&mut tx)
            .await?;
            if created_by != owner.as_str() || !is_whole {
                return Ok(CreateOutcome::Taken);
            }
            // Written and committed again, so that it is durable before the retry is told so.
            touch(&mut tx, id).await?;
            tx.commit().await?;
            return Ok(CreateOutcome::Exists);
        }
        query("INSERT INTO heads (drawing_id) VALUES ($1)").bind(id.0).execute(&mut tx).await?;
        query("INSERT INTO members (drawing_id, user_id, role) VALUES ($1, $2, 'owner')")
            .bind(id.0)
            .bind(owner.as_str())
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(CreateOutcome::Created)
    }

    async fn count_created(&self, user: &UserId, most: u32) -> Result<u32, StoreError> {
        let count = query(
            "SELECT count(*) FROM (SELECT 1 FROM drawings WHERE created_by = $1 AND deleted_at IS NULL LIMIT $2) AS created",
        )
        .bind(user.as_str())
        .bind(i64::from(most))
        .fetch_one::<i64>(&self.pools().read)
        .await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    async fn drawing(&self, id: DrawingId, user: &UserId) -> Result<Option<Drawing>, StoreError> {
        let row = query(
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
        .fetch_optional::<DrawingRow>(&self.pools().read)
        .await?;
        row.map(Drawing::try_from).transpose()
    }

    async fn drawings(
        &self,
        user: &UserId,
        cursor: Option<DrawingCursor>,
        limit: u32,
    ) -> Result<Vec<Drawing>, StoreError> {
        let after =
            cursor.unwrap_or(DrawingCursor { created_at: i64::MAX, drawing_id: DrawingId(Uuid::max()) });
        let rows = query(
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
        .fetch_all::<DrawingRow>(&self.pools().read)
        .await?;
        rows.into_iter().map(Drawing::try_from).collect()
    }

    async fn rename_drawing(&self, id: DrawingId, title: &str, now_ms: i64) -> Result<bool, StoreError> {
        let done = query(
            "UPDATE drawings SET title = $2, updated_at = $3
              WHERE drawing_id = $1 AND deleted_at IS NULL AND importing_since IS NULL",
        )
        .bind(id.0)
        .bind(title)
        .bind(now_ms)
        .execute(&self.pools().write)
        .await?;
        Ok(done > 0)
    }

    async fn confirm(&self, id: DrawingId) -> Result<(), StoreError> {
        let mut tx = self.pools().begin_write().await?;
        touch(&mut tx, id).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn delete_drawing(&self, id: DrawingId, now_ms: i64) -> Result<bool, StoreError> {
        let mut tx = self.pools().begin_write().await?;
        let done = query(
            "UPDATE drawings SET deleted_at = $2, title = ''
              WHERE drawing_id = $1 AND deleted_at IS NULL AND importing_since IS NULL",
        )
        .bind(id.0)
        .bind(now_ms)
        .execute(&mut tx)
        .await?;
        if done == 0 {
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
            query(statement).bind(id.0).execute(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Writes the row of a drawing as it is, so that the transaction has something to commit.
pub(super) async fn touch<DB: Dialect>(tx: &mut Tx<DB>, id: DrawingId) -> Result<(), StoreError> {
    query("UPDATE drawings SET updated_at = updated_at WHERE drawing_id = $1")
        .bind(id.0)
        .execute(&mut *tx)
        .await?;
    Ok(())
}
