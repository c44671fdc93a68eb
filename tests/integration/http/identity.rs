//! The identity of whoever asks: development tokens, JWTs by secret and by JWKS, tickets.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, routing::get};
use futures_util::StreamExt;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use loadtest::socket::Socket;
use reqwest::Method;
use revcast::identity::{Secret, sign_token};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::support::{Answer, App, Client, eventually};

/// The secret with which the tests sign tokens.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Keys made for this file and used nowhere else.
pub const ES256_A: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVgKQDT4E6jBqeeIc
eUiIk+1am7tc6qVjDPTF1B2thcihRANCAATeewZRAzKH3Zud6MseDM9io2RU9D3g
l7G89eNx5mfuq5G4Z/Mrn7myBw86aj4LD8n9C6W39QY3IXByu4WrdVsV
-----END PRIVATE KEY-----";
const ES256_A_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3nsGUQMyh92bnejLHgzPYqNkVPQ9
4JexvPXjceZn7quRuGfzK5+5sgcPOmo+Cw/J/Qult/UGNyFwcruFq3VbFQ==
-----END PUBLIC KEY-----
";
const ES256_B: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtpanTM3mXGwGMxOH
0UK+v0dc7QVOMSwCKG204gbZYnChRANCAARRM+b5HzWlha7GumbsnlkJgecmLfkU
H2fIcw9QXUrgI1s/W+y6pAOMYuFML6+bgqkyn200/ug/tJekZbzJnrJl
-----END PRIVATE KEY-----";
const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEILhrridAalGe6vAqYe8crBhXzSG85s5jKkxqdDcAPRzm
-----END PRIVATE KEY-----";
/// `{"alg":"none","typ":"JWT"}` and `{"sub":"mallory","exp":4102444800}`, without a signature.
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJtYWxsb3J5IiwiZXhwIjo0MTAyNDQ0ODAwfQ.";

pub fn jwk_a() -> Value {
    json!({"kty": "EC", "crv": "P-256", "kid": "a", "use": "sig", "alg": "ES256",
        "x": "3nsGUQMyh92bnejLHgzPYqNkVPQ94JexvPXjceZn7qs", "y": "kbhn8yufubIHDzpqPgsPyf0Lpbf1BjchcHK7hat1WxU"})
}

fn jwk_b() -> Value {
    json!({"kty": "EC", "crv": "P-256", "kid": "b",
        "x": "UTPm-R81pYWuxrpm7J5ZCYHnJi35FB9nyHMPUF1K4CM", "y": "Wz9b7LqkA4xi4Uwvr5uCqTKfbTT-6D-0l6RlvMmesmU"})
}

fn jwk_ed() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA",
        "x": "YkY2O_TrbghHpemR0ZlCbVcLYKKGJqnwA95zWe0xwb4"})
}

/// The clock, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn claims() -> Value {
    json!({"sub": "alice", "exp": now() + 600})
}

fn sign(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

/// A token with these claims.
pub fn by_secret(claims: &Value) -> String {
    sign(Algorithm::HS256, None, &EncodingKey::from_secret(SECRET.as_bytes()), claims)
}

pub fn by_key(pem: &str, kid: &str) -> String {
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    sign(Algorithm::ES256, Some(kid), &key, &claims())
}

/// The answer to the bearer of a token who lists drawings.
pub async fn list(app: &App, token: &str) -> Answer {
    Client::with_token(&app.base, token).get("/v1/drawings").await
}

pub fn expect_unauthenticated(answer: Answer) {
    let answer = answer.expect_problem(401, "unauthenticated");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_no_valid_token_is_told_that_a_bearer_is_wanted() {
    let app = App::sqlite().await;
    let anyone = Client::with_token(&app.base, "");
    expect_unauthenticated(anyone.get("/v1/drawings").await);
    let token = app.client("alice").await.token;
    let cut = &token[..token.len() - 1];
    let long = "a".repeat(8 * 1024 + 1);
    let rows = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer x".to_owned(),
        "Bearer a.b.c".to_owned(),
        format!("Basic {token}"),
        token.clone(),
        format!("Bearer {cut}"),
        format!("Bearer {token}x"),
        format!("Bearer {UNSIGNED}"),
        format!("Bearer {long}"),
        "Bearer ä".to_owned(),
    ];
    for header in rows {
        let value = reqwest::header::HeaderValue::from_bytes(header.as_bytes()).unwrap();
        let request = anyone.request(Method::GET, "/v1/drawings").header("authorization", value);
        expect_unauthenticated(Client::send(request).await.unwrap());
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} {token}");
        anyone.get_with("/v1/drawings", &[("authorization", &value)]).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_in_a_token_is_shown_as_it_reads_or_not_at_all() {
    let app = App::sqlite_with(&["--jwt-secret", SECRET]).await;
    for (name, shown) in [
        ("\u{202e}Alice\u{202c}", json!("Alice")),
        ("👩\u{200d}🚀 \u{2068}a\u{2069}", json!("👩\u{200d}🚀 \u{2068}a\u{2069}")),
        ("\u{200b}\u{3164}", Value::Null),
        ("", Value::Null),
    ] {
        let token = by_secret(&json!({"sub": "alice", "name": name, "exp": now() + 600}));
        let alice = Client::with_token(&app.base, &token);
        let id = alice.create_drawing().await;
        let path = format!("/v1/drawings/{id}/presence");
        let posted = alice.post(&path, &json!({"state": {}})).await.expect(200).json();
        let roster = alice.get(&path).await.expect(200).json();
        let present = &roster["set"][posted["connection_id"].as_str().unwrap()];
        assert_eq!(present["name"], shown, "{roster}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_the_server() {
    let app = App::sqlite_with(&["--jwt-secret", SECRET]).await;
    let named = |sub: &str| by_secret(&json!({"sub": sub, "exp": now() + 600}));
    for sub in ["revcast:fold", "revcast:", "revcast:anyone"] {
        expect_unauthenticated(list(&app, &named(sub)).await);
        let anyone = Client::with_token(&app.base, "");
        let refused = anyone.post("/v1/dev/tokens", &json!({ "sub": sub })).await;
        refused.expect_problem(422, "invalid_field");
    }
    list(&app, &named("revcast")).await.expect(200);
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let member = format!("/v1/drawings/{id}/members/revcast:fold");
    alice.put(&member, &json!({"role": "editor"})).await.expect_problem(422, "invalid_field");
}

#[tokio::test(flavor = "multi_thread")]
async fn development_tokens_exist_with_dev_alone() {
    let app = App::sqlite_without_dev(&["--jwt-secret", SECRET]).await;
    let anyone = Client::with_token(&app.base, "");
    for body in [json!({}), json!({"sub": "alice"})] {
        anyone.post("/v1/dev/tokens", &body).await.expect_problem(404, "not_found");
    }
    list(&app, &by_secret(&claims())).await.expect(200);
    // One of another server opens nothing here.
    let other = App::sqlite().await.client("alice").await;
    expect_unauthenticated(list(&app, &other.token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_token_names_its_bearer_and_ends_within_a_day() {
    let app = App::sqlite().await;
    let anyone = Client::with_token(&app.base, "");
    let get = |body: Value| {
        let anyone = anyone.clone();
        async move { anyone.post("/v1/dev/tokens", &body).await }
    };
    let ends = [(json!(1), 1), (json!(60), 60), (json!(86_400), 86_400), (json!(null), 86_400)];
    for (ttl, seconds) in ends {
        let made = get(json!({"sub": "alice", "name": "Alice", "ttl": ttl})).await.expect(200).json();
        assert_eq!((&made["sub"], &made["name"]), (&json!("alice"), &json!("Alice")));
        assert!(made["expires_at"].as_u64().unwrap().abs_diff((now() + seconds) * 1_000) < 10_000, "{made}");
        // That of a second may have ended by now.
        if seconds > 1 {
            list(&app, made["token"].as_str().unwrap()).await.expect(200);
        }
    }
    let (one, two) = (get(json!({})).await.expect(200).json(), get(json!({})).await.expect(200).json());
    assert!(one["sub"].as_str().unwrap().starts_with("guest-"), "{one}");
    assert_ne!(one["sub"], two["sub"]);
    let longest = "ä".repeat(128);
    get(json!({"sub": longest, "name": longest})).await.expect(200);
    get(json!({"sub": longest.clone() + "ä"})).await.expect_problem(400, "invalid_request");
    get(json!({"sub": ""})).await.expect_problem(400, "invalid_request");
    get(json!({"sub": "a\u{0}"})).await.expect_problem(400, "invalid_request");
    get(json!({"name": longest + "ä"})).await.expect_problem(422, "invalid_field");
    let unseen = get(json!({"name": "\u{200b}\u{202e}"})).await.expect_problem(422, "invalid_field");
    assert_eq!(unseen.json()["pointer"], "/name");
    let turned = get(json!({"name": "Al\u{202e}ice"})).await.expect(200).json();
    assert_eq!(turned["name"], "Alice");
    for ttl in [json!(0), json!(86_401), json!(u64::MAX)] {
        get(json!({ "ttl": ttl })).await.expect_problem(422, "invalid_field");
    }
    for ttl in [json!(-1), json!(1.5), json!("60"), json!(1e30)] {
        get(json!({ "ttl": ttl })).await.expect_problem(400, "invalid_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_by_secret_is_checked_in_every_claim() {
    let flags = ["--jwt-secret", SECRET, "--jwt-issuer", "https://id.example", "--jwt-audience", "revcast"];
    let app = App::sqlite_without_dev(&flags).await;
    let good = json!({"sub": "alice", "exp": now() + 600, "iss": "https://id.example", "aud": "revcast"});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let accepted = [
        good.clone(),
        with("aud", json!(["other", "revcast"])),
        with("name", json!("Alice")),
        with("exp", json!(now() - 3)),
        with("exp", json!(f64::from(u32::try_from(now()).unwrap()) + 600.5)),
        with("exp", json!(u64::MAX)),
        with("nbf", json!(now() - 60)),
        with("sub", json!("ä".repeat(128))),
        with("email", json!("alice@example.com")),
    ];
    for claims in accepted {
        let token = by_secret(&claims);
        // The second time from the cache.
        for _ in 0..2 {
            assert_eq!(list(&app, &token).await.status, 200, "{claims}");
        }
    }
    let refused = [
        with("iss", json!("https://evil.example")),
        without("iss"),
        with("aud", json!("other")),
        with("aud", json!(["other"])),
        without("aud"),
        with("exp", json!(now() - 60)),
        with("exp", json!(0)),
        with("exp", json!(-1)),
        with("exp", json!("soon")),
        without("exp"),
        with("nbf", json!(now() + 60)),
        without("sub"),
        with("sub", json!("")),
        with("sub", json!(7)),
        with("sub", json!("a\u{0}")),
        with("sub", json!("ä".repeat(129))),
    ];
    for claims in refused {
        let answer = list(&app, &by_secret(&claims)).await;
        assert_eq!(answer.status, 401, "{claims}");
        expect_unauthenticated(answer);
    }
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        expect_unauthenticated(list(&app, &sign(algorithm, None, &secret, &good)).await);
    }
    let wrong = EncodingKey::from_secret(&[b'x'; 32]);
    expect_unauthenticated(list(&app, &sign(Algorithm::HS256, None, &wrong, &good)).await);
    expect_unauthenticated(list(&app, UNSIGNED).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_that_the_program_prints_opens_its_server() {
    let flags = ["--jwt-secret", SECRET, "--jwt-issuer", "https://id.example", "--jwt-audience", "revcast"];
    let app = App::sqlite_without_dev(&flags).await;
    let (secret, user) = (SECRET.parse::<Secret>().unwrap(), "alice".parse().unwrap());
    let token = |issuer, audience| {
        sign_token(&secret, &user, Some("Alice"), Duration::from_secs(60), issuer, audience).unwrap()
    };
    list(&app, &token(Some("https://id.example"), Some("revcast"))).await.expect(200);
    expect_unauthenticated(list(&app, &token(None, None)).await);
}

/// The answer of the socket to a ticket: the type of the first message, or the code of the close.
async fn open_with_ticket(app: &App, ticket: &str) -> Result<String, u16> {
    let url = format!("{}/v1/ws?ticket={ticket}", app.base.replacen("http", "ws", 1));
    let (mut socket, _) = connect_async(url).await.expect("the handshake succeeds");
    loop {
        match socket.next().await.expect("the server says something").unwrap() {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                return Ok(message["type"].as_str().unwrap().to_owned());
            }
            Message::Close(frame) => return Err(frame.expect("a close has a code").code.into()),
            _ => (),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_a_socket_and_nothing_else_and_a_token_is_no_ticket() {
    let secret = ["--jwt-secret", SECRET];
    for app in [App::sqlite().await, App::sqlite_without_dev(&secret).await, App::sqlite_with(&secret).await]
    {
        let token = match Client::with_token(&app.base, "").post("/v1/dev/tokens", &json!({})).await {
            made if made.status == 200 => made.json()["token"].as_str().unwrap().to_owned(),
            _ => by_secret(&claims()),
        };
        let bearer = Client::with_token(&app.base, &token);
        let made = bearer.call(Method::POST, "/v1/tickets", None).await.expect(200).json();
        let ticket = made["ticket"].as_str().unwrap();
        assert!(made["expires_at"].as_u64().unwrap().abs_diff((now() + 60) * 1_000) < 10_000, "{made}");
        assert_eq!(open_with_ticket(&app, ticket).await, Ok("hello".to_owned()));
        for other in [&*token, &by_secret(&claims()), UNSIGNED, "x", "", &ticket[..ticket.len() - 1]] {
            assert_eq!(open_with_ticket(&app, other).await, Err(4101), "{other}");
        }
        expect_unauthenticated(list(&app, ticket).await);
        assert!(Socket::open(&app.base, ticket).await.is_err(), "a ticket is no bearer token");
        let holder = Client::with_token(&app.base, ticket);
        expect_unauthenticated(holder.call(Method::POST, "/v1/tickets", None).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_secret_is_kept_by_nobody() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let link = alice.post(&format!("/v1/drawings/{id}/links"), &json!({"role": "viewer"})).await.expect(201);
    let ticket = alice.call(Method::POST, "/v1/tickets", None).await.expect(200);
    let token = alice.post("/v1/dev/tokens", &json!({})).await.expect(200);
    for (answer, secret) in [(link, "token"), (ticket, "ticket"), (token, "token")] {
        assert!(answer.json()[secret].is_string(), "{answer:?}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/json", "{answer:?}");
    }
}

/// An issuer of tokens: serves whatever keys it is told to.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Vec<Value>>>,
}

impl Issuer {
    async fn start(keys: Vec<Value>) -> Self {
        let keys = Arc::new(Mutex::new(keys));
        let shown = keys.clone();
        let document = move || async move { Json(json!({"keys": *shown.lock().unwrap()})) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let router = Router::new().route("/jwks.json", get(document));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, keys }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_an_issuer_are_verified_with_its_keys_and_no_other() {
    let issuer = Issuer::start(vec![jwk_a(), jwk_ed(), json!({"kty": "new", "kid": "n"})]).await;
    let app = App::sqlite_without_dev(&["--jwks-url", &issuer.url]).await;
    list(&app, &by_key(ES256_A, "a")).await.expect(200);
    let ed = EncodingKey::from_ed_pem(ED25519.as_bytes()).unwrap();
    list(&app, &sign(Algorithm::EdDSA, Some("ed"), &ed, &claims())).await.expect(200);
    // Another key under a known name, a key under another's name, an unknown name, none.
    expect_unauthenticated(list(&app, &by_key(ES256_B, "a")).await);
    expect_unauthenticated(list(&app, &by_key(ES256_A, "ed")).await);
    expect_unauthenticated(list(&app, &sign(Algorithm::EdDSA, Some("a"), &ed, &claims())).await);
    expect_unauthenticated(list(&app, &by_key(ES256_A, "z")).await);
    expect_unauthenticated(list(&app, &sign(Algorithm::EdDSA, None, &ed, &claims())).await);
    expect_unauthenticated(list(&app, UNSIGNED).await);
    // A public key is known to everyone: it is never taken for a secret.
    let x = jwk_a()["x"].as_str().unwrap().to_owned();
    for public in [ES256_A_PUBLIC, ES256_A_PUBLIC.trim(), &x] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            for kid in [Some("a"), None] {
                let key = EncodingKey::from_secret(public.as_bytes());
                expect_unauthenticated(list(&app, &sign(algorithm, kid, &key, &claims())).await);
            }
        }
    }
    let expired = json!({"sub": "alice", "exp": now() - 60});
    expect_unauthenticated(list(&app, &sign(Algorithm::EdDSA, Some("ed"), &ed, &expired)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_of_the_issuer_serves_once_a_token_names_it() {
    let issuer = Issuer::start(vec![jwk_a()]).await;
    let app = App::sqlite_without_dev(&["--jwks-url", &issuer.url]).await;
    list(&app, &by_key(ES256_A, "a")).await.expect(200);
    expect_unauthenticated(list(&app, &by_key(ES256_B, "b")).await);
    *issuer.keys.lock().unwrap() = vec![jwk_b()];
    // The document is read again at most every ten seconds, however often it is asked for.
    let token = by_key(ES256_B, "b");
    eventually("the new key is read", || async {
        let answer = list(&app, &token).await;
        (answer.status == 200).then_some(())
    })
    .await;
    // A token that was signed with the withdrawn key is refused, unless it was verified before.
    let mut other = claims();
    other["sub"] = json!("bob");
    let old = EncodingKey::from_ec_pem(ES256_A.as_bytes()).unwrap();
    expect_unauthenticated(list(&app, &sign(Algorithm::ES256, Some("a"), &old, &other)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_keys_of_the_issuer_nobody_can_be_told_from_anybody() {
    let port = loadtest::services::free_port().unwrap();
    let url = format!("http://127.0.0.1:{port}/jwks.json");
    let app = App::sqlite_without_dev(&["--jwks-url", &url, "--jwt-secret", SECRET]).await;
    let refused = list(&app, &by_key(ES256_A, "a")).await.expect_problem(503, "identity_unavailable");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.json()["retryable"], true);
    list(&app, &by_secret(&claims())).await.expect(200);
}
