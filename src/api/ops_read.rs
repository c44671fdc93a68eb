//! `GET /v1/drawings/{drawing_id}/ops`: read a range, or wait for what comes.

use std::time::Duration;

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    ops_page::{Form, OpsPage, Page},
};
use crate::{
    error::{Error, ErrorCode},
    http::{
        documented::{Problems, codes},
        extract::{Caller, Params, PathId},
        whole::{Exact, Whole},
    },
    limits,
    model::{DrawingId, Epoch, Misplaced, Revision, UserId},
    room::{Event, JoinError, Joined, Position},
    store::ReadRange,
    user_connections::ConnectionKind,
    wire::News,
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(read_ops))
}

/// The range of ops to read.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReadParams {
    /// Exclusive start: the last revision the client has; 0, by default, for the whole log.
    #[serde(default)]
    #[param(inline)]
    after: Option<Exact>,
    /// Inclusive end. A page that ends here is closed: it has an `ETag`, and may be cached for ever if `epoch` is that of the
    /// log.
    #[serde(default)]
    #[param(inline)]
    until: Option<Exact>,
    /// Most ops in the page; 1,000 at most and by default.
    #[serde(default)]
    #[param(inline)]
    limit: Option<Whole<1, { limits::MAX_PAGE_OPS as u64 }>>,
    /// Seconds to wait for an op when there is none yet; 30 at most.
    #[serde(default)]
    #[param(inline)]
    wait: Option<Whole<0, { limits::MAX_LONG_POLL_SECONDS }>>,
    /// The epoch of `after` and `until`, which has to be that of the log, or the one before up to `base`: `410
    /// epoch_changed`. Without `after`, it has to be that of the log.
    #[serde(default)]
    #[param(value_type = Option<uuid::Uuid>)]
    epoch: Option<Epoch>,
}

/// Read ops.
///
/// The page ends after `limit` ops, or before its JSON would pass 1 MiB; it holds one op at least. `Accept:
/// application/x-ndjson` gives one op a line, `application/msgpack` the page in MessagePack; of several forms it is the
/// one with the highest `q`, and JSON among equals. The headers `Revcast-Epoch`, `-From`, `-To`, `-Latest-Revision` and
/// `-Complete` stand in every form, and `-Previous-Epoch` with `-Base` where the epoch goes on with the one before.
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
        (status = 410, description = "`epoch_changed`, `revision_ahead`: start anew"),
        (status = 429, description = "`too_many_connections`: long-polls count while they wait; with `Retry-After`"),
        Problems<{ codes![NotFound, LogDamaged, Overloaded, StoreUnavailable] }>,
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
    let patience = Duration::from_secs(params.wait.map_or(0, Whole::get));
    if page.ops.is_empty() && !patience.is_zero() && may_come {
        let _counted = api.connections.count(user, ConnectionKind::LongPoll)?;
        wait_for_ops(&api, drawing_id, user, &params, patience).await?;
        // The role may have gone while the request waited.
        api.access.require_member(drawing_id, user).await?;
        page = read(&api, drawing_id, &params).await?;
    }
    page.into_response(Form::accepted(&headers), &headers)
}

impl ReadParams {
    fn check(&self) -> Result<(), Error> {
        if self.until().is_some_and(|until| until < self.after().unwrap_or_default()) {
            return Err(Error::new(ErrorCode::InvalidRequest, "until must not be less than after"));
        }
        Ok(())
    }

    fn after(&self) -> Option<Revision> {
        self.after.map(|after| Revision(after.get()))
    }

    fn until(&self) -> Option<Revision> {
        self.until.map(|until| Revision(until.get()))
    }
}

async fn read(api: &Api, drawing_id: DrawingId, params: &ReadParams) -> Result<Page, Error> {
    let (after, until) = (params.after().unwrap_or_default(), params.until());
    let range = ReadRange {
        drawing_id,
        after,
        until,
        limit: params.limit.map_or(limits::MAX_PAGE_OPS, Whole::count),
        max_bytes: limits::MAX_PAGE_BYTES - limits::PAGE_ENVELOPE_BYTES,
    };
    let read = tokio::time::timeout(limits::REQUEST_TIMEOUT, api.store.read(&range));
    let timed_out = |_| Error::new(ErrorCode::Timeout, "the store did not answer in time");
    let log = read.await.map_err(timed_out)??.ok_or_else(|| Error::not_found("the drawing"))?;
    let position = params.after();
    let checked = log.branch.check(params.epoch, position, log.head).and_then(|()| {
        // With a position in the epoch before, `until` may lie beyond the part that both logs share.
        let is_on_line = |epoch| until.is_none_or(|until| log.branch.goes_on_from(epoch, until));
        if params.epoch.is_none_or(is_on_line) { Ok(()) } else { Err(Misplaced::EpochChanged) }
    });
    checked.map_err(|misplaced| {
        let (code, what) = match misplaced {
            Misplaced::EpochChanged => (ErrorCode::EpochChanged, "of another epoch"),
            Misplaced::RevisionAhead => (ErrorCode::RevisionAhead, "ahead of the log"),
        };
        let detail = format!("the position is {what}; start anew from the snapshot, or from revision 0");
        Error::new(code, detail).with_head(log.branch.epoch, log.head)
    })?;
    let to = log.ops.last().map_or(after, |op| op.revision);
    let names_epoch = params.epoch == Some(log.branch.epoch);
    Ok(Page { branch: log.branch, after, to, head: log.head, until, names_epoch, ops: log.ops })
}

/// Returns when there may be something to read, or when `patience` is over.
async fn wait_for_ops(
    api: &Api,
    drawing_id: DrawingId,
    user: &UserId,
    params: &ReadParams,
    patience: Duration,
) -> Result<(), Error> {
    let after = params.after().unwrap_or_default();
    let position = Position { after: Some(after), epoch: params.epoch };
    let news = async {
        let mut follower = match api.rooms.follow(drawing_id, user, position).await {
            Ok(Joined::Live { reader, .. }) => reader,
            // There is something to read: a refusal.
            Ok(Joined::Reset { .. }) | Err(JoinError::NoDrawing | JoinError::Draining) => return Ok(()),
            Err(error @ (JoinError::Unavailable | JoinError::Full)) => return Err(error.into()),
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
