//! Statements for either database: what is bound to them, and what their rows hold.
//!
//! sqlx's own queries ask for a bound on each type that is bound or read, in every signature on the way to a database
//! that is not named. Here it is the database that says which values it knows: [`Dialect`] lists them, once.

use sqlx::{
    ColumnIndex, Database, Decode, Encode, Execute, Row, SqlSafeStr, SqlStr, Type, error::BoxDynError,
};

use super::{
    dialect::Dialect,
    sessions::{Lessor, run},
};

/// A database to whose statements a `T` can be bound.
pub(in crate::store) trait Binds<T>: Database {
    fn bind(arguments: &mut Self::Arguments, value: T) -> Result<(), BoxDynError>;
}

impl<'q, DB: Database, T: Encode<'q, DB> + Type<DB>> Binds<T> for DB {
    fn bind(arguments: &mut Self::Arguments, value: T) -> Result<(), BoxDynError> {
        sqlx::Arguments::add(arguments, value)
    }
}

/// A database whose rows hold a `T`.
pub(in crate::store) trait Reads<T>: Database {
    fn read(row: &Self::Row, column: usize) -> sqlx::Result<T>;
}

impl<DB, T> Reads<T> for DB
where
    DB: Database,
    T: for<'r> Decode<'r, DB> + Type<DB>,
    usize: ColumnIndex<DB::Row>,
{
    fn read(row: &Self::Row, column: usize) -> sqlx::Result<T> {
        row.try_get(column)
    }
}

/// A type that a row is read into: one value, or a tuple of all of them.
pub(in crate::store) trait FromColumns<DB: Database>: Sized {
    fn read(row: &DB::Row) -> sqlx::Result<Self>;
}

/// A value that stands alone in its row.
macro_rules! single {
    ($($value:ty),+) => {
        $(impl<DB: Reads<$value>> FromColumns<DB> for $value {
            fn read(row: &DB::Row) -> sqlx::Result<Self> {
                DB::read(row, 0)
            }
        })+
    };
}

/// A row of as many values as there are letters.
macro_rules! tuples {
    ($(($($value:ident $column:literal),+))+) => {
        $(impl<DB: Database, $($value),+> FromColumns<DB> for ($($value,)+)
        where
            $(DB: Reads<$value>),+
        {
            fn read(row: &DB::Row) -> sqlx::Result<Self> {
                Ok(($(<DB as Reads<$value>>::read(row, $column)?,)+))
            }
        })+
    };
}

single!(bool, i64, Option<i32>, Option<i64>, String, uuid::Uuid);

tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
}

/// A statement with what is bound to it.
pub(in crate::store) struct Query<DB: Database> {
    sql: SqlStr,
    arguments: Result<DB::Arguments, BoxDynError>,
}

/// A statement with nothing bound to it yet. It is prepared once for each session.
pub(in crate::store) fn query<DB: Database>(sql: impl SqlSafeStr) -> Query<DB> {
    Query { sql: sql.into_sql_str(), arguments: Ok(DB::Arguments::default()) }
}

impl<DB: Database> Query<DB> {
    /// Binds the next value.
    pub(in crate::store) fn bind<T>(mut self, value: T) -> Self
    where
        DB: Binds<T>,
    {
        if let Ok(arguments) = &mut self.arguments
            && let Err(error) = DB::bind(arguments, value)
        {
            self.arguments = Err(error);
        }
        self
    }
}

impl<DB: Dialect> Query<DB> {
    /// Executes it; returns how many rows it has written.
    pub(in crate::store) async fn execute(self, at: impl Lessor<DB>) -> sqlx::Result<u64> {
        let result = run(at, |connection| DB::execute_query(connection, self)).await?;
        Ok(DB::rows_affected(&result))
    }

    /// Reads all rows.
    pub(in crate::store) async fn fetch_all<R: FromColumns<DB>>(
        self,
        at: impl Lessor<DB>,
    ) -> sqlx::Result<Vec<R>> {
        let rows = run(at, |connection| DB::fetch_all(connection, self)).await?;
        rows.iter().map(R::read).collect()
    }

    /// Reads the row, if there is one.
    pub(in crate::store) async fn fetch_optional<R: FromColumns<DB>>(
        self,
        at: impl Lessor<DB>,
    ) -> sqlx::Result<Option<R>> {
        let row = run(at, |connection| DB::fetch_optional(connection, self)).await?;
        row.as_ref().map(R::read).transpose()
    }

    /// Reads the row that there is.
    pub(in crate::store) async fn fetch_one<R: FromColumns<DB>>(
        self,
        at: impl Lessor<DB>,
    ) -> sqlx::Result<R> {
        self.fetch_optional(at).await?.ok_or(sqlx::Error::RowNotFound)
    }
}

impl<'q, DB: Database> Execute<'q, DB> for Query<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        std::mem::replace(&mut self.arguments, Ok(DB::Arguments::default())).map(Some)
    }

    fn persistent(&self) -> bool {
        true
    }
}
