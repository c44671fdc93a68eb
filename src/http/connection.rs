//! One connection: its requests, one after the other, and its end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Peer, UnreadBody,
    client_stream::{ClientStream, Patience, Requests},
};
use crate::{limits, transport::Transport};

/// A connection's place among those that the node serves at once; it is free again when the last clone
/// goes.
#[derive(Clone, Debug)]
pub struct ConnectionPlace {
    _permit: Arc<OwnedSemaphorePermit>,
    /// Cuts the connection, whatever it does.
    cut: CancellationToken,
}

impl ConnectionPlace {
    /// Holds a permit.
    #[must_use]
    pub fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Arc::new(permit), cut: CancellationToken::new() }
    }

    /// Ends the connection at once, with whatever is under way.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Completes when the connection is to end.
    pub async fn is_cut(&self) {
        self.cut.cancelled().await;
    }
}

/// Serves one connection; it ends after the request at hand when the server stops.
pub async fn serve_connection(
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
            unread.announce_close(&mut response);
            requests.end();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        // The time counts from the request before; the stream sees to the head itself.
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
