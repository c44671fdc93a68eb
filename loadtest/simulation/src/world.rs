//! The nodes, what they share, and the way to them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use clap::Parser;
use revcast::{
    bus::LocalBus,
    config::{Cli, Command, ServeArgs},
    model::UserId,
    server::{BackEnds, Server},
    store::MemoryStore,
    telemetry::Metrics,
    transport::pipe,
};

use crate::{
    bus::{Hub, NodeBus},
    chance::Chance,
    gate::Gate,
    plan::Plan,
    record::Recorder,
    store::NodeStore,
    weather::Weather,
    wire::Wire,
};

/// Bytes that may be on their way in one direction of a connection: few, so that a reader that stands still is behind soon.
const PIPE_BYTES: usize = 8 * 1024;
/// The pause before a node tries to start again.
const START_PAUSE: Duration = Duration::from_millis(500);

/// Everything but the clients.
#[derive(Debug)]
pub struct World {
    /// The plan of the run.
    pub plan: Plan,
    /// The truth.
    pub store: MemoryStore,
    /// The faults of the moment.
    pub weather: Arc<Weather>,
    /// The recorder, with which the clients write the history.
    pub recorder: Arc<Recorder>,
    hub: Arc<Hub>,
    chance: Chance,
    nodes: Vec<Mutex<Option<Node>>>,
    arguments: Box<ServeArgs>,
    /// The facts that contradict a promise and are no matter of the history.
    faults: Mutex<Vec<String>>,
}

/// A node that runs.
#[derive(Clone, Debug)]
struct Node {
    server: Arc<Server>,
    gate: Gate,
}

impl World {
    /// Starts the nodes of a plan.
    ///
    /// # Errors
    /// When the flags of the nodes do not do.
    pub async fn start(plan: Plan) -> anyhow::Result<Arc<Self>> {
        let chance = Chance::new(plan.seed).split("world");
        let weather = Arc::new(Weather::new(&plan));
        let hub = Arc::new(Hub::new(weather.clone(), chance.split("bus")));
        let nodes = (0..plan.nodes).map(|_| Mutex::default()).collect();
        let arguments = arguments(plan.heartbeat)?;
        let (store, recorder, faults) = (MemoryStore::new(), Recorder::begin(), Mutex::default());
        let world = Arc::new(Self { plan, store, weather, recorder, hub, chance, nodes, arguments, faults });
        for node in 0..world.plan.nodes {
            world.start_node(node).await;
        }
        Ok(world)
    }

    /// Starts a node, however often its store fails.
    pub async fn start_node(&self, node: usize) {
        loop {
            let gate = Gate::default();
            let chance = self.chance.split("store");
            let store = NodeStore::new(self.store.clone(), gate.clone(), self.weather.clone(), chance);
            let bus = NodeBus::new(self.hub.clone(), node, gate.clone());
            let metrics = Arc::new(Metrics::new());
            let back_ends = BackEnds { store: Arc::new(store), bus: Arc::new(bus), metrics };
            match Server::start_on(&self.arguments, back_ends).await {
                Ok(server) => {
                    *self.slot(node) = Some(Node { server: Arc::new(server), gate });
                    return;
                }
                Err(_) => tokio::time::sleep(START_PAUSE).await,
            }
        }
    }

    /// Crashes a node: it stops between two of its steps, and its connections break.
    pub fn crash(&self, node: usize) {
        let crashed = self.slot(node).take();
        if let Some(Node { server, gate }) = crashed {
            gate.close();
            server.abandon();
        }
    }

    /// A connection to a node; `None` while it is down.
    #[must_use]
    pub fn connect(&self, node: usize) -> Option<Wire> {
        let Node { server, gate } = self.slot(node).clone()?;
        let (ours, theirs) = pipe(PIPE_BYTES);
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
        let (serve, end) = (server.serve(theirs.into(), peer), gate.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = end.closed() => (),
                () = serve => (),
            }
        });
        Some(Wire::new(ours.into(), gate))
    }

    /// A token of a user, good at every node.
    ///
    /// # Errors
    /// When no node runs.
    pub fn token(&self, user: &str) -> anyhow::Result<String> {
        let user: UserId = user.parse()?;
        let node = self.slot(0).clone().context("the first node is down")?;
        node.server.dev_token(&user).map_err(|_| anyhow::anyhow!("no token"))
    }

    /// Notes what contradicts a promise.
    pub fn object(&self, fault: String) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// Returns the facts that contradict a promise and are no matter of the history.
    #[must_use]
    pub fn objections(&self) -> Vec<String> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn slot(&self, node: usize) -> MutexGuard<'_, Option<Node>> {
        self.nodes[node].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a node and ends it.
pub(crate) async fn warm_up() -> anyhow::Result<()> {
    let (store, bus, metrics) =
        (Arc::new(MemoryStore::new()), Arc::new(LocalBus::new()), Arc::new(Metrics::new()));
    let arguments = arguments(Duration::from_secs(1))?;
    Server::start_on(&arguments, BackEnds { store, bus, metrics }).await?.abandon();
    Ok(())
}

/// The flags of a node. Nobody looks at what they say of the database.
fn arguments(heartbeat: Duration) -> anyhow::Result<Box<ServeArgs>> {
    let heartbeat = format!("{}ms", heartbeat.as_millis());
    let blobs = format!("file:{}", std::env::temp_dir().join("revcast-simulation").display());
    let flags = [
        "revcast",
        "serve",
        "--dev",
        "--database-url=postgres://simulated/",
        "--roles=api,gateway",
        "--heartbeat",
        &heartbeat,
        "--blob-url",
        &blobs,
        "--write-requests-per-second=0",
        "--write-ops-per-second=0",
        "--drawing-bytes-per-second=0",
        "--drawing-units-per-second=0",
    ];
    match Cli::try_parse_from(flags)?.command {
        Command::Serve(arguments) => Ok(arguments),
        _ => anyhow::bail!("the flags are those of `serve`"),
    }
}
