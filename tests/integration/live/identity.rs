//! The lifetime of an identity: for requests, sockets and event streams alike, clocks being a little apart.

use loadtest::socket::Socket;
use revcast::limits;
use serde_json::{Value, json};

use crate::{
    http::identity::{SECRET, by_secret, now},
    support::{App, Client, events::Events, raw::RawSocket, within},
};

/// A bearer of alice's token, which ended so many seconds ago by its `exp`.
fn bearer(app: &App, ended_ago: u64) -> Client {
    Client::with_token(&app.base, &by_secret(&json!({"sub": "alice", "exp": now() - ended_ago})))
}

async fn app() -> App {
    App::sqlite_without_dev(&["--jwt-secret", SECRET]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_opens_nothing() {
    let app = app().await;
    let drawing = Client::with_token(&app.base, &by_secret(&json!({"sub": "alice", "exp": now() + 600})))
        .create_drawing()
        .await;
    for ended_ago in [limits::CLOCK_LEEWAY.as_secs(), 60, 3600] {
        let late = bearer(&app, ended_ago);
        late.get("/v1/drawings").await.expect_problem(401, "unauthenticated");
        late.get(&format!("/v1/drawings/{drawing}/events")).await.expect_problem(401, "unauthenticated");
        late.post("/v1/tickets", &Value::Null).await.expect_problem(401, "unauthenticated");
        let authorization = format!("Bearer {}", late.token);
        let headers = RawSocket::opening(&authorization);
        let socket = RawSocket::handshake(&app.base, "GET", "/v1/ws", &headers).await;
        assert_eq!(socket.status, 401, "{ended_ago} s ago");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_requests_are_served_for_keeps_sockets_and_streams_open_as_long() {
    let app = app().await;
    // Before the token is made, or it may end a second earlier than this says.
    let end = now() - 3 + limits::CLOCK_LEEWAY.as_secs();
    let (lasting, ending) = (bearer(&app, 0), bearer(&app, 3));
    let drawing = lasting.create_drawing().await;
    let ticket = ending.post("/v1/tickets", &Value::Null).await.expect(200).json()["ticket"].take();
    let mut socket = Socket::open(&app.base, &ending.token).await.unwrap();
    let mut by_ticket = lasting.socket().await;
    by_ticket.send(&json!({"type": "auth", "ticket": ticket})).await.unwrap();
    let mut events = Events::open(&ending, &drawing, "", &[]).await;
    let closed = async |socket: &mut Socket| {
        let frame = loop {
            if let Err(frame) = socket.receive_or_close().await.unwrap() {
                break frame.expect("a close frame");
            }
        };
        assert_eq!(u16::from(frame.code), 4100);
        assert!(now() >= end, "closed {} s early", end - now());
    };
    let ended = async {
        while events.next().await.is_some() {}
        assert!(now() >= end, "ended {} s early", end - now());
    };
    let all = async { tokio::join!(closed(&mut socket), closed(&mut by_ticket), ended) };
    within("the end of the identity", all).await;
    ending.get("/v1/drawings").await.expect_problem(401, "unauthenticated");
}
