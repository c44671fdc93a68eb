//! Takes connections in: a place for each, and a few more in which a client is told that there is none.
//!
//! Owns the accept loops and their bounds. What is said on a connection that has a place, the caller knows.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::{
    api,
    client_stream::{ClientStream, Patience, Requests},
    error::{Error, ErrorCode},
    limits,
    telemetry::Metrics,
};

/// Why a place can always be waited for.
const NEVER_CLOSED: &str = "nobody closes a semaphore of places";

/// The places of a listener.
#[derive(Debug)]
pub struct Places {
    ordinary: Arc<Semaphore>,
    /// For those who find no ordinary one. One is held while the next connection is awaited, so that whoever comes is
    /// answered.
    spare: Arc<Semaphore>,
}

impl Places {
    /// So many ordinary places, and `SPARE_CONNECTIONS` more.
    #[must_use]
    pub fn new(ordinary: usize) -> Self {
        let (ordinary, spare) = (Semaphore::new(ordinary), Semaphore::new(limits::SPARE_CONNECTIONS));
        Self { ordinary: Arc::new(ordinary), spare: Arc::new(spare) }
    }

    /// An ordinary place, if one is free.
    #[must_use]
    pub fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.ordinary.clone().try_acquire_owned().ok()
    }

    /// Accepts connections, as long as this is polled. Those that have a place are given to `serve`; the others are
    /// answered in `connections`: where `router` tells how the node is, by it, else that the node is overloaded.
    pub async fn accept(
        &self,
        listener: &TcpListener,
        router: &Router,
        metrics: &Metrics,
        connections: &TaskTracker,
        serve: impl Fn(TcpStream, OwnedSemaphorePermit),
    ) -> Infallible {
        loop {
            let spare = self.spare.clone().acquire_owned().await.expect(NEVER_CLOSED);
            let stream = next(listener).await;
            if let Ok(place) = self.ordinary.clone().try_acquire_owned() {
                serve(stream, place);
            } else {
                metrics.connections_refused.increment(1);
                connections.spawn(turn_away(stream, spare, router.clone()));
            }
        }
    }

    /// Accepts what the system has accepted already, as far as there are places: it would be reset with the listener,
    /// perhaps with a request in it.
    pub fn accept_rest(&self, listener: &TcpListener, serve: impl Fn(TcpStream, OwnedSemaphorePermit)) {
        while let (Ok(place), Some(Ok((stream, _)))) =
            (self.ordinary.clone().try_acquire_owned(), listener.accept().now_or_never())
        {
            let _ = stream.set_nodelay(true);
            serve(stream, place);
        }
    }
}

/// Accepts up to `places` connections at a time, as long as this is polled; further ones wait in the backlog.
pub async fn accept_few(
    listener: &TcpListener,
    places: usize,
    serve: impl Fn(TcpStream, OwnedSemaphorePermit),
) -> Infallible {
    let places = Arc::new(Semaphore::new(places));
    loop {
        let place = places.clone().acquire_owned().await.expect(NEVER_CLOSED);
        serve(next(listener).await, place);
    }
}

/// The next connection.
async fn next(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small frames must not wait for each other.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                // The client was quicker to leave, or the process is out of descriptors: others may do better.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(limits::ACCEPT_RETRY).await;
            }
        }
    }
}

/// Answers one request of a connection for which there is no place. Whoever says nothing at once is in the way of those
/// who do.
async fn turn_away(stream: TcpStream, spare: OwnedSemaphorePermit, router: Router) {
    let _spare = spare;
    let mut first = [0];
    let heard = tokio::time::timeout(limits::SPARE_SILENCE, stream.peek(&mut first)).await;
    if !matches!(heard, Ok(Ok(1))) {
        return;
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| answer(request, router.clone()));
    let patience = Patience { head: limits::SPARE_TIMEOUT, answer: limits::SPARE_TIMEOUT };
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::SPARE_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(ClientStream::new(stream, patience, Requests::default())), service);
    // A client that breaks off, or takes too long, is its own business.
    drop(tokio::time::timeout(limits::SPARE_TIMEOUT, connection).await);
}

async fn answer(request: hyper::Request<Incoming>, router: Router) -> Result<Response, Infallible> {
    if api::tells_of_the_node(request.uri().path()) {
        return router.oneshot(request.map(Body::new)).await;
    }
    let detail = "the server has as many connections as it can take; try again";
    Ok(Error::new(ErrorCode::Overloaded, detail).into_response())
}
