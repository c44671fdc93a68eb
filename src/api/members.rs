//! `/v1/drawings/{drawing_id}/members`: who may do what.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use crate::{
    audit::{self, Act, Actor, Origin},
    bus::ControlMessage,
    clock::now_ms,
    error::{Error, ErrorCode},
    http::{
        documented::{Problems, codes},
        extract::{Caller, JsonBody, PathId, PathIds},
    },
    model::{DrawingId, Role, UserId},
    store::{Member, MemberOutcome},
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_members)).routes(routes!(put_member, delete_member))
}

/// A user and their role.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({"user_id": "bob", "role": "editor"})))]
struct MemberView {
    #[schema(value_type = String)]
    user_id: UserId,
    /// `owner`, `editor` or `viewer`; there may be more roles one day.
    #[schema(value_type = String, examples("editor"))]
    role: Role,
}

impl From<Member> for MemberView {
    fn from(Member { user_id, role }: Member) -> Self {
        Self { user_id, role }
    }
}

/// The members of a drawing.
#[derive(Debug, Serialize, ToSchema)]
struct MemberList {
    /// The members, ordered by user id.
    members: Vec<MemberView>,
}

/// A role to give.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"role": "editor"})))]
struct PutMember {
    role: Role,
}

/// List the members of a drawing.
#[utoipa::path(
    get, path = "/v1/drawings/{drawing_id}/members", tag = "members", params(("drawing_id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = MemberList),
        Problems<{ codes![NotFound] }>,
    )
)]
async fn list_members(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(id): PathId<DrawingId>,
) -> Result<Json<MemberList>, Error> {
    api.access.require_member(id, &identity.user_id).await?;
    let members = api.store.members(id).await?;
    Ok(Json(MemberList { members: members.into_iter().map(MemberView::from).collect() }))
}

/// Give a user a role; owners only.
#[utoipa::path(
    put, path = "/v1/drawings/{drawing_id}/members/{user_id}", tag = "members",
    params(
        ("drawing_id" = uuid::Uuid, Path),
        ("user_id" = String, Path, min_length = 1, max_length = 128, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"),
    ),
    request_body = PutMember,
    responses(
        (status = 200, body = MemberView),
        (status = 422, description = "`invalid_field`: the user id is a name of the server"),
        Problems<{ codes![Forbidden, NotFound, LastOwner] }>,
    )
)]
async fn put_member(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathIds(drawing_id, user_id): PathIds<DrawingId, UserId>,
    origin: Origin,
    JsonBody(body): JsonBody<PutMember>,
) -> Result<Json<MemberView>, Error> {
    api.limits.take_request(&identity.user_id)?;
    api.access.require_manager(drawing_id, &identity.user_id).await?;
    if user_id.is_reserved() {
        return Err(Error::new(ErrorCode::InvalidField, "the user id is a name of the server"));
    }
    set_member(&api, identity.acting_from(origin), drawing_id, &user_id, Some(body.role)).await?;
    Ok(Json(MemberView { user_id, role: body.role }))
}

/// Take a user's role away; owners only, but anyone may leave.
#[utoipa::path(
    delete, path = "/v1/drawings/{drawing_id}/members/{user_id}", tag = "members",
    params(
        ("drawing_id" = uuid::Uuid, Path),
        ("user_id" = String, Path, min_length = 1, max_length = 128, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        Problems<{ codes![Forbidden, NotFound, LastOwner] }>,
    )
)]
async fn delete_member(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathIds(drawing_id, user_id): PathIds<DrawingId, UserId>,
    origin: Origin,
) -> Result<StatusCode, Error> {
    api.limits.take_request(&identity.user_id)?;
    let allowed = if identity.user_id == user_id {
        api.access.require_member(drawing_id, &user_id).await.map(drop)
    } else {
        api.access.require_manager(drawing_id, &identity.user_id).await.map(drop)
    };
    api.gone_for_good(drawing_id, allowed).await?;
    set_member(&api, identity.acting_from(origin), drawing_id, &user_id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_member(
    api: &Api,
    actor: Actor,
    drawing_id: DrawingId,
    user_id: &UserId,
    role: Option<Role>,
) -> Result<(), Error> {
    let (changing, user_id) = (api.clone(), user_id.clone());
    let change = async move {
        let outcome = changing.store.set_member(drawing_id, &user_id, role, now_ms()).await?;
        if let MemberOutcome::Changed { before: from } = outcome {
            changing.announce(ControlMessage::Role { drawing_id, user_id: user_id.clone(), role });
            let act = match role {
                Some(to) => Act::MemberSet { user: user_id, from, to },
                None => Act::MemberRemoved { user: user_id, from },
            };
            audit::record(&actor, Some(drawing_id), &act);
        }
        Ok(outcome)
    };
    match api.run_to_completion(change).await? {
        MemberOutcome::Changed { .. } => Ok(()),
        MemberOutcome::NotFound => Err(Error::not_found("the member")),
        MemberOutcome::LastOwner => {
            Err(Error::new(ErrorCode::LastOwner, "make somebody else an owner first"))
        }
    }
}
