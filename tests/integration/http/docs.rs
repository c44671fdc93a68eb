//! The description of the interface: OpenAPI and AsyncAPI, their page, and the names of the metrics.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::support::{App, Client, op};

/// The paths and methods of the contract; a document with more is fine, with less is not.
const PATHS: [(&str, &[&str]); 22] = [
    ("/v1/drawings", &["get", "post"]),
    ("/v1/drawings/{drawing_id}", &["get", "patch", "delete"]),
    ("/v1/drawings/{drawing_id}/members", &["get"]),
    ("/v1/drawings/{drawing_id}/members/{user_id}", &["put", "delete"]),
    ("/v1/drawings/{drawing_id}/links", &["get", "post"]),
    ("/v1/drawings/{drawing_id}/links/{link_id}", &["delete"]),
    ("/v1/links/{token}/join", &["post"]),
    ("/v1/drawings/{drawing_id}/ops", &["get", "post"]),
    ("/v1/drawings/{drawing_id}/snapshot", &["get"]),
    ("/v1/drawings/{drawing_id}/history", &["get"]),
    ("/v1/drawings/{drawing_id}/undo", &["post"]),
    ("/v1/drawings/{drawing_id}/redo", &["post"]),
    ("/v1/drawings/{drawing_id}/export", &["get"]),
    ("/v1/drawings/{drawing_id}/presence", &["get", "post"]),
    ("/v1/tickets", &["post"]),
    ("/v1/dev/tokens", &["post"]),
    ("/v1/ws", &["get"]),
    ("/healthz", &["get"]),
    ("/readyz", &["get"]),
    ("/metrics", &["get"]),
    ("/openapi.json", &[]),
    ("/docs", &[]),
];

/// Paths that want no token.
const OPEN: [&str; 4] = ["/v1/dev/tokens", "/healthz", "/readyz", "/metrics"];

async fn document(app: &App) -> Value {
    let answer = Client::with_token(&app.base, "").get("/openapi.json").await.expect(200);
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_openapi_3_1_and_names_every_path() {
    let app = App::sqlite().await;
    let document = document(&app).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, methods) in PATHS {
        for method in methods {
            assert!(document["paths"][path][method].is_object(), "{method} {path} is not documented");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_path_is_served_and_wants_a_token_unless_it_says_otherwise() {
    let app = App::sqlite().await;
    let anyone = Client::with_token(&app.base, "");
    for (path, operations) in document(&app).await["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let id = "0198f0a0-7d2c-7aaa-8bbb-0123456789ab";
            let concrete: String = path
                .split('/')
                .map(|part| if part.starts_with('{') { id } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let expected = if OPEN.contains(&path.as_str()) { 200 } else { 401 };
            let answer = anyone.call(method.clone(), &concrete, None).await;
            assert_eq!(answer.status, expected, "{method} {path}");
            let is_open = operations[method.as_str().to_ascii_lowercase().as_str()]["security"]
                .as_array()
                .is_some_and(|rules| rules.iter().any(|rule| rule.as_object().unwrap().is_empty()));
            assert_eq!(is_open, expected == 200, "{method} {path} says who may call it");
        }
    }
}

/// Every `$ref` in a value.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => (),
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let text = revcast::server::openapi_document().to_json().unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Problem"), "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a reference stays inside the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn the_document_in_the_repository_is_that_of_the_server() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
    let written = std::fs::read_to_string(file).expect("openapi/openapi.json can be read");
    let served = revcast::server::openapi_document().to_pretty_json().unwrap() + "\n";
    assert!(written == served, "openapi/openapi.json is out of date: run `make openapi`");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_asyncapi_document_of_the_server_is_that_in_the_repository() {
    let app = App::sqlite().await;
    let answer = Client::with_token(&app.base, "").get("/asyncapi.yaml").await.expect(200);
    assert_eq!(answer.headers["content-type"], "application/yaml");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/asyncapi.yaml");
    let written = std::fs::read(file).expect("openapi/asyncapi.yaml can be read");
    assert!(written == answer.bytes, "it is out of date: run make openapi");
}

#[test]
fn every_reference_of_the_asyncapi_document_leads_somewhere() {
    let document = revcast::wire::asyncapi_document();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/serverHello"), "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a reference stays inside the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_document_asks_nobody_else() {
    let app = App::sqlite().await;
    let anyone = Client::with_token(&app.base, "");
    let answer = anyone.get("/docs").await.expect(200);
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    let policy = answer.headers["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'self'"), "{policy}");
    assert!(!policy.contains("http"), "{policy}");
    let page = String::from_utf8(answer.bytes).unwrap();
    for absolute in ["http://", "https://", "src=\"//", "href=\"//"] {
        assert!(!page.contains(absolute), "{page}");
    }
    assert!(page.contains("\"/openapi.json\"") && page.contains("/docs/scalar.js"), "{page}");
    let script = anyone.get("/docs/scalar.js").await.expect(200);
    assert_eq!(script.headers["content-type"], "text/javascript");
    assert!(script.bytes.len() > 100_000, "{}", script.bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_their_names_and_count() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    alice.commit(&id, &[op(1)]).await.expect(200);
    let answer = alice.get("/metrics").await.expect(200);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    let text = String::from_utf8(answer.bytes).unwrap();
    let names = [
        "revcast_commits_total",
        "revcast_refusals_total",
        "revcast_ops_total",
        "revcast_duplicates_total",
        "revcast_overloads_total",
        "revcast_rate_limited_total",
        "revcast_batch_requests_bucket",
        "revcast_batch_ops_bucket",
        "revcast_commit_queue_depth",
        "revcast_commit_seconds_bucket",
        "revcast_publish_failures_total",
        "revcast_repairs_total",
        "revcast_rooms",
        "revcast_connections",
        "revcast_room_reads_total",
        "revcast_bus_renewals_total",
        "revcast_event_streams",
        "revcast_long_polls",
        "revcast_connections_behind",
        "revcast_handshakes_total",
        "revcast_handshakes_refused_total",
        "revcast_user_connections_refused_total",
        "revcast_deliveries_total",
        "revcast_delivered_bytes_total",
        "revcast_panics_total",
        "revcast_http_responses_total{class=\"2xx\"}",
        concat!("revcast_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"),
    ];
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.rsplit(' ').next());
        line.and_then(|number| number.parse::<f64>().ok())
    };
    for name in names {
        assert!(value(name).is_some(), "{name} is missing");
    }
    for counted in
        ["revcast_commits_total", "revcast_ops_total", "revcast_http_responses_total{class=\"2xx\"}"]
    {
        assert!(value(counted).is_some_and(|count| count >= 1.0), "{counted}");
    }
}
