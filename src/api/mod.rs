//! The HTTP interface: one file a resource, each with its `router()`.
//!
//! Owns requests and responses: it parses, authenticates, authorizes and limits, makes one call,
//! and answers. It writes only through `commit` and the store.

mod canvas_schema;
pub mod docs;
pub mod document;
mod drawings;
mod export;
mod health;
mod history;
mod identity;
mod links;
mod members;
mod ops_commit;
mod ops_page;
mod ops_read;
pub(crate) mod presence;
mod snapshot;
pub mod whiteboard;

use std::{future::Future, ops::Deref, sync::Arc};

use axum::{
    Router,
    extract::FromRef,
    http::{HeaderMap, Method, Uri},
};
use bytes::Bytes;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    access::Access,
    bus::{Bus, ControlMessage},
    commit::Committer,
    error::{Error, ErrorCode},
    http::{TrustedProxies, WriteLimits, problem, with_timeout},
    identity::Authenticator,
    model::DrawingId,
    room::{Rooms, presence::PresenceRooms},
    snapshot::{BlobHealth, Canvases},
    store::Store,
    undo::Undo,
    user_connections::UserConnections,
};

pub use document::OpenApiDocument;
pub use health::is_health_path;

/// The state that handlers work with. It is cloned several times a request, so it is one pointer.
#[derive(Clone)]
pub struct Api(Arc<ApiParts>);

/// The parts that requests are served with.
pub struct ApiParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Tells other nodes of changed roles.
    pub bus: Arc<dyn Bus>,
    /// The way into the log.
    pub committer: Committer,
    /// Undo and redo.
    pub undo: Undo,
    /// The rooms in which long-polls wait.
    pub rooms: Rooms,
    /// Canvases of drawings.
    pub canvases: Canvases,
    /// The health of the blob store, where snapshots are kept.
    pub blobs: BlobHealth,
    /// The users who are present.
    pub presence: PresenceRooms,
    /// Roles.
    pub access: Access,
    /// Identities.
    pub authenticator: Arc<Authenticator>,
    /// The proxies whose word is taken for the address that a request came from.
    pub proxies: TrustedProxies,
    /// The rates at which users may write.
    pub limits: Arc<WriteLimits>,
    /// Drawings that a user may have made and not deleted; 0 for any number.
    pub drawings_per_user: u32,
    /// The number of connections that each user has.
    pub connections: Arc<UserConnections>,
    /// The OpenAPI document.
    pub document: OpenApiDocument,
    /// The AsyncAPI document, as YAML.
    pub asyncapi: Bytes,
    /// Where changes run that must not end with their request.
    pub tasks: TaskTracker,
    /// Cancelled when requests should be sent elsewhere, though all are still served.
    pub notice: CancellationToken,
    /// Cancelled when the server takes nothing new.
    pub draining: CancellationToken,
    /// `true` on a node with the role `api`.
    pub takes_writes: bool,
}

impl Deref for Api {
    type Target = ApiParts;
    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

impl Api {
    /// Shares the parts among requests.
    #[must_use]
    pub fn new(parts: ApiParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Runs a change to its end, whether or not the client waits for it: what was changed must be told.
    async fn run_to_completion<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let failed = |_| Error::new(ErrorCode::Internal, "the change failed");
        self.tasks.spawn(change).await.map_err(failed)?
    }

    /// The outcome of a wish to remove something. A retry learns that it is gone only once that is durable.
    async fn gone_for_good<T>(&self, drawing: DrawingId, outcome: Result<T, Error>) -> Result<T, Error> {
        if outcome.as_ref().is_err_and(|error| error.code == ErrorCode::NotFound) {
            self.store.confirm(drawing).await?;
        }
        outcome
    }

    /// Makes a change of roles known: here at once, even while the bus is cut, elsewhere through it.
    fn announce(&self, message: ControlMessage) {
        self.access.apply(&message);
        self.rooms.apply(&message);
        self.bus.publish_control(message);
    }
}

impl FromRef<Api> for Arc<Authenticator> {
    fn from_ref(api: &Api) -> Self {
        api.authenticator.clone()
    }
}

impl FromRef<Api> for TrustedProxies {
    fn from_ref(api: &Api) -> Self {
        api.proxies.clone()
    }
}

/// The paths every node has for operators alone: health and metrics.
pub fn admin_router() -> OpenApiRouter<Api> {
    health::router().merge(health::metrics_router())
}

/// The path of metrics, on the listener for clients where there is none for operators.
pub fn metrics_router() -> OpenApiRouter<Api> {
    health::metrics_router()
}

/// The paths every node has, whatever its roles: health and documentation.
pub fn common_router() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(docs::Description::openapi()).merge(health::router()).merge(docs::router())
}

/// The paths of a node with the role `api`.
pub fn router() -> OpenApiRouter<Api> {
    let short = OpenApiRouter::new()
        .merge(drawings::router())
        .merge(members::router())
        .merge(links::router())
        .merge(identity::router())
        .merge(ops_commit::router())
        .merge(presence::router())
        .merge(snapshot::router())
        .merge(history::router())
        .merge(export::router());
    with_timeout(short)
        .merge(ops_read::router())
        .merge(whiteboard::router::<whiteboard::Whiteboard, _>().into())
}

/// The whiteboard's page for addresses that lead nowhere; `None` in a build without it.
pub fn page_of_unknown_addresses() -> Option<whiteboard::UnknownAddress> {
    whiteboard::UnknownAddress::of::<whiteboard::Whiteboard>()
}

/// Adds answers for paths and methods that do not exist; a person who asks for such a path gets `page`, if there is one.
pub fn with_fallbacks(router: Router, page: Option<whiteboard::UnknownAddress>) -> Router {
    let unknown_path = async move |method: Method, uri: Uri, headers: HeaderMap| {
        let answer = page.as_ref().and_then(|page| page.answer(&method, &uri, &headers));
        answer.ok_or_else(problem::unknown_path)
    };
    router.fallback(unknown_path).method_not_allowed_fallback(problem::unknown_method)
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Debug for ApiParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}
