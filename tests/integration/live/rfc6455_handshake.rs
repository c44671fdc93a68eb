//! The handshake of the socket, header by header: what opens it, what does not, and what is agreed on.

use crate::support::{
    App,
    raw::{ACCEPT, RawSocket, Received},
};

/// Headers by name.
type Headers = &'static [(&'static str, &'static str)];

/// A server, and a user who knocks.
struct Door {
    app: App,
    authorization: String,
    ticket: String,
}

impl Door {
    async fn new() -> Self {
        let app = App::sqlite().await;
        let alice = app.client("alice").await;
        let ticket = alice.post("/v1/tickets", &serde_json::Value::Null).await.expect(200).json();
        let ticket = ticket["ticket"].as_str().unwrap().to_owned();
        Self { app, authorization: format!("Bearer {}", alice.token), ticket }
    }

    /// Knocks with the usual headers, of which those named `without` are left out, and those in `with` added.
    async fn knock(&self, method: &str, without: &str, with: &[(&str, &str)]) -> RawSocket {
        let mut headers = RawSocket::opening(&self.authorization);
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(without));
        headers.extend(with);
        RawSocket::handshake(&self.app.base, method, "/v1/ws", &headers).await
    }
}

/// Panics unless the socket is open and says hello.
async fn expect_open(socket: &mut RawSocket, what: &str) {
    assert_eq!(socket.status, 101, "{what}");
    assert_eq!(socket.header("upgrade").map(str::to_ascii_lowercase).as_deref(), Some("websocket"), "{what}");
    assert_eq!(
        socket.header("connection").map(str::to_ascii_lowercase).as_deref(),
        Some("upgrade"),
        "{what}"
    );
    assert_eq!(socket.header("sec-websocket-accept"), Some(ACCEPT), "{what}");
    match socket.receive().await {
        Received::Message(hello) => assert_eq!(hello["type"], "hello", "{what}"),
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_opens_the_socket_however_its_headers_are_written() {
    let door = Door::new().await;
    let cases: [(&str, &str, Headers); 6] = [
        ("as usual", "", &[]),
        ("several connection tokens", "connection", &[("Connection", "keep-alive, Upgrade")]),
        ("connection tokens in any case", "connection", &[("connection", "Keep-Alive,upgrade")]),
        ("upgrade in any case", "upgrade", &[("UPGRADE", "WebSocket")]),
        ("an origin", "", &[("Origin", "https://example.com")]),
        ("headers nobody knows", "", &[("X-Anything", "1"), ("Sec-WebSocket-Anything", "1")]),
    ];
    for (what, without, with) in cases {
        let mut socket = door.knock("GET", without, with).await;
        expect_open(&mut socket, what).await;
        assert_eq!(socket.header("sec-websocket-protocol"), None, "{what}");
        assert_eq!(socket.header("sec-websocket-extensions"), None, "{what}");
    }
    let target = format!("/v1/ws?ticket={}", door.ticket);
    let headers = RawSocket::opening("");
    let mut socket = RawSocket::handshake(&door.app.base, "GET", &target, &headers[1..]).await;
    expect_open(&mut socket, "a ticket").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_no_handshake_is_refused() {
    let door = Door::new().await;
    let cases: [(&str, &str, &str, Headers, u16); 9] = [
        ("no key", "GET", "sec-websocket-key", &[], 400),
        ("no upgrade", "GET", "upgrade", &[], 400),
        ("another upgrade", "GET", "upgrade", &[("Upgrade", "h2c")], 400),
        ("no connection", "GET", "connection", &[], 400),
        ("another connection", "GET", "connection", &[("Connection", "keep-alive")], 400),
        ("no version", "GET", "sec-websocket-version", &[], 426),
        ("an older version", "GET", "sec-websocket-version", &[("Sec-WebSocket-Version", "8")], 426),
        ("another method", "POST", "", &[("Content-Length", "0")], 405),
        ("no identity", "GET", "authorization", &[], 401),
    ];
    let mut failures = Vec::new();
    for (what, method, without, with, status) in cases {
        let socket = door.knock(method, without, with).await;
        let version = (status == 426).then_some("13");
        let outcome = (socket.status, socket.header("content-type"), socket.header("sec-websocket-version"));
        if outcome != (status, Some("application/problem+json"), version) {
            failures.push(format!("{what}: {outcome:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_subprotocol_that_the_server_speaks_is_taken() {
    let door = Door::new().await;
    let ours = Some("revcast.v1.json");
    let cases: [(&[&str], Option<&str>); 6] = [
        (&["revcast.v1.json"], ours),
        (&["chat, revcast.v1.json"], ours),
        (&["chat", "superchat,revcast.v1.json"], ours),
        (&["revcast.v1.json, revcast.v1.msgpack"], ours),
        // A client that offers only what nobody speaks is told so by the missing header, and gets JSON.
        (&["chat, superchat"], None),
        (&["revcast.v2.json"], None),
    ];
    for (offered, expected) in cases {
        let headers: Vec<_> = offered.iter().map(|value| ("Sec-WebSocket-Protocol", *value)).collect();
        let mut socket = door.knock("GET", "", &headers).await;
        expect_open(&mut socket, &format!("{offered:?}")).await;
        assert_eq!(socket.header("sec-websocket-protocol"), expected, "{offered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_agreed_on_when_an_offer_can_be_served() {
    let agreed = Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    let with_window = Some(
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15",
    );
    let cases: [(&[&str], Option<&str>); 14] = [
        (&["permessage-deflate"], agreed),
        // As the browsers of today offer it.
        (&["permessage-deflate; client_max_window_bits"], agreed),
        (&["Permessage-Deflate;client_max_window_bits=\"10\""], agreed),
        (&["permessage-deflate; server_no_context_takeover; client_no_context_takeover"], agreed),
        (&["permessage-deflate; server_max_window_bits=15"], with_window),
        (&["permessage-deflate; server_max_window_bits=10, permessage-deflate"], agreed),
        (&["permessage-deflate; server_max_window_bits=10", "permessage-deflate"], agreed),
        (&["x-webkit-deflate-frame, permessage-deflate"], agreed),
        (&["permessage-deflate; server_max_window_bits=10"], None),
        (&["permessage-deflate; client_max_window_bits=7"], None),
        (&["permessage-deflate; server_no_context_takeover=1"], None),
        (&["permessage-deflate; client_max_window_bits; client_max_window_bits"], None),
        (&["permessage-deflate; mystery"], None),
        (&["permessage-bzip2"], None),
    ];
    let door = Door::new().await;
    let mut failures = Vec::new();
    for (offered, expected) in cases {
        let headers: Vec<_> = offered.iter().map(|value| ("Sec-WebSocket-Extensions", *value)).collect();
        let mut socket = door.knock("GET", "", &headers).await;
        expect_open(&mut socket, &format!("{offered:?}")).await;
        let answer = socket.header("sec-websocket-extensions");
        if answer != expected {
            failures.push(format!("{offered:?}: {answer:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
