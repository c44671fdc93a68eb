//! A whole deployment: nodes and what they need, each way between them through a proxy of its own.
//!
//! Owns what runs, and the order in which it ends. `inject` does the harm to it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use loadtest::{
    proxy::Proxy,
    services::{LIFTED_LIMITS, Nats, PostgresTrio, S3Server, SmallDisk, TempFolder, free_port},
};
use tokio::time::{Instant, sleep, timeout_at};

pub use crate::node::Programs;
use crate::{
    fault::{Fault, Link},
    issuer::Issuer,
    lie::{Liar, Lie},
    node::Node,
    plan::{Kind, Plan},
};

/// The disk that a round may fill, in MiB: room for all that a round writes.
const DISK_MIB: u32 = 96;
/// Time for a node to say whether it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(3);
/// The interval at which a node is asked whether it is ready.
const POLL: Duration = Duration::from_millis(50);
/// The flags of all nodes beside those that lift their limits: quick heartbeats and drains, and early snapshots.
const FLAGS: [&str; 6] = ["--heartbeat", "1s", "--drain-window", "500ms", "--snapshot-every", "100"];
/// Settings of Postgres by which a connection that is dead is noticed soon.
const STORE_SETTINGS: &str = "wal_sender_timeout = '3s'\n";
/// Settings of Postgres by which it acknowledges what it may lose.
const FORGETFUL: &str =
    "synchronous_commit = off\nwal_writer_delay = '10s'\nwal_writer_flush_after = '1GB'\n";

/// A fault built into a deployment on purpose, to see that a round reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing is wrong.
    #[default]
    None,
    /// Postgres acknowledges commits before they are written.
    ForgetfulStore,
    /// Readers at the first node are not told of some ops.
    SwallowedFrames,
    /// The same once this fault has happened.
    SwallowedAfter(Fault),
    /// Readers at the first node are told of ops after a long time.
    HeldFrames,
}

/// Everything that runs. Nodes end before what they need.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Postgres.
    pub store: Option<PostgresTrio>,
    /// NATS servers.
    pub bus: Vec<Nats>,
    /// The issuer, which signs tokens.
    pub issuer: Arc<Issuer>,
    /// The links to NATS, by node, and then by NATS server.
    bus_links: Vec<Vec<Proxy>>,
    blob_links: Vec<Proxy>,
    key_links: Vec<Proxy>,
    client_links: Vec<Proxy>,
    _bucket: Option<S3Server>,
    liar: Option<Liar>,
    /// Has the SQLite file.
    file_disk: Option<SmallDisk>,
    _folder: TempFolder,
}

impl Cluster {
    /// Starts everything that a plan wants, with logs in a folder.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(
        plan: &Plan,
        programs: &Programs,
        sabotage: Sabotage,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let folder = TempFolder::new("chaos")?;
        let count = plan.nodes();
        let issuer = Arc::new(Issuer::start().await?);
        let key_links = proxies(count, issuer.port).await?;
        let (mut store, mut bus, mut bus_links) = (None, Vec::new(), Vec::new());
        let (mut bucket, mut blob_links, mut file_disk) = (None, Vec::new(), None);
        if plan.kind == Kind::Clustered {
            let forgetful = if sabotage == Sabotage::ForgetfulStore { FORGETFUL } else { "" };
            let settings = format!("{STORE_SETTINGS}{forgetful}");
            let disk = plan.has_small_disk().then_some(DISK_MIB);
            store = Some(PostgresTrio::start(count, &settings, disk).await?);
            bus = start_bus(plan.bus_servers)?;
            for _ in 0..count {
                let mut links = Vec::new();
                for server in &bus {
                    links.push(Proxy::start(server.port).await?);
                }
                bus_links.push(links);
            }
            let server = S3Server::start().await?;
            blob_links = proxies(count, server.port).await?;
            bucket = Some(server);
        } else if plan.has_small_disk() {
            file_disk = Some(SmallDisk::mount(DISK_MIB)?);
        }
        let mut nodes = Vec::new();
        for node in 0..count {
            let mut flags: Vec<String> =
                LIFTED_LIMITS.iter().chain(&FLAGS).map(|&flag| flag.to_owned()).collect();
            let mut add = |name: &str, value: String| flags.extend([name.to_owned(), value]);
            add("--jwks-url", format!("http://127.0.0.1:{}/jwks.json", key_links[node].port));
            add("--node-name", format!("node-{node}"));
            if let (Some(store), Some(bucket)) = (&store, &bucket) {
                let urls = bus_links[node].iter().map(|link| format!("nats://127.0.0.1:{}", link.port));
                add("--nats-url", urls.collect::<Vec<_>>().join(","));
                add("--database-url", store.url(node)?);
                add("--blob-url", bucket.url_through(blob_links[node].port, "chaos"));
            } else {
                let place = file_disk.as_ref().map_or(folder.path(), SmallDisk::path);
                add("--database-url", format!("sqlite://{}/revcast.db", place.display()));
                add("--blob-url", format!("file:{}/blobs", folder.path().display()));
            }
            nodes.push(Node::new(plan, programs, node, flags, (folder.path(), logs))?);
        }
        start(&mut nodes).await?;
        let mut client_links = Vec::new();
        for node in &nodes {
            client_links.push(Proxy::start(node.port()?).await?);
        }
        let lie = match sabotage {
            Sabotage::SwallowedFrames => Some(Lie::Swallow),
            Sabotage::HeldFrames => Some(Lie::Hold),
            _ => None,
        };
        let mut cluster = Self {
            nodes,
            store,
            bus,
            issuer,
            bus_links,
            blob_links,
            key_links,
            client_links,
            _bucket: bucket,
            liar: None,
            file_disk,
            _folder: folder,
        };
        if let Some(lie) = lie {
            cluster.lie(lie).await?;
        }
        Ok(cluster)
    }

    /// Puts a proxy that lies between clients and the first node, on connections to come.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn lie(&mut self, lie: Lie) -> anyhow::Result<()> {
        let liar = Liar::start(self.nodes[0].port()?, lie).await?;
        self.client_links[0].redirect(liar.port);
        self.liar = Some(liar);
        Ok(())
    }

    /// The addresses of the nodes, as clients reach them.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.client_links.iter().map(|link| format!("http://127.0.0.1:{}", link.port)).collect()
    }

    /// The proxies of a link.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn proxies(&self, link: Link) -> anyhow::Result<Vec<&Proxy>> {
        let store = || self.store.as_ref().context("there is no Postgres");
        let links = match link {
            Link::Clients(node) => self.client_links.get(node..=node),
            Link::Blobs(node) => self.blob_links.get(node..=node),
            Link::Keys(node) => self.key_links.get(node..=node),
            Link::Bus(node) => self.bus_links.get(node).map(Vec::as_slice),
            Link::Store(node) => return Ok(vec![store()?.front(node)?]),
            Link::Standby(standby) => return Ok(vec![store()?.link(standby)?]),
        };
        Ok(links.with_context(|| format!("there is no such link: {link}"))?.iter().collect())
    }

    /// The ports that the nodes listen on.
    ///
    /// # Errors
    /// When one has no address.
    pub fn ports(&self) -> anyhow::Result<Vec<u16>> {
        self.nodes.iter().map(Node::port).collect()
    }

    /// The ways of all clients to all nodes.
    pub fn client_links(&self) -> impl Iterator<Item = &Proxy> {
        self.client_links.iter()
    }

    /// The disk that can be filled.
    ///
    /// # Errors
    /// When there is none.
    pub fn disk(&self) -> anyhow::Result<&SmallDisk> {
        match &self.store {
            Some(store) => store.disk(),
            None => self.file_disk.as_ref().context("the file is on no small disk"),
        }
    }

    /// Waits until all nodes say that they are ready. Returns those that do not in time, with what they say.
    ///
    /// # Errors
    /// When a node has no address.
    pub async fn ready(&mut self, deadline: Instant) -> anyhow::Result<Vec<String>> {
        let http = reqwest::Client::builder().timeout(READY_TIMEOUT).build()?;
        let mut late = Vec::new();
        for (number, node) in self.nodes.iter_mut().enumerate() {
            match timeout_at(deadline, node.settle()).await {
                Ok(Ok(())) => (),
                Ok(Err(error)) => {
                    late.push(format!("node {number} has failed: {error:#}"));
                    continue;
                }
                Err(_) => {
                    late.push(format!("node {number} has not started"));
                    continue;
                }
            }
            let url = format!("http://127.0.0.1:{}/readyz", node.port()?);
            loop {
                let told = match http.get(&url).send().await {
                    Ok(answer) => answer.text().await.unwrap_or_else(|error| error.to_string()),
                    Err(error) => error.to_string(),
                };
                if told.contains("\"ready\"") {
                    break;
                }
                if Instant::now() > deadline {
                    late.push(format!("node {number} says {told}"));
                    break;
                }
                sleep(POLL).await;
            }
        }
        Ok(late)
    }

    /// Nodes that have ended although nobody has ended them, and panics in their logs.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn crashes(&mut self) -> anyhow::Result<Vec<String>> {
        let mut crashes = Vec::new();
        for (number, node) in self.nodes.iter_mut().enumerate() {
            crashes.extend(node.crashes()?.into_iter().map(|crash| format!("node {number} {crash}")));
        }
        Ok(crashes)
    }
}

/// Starts nodes, and waits until they listen. The first one makes the tables.
async fn start(nodes: &mut [Node]) -> anyhow::Result<()> {
    for (number, node) in nodes.iter_mut().enumerate() {
        node.start();
        if number == 0 {
            node.settle().await?;
        }
    }
    for node in nodes {
        node.settle().await?;
    }
    Ok(())
}

async fn proxies(count: usize, port: u16) -> anyhow::Result<Vec<Proxy>> {
    let mut proxies = Vec::new();
    for _ in 0..count {
        proxies.push(Proxy::start(port).await?);
    }
    Ok(proxies)
}

/// One server, or several that tell each other what they are told. Clients know them by what they are given alone.
fn start_bus(count: usize) -> anyhow::Result<Vec<Nats>> {
    if count == 1 {
        return Ok(vec![Nats::start()?]);
    }
    let ports = (0..count).map(|_| free_port()).collect::<anyhow::Result<Vec<_>>>()?;
    let routes: Vec<String> = ports.iter().map(|port| format!("nats-route://127.0.0.1:{port}")).collect();
    let start = |(number, port): (usize, &u16)| {
        Nats::start_with(&format!(
            "server_name: nats-{number}\ncluster {{ name: chaos, listen: \"127.0.0.1:{port}\", no_advertise: true, \
             routes: [{}] }}\n",
            routes.join(", ")
        ))
    };
    ports.iter().enumerate().map(start).collect()
}
