//! `GET /v1/drawings/{drawing_id}/events`: the same rooms, the same messages, as server-sent events.
//!
//! For browsers without a socket and for `curl -N`. The stream is a reader at the pace of its client; its
//! events are named and shaped like the messages of the socket. It never touches a socket.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::{CancellationToken, DropGuard};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{gateway::Gateway, presence::PresenceCursor};
use crate::{
    error::{Error, ErrorCode},
    http::{
        ConnectionPlace,
        documented::{Problems, codes},
        extract::{Caller, Params, PathId},
        whole::Exact,
    },
    identity::{Identity, now_seconds},
    limits,
    model::{Branch, ConnectionId, DrawingId, Epoch, Revision, Role},
    room::{Event, Follower, Joined, Position, presence::Since},
    telemetry,
    user_connections::{ConnectionKind, CountedConnection},
    wire::{Encoding, News, ResetReason, ServerMessage, encode},
};

/// The event streams.
pub(super) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(open_events))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventParams {
    /// A ticket from `POST /v1/tickets`, since a browser's `EventSource` cannot set headers; a bearer header
    /// does as well.
    #[serde(default)]
    ticket: Option<String>,
    /// The last revision the client has; from the head on by default.
    #[serde(default)]
    #[param(inline)]
    after: Option<Exact>,
    /// The epoch of `after`.
    #[serde(default)]
    #[param(value_type = Option<uuid::Uuid>)]
    epoch: Option<Epoch>,
    /// `true`, the default, to be told who is present.
    #[serde(default)]
    presence: Option<bool>,
}

/// Follow a drawing by server-sent events.
///
/// Events `subscribed`, `ops`, `presence`, `head`, `role`, `reset` and `goaway`, each with the JSON that the
/// socket has for it. The `id` is `<epoch>/<revision>`: a client that comes back with it in
/// `Last-Event-ID`, as browsers do by themselves, goes on from there. After `reset` the stream ends; what
/// is missing is read with `GET …/ops`. Something comes every `heartbeat_ms` of `subscribed`: `head` at least,
/// or a comment a little later while that cannot be told. A client that misses three may take the stream for dead.
#[utoipa::path(
    get, path = "/v1/drawings/{drawing_id}/events", tag = "live",
    params(
        ("drawing_id" = uuid::Uuid, Path), EventParams,
        ("last-event-id" = Option<String>, Header, description = "The `id` of the last event; goes before `after`"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", description = "Events, until the client leaves or its identity ends"),
        Problems<{ codes![NotFound, TooManyConnections, StoreUnavailable, Draining] }>,
    )
)]
async fn open_events(State(gateway): State<Gateway>, request: Request) -> Result<Response, Error> {
    let (mut parts, _) = request.into_parts();
    let PathId(drawing_id) = PathId::<DrawingId>::from_request_parts(&mut parts, &gateway).await?;
    let Params(params) = Params::<EventParams>::from_request_parts(&mut parts, &gateway).await?;
    let identity = match &params.ticket {
        Some(ticket) => gateway.authenticator.verify_ticket(ticket)?,
        None => Caller::from_request_parts(&mut parts, &gateway).await?.0,
    };
    if gateway.draining.is_cancelled() {
        return Err(Error::new(ErrorCode::Draining, "the server is stopping; connect again"));
    }
    let counted = gateway.connections.of_users().count(&identity.user_id, ConnectionKind::EventStream)?;
    let position = params.position(&parts.headers)?;
    let user = &identity.user_id;
    gateway.access.require_member(drawing_id, user).await?;
    let joined = gateway.rooms.follow(drawing_id, user, position).await.map_err(Error::from)?;
    // Looked up again now that the reader hears of changes: none falls in between.
    let role = gateway.access.fresh_role(drawing_id, user).await?;
    let role = role.ok_or_else(|| Error::not_found("the drawing"))?;
    let view = params.presence.unwrap_or(true);
    let view = view.then(|| PresenceCursor::begin(gateway.rooms.presence(drawing_id)));
    let events = Events::begin(
        drawing_id,
        &joined,
        role,
        view.as_ref().map(|(_, roster)| &**roster),
        gateway.heartbeat_ms(),
    );
    let pulse = Pulse::watch(&gateway, parts.extensions.get::<ConnectionPlace>());
    let (follower, view) = match joined {
        Joined::Live { mut reader, .. } => {
            reader.note_role(role);
            (Some(reader.with_presence(view.as_ref().map(|(view, _)| view.presence().clone()))), view)
        }
        Joined::Reset { .. } => (None, None),
    };
    let events = Events {
        first: Some(events),
        follower,
        view: view.map(|(view, _)| view),
        gateway,
        drawing_id,
        identity,
        id: ConnectionId(Uuid::now_v7()),
        pulse,
        _counted: counted,
    };
    let events = stream::unfold(events, |mut events| async {
        let bytes = events.next().await?;
        Some((Ok::<_, Infallible>(bytes), events))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        // A header that nginx and its like understand: they gather nothing on the way.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

impl EventParams {
    fn position(&self, headers: &HeaderMap) -> Result<Position, Error> {
        let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) else {
            return Ok(Position { after: self.after.map(|after| Revision(after.get())), epoch: self.epoch });
        };
        let parsed = id.to_str().ok().and_then(|id| {
            let (epoch, revision) = id.split_once('/')?;
            Some((epoch.parse().ok()?, revision.parse().ok()?))
        });
        let malformed =
            || Error::new(ErrorCode::InvalidRequest, "Last-Event-ID must read <epoch>/<revision>");
        let (epoch, revision) = parsed.ok_or_else(malformed)?;
        Ok(Position { after: Some(Revision(revision)), epoch: Some(epoch) })
    }
}

/// One stream.
struct Events {
    /// The event that the client gets first.
    first: Option<Bytes>,
    /// Its place in the room; absent when the stream ends after what is there.
    follower: Option<Follower>,
    /// The presence as it was told, if the client wants to know.
    view: Option<PresenceCursor>,
    gateway: Gateway,
    drawing_id: DrawingId,
    identity: Identity,
    /// Its name in the eyes of presence, where it is nobody, without a state of its own.
    id: ConnectionId,
    pulse: Pulse,
    _counted: CountedConnection,
}

impl Events {
    /// The beginning of a stream: `subscribed`, or `reset`.
    fn begin(
        drawing_id: DrawingId,
        joined: &Joined<Follower>,
        role: Role,
        presence: Option<&RawValue>,
        heartbeat_ms: u64,
    ) -> Bytes {
        let mut bytes = format!("retry: {}\n", limits::EVENTS_RETRY.as_millis()).into_bytes();
        let message = match *joined {
            Joined::Live { branch, revision, .. } => {
                ServerMessage::subscribed(drawing_id, branch, revision, role, presence, Some(heartbeat_ms))
            }
            Joined::Reset { reason, branch, revision } => {
                telemetry::count_reset(reason.as_str());
                ServerMessage::reset(drawing_id, reason, branch, revision)
            }
        };
        bytes.extend_from_slice(&encode::message(&message, Encoding::EventStream));
        bytes.into()
    }

    /// Waits for what the client gets next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        self.pulse.beat();
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let follower = self.follower.as_mut()?;
            let remaining = Duration::from_secs(self.identity.expires_at.saturating_sub(now_seconds()));
            let event = tokio::select! {
                biased;
                () = self.gateway.draining.cancelled() => return Some(self.go_away()),
                // The client comes back with a fresh ticket.
                () = tokio::time::sleep(remaining) => return None,
                event = follower.next() => event,
                () = tokio::time::sleep(comment_after(self.gateway.heartbeat)) => {
                    return Some(Bytes::from_static(b":\n\n"));
                }
            };
            if let Some(bytes) = self.on_event(event) {
                return Some(bytes);
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Option<Bytes> {
        let drawing_id = self.drawing_id;
        match event {
            Event::Item(item) => {
                if let News::Restarted { reason, .. } = item.news {
                    telemetry::count_reset(reason.as_str());
                    self.follower = None;
                }
                Some(item.bytes(Encoding::EventStream).clone())
            }
            Event::Presence => match self.view.as_mut()?.next(self.id) {
                Since::Nothing => None,
                Since::Diff(diff) => Some(diff.bytes(Encoding::EventStream).clone()),
                Since::TooOld => {
                    let (branch, revision) = self.follower.as_ref()?.position();
                    Some(self.reset(ResetReason::Lagged, branch, revision))
                }
            },
            Event::Lagged { reason, branch, revision } => Some(self.reset(reason, branch, revision)),
            Event::Role(role) => {
                if role.is_none() {
                    self.follower = None;
                }
                Some(encode::message(&ServerMessage::Role { drawing_id, role }, Encoding::EventStream))
            }
        }
    }

    fn reset(&mut self, reason: ResetReason, branch: Branch, revision: Revision) -> Bytes {
        telemetry::count_reset(reason.as_str());
        self.follower = None;
        let reset = ServerMessage::reset(self.drawing_id, reason, branch, revision);
        encode::message(&reset, Encoding::EventStream)
    }

    /// Asks the client to come back at its own moment; a browser obeys `retry`.
    fn go_away(&mut self) -> Bytes {
        self.follower = None;
        let reconnect_in_ms = self.gateway.connections.moment_to_return();
        let retry = u128::from(reconnect_in_ms).max(limits::EVENTS_RETRY.as_millis());
        let mut bytes = format!("retry: {retry}\n").into_bytes();
        let goaway = ServerMessage::Goaway { reconnect_in_ms };
        bytes.extend_from_slice(&encode::message(&goaway, Encoding::EventStream));
        bytes.into()
    }
}

/// The silence after which a comment comes: the store may have no head to tell for a while, and the stream is
/// alive all the same.
fn comment_after(heartbeat: Duration) -> Duration {
    (heartbeat + heartbeat / 2).min(limits::EVENTS_COMMENT_INTERVAL)
}

/// Tells that the client takes what it is sent. A stream is asked for more at every comment at least;
/// when it is not, its connection is cut.
struct Pulse {
    last: Arc<Mutex<Instant>>,
    _watch: DropGuard,
}

impl Pulse {
    fn watch(gateway: &Gateway, place: Option<&ConnectionPlace>) -> Self {
        let (last, end) = (Arc::new(Mutex::new(Instant::now())), CancellationToken::new());
        let (beats, ended, place) = (last.clone(), end.clone(), place.cloned());
        let draining = gateway.draining.clone();
        gateway.tasks.spawn(async move {
            let patience = limits::EVENTS_COMMENT_INTERVAL + limits::SOCKET_STALL_TIMEOUT;
            while beats.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < patience {
                tokio::select! {
                    () = ended.cancelled() => return,
                    () = draining.cancelled() => {
                        // A client that does not even take its goodbye must not hold up the stop.
                        tokio::select! {
                            () = ended.cancelled() => return,
                            () = tokio::time::sleep(limits::SOCKET_CLOSE_TIMEOUT) => break,
                        }
                    }
                    () = tokio::time::sleep(limits::EVENTS_COMMENT_INTERVAL) => (),
                }
            }
            if let Some(place) = place {
                place.cut();
            }
        });
        Self { last, _watch: end.drop_guard() }
    }

    fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_heads_bears_a_comment_before_its_client_takes_it_for_dead() {
        for heartbeat in [Duration::from_millis(200), Duration::from_secs(2), Duration::from_secs(9)] {
            let silence = comment_after(heartbeat);
            assert!(heartbeat < silence && silence < 3 * heartbeat, "{silence:?}");
        }
        assert_eq!(comment_after(Duration::from_secs(600)), limits::EVENTS_COMMENT_INTERVAL);
    }
}
