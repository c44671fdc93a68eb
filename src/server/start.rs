//! Starts the parts of a node as its configuration says.

use std::sync::Arc;

use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::stops::Stops;
use crate::{
    bus::Bus,
    commit::{CommitOptions, Committer},
    config::ServeArgs,
    http::{
        WriteLimits, WriteRates,
        accept::{Places, listen},
        descriptors,
    },
    identity::{Authenticator, IdentityOptions, Jwks},
    limits,
    model::{DrawingId, Epoch},
    room::{RoomParts, Rooms, presence::PresenceRooms},
    snapshot::{Canvases, Loader},
    socket::Sockets,
    store::{Log, Store, Upkeep},
    telemetry::Metrics,
    user_connections::UserConnections,
    worker,
};

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
pub(super) fn start_committer(
    args: &ServeArgs,
    store: &Arc<dyn Store>,
    bus: &Arc<dyn Bus>,
    metrics: &Arc<Metrics>,
    stops: &Stops,
) -> (Committer, mpsc::Receiver<DrawingId>) {
    let (unattended, is_unattended) = mpsc::channel(limits::FOLD_QUEUE);
    let options =
        CommitOptions { writers: args.writers.into(), snapshot_every: args.snapshot_every, unattended };
    let log: Arc<dyn Log> = store.clone();
    let committer = Committer::start(&log, bus, metrics, options, &stops.writer_tasks, &stops.writers);
    (committer, is_unattended)
}

pub(super) fn start_canvases(loader: Loader, stops: &Stops) -> Canvases {
    let (tasks, stop) = (&stops.tasks, &stops.all);
    let canvases = Canvases::new(loader, tasks.clone(), stop.clone());
    tasks.spawn(canvases.clone().tidy(stop.clone()));
    canvases
}

pub(super) fn start_rooms(
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

pub(super) fn start_write_limits(
    args: &ServeArgs,
    metrics: &Arc<Metrics>,
    stops: &Stops,
) -> Arc<WriteLimits> {
    let rates = WriteRates {
        requests: args.write_requests_per_second,
        ops: args.write_ops_per_second,
        drawing_bytes: args.drawing_bytes_per_second,
        drawing_units: args.drawing_units_per_second,
    };
    let limits = Arc::new(WriteLimits::new(rates, metrics.clone()));
    stops.tasks.spawn(worker::tidy(limits.clone(), stops.all.clone()));
    limits
}

pub(super) fn start_authenticator(
    args: &ServeArgs,
    server_key: uuid::Uuid,
    stops: &Stops,
) -> anyhow::Result<Arc<Authenticator>> {
    let (tasks, stop) = (&stops.tasks, &stops.all);
    let jwks = args.jwks_url.clone().map(|url| Jwks::follow(url, tasks, stop.clone())).transpose()?;
    Ok(Arc::new(Authenticator::new(identity_options(args, jwks), server_key)))
}

pub(super) fn start_connections(args: &ServeArgs, metrics: &Arc<Metrics>, stops: &Stops) -> Arc<Sockets> {
    let (per_second, window) = (args.handshakes_per_second, args.drain_window);
    let of_users = Arc::new(UserConnections::new(args.connections_per_user, metrics.clone()));
    let connections = Sockets::new(of_users, per_second, window, metrics.clone());
    let connections = Arc::new(connections);
    stops.tasks.spawn(connections.clone().look_after(stops.all.clone()));
    connections
}

/// Raises the limit of open files, and finds how many connections fit under it.
pub(super) fn count_places(args: &ServeArgs) -> Places {
    let limit = descriptors::raise_limit();
    let connections = descriptors::connections_under(limit, args.reserved_descriptors());
    tracing::info!(open_files = limit, connections, "the most that may be open at once");
    Places::new(connections)
}

pub(super) async fn listen_for_operators(args: &ServeArgs) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = &args.admin_listen else { return Ok(None) };
    listen(address).await.map(Some)
}

/// Looks whether the store takes writes.
pub(super) async fn watch_store(store: Arc<dyn Upkeep>, stop: CancellationToken) {
    store.health().run(&*store, stop).await;
}
