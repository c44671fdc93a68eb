//! `GET /v1/ws`: the handshake (RFC 6455 §4.2), by hand, because what follows writes to the bare socket.
//!
//! Owns a connection from its request until it is a session, or is turned away. It never reads or sends a message.

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tungstenite::handshake::derive_accept_key;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{gateway::Gateway, session::Session};
use crate::{
    error::{Error, ErrorCode},
    http::{
        ConnectionPlace,
        client_stream::ClientStream,
        extract::{Caller, Params},
    },
    identity::{Identity, NotValid},
    limits, telemetry,
    transport::Transport,
    user_connections::ConnectionKind,
    wire::{CloseCode, Encoding, JSON_SUBPROTOCOL, MESSAGE_PACK_SUBPROTOCOL, encode, negotiate},
};

/// The one version of the protocol (RFC 6455 §4.1).
const VERSION: &str = "13";

/// The socket.
pub(super) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(open_socket))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TicketParams {
    /// A ticket from `POST /v1/tickets`; a bearer header does as well.
    #[serde(default)]
    pub(super) ticket: Option<String>,
}

/// Open the socket.
///
/// Subprotocol `revcast.v1.json` (also without one) or `revcast.v1.msgpack`; `permessage-deflate` when
/// offered. A ticket that does not do is answered with close code 4101, since a browser cannot see the
/// status of a failed handshake; a user with too many sockets with 4003.
#[utoipa::path(
    get, path = "/v1/ws", tag = "live", params(TicketParams),
    responses(
        (status = 101, description = "The socket is open; `hello` comes first"),
        (status = 400, description = "Not a WebSocket handshake"),
        (status = 401, description = "Neither a ticket nor a bearer token"),
        (status = 426, description = "Not version 13 of the protocol"),
        (status = 503, description = "Too many handshakes at once, or the server is stopping; with `Retry-After`"),
    )
)]
async fn open_socket(State(gateway): State<Gateway>, request: Request) -> Result<Response, Error> {
    if gateway.draining.is_cancelled() {
        return Err(Error::new(ErrorCode::Draining, "the server is stopping; connect again"));
    }
    let (mut parts, _) = request.into_parts();
    let Params(params) = Params::<TicketParams>::from_request_parts(&mut parts, &gateway).await?;
    let identity = match params.ticket {
        Some(ticket) => gateway.authenticator.verify_ticket(&ticket).ok(),
        None => Some(Caller::from_request_parts(&mut parts, &gateway).await?.0),
    };
    let handshake = match Handshake::read(&parts.method, &parts.headers) {
        Ok(handshake) => handshake,
        Err(error) => return Ok(error.into_response()),
    };
    if !gateway.connections.take_handshake() {
        return Err(Error::new(ErrorCode::Overloaded, "too many sockets are opened at once; try again"));
    }
    let no_upgrade = || Error::new(ErrorCode::InvalidRequest, "this connection cannot be upgraded");
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(no_upgrade)?;
    let place = parts.extensions.get::<ConnectionPlace>().cloned();
    let mut response = handshake.response();
    if identity.is_none() {
        response.extensions_mut().insert(NotValid);
    }
    let tasks = gateway.tasks.clone();
    tasks.spawn(async move {
        let opened = timeout(limits::HANDSHAKE_TIMEOUT, upgrade).await;
        if let Ok(Ok(upgraded)) = opened {
            begin(&gateway, upgraded, identity, &handshake, place).await;
        }
    });
    Ok(response)
}

/// The terms on which both sides agreed.
struct Handshake {
    accept: String,
    /// The subprotocol, when the client named one of ours.
    subprotocol: Option<&'static str>,
    /// The answer to the offer of compression, when it was accepted.
    extension: Option<HeaderValue>,
}

impl Handshake {
    /// Checks the request of a client.
    fn read(method: &Method, headers: &HeaderMap) -> Result<Self, Refused> {
        let has =
            |name: HeaderName, token: &str| tokens(headers, &name).any(|t| t.eq_ignore_ascii_case(token));
        let has_body = headers.contains_key(header::TRANSFER_ENCODING)
            || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        if has_body
            || method != Method::GET
            || !has(header::UPGRADE, "websocket")
            || !has(header::CONNECTION, "upgrade")
        {
            return Err(Refused::NoHandshake);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
            return Err(Refused::Version);
        }
        // 16 bytes in base64 (§4.1).
        let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
        if key.len() != 24 || !key.ends_with(b"==") {
            return Err(Refused::NoHandshake);
        }
        let ours = [JSON_SUBPROTOCOL, MESSAGE_PACK_SUBPROTOCOL];
        let subprotocol = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .find_map(|named| ours.into_iter().find(|subprotocol| *subprotocol == named));
        let extension = negotiate(headers);
        Ok(Self { accept: derive_accept_key(key), subprotocol, extension })
    }

    fn encoding(&self) -> Encoding {
        let is_message_pack = self.subprotocol == Some(MESSAGE_PACK_SUBPROTOCOL);
        Encoding::of_socket(is_message_pack, self.extension.is_some())
    }

    fn response(&self) -> Response {
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(subprotocol) = self.subprotocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
        }
        if let Some(extension) = &self.extension {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, extension.clone());
        }
        *response.body_mut() = Body::empty();
        response
    }
}

/// A reason for which a request opens no socket.
enum Refused {
    NoHandshake,
    Version,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::NoHandshake => {
                Error::new(ErrorCode::InvalidRequest, "this is no WebSocket handshake (RFC 6455, 4.1)")
                    .into_response()
            }
            Self::Version => {
                let detail = "only version 13 of the WebSocket protocol is spoken here";
                let mut response = Error::new(ErrorCode::UpgradeRequired, detail).into_response();
                let headers = response.headers_mut();
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                response
            }
        }
    }
}

/// The members of a header that is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Opens a session on what was upgraded. Its task is a new one: thousands of idle ones must not keep what
/// only the handshake needed.
async fn begin(
    gateway: &Gateway,
    upgraded: Upgraded,
    identity: Option<Identity>,
    handshake: &Handshake,
    place: Option<ConnectionPlace>,
) {
    // Every connection is served as one.
    let Ok(parts) = upgraded.downcast::<TokioIo<ClientStream>>() else { return };
    let (stream, early) = (parts.io.into_inner().into_inner(), parts.read_buf);
    let Some(identity) = identity else { return turn_away(stream, CloseCode::BadTicket).await };
    let counted = gateway.connections.of_users().count(&identity.user_id, ConnectionKind::Socket);
    let Ok(counted) = counted else {
        return turn_away(stream, CloseCode::Overloaded).await;
    };
    // A reader that stands still may hold so much in the kernel.
    stream.bound_what_waits();
    let is_compressed = handshake.extension.is_some();
    let mut session = Session::open(gateway.clone(), stream, handshake.encoding(), is_compressed, identity);
    session.begin(&early);
    let registration = session.register(&gateway.connections);
    if gateway.draining.is_cancelled() {
        // It was registered too late to be asked to leave, perhaps.
        session.close(CloseCode::GoingAway);
    }
    gateway.tasks.spawn(async move {
        let _held = (registration, counted, place);
        session.run().await;
    });
}

/// Tells a client why it has no socket: a browser sees only the code with which one closes.
async fn turn_away(mut stream: Transport, code: CloseCode) {
    telemetry::count_close(code as u16);
    let goodbye = async {
        stream.write_all(&encode::close(code)).await?;
        stream.shutdown().await?;
        let mut waste = Vec::new();
        stream.take(limits::MAX_CLIENT_FRAME_BYTES as u64).read_to_end(&mut waste).await
    };
    // A client that does not listen is not waited for.
    let _ = timeout(limits::SOCKET_CLOSE_TIMEOUT, goodbye).await;
}
