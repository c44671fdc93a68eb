//! The schema when nodes of several versions share a database.

use sqlx::{PgPool, SqlitePool};

use crate::store::contract::{Database, connect};

/// A migration that only a newer binary knows.
const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
    VALUES (9999, 'of the future', true, $1, 0)";

#[tokio::test]
async fn a_node_starts_on_a_schema_that_is_newer_than_itself() {
    for database in [Database::sqlite(), Database::postgres()] {
        let before = database.connect().await.meta().await.unwrap();
        if database.url().starts_with("sqlite:") {
            let pool = SqlitePool::connect(database.url()).await.unwrap();
            sqlx::query(NEWER).bind(&b""[..]).execute(&pool).await.unwrap();
        } else {
            let pool = PgPool::connect(database.url()).await.unwrap();
            sqlx::query(NEWER).bind(&b""[..]).execute(&pool).await.unwrap();
        }
        let after = connect(database.url()).await.meta().await.unwrap();
        assert_eq!(after.epoch, before.epoch);
    }
}
