//! Issuers that do not behave, and tokens that ask for more than is understood here.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::header,
    response::{IntoResponse, Redirect},
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use revcast::limits;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    http::identity::{ES256_A, SECRET, by_key, by_secret, claims, expect_unauthenticated, jwk_a, list, now},
    support::{App, eventually},
};

/// Starts an issuer that shows these routes, and returns the URL of its key set.
async fn issuer(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A key set with a key that fits and something behind it, in so many bytes.
fn key_set_of(bytes: usize) -> String {
    let text = |padding: usize| json!({"keys": [jwk_a()], "padding": "x".repeat(padding)}).to_string();
    text(bytes - text(0).len())
}

/// A server that takes tokens of this issuer, and what it answers to one.
async fn told_of(router: Router) -> (App, u16) {
    let url = issuer(router).await;
    let app = App::sqlite_without_dev(&["--jwks-url", &url, "--jwt-secret", SECRET]).await;
    let answer = list(&app, &by_key(ES256_A, "a")).await;
    let status = answer.status;
    if status == 503 {
        answer.expect_problem(503, "identity_unavailable");
    }
    // Whatever the issuer does, other tokens are its business in no way.
    list(&app, &by_secret(&claims())).await.expect(200);
    (app, status)
}

fn document(text: String) -> Router {
    Router::new().route("/jwks.json", get(move || async move { text }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_is_read_up_to_1_mib() {
    assert_eq!(limits::MAX_JWKS_BYTES, 1 << 20);
    assert_eq!(told_of(document(key_set_of(1 << 20))).await.1, 200);
    assert_eq!(told_of(document(key_set_of((1 << 20) + 1))).await.1, 503);
    // The same without a length that tells of it.
    let chunked = |bytes| {
        let chunks: Vec<_> =
            key_set_of(bytes).into_bytes().chunks(10_000).map(Bytes::copy_from_slice).collect();
        let body = move || async move {
            Body::from_stream(stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>)))
        };
        Router::new().route("/jwks.json", get(body))
    };
    assert_eq!(told_of(chunked(1 << 20)).await.1, 200);
    assert_eq!(told_of(chunked((1 << 20) + 1)).await.1, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_without_an_end_is_given_up() {
    // As fast as they are taken: the bytes end it. One at a time: the clock does.
    for (chunk, pause) in [(64 * 1024, Duration::ZERO), (1, Duration::from_millis(100))] {
        let (began_reading, mut readings) = mpsc::channel(1);
        let body = move || {
            let reading = Arc::new(());
            began_reading.try_send(Arc::downgrade(&reading)).unwrap();
            let endless = stream::unfold(reading, move |reading| async move {
                tokio::time::sleep(pause).await;
                Some((Ok::<_, std::io::Error>(Bytes::from(vec![b' '; chunk])), reading))
            });
            async move { Body::from_stream(endless) }
        };
        let began = Instant::now();
        let (_app, status) = told_of(Router::new().route("/jwks.json", get(body))).await;
        assert_eq!(status, 503);
        assert!(began.elapsed() < 2 * limits::JWKS_TIMEOUT, "{:?}", began.elapsed());
        let reading = readings.recv().await.unwrap();
        eventually("the server reads no more of it", || async { reading.upgrade().is_none().then_some(()) })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let elsewhere = issuer(document(json!({"keys": [jwk_a()]}).to_string())).await;
    let to = move || async move { Redirect::temporary(&elsewhere) };
    assert_eq!(told_of(Router::new().route("/jwks.json", get(to))).await.1, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_key_set_is_not_inflated() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(key_set_of(500_000).as_bytes()).unwrap();
    let bytes = gzip.finish().unwrap();
    let body = move || async move { ([(header::CONTENT_ENCODING, "gzip")], bytes).into_response() };
    assert_eq!(told_of(Router::new().route("/jwks.json", get(body))).await.1, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_has_so_many_keys_and_those_that_do_not_fit_are_passed_over() {
    let with = |others: Vec<Value>| {
        let mut keys = others;
        keys.push(jwk_a());
        document(json!({ "keys": keys }).to_string())
    };
    let other = json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "other", "pub": "AA"});
    assert_eq!(told_of(with(vec![other.clone(); limits::MAX_JWKS_KEYS - 1])).await.1, 200);
    assert_eq!(told_of(with(vec![other; limits::MAX_JWKS_KEYS])).await.1, 503);
    let changed = |name: &str, value: Value| {
        let mut key = jwk_a();
        key[name] = value;
        key
    };
    // The same key, for something else; what cannot be read as a key at all.
    let unfit = [
        changed("use", json!("enc")),
        changed("key_ops", json!(["sign"])),
        changed("key_ops", json!("verify")),
        changed("alg", json!("ECDH-ES")),
        changed("crv", json!("P-521")),
        changed("kty", json!("new")),
        changed("kty", json!(7)),
        changed("x", json!("!")),
        json!({"kty": "oct", "kid": "a", "k": "AAAA"}),
        json!(7),
        json!(null),
    ];
    for key in &unfit {
        let (_app, status) = told_of(document(json!({"keys": [key]}).to_string())).await;
        assert_eq!(status, 401, "{key}");
    }
    let (_app, status) = told_of(with(unfit.to_vec())).await;
    assert_eq!(status, 200);
    for malformed in ["", "{}", r#"{"keys":7}"#, "<html></html>"] {
        assert_eq!(told_of(document(malformed.to_owned())).await.1, 503, "{malformed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_read_outlive_a_document_that_does_not_do() {
    let (show, shown) = tokio::sync::watch::channel(json!({"keys": [jwk_a()]}).to_string());
    let (told, mut asked) = mpsc::channel(8);
    let body = move || {
        let (shown, told) = (shown.clone(), told.clone());
        async move {
            let text = shown.borrow().clone();
            told.send(()).await.unwrap();
            text
        }
    };
    let (app, status) = told_of(Router::new().route("/jwks.json", get(body))).await;
    assert_eq!(status, 200);
    asked.recv().await.unwrap();
    show.send(key_set_of((1 << 20) + 1)).unwrap();
    // An unknown key has the document read again, once it is due.
    eventually("the document is read again", || async {
        expect_unauthenticated(list(&app, &by_key(ES256_A, "unknown")).await);
        (!asked.is_empty()).then_some(())
    })
    .await;
    let mut other = claims();
    other["sub"] = json!("bob");
    let key = EncodingKey::from_ec_pem(ES256_A.as_bytes()).unwrap();
    let header = json!({"alg": "ES256", "kid": "a"});
    list(&app, &signed(&header, &other, Algorithm::ES256, &key)).await.expect(200);
}

/// A token with any header.
fn signed(header: &Value, claims: &Value, algorithm: Algorithm, key: &EncodingKey) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_asks_for_what_is_not_understood_is_refused() {
    let url = issuer(document(json!({"keys": [jwk_a()]}).to_string())).await;
    let app = App::sqlite_without_dev(&["--jwks-url", &url, "--jwt-secret", SECRET]).await;
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    let issuers = EncodingKey::from_ec_pem(ES256_A.as_bytes()).unwrap();
    let kinds = [(Algorithm::HS256, &secret), (Algorithm::ES256, &issuers)];
    for (algorithm, key) in kinds {
        let plain = json!({"alg": format!("{algorithm:?}"), "kid": "a"});
        let with = |name: &str, value: Value| {
            let mut header = plain.clone();
            header[name] = value;
            signed(&header, &json!({"sub": "alice", "exp": now() + 600}), algorithm, key)
        };
        let accepted = [("typ", json!("JWT")), ("typ", json!("at+jwt")), ("x-other", json!("7"))];
        for (name, value) in accepted {
            assert_eq!(
                list(&app, &with(name, value.clone())).await.status,
                200,
                "{algorithm:?} {name} {value}"
            );
        }
        let refused = [
            ("crit", json!(["exp"])),
            ("crit", json!(["kid"])),
            ("crit", json!([])),
            ("crit", json!(null)),
            ("crit", json!("exp")),
            ("b64", json!(false)),
            ("typ", json!("logout+jwt")),
            ("typ", json!(7)),
        ];
        for (name, value) in refused {
            let answer = list(&app, &with(name, value.clone())).await;
            assert_eq!(answer.status, 401, "{algorithm:?} {name} {value}");
            expect_unauthenticated(answer);
        }
    }
}
