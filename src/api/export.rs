//! `GET /v1/drawings/{drawing_id}/export`: a drawing as a file.

use std::io;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, canvas_schema::RenderedView, snapshot::When};
use crate::{
    error::{Error, ErrorCode},
    http::{
        body::gzipped_or_not,
        documented::{Problems, codes},
        extract::{Caller, Params, PathId},
        whole::Exact,
    },
    limits,
    model::{CommittedOp, DrawingId, Epoch, Revision, UserId},
    snapshot::Extent,
    store::{ReadRange, call},
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(export))
}

/// The description of the operation in the OpenAPI document.
const DESCRIPTION: &str = concat!(
    "As the rendered view, as a picture, or as its log, of which `revcast import` makes a drawing of another server.\n\n",
    "In a picture the props of objects mean what is said here; to the server itself they mean nothing.\n\n",
    include_str!("../model/svg/props.md"),
);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// The rendered view, as in a snapshot.
    Json,
    /// A picture.
    Svg,
    /// The whole log, one committed op a line: what `revcast import` reads.
    Ndjson,
}

#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ExportParams {
    /// `json`: the rendered view; `svg`: a picture; `ndjson`: the whole log.
    #[param(inline)]
    format: Format,
    /// The drawing at this revision; at the head by default.
    #[serde(default)]
    #[param(inline)]
    at: Option<Exact>,
    /// The drawing as it was at this time, in milliseconds since 1970.
    #[serde(default)]
    #[param(inline)]
    at_time: Option<Exact>,
    /// The epoch of `at`, which has to be that of the log, or the one before up to `base`: `410 epoch_changed`.
    /// Without `at`, it has to be that of the log.
    #[serde(default)]
    #[param(value_type = Option<uuid::Uuid>)]
    epoch: Option<Epoch>,
}

/// Export a drawing as a file.
#[utoipa::path(
    get, path = "/v1/drawings/{drawing_id}/export", tag = "canvas",
    summary = "Export a drawing as a file", description = DESCRIPTION,
    params(("drawing_id" = uuid::Uuid, Path), ExportParams),
    responses(
        (status = 200, content(
            (RenderedView = "application/json"),
            (String = "image/svg+xml"),
            (String = "application/x-ndjson"),
        )),
        Problems<{ codes![
            NotFound, EpochChanged, RevisionAhead, LogDamaged, Overloaded, StoreUnavailable,
            SnapshotsUnavailable, Timeout, Draining,
        ] }>,
    )
)]
async fn export(
    State(api): State<Api>,
    Caller(identity): Caller,
    PathId(drawing_id): PathId<DrawingId>,
    Params(params): Params<ExportParams>,
    request: HeaderMap,
) -> Result<Response, Error> {
    api.access.require_member(drawing_id, &identity.user_id).await?;
    let ExportParams { format, at, at_time, epoch } = params;
    let moment = When { at, at_time, epoch }.resolve(&api, drawing_id).await?;
    let mut headers = HeaderMap::new();
    let (revision, body, content_type, extension) = match format {
        Format::Json => {
            let picture = moment.picture(&api, drawing_id, Extent::ViewOnly).await?;
            let body = gzipped_or_not(picture.view_answer(), &request, &mut headers);
            (picture.revision, body, "application/json", "json")
        }
        Format::Svg => {
            let picture = moment.picture(&api, drawing_id, Extent::ViewOnly).await?;
            let revision = picture.revision;
            let drawing = api.canvases.drawing(picture).await?;
            let body = gzipped_or_not(drawing.answer(), &request, &mut headers);
            (revision, body, "image/svg+xml", "svg")
        }
        Format::Ndjson => {
            let (revision, epoch, user) = (moment.revision, moment.epoch, identity.user_id);
            let log = LogPages { api, drawing_id, user, epoch, after: Revision(0), until: revision };
            // A failure of the first page is answered with a problem.
            let begun = log.next().await?;
            let lines = stream::try_unfold(Lines::Begun(begun), Lines::next);
            (revision, Body::from_stream(lines), "application/x-ndjson", "ndjson")
        }
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, authorization"));
    let name = format!("attachment; filename=\"{drawing_id}-{revision}.{extension}\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    // A file that users drew must not run as a page of this origin.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = "default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'; sandbox";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok((headers, body).into_response())
}

/// A log on its way to a client, page by page.
struct LogPages {
    api: Api,
    drawing_id: DrawingId,
    user: UserId,
    epoch: Epoch,
    after: Revision,
    until: Revision,
}

/// A log of which the first page has been read.
enum Lines {
    Begun(Option<(Bytes, LogPages)>),
    Going(LogPages),
}

impl Lines {
    /// The next lines; `None` after the last. A stream that fails is cut off, so that nobody takes it for whole.
    async fn next(self) -> io::Result<Option<(Bytes, Self)>> {
        let next = match self {
            Self::Begun(first) => first,
            Self::Going(log) => log.next().await.map_err(io::Error::other)?,
        };
        Ok(next.map(|(lines, log)| (lines, Self::Going(log))))
    }
}

impl LogPages {
    /// The next page; `None` after the last.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        if self.after >= self.until {
            return Ok(None);
        }
        // The role may have gone since the last page.
        self.api.access.require_member(self.drawing_id, &self.user).await?;
        let range = ReadRange {
            drawing_id: self.drawing_id,
            after: self.after,
            until: Some(self.until),
            limit: limits::MAX_PAGE_OPS,
            max_bytes: limits::MAX_PAGE_BYTES,
        };
        let page = call(self.api.store.read(&range)).await?.ok_or_else(|| Error::not_found("the drawing"))?;
        let changed = || Error::new(ErrorCode::EpochChanged, "the log is another one now; export it again");
        if !page.branch.goes_on_from(self.epoch, self.until) {
            return Err(changed());
        }
        let last = page.ops.last().ok_or_else(changed)?;
        self.after = last.revision;
        let mut lines = Vec::with_capacity(page.ops.iter().map(|op| op.body.len() + 96).sum());
        for op in &page.ops {
            CommittedOp::write(&mut lines, op.revision, &op.actor, op.ts, &op.body);
            lines.push(b'\n');
        }
        Ok(Some((lines.into(), self)))
    }
}
