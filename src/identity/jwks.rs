//! The public keys of a token issuer, read from its JWKS document.
//!
//! One task owns the reading; callers look into what it read last, and ask it to read again when
//! they meet a key it does not know.

use std::{collections::HashMap, sync::Arc, time::Instant};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{JwkSet, KeyAlgorithm},
};
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
    /// Whether the document was ever read.
    is_known: bool,
}

#[derive(Clone)]
struct IssuerKey {
    key: Arc<DecodingKey>,
    /// The only algorithm it is for, if the document says so.
    algorithm: Option<KeyAlgorithm>,
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
        let client = reqwest::Client::builder().timeout(limits::JWKS_TIMEOUT).build()?;
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
    let read = async { client.get(url).send().await?.error_for_status()?.json::<JwkSet>().await };
    let asked_at = Some(Instant::now());
    match read.await {
        Ok(document) => KeySet { by_kid: usable_keys(&document), asked_at, is_known: true },
        Err(error) => {
            tracing::warn!(%error, "the issuer's keys could not be read");
            KeySet { by_kid: last.by_kid.clone(), asked_at, is_known: last.is_known }
        }
    }
}

fn usable_keys(document: &JwkSet) -> HashMap<Option<String>, IssuerKey> {
    let mut keys = HashMap::new();
    for jwk in &document.keys {
        // A key of a kind we do not know is not for our tokens.
        if let Ok(key) = DecodingKey::from_jwk(jwk) {
            let key = IssuerKey { key: Arc::new(key), algorithm: jwk.common.key_algorithm };
            keys.insert(jwk.common.key_id.clone(), key);
        }
    }
    keys
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
