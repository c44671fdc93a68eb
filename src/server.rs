//! Puts the parts together, serves connections, and stops gracefully.
//!
//! The only place that picks concrete back ends.

mod back_ends;
mod routes;
mod start;
mod stops;

use std::{net::SocketAddr, num::NonZeroU32, pin::pin, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use futures_util::{Stream, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    back_ends::{connect_bus, lock_file, open_blobs, read_meta},
    routes::{Documents, admin_routes, routes},
    start::{
        count_places, listen_for_operators, start_authenticator, start_canvases, start_committer,
        start_connections, start_rooms, start_write_limits, watch_store,
    },
    stops::Stops,
};
use crate::{
    access::Access,
    api::{self, Api, is_health_path},
    bus::Bus,
    config::{NodeRole, ServeArgs},
    http::{
        AddressLimits, ConnectionPlace, Peer, TrustedProxies,
        accept::{Overflow, Places, accept_few},
        serve_connection,
    },
    identity::Authenticator,
    limits,
    model::{ServerOps, UserId},
    offload::Background,
    room::presence::PresenceRooms,
    snapshot::{BlobHealth, Loader, Memory},
    socket::{Gateway, GatewayParts, Sockets},
    store::{FileLock, Members, Store},
    telemetry::Metrics,
    transport::Transport,
    undo::Undo,
    worker::{self, Builder, Folder, FolderQueues, Worker, follow_control},
};

pub use crate::http::accept::listen;
pub use back_ends::{BackEnds, open_store, open_store_to_read};
pub use routes::openapi_document;

/// A server whose parts are connected, and which does not serve yet.
#[derive(Debug)]
pub struct Server {
    router: Router,
    places: Places,
    waits: Waits,
    admin: Option<Admin>,
    metrics: Arc<Metrics>,
    keys: Arc<Authenticator>,
    /// Keeps other processes from serving the same file.
    #[allow(dead_code, reason = "held, not read")]
    file_lock: Option<FileLock>,
    store: SharedStore,
    bus: SharedBus,
    sockets: Arc<Sockets>,
    stops: Stops,
}

/// The times that a server waits.
#[derive(Clone, Copy, Debug)]
struct Waits {
    /// The time for which a connection may rest between two requests.
    keep_alive: Duration,
    /// The time from the notice to the stop.
    drain_notice: Duration,
}

/// The listener for the questions of operators, apart from that of clients.
#[derive(Debug)]
struct Admin {
    listener: TcpListener,
    router: Router,
}

struct SharedStore(Arc<dyn Store>);
struct SharedBus(Arc<dyn Bus>);

impl std::fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl std::fmt::Debug for SharedBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bus")
    }
}

impl Server {
    /// Connects to the back ends and starts what runs in the background.
    ///
    /// # Errors
    /// When the configuration or a back end does not do.
    pub async fn start(args: &ServeArgs) -> anyhow::Result<Self> {
        args.check()?;
        let entrance = (count_places(args), listen_for_operators(args).await?);
        let file_lock = lock_file(&args.store)?;
        let metrics = Arc::new(Metrics::new());
        let store = open_store(&args.store).await?;
        let bus = connect_bus(args, &metrics).await?;
        Self::assemble(args, entrance, file_lock, BackEnds { store, bus, metrics }).await
    }

    /// The same on back ends that somebody else has connected, whatever `args` say of them.
    ///
    /// # Errors
    /// When the configuration or a back end does not do.
    pub async fn start_on(args: &ServeArgs, back_ends: BackEnds) -> anyhow::Result<Self> {
        args.check()?;
        let entrance = (count_places(args), listen_for_operators(args).await?);
        Self::assemble(args, entrance, None, back_ends).await
    }

    async fn assemble(
        args: &ServeArgs,
        (places, admin): (Places, Option<TcpListener>),
        file_lock: Option<FileLock>,
        back_ends: BackEnds,
    ) -> anyhow::Result<Self> {
        let BackEnds { store, bus, metrics } = back_ends;
        let documents = Documents::get()?;
        let stops = Stops::default();
        let (tasks, stop) = (&stops.tasks, &stops.all);
        let meta = read_meta(&*store).await.context("reading the database")?;
        let authenticator = start_authenticator(args, meta.server_key, &stops)?;
        let members: Arc<dyn Members> = store.clone();
        let access = Access::start(&members, tasks, stop);
        let (committer, unattended) = start_committer(args, &store, &bus, &metrics, &stops);
        let blobs = open_blobs(args)?;
        let memory = Memory::new(args.canvas_memory, limits::CANVAS_PATIENCE);
        let canvases =
            start_canvases(Loader::new(&store, &blobs, &metrics).with_memory(memory.clone()), &stops);
        let presence = PresenceRooms::start(&bus, args.max_rooms, &metrics, tasks, stop);
        let rooms = start_rooms(args, (&store, &bus), &presence, &metrics, meta.epoch, &stops);
        let sockets = start_connections(args, &metrics, &stops);
        tasks.spawn(watch_store(store.clone(), stop.clone()));
        let proxies = TrustedProxies::new(&args.trusted_proxies);
        let write_limits = start_write_limits(args, &metrics, &stops);
        let (hints, hinted) = worker::hints();
        tasks.spawn(follow_control(bus.clone(), access.clone(), rooms.clone(), hints, stop.clone()));
        let (open, is_open) = mpsc::channel(limits::FOLD_QUEUE);
        let ids = ServerOps::new(meta.server_key);
        let folder = Folder::new(&store, committer.clone(), ids, &metrics, args.undo_budget);
        tasks.spawn(folder.run(FolderQueues { open: is_open, unattended }, stop.clone()));
        if args.roles.contains(&NodeRole::Worker) {
            let background = Background::start().context("starting a thread for snapshots")?;
            let builder = Builder::new(&store, &blobs, &metrics, args.snapshot_every, background);
            let worker = Worker::new(store.clone(), builder.with_memory(memory), open);
            tasks.spawn(worker.run(hinted, stop.clone()));
            tasks.spawn(worker::purge(store.clone(), stop.clone()));
        }
        let undo = Undo::new(store.clone(), canvases.clone(), committer.clone());
        let api = Api::new(api::ApiParts {
            store: store.clone(),
            bus: bus.clone(),
            committer,
            undo,
            rooms: rooms.clone(),
            canvases,
            blobs: BlobHealth::new(blobs),
            presence,
            access: access.clone(),
            authenticator: authenticator.clone(),
            proxies: proxies.clone(),
            limits: write_limits,
            drawings_per_user: args.drawings_per_user,
            connections: sockets.of_users(),
            document: documents.openapi.clone(),
            asyncapi: documents.asyncapi.clone(),
            tasks: tasks.clone(),
            notice: stops.notice.clone(),
            draining: stops.draining.clone(),
            takes_writes: args.roles.contains(&NodeRole::Api),
        });
        let gateway = Gateway::new(GatewayParts {
            rooms,
            access,
            authenticator: authenticator.clone(),
            connections: sockets.clone(),
            heartbeat: args.heartbeat,
            tasks: tasks.clone(),
            draining: stops.draining.clone(),
        });
        let limit = |rate| AddressLimits::new(rate, proxies, authenticator.clone(), metrics.clone());
        let limits = NonZeroU32::new(args.limit_by_address).map(limit);
        let admin = admin.map(|listener| Admin { listener, router: admin_routes(api.clone()) });
        let router = routes(args, (api, gateway), admin.is_none(), limits)?;
        let (store, bus, keys) = (SharedStore(store), SharedBus(bus), authenticator);
        let waits = Waits { keep_alive: args.keep_alive, drain_notice: args.drain_notice };
        Ok(Self { router, places, waits, admin, metrics, keys, file_lock, store, bus, sockets, stops })
    }

    /// Where operators ask, if that is a listener of its own.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|admin| admin.listener.local_addr().ok())
    }

    /// A token for `user`, from a server with `--dev`.
    ///
    /// # Errors
    /// Without `--dev`.
    pub fn dev_token(&self, user: &UserId) -> Result<String, crate::error::Error> {
        self.keys.issue_dev_token(user, None, limits::DEV_TOKEN_TTL).map(|(token, _)| token)
    }

    /// Serves a connection that somebody else has accepted, until it ends; at once if there is no place for it.
    pub fn serve(&self, stream: Transport, peer: SocketAddr) -> impl Future<Output = ()> + Send + use<> {
        let (rest, draining) = (self.waits.keep_alive, self.stops.draining.clone());
        let (place, router) = (self.places.take(), self.router.clone());
        async move {
            let Some(place) = place else { return };
            serve_connection(stream, Peer(peer), ConnectionPlace::new(place), rest, router, draining).await;
        }
    }

    /// Stops everything where it is: nothing is finished, and nobody is told.
    pub fn abandon(&self) {
        let Stops { notice, draining, writers, all, .. } = &self.stops;
        [notice, draining, writers, all].into_iter().for_each(CancellationToken::cancel);
    }

    /// Serves connections until the first of `signals` and, with `/readyz` saying `draining`, for the time of the notice
    /// or until the next signal. Then it stops: no new connections, what is queued is committed, readers are asked to
    /// come back elsewhere.
    ///
    /// # Errors
    /// None so far.
    pub async fn run(mut self, listener: TcpListener, signals: impl Stream<Item = ()>) -> anyhow::Result<()> {
        // Operators are answered to the very end.
        let ended = CancellationToken::new();
        let _ended = ended.clone().drop_guard();
        if let Some(admin) = self.admin.take() {
            tokio::spawn(admin.run(ended));
        }
        let connections = TaskTracker::new();
        let (router, keep_alive, draining) = (&self.router, self.waits.keep_alive, &self.stops.draining);
        let serve = |stream: TcpStream, place| {
            // Whoever has left already needs no answer.
            let Ok(peer) = stream.peer_addr() else { return };
            let (peer, place) = (Peer(peer), ConnectionPlace::new(place));
            connections.spawn(serve_connection(
                stream.into(),
                peer,
                place,
                keep_alive,
                router.clone(),
                draining.clone(),
            ));
        };
        let overflow = Overflow { router: router.clone(), has_path: is_health_path };
        tokio::select! {
            () = self.notice(signals) => (),
            never = self.places.accept(&listener, &overflow, &self.metrics, &connections, serve) => match never {},
        }
        self.places.accept_rest(&listener, serve);
        drop(listener);
        self.drain(&connections).await;
        Ok(())
    }

    /// Completes when nothing new is to be taken in any more.
    async fn notice(&self, signals: impl Stream<Item = ()>) {
        let mut signals = pin!(signals);
        // The end of the signals is none.
        let mut signal = async || {
            if signals.next().await.is_none() {
                std::future::pending().await
            }
        };
        signal().await;
        self.stops.notice.cancel();
        if self.waits.drain_notice.is_zero() {
            return;
        }
        tracing::info!(notice = ?self.waits.drain_notice, "stopping after a notice; another signal cuts it short");
        tokio::select! {
            () = tokio::time::sleep(self.waits.drain_notice) => (),
            () = signal() => (),
        }
    }

    async fn drain(self, connections: &TaskTracker) {
        tracing::info!("stopping");
        let Stops { draining, writers, writer_tasks, all, tasks, .. } = &self.stops;
        draining.cancel();
        connections.close();
        let in_order = async {
            // First the requests, which may still commit; then the writers.
            if tokio::time::timeout(limits::DRAIN_REQUESTS_TIMEOUT, connections.wait()).await.is_err() {
                tracing::warn!("some clients do not take their answers; going on without them");
            }
            writers.cancel();
            writer_tasks.close();
            writer_tasks.wait().await;
            self.bus.0.flush().await;
            // All commits are told: now the readers may go.
            self.sockets.drain().await;
            all.cancel();
            tasks.close();
            tasks.wait().await;
            self.bus.0.flush().await;
            self.store.0.close().await;
        };
        if tokio::time::timeout(limits::DRAIN_TIMEOUT + self.sockets.window(), in_order).await.is_err() {
            tracing::warn!("stopped before everything had ended");
        } else {
            tracing::info!("stopped");
        }
    }
}

impl Admin {
    /// Serves until `stop`.
    async fn run(self, stop: CancellationToken) {
        let serve = |stream: TcpStream, place| {
            let place = ConnectionPlace::new(place);
            let Ok(peer) = stream.peer_addr() else { return };
            let (router, rest) = (self.router.clone(), limits::KEEP_ALIVE_TIMEOUT);
            tokio::spawn(serve_connection(stream.into(), Peer(peer), place, rest, router, stop.clone()));
        };
        tokio::select! {
            () = stop.cancelled() => (),
            never = accept_few(&self.listener, limits::ADMIN_CONNECTIONS, serve) => match never {},
        }
    }
}
