//! The caps on one address, one user and one node: limits by address, drawings of a user, drawings that a node
//! follows.

use std::time::Instant;

use loadtest::socket::Socket;
use reqwest::Method;
use revcast::limits;
use serde_json::json;

use crate::support::{Answer, App, Client, eventually, new_id, op};

const TRUSTED: [&str; 2] = ["--trusted-proxies", "127.0.0.0/8"];

/// Asks as somebody at this address, behind a proxy that is trusted.
async fn from(client: &Client, address: &str, method: Method, path: &str) -> Answer {
    let request = client.request(method.clone(), path).header("x-forwarded-for", address);
    let request = if method == Method::POST { request.json(&json!({})) } else { request };
    Client::send(request).await.expect("the server answers")
}

/// The value of a counter.
async fn counted(client: &Client, name: &str) -> f64 {
    let text = String::from_utf8(client.get("/metrics").await.expect(200).bytes).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{name} is not told: {text}"))
}

/// Asks until it is refused, at most `most` times; returns how often it was not.
async fn until_limited(client: &Client, address: &str, method: Method, path: &str, most: usize) -> usize {
    for served in 0..most {
        let answer = from(client, address, method.clone(), path).await;
        if answer.status == 429 {
            assert_eq!(answer.code(), "rate_limited");
            let pause: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&pause), "{pause}");
            return served;
        }
    }
    panic!("{most} requests were served");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_sends_too_much_is_refused_and_no_other() {
    let app = App::sqlite_with(&[&["--limit-by-address", "4"][..], &TRUSTED].concat()).await;
    let (alice, drawings) = (app.client("alice").await, "/v1/drawings");
    // A drawing is worth many requests: of four a second one may come.
    assert!(until_limited(&alice, "203.0.113.1", Method::POST, drawings, 20).await >= 1);
    // Users have limits of their own; it is the address that counts, as far as proxies vouch for it.
    let bob = app.client("bob").await;
    assert!(until_limited(&bob, "198.51.100.7, 203.0.113.1", Method::POST, drawings, 20).await < 20);
    assert_eq!(from(&bob, "203.0.113.1, 203.0.113.2", Method::POST, drawings).await.status, 201);
    // Reads are not limited, and neither is what asks for the health of the node.
    for _ in 0..20 {
        from(&alice, "203.0.113.1", Method::GET, drawings).await.expect(200);
        from(&alice, "203.0.113.1", Method::GET, "/healthz").await.expect(200);
    }
    // In IPv6 a customer has a whole network.
    let spread = |nth: usize| format!("2001:db8:1:2::{nth:x}");
    let mut served = 0;
    while from(&alice, &spread(served), Method::POST, drawings).await.status == 201 {
        served += 1;
        assert!(served < 20, "each address has its own allowance");
    }
    assert_eq!(from(&alice, "2001:db8:1:3::1", Method::POST, drawings).await.status, 201);
    assert!(counted(&alice, "revcast_address_limited_total").await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_writes_or_connects_too_fast_is_refused() {
    let app = App::sqlite_with(&[&["--limit-by-address=4"][..], &TRUSTED].concat()).await;
    let alice = app.client("alice").await;
    let id = from(&alice, "203.0.113.1", Method::POST, "/v1/drawings").await.expect(201).json()["drawing_id"]
        .clone();
    let id = id.as_str().unwrap();
    let (undo, events) = (format!("/v1/drawings/{id}/undo"), format!("/v1/drawings/{id}/events?after=9"));
    assert!(until_limited(&alice, "203.0.113.2", Method::POST, &undo, 1_000).await >= 4);
    // A stream that begins beyond the log is refused by its route, and counted before that.
    assert!(until_limited(&alice, "203.0.113.3", Method::GET, &events, 1_000).await >= 1);
    until_limited(&alice, "203.0.113.4", Method::GET, "/v1/ws", 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_guesses_tokens_has_none_looked_at_for_a_while() {
    let app = App::sqlite_with(&[&["--limit-by-address", "20"][..], &TRUSTED].concat()).await;
    let alice = app.client("alice").await;
    let drawings = "/v1/drawings";
    from(&alice, "203.0.113.9", Method::GET, drawings).await.expect(200);
    let guess = Client::with_token(&app.base, "no token");
    assert!(until_limited(&guess, "203.0.113.1", Method::GET, drawings, 1_000).await >= 1);
    // Whoever is known here goes on, and so does who sits elsewhere.
    for address in ["203.0.113.1", "203.0.113.2"] {
        from(&alice, address, Method::GET, drawings).await.expect(200);
    }
    // A ticket that is none is a guess as well, though the socket opens to say so.
    let socket = || async {
        let request = app.client("x").await.request(Method::GET, "/v1/ws?%74icket=none");
        let upgrade = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
        let request = upgrade.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("x-forwarded-for", "203.0.113.5");
        let mut request = request.build().unwrap();
        request.headers_mut().remove("authorization");
        reqwest::Client::new().execute(request).await.unwrap().status().as_u16()
    };
    let mut statuses = vec![socket().await];
    while statuses.last() == Some(&101) && statuses.len() < 100 {
        statuses.push(socket().await);
    }
    assert_eq!((statuses[0], *statuses.last().unwrap()), (101, 429), "{statuses:?}");
    let unknown = app.client("carol").await;
    eventually("tokens of the address are looked at again", || async {
        (from(&unknown, "203.0.113.1", Method::GET, drawings).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_no_address_is_limited() {
    let app = App::sqlite_with(&TRUSTED).await;
    let guess = Client::with_token(&app.base, "no token");
    for _ in 0..100 {
        from(&guess, "203.0.113.1", Method::GET, "/v1/drawings").await.expect_problem(401, "unauthenticated");
    }
}

async fn a_user_makes_so_many_drawings(app: App) {
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let first = alice.create_drawing().await;
    for _ in 1..3 {
        alice.create_drawing().await;
    }
    let refused = alice.post("/v1/drawings", &json!({})).await.expect_problem(403, "too_many_drawings");
    assert_eq!(refused.json()["retryable"], false);
    // One that is there is found again by who repeats the request, and those of others do not count.
    alice.post("/v1/drawings", &json!({"drawing_id": first})).await.expect(200);
    let shared = bob.create_drawing().await;
    bob.grant(&shared, "alice", "owner").await;
    alice.delete(&format!("/v1/drawings/{first}")).await.expect(204);
    alice.create_drawing().await;
    alice
        .post("/v1/drawings", &json!({"drawing_id": new_id()}))
        .await
        .expect_problem(403, "too_many_drawings");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_makes_so_many_drawings_and_no_more_on_sqlite() {
    a_user_makes_so_many_drawings(App::sqlite_with(&["--drawings-per-user", "3"]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_makes_so_many_drawings_and_no_more_on_postgres() {
    let database = crate::store::contract::Database::postgres();
    a_user_makes_so_many_drawings(App::start(database.url(), &["--drawings-per-user", "3"]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_nobody_uses_any_more_is_given_to_the_next_one() {
    let app = App::sqlite_with(&["--max-rooms", "2"]).await;
    let alice = app.client("alice").await;
    let started = Instant::now();
    // Each of them leaves a room behind, which would wait for somebody to come back.
    for _ in 0..8 {
        let drawing = &alice.create_drawing().await;
        let mut socket = eventually("the server has heard that the socket before is gone", || async {
            let mut socket = alice.socket().await;
            let answer = socket.subscribe(drawing, None).await.unwrap();
            (answer["type"] == "subscribed").then_some(socket)
        })
        .await;
        alice.commit(drawing, &[op(1)]).await.expect(200);
        assert_eq!(socket.receive_ops().await.unwrap().len(), 1);
        alice.get(&format!("/v1/drawings/{drawing}/presence")).await.expect(200);
    }
    assert!(started.elapsed() < 2 * limits::ROOM_LINGER, "two at a time, they would wait three times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_follows_so_many_drawings_and_no_more() {
    let app = App::sqlite_with(&["--max-rooms", "2"]).await;
    let alice = app.client("alice").await;
    let mut drawings = Vec::new();
    for _ in 0..3 {
        drawings.push(alice.create_drawing().await);
    }
    let mut socket: Socket = alice.socket().await;
    for drawing in &drawings[..2] {
        socket.subscribe(drawing, None).await.unwrap();
    }
    let refused = socket.subscribe(&drawings[2], None).await.unwrap();
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("overloaded")));
    let third = |what: &str| format!("/v1/drawings/{}/{what}", drawings[2]);
    for path in [third("events"), third("ops?wait=1")] {
        let answer = alice.get(&path).await.expect_problem(503, "overloaded");
        assert_eq!(answer.headers["retry-after"], limits::RETRY_AFTER.as_secs().to_string().as_str());
    }
    // Drawings that are followed take more readers, and all take ops.
    let mut other = alice.socket().await;
    other.subscribe(&drawings[0], None).await.unwrap();
    alice.commit(&drawings[2], &[op(1)]).await.expect(200);
    alice.commit(&drawings[0], &[op(1)]).await.expect(200);
    assert_eq!(other.receive_ops().await.unwrap().len(), 1);
    assert_eq!(socket.receive_ops().await.unwrap().len(), 1);
    // Presence has as many places.
    let show = json!({"state": {"cursor": [1, 2]}});
    for drawing in &drawings[..2] {
        alice.post(&format!("/v1/drawings/{drawing}/presence"), &show).await.expect(200);
    }
    alice.post(&third("presence"), &show).await.expect_problem(503, "overloaded");
    alice.get(&third("presence")).await.expect_problem(503, "overloaded");
    // A place is free once nobody follows the drawing any more.
    drop(socket);
    eventually("there is a place", || async {
        (alice.get(&third("ops?after=1&wait=1")).await.status == 200).then_some(())
    })
    .await;
    assert!(counted(&alice, "revcast_rooms_refused_total").await > 0.0);
}
