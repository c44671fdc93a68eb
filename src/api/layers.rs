//! What every request passes through: ids, panics, CORS, compression, timeouts, counting.

use std::time::Instant;

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer, Predicate,
        predicate::{NotForContentType, SizeAbove},
    },
    cors::{AllowOrigin, CorsLayer},
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
};
use utoipa_axum::router::OpenApiRouter;

use super::{Api, ops_page, problem};
use crate::{
    error::{Error, ErrorCode},
    limits,
};

/// Longest request id that is taken over from a client.
const MAX_REQUEST_ID_BYTES: usize = 128;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which pages of other origins may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None.
    None,
    /// Any.
    Any,
    /// These.
    List(Vec<HeaderValue>),
}

/// Puts the layers around all routes.
pub fn with_layers(router: Router, origins: &CorsOrigins) -> Router {
    let compression = CompressionLayer::new().gzip(true).compress_when(
        SizeAbove::new(limits::COMPRESS_ABOVE_BYTES).and(NotForContentType::const_new("text/event-stream")),
    );
    let router = router
        .layer(compression)
        .layer(CatchPanicLayer::custom(problem::from_panic))
        .layer(DefaultBodyLimit::max(limits::MAX_BODY_BYTES))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(middleware::from_fn(observe))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(middleware::from_fn(drop_odd_request_id));
    match cors(origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

fn cors(origins: &CorsOrigins) -> Option<CorsLayer> {
    let origins = match origins {
        CorsOrigins::None => return None,
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::List(list) => AllowOrigin::list(list.clone()),
    };
    let mut exposed = vec![header::ETAG, header::RETRY_AFTER, header::LOCATION, REQUEST_ID];
    exposed.extend(ops_page::POSITION_HEADERS);
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::IF_NONE_MATCH,
            REQUEST_ID,
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers(exposed)
        .max_age(limits::CORS_MAX_AGE);
    Some(layer)
}

/// A request id goes into logs and back to the client: only a plain, short one is taken over.
async fn drop_odd_request_id(mut request: Request, next: Next) -> Response {
    let is_odd = |id: &HeaderValue| {
        id.is_empty() || id.len() > MAX_REQUEST_ID_BYTES || !id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if request.headers().get(REQUEST_ID).is_some_and(is_odd) {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

/// Counts responses by status and writes the access log, at level debug.
async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let logged = tracing::enabled!(tracing::Level::DEBUG).then(|| {
        let path = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
        let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or("-").to_owned();
        (request.method().clone(), path, id)
    });
    let response = next.run(request).await;
    count_response(response.status().as_u16());
    if let Some((method, path, request_id)) = logged {
        let status = response.status().as_u16();
        let ms = started.elapsed().as_secs_f64() * 1_000.0;
        tracing::debug!(%method, path, status, ms, request_id, "answered");
    }
    response
}

fn count_response(status: u16) {
    let class = match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("revcast_http_responses_total", "class" => class).increment(1);
}

/// Ends requests that take longer than `REQUEST_TIMEOUT`.
pub(super) fn with_timeout(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router.layer(middleware::from_fn(|request: Request, next: Next| async {
        match tokio::time::timeout(limits::REQUEST_TIMEOUT, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Error::new(
                ErrorCode::Timeout,
                "the request was not answered in time and may or may not have taken effect; send it again as it is",
            )
            .into_response(),
        }
    }))
}
