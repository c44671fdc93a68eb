//! `GET /v1/drawings/{drawing_id}/ops`: read a range, or wait for what comes.

use std::time::Duration;

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    extract::{Caller, Params, PathId},
    ops_page::{Form, OpsPage, Page},
    problem::Problem,
};
use crate::{
    error::{Error, ErrorCode},
    limits,
    model::{DrawingId, Epoch, Revision, UserId},
    room::{Event, JoinError, Joined, News, Position},
    store::ReadRange,
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(read_ops))
}

/// Which ops to read.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReadParams {
    /// Exclusive start: the last revision the client has; 0 for the whole log.
    #[serde(default)]
    after: u64,
    /// Inclusive end. A page that ends here is closed: it has an `ETag` and may be cached for ever.
    #[serde(default)]
    until: Option<u64>,
    /// Most ops in the page; 1,000 at most and by default.
    #[serde(default)]
    limit: Option<u32>,
    /// Seconds to wait for an op when there is none yet; 30 at most.
    #[serde(default)]
    wait: u64,
    /// The epoch of `after`; `410 epoch_changed` when it is not that of the log.
    #[serde(default)]
    #[param(value_type = Option<uuid::Uuid>)]
    epoch: Option<Epoch>,
}

/// Read ops.
///
/// The page ends after `limit` ops, or before its JSON would pass 1 MiB; it holds one op at least. `Accept:
/// application/x-ndjson` gives one op a line, `application/msgpack` the page in MessagePack; of several forms it is the
/// one with the highest `q`, and JSON among equals. The headers `Revcast-Epoch`, `-From`, `-To`, `-Latest-Revision` and
/// `-Complete` stand in every form.
#[utoipa::path(
    get, path = "/v1/drawings/{drawing_id}/ops", tag = "ops",
    params(("drawing_id" = uuid::Uuid, Path), ReadParams),
    responses(
        (status = 200, content(
            (OpsPage = "application/json"),
            (String = "application/x-ndjson"),
            (OpsPage = "application/msgpack"),
        )),
        (status = 304, description = "The client has this closed page"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "`invalid_request`"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "`unauthenticated`"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "`not_found`"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "`epoch_changed`, `revision_ahead`: start anew"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "`store_unavailable`, with `Retry-After`"),
    )
)]
async fn read_ops(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
    Params(params): Params<ReadParams>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    params.check()?;
    let user = &identity.user_id;
    api.access.require_member(drawing_id, user).await?;
    let mut page = read(&api, drawing_id, &params).await?;
    let may_come = page.until.is_none_or(|until| until > page.after);
    if page.ops.is_empty() && params.wait > 0 && may_come {
        let patience = Duration::from_secs(params.wait).min(limits::MAX_LONG_POLL);
        wait_for_ops(&api, drawing_id, user, &params, patience).await?;
        // The role may have gone while the request waited.
        api.access.require_member(drawing_id, user).await?;
        page = read(&api, drawing_id, &params).await?;
    }
    page.into_response(Form::accepted(&headers), &headers)
}

impl ReadParams {
    fn check(&self) -> Result<(), Error> {
        let invalid = |detail| Err(Error::new(ErrorCode::InvalidRequest, detail));
        if self.limit == Some(0) {
            return invalid("limit must be at least 1");
        }
        if self.until.is_some_and(|until| until < self.after) {
            return invalid("until must not be less than after");
        }
        Ok(())
    }
}

async fn read(api: &Api, drawing_id: DrawingId, params: &ReadParams) -> Result<Page, Error> {
    let after = Revision(params.after);
    let until = params.until.map(Revision);
    let range = ReadRange {
        drawing_id,
        after,
        until,
        limit: params.limit.unwrap_or(limits::MAX_PAGE_OPS).min(limits::MAX_PAGE_OPS),
        max_bytes: limits::MAX_PAGE_BYTES - limits::PAGE_ENVELOPE_BYTES,
    };
    let read = tokio::time::timeout(limits::REQUEST_TIMEOUT, api.store.read(&range));
    let timed_out = |_| Error::new(ErrorCode::Timeout, "the store did not answer in time");
    let log = read.await.map_err(timed_out)??.ok_or_else(|| Error::not_found("the drawing"))?;
    if params.epoch.is_some_and(|epoch| epoch != log.epoch) {
        let detail = "the position is of another epoch; start anew from the snapshot, or from revision 0";
        return Err(Error::new(ErrorCode::EpochChanged, detail).with_head(log.epoch, log.head));
    }
    if after > log.head {
        let detail = "the position is ahead of the log; start anew from the snapshot, or from revision 0";
        return Err(Error::new(ErrorCode::RevisionAhead, detail).with_head(log.epoch, log.head));
    }
    let to = log.ops.last().map_or(after, |op| op.revision);
    Ok(Page { epoch: log.epoch, after, to, head: log.head, until, ops: log.ops })
}

/// Returns when there may be something to read, or when `patience` is over.
async fn wait_for_ops(
    api: &Api,
    drawing_id: DrawingId,
    user: &UserId,
    params: &ReadParams,
    patience: Duration,
) -> Result<(), Error> {
    let position = Position { after: Some(Revision(params.after)), epoch: params.epoch };
    let news = async {
        let mut follower = match api.rooms.follow(drawing_id, user, position).await {
            Ok(Joined::Live { reader, .. }) => reader,
            // There is something to read: a refusal.
            Ok(Joined::Reset { .. }) | Err(JoinError::NoDrawing | JoinError::Draining) => return Ok(()),
            Err(error @ JoinError::Unavailable) => return Err(error.into()),
        };
        // A head says nothing new to whoever waits for ops.
        while let Event::Item(item) = follower.next().await {
            if !matches!(item.news, News::Head { .. }) {
                break;
            }
        }
        Ok(())
    };
    tokio::select! {
        outcome = news => outcome,
        () = tokio::time::sleep(patience) => Ok(()),
        () = api.draining.cancelled() => Ok(()),
    }
}
