//! Postgres, NATS, Revcast and balancers in front of it as child processes, on free ports, in temporary folders.
//!
//! Everything ends with the handle, and with the process that started it even if that is killed. Owns what all of them
//! share: starting, signalling and ending processes, and their folders.

mod balancer;
mod disk;
mod nats;
mod pair;
mod pgbouncer;
mod postgres;
mod revcast;
mod s3;
mod trio;

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock, Mutex, Once,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

pub use balancer::{Balancer, BalancerKind};
pub use disk::SmallDisk;
pub use nats::Nats;
pub use pair::{PostgresPair, Replication};
pub use pgbouncer::{PgBouncer, pgbouncer_version};
pub use postgres::{Durability, Postgres, dump_database, execute, restore_database};
pub use revcast::{LIFTED_LIMITS, Launch, Revcast};
pub use s3::S3Server;
pub use trio::{PostgresTrio, Standby};

/// Time for a service to become reachable.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a service to end by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// Starts child processes from one thread that never ends: a child that is to die with its parent
/// dies with the thread that started it.
static SPAWNER: LazyLock<Mutex<mpsc::Sender<SpawnRequest>>> = LazyLock::new(|| {
    let (sender, requests) = mpsc::channel::<SpawnRequest>();
    thread::spawn(move || {
        for (mut command, reply) in requests {
            // Whoever asked may have gone.
            let _ = reply.send(command.spawn());
        }
    });
    Mutex::new(sender)
});

type SpawnRequest = (Command, mpsc::Sender<std::io::Result<Child>>);

fn spawn(command: Command) -> anyhow::Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    let (reply, child) = mpsc::channel();
    {
        let spawner = SPAWNER.lock().map_err(|_| anyhow::anyhow!("the spawner has failed"))?;
        spawner.send((command, reply))?;
    }
    child.recv()?.with_context(|| format!("starting {program}"))
}

/// `program`, to be ended by `signal` when this process dies, as an unprivileged user if wanted.
fn command(program: &Path, signal: &str, user: Option<&Owner>) -> Command {
    let has_setpriv = Path::new("/usr/bin/setpriv").exists();
    if !has_setpriv {
        return Command::new(program);
    }
    let mut command = Command::new("/usr/bin/setpriv");
    if let Some(user) = user {
        command.args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid)]);
        command.arg("--clear-groups");
    }
    command.args(["--pdeathsig", signal]).arg(program);
    command
}

/// Starts any other program with its standard input and output as pipes. It is killed when this process dies.
pub fn spawn_with_pipes(program: &Command) -> anyhow::Result<Child> {
    let mut guarded = command(Path::new(program.get_program()), "KILL", None);
    guarded.args(program.get_args());
    guarded.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    guarded.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    spawn(guarded)
}

/// Sends a signal to a process, by its name as in `kill -s`.
pub fn send_signal(pid: u32, name: &str) -> anyhow::Result<()> {
    run(Command::new("kill").args(["-s", name, &pid.to_string()])).map(drop)
}

/// A user that Postgres will run as.
struct Owner {
    uid: u32,
    gid: u32,
}

/// This program again as a child with pipes, so that a part of the load is a process of its own.
pub(crate) fn spawn_this(arguments: &[&str]) -> anyhow::Result<Child> {
    let mut this = command(&std::env::current_exe()?, "KILL", None);
    this.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    spawn(this)
}

/// The user that Postgres should run as: it refuses to be root.
fn unprivileged_user() -> anyhow::Result<Option<Owner>> {
    let is_root = run(Command::new("id").arg("-u"))?.trim() == "0";
    if !is_root {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some(Owner { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .map(Some)
        .context("no user postgres or nobody to run Postgres as")
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("running {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?} failed: {}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A port that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A folder that goes with its handle.
#[derive(Debug)]
pub struct TempFolder(PathBuf);

impl TempFolder {
    /// A new folder.
    pub fn new(label: &str) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("revcast-{label}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// A `--blob-url` for the servers on one database, however often they start: a folder that stays until another process of
/// ours starts.
pub fn blob_url_beside(database_url: &str) -> anyhow::Result<String> {
    static BLOBS: LazyLock<anyhow::Result<TempFolder>> = LazyLock::new(|| TempFolder::new("blobs"));
    let root = BLOBS.as_ref().map_err(|error| anyhow::anyhow!("no folder for blobs: {error}"))?;
    let mut hasher = DefaultHasher::new();
    database_url.hash(&mut hasher);
    Ok(format!("file:{}/{:x}", root.path().display(), hasher.finish()))
}

/// Removes what processes left behind that were killed.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid =
            name.to_str().filter(|name| name.starts_with("revcast-")).and_then(|name| name.split('-').nth(2));
        if let Some(pid) = pid
            && pid.parse::<u32>().is_ok()
            && !Path::new("/proc").join(pid).exists()
        {
            if name.to_str().and_then(|name| name.split('-').nth(1)) == Some(disk::LABEL) {
                disk::unmount(&entry.path());
            }
            // Another process may sweep as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // Files left behind in a temporary folder do no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn wait_until_listening(port: u16, child: &mut Child, what: &str) -> anyhow::Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let deadline = Instant::now() + START_TIMEOUT;
    while TcpStream::connect_timeout(&address, POLL).is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("{what} ended at once: {status}");
        }
        if Instant::now() > deadline {
            bail!("{what} was not reachable in time");
        }
        thread::sleep(POLL);
    }
    Ok(())
}

fn signal(child: &Child, name: &str) -> anyhow::Result<()> {
    send_signal(child.id(), name)
}

/// Ends a process and its children with SIGKILL, so that none of them does or sends anything more.
fn kill_with_children(child: &mut Child) -> anyhow::Result<()> {
    // A process that is stopped starts no others.
    signal(child, "STOP")?;
    let children = children_of(child.id());
    let pids = children.iter().map(u32::to_string);
    // Those that ended by themselves meanwhile cannot be killed.
    let _ = run(Command::new("kill").args(["-s", "KILL"]).args(pids));
    child.kill()?;
    child.wait()?;
    let deadline = Instant::now() + STOP_TIMEOUT;
    while children.iter().any(|pid| is_running(*pid)) {
        if Instant::now() > deadline {
            bail!("a child process outlived SIGKILL");
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// The processes that a process has started.
fn children_of(parent: u32) -> Vec<u32> {
    let parent = parent.to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Fields after the name in parentheses: the state, then the parent.
    pids.filter(|pid| stat_fields(*pid).get(1) == Some(&parent)).collect()
}

fn is_running(pid: u32) -> bool {
    // A zombie has ended, and waits for whoever looks after orphans here.
    stat_fields(pid).first().is_some_and(|state| state != "Z" && state != "X")
}

/// The fields of `/proc/<pid>/stat` after the name in parentheses; empty for a process that is gone.
fn stat_fields(pid: u32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    fields.split_whitespace().map(str::to_owned).collect()
}

/// Waits for the end of a child; kills it when it takes too long.
fn wait_or_kill(child: &mut Child) -> anyhow::Result<()> {
    let deadline = Instant::now() + STOP_TIMEOUT;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("a process had to be killed");
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// CPU seconds that a process has used, user and system, its children included only once they ended.
pub fn cpu_seconds(pid: u32) -> f64 {
    let fields = stat_fields(pid);
    // utime and stime are the 12th and 13th.
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}
