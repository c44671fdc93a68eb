//! `/v1/drawings/{drawing_id}/presence`: who is here, and being here without a socket.

use std::collections::HashMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::Api;
use crate::{
    clock::now_ms,
    error::Error,
    http::{
        documented::{Problems, codes},
        extract::{Caller, JsonBytes, PathId, json_error, require_object},
    },
    identity::Identity,
    limits,
    model::{ConnectionId, DrawingId, PresenceState},
    room::presence::Present,
    wire::presence_schema::PresenceView,
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(read_presence, post_presence))
}

/// The connections that are present.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes a body whose parts are spliced in as they are")]
struct PresenceRoster {
    #[schema(value_type = Uuid)]
    drawing_id: DrawingId,
    /// The number of connections that are present, on all nodes.
    count: usize,
    /// All of them by connection id.
    set: HashMap<Uuid, PresenceView>,
}

/// A presence state to show to the others.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes what `PostBody` parses")]
#[schema(examples(json!({"state": {"cursor": [120, 80]}})))]
struct PostPresence {
    /// An object of at most 1,024 bytes of compact JSON, which takes the place of the one before; null to
    /// leave. In large drawings its fields `cursor` (`{x, y}` or `[x, y]`) and `viewport`
    /// (`{x, y, width, height}` or an array of the four) decide who is told of whom.
    #[schema(value_type = Option<Object>, required)]
    state: Option<HashMap<String, Value>>,
    /// The connection of an earlier answer, or a new UUID; made by the server by default.
    #[schema(pattern = "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")]
    connection_id: Option<Uuid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostBody<'a> {
    #[serde(borrow)]
    state: &'a RawValue,
    #[serde(default)]
    connection_id: Option<ConnectionId>,
}

/// The connection that posted, as it stands now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "connection_id": "0198f0a0-7d2c-7aaa-8bbb-0123456789ab", "count": 1, "expires_at": 1_767_225_630_000_i64
})))]
struct PostedPresence {
    /// The connection, to be named in the next request.
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    /// The number of connections that are present, on all nodes.
    count: usize,
    /// The time at which the connection leaves unless it posts again, in milliseconds since 1970. Null once it
    /// has left.
    expires_at: Option<i64>,
}

/// Read who is present.
///
/// Answers with what a socket gets as `presence`, as of now. Presence is not part of the log: it is never
/// stored.
#[utoipa::path(
    get, path = "/v1/drawings/{drawing_id}/presence", tag = "presence",
    params(("drawing_id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = PresenceRoster),
        Problems<{ codes![NotFound, Overloaded, StoreUnavailable] }>,
    )
)]
async fn read_presence(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
) -> Result<Response, Error> {
    api.access.require_member(drawing_id, &identity.user_id).await?;
    let presence = api.presence.visit(drawing_id)?;
    presence.synced().await;
    let roster = presence.roster();
    let body = format!(r#"{{"drawing_id":"{drawing_id}","count":{},"set":{}}}"#, roster.count, roster.json);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, body).into_response())
}

/// Be present without a socket, or leave.
///
/// The connection stays for 30 s after its last post, at whichever node. Up to 60 posts a second a user.
#[utoipa::path(
    post, path = "/v1/drawings/{drawing_id}/presence", tag = "presence",
    params(("drawing_id" = uuid::Uuid, Path)),
    request_body = PostPresence,
    responses(
        (status = 200, body = PostedPresence),
        (status = 413, description = "`too_large`: the body; a state over 1,024 bytes is `invalid_field`"),
        (status = 422, description = "`invalid_field`: the state breaks a rule, or the connection is another user's"),
        Problems<{ codes![NotFound, Overloaded, StoreUnavailable] }>,
    )
)]
async fn post_presence(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
    JsonBytes(body): JsonBytes,
) -> Result<Json<PostedPresence>, Error> {
    api.limits.take_presence(&identity.user_id)?;
    api.access.require_member(drawing_id, &identity.user_id).await?;
    let (who, state) = parse(&identity, &body)?;
    let presence = api.presence.visit(drawing_id)?;
    let connection_id = who.connection_id;
    let Some(state) = state else {
        let count = presence.leave_http(&who)?;
        return Ok(Json(PostedPresence { connection_id, count, expires_at: None }));
    };
    let count = presence.publish_http(&who, state)?;
    let ttl = i64::try_from(limits::PRESENCE_HTTP_TTL.as_millis()).unwrap_or(i64::MAX);
    Ok(Json(PostedPresence { connection_id, count, expires_at: Some(now_ms().saturating_add(ttl)) }))
}

/// Returns the connection that posts and its state; `None` means that it leaves.
fn parse(identity: &Identity, body: &[u8]) -> Result<(Present, Option<PresenceState>), Error> {
    require_object(body)?;
    let PostBody { state, connection_id } =
        serde_json::from_slice(body).map_err(|error| json_error(&error))?;
    let state = match state.get() {
        "null" => None,
        json => {
            let state = PresenceState::parse(json);
            Some(state.map_err(|error| Error::field("/state", error.to_string()))?)
        }
    };
    if state.is_none() && connection_id.is_none() {
        return Err(Error::field("/connection_id", "must name the connection that leaves"));
    }
    let connection_id = connection_id.unwrap_or_else(|| ConnectionId(Uuid::new_v4()));
    let Identity { user_id, name, .. } = identity.clone();
    Ok((Present { connection_id, user_id, name }, state))
}
