//! `/healthz`, `/readyz`, `/metrics`: for orchestrators and dashboards; no token.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use crate::{limits, telemetry};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Metrics, which may stand on a listener of their own.
pub(super) fn metrics_router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(read_metrics))
}

/// The paths by which operators see how a node is: they are answered when nothing else is.
const PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Returns `true` for the paths by which operators see the state of a node.
#[must_use]
pub fn is_health_path(path: &str) -> bool {
    PATHS.contains(&path)
}

#[derive(Debug, Serialize, ToSchema)]
struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// The ability of the node to do its work.
#[derive(Debug, Serialize, ToSchema)]
struct Readiness {
    /// `ready`; `degraded` without the bus, when ops reach other nodes at the heartbeat only, or without the blob
    /// store, when no snapshots are built or read; `unavailable` while the store takes no writes (on a node without the
    /// role `api`, `degraded`); `draining` before it stops
    /// and while it does.
    #[schema(example = "ready")]
    status: &'static str,
    /// The fault, in words; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "the disk of the database is full")]
    reason: Option<&'static str>,
    /// `true` if the store takes writes: something was written to it within the last second.
    store: bool,
    /// `true` if the bus is connected.
    bus: bool,
    /// `true` if the blob store answers and can be written to.
    blobs: bool,
}

/// Check that the process lives.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()), responses((status = 200, body = Health, description = "It lives")))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Check if requests should be sent here.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", security(()),
    responses(
        (status = 200, body = Readiness, description = "`ready` or `degraded`"),
        (status = 503, body = Readiness, description = "`unavailable` or `draining`, with `Retry-After`"),
    )
)]
async fn readyz(State(api): State<Api>) -> Response {
    let (store, blobs) = tokio::join!(api.store.health().check(), api.blobs.is_good());
    let bus = api.bus.is_connected();
    let reason = match store {
        _ if api.notice.is_cancelled() => Some("the server is stopping"),
        Err(reason) => Some(reason),
        Ok(()) if !bus => Some("the bus is not connected"),
        Ok(()) if !blobs => Some("the blob store does not take what is written"),
        Ok(()) => None,
    };
    let (code, status) = match (api.notice.is_cancelled(), store, bus && blobs) {
        (true, ..) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (_, Err(_), _) if api.takes_writes => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (_, Err(_), _) | (.., false) => (StatusCode::OK, "degraded"),
        _ => (StatusCode::OK, "ready"),
    };
    let store = store.is_ok();
    let mut response = (code, Json(Readiness { status, reason, store, bus, blobs })).into_response();
    if code == StatusCode::SERVICE_UNAVAILABLE {
        let pause = HeaderValue::from(limits::RETRY_AFTER.as_secs());
        response.headers_mut().insert(header::RETRY_AFTER, pause);
    }
    response
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "text/plain", description = "All metrics"))
)]
async fn read_metrics(State(api): State<Api>) -> Response {
    telemetry::record_canvas_bytes(api.canvases.bytes());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::render_metrics()).into_response()
}
