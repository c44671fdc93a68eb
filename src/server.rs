//! Puts the parts together, serves connections, and stops gracefully.
//!
//! The only place that picks concrete back ends.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::Router;
use futures_util::StreamExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{Semaphore, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{
    access::Access,
    api::{self, Api, UnreadBody, WriteLimits, WriteRates},
    bus::{Bus, ControlMessage, Delivery, LocalBus, NatsBus, NatsOptions},
    client_stream::ClientStream,
    clock::now_ms,
    commit::{CommitOptions, Committer},
    config::{DEFAULT_BLOB_URL, NodeRole, ServeArgs, StoreArgs},
    fold::{Folder, FolderQueues},
    gateway::{self, ConnectionPlace, Connections, Gateway, GatewayParts},
    identity::{Authenticator, IdentityOptions, Jwks},
    limits,
    model::{DrawingId, ServerOps, UserId},
    room::{RoomParts, Rooms, presence::PresenceRooms},
    snapshot::{self, Background, BlobHealth, Blobs, Builder, Canvases, Hints, Loader, Worker},
    store::{PoolOptions, PostgresStore, SqliteStore, Store, StoreError},
    telemetry::{self, Metrics},
};

/// A server whose parts are connected, and which does not serve yet.
#[derive(Debug)]
pub struct Server {
    router: Router,
    authenticator: Arc<Authenticator>,
    store: SharedStore,
    bus: SharedBus,
    sockets: Arc<Connections>,
    stops: Stops,
}

/// What ends, in which order.
#[derive(Clone, Debug, Default)]
struct Stops {
    /// Nothing new is taken in.
    draining: CancellationToken,
    /// The writers, once no request can reach them any more.
    writers: CancellationToken,
    writer_tasks: TaskTracker,
    /// The rest, once the sockets have left.
    all: CancellationToken,
    tasks: TaskTracker,
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

async fn connect_bus(args: &ServeArgs, metrics: &Arc<Metrics>) -> anyhow::Result<Arc<dyn Bus>> {
    let Some(url) = &args.nats_url else { return Ok(Arc::new(LocalBus::new())) };
    let options = NatsOptions { url: url.clone() };
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

fn write_rates(args: &ServeArgs) -> WriteRates {
    WriteRates {
        requests: args.write_requests_per_second,
        ops: args.write_ops_per_second,
        drawing_bytes: args.drawing_bytes_per_second,
        drawing_units: args.drawing_units_per_second,
    }
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
    let mut document = api::common_router().merge(api::router()).to_openapi();
    document.merge(gateway::router().to_openapi());
    document
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

impl Server {
    /// Connects to the back ends and starts what runs in the background.
    ///
    /// # Errors
    /// When the configuration or a back end does not do.
    pub async fn start(args: &ServeArgs) -> anyhow::Result<Self> {
        args.check()?;
        let stops = Stops::default();
        let (tasks, stop) = (&stops.tasks, &stops.all);
        let metrics = Arc::new(Metrics::new());
        let store = open_store(&args.store).await?;
        let bus = connect_bus(args, &metrics).await?;
        let meta = store.meta().await.context("reading the database")?;
        let jwks = args.jwks_url.clone().map(|url| Jwks::follow(url, tasks, stop.clone())).transpose()?;
        let authenticator = Arc::new(Authenticator::new(identity_options(args, jwks), meta.server_key));
        let access = Access::start(&store, tasks, stop);
        let (committer, unattended) = start_committer(args, &store, &bus, &metrics, &stops);
        let blobs = open_blobs(args)?;
        let canvases = Canvases::new(Loader::new(&store, &blobs, &metrics), tasks.clone(), stop.clone());
        let presence = PresenceRooms::start(&bus, tasks, stop);
        let rooms = Rooms::start(RoomParts {
            store: store.clone(),
            bus: bus.clone(),
            presence: presence.clone(),
            metrics: metrics.clone(),
            heartbeat: args.heartbeat,
            epoch: meta.epoch,
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        let (per_user, per_second) = (args.connections_per_user, args.handshakes_per_second);
        let sockets = Connections::new(per_user, per_second, args.drain_window, metrics.clone());
        let sockets = Arc::new(sockets);
        tasks.spawn(sockets.clone().look_after(stop.clone()));
        tasks.spawn(watch_store(store.clone(), stop.clone()));
        let write_limits = Arc::new(WriteLimits::new(write_rates(args), metrics.clone()));
        let (hints, hinted) = snapshot::hints();
        tasks.spawn(follow_control(bus.clone(), access.clone(), rooms.clone(), hints, stop.clone()));
        tasks.spawn(keep_house(write_limits.clone(), stop.clone()));
        let (open, is_open) = mpsc::channel(limits::FOLD_QUEUE);
        let ids = ServerOps::new(meta.server_key);
        let folder = Folder::new(&store, committer.clone(), ids, &metrics, args.undo_budget);
        tasks.spawn(folder.run(FolderQueues { open: is_open, unattended }, stop.clone()));
        if args.roles.contains(&NodeRole::Worker) {
            tasks.spawn(purge(store.clone(), stop.clone()));
            let background = Background::start().context("starting a thread for snapshots")?;
            let builder = Builder::new(&store, &blobs, &metrics, args.snapshot_every, background);
            tasks.spawn(Worker::new(&store, builder, open).run(hinted, stop.clone()));
        }
        let api = Api::new(api::Parts {
            store: store.clone(),
            bus: bus.clone(),
            committer,
            rooms: rooms.clone(),
            canvases,
            blobs: BlobHealth::new(blobs),
            export_drawings: Arc::new(Semaphore::new(limits::EXPORT_DRAWINGS)),
            presence,
            access: access.clone(),
            authenticator: authenticator.clone(),
            limits: write_limits,
            document: openapi_document().to_pretty_json()?.into(),
            asyncapi: gateway::asyncapi_yaml()?.into(),
            tasks: tasks.clone(),
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
        let router = api::with_layers(routes(&args.roles, api, gateway), &args.cors()?);
        let (store, bus) = (SharedStore(store), SharedBus(bus));
        Ok(Self { router, authenticator, store, bus, sockets, stops })
    }

    /// A token for `user`, from a server with `--dev`.
    ///
    /// # Errors
    /// Without `--dev`.
    pub fn dev_token(&self, user: &UserId) -> Result<String, crate::error::Error> {
        self.authenticator.issue_dev_token(user, None, limits::DEV_TOKEN_TTL).map(|(token, _)| token)
    }

    /// Serves connections until `stop` completes, then stops: no new connections, what is queued is
    /// committed, readers are asked to come back elsewhere.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(limits::MAX_CONNECTIONS));
        tokio::pin!(stop);
        loop {
            let place = tokio::select! {
                () = &mut stop => break,
                place = places.clone().acquire_owned() => place?,
            };
            let stream = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of descriptors, or the client was quicker to leave: others may do better.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(limits::ACCEPT_RETRY).await;
                        continue;
                    }
                },
            };
            // Small frames must not wait for each other.
            let _ = stream.set_nodelay(true);
            let (router, draining) = (self.router.clone(), self.stops.draining.clone());
            connections.spawn(serve_connection(stream, ConnectionPlace::new(place), router, draining));
        }
        drop(listener);
        self.drain(&connections).await;
        Ok(())
    }

    async fn drain(self, connections: &TaskTracker) {
        tracing::info!("stopping");
        let Stops { draining, writers, writer_tasks, all, tasks } = &self.stops;
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

fn routes(roles: &[NodeRole], api: Api, gateway: Gateway) -> Router {
    let mut router = api::common_router();
    if roles.contains(&NodeRole::Api) {
        router = router.merge(api::router());
    }
    let (router, _) = router.split_for_parts();
    let mut router = router.with_state(api);
    if roles.contains(&NodeRole::Gateway) {
        let (sockets, _) = gateway::router().split_for_parts();
        router = router.merge(sockets.with_state(gateway));
    }
    api::with_fallbacks(router)
}

/// Serves one connection; it ends after the request at hand when the server stops.
async fn serve_connection(
    stream: tokio::net::TcpStream,
    place: ConnectionPlace,
    router: Router,
    draining: CancellationToken,
) {
    let (held, unread) = (place.clone(), UnreadBody::default());
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        // A socket takes the place over; it outlives what hyper knows as the connection.
        request.extensions_mut().insert(place.clone());
        let (router, unread) = (router.clone(), unread.clone());
        async move {
            let mut response = router.oneshot(unread.watch(request)).await?;
            unread.tell(&mut response);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(ClientStream::new(stream, limits::ANSWER_STALL_TIMEOUT)), service)
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
