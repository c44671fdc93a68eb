//! The schema of a Postgres database, and bringing it up to date.

use std::collections::HashMap;

use sqlx::{
    Connection, Postgres,
    migrate::{MigrateError, Migrator},
};

use crate::store::{
    StoreError,
    sql::{Pools, query},
};

/// The advisory lock under which the schema is changed.
const MIGRATION_LOCK: i64 = 0x7265_7663_6173_7401;

const OLD_SCHEMA: &str = "the schema of the database is not up to date, and the role of --database-url may not change it: \
     run `revcast migrate` with a role that owns the tables";

/// Brings the schema up to date under an advisory lock.
pub(super) async fn migrate(pools: &Pools<Postgres>) -> Result<(), StoreError> {
    let mut migrator = crate::store::migrations::postgres();
    // A role that may only read and write rows needs no more where there is nothing to change.
    if has_migrations(pools, &migrator).await? {
        return Ok(());
    }
    let mut lease = pools.write.lease().await?;
    lease.spend();
    // All of them in one transaction, which holds the lock: so a pooler leaves it alone.
    let migrate = async {
        let mut tx = lease.connection().begin().await?;
        // A migration may take longer than a statement should, and so may waiting for another node's.
        sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *tx).await?;
        // A node that is older than the schema goes on with what it knows while the others are renewed.
        migrator.set_ignore_missing(true).set_locking(false).run(&mut *tx).await?;
        Ok(tx.commit().await?)
    };
    migrate.await.map_err(|error: MigrateError| {
        let error = match error {
            MigrateError::Execute(error) => error,
            error => sqlx::Error::Migrate(Box::new(error)),
        };
        if is_forbidden(&error) { StoreError::Unfit(OLD_SCHEMA.to_owned()) } else { StoreError::from(error) }
    })
}

/// Returns `true` if all migrations are in the database as they are here.
async fn has_migrations(pools: &Pools<Postgres>, migrator: &Migrator) -> Result<bool, StoreError> {
    let is_there = query("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
    if !is_there.fetch_one::<bool>(&pools.read).await? {
        return Ok(false);
    }
    let applied = query("SELECT version, checksum FROM _sqlx_migrations WHERE success")
        .fetch_all::<(i64, Vec<u8>)>(&pools.read)
        .await?;
    let applied: HashMap<i64, Vec<u8>> = applied.into_iter().collect();
    Ok(migrator.iter().all(|known| applied.get(&known.version).is_some_and(|sum| **sum == *known.checksum)))
}

/// Returns `true` if the role lacks the right, however deep the error says so.
fn is_forbidden(error: &sqlx::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(sqlx::Error::Database(error)) = error.downcast_ref::<sqlx::Error>()
            && error.code().is_some_and(|code| code == "42501")
        {
            return true;
        }
        cause = error.source();
    }
    false
}
