//! `POST /v1/drawings/{drawing_id}/ops`: commit.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use crate::{
    commit::Committed,
    error::{Error, ErrorCode},
    http::{
        documented::{Problems, codes},
        extract::{Caller, JsonBytes, PathId, json_error, require_object},
    },
    identity::Identity,
    limits,
    model::{CheckedOp, DrawingId, Epoch, Fault, Op, OpId, Revision, Role, compact, names_server_type},
    offload::on_bytes,
    store::{AppendRequest, OpOutcome},
    trace::{self, RequestId},
    wire::op_schema,
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(commit_ops))
}

/// Ops to commit, whole or not at all.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes what `CommitBody` parses")]
#[schema(examples(json!({"ops": [{
    "type": "stroke.begin", "op_id": "0198f0a0-7d2c-7aaa-8bbb-0123456789ab", "object_id": "s1", "tool": "pen",
    "props": {"color": "#111"}, "points": [[0, 0], [4, 3]]
}]})))]
pub(super) struct CommitRequest {
    /// 1 to 500 ops, in order.
    #[schema(min_items = 1, max_items = 500)]
    ops: Vec<op_schema::Op>,
    /// Commit only if the head is this revision, but for folds of the server after it; `409 revision_conflict` otherwise.
    #[schema(maximum = 9_007_199_254_740_992_i64)]
    if_revision: Option<u64>,
    /// The epoch of `if_revision`, which is then a position. Alone it has to be the epoch of the log: `410 epoch_changed`.
    #[schema(value_type = Option<uuid::Uuid>, pattern = "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")]
    epoch: Option<Epoch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitBody<'a> {
    #[serde(borrow)]
    ops: Vec<&'a RawValue>,
    #[serde(default)]
    if_revision: Option<u64>,
    #[serde(default)]
    epoch: Option<Epoch>,
}

/// The ops are durable, with these revisions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "epoch": "01981111-2222-7333-8444-555566667777", "latest_revision": 1,
    "results": [{"op_id": "0198f0a0-7d2c-7aaa-8bbb-0123456789ab", "revision": 1, "duplicate": false}]
})))]
pub(super) struct CommitResponse {
    #[schema(value_type = uuid::Uuid)]
    epoch: Epoch,
    /// The head of the drawing when the ops were in.
    #[schema(value_type = u64)]
    latest_revision: Revision,
    /// The results, one for each op in the order of the request.
    results: Vec<OpResult>,
}

/// The place of one op in the log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OpResult {
    #[schema(value_type = uuid::Uuid)]
    op_id: OpId,
    /// Its place in the log; the first one, if it was sent before.
    #[schema(value_type = u64)]
    revision: Revision,
    /// `true` if the op was in the log before this request.
    duplicate: bool,
}

/// Commit ops.
///
/// Answered only once the ops are durable. Each op has an id made by the client, so a request whose
/// answer was lost may be sent again as it is: ops that are in the log already keep their first
/// revision. A request commits whole or not at all.
#[utoipa::path(
    post, path = "/v1/drawings/{drawing_id}/ops", tag = "ops",
    params(("drawing_id" = uuid::Uuid, Path)),
    request_body = CommitRequest,
    responses(
        (status = 200, body = CommitResponse),
        Problems<{ codes![
            Forbidden, UnitForbidden, ServerOnly, NotFound, OpIdConflict, RevisionConflict, UnitClosed,
            EpochChanged, InvalidOp, UnknownUnit, Overloaded, StoreUnavailable, Timeout, Draining,
        ] }>,
    )
)]
async fn commit_ops(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
    id: RequestId,
    JsonBytes(body): JsonBytes,
) -> Result<Json<CommitResponse>, Error> {
    api.limits.take_request(&identity.user_id)?;
    let request = parse(&api, &identity, drawing_id, &body).await?;
    api.limits.take_ops(&identity.user_id, request.ops.len())?;
    api.limits.take_drawing(drawing_id, &request.ops)?;
    let op_ids: Vec<OpId> = request.ops.iter().map(|op| op.op_id).collect();
    let (node, drawing, user, ops) = (trace::node(), drawing_id, &identity.user_id, op_ids.len());
    tracing::debug!(node, request = %id, %drawing, %user, ops, "accepted");
    let committed = api.committer.commit_for(id, request).await?;
    Ok(Json(CommitResponse::new(&op_ids, &committed)))
}

/// Parses and checks the request, as far as that goes without the log.
async fn parse(
    api: &Api,
    identity: &Identity,
    drawing_id: DrawingId,
    body: &[u8],
) -> Result<AppendRequest, Error> {
    require_object(body)?;
    let text = std::str::from_utf8(body)
        .map_err(|_| Error::new(ErrorCode::InvalidRequest, "the body is not valid UTF-8"))?;
    let read = || serde_json::from_str(text).map_err(|error| json_error(&error));
    let body: CommitBody<'_> = on_bytes(text.len(), read)?;
    if body.ops.is_empty() {
        return Err(Error::new(ErrorCode::InvalidRequest, "ops holds at least one op"));
    }
    if body.ops.len() > limits::MAX_OPS_PER_REQUEST {
        let detail = format!("a request holds at most {} ops", limits::MAX_OPS_PER_REQUEST);
        return Err(Error::new(ErrorCode::TooLarge, detail));
    }
    // A caller who may not know of the drawing learns nothing about the ops either.
    api.access.require(drawing_id, &identity.user_id, may_write).await?;
    let compacted = on_bytes(text.len(), || compact_all(&body.ops))?;
    let ops = on_bytes(text.len(), || parse_all(&compacted))?;
    let permits = |role: Role| permits_all(role, &ops);
    let role = api.access.require(drawing_id, &identity.user_id, permits).await?;
    let ops = on_bytes(text.len(), || {
        ops.iter().zip(&compacted).map(|(op, body)| CheckedOp::new(op, body)).collect()
    });
    if body.if_revision.is_some_and(|revision| revision > limits::MAX_INTEGER) {
        return Err(Error::field("/if_revision", "must be at most 2^53"));
    }
    let (if_revision, epoch) = (body.if_revision.map(Revision), body.epoch);
    let request = AppendRequest::new(drawing_id, identity.user_id.clone(), role, ops);
    Ok(AppendRequest { if_revision, epoch, ..request })
}

fn may_write(role: Role) -> Result<(), Error> {
    if role == Role::Viewer {
        return Err(Error::new(ErrorCode::Forbidden, "a viewer may not write"));
    }
    Ok(())
}

fn compact_all(ops: &[&RawValue]) -> Result<Vec<Box<str>>, Error> {
    let mut faults = Vec::new();
    let mut compacted = Vec::with_capacity(ops.len());
    for (index, op) in ops.iter().enumerate() {
        match compact(op.get()) {
            Ok(json) if json.len() > limits::MAX_OP_BYTES => {
                let detail = format!("an op is at most {} bytes of compact JSON", limits::MAX_OP_BYTES);
                let fault = Fault::new(format!("/ops/{index}"), detail.clone());
                return Err(Error::new(ErrorCode::TooLarge, detail).with_fault(fault));
            }
            Ok(json) => compacted.push(json),
            Err(rule) => faults.push(Fault::new(format!("/ops/{index}"), rule)),
        }
    }
    refuse(faults).map(|()| compacted)
}

fn parse_all(compacted: &[Box<str>]) -> Result<Vec<Op<'_>>, Error> {
    let mut faults = Vec::new();
    let mut ops = Vec::with_capacity(compacted.len());
    for (index, json) in compacted.iter().enumerate() {
        match Op::parse(json) {
            Ok(op) if op.is_server_only() => return Err(server_only(index)),
            Err(_) if names_server_type(json) => return Err(server_only(index)),
            Ok(op) => ops.push(op),
            Err(fault) => faults.push(fault.below(&format!("/ops/{index}"))),
        }
    }
    refuse(faults).map(|()| ops)
}

fn server_only(index: usize) -> Error {
    let rule = "only the server writes ops of this type";
    Error::new(ErrorCode::ServerOnly, rule).with_fault(Fault::new(format!("/ops/{index}/type"), rule))
}

/// Nothing is committed when one op is at fault; all of them are named, up to a limit.
fn refuse(mut faults: Vec<Fault>) -> Result<(), Error> {
    if faults.is_empty() {
        return Ok(());
    }
    let detail = match faults.as_slice() {
        [only] => format!("the op is invalid: {}", only.detail),
        many => format!("{} ops are invalid; the first one: {}", many.len(), many[0].detail),
    };
    faults.truncate(limits::MAX_REPORTED_FAULTS);
    let mut error = Error::new(ErrorCode::InvalidOp, detail);
    error.faults = faults;
    Err(error)
}

fn permits_all(role: Role, ops: &[Op<'_>]) -> Result<(), Error> {
    for (index, op) in ops.iter().enumerate() {
        role.permits(op).map_err(|rule| {
            Error::new(ErrorCode::Forbidden, rule).with_fault(Fault::new(format!("/ops/{index}/type"), rule))
        })?;
    }
    Ok(())
}

impl OpResult {
    pub(super) fn new(op_id: OpId, outcome: OpOutcome) -> Self {
        let duplicate = matches!(outcome, OpOutcome::Duplicate(_));
        Self { op_id, revision: outcome.revision(), duplicate }
    }
}

impl CommitResponse {
    fn new(op_ids: &[OpId], committed: &Committed) -> Self {
        let results = op_ids
            .iter()
            .zip(&committed.ops)
            .map(|(op_id, outcome)| OpResult::new(*op_id, *outcome))
            .collect();
        Self { epoch: committed.epoch, latest_revision: committed.head, results }
    }
}
