//! The identity of a caller: bearer tokens, tickets and development tokens.
//!
//! Owns keys, verification and the cache of verified tokens. It knows nothing of roles.

mod header;
mod jwks;
mod secret;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::{
    error::{Error, ErrorCode},
    limits,
    model::{UserId, shown_name},
};

use header::TokenHeader;
pub use jwks::Jwks;
pub use secret::Secret;

/// Verified tokens one node remembers.
/// At the bound, the least useful one is forgotten, and verified again.
const TOKEN_CACHE_ENTRIES: usize = 20_000;

/// The detail for whoever comes too late.
const EXPIRED: &str = "the token has expired";

/// A verified caller. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The `sub` of the token.
    pub user_id: UserId,
    /// The name to show to others.
    pub name: Option<Arc<str>>,
    /// When the identity ends, in seconds since 1970: its token's `exp` and the leeway with which that was verified, so
    /// that requests, sockets and event streams end at one time.
    pub expires_at: u64,
}

impl Identity {
    /// Returns `true` once its time is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.expires_at <= now_seconds()
    }
}

/// The tokens that are accepted.
#[derive(Debug, Default)]
pub struct IdentityOptions {
    /// Verifies HS256 tokens.
    pub secret: Option<Secret>,
    /// Verifies tokens signed with the keys of an issuer.
    pub jwks: Option<Jwks>,
    /// The `iss` that a token must have.
    pub issuer: Option<String>,
    /// The `aud` that a token must have.
    pub audience: Option<String>,
    /// `true` if development tokens are made and accepted.
    pub dev: bool,
}

/// A mark in the extensions of an answer: the request bore a token or a ticket that is not valid, whatever the
/// answer's status.
#[derive(Clone, Copy, Debug)]
pub struct NotValid;

/// Verifies tokens and makes tickets.
pub struct Authenticator {
    options: IdentityOptions,
    /// The secret as a key, with what a token must satisfy.
    hs256: Option<(DecodingKey, Validation)>,
    /// The rules for a token signed by the issuer's keys; its algorithm comes from the key.
    issuer_rules: Validation,
    tickets: LocalKey,
    dev_tokens: LocalKey,
    /// Verified tokens; an entry is checked for expiry on each use.
    verified: Cache<Box<str>, Identity>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(deserialize_with = "numeric_date")]
    exp: u64,
    /// In a ticket, the end of the identity that asked for it, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity_exp: Option<u64>,
}

/// A key that only the servers of one database share.
struct LocalKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl LocalKey {
    /// `purpose` keeps what was signed for one end from being used for another.
    fn new(purpose: &str, server_key: Uuid) -> Self {
        let key = [purpose.as_bytes(), server_key.as_bytes()].concat();
        Self { encoding: EncodingKey::from_secret(&key), decoding: DecodingKey::from_secret(&key) }
    }

    fn sign(&self, claims: &Claims) -> Result<String, Error> {
        jsonwebtoken::encode(&Header::default(), claims, &self.encoding).map_err(|error| {
            tracing::error!(%error, "a token could not be signed");
            Error::new(ErrorCode::Internal, "the token could not be signed")
        })
    }
}

impl Authenticator {
    /// Accepts what `options` say. `server_key` signs tickets and development tokens.
    #[must_use]
    pub fn new(options: IdentityOptions, server_key: Uuid) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = limits::CLOCK_LEEWAY.as_secs();
        rules.validate_nbf = true;
        if let Some(issuer) = &options.issuer {
            rules.set_issuer(&[issuer]);
            rules.required_spec_claims.insert("iss".to_owned());
        }
        match &options.audience {
            Some(audience) => {
                rules.set_audience(&[audience]);
                rules.required_spec_claims.insert("aud".to_owned());
            }
            None => rules.validate_aud = false,
        }
        let hs256 = options.secret.as_ref().map(|s| (DecodingKey::from_secret(s.expose()), rules.clone()));
        Self {
            hs256,
            issuer_rules: rules,
            tickets: LocalKey::new("revcast ticket ", server_key),
            dev_tokens: LocalKey::new("revcast dev token ", server_key),
            verified: Cache::new(TOKEN_CACHE_ENTRIES),
            options,
        }
    }

    /// Returns `true` if this token was verified before and is still known.
    #[must_use]
    pub fn knows(&self, token: &str) -> bool {
        self.verified.get(token).is_some_and(|identity| !identity.has_ended())
    }

    /// Verifies a bearer token.
    ///
    /// # Errors
    /// `unauthenticated`, or `identity_unavailable` when the issuer's keys cannot be read.
    pub async fn verify(&self, token: &str) -> Result<Identity, Error> {
        if let Some(identity) = self.verified.get(token) {
            if !identity.has_ended() {
                return Ok(identity);
            }
            self.verified.remove(token);
        }
        if token.len() > limits::MAX_TOKEN_BYTES {
            return Err(unauthenticated("the token is too long"));
        }
        let TokenHeader { algorithm, kid } = TokenHeader::read(token)?;
        let claims = match algorithm {
            Algorithm::HS256 => self.verify_hs256(token)?,
            algorithm => self.verify_by_issuer(token, algorithm, kid.as_deref()).await?,
        };
        let identity = into_identity(claims)?;
        self.verified.insert(token.into(), identity.clone());
        Ok(identity)
    }

    fn verify_hs256(&self, token: &str) -> Result<Claims, Error> {
        if self.options.dev
            && let Ok(claims) = decode(token, &self.dev_tokens.decoding, &local_rules())
        {
            return Ok(claims);
        }
        match &self.hs256 {
            Some((key, rules)) => decode(token, key, rules),
            None => Err(unauthenticated("the token is not signed with a key of this server")),
        }
    }

    async fn verify_by_issuer(
        &self,
        token: &str,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Claims, Error> {
        let Some(jwks) = &self.options.jwks else {
            return Err(unauthenticated("the token's algorithm is not accepted here"));
        };
        let key = jwks.key(kid, algorithm).await?;
        let mut rules = self.issuer_rules.clone();
        rules.algorithms = vec![algorithm];
        decode(token, &key, &rules)
    }

    /// Makes a ticket for the bearer of `identity`; returns it with its end, in seconds since 1970.
    ///
    /// # Errors
    /// `internal` when signing fails.
    pub fn issue_ticket(&self, identity: &Identity) -> Result<(String, u64), Error> {
        let exp = (now_seconds() + limits::TICKET_TTL.as_secs()).min(identity.expires_at);
        let claims = Claims {
            sub: identity.user_id.as_str().to_owned(),
            name: identity.name.as_deref().map(str::to_owned),
            exp,
            identity_exp: Some(identity.expires_at),
        };
        Ok((self.tickets.sign(&claims)?, exp))
    }

    /// Verifies a ticket; the identity is that of the token which asked for it.
    ///
    /// # Errors
    /// `unauthenticated`.
    pub fn verify_ticket(&self, ticket: &str) -> Result<Identity, Error> {
        if ticket.len() > limits::MAX_TOKEN_BYTES {
            return Err(unauthenticated("the ticket is too long"));
        }
        TokenHeader::read(ticket)?;
        let mut claims = decode(ticket, &self.tickets.decoding, &local_rules())?;
        claims.exp = claims.identity_exp.unwrap_or(claims.exp);
        into_identity(claims)
    }

    /// Makes a development token; returns it with its end, in seconds since 1970.
    ///
    /// # Errors
    /// `not_found` on a server without `--dev`.
    pub fn issue_dev_token(
        &self,
        user: &UserId,
        name: Option<&str>,
        ttl: Duration,
    ) -> Result<(String, u64), Error> {
        if !self.options.dev {
            return Err(Error::new(ErrorCode::NotFound, "development tokens exist only with --dev"));
        }
        let exp = now_seconds() + ttl.as_secs();
        let claims =
            Claims { sub: user.as_str().to_owned(), name: name.map(str::to_owned), exp, identity_exp: None };
        Ok((self.dev_tokens.sign(&claims)?, exp))
    }
}

/// Signs a bearer token with the configured secret, as `revcast token` does.
///
/// # Errors
/// When signing fails.
pub fn sign_token(
    secret: &Secret,
    user: &UserId,
    name: Option<&str>,
    ttl: Duration,
    issuer: Option<&str>,
    audience: Option<&str>,
) -> Result<String, jsonwebtoken::errors::Error> {
    #[derive(Serialize)]
    struct Full<'a> {
        #[serde(flatten)]
        claims: Claims,
        #[serde(skip_serializing_if = "Option::is_none")]
        iss: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        aud: Option<&'a str>,
    }
    let claims = Claims {
        sub: user.as_str().to_owned(),
        name: name.map(str::to_owned),
        exp: now_seconds() + ttl.as_secs(),
        identity_exp: None,
    };
    let full = Full { claims, iss: issuer, aud: audience };
    jsonwebtoken::encode(&Header::default(), &full, &EncodingKey::from_secret(secret.expose()))
}

/// Rules for what this database's servers sign for each other.
fn local_rules() -> Validation {
    let mut rules = Validation::new(Algorithm::HS256);
    // Signer and verifier may be two nodes with clocks a little apart; expiry is not stretched by it.
    rules.leeway = 1;
    rules.validate_aud = false;
    rules
}

/// Verifies a token; the `exp` of its claims is moved by the leeway.
fn decode(token: &str, key: &DecodingKey, rules: &Validation) -> Result<Claims, Error> {
    use jsonwebtoken::errors::ErrorKind;
    let decoded = jsonwebtoken::decode::<Claims>(token, key, rules);
    let with_leeway = |claims: Claims| Claims { exp: claims.exp.saturating_add(rules.leeway), ..claims };
    decoded.map(|data| with_leeway(data.claims)).map_err(|error| {
        unauthenticated(match error.kind() {
            ErrorKind::ExpiredSignature => EXPIRED,
            ErrorKind::ImmatureSignature => "the token is not valid yet",
            ErrorKind::InvalidIssuer => "the token is of another issuer",
            ErrorKind::InvalidAudience => "the token is for another audience",
            ErrorKind::MissingRequiredClaim(_) => "the token lacks a required claim",
            ErrorKind::Json(_) => "the claims of the token are malformed",
            _ => "the token's signature does not fit",
        })
    })
}

/// Seconds since 1970, which may have a fraction (RFC 7519 §2).
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the fraction is dropped, and what u64 does not hold ends at its limits"
    )]
    f64::deserialize(deserializer).map(|seconds| seconds as u64)
}

fn into_identity(claims: Claims) -> Result<Identity, Error> {
    let user_id: UserId =
        claims.sub.parse().map_err(|_| unauthenticated("the token's sub must be 1 to 128 characters"))?;
    if user_id.is_reserved() {
        return Err(unauthenticated("the token's sub is a name of the server"));
    }
    // A name does not decide who somebody is, so one that cannot be shown is dropped. The cut may take all that
    // is visible.
    let name = claims.name.and_then(|name| {
        let name: String = name.chars().take(limits::MAX_USER_NAME_CHARS).collect();
        shown_name(&name).map(Arc::from)
    });
    let identity = Identity { user_id, name, expires_at: claims.exp };
    if identity.has_ended() {
        return Err(unauthenticated(EXPIRED));
    }
    Ok(identity)
}

/// The answer to a caller whose token or ticket does not do.
#[must_use]
pub fn unauthenticated(detail: &'static str) -> Error {
    Error::new(ErrorCode::Unauthenticated, detail)
}

/// The server's clock, in seconds since 1970.
#[must_use]
pub fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("options", &self.options).finish_non_exhaustive()
    }
}
