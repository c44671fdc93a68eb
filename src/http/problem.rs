//! Problem bodies (RFC 9457): how every error looks to a client.

use std::any::Any;

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    error::{Error, ErrorCode},
    model::{Epoch, Fault, Revision},
};

/// An error, as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "type": "about:blank", "title": "An op is invalid", "status": 422, "code": "invalid_op",
    "detail": "the op is invalid: missing field `op_id`", "retryable": false, "pointer": "/ops/0",
    "errors": [{"pointer": "/ops/0", "detail": "missing field `op_id`"}]
})))]
pub struct Problem {
    /// Always `about:blank`: `code` says what happened.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub type_uri: &'static str,
    /// Summary, the same for every occurrence.
    #[schema(example = "An op is invalid")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// The code to act on; stable.
    #[schema(example = "invalid_op")]
    pub code: &'static str,
    /// The cause of this failure, for a person.
    pub detail: String,
    /// `true` if the same request may succeed later.
    pub retryable: bool,
    /// JSON Pointer (RFC 6901) to the first part of the request at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/ops/3/points")]
    pub pointer: Option<String>,
    /// The parts of the request at fault: of `unit_closed` all ops of the request, of other codes 16 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// The epoch of the log, where it helps to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub epoch: Option<Epoch>,
    /// The head of the log, where it helps to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub latest_revision: Option<Revision>,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self {
            type_uri: "about:blank",
            title: error.code.title(),
            status: error.code.status(),
            code: error.code.as_str(),
            detail: error.detail.into_owned(),
            retryable: error.code.retryable(),
            pointer: error.faults.first().map(|fault| fault.pointer.clone()),
            errors: error.faults,
            epoch: error.head.map(|(epoch, _)| epoch),
            latest_revision: error.head.map(|(_, revision)| revision),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after.map(|pause| pause.as_secs().max(1));
        let is_unauthenticated = self.code == ErrorCode::Unauthenticated;
        let mut response = (status, Json(Problem::from(self))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if is_unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer when a handler panicked, which has been logged where it happened.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands over what was thrown")]
pub(super) fn from_panic(_panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    metrics::counter!("revcast_panics_total").increment(1);
    Error::new(ErrorCode::Internal, "the server failed").into_response()
}

/// The answer for a path that does not exist.
pub(crate) fn unknown_path() -> Error {
    Error::new(ErrorCode::NotFound, "there is nothing at this path; see /docs")
}

/// The answer for a method that a path does not have.
pub(crate) async fn unknown_method() -> Error {
    Error::new(ErrorCode::MethodNotAllowed, "the path does not have this method; see /docs")
}
