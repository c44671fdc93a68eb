//! The migrations of both databases, compiled in.
//!
//! Owns their list. `sqlx::migrate!` would make it of the folders, but has both databases with all that they need built a
//! second time, for the compiler.

use sqlx::{
    SqlStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// Every migration: its version, what it is for, and its SQL. Both folders have files of the same names.
macro_rules! migrations {
    ($folder:literal: $($version:literal $description:literal $file:literal,)+) => {
        &[$(($version, $description, include_str!(concat!("../../migrations/", $folder, "/", $file)))),+]
    };
    ($folder:literal) => {
        migrations!(
            $folder:
            1 "log" "0001_log.sql",
            2 "snapshots import" "0002_snapshots_import.sql",
            3 "fold lineage" "0003_fold_lineage.sql",
            4 "write probe" "0004_write_probe.sql",
            5 "created by" "0005_created_by.sql",
        )
    };
}

/// Those of Postgres.
pub(super) fn postgres() -> Migrator {
    migrator(migrations!("postgres"))
}

/// Those of SQLite.
pub(super) fn sqlite() -> Migrator {
    migrator(migrations!("sqlite"))
}

fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migration = |&(version, description, sql): &(i64, &'static str, _)| {
        Migration::new(version, description.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    Migrator::with_migrations(migrations.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn every_file_is_a_migration_and_is_what_sqlx_takes_it_for() {
        for (folder, compiled) in [("postgres", postgres()), ("sqlite", sqlite())] {
            let read = Migrator::new(&*Path::new("migrations").join(folder)).await.unwrap();
            let facts = |migrator: &Migrator| {
                let facts = |of: &Migration| {
                    let Migration { version, description, migration_type, checksum, no_tx, .. } = of.clone();
                    (version, description, migration_type, checksum, no_tx)
                };
                migrator.iter().map(facts).collect::<Vec<_>>()
            };
            assert_eq!(facts(&compiled), facts(&read), "{folder}");
        }
    }
}
