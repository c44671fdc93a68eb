//! `GET /v1/drawings/{drawing_id}/snapshot`: the canvas, now or at any revision.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    canvas_schema::{RegistersView, RenderedView},
};
use crate::{
    error::{Error, ErrorCode},
    http::{
        body::gzipped_or_not,
        documented::{Problems, codes},
        extract::{Caller, Params, PathId, knows_etag},
        whole::Exact,
    },
    model::{DrawingId, Epoch, Misplaced, Revision},
    snapshot::{Extent, Picture},
    store::ReadRange,
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_snapshot))
}

/// The canvas that is wanted: at the head, at a revision, or at a time. Two operations have these parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub at: Option<Exact>,
    pub at_time: Option<Exact>,
    pub epoch: Option<Epoch>,
}

#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct SnapshotParams {
    /// The canvas at this revision; at the head by default.
    #[serde(default)]
    #[param(inline)]
    at: Option<Exact>,
    /// The canvas as it was at this time, in milliseconds since 1970.
    #[serde(default)]
    #[param(inline)]
    at_time: Option<Exact>,
    /// The epoch of `at`, which has to be that of the log, or the one before up to `base`: `410 epoch_changed`.
    /// Without `at`, it has to be that of the log.
    #[serde(default)]
    #[param(value_type = Option<uuid::Uuid>)]
    epoch: Option<Epoch>,
    /// `only` leaves the registers out: enough to look at, not to go on from with ops.
    #[serde(default)]
    #[param(inline)]
    view: Option<ViewParam>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ViewParam {
    Only,
}

/// The canvas at a revision.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what `Picture::answer` writes")]
struct SnapshotBody {
    #[schema(value_type = uuid::Uuid)]
    epoch: Epoch,
    /// The epoch before, if this one goes on with it: positions of it are good up to `base`.
    #[schema(value_type = Option<uuid::Uuid>)]
    previous_epoch: Option<Epoch>,
    /// The revision up to which the logs of both epochs are equal.
    base: Option<u64>,
    /// The revision of the canvas: go on with the ops after it.
    revision: u64,
    /// The SHA-256 of the canonical JSON (RFC 8785) of `view`, as hexadecimal digits.
    state_hash: String,
    view: RenderedView,
    /// Absent with `view=only`.
    #[schema(value_type = RegistersView, required = false)]
    registers: Option<RegistersView>,
}

/// Read the canvas.
///
/// To join late: read the snapshot, then the ops after its `revision`, then subscribe with `after` and `epoch`. A
/// canvas that is asked for with `at` and `epoch` never changes, and may be cached for ever.
#[utoipa::path(
    get, path = "/v1/drawings/{drawing_id}/snapshot", tag = "canvas",
    params(("drawing_id" = uuid::Uuid, Path), SnapshotParams),
    responses(
        (status = 200, body = SnapshotBody),
        (status = 304, description = "The client has this canvas"),
        Problems<{ codes![
            NotFound, EpochChanged, RevisionAhead, LogDamaged, Overloaded, StoreUnavailable,
            SnapshotsUnavailable, Timeout, Draining,
        ] }>,
    )
)]
async fn get_snapshot(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
    Params(params): Params<SnapshotParams>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    api.access.require_member(drawing_id, &identity.user_id).await?;
    let SnapshotParams { at, at_time, epoch, view } = params;
    let extent = if view.is_some() { Extent::ViewOnly } else { Extent::Whole };
    let when = When { at, at_time, epoch }.resolve(&api, drawing_id).await?;
    if knows_etag(&headers, &etag(when.epoch, when.revision, extent)) {
        return Ok(not_modified(when.epoch, when.revision, extent, when.is_fixed));
    }
    let picture = when.picture(&api, drawing_id, extent).await?;
    Ok(respond(&picture, extent, when.is_fixed, &headers))
}

/// A canvas that was asked for, found in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub epoch: Epoch,
    pub revision: Revision,
    /// Where the log stood.
    head: Revision,
    /// `true` if a revision or a time was asked for, rather than the head.
    is_past: bool,
    /// `true` if the same request will always have the same answer.
    is_fixed: bool,
}

impl When {
    /// Finds the revision in the log.
    pub(super) async fn resolve(self, api: &Api, drawing_id: DrawingId) -> Result<Moment, Error> {
        if self.at.is_some() && self.at_time.is_some() {
            return Err(Error::new(ErrorCode::InvalidRequest, "give at or at_time, not both"));
        }
        let at = self.at.map(|at| Revision(at.get()));
        let heads = api.store.heads(&[drawing_id]).await?;
        let gone = || Error::not_found("the drawing");
        let stand = heads.stands.get(&drawing_id).ok_or_else(gone)?;
        let (epoch, head) = (stand.branch.epoch, stand.head);
        stand.branch.check(self.epoch, at, head).map_err(|misplaced| {
            let (code, detail) = match misplaced {
                Misplaced::EpochChanged => (
                    ErrorCode::EpochChanged,
                    "the revision is of another epoch; ask for the canvas at the head",
                ),
                Misplaced::RevisionAhead => (ErrorCode::RevisionAhead, "the revision is ahead of the log"),
            };
            Error::new(code, detail).with_head(epoch, head)
        })?;
        let past = match (at, self.at_time) {
            (Some(at), _) => Some(at),
            (None, Some(time)) => {
                let time = i64::try_from(time.get()).unwrap_or(i64::MAX);
                let found = api.store.revision_at(drawing_id, time).await?.ok_or_else(gone)?;
                // The search ends before a hole: then the next op is missing.
                let range = ReadRange { drawing_id, after: found, until: Some(head), limit: 1, max_bytes: 0 };
                api.store.read(&range).await?.ok_or_else(gone)?;
                Some(found)
            }
            (None, None) => None,
        };
        // Under the epoch before, the answer bears the one of now.
        let is_fixed = self.at.is_some() && self.epoch == Some(epoch);
        Ok(Moment { epoch, revision: past.unwrap_or(head), head, is_past: past.is_some(), is_fixed })
    }
}

impl Moment {
    /// The canvas at this revision; at the head, where that was asked for, which may have moved on.
    pub(super) async fn picture(
        &self,
        api: &Api,
        drawing_id: DrawingId,
        extent: Extent,
    ) -> Result<Arc<Picture>, Error> {
        if !self.is_past || self.revision == self.head {
            let picture = api.canvases.picture(drawing_id, extent).await?;
            if !self.is_past || (picture.branch.epoch, picture.revision) == (self.epoch, self.revision) {
                return Ok(picture);
            }
        }
        Ok(api.canvases.picture_at(drawing_id, self.epoch, self.revision, extent).await?)
    }
}

fn respond(picture: &Arc<Picture>, extent: Extent, is_fixed: bool, request: &HeaderMap) -> Response {
    let mut headers = position_headers(picture.branch.epoch, picture.revision, extent, is_fixed);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = gzipped_or_not(picture.answer(extent), request, &mut headers);
    (headers, body).into_response()
}

fn not_modified(epoch: Epoch, revision: Revision, extent: Extent, is_fixed: bool) -> Response {
    (StatusCode::NOT_MODIFIED, position_headers(epoch, revision, extent, is_fixed)).into_response()
}

fn position_headers(epoch: Epoch, revision: Revision, extent: Extent, is_fixed: bool) -> HeaderMap {
    // Without its epoch a revision may mean another canvas some day.
    let cache = if is_fixed { "private, max-age=31536000, immutable" } else { "private, no-cache" };
    let mut headers = HeaderMap::new();
    if let Ok(etag) = HeaderValue::from_str(&etag(epoch, revision, extent)) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, authorization"));
    headers
}

/// Weak: the bytes differ by content encoding.
fn etag(epoch: Epoch, revision: Revision, extent: Extent) -> String {
    let extent = match extent {
        Extent::Whole => "snapshot",
        Extent::ViewOnly => "view",
    };
    format!("W/\"{epoch}/{revision}.{extent}\"")
}
