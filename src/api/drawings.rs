//! `/v1/drawings`: create, list, read, rename, delete.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::Api;
use crate::{
    audit::{self, Act, Origin},
    bus::ControlMessage,
    clock::now_ms,
    error::{Error, ErrorCode},
    http::{
        documented::{Problems, codes},
        extract::{Caller, JsonBody, OptionalJson, Params, PathId},
        whole::Whole,
    },
    limits,
    model::{DrawingId, Epoch, InvalidId, Revision, Role, Title, UserId},
    store::{CreateOutcome, Drawing, DrawingCursor},
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(create_drawing, list_drawings)).routes(routes!(
        get_drawing,
        update_drawing,
        delete_drawing
    ))
}

/// A drawing to create.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"drawing_id": "0198f0a0-7d2c-7aaa-8bbb-0123456789ab", "title": "Floor plan"})))]
struct CreateDrawing {
    /// Made by the client, so that a repeated request finds the drawing it made; by the server otherwise.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>, pattern = "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")]
    drawing_id: Option<DrawingId>,
    /// At most 200 characters. Unless it is empty, something of it is seen. Bidirectional controls that would turn the text
    /// beside it around are taken out.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    title: Option<String>,
}

/// A new title.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"title": "Floor plan, second draft"})))]
struct UpdateDrawing {
    /// At most 200 characters. Unless it is empty, something of it is seen. Bidirectional controls that would turn the text
    /// beside it around are taken out.
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    title: String,
}

/// The metadata of a drawing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "drawing_id": "0198f0a0-7d2c-7aaa-8bbb-0123456789ab", "title": "Floor plan", "created_by": "alice",
    "created_at": 1_767_225_600_000_i64, "updated_at": 1_767_225_600_000_i64,
    "epoch": "01981111-2222-7333-8444-555566667777", "latest_revision": 0, "snapshot_revision": null, "role": "owner"
})))]
struct DrawingView {
    #[schema(value_type = Uuid)]
    drawing_id: DrawingId,
    title: String,
    #[schema(value_type = String)]
    created_by: UserId,
    /// The time of its creation, in milliseconds since 1970.
    created_at: i64,
    /// The time at which the title or the members last changed, in milliseconds since 1970.
    updated_at: i64,
    #[schema(value_type = Uuid)]
    epoch: Epoch,
    /// The epoch before, if this one goes on with it: positions of it are good up to `base`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    previous_epoch: Option<Epoch>,
    /// The revision up to which the logs of both epochs are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    base: Option<Revision>,
    /// The head of its log.
    #[schema(value_type = u64)]
    latest_revision: Revision,
    /// The revision of its newest snapshot, if it has one.
    #[schema(value_type = Option<u64>)]
    snapshot_revision: Option<Revision>,
    /// The caller's role: `owner`, `editor` or `viewer`; there may be more one day.
    #[schema(value_type = String, examples("editor"))]
    role: Role,
}

impl From<Drawing> for DrawingView {
    fn from(drawing: Drawing) -> Self {
        Self {
            drawing_id: drawing.drawing_id,
            title: drawing.title,
            created_by: drawing.created_by,
            created_at: drawing.created_at,
            updated_at: drawing.updated_at,
            epoch: drawing.branch.epoch,
            previous_epoch: drawing.branch.previous_epoch(),
            base: drawing.branch.base(),
            latest_revision: drawing.head,
            snapshot_revision: drawing.snapshot_revision,
            role: drawing.role,
        }
    }
}

/// A page of drawings.
#[derive(Debug, Serialize, ToSchema)]
struct DrawingList {
    drawings: Vec<DrawingView>,
    /// The `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListParams {
    /// Most drawings in the page; 100 at most and by default.
    #[serde(default)]
    #[param(inline)]
    limit: Option<Whole<1, { limits::MAX_DRAWINGS_PAGE as u64 }>>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[param(pattern = "^-?[0-9]{1,18}_[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")]
    cursor: Option<String>,
}

/// Create a drawing.
///
/// The caller becomes its owner. With a `drawing_id` of the client's making the request may be
/// repeated: the second time it answers `200` with the drawing that is there.
#[utoipa::path(
    post, path = "/v1/drawings", tag = "drawings", request_body = Option<CreateDrawing>,
    responses(
        (status = 201, body = DrawingView),
        (status = 200, body = DrawingView, description = "The caller created it before"),
        (status = 403, description = "`too_many_drawings`: the caller has made as many as a user may"),
        Problems<{ codes![DrawingIdTaken, InvalidField] }>,
    )
)]
async fn create_drawing(
    State(api): State<Api>,
    Caller(identity): Caller,
    OptionalJson(body): OptionalJson<CreateDrawing>,
) -> Result<Response, Error> {
    let user = identity.user_id;
    api.limits.take_request(&user)?;
    let title = parse_title(body.title.as_deref().unwrap_or_default())?;
    let id = body.drawing_id.unwrap_or_else(|| DrawingId(Uuid::now_v7()));
    require_room(&api, &user, id).await?;
    let status = match api.store.create_drawing(id, title.as_str(), &user, now_ms()).await? {
        CreateOutcome::Created => StatusCode::CREATED,
        CreateOutcome::Exists => StatusCode::OK,
        CreateOutcome::Taken => {
            return Err(Error::new(
                ErrorCode::DrawingIdTaken,
                "this drawing_id belongs or belonged to another drawing",
            ));
        }
    };
    let drawing = api.store.drawing(id, &user).await?.ok_or_else(|| Error::not_found("the drawing"))?;
    let mut response = (status, Json(DrawingView::from(drawing))).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/drawings/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Refuses one drawing too many. One that is there was counted before. Those that are made at the same moment may come to a
/// few more.
async fn require_room(api: &Api, user: &UserId, id: DrawingId) -> Result<(), Error> {
    let most = api.drawings_per_user;
    if most == 0
        || api.store.count_created(user, most).await? < most
        || api.store.drawing(id, user).await?.is_some()
    {
        return Ok(());
    }
    let detail = format!("a user may have made {most} drawings; delete some of them first");
    Err(Error::new(ErrorCode::TooManyDrawings, detail))
}

/// List my drawings, newest first.
#[utoipa::path(
    get, path = "/v1/drawings", tag = "drawings", params(ListParams),
    responses(
        (status = 200, body = DrawingList),
    )
)]
async fn list_drawings(
    State(api): State<Api>,
    Caller(identity): Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<DrawingList>, Error> {
    let limit = params.limit.map_or(limits::MAX_DRAWINGS_PAGE, Whole::count);
    let cursor = params.cursor.as_deref().map(parse_cursor).transpose()?;
    // One more than asked for tells whether there is a next page.
    let mut drawings = api.store.drawings(&identity.user_id, cursor, limit + 1).await?;
    let has_more = drawings.len() > limit as usize;
    drawings.truncate(limit as usize);
    let next_cursor =
        drawings.last().filter(|_| has_more).map(|d| format!("{}_{}", d.created_at, d.drawing_id));
    Ok(Json(DrawingList { drawings: drawings.into_iter().map(DrawingView::from).collect(), next_cursor }))
}

fn parse_cursor(text: &str) -> Result<DrawingCursor, Error> {
    let parts =
        text.split_once('_').and_then(|(created_at, id)| Some((created_at.parse().ok()?, id.parse().ok()?)));
    let invalid = || Error::new(ErrorCode::InvalidRequest, "cursor must be a next_cursor of this list");
    let (created_at, drawing_id) = parts.ok_or_else(invalid)?;
    Ok(DrawingCursor { created_at, drawing_id })
}

/// Read the metadata of a drawing.
#[utoipa::path(
    get, path = "/v1/drawings/{drawing_id}", tag = "drawings", params(("drawing_id" = Uuid, Path)),
    responses(
        (status = 200, body = DrawingView),
        Problems<{ codes![NotFound] }>,
    )
)]
async fn get_drawing(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(id): PathId<DrawingId>,
) -> Result<Json<DrawingView>, Error> {
    let drawing = api.store.drawing(id, &identity.user_id).await?;
    drawing.map(|drawing| Json(drawing.into())).ok_or_else(|| Error::not_found("the drawing"))
}

/// Rename a drawing; owners only.
#[utoipa::path(
    patch, path = "/v1/drawings/{drawing_id}", tag = "drawings", params(("drawing_id" = Uuid, Path)),
    request_body = UpdateDrawing,
    responses(
        (status = 200, body = DrawingView),
        Problems<{ codes![Forbidden, NotFound, InvalidField] }>,
    )
)]
async fn update_drawing(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(id): PathId<DrawingId>,
    JsonBody(body): JsonBody<UpdateDrawing>,
) -> Result<Json<DrawingView>, Error> {
    api.limits.take_request(&identity.user_id)?;
    api.access.require_manager(id, &identity.user_id).await?;
    let title = parse_title(&body.title)?;
    api.store.rename_drawing(id, title.as_str(), now_ms()).await?;
    let drawing = api.store.drawing(id, &identity.user_id).await?;
    drawing.map(|drawing| Json(drawing.into())).ok_or_else(|| Error::not_found("the drawing"))
}

/// Delete a drawing for good; owners only.
///
/// Its readers are told `role: null`; its id is never given again.
#[utoipa::path(
    delete, path = "/v1/drawings/{drawing_id}", tag = "drawings", params(("drawing_id" = Uuid, Path)),
    responses(
        (status = 204, description = "It is gone"),
        Problems<{ codes![Forbidden, NotFound] }>,
    )
)]
async fn delete_drawing(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(id): PathId<DrawingId>,
    origin: Origin,
) -> Result<StatusCode, Error> {
    api.limits.take_request(&identity.user_id)?;
    let managed = api.access.require_manager(id, &identity.user_id).await;
    api.gone_for_good(id, managed).await?;
    let changing = api.clone();
    let change = async move {
        if !changing.store.delete_drawing(id, now_ms()).await? {
            return Err(Error::not_found("the drawing"));
        }
        changing.announce(ControlMessage::Deleted { drawing_id: id });
        audit::record(&identity.acting_from(origin), Some(id), &Act::DrawingDeleted);
        Ok(StatusCode::NO_CONTENT)
    };
    api.run_to_completion(change).await
}

fn parse_title(title: &str) -> Result<Title, Error> {
    title.parse().map_err(|error: InvalidId| Error::field("/title", error.to_string()))
}
