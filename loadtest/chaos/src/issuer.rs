//! The issuer of tokens: it signs with its newest key, and shows its keys as a JWKS document.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::anyhow;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The lifetime of a token: longer than a round.
const TOKEN_LASTS: Duration = Duration::from_secs(3_600);
/// Longest request for the document.
const MAX_REQUEST_BYTES: usize = 8 * 1024;

/// An issuer in this process. It stops when the handle goes.
#[derive(Debug)]
pub struct Issuer {
    /// The port on which it serves its document, `/jwks.json`, and tokens for those who cannot ask in this process:
    /// `/token/<user>`.
    pub port: u16,
    keys: Arc<Mutex<Keys>>,
    served: JoinHandle<()>,
}

/// The key that signs, and the one that will do so next. Both are shown, so that a rotation is met by nobody unprepared.
#[derive(Debug)]
struct Keys {
    present: Key,
    next: Key,
    /// The number of keys that there were.
    made: u64,
}

struct Key {
    id: String,
    private: EncodingKey,
    public: Value,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Starts with two new keys.
    ///
    /// # Errors
    /// When there is no port, or no key can be made.
    pub async fn start() -> anyhow::Result<Self> {
        let keys = Keys { present: Key::new(0)?, next: Key::new(1)?, made: 2 };
        let keys = Arc::new(Mutex::new(keys));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let served = tokio::spawn(serve(listener, keys.clone()));
        Ok(Self { port, keys, served })
    }

    /// Signs with the next key from now on, and shows the last one no more.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn rotate(&self) -> anyhow::Result<()> {
        let mut keys = self.lock();
        let next = keys.make()?;
        keys.present = std::mem::replace(&mut keys.next, next);
        Ok(())
    }

    /// Signs with a key that it has never shown from now on, and shows those before no more, as an issuer does whose keys
    /// were stolen.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn replace(&self) -> anyhow::Result<()> {
        let mut keys = self.lock();
        (keys.present, keys.next) = (keys.make()?, keys.make()?);
        Ok(())
    }

    /// The id of the key that signs.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.lock().present.id.clone()
    }

    /// A token of a user.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, user: &str) -> anyhow::Result<String> {
        self.lock().token(user)
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    fn make(&mut self) -> anyhow::Result<Key> {
        self.made += 1;
        Key::new(self.made - 1)
    }

    fn token(&self, user: &str) -> anyhow::Result<String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.present.id.clone());
        let until = SystemTime::now().duration_since(UNIX_EPOCH)? + TOKEN_LASTS;
        let claims = json!({"sub": user, "exp": until.as_secs()});
        Ok(jsonwebtoken::encode(&header, &claims, &self.present.private)?)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.served.abort();
    }
}

impl Key {
    fn new(number: u64) -> anyhow::Result<Self> {
        let pair = Ed25519KeyPair::generate().map_err(|_| anyhow!("no key can be made"))?;
        let private = pair.to_pkcs8v1().map_err(|_| anyhow!("a key cannot be written"))?;
        let id = format!("key-{number}");
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let public = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": id, "x": x});
        Ok(Self { id, private: EncodingKey::from_ed_der(private.as_ref()), public })
    }
}

async fn serve(listener: TcpListener, keys: Arc<Mutex<Keys>>) {
    while let Ok((client, _)) = listener.accept().await {
        // A client that breaks off is its own business.
        tokio::spawn(answer(client, keys.clone()));
    }
}

async fn answer(mut client: TcpStream, keys: Arc<Mutex<Keys>>) -> anyhow::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < MAX_REQUEST_BYTES {
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let user = String::from_utf8_lossy(&request);
    let user = user.strip_prefix("GET /token/").and_then(|rest| rest.split_once(' ')).map(|(user, _)| user);
    let body = {
        let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
        match user {
            Some(user) => keys.token(user)?,
            None => json!({"keys": [keys.present.public, keys.next.public]}).to_string(),
        }
    };
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
    client.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await?;
    Ok(client.shutdown().await?)
}
