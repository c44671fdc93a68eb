//! A Postgres primary and a standby that follows it, to try failovers.
//!
//! Whoever uses the database reaches it through a proxy, which leads to the standby once that has been promoted: so a
//! server lives through the failover. The standby follows the primary through another proxy, which can be cut.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::Postgres;
use crate::proxy::Proxy;

/// Time for a condition of replication to come about.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// The only database.
pub(super) const DATABASE: &str = "postgres";

/// The settings of both servers: small, without waiting for the disk, and with commits that wait for a synchronous
/// standby. The WAL is kept from the beginning, so that a copy of the cluster as it was made can follow it at any
/// time.
pub(super) const SETTINGS: &str = "max_connections = 100\nfsync = off\nfull_page_writes = off\nsynchronous_commit = on\n\
    shared_buffers = '32MB'\nmax_wal_size = '1GB'\nwal_keep_size = '1GB'\nwal_retrieve_retry_interval = '200ms'\n";

/// The connections whose commits wait for the standby.
const WAITING_COMMITS: &str =
    "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'";

/// The choice whether commits wait for the standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// Committed data may be lost with the primary.
    Asynchronous,
    /// A commit is acknowledged once the standby has it.
    Synchronous,
}

/// A primary with a standby, until that is promoted.
#[derive(Debug)]
pub struct PostgresPair {
    primary: Postgres,
    standby: Option<Standby>,
    /// Leads to the primary.
    front: Proxy,
}

#[derive(Debug)]
struct Standby {
    postgres: Postgres,
    /// Between it and the primary.
    link: Proxy,
}

impl PostgresPair {
    /// Starts both, and waits until the standby follows.
    pub async fn start(replication: Replication) -> anyhow::Result<Self> {
        let names = if replication == Replication::Synchronous { "*" } else { "" };
        let settings = format!("{SETTINGS}synchronous_standby_names = '{names}'\n");
        let primary = Postgres::start_copy(&settings, false)?;
        let front = Proxy::start(primary.port).await?;
        let mut pair = Self { primary, standby: None, front };
        pair.add_standby().await?;
        Ok(pair)
    }

    /// The URL of the database, which is empty at first, through the proxy that leads to the primary.
    pub fn url(&self) -> String {
        self.primary.url(self.front.port, DATABASE)
    }

    /// The URL of the database with the hosts of both, past the proxy, and the standby first.
    pub fn both_urls(&self) -> anyhow::Result<String> {
        let (standby, primary) = (self.standby()?.postgres.port, self.primary.port);
        let hosts = format!("127.0.0.1:{standby},127.0.0.1:{primary}");
        Ok(format!("postgres://revcast@{hosts}/{DATABASE}?target_session_attrs=read-write"))
    }

    /// A connection to the primary, past the proxy.
    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        connect(&self.primary).await
    }

    /// Lets a new standby follow the primary, after the last one was promoted. Commits do not wait for it.
    pub async fn add_standby(&mut self) -> anyhow::Result<()> {
        let link = Proxy::start(self.primary.port).await?;
        let source = format!("primary_conninfo = 'host=127.0.0.1 port={} user=revcast'\n", link.port);
        let postgres = Postgres::start_copy(&(SETTINGS.to_owned() + &source), true)?;
        self.standby = Some(Standby { postgres, link });
        self.wait_for_standby().await
    }

    /// Cuts the standby off: it has what is committed by now, and gets nothing more.
    pub async fn part(&self) -> anyhow::Result<()> {
        self.catch_up().await?;
        self.standby()?.link.cut();
        let is_gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_replication)";
        wait_until(&self.primary, "the standby is cut off", is_gone).await
    }

    /// Lets the standby follow again, and waits until it has everything.
    pub async fn rejoin(&self) -> anyhow::Result<()> {
        self.standby()?.link.restore();
        self.wait_for_standby().await
    }

    /// Waits until the standby has what is committed by now.
    pub async fn catch_up(&self) -> anyhow::Result<()> {
        let mut primary = self.connect().await?;
        let (lsn,): (String,) =
            sqlx::query_as("SELECT pg_current_wal_flush_lsn()::text").fetch_one(&mut primary).await?;
        let has_it = format!("SELECT coalesce(pg_last_wal_replay_lsn() >= '{lsn}', false)");
        wait_until(&self.standby()?.postgres, "the standby has caught up", &has_it).await
    }

    /// Kills the primary: what the standby has not been sent is lost.
    pub fn kill_primary(&mut self) -> anyhow::Result<()> {
        self.primary.kill()
    }

    /// Stops the primary where it stands.
    pub fn freeze_primary(&self) -> anyhow::Result<()> {
        self.primary.freeze()
    }

    /// Makes the standby the primary, once it takes writes. The one before must have ended.
    pub async fn promote(&mut self) -> anyhow::Result<()> {
        let standby = self.standby.take().context("there is no standby")?;
        let mut connection = connect(&standby.postgres).await?;
        sqlx::query("SELECT pg_promote(wait => false)").execute(&mut connection).await?;
        wait_until(&standby.postgres, "the standby is promoted", "SELECT NOT pg_is_in_recovery()").await?;
        self.primary = standby.postgres;
        self.front.redirect(self.primary.port);
        Ok(())
    }

    /// Makes the standby the primary of those who know both, and leaves the frozen one as it is.
    pub async fn promote_beside_frozen(&mut self) -> anyhow::Result<()> {
        let standby = &self.standby()?.postgres;
        let mut connection = connect(standby).await?;
        sqlx::query("SELECT pg_promote(wait => false)").execute(&mut connection).await?;
        wait_until(standby, "the standby is promoted", "SELECT NOT pg_is_in_recovery()").await
    }

    /// Kills the primary and promotes the standby.
    pub async fn fail_over(&mut self) -> anyhow::Result<()> {
        self.kill_primary()?;
        self.promote().await
    }

    /// Hands over as planned: the primary sends all that it has and stops, and the standby is promoted.
    pub async fn switch_over(&mut self) -> anyhow::Result<()> {
        self.primary.shut_down()?;
        self.promote().await
    }

    /// Crashes the primary and starts it again where it was.
    pub fn restart_primary(&mut self) -> anyhow::Result<()> {
        self.primary.stop()?;
        self.primary.start_again()
    }

    /// Waits until a commit waits for the standby, other than those by which a server looks whether it can write.
    pub async fn wait_for_waiting_commit(&self) -> anyhow::Result<()> {
        let is_waiting =
            format!("SELECT EXISTS (SELECT {WAITING_COMMITS} AND query NOT LIKE '%write_probe%')");
        wait_until(&self.primary, "a commit waits for the standby", &is_waiting).await
    }

    /// Ends the connections whose commits wait for the standby. The primary has these commits, and shows them.
    pub async fn break_waiting_commits(&self) -> anyhow::Result<()> {
        let terminate = format!("SELECT pg_terminate_backend(pid) {WAITING_COMMITS}");
        sqlx::query(AssertSqlSafe(terminate)).execute(&mut self.connect().await?).await?;
        Ok(())
    }

    async fn wait_for_standby(&self) -> anyhow::Result<()> {
        let is_followed = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')";
        wait_until(&self.primary, "the standby follows", is_followed).await?;
        self.catch_up().await
    }

    fn standby(&self) -> anyhow::Result<&Standby> {
        self.standby.as_ref().context("there is no standby")
    }
}

/// A connection past all proxies.
pub(super) async fn connect(postgres: &Postgres) -> anyhow::Result<PgConnection> {
    Ok(PgConnection::connect(&postgres.url(postgres.port, DATABASE)).await?)
}

/// Asks again and again until the answer is true.
pub(super) async fn wait_until(postgres: &Postgres, what: &str, question: &str) -> anyhow::Result<()> {
    let mut connection = connect(postgres).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (is_so,): (bool,) = sqlx::query_as(AssertSqlSafe(question)).fetch_one(&mut connection).await?;
        if is_so {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("not in time: {what}");
        }
        tokio::time::sleep(POLL).await;
    }
}
