//! Does a fault to a deployment, and undoes it.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, ensure};
use loadtest::{
    proxy::{Proxy, Shape},
    services::{PostgresTrio, Standby, send_signal},
};
use tokio::{
    task::block_in_place,
    time::{sleep, timeout},
};

use crate::{
    cluster::Cluster,
    fault::{Fault, Trouble},
};

/// Descriptors that a node may still open when it has none left to speak of.
const LAST_DESCRIPTORS: usize = 2;
/// The time for which an asynchronous standby is away before the primary is lost: what is acknowledged meanwhile is
/// lost, too.
const LOST_FOR: Duration = Duration::from_millis(400);
/// Time for it to have what was committed before.
const CATCH_UP: Duration = Duration::from_secs(3);

/// Lets a fault happen.
///
/// # Errors
/// When it cannot be done.
pub async fn begin(cluster: &mut Cluster, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::Kill(node) => cluster.nodes[node].kill(),
        // A node that is down cannot be frozen, nor can its descriptors be taken from it.
        Fault::Freeze(node) => cluster.nodes[node].pid().await.map_or(Ok(()), |pid| send_signal(pid, "STOP")),
        Fault::Terminate(node) => cluster.nodes[node].terminate(),
        Fault::Descriptors(node) => {
            let Some(pid) = cluster.nodes[node].pid().await else { return Ok(()) };
            let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
            limit_descriptors(pid, open + LAST_DESCRIPTORS)
        }
        Fault::Clock(node, seconds) => set_clock(cluster, node, seconds),
        Fault::RestartFast => block_in_place(|| store(cluster)?.primary().shut_down()),
        Fault::RestartImmediate => block_in_place(|| store(cluster)?.primary().stop()),
        Fault::FreezeStore => store(cluster)?.primary().freeze(),
        Fault::EndSessions => block_in_place(|| store(cluster)?.kill_sessions()),
        Fault::FailOver(standby) => fail_over(store(cluster)?, standby).await,
        Fault::FullDisk => cluster.disk()?.fill(),
        Fault::KillBus(server) => cluster.bus[server].stop(),
        Fault::RotateKeys => cluster.issuer.rotate(),
        Fault::ReplaceKeys => cluster.issuer.replace(),
        Fault::DropClients => {
            cluster.client_links().for_each(Proxy::reset);
            Ok(())
        }
        Fault::Link(link, trouble) => {
            cluster.proxies(link)?.into_iter().for_each(|proxy| trouble_with(proxy, trouble));
            Ok(())
        }
    }
}

/// Lets it be over.
///
/// # Errors
/// When it cannot be undone.
pub async fn end(cluster: &mut Cluster, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::Kill(node) | Fault::Terminate(node) => cluster.nodes[node].start(),
        Fault::Freeze(node) => {
            cluster.nodes[node].pid().await.map_or(Ok(()), |pid| send_signal(pid, "CONT"))?;
        }
        Fault::Descriptors(node) => {
            if let Some(pid) = cluster.nodes[node].pid().await {
                limit_descriptors(pid, hard_limit(pid)?)?;
            }
        }
        Fault::Clock(node, _) => set_clock(cluster, node, 0)?,
        Fault::RestartFast | Fault::RestartImmediate => {
            block_in_place(|| store(cluster)?.primary().start_again())?;
        }
        Fault::FreezeStore => store(cluster)?.primary().thaw()?,
        Fault::FullDisk => cluster.disk()?.free()?,
        Fault::KillBus(server) => block_in_place(|| cluster.bus[server].start_again())?,
        Fault::Link(link, _) => {
            for proxy in cluster.proxies(link)? {
                proxy.restore();
                proxy.shape(Shape::default());
            }
        }
        Fault::EndSessions | Fault::FailOver(_) | Fault::DropClients => (),
        Fault::RotateKeys | Fault::ReplaceKeys => (),
    }
    Ok(())
}

fn store(cluster: &mut Cluster) -> anyhow::Result<&mut PostgresTrio> {
    cluster.store.as_mut().context("there is no Postgres")
}

fn trouble_with(proxy: &Proxy, trouble: Trouble) {
    let shape = Shape::default();
    match trouble {
        Trouble::Cut => proxy.cut(),
        Trouble::Hang => proxy.hold(),
        Trouble::Reset => proxy.reset(),
        Trouble::HalfOpen(way) => proxy.shape(Shape { stalled: Some(way), ..shape }),
        Trouble::Slow(milliseconds) => {
            proxy.shape(Shape { delay: Duration::from_millis(milliseconds), ..shape })
        }
        Trouble::Narrow(bytes) => proxy.shape(Shape { bytes_per_second: Some(bytes), ..shape }),
    }
}

async fn fail_over(store: &mut PostgresTrio, to: Standby) -> anyhow::Result<()> {
    if to == Standby::Asynchronous {
        // One that cannot catch up lacks enough as it is.
        if let Ok(parted) = timeout(CATCH_UP, store.part(to)).await {
            parted?;
        }
        sleep(LOST_FOR).await;
    }
    store.fail_over(to).await
}

fn set_clock(cluster: &Cluster, node: usize, seconds: i64) -> anyhow::Result<()> {
    let path = cluster.nodes[node].clock.as_ref().context("the clock of this node cannot be set")?;
    Ok(fs::write(path, format!("{seconds:+}"))?)
}

/// Sets how many descriptors a process may have.
fn limit_descriptors(pid: u32, count: usize) -> anyhow::Result<()> {
    let limit = format!("--nofile={count}:");
    let status = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status();
    let status = status.context("prlimit cannot be run: it is in the package util-linux")?;
    ensure!(status.success(), "the descriptors of {pid} cannot be limited: {status}");
    Ok(())
}

/// The most that a process may allow itself, which is what a node does.
fn hard_limit(pid: u32) -> anyhow::Result<usize> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let hard =
        line.and_then(|line| line.split_whitespace().nth(1)).context("a process has a limit of files")?;
    hard.parse().context("the limit of files is no number")
}
