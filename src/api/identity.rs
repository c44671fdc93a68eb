//! Tickets for sockets, and tokens for development.

use std::{borrow::Cow, time::Duration};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::Api;
use crate::{
    error::Error,
    http::{
        body::SecretJson,
        documented::{Problems, codes},
        extract::{Caller, OptionalJson},
    },
    limits,
    model::{UserId, shown_name},
};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(create_ticket)).routes(routes!(create_dev_token))
}

/// Opens sockets for a minute.
#[derive(Debug, Serialize, ToSchema)]
struct Ticket {
    ticket: String,
    /// The time at which the ticket expires, in milliseconds since 1970.
    expires_at: u64,
}

/// A guest to make a token for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"sub": "alice", "name": "Alice", "ttl": 3600})))]
struct CreateDevToken {
    /// The user id; a new guest by default.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128, pattern = "^(?!revcast:)[^\\u0000-\\u001f\\u007f-\\u009f]+$")]
    sub: Option<UserId>,
    /// The name to show to others, at most 128 characters, of which something is seen. Bidirectional controls that would
    /// turn the text beside it around are taken out.
    #[serde(default)]
    #[schema(max_length = 128)]
    name: Option<String>,
    /// The lifetime of the token, in seconds; a day at most and by default.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86_400)]
    ttl: Option<u64>,
}

/// A token for development.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl", "sub": "alice", "name": "Alice",
    "expires_at": 1_767_229_200_000_i64
})))]
struct DevToken {
    token: String,
    #[schema(value_type = String)]
    sub: UserId,
    name: Option<String>,
    /// The time at which the token expires, in milliseconds since 1970.
    expires_at: u64,
}

/// Make a ticket for `/v1/ws`, which cannot carry a header in a browser; it lasts 60 s.
#[utoipa::path(
    post, path = "/v1/tickets", tag = "identity",
    responses(
        (status = 200, body = Ticket),
    )
)]
async fn create_ticket(
    State(api): State<Api>,
    Caller(identity): Caller,
) -> Result<SecretJson<Ticket>, Error> {
    let (ticket, expires_at) = api.authenticator.issue_ticket(&identity)?;
    Ok(SecretJson(Ticket { ticket, expires_at: expires_at * 1_000 }))
}

/// Make a guest token; only with `--dev`, and without a token.
#[utoipa::path(
    post, path = "/v1/dev/tokens", tag = "identity", request_body = Option<CreateDevToken>, security(()),
    responses(
        (status = 200, body = DevToken),
        (status = 404, description = "The server runs without `--dev`"),
        Problems<{ codes![InvalidField] }>,
    )
)]
async fn create_dev_token(
    State(api): State<Api>,
    OptionalJson(body): OptionalJson<CreateDevToken>,
) -> Result<SecretJson<DevToken>, Error> {
    let sub = match body.sub {
        Some(sub) => sub,
        None => format!("guest-{}", Uuid::now_v7().simple())
            .parse()
            .map_err(|error| Error::field("/sub", format!("{error}")))?,
    };
    if sub.is_reserved() {
        return Err(Error::field("/sub", "is a name of the server".to_owned()));
    }
    if body.name.as_ref().is_some_and(|name| name.chars().count() > limits::MAX_USER_NAME_CHARS) {
        return Err(Error::field(
            "/name",
            format!("must be at most {} characters", limits::MAX_USER_NAME_CHARS),
        ));
    }
    let name = body.name.as_deref().filter(|name| !name.is_empty()).map(|name| {
        shown_name(name).ok_or_else(|| Error::field("/name", "must have something that is seen".to_owned()))
    });
    let name = name.transpose()?;
    let ttl = body.ttl.map_or(limits::DEV_TOKEN_TTL, Duration::from_secs);
    if ttl.is_zero() || ttl > limits::DEV_TOKEN_TTL {
        let longest = limits::DEV_TOKEN_TTL.as_secs();
        return Err(Error::field("/ttl", format!("must be from 1 to {longest} seconds")));
    }
    let (token, expires_at) = api.authenticator.issue_dev_token(&sub, name.as_deref(), ttl)?;
    let name = name.map(Cow::into_owned);
    Ok(SecretJson(DevToken { token, sub, name, expires_at: expires_at * 1_000 }))
}
