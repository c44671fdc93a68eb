//! Poolers between this server and Postgres, and what they must not do.

use sqlx::Postgres;
use tokio::time::timeout;

use super::hosts::show;
use crate::{
    limits,
    store::{StoreError, sql::Pools},
};

const NO_SECOND_SESSION: &str = "two sessions cannot be had at the same time: a pooler between this server and Postgres has \
     too few (PgBouncer: `default_pool_size`)";

const NO_STATEMENTS: &str = "a pooler between this server and Postgres gives each transaction another session, and does not \
     know prepared statements: for PgBouncer, set `pool_mode = session`, or use 1.21 or later with \
     `max_prepared_statements` above 0";

/// Sees to it that sessions keep what they prepare: behind a pooler that gives each transaction another session of
/// the database, statements would be executed that another server has prepared.
pub(super) async fn look_for_a_pooler(pools: &Pools<Postgres>) -> Result<(), StoreError> {
    let (mut one, mut other) = (pools.write.lease().await?, pools.write.lease().await?);
    // A session that fails in the middle does not go back.
    one.spend();
    other.spend();
    let by_turns = async {
        let statement_timeout = show(one.connection(), "SHOW statement_timeout").await?;
        sqlx::query("SELECT 1").execute(one.connection()).await?;
        // A pooler would give this one what the first had.
        sqlx::raw_sql("BEGIN").execute(other.connection()).await?;
        sqlx::query("SELECT 1").execute(other.connection()).await?;
        sqlx::query("SELECT 1").execute(one.connection()).await?;
        Ok(statement_timeout)
    };
    let statement_timeout = match timeout(limits::STATEMENT_TIMEOUT, by_turns).await {
        Ok(Err(error)) if loses_statements(&error) => {
            return Err(StoreError::Unfit(NO_STATEMENTS.to_owned()));
        }
        Ok(outcome) => outcome?,
        Err(_) => return Err(StoreError::Unfit(NO_SECOND_SESSION.to_owned())),
    };
    if statement_timeout == "0" {
        tracing::warn!(
            "a pooler drops this server's statement_timeout: set one for its role \
             (ALTER ROLE … SET statement_timeout = '5s')"
        );
    }
    Ok(())
}

/// Returns `true` if a statement was not there, or was there, against what the session knew.
fn loses_statements(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    // PgBouncer that gives each statement another session has no transactions.
    let is_by_statement = error.message().contains("statement pooling");
    is_by_statement || error.code().is_some_and(|code| code == "26000" || code == "42P05")
}
