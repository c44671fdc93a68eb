//! The differences between the two databases, as far as one session is concerned.

use futures_util::future::BoxFuture;
use sqlx::{Database, Execute, Executor};
use uuid::Uuid;

use super::{
    query::{Binds, Reads},
    sessions::Tx,
};
use crate::store::{StoreError, resolve::LogRow};

/// Databases that execute statements on their connections, as all of sqlx's do; with the bound that sqlx has for that out
/// of sight.
pub(in crate::store) trait Runs: Database {
    /// Executes a statement as it stands, unprepared.
    fn execute_raw<'c>(
        connection: &'c mut Self::Connection,
        statement: &'static str,
    ) -> BoxFuture<'c, sqlx::Result<Self::QueryResult>>;

    /// Executes a query for what it writes.
    fn execute_query<'c>(
        connection: &'c mut Self::Connection,
        query: impl Execute<'c, Self> + 'c,
    ) -> BoxFuture<'c, sqlx::Result<Self::QueryResult>>;

    /// Executes a query for all its rows.
    fn fetch_all<'c>(
        connection: &'c mut Self::Connection,
        query: impl Execute<'c, Self> + 'c,
    ) -> BoxFuture<'c, sqlx::Result<Vec<Self::Row>>>;

    /// Executes a query for one row.
    fn fetch_optional<'c>(
        connection: &'c mut Self::Connection,
        query: impl Execute<'c, Self> + 'c,
    ) -> BoxFuture<'c, sqlx::Result<Option<Self::Row>>>;
}

impl<DB: Database> Runs for DB
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    fn execute_raw<'c>(
        connection: &'c mut Self::Connection,
        statement: &'static str,
    ) -> BoxFuture<'c, sqlx::Result<Self::QueryResult>> {
        connection.execute(sqlx::raw_sql(statement))
    }

    fn execute_query<'c>(
        connection: &'c mut Self::Connection,
        query: impl Execute<'c, Self> + 'c,
    ) -> BoxFuture<'c, sqlx::Result<Self::QueryResult>> {
        connection.execute(query)
    }

    fn fetch_all<'c>(
        connection: &'c mut Self::Connection,
        query: impl Execute<'c, Self> + 'c,
    ) -> BoxFuture<'c, sqlx::Result<Vec<Self::Row>>> {
        connection.fetch_all(query)
    }

    fn fetch_optional<'c>(
        connection: &'c mut Self::Connection,
        query: impl Execute<'c, Self> + 'c,
    ) -> BoxFuture<'c, sqlx::Result<Option<Self::Row>>> {
        connection.fetch_optional(query)
    }
}

/// One of the databases that hold a store, with the values that the statements for either of them bind and read.
pub(in crate::store) trait Dialect:
    Runs
    + for<'q> Binds<&'q str>
    + Binds<Uuid>
    + Binds<i64>
    + Binds<Option<i64>>
    + Reads<bool>
    + Reads<Option<bool>>
    + Reads<i64>
    + Reads<Option<i64>>
    + Reads<String>
    + Reads<Option<String>>
    + Reads<Option<Vec<u8>>>
    + Reads<Uuid>
    + Reads<Option<Uuid>>
{
    /// Begins a transaction that writes.
    const BEGIN: &'static str;

    /// Gives the database a new epoch, the first value, that goes on with nothing.
    const NEW_EPOCH: &'static str;

    /// Gives the actor and the body of the row `o` of an op as bytes.
    const OP_TEXTS_AS_BYTES: [&'static str; 2];

    /// The number of rows that a statement has written.
    fn rows_affected(result: &Self::QueryResult) -> u64;

    /// Reads the epoch in which a transaction numbers, and the one before.
    fn current_epoch(
        tx: &mut Tx<Self>,
    ) -> impl Future<Output = Result<(Uuid, Option<Uuid>), StoreError>> + Send;

    /// Inserts rows into the table of ops.
    fn insert_ops(
        tx: &mut Tx<Self>,
        rows: &[LogRow<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
