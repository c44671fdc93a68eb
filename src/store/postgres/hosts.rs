//! The hosts of a Postgres database: which of them takes writes.
//!
//! Owns the address, which may name several, as libpq's may. It asks outside of the pool, which is led to what it finds.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use sqlx::{
    ConnectOptions, Connection, Postgres, Row,
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::time::{Instant, timeout};

use crate::{
    limits,
    store::{PoolOptions, StoreError, error::silence, sql::Sessions},
};

/// Time for a host of the store to write, outside of the pool: a commit may wait for a standby.
/// At the bound, the host counts as away.
const STORE_SCOUT_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a database may be.
pub(super) struct Hosts {
    /// One at least.
    all: Vec<PgConnectOptions>,
    /// The one to which new sessions go.
    current: AtomicUsize,
}

impl Hosts {
    /// Reads `postgres://user:password@host:port,host:port/database?…`. The only values of
    /// `target_session_attrs` with a meaning here are those that ask for a host that writes.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let unfit = |what: &str| StoreError::Unfit(format!("--database-url: {what}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| unfit("is no URL"))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let at = if authority.contains('@') { "@" } else { "" };
        let path = without_session_attrs(path).map_err(|value| {
            unfit(&format!(
                "target_session_attrs={value} is not possible: a server needs a host that takes writes"
            ))
        })?;
        let statement_timeout = limits::STATEMENT_TIMEOUT.as_millis().to_string();
        let options = |host: &str| {
            let options = PgConnectOptions::from_str(&format!("{scheme}://{user}{at}{host}{path}"))?;
            let options = options.application_name("revcast");
            Ok(options.options([("statement_timeout", statement_timeout.as_str())]))
        };
        let is_list = hosts.contains(',');
        if is_list && hosts.split(',').any(|host| host.is_empty() || host.starts_with(':')) {
            return Err(unfit("a host has no name"));
        }
        let all = hosts.split(',').map(options).collect::<Result<Vec<_>, sqlx::Error>>()?;
        if all.len() > 1 && all.iter().any(|options| options.get_socket().is_some()) {
            return Err(unfit("several hosts are named by their addresses, not by `host=`"));
        }
        Ok(Self { all, current: AtomicUsize::new(0) })
    }

    /// The options to open a session with now.
    pub(super) fn current(&self) -> &PgConnectOptions {
        &self.all[self.current.load(Ordering::Relaxed)]
    }

    /// Waits until one of them takes writes.
    pub(super) async fn wait(&self, options: PoolOptions) -> Result<(), StoreError> {
        let deadline = Instant::now() + options.start_timeout;
        let mut told = None;
        loop {
            let error = match self.find(false, limits::STORE_ACQUIRE_TIMEOUT).await {
                Ok(host) => {
                    self.current.store(host, Ordering::Relaxed);
                    return Ok(());
                }
                Err(error) if refuses_options(&error) => {
                    return Err(StoreError::Unfit(REFUSED_OPTIONS.to_owned()));
                }
                Err(error) => StoreError::from(error),
            };
            if Instant::now() >= deadline || !error.is_passing() || error.is_refusal() {
                return Err(error);
            }
            // Each reason is told once.
            if told.replace(error.reason()) != Some(error.reason()) {
                let hosts = self.names();
                tracing::warn!(%error, hosts, "the database is not there yet; trying on");
            }
            tokio::time::sleep(limits::RETRY_AFTER).await;
        }
    }

    /// Looks by writing where the database is now, and leads the sessions there: to another host, or, since those in the
    /// pool have failed, to the same by new ones.
    pub(super) async fn follow(&self, sessions: &Sessions<Postgres>) -> Result<(), StoreError> {
        let find = self.find(true, limits::STORE_CONNECT_TIMEOUT);
        let find = timeout(STORE_SCOUT_TIMEOUT, find).await;
        let host = find.unwrap_or_else(|_| Err(silence()))?;
        if self.current.swap(host, Ordering::Relaxed) == host {
            sessions.begin_anew();
        } else {
            sessions.lead_to(self.all[host].clone());
            let host = self.all[host].get_host();
            tracing::info!(host, "the store is at another host now");
        }
        Ok(())
    }

    /// Finds the host that takes writes, as it says or, if it `writes`, shows: the current one, or else the first.
    async fn find(&self, writes: bool, patience: Duration) -> Result<usize, sqlx::Error> {
        let current = self.current.load(Ordering::Relaxed);
        let failed = match ask(&self.all[current], writes, patience).await {
            Ok(()) => return Ok(current),
            Err(error) => error,
        };
        let others = (0..self.all.len()).filter(|host| *host != current);
        let answers =
            join_all(others.map(async |host| ask(&self.all[host], writes, patience).await.map(|()| host)));
        // The word of the one that was good is as good as the others'.
        answers.await.into_iter().find_map(Result::ok).ok_or(failed)
    }

    fn names(&self) -> String {
        let names = self.all.iter().map(|options| format!("{}:{}", options.get_host(), options.get_port()));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Writes what the probe does, where it does.
const PROBE: &str =
    "INSERT INTO write_probe (at) VALUES (0) ON CONFLICT (id) DO UPDATE SET at = write_probe.at";

/// Asks a host by a connection of its own. Without a prepared statement, which poolers may not bear.
async fn ask(host: &PgConnectOptions, writes: bool, patience: Duration) -> sqlx::Result<()> {
    let mut connection = timeout(patience, host.connect()).await.unwrap_or_else(|_| Err(silence()))?;
    if show(&mut connection, "SHOW transaction_read_only").await? == "on" {
        return Err(sqlx::Error::Io(std::io::ErrorKind::ReadOnlyFilesystem.into()));
    }
    if writes {
        sqlx::raw_sql(PROBE).execute(&mut connection).await?;
    }
    connection.close().await
}

/// The value of a setting.
pub(super) async fn show(connection: &mut PgConnection, statement: &'static str) -> sqlx::Result<String> {
    sqlx::raw_sql(statement).fetch_one(connection).await?.try_get(0)
}

const REFUSED_OPTIONS: &str = "a pooler between this server and Postgres refuses parameters: for PgBouncer, set \
     `ignore_startup_parameters = extra_float_digits, options`, and `pool_mode = session` or, from 1.21 on, \
     `pool_mode = transaction` with `max_prepared_statements` above 0";

fn refuses_options(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().contains("startup parameter"))
}

/// The path and query without `target_session_attrs`, which is no parameter of a connection.
fn without_session_attrs(path: &str) -> Result<String, String> {
    let Some((path, query)) = path.split_once('?') else { return Ok(path.to_owned()) };
    let mut kept = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("target_session_attrs", "any" | "read-write" | "primary")) => (),
            Some(("target_session_attrs", value)) => return Err(value.to_owned()),
            _ => kept.push(pair),
        }
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Ok(format!("{path}{query}"))
}

impl fmt::Debug for Hosts {
    /// The options hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hosts").field(&self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Vec<(String, u16, String)> {
        let parsed = Hosts::parse(url).unwrap();
        let of = |o: &PgConnectOptions| {
            (o.get_host().to_owned(), o.get_port(), o.get_database().unwrap_or_default().to_owned())
        };
        parsed.all.iter().map(of).collect()
    }

    #[test]
    fn an_address_may_name_several_hosts() {
        let db = || "db".to_owned();
        let (a, b) = (|port| ("a".to_owned(), port, db()), |port| ("b".to_owned(), port, db()));
        assert_eq!(hosts("postgres://u:p%40@a/db"), [a(5432)]);
        assert_eq!(hosts("postgres://u:p@a,b/db?target_session_attrs=read-write"), [a(5432), b(5432)]);
        assert_eq!(hosts("postgresql://a:1,b:2/db?sslmode=disable&target_session_attrs=any"), [a(1), b(2)]);
        assert_eq!(hosts("postgres://u@[::1]:7,b/db")[0].1, 7);
    }

    #[test]
    fn a_host_without_a_name_is_refused() {
        for hosts in ["a,,b", "a,", ",a", "a,:5433"] {
            let refused = Hosts::parse(&format!("postgres://secret:secret@{hosts}/db"));
            assert!(!refused.unwrap_err().to_string().contains("secret"), "{hosts}");
        }
        let hosts = Hosts::parse("postgres://u:secret@a,b/db").unwrap();
        assert_eq!(format!("{hosts:?}"), "Hosts(\"a:5432, b:5432\")");
    }

    #[test]
    fn an_address_that_asks_for_a_standby_is_refused() {
        for wish in ["standby", "read-only", "prefer-standby"] {
            let refused =
                Hosts::parse(&format!("postgres://secret:secret@a,b/db?target_session_attrs={wish}"));
            let sentence = refused.unwrap_err().to_string();
            assert!(sentence.contains(wish) && !sentence.contains("secret"), "{sentence}");
        }
    }
}
