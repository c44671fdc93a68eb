//! The edge: problem bodies, request ids, compression, CORS, rate limits, health.

use loadtest::services::TempFolder;
use reqwest::Method;
use revcast::limits;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, eventually, new_id, op};

const OPS: &str = "/v1/drawings/0198f0a0-7d2c-7aaa-8bbb-0123456789ab/ops";

/// A request with these headers.
async fn send(client: &Client, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Client::send(request).await.expect("the server answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    for path in ["/d", "/v1", "/v1/", "/v2/drawings", "/v1/drawings/", "/metrics/x", "/%00", "/v1/Drawings"] {
        let answer = alice.get(path).await;
        assert_eq!((answer.status, &*answer.code()), (404, "not_found"), "{path}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        let problem = answer.json();
        assert_eq!((&problem["type"], &problem["retryable"]), (&json!("about:blank"), &json!(false)));
        assert!(problem["detail"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_have_is_a_problem() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let rows = [
        (Method::PUT, "/v1/drawings", "GET,HEAD,POST"),
        (Method::PATCH, OPS, "GET,HEAD,POST"),
        (Method::GET, "/v1/tickets", "POST"),
        (Method::GET, "/v1/dev/tokens", "POST"),
        (Method::GET, "/v1/links/x/join", "POST"),
        (Method::POST, "/healthz", "GET,HEAD"),
        (Method::DELETE, "/openapi.json", "GET,HEAD"),
        (Method::POST, "/v1/ws", "GET,HEAD"),
    ];
    for (method, path, allowed) in rows {
        let answer = alice.call(method.clone(), path, None).await;
        assert_eq!((answer.status, &*answer.code()), (405, "method_not_allowed"), "{method} {path}");
        let allow = answer.headers["allow"].to_str().unwrap();
        let sorted = |list: &str| {
            let mut methods: Vec<String> = list.split(',').map(|m| m.trim().to_owned()).collect();
            methods.sort_unstable();
            methods
        };
        assert_eq!(sorted(allow), sorted(allowed), "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_type_is_refused() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let path = format!("/v1/drawings/{id}/ops");
    let body = json!({"ops": [op(1)]}).to_string();
    let post = |content_type: Option<&str>| {
        let mut request = alice.request(Method::POST, &path).body(body.clone());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        Client::send(request)
    };
    let others = ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application", ""];
    for other in others.map(Some).into_iter().chain([None]) {
        let answer = post(other).await.unwrap();
        assert_eq!((answer.status, &*answer.code()), (415, "unsupported_media_type"), "{other:?}");
    }
    assert_eq!(alice.head(&id).await, 0);
    for same in ["application/json; charset=utf-8", "Application/JSON", " application/json "] {
        post(Some(same)).await.unwrap().expect(200);
    }
    let request = alice.request(Method::POST, "/v1/drawings").header("content-type", "text/plain").body("{}");
    Client::send(request).await.unwrap().expect_problem(415, "unsupported_media_type");
    let request = alice.request(Method::POST, "/v1/drawings").body("{}");
    Client::send(request).await.unwrap().expect_problem(415, "unsupported_media_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_taken_over_if_it_is_plain_and_made_otherwise() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let longest = "x".repeat(64);
    for path in ["/healthz", "/v1/drawings", "/nowhere", "/v1/drawings/7"] {
        for id in ["7", "Trace-1_2.3", &longest] {
            let answer = alice.get_with(path, &[("x-request-id", id)]).await;
            assert_eq!(answer.headers["x-request-id"], id, "{path}");
        }
        let mut made = std::collections::HashSet::new();
        let too_long = "x".repeat(65);
        for odd in ["", "a b", "a/b", &too_long, "é"] {
            let answer = alice.get_with(path, &[("x-request-id", odd)]).await;
            made.insert(answer.headers["x-request-id"].to_str().unwrap().to_owned());
        }
        let answer = alice.get(path).await;
        made.insert(answer.headers["x-request-id"].to_str().unwrap().to_owned());
        assert_eq!(made.len(), 6, "each is new: {made:?}");
        assert!(made.iter().all(|id| id.len() == 36), "{made:?}");
    }
}

/// A drawing of one op whose log in NDJSON has this many bytes.
async fn log_of_size(client: &Client, size: usize) -> String {
    let drawing = client.create_drawing().await;
    let note = |len: usize| {
        let text = "x".repeat(len);
        json!({"op_id": new_id(), "type": "custom.note", "data": text})
    };
    client.commit(&drawing, &[note(0)]).await.expect(200);
    let path = format!("/v1/drawings/{drawing}/ops");
    let lines = |answer: Answer| answer.expect(200).bytes.len();
    let rest = lines(client.get_with(&path, &[("accept", "application/x-ndjson")]).await);
    // The second line has the length of the first, besides its text.
    client.commit(&drawing, &[note(size - rest)]).await.expect(200);
    format!("{path}?after=1")
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_above_1_kib_are_compressed_for_those_who_accept_it() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    for (size, is_compressed) in [(1_023, false), (1_024, false), (1_025, true), (50_000, true)] {
        let path = log_of_size(&alice, size).await;
        let ndjson = ("accept", "application/x-ndjson");
        let plain = alice.get_with(&path, &[ndjson]).await.expect(200);
        assert_eq!((plain.bytes.len(), plain.headers.get("content-encoding")), (size, None));
        let answer = alice.get_with(&path, &[ndjson, ("accept-encoding", "gzip")]).await.expect(200);
        assert_eq!(answer.headers.contains_key("content-encoding"), is_compressed, "{size}");
        if !is_compressed {
            assert_eq!(answer.bytes, plain.bytes);
            continue;
        }
        assert_eq!(answer.headers["content-encoding"], "gzip");
        assert!(answer.headers.get_all("vary").iter().any(|v| v == "accept-encoding"), "{answer:?}");
        // RFC 1952: two magic bytes first, the length of what was compressed last.
        assert_eq!(answer.bytes[..2], [0x1f, 0x8b]);
        let length = answer.bytes.last_chunk::<4>().copied().map(u32::from_le_bytes);
        assert_eq!(length.map(|length| length as usize), Some(size));
        assert!(answer.bytes.len() < size);
        for other in ["identity", "br", "gzip;q=0"] {
            let answer = alice.get_with(&path, &[ndjson, ("accept-encoding", other)]).await.expect(200);
            assert_eq!(answer.bytes, plain.bytes, "{other}");
        }
    }
}

async fn preflight(client: &Client, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    send(client, Method::OPTIONS, OPS, &headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_development_any_web_page_may_call() {
    let app = App::sqlite().await;
    let anyone = Client::with_token(&app.base, "");
    let answer = preflight(&anyone, "https://page.example").await.expect(200);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let allowed = |name: &str| answer.headers[name].to_str().unwrap().to_ascii_lowercase();
    for method in ["get", "post", "put", "patch", "delete"] {
        assert!(allowed("access-control-allow-methods").contains(method), "{method}");
    }
    for header in ["authorization", "content-type", "if-none-match", "x-request-id", "last-event-id"] {
        assert!(allowed("access-control-allow-headers").contains(header), "{header}");
    }
    assert_eq!(answer.headers["access-control-max-age"], "3600");
    // A page can read every answer, refusals too, and the headers that matter.
    for path in ["/healthz", "/nowhere", OPS] {
        let answer = anyone.get_with(path, &[("origin", "https://page.example")]).await;
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
        let exposed = answer.headers["access-control-expose-headers"].to_str().unwrap().to_ascii_lowercase();
        for header in ["etag", "retry-after", "location", "x-request-id", "revcast-to"] {
            assert!(exposed.contains(header), "{header}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn named_origins_may_call_and_others_may_not() {
    let flags = ["--cors-origins", "https://a.example,https://b.example/"];
    let app = App::sqlite_with(&flags).await;
    let anyone = Client::with_token(&app.base, "");
    for origin in ["https://a.example", "https://b.example"] {
        let answer = preflight(&anyone, origin).await.expect(200);
        assert_eq!(answer.headers["access-control-allow-origin"], origin);
        assert!(answer.headers.get_all("vary").iter().any(|v| v.to_str().unwrap().contains("origin")));
        let answer = anyone.get_with(OPS, &[("origin", origin)]).await.expect(401);
        assert_eq!(answer.headers["access-control-allow-origin"], origin);
    }
    for origin in ["https://evil.example", "http://a.example", "https://a.example.evil", "null"] {
        let answer = preflight(&anyone, origin).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
        let answer = anyone.get_with("/healthz", &[("origin", origin)]).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_origins_no_web_page_may_call() {
    let secret = "0123456789abcdef0123456789abcdef";
    let app = App::sqlite_without_dev(&["--jwt-secret", secret]).await;
    let anyone = Client::with_token(&app.base, "");
    let answer = preflight(&anyone, "https://page.example").await;
    answer.expect_problem(405, "method_not_allowed");
    let answer = anyone.get_with("/healthz", &[("origin", "https://page.example")]).await.expect(200);
    let has_cors = answer.headers.keys().any(|name| name.as_str().starts_with("access-control-"));
    assert!(!has_cors, "{answer:?}");
}

fn expect_rate_limited(answer: Answer) {
    let answer = answer.expect_problem(429, "rate_limited");
    assert_eq!(answer.json()["retryable"], true);
    let pause: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&pause), "{pause}");
}

/// Sends twenty requests of so many ops together, so that what one second allows cannot come back
/// in between; some are refused. Returns how many were not.
async fn write_too_fast(client: &Client, drawing: &str, ops: u64) -> u64 {
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (client, drawing) = (client.clone(), drawing.to_owned());
            let ops: Vec<Value> = (0..ops).map(op).collect();
            tokio::spawn(async move { client.commit(&drawing, &ops).await })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        match call.await.unwrap() {
            answer if answer.status == 200 => served += 1,
            answer => expect_rate_limited(answer),
        }
    }
    assert!(served < 20, "nothing was refused");
    served
}

/// Writes until it is allowed again.
async fn write_again(client: &Client, drawing: &str) {
    eventually("the user may write again", || async {
        let answer = client.commit(drawing, &[op(1)]).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_sends_too_many_requests_is_told_when_to_come_back() {
    let flags = ["--write-requests-per-second", "3", "--write-ops-per-second", "0"];
    let app = App::sqlite_with(&flags).await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let id = alice.create_drawing().await;
    let served = write_too_fast(&alice, &id, 1).await;
    assert_eq!(alice.head(&id).await, served, "reads are not limited, refused writes not done");
    // Another user has an allowance of their own.
    bob.post("/v1/drawings", &json!({})).await.expect(201);
    write_again(&alice, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_sends_too_many_ops_is_told_when_to_come_back() {
    let flags = ["--write-requests-per-second", "0", "--write-ops-per-second", "5"];
    let app = App::sqlite_with(&flags).await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let ops: Vec<Value> = (0..6).map(op).collect();
    expect_rate_limited(alice.commit(&id, &ops).await);
    alice.commit(&id, &ops[..5]).await.expect(200);
    let served = write_too_fast(&alice, &id, 5).await;
    assert_eq!(alice.head(&id).await, 5 * (1 + served));
    write_again(&alice, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_begin_too_many_units_in_a_drawing_are_told_when_to_come_back() {
    let flags = [
        "--drawing-units-per-second",
        "2",
        "--write-requests-per-second",
        "0",
        "--write-ops-per-second",
        "0",
    ];
    let app = App::sqlite_with(&flags).await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let (id, other) = (alice.create_drawing().await, alice.create_drawing().await);
    alice.grant(&id, "bob", "editor").await;
    // Half a minute's worth may come at once. An op that joins a unit begins none, nor does one that undoes one.
    let most = 2 * u64::from(limits::DRAWING_UNITS_BURST);
    let first = op(0);
    let of_first = |mut op: Value| {
        op["unit"] = first["op_id"].clone();
        op
    };
    let undo = of_first(json!({"op_id": new_id(), "type": "undo"}));
    alice.commit(&id, std::slice::from_ref(&first)).await.expect(200);
    alice.commit_some(&id, most - 1).await;
    let more: Vec<Value> = (0..10).map(op).collect();
    bob.commit(&id, &more).await.expect_problem(429, "rate_limited");
    let joining: Vec<Value> = (0..100).map(|x| of_first(op(x))).collect();
    alice.commit(&id, &joining).await.expect(200);
    alice.commit(&id, &[undo]).await.expect(200);
    alice.commit_some(&other, most).await;
    let head = alice.head(&id).await;
    write_again(&bob, &id).await;
    assert_eq!(alice.head(&id).await, head + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_send_too_many_bytes_to_a_drawing_are_told_when_to_come_back() {
    let flags = [
        "--drawing-bytes-per-second",
        "1000",
        "--write-requests-per-second",
        "0",
        "--write-ops-per-second",
        "0",
    ];
    let app = App::sqlite_with(&flags).await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let (id, other) = (alice.create_drawing().await, alice.create_drawing().await);
    alice.grant(&id, "bob", "editor").await;
    let of_size = |size: u64| {
        let empty = json!({"op_id": new_id(), "type": "custom.a", "data": ""}).to_string().len();
        json!({"op_id": new_id(), "type": "custom.a", "data": "x".repeat(usize::try_from(size).unwrap() - empty)})
    };
    let most = 1_000 * u64::from(limits::DRAWING_BYTES_BURST);
    alice.commit(&id, &[of_size(most)]).await.expect(200);
    bob.commit(&id, &[of_size(10_000)]).await.expect_problem(429, "rate_limited");
    alice.commit(&other, &[of_size(most)]).await.expect(200);
    assert_eq!(alice.head(&id).await, 1);
    write_again(&bob, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_that_it_lives_and_is_ready() {
    for app in [App::sqlite().await, App::clustered().await] {
        let anyone = Client::with_token(&app.base, "");
        assert_eq!(anyone.get("/healthz").await.expect(200).json(), json!({"status": "ok"}));
        let ready = eventually("the node is ready", || async {
            let answer = anyone.get("/readyz").await.expect(200).json();
            (answer["status"] == "ready").then_some(answer)
        })
        .await;
        assert_eq!(ready, json!({"status": "ready", "store": true, "bus": true, "blobs": true}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_blobs_is_degraded_and_still_serves_short_logs() {
    let folder = TempFolder::new("blobs").unwrap();
    let blobs = folder.path().join("below");
    let url = format!("file:{}", blobs.display());
    let app = App::sqlite_with(&["--blob-url", &url, "--snapshot-every", "5"]).await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    alice.commit_some(&id, 10).await;
    let becomes = async |wanted: Value| {
        eventually("the state of the node", || async {
            (alice.get("/readyz").await.expect(200).json() == wanted).then_some(())
        })
        .await;
    };
    eventually("a snapshot", || async {
        let drawing = alice.get(&format!("/v1/drawings/{id}")).await.expect(200).json();
        drawing["snapshot_revision"].is_u64().then_some(())
    })
    .await;
    becomes(json!({"status": "ready", "store": true, "bus": true, "blobs": true})).await;
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::write(&blobs, "no folder").unwrap();
    let reason = "the blob store does not take what is written";
    becomes(json!({"status": "degraded", "reason": reason, "store": true, "bus": true, "blobs": false}))
        .await;
    for path in ["snapshot", "snapshot?at=7", "history", "export?format=svg"] {
        alice.get(&format!("/v1/drawings/{id}/{path}")).await.expect(200);
    }
    std::fs::remove_file(&blobs).unwrap();
    std::fs::create_dir(&blobs).unwrap();
    // That blobs can be written again is known when one was.
    alice.commit_some(&id, 10).await;
    becomes(json!({"status": "ready", "store": true, "bus": true, "blobs": true})).await;
}
