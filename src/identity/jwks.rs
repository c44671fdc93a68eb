//! The public keys of a token issuer, read from its JWKS document.
//!
//! One task owns the reading; callers look into what it read last, and ask it to read again when
//! they meet a key it does not know. An issuer that is slow, endless or somebody else costs no more than the time and
//! the bytes of one document.

use std::{collections::HashMap, sync::Arc, time::Instant};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::unauthenticated;
use crate::{
    error::{Error, ErrorCode},
    limits,
};

/// Algorithms that a public key may verify.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The keys of one issuer, kept fresh in the background. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jwks {
    keys: watch::Receiver<Arc<KeySet>>,
    /// Asks the task to read the document again.
    wanted: Arc<Notify>,
}

#[derive(Default)]
struct KeySet {
    /// Keys by `kid`; one without stands under `None`.
    by_kid: HashMap<Option<String>, IssuerKey>,
    /// When the document was last asked for, whether or not it came.
    asked_at: Option<Instant>,
    /// `true` once the document has been read.
    is_known: bool,
}

#[derive(Clone)]
struct IssuerKey {
    key: Arc<DecodingKey>,
    /// The only algorithm it is for, if the document says so.
    algorithm: Option<KeyAlgorithm>,
}

/// A key set (RFC 7517 §5). Each key is read by itself: one that cannot be read is not for our tokens.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// Why a document does not do.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    /// The issuer does not answer, or breaks off. Its address may bear a secret.
    #[error("{0}")]
    Http(reqwest::Error),
    #[error("the issuer answers with status {0}")]
    Status(u16),
    #[error("the document has more than {} bytes", limits::MAX_JWKS_BYTES)]
    TooLarge,
    #[error("the document has more than {} keys", limits::MAX_JWKS_KEYS)]
    TooManyKeys,
    #[error("the document is no key set: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Jwks {
    /// Starts to follow the document at `url`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn follow(
        url: String,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Result<Self, reqwest::Error> {
        // It asks only the address that it was given: anyone who can redirect it would choose its keys.
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().timeout(limits::JWKS_TIMEOUT).redirect(redirects).build()?;
        let (sender, keys) = watch::channel(Arc::default());
        let wanted = Arc::new(Notify::new());
        let jwks = Self { keys, wanted: wanted.clone() };
        tasks.spawn(async move {
            loop {
                let last = sender.borrow().clone();
                let next = read_again(&client, &url, &last).await;
                sender.send_replace(Arc::new(next));
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = wanted.notified() => (),
                    () = tokio::time::sleep(limits::JWKS_MAX_AGE) => (),
                }
            }
        });
        Ok(jwks)
    }

    /// The key that `kid` names, read anew if it is unknown and the document was not just read.
    pub(super) async fn key(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<DecodingKey>, Error> {
        let mut keys = self.keys.clone();
        let mut current = keys.borrow_and_update().clone();
        let is_due = current.asked_at.is_none_or(|at| at.elapsed() >= limits::JWKS_MIN_REFRESH);
        if current.find(kid).is_none() && is_due {
            // The first reading is under way by itself.
            if current.asked_at.is_some() {
                self.wanted.notify_one();
            }
            // The task reports in any case, after its own timeout at the latest.
            let _ = tokio::time::timeout(limits::JWKS_TIMEOUT, keys.changed()).await;
            current = keys.borrow().clone();
        }
        match current.find(kid) {
            Some(found) if found.fits(algorithm) => Ok(found.key.clone()),
            Some(_) => Err(unauthenticated("the token's algorithm does not fit its key")),
            None if current.is_known => Err(unauthenticated("the token is signed with an unknown key")),
            None => {
                Err(Error::new(ErrorCode::IdentityUnavailable, "the issuer's keys cannot be read at present"))
            }
        }
    }
}

/// Reads the document; keeps the keys of `last` when that fails.
async fn read_again(client: &reqwest::Client, url: &str, last: &KeySet) -> KeySet {
    let asked_at = Some(Instant::now());
    match read(client, url).await.and_then(|document| usable_keys(&document)) {
        Ok(by_kid) => KeySet { by_kid, asked_at, is_known: true },
        Err(error) => {
            tracing::warn!(%error, "the issuer's keys could not be read");
            KeySet { by_kid: last.by_kid.clone(), asked_at, is_known: last.is_known }
        }
    }
}

/// Reads as much as a document may have. The time of the client runs until its last byte, and it asks for no compression,
/// nor does it know any.
async fn read(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, Unreadable> {
    let mut response = client.get(url).send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(Unreadable::Status(response.status().as_u16()));
    }
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if document.len() + chunk.len() > limits::MAX_JWKS_BYTES {
            return Err(Unreadable::TooLarge);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

fn usable_keys(document: &[u8]) -> Result<HashMap<Option<String>, IssuerKey>, Unreadable> {
    let Document { keys } = serde_json::from_slice(document)?;
    if keys.len() > limits::MAX_JWKS_KEYS {
        return Err(Unreadable::TooManyKeys);
    }
    let jwks = keys.into_iter().filter_map(|key| serde_json::from_str::<Jwk>(key.get()).ok());
    let mut usable = HashMap::new();
    for jwk in jwks.filter(is_for_signatures) {
        // A key whose figures are none is not for our tokens either.
        if let Ok(key) = DecodingKey::from_jwk(&jwk) {
            let key = IssuerKey { key: Arc::new(key), algorithm: jwk.common.key_algorithm };
            usable.insert(jwk.common.key_id, key);
        }
    }
    Ok(usable)
}

/// Returns `true` if signatures can be verified with the key: it is a public one, of a kind that we know, and
/// for nothing else (RFC 7517 §4.2, §4.3).
fn is_for_signatures(jwk: &Jwk) -> bool {
    let is_public = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => true,
        AlgorithmParameters::EllipticCurve(key) => {
            matches!(key.curve, EllipticCurve::P256 | EllipticCurve::P384)
        }
        AlgorithmParameters::OctetKeyPair(key) => key.curve == EllipticCurve::Ed25519,
        // A secret is not shown to everybody, so it is no such key; other kinds are not known.
        _ => false,
    };
    let key = &jwk.common;
    let is_used_so = key.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
    let may_verify =
        key.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let has_algorithm = key
        .key_algorithm
        .is_none_or(|named| ALGORITHMS.iter().any(|algorithm| named.to_string() == format!("{algorithm:?}")));
    is_public && is_used_so && may_verify && has_algorithm
}

impl From<reqwest::Error> for Unreadable {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

impl KeySet {
    /// A token without `kid` is verified with the only key, if there is only one.
    fn find(&self, kid: Option<&str>) -> Option<&IssuerKey> {
        match kid {
            Some(kid) => self.by_kid.get(&Some(kid.to_owned())),
            None if self.by_kid.len() == 1 => self.by_kid.values().next(),
            None => None,
        }
    }
}

impl IssuerKey {
    fn fits(&self, algorithm: Algorithm) -> bool {
        let is_named = self.algorithm.is_none_or(|named| named.to_string() == format!("{algorithm:?}"));
        // Never HMAC: a public key is no secret.
        is_named && ALGORITHMS.contains(&algorithm)
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySet").field("keys", &self.by_kid.len()).finish_non_exhaustive()
    }
}
