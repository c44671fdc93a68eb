//! The upkeep of a database.

use async_trait::async_trait;
use uuid::Uuid;

use super::{SqlBackend, query};
use crate::store::{Probe, StoreError, StoreHealth, Upkeep};

#[async_trait]
impl<S: SqlBackend> Upkeep for S {
    async fn purge_deleted(&self, limit: u32) -> Result<u64, StoreError> {
        loop {
            let next =
                query("SELECT drawing_id FROM drawings WHERE deleted_at IS NOT NULL AND NOT purged LIMIT 1")
                    .fetch_optional::<Uuid>(&self.pools().read)
                    .await?;
            let Some(drawing) = next else { return Ok(0) };
            let removed = query(
                "DELETE FROM ops WHERE drawing_id = $1 AND revision IN (
                     SELECT revision FROM ops WHERE drawing_id = $1 ORDER BY revision LIMIT $2)",
            )
            .bind(drawing)
            .bind(i64::from(limit))
            .execute(&self.pools().write)
            .await?;
            if removed > 0 {
                return Ok(removed);
            }
            query("UPDATE drawings SET purged = true WHERE drawing_id = $1")
                .bind(drawing)
                .execute(&self.pools().write)
                .await?;
        }
    }

    async fn probe(&self, probe: Probe) -> Result<(), StoreError> {
        self.write_probe(probe).await
    }

    fn health(&self) -> &StoreHealth {
        &self.pools().health
    }

    async fn close(&self) {
        self.pools().read.close().await;
        self.pools().write.close().await;
    }
}
