//! `POST …/undo`, `POST …/redo`, `GET …/history`: the server picks the unit.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{Api, ops_commit::OpResult};
use crate::{
    error::{Error, ErrorCode},
    http::{
        documented::{Problems, codes},
        extract::{Caller, OptionalJson, Params, PathId},
    },
    identity::Identity,
    model::{DrawingId, Epoch, History, OpId, Revision, Role, UserId},
    snapshot::PastSteps,
    store::Stand,
    trace::RequestId,
    undo::{Direction, Toggled, Wish},
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_history)).routes(routes!(undo)).routes(routes!(redo))
}

/// The users whose units are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ScopeParam {
    /// The caller's own.
    #[default]
    Mine,
    /// Everyone's; owners only.
    All,
}

impl ScopeParam {
    /// The user whose units are looked at; `None` for everyone's.
    fn actor(self, identity: &Identity) -> Option<UserId> {
        match self {
            Self::Mine => Some(identity.user_id.clone()),
            Self::All => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct HistoryParams {
    /// The users whose units are meant: `mine` by default, or `all`, for owners.
    #[serde(default)]
    #[param(inline)]
    scope: ScopeParam,
}

/// A wish to undo or redo.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"scope": "mine"})))]
struct UndoRequest {
    /// The users whose units are meant: `mine` by default, or `all`, for owners.
    #[serde(default)]
    scope: ScopeParam,
    /// The id that the op shall have, made by the client: a request with the same one is answered with what the first
    /// one did, so that it can be sent again when its answer was lost. Made by the server otherwise.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>, pattern = "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")]
    op_id: Option<OpId>,
}

/// The result of an undo or a redo.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "epoch": "01981111-2222-7333-8444-555566667777", "latest_revision": 2, "unit": "0198f0a0-7d2c-7aaa-8bbb-0123456789ab",
    "results": [{"op_id": "0198f0a0-7d2c-7aaa-8bbb-0123456789ac", "revision": 2, "duplicate": false}]
})))]
struct UndoResponse {
    #[schema(value_type = Uuid)]
    epoch: Epoch,
    /// The head of the drawing when the op was in.
    #[schema(value_type = u64)]
    latest_revision: Revision,
    /// The op that was committed, in the form in which `POST …/ops` answers.
    results: Vec<OpResult>,
    /// The unit that was undone or redone.
    #[schema(value_type = Uuid)]
    unit: OpId,
}

/// The steps that can be undone and redone.
#[derive(Debug, Serialize, ToSchema)]
struct HistoryResponse {
    can_undo: bool,
    can_redo: bool,
    /// The unit that an undo would pick now: of those whose undoing can be seen, or could be if all others of the scope were
    /// undone, the one that began last.
    #[schema(value_type = Option<Uuid>)]
    undo_unit: Option<OpId>,
    /// The unit that a redo would pick now: of those whose redoing can be seen in the same way, the one undone last. A unit is
    /// not redone once its actor has drawn something new.
    #[schema(value_type = Option<Uuid>)]
    redo_unit: Option<OpId>,
    /// Units that began at or below this revision are closed: nobody undoes or redoes them any more. 0 before the first
    /// fold.
    #[schema(value_type = u64)]
    undo_floor: Revision,
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
    /// The revision at which this was so.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// Read what can be undone and redone.
#[utoipa::path(
    get, path = "/v1/drawings/{drawing_id}/history", tag = "canvas",
    params(("drawing_id" = Uuid, Path), HistoryParams),
    responses(
        (status = 200, body = HistoryResponse),
        (status = 403, description = "`forbidden`: `all` is for owners"),
        Problems<{ codes![NotFound, LogDamaged, StoreUnavailable, SnapshotsUnavailable, Timeout] }>,
    )
)]
async fn get_history(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
    Params(params): Params<HistoryParams>,
) -> Result<Json<HistoryResponse>, Error> {
    let may_look = |role: Role| if role == Role::Viewer { Ok(()) } else { may_undo(role, params.scope) };
    let role = api.access.require(drawing_id, &identity.user_id, may_look).await?;
    if role == Role::Viewer && params.scope == ScopeParam::All {
        return Err(forbidden_scope());
    }
    let steps = if role == Role::Viewer {
        // A user who is a viewer now cannot undo what they drew as an editor.
        let heads = api.store.heads(&[drawing_id]).await?;
        let stand = heads.stands.get(&drawing_id).ok_or_else(|| Error::not_found("the drawing"))?;
        let Stand { branch, head: revision, floor } = *stand;
        PastSteps { branch, revision, floor, history: History::default() }
    } else {
        api.canvases.history(drawing_id, params.scope.actor(&identity)).await?
    };
    let History { undo_unit, redo_unit } = steps.history;
    Ok(Json(HistoryResponse {
        can_undo: undo_unit.is_some(),
        can_redo: redo_unit.is_some(),
        undo_unit,
        redo_unit,
        undo_floor: steps.floor,
        epoch: steps.branch.epoch,
        previous_epoch: steps.branch.previous_epoch(),
        base: steps.branch.base(),
        revision: steps.revision,
    }))
}

/// Undo the last unit.
///
/// The server picks it, passing over units whose undoing would change nothing that is seen, and commits an op of type
/// `undo`. Two who press undo at once undo two units.
#[utoipa::path(
    post, path = "/v1/drawings/{drawing_id}/undo", tag = "canvas", params(("drawing_id" = Uuid, Path)),
    request_body = Option<UndoRequest>,
    responses(
        (status = 200, body = UndoResponse),
        Problems<{ codes![
            Forbidden, NotFound, NothingToUndo, OpIdConflict, LogDamaged, Overloaded, StoreUnavailable,
            SnapshotsUnavailable, Timeout, Draining,
        ] }>,
    )
)]
async fn undo(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
    id: RequestId,
    OptionalJson(request): OptionalJson<UndoRequest>,
) -> Result<Json<UndoResponse>, Error> {
    toggle(&api, &identity, drawing_id, id, request, Direction::Undo).await.map(Json)
}

/// Redo the unit that was undone last.
///
/// The server picks it and commits an op of type `redo`. A unit is not redone once its actor has drawn something new.
#[utoipa::path(
    post, path = "/v1/drawings/{drawing_id}/redo", tag = "canvas", params(("drawing_id" = Uuid, Path)),
    request_body = Option<UndoRequest>,
    responses(
        (status = 200, body = UndoResponse),
        Problems<{ codes![
            Forbidden, NotFound, NothingToRedo, OpIdConflict, LogDamaged, Overloaded, StoreUnavailable,
            SnapshotsUnavailable, Timeout, Draining,
        ] }>,
    )
)]
async fn redo(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
    id: RequestId,
    OptionalJson(request): OptionalJson<UndoRequest>,
) -> Result<Json<UndoResponse>, Error> {
    toggle(&api, &identity, drawing_id, id, request, Direction::Redo).await.map(Json)
}

/// Limits and authorizes the wish, and has it carried out.
async fn toggle(
    api: &Api,
    identity: &Identity,
    drawing_id: DrawingId,
    id: RequestId,
    request: UndoRequest,
    direction: Direction,
) -> Result<UndoResponse, Error> {
    let actor = &identity.user_id;
    api.limits.take_request(actor)?;
    let role = api.access.require(drawing_id, actor, |role| may_undo(role, request.scope)).await?;
    api.limits.take_ops(actor, 1)?;
    let turn = api.undo.turn(drawing_id).await;
    let op_id = request.op_id.unwrap_or_else(|| OpId(Uuid::now_v7()));
    // Whichever unit it will be, the op is as long.
    api.limits.take_drawing(drawing_id, &[direction.op(op_id, op_id)])?;
    let wish = Wish {
        drawing_id,
        actor: actor.clone(),
        role,
        scope: request.scope.actor(identity),
        op_id,
        is_retriable: request.op_id.is_some(),
        direction,
    };
    let Toggled { unit, committed, outcome } = api.undo.carry_out(turn, &id, wish).await?;
    Ok(UndoResponse {
        epoch: committed.epoch,
        latest_revision: committed.head,
        results: vec![OpResult::new(op_id, outcome)],
        unit,
    })
}

fn may_undo(role: Role, scope: ScopeParam) -> Result<(), Error> {
    match (role, scope) {
        (Role::Viewer, _) => Err(Error::new(ErrorCode::Forbidden, "a viewer may not write")),
        (_, ScopeParam::All) if !role.may_undo_others() => Err(forbidden_scope()),
        _ => Ok(()),
    }
}

fn forbidden_scope() -> Error {
    Error::new(ErrorCode::Forbidden, "only an owner may undo and redo what others drew")
}
