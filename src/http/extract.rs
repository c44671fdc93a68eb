//! The extractors: they take for handlers what a request holds, and answer with our problem bodies if it does
//! not fit.

use std::{str::FromStr, sync::Arc};

use axum::{
    extract::{FromRef, FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::{
    error::{Error, ErrorCode},
    identity::{Authenticator, Identity, unauthenticated},
};

/// Longest detail of a problem about a query string, in characters.
const MAX_QUERY_DETAIL_CHARS: usize = 200;

/// The verified bearer of the request's token.
#[derive(Debug)]
pub struct Caller(pub Identity);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Authenticator>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let header = header.ok_or_else(|| unauthenticated("a header Authorization: Bearer is required"))?;
        let token = bearer(header)
            .ok_or_else(|| unauthenticated("the header Authorization must read: Bearer <token>"))?;
        let authenticator = Arc::<Authenticator>::from_ref(state);
        authenticator.verify(token).await.map(Self)
    }
}

/// The token of a header `Authorization`.
pub(super) fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The parameters of the path, parsed.
#[derive(Debug)]
pub struct PathId<T>(pub T);

impl<S: Send + Sync, T> FromRequestParts<S> for PathId<T>
where
    T: FromStr<Err: std::fmt::Display>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| bad_path())?;
        parse("the id in the path", &text).map(Self)
    }
}

/// Two parameters of the path, parsed.
#[derive(Debug)]
pub struct PathIds<T, U>(pub T, pub U);

impl<S: Send + Sync, T, U> FromRequestParts<S> for PathIds<T, U>
where
    T: FromStr<Err: std::fmt::Display>,
    U: FromStr<Err: std::fmt::Display>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path((first, second)) =
            Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| bad_path())?;
        Ok(Self(parse("the first id in the path", &first)?, parse("the second id in the path", &second)?))
    }
}

fn bad_path() -> Error {
    Error::new(ErrorCode::InvalidRequest, "the path is malformed")
}

fn parse<T: FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| Error::new(ErrorCode::InvalidRequest, format!("{what} {error}")))
}

/// The query string, parsed.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(params)| Self(params)).map_err(|rejection| {
            // It may repeat what was sent.
            let text = format!("the query string: {}", rejection.body_text());
            let detail: String = text.chars().take(MAX_QUERY_DETAIL_CHARS).collect();
            Error::new(ErrorCode::InvalidRequest, detail)
        })
    }
}

/// A JSON body as it came, of `application/json` and valid UTF-8.
#[derive(Debug)]
pub struct JsonBytes(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        if !is_json(request.headers().get(header::CONTENT_TYPE)) {
            let detail = "the content type must be application/json";
            return Err(Error::new(ErrorCode::UnsupportedMediaType, detail));
        }
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| body_error(&rejection))
    }
}

/// A JSON body, parsed.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
        parse_body(&bytes).map(Self)
    }
}

fn parse_body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    require_object(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| json_error(&error))
}

/// A JSON body that may be left out altogether. Generated clients say that there is JSON even then, and some that it is
/// `null`.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let (head, body) = request.into_parts();
        let read = Bytes::from_request(Request::from_parts(head.clone(), body), state).await;
        let bytes = read.map_err(|rejection| body_error(&rejection))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let JsonBytes(bytes) =
            JsonBytes::from_request(Request::from_parts(head, bytes.into()), state).await?;
        if bytes.trim_ascii() == b"null" { Ok(Self(T::default())) } else { parse_body(&bytes).map(Self) }
    }
}

/// Returns `true` if the client has what this `ETag` names. The comparison is weak (RFC 9110, 8.8.3.2): a proxy
/// may have taken the `W/` away.
pub(crate) fn knows_etag(request: &HeaderMap, etag: &str) -> bool {
    request.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let opaque = |name: &str| name.trim().trim_start_matches("W/").to_owned();
        let mut names = value.to_str().unwrap_or_default().split(',');
        names.any(|name| opaque(name) == opaque(etag) || name.trim() == "*")
    })
}

/// Refuses what is no object: serde would take an array as the fields of a struct in their order.
pub(crate) fn require_object(body: &[u8]) -> Result<(), Error> {
    match body.trim_ascii_start().first() {
        Some(b'{') | None => Ok(()),
        Some(_) => Err(Error::new(ErrorCode::InvalidRequest, "the body must be a JSON object")),
    }
}

/// The problem of JSON that cannot be read; the text names line and column, never the content.
pub(crate) fn json_error(error: &serde_json::Error) -> Error {
    use serde_json::error::Category;
    let at = format!("at line {} column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => {
            Error::new(ErrorCode::InvalidRequest, format!("the body is not as documented: {error}"))
        }
        Category::Eof => Error::new(ErrorCode::InvalidRequest, format!("the body ends too early, {at}")),
        _ => Error::new(ErrorCode::InvalidRequest, format!("the body is no valid JSON, {at}")),
    }
}

fn body_error(rejection: &BytesRejection) -> Error {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Error::new(ErrorCode::TooLarge, "the body is larger than 1 MiB");
    }
    Error::new(ErrorCode::InvalidRequest, "the body could not be read")
}

fn is_json(content_type: Option<&axum::http::HeaderValue>) -> bool {
    let essence = content_type.and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
