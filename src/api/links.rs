//! Share links: a secret that makes its bearer a member.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, Type},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::Api;
use crate::{
    audit::{self, Act, Origin},
    bus::ControlMessage,
    clock::now_ms,
    error::Error,
    http::{
        body::SecretJson,
        documented::{Problems, codes},
        extract::{Caller, JsonBody, PathId, PathIds},
    },
    limits,
    model::{DrawingId, LinkId, Role},
    store::{JoinedLink, Link},
};

/// The last time that JSON carries everywhere, in milliseconds since 1970.
const MAX_TIME: i64 = limits::MAX_INTEGER.cast_signed();

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(create_link, list_links))
        .routes(routes!(delete_link))
        .routes(routes!(join_link))
}

/// A link to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"role": "viewer", "expires_at": 4_102_444_800_000_i64})))]
struct CreateLink {
    /// The role of those who join: `editor` or `viewer`.
    #[schema(schema_with = link_role)]
    role: Role,
    /// The time at which the link stops working, in milliseconds since 1970; never, if absent.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_992_i64)]
    expires_at: Option<i64>,
}

/// A share link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "link_id": "0198f0a0-7d2c-7aaa-8bbb-0123456789ab", "role": "viewer", "created_at": 1_767_225_600_000_i64,
    "expires_at": 4_102_444_800_000_i64, "token": "Q0hVjv0rhN2mQ3sN6yXbq8mYt1cHq2dWl4fZ7uKp9aE"
})))]
struct LinkView {
    /// Names the link to owners; opens nothing.
    link_id: Uuid,
    /// The role of those who join: `editor` or `viewer`; there may be more roles one day.
    #[schema(value_type = String, examples("editor"))]
    role: Role,
    /// The time of its creation, in milliseconds since 1970.
    created_at: i64,
    /// The time at which it stops working, in milliseconds since 1970.
    expires_at: Option<i64>,
    /// The secret of the link. Shown once: the server keeps only its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// The links of a drawing.
#[derive(Debug, Serialize, ToSchema)]
struct LinkList {
    links: Vec<LinkView>,
}

/// The drawing that the caller has joined, and their role on it.
#[derive(Debug, Serialize, ToSchema)]
struct JoinedView {
    #[schema(value_type = Uuid)]
    drawing_id: DrawingId,
    /// The caller's role now: that of the link, or a higher one they had.
    #[schema(value_type = String, examples("editor"))]
    role: Role,
}

impl LinkView {
    fn new(link: &Link, token: Option<String>) -> Self {
        let Link { link_id, role, created_at, expires_at, .. } = *link;
        Self { link_id, role, created_at, expires_at, token }
    }
}

/// Make a share link; owners only.
#[utoipa::path(
    post, path = "/v1/drawings/{drawing_id}/links", tag = "links", params(("drawing_id" = Uuid, Path)),
    request_body = CreateLink,
    responses(
        (status = 201, body = LinkView),
        Problems<{ codes![Forbidden, NotFound, InvalidField] }>,
    )
)]
async fn create_link(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
    origin: Origin,
    JsonBody(body): JsonBody<CreateLink>,
) -> Result<(StatusCode, SecretJson<LinkView>), Error> {
    api.limits.take_request(&identity.user_id)?;
    api.access.require_manager(drawing_id, &identity.user_id).await?;
    let created_at = now_ms();
    if body.role == Role::Owner {
        return Err(Error::field("/role", "a link gives editor or viewer; owners are named one by one"));
    }
    if body.expires_at.is_some_and(|end| end <= created_at || end > MAX_TIME) {
        return Err(Error::field("/expires_at", "must lie in the future, in milliseconds since 1970"));
    }
    let link = Link {
        link_id: Uuid::now_v7(),
        drawing_id,
        role: body.role,
        created_by: identity.user_id.clone(),
        created_at,
        expires_at: body.expires_at,
    };
    // Two random UUIDs: 244 bits that nobody guesses.
    let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let changing = api.clone();
    let change = async move {
        changing.store.create_link(&link, &hash(&token)).await?;
        let act = Act::LinkCreated { link: link.link_id, to: link.role };
        audit::record(&identity.acting_from(origin), Some(drawing_id), &act);
        Ok((StatusCode::CREATED, SecretJson(LinkView::new(&link, Some(token)))))
    };
    api.run_to_completion(change).await
}

/// List the share links of a drawing; owners only.
#[utoipa::path(
    get, path = "/v1/drawings/{drawing_id}/links", tag = "links", params(("drawing_id" = Uuid, Path)),
    responses(
        (status = 200, body = LinkList),
        Problems<{ codes![Forbidden, NotFound] }>,
    )
)]
async fn list_links(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
) -> Result<Json<LinkList>, Error> {
    api.access.require_manager(drawing_id, &identity.user_id).await?;
    let links = api.store.links(drawing_id).await?;
    Ok(Json(LinkList { links: links.iter().map(|link| LinkView::new(link, None)).collect() }))
}

/// Remove a share link; owners only. Whoever joined through it stays a member.
#[utoipa::path(
    delete, path = "/v1/drawings/{drawing_id}/links/{link_id}", tag = "links",
    params(("drawing_id" = Uuid, Path), ("link_id" = Uuid, Path)),
    responses(
        (status = 204, description = "It is gone"),
        Problems<{ codes![Forbidden, NotFound] }>,
    )
)]
async fn delete_link(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathIds(drawing_id, LinkId(link_id)): PathIds<DrawingId, LinkId>,
    origin: Origin,
) -> Result<StatusCode, Error> {
    api.limits.take_request(&identity.user_id)?;
    api.access.require_manager(drawing_id, &identity.user_id).await?;
    let changing = api.clone();
    let change = async move {
        if !changing.store.delete_link(drawing_id, link_id).await? {
            return Err(Error::not_found("the link"));
        }
        let act = Act::LinkRevoked { link: link_id };
        audit::record(&identity.acting_from(origin), Some(drawing_id), &act);
        Ok(StatusCode::NO_CONTENT)
    };
    api.run_to_completion(change).await
}

/// Join a drawing through a share link.
#[utoipa::path(
    post, path = "/v1/links/{token}/join", tag = "links", params(("token" = String, Path)),
    responses(
        (status = 200, body = JoinedView),
        (status = 404, description = "Unknown, removed or expired"),
    )
)]
async fn join_link(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(token): PathId<String>,
    origin: Origin,
) -> Result<Json<JoinedView>, Error> {
    api.limits.take_request(&identity.user_id)?;
    let changing = api.clone();
    let change = async move {
        let user_id = identity.user_id.clone();
        let joined = changing.store.join_link(&hash(&token), &user_id, now_ms()).await?;
        let joined = joined.ok_or_else(|| Error::not_found("the link"))?;
        let JoinedLink { drawing_id, link_id: link, before: from, role } = joined;
        changing.announce(ControlMessage::Role { drawing_id, user_id, role: Some(role) });
        let act = Act::LinkJoined { link, from, to: role };
        audit::record(&identity.acting_from(origin), Some(drawing_id), &act);
        Ok(Json(JoinedView { drawing_id, role }))
    };
    api.run_to_completion(change).await
}

fn link_role() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The role of those who join."))
        .enum_values(Some(["editor", "viewer"]))
}

/// The hash by which the store knows a token: with it alone nobody can join.
fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
