//! Puts the parts together, serves connections, and stops gracefully.
//!
//! The only place that picks concrete back ends.

use std::{
    convert::Infallible,
    net::SocketAddr,
    num::NonZeroU32,
    pin::pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::Router;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{
    accept::{Places, accept_few},
    access::Access,
    api::{
        self, AddressLimits, Api, CorsOrigins, Document, Peer, TrustedProxies, UnreadBody, WriteLimits,
        WriteRates,
    },
    bus::{Bus, ControlMessage, Delivery, LocalBus, NatsBus},
    client_stream::{ClientStream, Patience, Requests},
    clock::now_ms,
    commit::{CommitOptions, Committer},
    config::{DEFAULT_BLOB_URL, NodeRole, ServeArgs, StoreArgs},
    descriptors,
    fold::{Folder, FolderQueues},
    gateway::{self, ConnectionPlace, Connections, Gateway, GatewayParts},
    identity::{Authenticator, IdentityOptions, Jwks},
    limits,
    model::{DrawingId, Epoch, ServerOps, UserId},
    room::{RoomParts, Rooms, presence::PresenceRooms},
    snapshot::{self, Background, BlobHealth, Blobs, Builder, Canvases, Hints, Loader, Memory, Worker},
    store::{FileLock, Meta, PoolOptions, PostgresStore, SqliteStore, Store, StoreError},
    telemetry::{self, Metrics},
    transport::Transport,
    user_connections::UserConnections,
};

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
    sockets: Arc<Connections>,
    stops: Stops,
}

/// How long what takes.
#[derive(Clone, Copy, Debug)]
struct Waits {
    /// For how long a connection may rest between two requests.
    keep_alive: Duration,
    /// How long the notice is.
    drain_notice: Duration,
}

/// What ends, in which order.
#[derive(Clone, Debug, Default)]
struct Stops {
    /// Whoever sends requests here is asked to send them elsewhere; all of them are still served.
    notice: CancellationToken,
    /// Nothing new is taken in.
    draining: CancellationToken,
    /// The writers, once no request can reach them any more.
    writers: CancellationToken,
    writer_tasks: TaskTracker,
    /// The rest, once the sockets have left.
    all: CancellationToken,
    tasks: TaskTracker,
}

/// What operators ask on a listener of their own.
#[derive(Debug)]
struct Admin {
    listener: TcpListener,
    router: Router,
}

/// What a server stands on.
#[allow(missing_debug_implementations, reason = "made once, and never shown")]
pub struct BackEnds {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The hint.
    pub bus: Arc<dyn Bus>,
    /// Counters, which the bus may have a part in.
    pub metrics: Arc<Metrics>,
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

/// Connects to the database and brings its schema up to date.
///
/// # Errors
/// When the database cannot be reached or migrated.
pub async fn open_store(args: &StoreArgs) -> anyhow::Result<Arc<dyn Store>> {
    args.check()?;
    let options = PoolOptions {
        max_connections: args.database_connections,
        start_timeout: limits::STORE_START_TIMEOUT,
    };
    Ok(if args.is_sqlite() {
        let store = SqliteStore::connect(&args.database_url, options).await;
        Arc::new(store.context("opening the SQLite database")?)
    } else {
        let store = PostgresStore::connect(&args.database_url, options).await;
        Arc::new(store.context("connecting to the Postgres database")?)
    })
}

/// Reads what belongs to the database as a whole, waiting for a database that has gone since it was opened.
async fn read_meta(store: &dyn Store) -> Result<Meta, StoreError> {
    let deadline = Instant::now() + limits::STORE_START_TIMEOUT;
    loop {
        match store.meta().await {
            Err(error) if error.is_passing() && Instant::now() < deadline => {
                tracing::warn!(%error, "the database has gone while this server starts; trying on");
                tokio::time::sleep(limits::RETRY_AFTER).await;
            }
            outcome => return outcome,
        }
    }
}

/// Keeps other processes from serving the file, if the database is one.
fn lock_file(args: &StoreArgs) -> anyhow::Result<Option<FileLock>> {
    let lock = args.is_sqlite().then(|| SqliteStore::lock(&args.database_url));
    lock.transpose().context("opening the SQLite database")
}

/// Opens the database as it is, to read only: its schema stays what it was.
///
/// # Errors
/// When the URL does not do. A database that cannot be reached shows with the first call.
pub fn open_store_to_read(args: &StoreArgs) -> anyhow::Result<Arc<dyn Store>> {
    args.check()?;
    let options = PoolOptions {
        max_connections: args.database_connections,
        start_timeout: limits::STORE_START_TIMEOUT,
    };
    Ok(if args.is_sqlite() {
        Arc::new(SqliteStore::open_to_read(&args.database_url, options)?)
    } else {
        Arc::new(PostgresStore::open_to_read(&args.database_url, options)?)
    })
}

async fn connect_bus(args: &ServeArgs, metrics: &Arc<Metrics>) -> anyhow::Result<Arc<dyn Bus>> {
    let Some(options) = args.nats.options()? else { return Ok(Arc::new(LocalBus::new())) };
    Ok(Arc::new(NatsBus::connect(&options, metrics.clone()).await.context("connecting to NATS")?))
}

fn identity_options(args: &ServeArgs, jwks: Option<Jwks>) -> IdentityOptions {
    IdentityOptions {
        secret: args.identity.jwt_secret.clone(),
        jwks,
        issuer: args.identity.jwt_issuer.clone(),
        audience: args.identity.jwt_audience.clone(),
        dev: args.dev,
    }
}

/// Starts the committer, and gives what it tells of drawings in which very much is open.
fn start_committer(
    args: &ServeArgs,
    store: &Arc<dyn Store>,
    bus: &Arc<dyn Bus>,
    metrics: &Arc<Metrics>,
    stops: &Stops,
) -> (Committer, mpsc::Receiver<DrawingId>) {
    let (unattended, is_unattended) = mpsc::channel(limits::FOLD_QUEUE);
    let options =
        CommitOptions { writers: args.writers.into(), snapshot_every: args.snapshot_every, unattended };
    let committer = Committer::start(store, bus, metrics, options, &stops.writer_tasks, &stops.writers);
    (committer, is_unattended)
}

fn start_canvases(loader: Loader, stops: &Stops) -> Canvases {
    let (tasks, stop) = (&stops.tasks, &stops.all);
    let canvases = Canvases::new(loader, tasks.clone(), stop.clone());
    tasks.spawn(canvases.clone().tidy(stop.clone()));
    canvases
}

fn start_rooms(
    args: &ServeArgs,
    (store, bus): (&Arc<dyn Store>, &Arc<dyn Bus>),
    presence: &PresenceRooms,
    metrics: &Arc<Metrics>,
    epoch: Epoch,
    stops: &Stops,
) -> Rooms {
    Rooms::start(RoomParts {
        store: store.clone(),
        bus: bus.clone(),
        presence: presence.clone(),
        metrics: metrics.clone(),
        heartbeat: args.heartbeat,
        most: args.max_rooms,
        epoch,
        tasks: stops.tasks.clone(),
        stop: stops.all.clone(),
    })
}

fn start_write_limits(args: &ServeArgs, metrics: &Arc<Metrics>, stops: &Stops) -> Arc<WriteLimits> {
    let rates = WriteRates {
        requests: args.write_requests_per_second,
        ops: args.write_ops_per_second,
        drawing_bytes: args.drawing_bytes_per_second,
        drawing_units: args.drawing_units_per_second,
    };
    let limits = Arc::new(WriteLimits::new(rates, metrics.clone()));
    stops.tasks.spawn(keep_house(limits.clone(), stops.all.clone()));
    limits
}

fn open_blobs(args: &ServeArgs) -> anyhow::Result<Blobs> {
    let blobs = Blobs::open(&args.blob_url).context("opening the blob store")?;
    if args.store.is_sqlite() || args.blob_url != DEFAULT_BLOB_URL {
        return Ok(blobs);
    }
    tracing::warn!(
        "snapshots are kept in a folder of this machine: give --blob-url when there are other nodes"
    );
    Ok(blobs.perhaps_local())
}

/// The OpenAPI document, whatever the roles of a node.
#[must_use]
pub fn openapi_document() -> utoipa::openapi::OpenApi {
    let mut document = api::common_router().merge(api::metrics_router()).merge(api::router()).to_openapi();
    document.merge(gateway::router().to_openapi());
    api::document::complete(&mut document);
    document
}

/// What a server says of itself.
struct Documents {
    openapi: Document,
    asyncapi: Bytes,
}

impl Documents {
    /// Made once in a process, however many servers it has.
    fn get() -> anyhow::Result<&'static Self> {
        static MADE: OnceLock<Documents> = OnceLock::new();
        if let Some(made) = MADE.get() {
            return Ok(made);
        }
        let openapi = Document::new(&openapi_document())?;
        let asyncapi = gateway::asyncapi_yaml()?.into();
        Ok(MADE.get_or_init(|| Self { openapi, asyncapi }))
    }
}

/// Listens on `address`; port 0 picks a free one.
///
/// # Errors
/// When the address is malformed or taken.
pub async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let address: SocketAddr = tokio::net::lookup_host(address)
        .await
        .with_context(|| format!("resolving {address}"))?
        .next()
        .with_context(|| format!("{address} has no address"))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| format!("listening on {address}"))?;
    Ok(socket.listen(limits::LISTEN_BACKLOG)?)
}

fn start_authenticator(
    args: &ServeArgs,
    server_key: uuid::Uuid,
    stops: &Stops,
) -> anyhow::Result<Arc<Authenticator>> {
    let (tasks, stop) = (&stops.tasks, &stops.all);
    let jwks = args.jwks_url.clone().map(|url| Jwks::follow(url, tasks, stop.clone())).transpose()?;
    Ok(Arc::new(Authenticator::new(identity_options(args, jwks), server_key)))
}

fn start_connections(args: &ServeArgs, metrics: &Arc<Metrics>, stops: &Stops) -> Arc<Connections> {
    let (per_second, window) = (args.handshakes_per_second, args.drain_window);
    let of_users = Arc::new(UserConnections::new(args.connections_per_user, metrics.clone()));
    let connections = Connections::new(of_users, per_second, window, metrics.clone());
    let connections = Arc::new(connections);
    stops.tasks.spawn(connections.clone().look_after(stops.all.clone()));
    connections
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
        let access = Access::start(&store, tasks, stop);
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
        let (hints, hinted) = snapshot::hints();
        tasks.spawn(follow_control(bus.clone(), access.clone(), rooms.clone(), hints, stop.clone()));
        let (open, is_open) = mpsc::channel(limits::FOLD_QUEUE);
        let ids = ServerOps::new(meta.server_key);
        let folder = Folder::new(&store, committer.clone(), ids, &metrics, args.undo_budget);
        tasks.spawn(folder.run(FolderQueues { open: is_open, unattended }, stop.clone()));
        if args.roles.contains(&NodeRole::Worker) {
            let background = Background::start().context("starting a thread for snapshots")?;
            let builder = Builder::new(&store, &blobs, &metrics, args.snapshot_every, background);
            let worker = Worker::new(&store, builder.with_memory(memory), open);
            tasks.spawn(worker.run(hinted, stop.clone()));
            tasks.spawn(purge(store.clone(), stop.clone()));
        }
        let api = Api::new(api::Parts {
            store: store.clone(),
            bus: bus.clone(),
            committer,
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
        tokio::select! {
            () = self.notice(signals) => (),
            never = self.places.accept(&listener, router, &self.metrics, &connections, serve) => match never {},
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
            // What was committed is told: now the readers may go.
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

/// Raises the limit of open files, and finds how many connections fit under it.
fn count_places(args: &ServeArgs) -> Places {
    let limit = descriptors::raise_limit();
    let connections = descriptors::connections_under(limit, args.reserved_descriptors());
    tracing::info!(open_files = limit, connections, "the most that may be open at once");
    Places::new(connections)
}

async fn listen_for_operators(args: &ServeArgs) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = &args.admin_listen else { return Ok(None) };
    listen(address).await.map(Some)
}

fn admin_routes(api: Api) -> Router {
    let parameters = api.document.parameters().clone();
    let (router, _) = api::admin_router().split_for_parts();
    api::with_layers(api::with_fallbacks(router.with_state(api), None), &CorsOrigins::None, parameters)
}

fn routes(
    args: &ServeArgs,
    (api, gateway): (Api, Gateway),
    has_metrics: bool,
    limits: Option<AddressLimits>,
) -> anyhow::Result<Router> {
    let (roles, parameters) = (&args.roles, api.document.parameters().clone());
    let mut router = api::common_router();
    if has_metrics {
        router = router.merge(api::metrics_router());
    }
    if roles.contains(&NodeRole::Api) {
        router = router.merge(api::router());
    }
    let (router, _) = router.split_for_parts();
    let mut router = router.with_state(api);
    if roles.contains(&NodeRole::Gateway) {
        let (sockets, _) = gateway::router().split_for_parts();
        router = router.merge(sockets.with_state(gateway));
    }
    let has_page = roles.contains(&NodeRole::Api);
    let page = has_page.then(api::page_of_unknown_addresses).flatten();
    let router = api::with_fallbacks(router, page);
    let router = match limits {
        Some(limits) => limits.in_front_of(router),
        None => router,
    };
    Ok(api::with_layers(router, &args.cors()?, parameters))
}

/// Serves one connection; it ends after the request at hand when the server stops.
async fn serve_connection(
    stream: Transport,
    peer: Peer,
    place: ConnectionPlace,
    keep_alive: Duration,
    router: Router,
    draining: CancellationToken,
) {
    let (held, unread, requests) = (place.clone(), UnreadBody::default(), Requests::default());
    let patience = Patience { head: limits::HEADER_READ_TIMEOUT, answer: limits::ANSWER_STALL_TIMEOUT };
    let stream = ClientStream::new(stream, patience, requests.clone());
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        // A socket takes the place over; it outlives what hyper knows as the connection.
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(peer);
        requests.begin();
        let (router, unread, requests) = (router.clone(), unread.clone(), requests.clone());
        async move {
            let mut response = router.oneshot(unread.watch(request)).await?;
            unread.tell(&mut response);
            requests.end();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        // From the request before on; the stream sees to the head itself.
        .header_read_timeout(keep_alive)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off is its own business.
        outcome = &mut connection => drop(outcome),
        () = held.is_cut() => (),
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection => drop(outcome),
                () = held.is_cut() => (),
            }
        }
    }
}

/// Brings news of roles to the cache and to the rooms of this node, and hints to its worker.
async fn follow_control(
    bus: Arc<dyn Bus>,
    access: Access,
    rooms: Rooms,
    hints: Hints,
    stop: CancellationToken,
) {
    let mut news = bus.subscribe_control().await;
    loop {
        let delivery = tokio::select! {
            () = stop.cancelled() => return,
            delivery = news.next() => delivery,
        };
        match delivery {
            Some(Delivery::Message(ControlMessage::Grown { drawing_id })) => hints.give(drawing_id),
            Some(Delivery::Message(message)) => {
                access.apply(&message);
                rooms.apply(&message);
            }
            Some(Delivery::Lagged) => tracing::warn!("news of roles was lost; caches expire within a second"),
            None => return,
        }
    }
}

/// Looks whether the store takes writes.
async fn watch_store(store: Arc<dyn Store>, stop: CancellationToken) {
    store.health().run(&*store, stop).await;
}

/// Removes the ops of deleted drawings and of imports that came to nothing, a little at a time.
async fn purge(store: Arc<dyn Store>, stop: CancellationToken) {
    loop {
        let pause = match purge_some(&*store).await {
            Ok(false) => limits::PURGE_PAUSE,
            Ok(true) => limits::HOUSEKEEPING_INTERVAL,
            Err(error) => {
                crate::store::log_store_failure!(
                    error,
                    "deleted drawings and stale imports could not be purged"
                );
                limits::HOUSEKEEPING_INTERVAL
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => (),
        }
    }
}

/// Removes some ops; true when there are no more.
async fn purge_some(store: &dyn Store) -> Result<bool, StoreError> {
    if store.purge_deleted(limits::PURGE_OPS).await? > 0 {
        return Ok(false);
    }
    let max_age = i64::try_from(limits::IMPORT_MAX_AGE.as_millis()).unwrap_or(i64::MAX);
    for import in store.stale_imports(now_ms() - max_age).await? {
        if !store.abort_import(import, limits::PURGE_OPS).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Keeps what grows with use small.
async fn keep_house(write_limits: Arc<WriteLimits>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(limits::TIDY_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                write_limits.tidy();
                telemetry::tidy_metrics();
            }
        }
    }
}
