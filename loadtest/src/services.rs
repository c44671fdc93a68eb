//! Postgres, NATS and Revcast as child processes, on free ports, in temporary folders.
//!
//! Everything ends with the handle, and with the process that started it even if that is killed.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader},
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

/// Who Postgres should run as: it refuses to be root.
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

    /// Where it is.
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
            // Another process may sweep as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // What is left behind in a temporary folder does no harm.
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
    run(Command::new("kill").args(["-s", name, &child.id().to_string()])).map(drop)
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
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields after the name in parentheses; utime and stime are the 12th and 13th of them.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

// --- Postgres -------------------------------------------------------------------------------------

/// A Postgres cluster of its own.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    bin: PathBuf,
    folder: TempFolder,
    /// Where it listens.
    pub port: u16,
    next_database: AtomicU32,
}

/// How safely a cluster writes.
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
        let bin = postgres_bin()?;
        let folder = TempFolder::new("postgres")?;
        let owner = unprivileged_user()?;
        if let Some(owner) = &owner {
            std::os::unix::fs::chown(folder.path(), Some(owner.uid), Some(owner.gid))?;
        }
        let data = folder.path().join("data");
        let mut initdb = command(&bin.join("initdb"), "KILL", owner.as_ref());
        initdb.current_dir("/");
        initdb
            .args(["-A", "trust", "-U", "revcast", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data);
        run(&mut initdb)?;
        let fsync = if durability == Durability::Full { "on" } else { "off" };
        let port = free_port()?;
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 200\n\
             fsync = {fsync}\nsynchronous_commit = {fsync}\nshared_buffers = '256MB'\nmax_wal_size = '4GB'\n\
             log_min_messages = 'fatal'\n"
        );
        let conf = data.join("postgresql.conf");
        let present = fs::read_to_string(&conf)?;
        fs::write(&conf, present + &settings)?;
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

    /// Starts again after [`stop`](Self::stop).
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = spawn_postgres(&self.bin, &self.folder.path().join("data"))?;
        self.wait_until_ready()
    }

    /// CPU seconds of the server and its connections so far.
    pub fn cpu_seconds(&self) -> f64 {
        let postmaster = self.child.id();
        let mut total = cpu_seconds(postmaster);
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            if parent == Some(&postmaster.to_string()) {
                total += cpu_seconds(pid);
            }
        }
        total
    }
}

fn spawn_postgres(bin: &Path, data: &Path) -> anyhow::Result<Child> {
    let owner = unprivileged_user()?;
    let mut server = command(&bin.join("postgres"), "QUIT", owner.as_ref());
    server
        .arg("-D")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    spawn(server)
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

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = signal(&self.child, "QUIT");
        let _ = wait_or_kill(&mut self.child);
    }
}

// --- NATS -----------------------------------------------------------------------------------------

/// A NATS server of its own.
#[derive(Debug)]
pub struct Nats {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Nats {
    /// Starts a server.
    pub fn start() -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut nats = Self { child: spawn_nats(port)?, port };
        wait_until_listening(port, &mut nats.child, "NATS")?;
        Ok(nats)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it at once.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts again, at the same address.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = spawn_nats(self.port)?;
        wait_until_listening(self.port, &mut self.child, "NATS")
    }

    /// CPU seconds so far.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.child.id())
    }
}

fn spawn_nats(port: u16) -> anyhow::Result<Child> {
    let places = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"];
    let program = places.iter().find(|place| Path::new(place).exists()).copied().unwrap_or("nats-server");
    let mut server = command(Path::new(program), "KILL", None);
    server.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn(server).context("NATS is not installed: run make setup")
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

// --- Revcast --------------------------------------------------------------------------------------

/// A server process.
#[derive(Debug)]
pub struct Revcast {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub base: String,
}

impl Revcast {
    /// Starts `binary serve --listen 127.0.0.1:0` with further flags, and waits until it listens. Its blobs are in a
    /// folder that all servers on its database share, unless the flags say otherwise.
    pub fn start(binary: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_at(binary, "127.0.0.1:0", flags)
    }

    /// The same at an address: that of one which has ended, for a node that comes back.
    pub fn start_at(binary: &Path, address: &str, flags: &[&str]) -> anyhow::Result<Self> {
        let mut server = command(binary, "KILL", None);
        server.args(["serve", "--listen", address]).args(flags);
        let database = flags.iter().skip_while(|flag| **flag != "--database-url").nth(1);
        if let Some(database) = database.filter(|_| !flags.contains(&"--blob-url")) {
            server.args(["--blob-url", &blob_url_beside(database)?]);
        }
        server.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = spawn(server)?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut seen = String::new();
        let base = loop {
            let Some(Ok(line)) = lines.next() else {
                bail!("the server ended before it listened:\n{seen}");
            };
            if let Some((_, address)) = line.split_once("listening address=") {
                break format!("http://{}", address.trim());
            }
            seen.push_str(&line);
            seen.push('\n');
        };
        // The rest is read so that the server never waits for us.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, base })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        signal(&self.child, "TERM")?;
        wait_or_kill(&mut self.child)
    }
}

impl Drop for Revcast {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
