//! Takes connections in: a place for each, and a few more in which a client is told that there is none.
//!
//! Owns the accept loops and their bounds. The caller serves the connections that have a place.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::client_stream::{ClientStream, Patience, Requests};
use crate::{
    error::{Error, ErrorCode},
    limits,
    telemetry::Metrics,
};

/// Time for a request on such a connection and its answer.
/// At the bound, the connection is closed.
const SPARE_TIMEOUT: Duration = Duration::from_secs(4);

/// Connections waiting to be accepted by the listener (a reconnect storm overflows the usual 1,024).
/// At the bound, the system drops further ones, and clients try again.
const LISTEN_BACKLOG: u32 = 4_096;

/// Pause after a connection could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// The time for which a connection that has no place may stay silent before it makes room for the next one.
const SPARE_SILENCE: Duration = Duration::from_millis(100);

/// Why a place can always be waited for.
const NEVER_CLOSED: &str = "nobody closes a semaphore of places";

/// The places of a listener.
#[derive(Debug)]
pub struct Places {
    ordinary: Arc<Semaphore>,
    /// The places for those who find no ordinary one. One is held while the next connection is awaited, so that
    /// whoever comes is answered.
    spare: Arc<Semaphore>,
}

/// The answers for connections that have no place: what tells how the node is, and that it is overloaded for all else.
#[derive(Clone, Debug)]
pub struct Overflow {
    /// Answers requests for the paths below.
    pub router: Router,
    /// Tells the paths that are answered all the same.
    pub has_path: fn(&str) -> bool,
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
    /// answered in `connections`.
    pub async fn accept(
        &self,
        listener: &TcpListener,
        overflow: &Overflow,
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
                connections.spawn(turn_away(stream, spare, overflow.clone()));
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
    Ok(socket.listen(LISTEN_BACKLOG)?)
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
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Answers one request of a connection for which there is no place. Whoever says nothing at once is in the way of those
/// who do.
async fn turn_away(stream: TcpStream, spare: OwnedSemaphorePermit, overflow: Overflow) {
    let _spare = spare;
    let mut first = [0];
    let heard = tokio::time::timeout(SPARE_SILENCE, stream.peek(&mut first)).await;
    if !matches!(heard, Ok(Ok(1))) {
        return;
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| answer(request, overflow.clone()));
    let patience = Patience { head: SPARE_TIMEOUT, answer: SPARE_TIMEOUT };
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SPARE_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(ClientStream::new(stream, patience, Requests::default())), service);
    // A client that breaks off, or takes too long, is its own business.
    drop(tokio::time::timeout(SPARE_TIMEOUT, connection).await);
}

async fn answer(request: hyper::Request<Incoming>, overflow: Overflow) -> Result<Response, Infallible> {
    if (overflow.has_path)(request.uri().path()) {
        return overflow.router.oneshot(request.map(Body::new)).await;
    }
    let detail = "the server has as many connections as it can take; try again";
    Ok(Error::new(ErrorCode::Overloaded, detail).into_response())
}
