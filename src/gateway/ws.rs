//! `GET /v1/ws`: the handshake.

use axum::{
    extract::{FromRequestParts, Request, State, WebSocketUpgrade, ws::WebSocket},
    response::Response,
};
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Gateway,
    connection::{Connection, close},
    protocol::{CloseCode, JSON_SUBPROTOCOL},
};
use crate::{
    api::{
        extract::{Caller, Params},
        problem::Problem,
    },
    error::{Error, ErrorCode},
    identity::Identity,
    limits,
};

/// A connection's place among those that the node serves at once; it is free again when the last clone
/// goes.
#[derive(Clone, Debug)]
pub struct ConnectionPlace {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl ConnectionPlace {
    /// Holds a permit.
    #[must_use]
    pub fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Arc::new(permit) }
    }
}

/// The socket.
pub fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(open_socket))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SocketParams {
    /// From `POST /v1/tickets`; a bearer header does as well.
    #[serde(default)]
    ticket: Option<String>,
}

/// Open the socket.
///
/// Subprotocol `revcast.v1.json`. A ticket that does not do is answered with close code 4101, since
/// a browser cannot see the status of a failed handshake.
#[utoipa::path(
    get, path = "/v1/ws", tag = "live", params(SocketParams),
    responses(
        (status = 101, description = "The socket is open; `hello` comes first"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a WebSocket handshake"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Neither a ticket nor a bearer token"),
    )
)]
async fn open_socket(State(gateway): State<Gateway>, request: Request) -> Result<Response, Error> {
    let (mut parts, _) = request.into_parts();
    if gateway.shutdown.is_cancelled() {
        return Err(Error::new(ErrorCode::Draining, "the server is stopping; connect again"));
    }
    let Params(params) = Params::<SocketParams>::from_request_parts(&mut parts, &gateway).await?;
    let identity = match params.ticket {
        Some(ticket) => gateway.authenticator.verify_ticket(&ticket).ok(),
        None => Some(Caller::from_request_parts(&mut parts, &gateway).await?.0),
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &gateway).await.map_err(|rejection| {
        Error::new(
            ErrorCode::InvalidRequest,
            format!("this is no WebSocket handshake: {}", rejection.body_text()),
        )
    })?;
    let place = parts.extensions.get::<ConnectionPlace>().cloned();
    let tasks = gateway.tasks.clone();
    let response = upgrade
        .protocols([JSON_SUBPROTOCOL])
        .read_buffer_size(limits::SOCKET_READ_BUFFER_BYTES)
        // A message leaves as soon as it is written; nothing gathers in a buffer.
        .write_buffer_size(0)
        .max_message_size(limits::MAX_CLIENT_FRAME_BYTES)
        .max_frame_size(limits::MAX_CLIENT_FRAME_BYTES)
        .on_upgrade(move |socket| async move {
            // The connection outlives the request; the tracker lets the server wait for it.
            let _ = tasks.spawn(serve(gateway, socket, identity)).await;
            drop(place);
        });
    Ok(response)
}

async fn serve(gateway: Gateway, socket: WebSocket, identity: Option<Identity>) {
    match identity {
        Some(identity) => Connection::run(gateway, socket, identity).await,
        None => close(socket, CloseCode::BadTicket).await,
    }
}
