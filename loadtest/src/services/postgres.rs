//! A Postgres cluster of its own, and copies of its databases.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, bail};

use super::{
    Owner, POLL, START_TIMEOUT, SmallDisk, TempFolder, children_of, command, cpu_seconds, free_port,
    kill_with_children, run, signal, spawn, unprivileged_user, wait_or_kill, wait_until_listening,
};

/// A Postgres cluster of its own.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    bin: PathBuf,
    folder: TempFolder,
    /// The port that it listens on.
    pub port: u16,
    next_database: AtomicU32,
}

/// Lets processes go on after a minute, of which none is frozen for as long.
const WAKE: &str = "(sleep 60; kill -s CONT \"$@\") &";

/// The degree to which a cluster secures its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production: every commit reaches the disk.
    Full,
    /// For tests: what is lost with the machine does not matter.
    Process,
}

impl Postgres {
    /// Makes and starts a cluster.
    pub fn start(durability: Durability) -> anyhow::Result<Self> {
        let folder = new_folder()?;
        init(&folder, &[])?;
        let fsync = if durability == Durability::Full { "on" } else { "off" };
        let settings = format!(
            "max_connections = 200\nfsync = {fsync}\nsynchronous_commit = {fsync}\nshared_buffers = '256MB'\n\
             max_wal_size = '4GB'\n"
        );
        Self::start_in(folder, &settings)
    }

    /// Makes and starts a cluster whose tables, and not whose WAL, are on a small disk. It is to be stopped before the
    /// disk goes.
    pub fn start_on_small_disk(mebibytes: u32) -> anyhow::Result<(Self, SmallDisk)> {
        let folder = new_folder()?;
        let disk = small_disk(mebibytes)?;
        let data = disk.path().join("data");
        fs::create_dir(&data)?;
        give_away(&data)?;
        std::os::unix::fs::symlink(data, folder.path().join("data"))?;
        init(&folder, &["-X", &folder.path().join("wal").to_string_lossy()])?;
        let settings = "max_connections = 50\nfsync = off\nshared_buffers = '16MB'\n";
        Ok((Self::start_in(folder, settings)?, disk))
    }

    /// Starts a copy of a cluster that was made before and has served nobody; its only database is `postgres`. All such
    /// copies are one cluster in the eyes of Postgres, so that one can follow another, as a standby does.
    pub(super) fn start_copy(settings: &str, is_standby: bool) -> anyhow::Result<Self> {
        let folder = copy_template()?;
        if is_standby {
            fs::write(folder.path().join("data/standby.signal"), "")?;
        }
        Self::start_in(folder, settings)
    }

    /// The same with the tables, and not the WAL, on a small disk. It is to be stopped before the disk goes.
    pub(super) fn start_copy_on_small_disk(
        settings: &str,
        mebibytes: u32,
    ) -> anyhow::Result<(Self, SmallDisk)> {
        let (folder, disk) = (copy_template()?, small_disk(mebibytes)?);
        let (data, moved) = (folder.path().join("data"), disk.path().join("data"));
        let wal = folder.path().join("wal");
        run(Command::new("mv").arg(data.join("pg_wal")).arg(&wal))?;
        run(Command::new("mv").arg(&data).arg(&moved))?;
        std::os::unix::fs::symlink(wal, moved.join("pg_wal"))?;
        std::os::unix::fs::symlink(&moved, data)?;
        Ok((Self::start_in(folder, settings)?, disk))
    }

    fn start_in(folder: TempFolder, settings: &str) -> anyhow::Result<Self> {
        let bin = postgres_bin()?;
        let port = free_port()?;
        let common = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n\
             log_min_messages = 'fatal'\n"
        );
        let data = folder.path().join("data");
        let conf = data.join("postgresql.conf");
        let present = fs::read_to_string(&conf)?;
        fs::write(&conf, present + &common + settings)?;
        let child = spawn_postgres(&bin, &data)?;
        let mut postgres = Self { child, bin, folder, port, next_database: AtomicU32::new(0) };
        postgres.wait_until_ready()?;
        Ok(postgres)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        wait_until_listening(self.port, &mut self.child, "Postgres")?;
        let deadline = Instant::now() + START_TIMEOUT;
        let port = self.port.to_string();
        let is_ready = || {
            let mut probe = Command::new(self.bin.join("pg_isready"));
            probe.args(["-q", "-h", "127.0.0.1", "-p", &port, "-U", "revcast"]);
            run(&mut probe).is_ok()
        };
        while !is_ready() {
            if Instant::now() > deadline {
                bail!("Postgres was not ready in time");
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Makes an empty database and returns its URL.
    pub fn create_database(&self) -> anyhow::Result<String> {
        let name = format!("test_{}", self.next_database.fetch_add(1, Ordering::Relaxed));
        let mut createdb = Command::new(self.bin.join("createdb"));
        run(createdb.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "revcast", &name]))?;
        Ok(self.url(self.port, &name))
    }

    /// The URL of a database through `port`, which may be that of a proxy.
    pub fn url(&self, port: u16, database: &str) -> String {
        format!("postgres://revcast@127.0.0.1:{port}/{database}")
    }

    /// Stops at once, breaking all connections, as a crash of the server would.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        signal(&self.child, "QUIT")?;
        wait_or_kill(&mut self.child)
    }

    /// Breaks all connections, sends its standbys what they lack, and stops.
    pub fn shut_down(&mut self) -> anyhow::Result<()> {
        signal(&self.child, "INT")?;
        wait_or_kill(&mut self.child)
    }

    /// Ends it with SIGKILL, each of its processes: what they have not sent will never be.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        kill_with_children(&mut self.child)
    }

    /// Stops each of its processes where it stands: they hold their connections, and answer nothing.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let mut wake = Command::new("sh");
        wake.args(["-c", WAKE, "wake", &self.child.id().to_string()]);
        wake.args(children_of(self.child.id()).iter().map(u32::to_string));
        // Whoever is stopped does not end when we do: it goes on after a while, whatever becomes of us.
        wake.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        self.signal_all("STOP")
    }

    /// Lets them go on.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal_all("CONT")
    }

    /// Ends all sessions, as an administrator may.
    pub fn kill_sessions(&self, database_url: &str) -> anyhow::Result<()> {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
        execute(database_url, kill)
    }

    fn signal_all(&self, name: &str) -> anyhow::Result<()> {
        signal(&self.child, name)?;
        let children = children_of(self.child.id());
        // Those that ended by themselves meanwhile take no signal.
        let _ = run(Command::new("kill").args(["-s", name]).args(children.iter().map(u32::to_string)));
        Ok(())
    }

    /// Starts again after [`stop`](Self::stop).
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = spawn_postgres(&self.bin, &self.folder.path().join("data"))?;
        self.wait_until_ready()
    }

    /// CPU seconds of the server and its connections so far.
    pub fn cpu_seconds(&self) -> f64 {
        let postmaster = self.child.id();
        cpu_seconds(postmaster) + children_of(postmaster).into_iter().map(cpu_seconds).sum::<f64>()
    }
}

/// A copy of a cluster that was made before and has served nobody, in a folder of its own.
fn copy_template() -> anyhow::Result<TempFolder> {
    static TEMPLATE: LazyLock<anyhow::Result<TempFolder>> = LazyLock::new(|| {
        let folder = new_folder()?;
        init(&folder, &["--wal-segsize=1"])?;
        drop_templates(&folder)?;
        Ok(folder)
    });
    let template = TEMPLATE.as_ref().map_err(|error| anyhow::anyhow!("no cluster to copy: {error:#}"))?;
    let folder = new_folder()?;
    run(Command::new("cp").arg("-a").arg(template.path().join("data")).arg(folder.path()))?;
    Ok(folder)
}

/// A small disk that belongs to the user as whom Postgres runs.
fn small_disk(mebibytes: u32) -> anyhow::Result<SmallDisk> {
    match unprivileged_user()? {
        Some(owner) => SmallDisk::mount_for(mebibytes, &owner.uid.to_string(), &owner.gid.to_string()),
        None => SmallDisk::mount(mebibytes),
    }
}

/// A folder that belongs to the user as whom Postgres runs.
fn new_folder() -> anyhow::Result<TempFolder> {
    let folder = TempFolder::new("postgres")?;
    give_away(folder.path())?;
    Ok(folder)
}

fn give_away(folder: &Path) -> anyhow::Result<()> {
    if let Some(owner) = unprivileged_user()? {
        std::os::unix::fs::chown(folder, Some(owner.uid), Some(owner.gid))?;
    }
    Ok(())
}

/// Makes a cluster in `data` of a folder, with these options of `initdb`.
fn init(folder: &TempFolder, options: &[&str]) -> anyhow::Result<()> {
    let mut initdb = as_owner(&postgres_bin()?.join("initdb"), "KILL")?;
    initdb
        .args(["-A", "trust", "-U", "revcast", "-E", "UTF8", "--locale=C", "--no-sync"])
        .args(options)
        .arg("-D")
        .arg(folder.path().join("data"));
    run(&mut initdb).map(drop)
}

/// Drops the databases of a new cluster that are there to be copied: without them, and with small files of WAL, the
/// cluster itself is copied sooner.
fn drop_templates(folder: &TempFolder) -> anyhow::Result<()> {
    let mut single = as_owner(&postgres_bin()?.join("postgres"), "KILL")?;
    single.args(["--single", "-F", "-c", "exit_on_error=true", "-D"]).arg(folder.path().join("data"));
    single.arg("postgres").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut single = spawn(single)?;
    let statements =
        "UPDATE pg_database SET datistemplate = false;\nDROP DATABASE template0;\nDROP DATABASE template1;\n";
    single.stdin.take().context("Postgres has no input")?.write_all(statements.as_bytes())?;
    let status = single.wait()?;
    if !status.success() {
        bail!("dropping the templates failed: {status}");
    }
    Ok(())
}

fn spawn_postgres(bin: &Path, data: &Path) -> anyhow::Result<Child> {
    let mut server = as_owner(&bin.join("postgres"), "QUIT")?;
    server.arg("-D").arg(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn(server)
}

/// A program of Postgres as the user as whom it runs, in a folder that this user may enter.
fn as_owner(program: &Path, signal: &str) -> anyhow::Result<Command> {
    let owner: Option<Owner> = unprivileged_user()?;
    let mut command = command(program, signal, owner.as_ref());
    command.current_dir("/");
    Ok(command)
}

/// The folder of the newest Postgres on this machine.
fn postgres_bin() -> anyhow::Result<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin): &(u32, PathBuf)| bin.join("initdb").exists())
        .collect();
    versions.sort();
    if let Some((_, bin)) = versions.pop() {
        return Ok(bin);
    }
    let bin = run(Command::new("pg_config").arg("--bindir"))
        .context("Postgres is not installed: run make setup")?;
    Ok(bin.trim().into())
}

/// Executes SQL, as an administrator would.
pub fn execute(database_url: &str, sql: &str) -> anyhow::Result<()> {
    let mut psql = Command::new(postgres_bin()?.join("psql"));
    psql.args([
        "--quiet",
        "--no-psqlrc",
        "--set",
        "ON_ERROR_STOP=1",
        "--dbname",
        database_url,
        "--command",
        sql,
    ]);
    run(&mut psql).map(drop)
}

/// A backup of a database, as SQL.
pub fn dump_database(url: &str) -> anyhow::Result<String> {
    run(Command::new(postgres_bin()?.join("pg_dump")).args(["--dbname", url]))
}

/// Restores a backup into an empty database.
pub fn restore_database(url: &str, dump: &str) -> anyhow::Result<()> {
    let mut psql = Command::new(postgres_bin()?.join("psql"));
    psql.args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", url]);
    psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let mut psql = spawn(psql)?;
    psql.stdin.take().context("psql has no input")?.write_all(dump.as_bytes())?;
    let status = psql.wait()?;
    if !status.success() {
        bail!("psql failed: {status}");
    }
    Ok(())
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // One that is frozen hears nothing.
            let _ = self.thaw();
            let _ = signal(&self.child, "QUIT");
            let _ = wait_or_kill(&mut self.child);
        }
    }
}
