//! The layers that every request passes through: ids, panics, CORS, compression, timeouts, counting, and the
//! decision if its connection goes on.

use std::{
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use metrics::Counter;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer, CompressionLevel, Predicate,
        predicate::{NotForContentType, SizeAbove},
    },
    cors::{AllowOrigin, CorsLayer},
    map_response_body::MapResponseBodyLayer,
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    QueryParameters,
    body::{in_slices, with_rests},
    framing, position_headers, problem,
};
use crate::{
    error::{Error, ErrorCode},
    limits,
    trace::{self, REQUEST_ID, RequestId},
};

/// Remembers that the request under way on a connection has a body that was not read to its end. The rest of
/// that body would be taken for the next request, so the connection has to end, and its client has to be told.
/// There is one for each connection, whose requests come one after the other; a request without a body pays
/// only for a look at a flag.
#[derive(Clone, Debug, Default)]
pub struct UnreadBody(Arc<AtomicBool>);

impl UnreadBody {
    /// Takes note of the body of the next request.
    #[must_use]
    pub fn watch(&self, request: hyper::Request<Incoming>) -> Request {
        let has_body = !request.body().is_end_stream();
        self.0.store(has_body, Ordering::Relaxed);
        if !has_body {
            return request.map(Body::new);
        }
        request.map(|body| Body::new(WatchedBody { body, unread: self.clone() }))
    }

    /// Says in the answer that the connection ends, if it has to.
    pub fn announce_close(&self, response: &mut Response) {
        if self.0.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// A body that tells when it has been read.
struct WatchedBody {
    body: Incoming,
    unread: UnreadBody,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.unread.0.store(false, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The pages of other origins that may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None.
    None,
    /// Any.
    Any,
    /// These.
    List(Vec<HeaderValue>),
}

/// Puts the layers around all routes, whose parameters are `parameters`.
pub fn with_layers(router: Router, origins: &CorsOrigins, parameters: QueryParameters) -> Router {
    let compression = CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest).compress_when(
        // `SizeAbove` takes in its own size.
        SizeAbove::new(limits::COMPRESS_ABOVE_BYTES + 1)
            .and(NotForContentType::const_new("text/event-stream")),
    );
    let router = router
        .layer(MapResponseBodyLayer::new(in_slices))
        .layer(compression)
        .layer(MapResponseBodyLayer::new(with_rests))
        .layer(CatchPanicLayer::custom(problem::from_panic))
        .layer(DefaultBodyLimit::max(limits::MAX_BODY_BYTES));
    let router = match cors(origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    // A preflight is a request, too.
    let observe = middleware::from_fn_with_state(parameters, observe);
    router.layer(middleware::from_fn(framing::check)).layer(observe)
}

fn cors(origins: &CorsOrigins) -> Option<CorsLayer> {
    let origins = match origins {
        CorsOrigins::None => return None,
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::List(list) => AllowOrigin::list(list.clone()),
    };
    let mut exposed = vec![header::ETAG, header::RETRY_AFTER, header::LOCATION, REQUEST_ID];
    exposed.extend(position_headers::ALL);
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

/// Gives the request an id, counts the response by status, and writes the access log at level debug.
async fn observe(State(parameters): State<QueryParameters>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    // Only handlers and logs read it; the client's own header may have been an odd one.
    request.headers_mut().insert(REQUEST_ID, id.header());
    let logged = tracing::enabled!(tracing::Level::DEBUG).then(|| {
        let path = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
        let unknown = parameters.unknown(request.method(), &path, request.uri());
        (request.method().clone(), path, unknown)
    });
    let mut response = next.run(request).await;
    count_response(response.status().as_u16());
    if let Some((method, path, unknown_parameters)) = logged {
        let status = response.status().as_u16();
        let ms = started.elapsed().as_secs_f64() * 1_000.0;
        tracing::debug!(node = trace::node(), request = %id, %method, path, unknown_parameters, status, ms, "answered");
    }
    response.headers_mut().insert(REQUEST_ID, id.header());
    response
}

/// The counters are looked up once: this runs for every request.
fn count_response(status: u16) {
    static CLASSES: LazyLock<[Counter; 5]> = LazyLock::new(|| {
        ["1xx", "2xx", "3xx", "4xx", "5xx"]
            .map(|class| metrics::counter!("revcast_http_responses_total", "class" => class))
    });
    let class = usize::from(status / 100).clamp(1, 5) - 1;
    CLASSES[class].increment(1);
}

/// Ends requests that take longer than `REQUEST_TIMEOUT`.
pub(crate) fn with_timeout<S: Clone + Send + Sync + 'static>(router: OpenApiRouter<S>) -> OpenApiRouter<S> {
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    /// A compressor that is told to wait gives out what it has, so that a rest inside of it is none for the thread.
    #[tokio::test]
    async fn other_tasks_run_between_the_frames_of_a_compressed_answer() {
        let letters = b"abcdefghijklmnopqrstuvw";
        let text = |length: usize| {
            (0..length).map(|nth| char::from(letters[nth * nth % letters.len()])).collect::<String>()
        };
        for (length, least) in [(64 * limits::ANSWER_SLICE_BYTES, 64), (2_000, 1)] {
            let router = Router::new().route("/", get(move || async move { text(length) }));
            let router = with_layers(router, &CorsOrigins::None, QueryParameters::default());
            let request = Request::get("/").header(header::HOST, "a").header(header::ACCEPT_ENCODING, "gzip");
            let answer = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.headers()[header::CONTENT_ENCODING], "gzip");
            let (mut body, mut rests, mut frames) = (answer.into_body(), 0, 0);
            let mut context = Context::from_waker(std::task::Waker::noop());
            let mut has_rested = true;
            loop {
                match Pin::new(&mut body).poll_frame(&mut context) {
                    Poll::Pending => (rests, has_rested) = (rests + 1, true),
                    Poll::Ready(None) => break,
                    Poll::Ready(Some(frame)) => {
                        assert!(has_rested, "two frames in a row");
                        assert!(frame.unwrap().into_data().unwrap().len() <= limits::ANSWER_SLICE_BYTES);
                        (frames, has_rested) = (frames + 1, false);
                    }
                }
            }
            assert!(frames >= least && rests >= least, "{frames} frames, {rests} rests");
        }
    }
}
