//! A Postgres primary with a synchronous and an asynchronous standby, as several nodes reach it, each through a proxy of
//! its own.
//!
//! Either standby may take the place of the primary, once.

use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::{
    Postgres, SmallDisk,
    pair::{DATABASE, SETTINGS, connect, wait_until},
};
use crate::proxy::Proxy;

/// The name by which the primary knows the synchronous standby.
const SYNCHRONOUS: &str = "synchronous";
/// The name by which it knows the other one.
const ASYNCHRONOUS: &str = "asynchronous";

/// The time that the synchronous standby may take to follow again. Postgres now and then forgets to start the receiver of
/// a standby that has just lost its primary, and notices after 10 s.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// The answer is true if commits have no standby to wait for, or the one that they wait for receives.
const COMMITS_GO_ON: &str = "SELECT current_setting('synchronous_standby_names') = '' OR EXISTS \
    (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync')";

/// One of the two standbys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standby {
    /// Commits wait for it: it lacks nothing that was acknowledged.
    Synchronous,
    /// It may lack what was acknowledged.
    Asynchronous,
}

/// A primary and its standbys.
#[derive(Debug)]
pub struct PostgresTrio {
    primary: Postgres,
    synchronous: Option<Follower>,
    asynchronous: Option<Follower>,
    /// One for each node; leads to the primary.
    fronts: Vec<Proxy>,
    /// Has the tables of the first primary, if they are on a small one. It goes after those who use it.
    disk: Option<SmallDisk>,
    /// True if a standby was cut off after it had everything.
    has_parted: bool,
}

#[derive(Debug)]
struct Follower {
    postgres: Postgres,
    /// Between it and the primary.
    link: Proxy,
}

impl PostgresTrio {
    /// Starts all three for so many nodes, with these settings besides, and waits until the standbys follow. The tables
    /// of the primary are on a disk of so many MiB, if that is given.
    pub async fn start(nodes: usize, settings: &str, disk: Option<u32>) -> anyhow::Result<Self> {
        let settings = format!("{SETTINGS}synchronous_standby_names = '{SYNCHRONOUS}'\n{settings}");
        let (primary, disk) = match disk {
            Some(mebibytes) => {
                let (primary, disk) = Postgres::start_copy_on_small_disk(&settings, mebibytes)?;
                (primary, Some(disk))
            }
            None => (Postgres::start_copy(&settings, false)?, None),
        };
        let mut fronts = Vec::new();
        for _ in 0..nodes {
            fronts.push(Proxy::start(primary.port).await?);
        }
        let synchronous = Some(Follower::start(primary.port, SYNCHRONOUS).await?);
        let asynchronous = Some(Follower::start(primary.port, ASYNCHRONOUS).await?);
        let trio = Self { primary, synchronous, asynchronous, fronts, disk, has_parted: false };
        let follow = "SELECT count(*) = 2 FROM pg_stat_replication WHERE state = 'streaming'";
        wait_until(&trio.primary, "both standbys follow", follow).await?;
        Ok(trio)
    }

    /// The URL of the database, which is empty at first, as a node reaches it.
    pub fn url(&self, node: usize) -> anyhow::Result<String> {
        Ok(self.primary.url(self.front(node)?.port, DATABASE))
    }

    /// The way of a node to the primary.
    pub fn front(&self, node: usize) -> anyhow::Result<&Proxy> {
        self.fronts.get(node).context("there is no such node")
    }

    /// The way of a standby to the primary.
    pub fn link(&self, standby: Standby) -> anyhow::Result<&Proxy> {
        Ok(&self.follower(standby)?.link)
    }

    /// The disk with the tables of the first primary.
    pub fn disk(&self) -> anyhow::Result<&SmallDisk> {
        self.disk.as_ref().context("the tables are on no small disk")
    }

    /// The primary.
    pub fn primary(&mut self) -> &mut Postgres {
        &mut self.primary
    }

    /// Ends all sessions of clients on the primary, as an administrator may.
    pub fn kill_sessions(&self) -> anyhow::Result<()> {
        self.primary.kill_sessions(&self.primary.url(self.primary.port, DATABASE))
    }

    /// Waits until a standby has what is committed by now, and cuts it off from anything more.
    pub async fn part(&mut self, standby: Standby) -> anyhow::Result<()> {
        let follower = self.follower(standby)?;
        let mut primary: PgConnection = connect(&self.primary).await?;
        let (lsn,): (String,) =
            sqlx::query_as("SELECT pg_current_wal_flush_lsn()::text").fetch_one(&mut primary).await?;
        let has_it = format!("SELECT coalesce(pg_last_wal_receive_lsn() >= '{lsn}', false)");
        wait_until(&follower.postgres, "the standby has caught up", &has_it).await?;
        follower.link.cut();
        self.has_parted = true;
        Ok(())
    }

    /// Waits until commits on the present primary go on, or until the primary is gone.
    ///
    /// # Errors
    /// When the synchronous standby does not follow in time.
    pub fn commits_go_on(&self) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let url = self.primary.url(self.primary.port, DATABASE);
        async move {
            let deadline = Instant::now() + FOLLOWS_WITHIN;
            let Ok(mut connection) = PgConnection::connect(&url).await else { return Ok(()) };
            loop {
                match sqlx::query_as(AssertSqlSafe(COMMITS_GO_ON)).fetch_one(&mut connection).await {
                    Ok((true,)) | Err(_) => return Ok(()),
                    Ok((false,)) if Instant::now() > deadline => {
                        bail!("the synchronous standby does not follow")
                    }
                    Ok((false,)) => sleep(POLL).await,
                }
            }
        }
    }

    /// True if a standby was cut off in this way: what was acknowledged before survives its promotion.
    pub fn has_parted(&self) -> bool {
        self.has_parted
    }

    /// Kills the primary, and makes a standby the primary in its place. The other standby is led to it, and follows if it
    /// has nothing that the new primary lacks.
    pub async fn fail_over(&mut self, to: Standby) -> anyhow::Result<()> {
        let (next, other) = match to {
            Standby::Synchronous => (&mut self.synchronous, &mut self.asynchronous),
            Standby::Asynchronous => (&mut self.asynchronous, &mut self.synchronous),
        };
        let next = next.take().context("the standby was promoted before")?;
        self.primary.kill()?;
        let mut connection = connect(&next.postgres).await?;
        let promote = "SELECT pg_promote(wait => false)";
        sqlx::query(AssertSqlSafe(promote)).execute(&mut connection).await?;
        wait_until(&next.postgres, "the standby is promoted", "SELECT NOT pg_is_in_recovery()").await?;
        let port = next.postgres.port;
        if let Some(other) = other {
            other.link.redirect(port);
        }
        self.primary = next.postgres;
        for front in &self.fronts {
            front.redirect(port);
        }
        Ok(())
    }

    fn follower(&self, standby: Standby) -> anyhow::Result<&Follower> {
        let follower = match standby {
            Standby::Synchronous => &self.synchronous,
            Standby::Asynchronous => &self.asynchronous,
        };
        follower.as_ref().context("the standby was promoted")
    }
}

impl Follower {
    async fn start(primary: u16, name: &str) -> anyhow::Result<Self> {
        let link = Proxy::start(primary).await?;
        let source = format!(
            "primary_conninfo = 'host=127.0.0.1 port={} user=revcast application_name={name}'\n\
             wal_receiver_timeout = '3s'\n",
            link.port
        );
        Ok(Self { postgres: Postgres::start_copy(&(SETTINGS.to_owned() + &source), true)?, link })
    }
}
