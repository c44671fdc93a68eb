//! The limits on one user, one socket and one node at a time, and their durations.

use std::time::{Duration, Instant};

use loadtest::socket::Socket;
use revcast::limits;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    App, Client,
    events::Events,
    eventually, new_id, op,
    raw::{RawSocket, Received, frame, frame_header},
};

/// The code with which a server turns a client away.
async fn close_code(base: &str, token: &str) -> Option<u16> {
    let bearer = format!("Bearer {token}");
    let mut socket = RawSocket::handshake(base, "GET", "/v1/ws", &RawSocket::opening(&bearer)).await;
    assert_eq!(socket.status, 101);
    match socket.receive().await {
        Received::Close(code) => code,
        Received::Message(hello) => {
            assert_eq!(hello["type"], "hello");
            None
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_connections_at_a_time_sockets_and_streams_together() {
    let app = App::sqlite_with(&["--connections-per-user", "2"]).await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let drawing = alice.create_drawing().await;
    let first = alice.socket().await;
    let mut second = alice.socket().await;
    assert_eq!(close_code(&app.base, &alice.token).await, Some(4003));
    let refused = Events::refused(&alice, &drawing, "", &[]).await;
    let refused = refused.expect_problem(429, "too_many_connections");
    assert!(refused.headers.contains_key("retry-after"));
    // Another user has places of their own, and those who are in notice nothing.
    bob.socket().await;
    assert_eq!(second.subscribe(&drawing, None).await.unwrap()["type"], "subscribed");
    // A place is free again once its connection has ended: a socket's, a stream's.
    drop(first);
    let path = format!("/v1/drawings/{drawing}/events");
    eventually("a stream has a place", || async {
        let opened = alice.request(reqwest::Method::GET, &path).send().await.unwrap();
        (opened.status() == 200).then_some(())
    })
    .await;
    eventually("a socket has a place", || async {
        close_code(&app.base, &alice.token).await.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_opens_no_stream_takes_no_place() {
    let app = App::sqlite_with(&["--connections-per-user", "1"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    for _ in 0..3 {
        Events::refused(&alice, &new_id(), "", &[]).await.expect_problem(404, "not_found");
        Events::refused(&alice, &drawing, "", &[("last-event-id", "x")])
            .await
            .expect_problem(400, "invalid_request");
        let mut ended = Events::open(&alice, &drawing, "?after=9", &[]).await;
        while ended.next().await.is_some() {}
    }
    assert_eq!(alice.socket().await.subscribe(&drawing, None).await.unwrap()["type"], "subscribed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_takes_so_many_handshakes_a_second() {
    let app = App::sqlite_with(&["--handshakes-per-second", "2"]).await;
    let alice = app.client("alice").await;
    let bearer = format!("Bearer {}", alice.token);
    let headers = RawSocket::opening(&bearer);
    // On a machine that is busy, a second may pass in between; not each time.
    let refused = eventually("one too many", || async {
        let socket = RawSocket::handshake(&app.base, "GET", "/v1/ws", &headers).await;
        (socket.status != 101).then_some(socket)
    })
    .await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    // Requests are not handshakes, and a moment later there is room.
    alice.get("/v1/drawings").await.expect(200);
    eventually("room again", || async {
        let socket = RawSocket::handshake(&app.base, "GET", "/v1/ws", &headers).await;
        (socket.status == 101).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_or_of_presence_closes_the_socket() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let bearer = format!("Bearer {}", alice.token);
    let presence = json!({"type": "presence", "drawing_id": drawing, "state": null}).to_string();
    for flood in [frame(0x89, b"x"), frame(0x8a, b""), frame(0x81, presence.as_bytes())] {
        let mut socket = RawSocket::handshake(&app.base, "GET", "/v1/ws", &RawSocket::opening(&bearer)).await;
        // The server may close while we are still sending.
        socket.send(&flood.repeat(20_000), 64 * 1024).await;
        let code = loop {
            match socket.receive().await {
                Received::Close(code) => break code,
                Received::End | Received::Silence => panic!("it is not told why"),
                _ => (),
            }
        };
        assert_eq!(code, Some(4203));
    }
}

/// Sends pieces of one message, one each 100 ms, until the server closes; tells with which code and after which time.
async fn drip(app: &App, token: &str, mut pieces: impl Iterator<Item = Vec<u8>>) -> (Option<u16>, Duration) {
    let bearer = format!("Bearer {token}");
    let mut socket = RawSocket::handshake(&app.base, "GET", "/v1/ws", &RawSocket::opening(&bearer)).await;
    assert!(matches!(socket.receive().await, Received::Message(_)));
    let began = Instant::now();
    loop {
        socket.send(&pieces.next().unwrap(), usize::MAX).await;
        // Answers may come in between.
        let closed = timeout(Duration::from_millis(100), async {
            loop {
                match socket.receive().await {
                    Received::Ping | Received::Pong(_) | Received::Message(_) => (),
                    Received::Close(code) => break code,
                    other => panic!("{other:?}"),
                }
            }
        });
        if let Ok(code) = closed.await {
            return (code, began.elapsed());
        }
        assert!(began.elapsed() < 2 * limits::CLIENT_MESSAGE_TIMEOUT, "it goes on for ever");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_drips_ends_at_the_timeout_of_a_message() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let empty = || frame(0x00, b"");
    let first = || frame(0x01, b"{");
    let header = || frame_header(0x81, 60_000);
    let bytes = |frame: Vec<u8>| frame.into_iter().map(|byte| vec![byte]);
    let after = |first: Vec<u8>, then: Vec<u8>| std::iter::once(first).chain(std::iter::repeat(then));
    let whole = frame(0x81, br#"{"type":"ping"}"#);
    let outcomes = tokio::join!(
        // Fragments without end; with pings, and with pongs, in between; the bytes of one frame, and of a ping.
        drip(&app, &alice.token, after(first(), empty())),
        drip(&app, &alice.token, after(first(), frame(0x89, b"p"))),
        drip(&app, &alice.token, after(first(), [frame(0x8a, b""), empty()].concat())),
        drip(&app, &alice.token, after(header(), vec![b' '])),
        drip(&app, &alice.token, bytes(frame(0x89, &[b'p'; 125]).repeat(9)).chain(bytes(vec![0; 999]))),
        // A message that ends in the same bytes in which the next one begins lends it no time.
        drip(&app, &alice.token, after([whole, first()].concat(), frame(0x89, b"p"))),
    );
    let (a, b, c, d, e, f) = outcomes;
    for (nth, (code, took)) in [a, b, c, d, e, f].into_iter().enumerate() {
        assert_eq!(code, Some(4001), "{nth}");
        assert!(took >= limits::CLIENT_MESSAGE_TIMEOUT, "{nth}: {took:?}");
        assert!(took < limits::CLIENT_MESSAGE_TIMEOUT + Duration::from_secs(5), "{nth}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_talks_all_the_time_is_no_drip() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let bearer = format!("Bearer {}", alice.token);
    let mut socket = RawSocket::handshake(&app.base, "GET", "/v1/ws", &RawSocket::opening(&bearer)).await;
    // Each read ends in the middle of the next message.
    let ping = frame(0x81, br#"{"type":"ping"}"#);
    let (head, rest) = ping.split_at(9);
    socket.send(head, usize::MAX).await;
    let began = Instant::now();
    let mut pongs = 0;
    while began.elapsed() < limits::CLIENT_MESSAGE_TIMEOUT + Duration::from_secs(2) {
        socket.send(&[rest, head].concat(), usize::MAX).await;
        match socket.receive().await {
            Received::Message(message) => pongs += u32::from(message["type"] == "pong"),
            Received::Ping => (),
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(pongs > 10, "{pongs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_counts_while_it_waits() {
    let app = App::sqlite_with(&["--connections-per-user", "2"]).await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let drawing = alice.create_drawing().await;
    alice.grant(&drawing, "bob", "viewer").await;
    let path = format!("/v1/drawings/{drawing}/ops?after=0&wait=30");
    let polls: Vec<_> = (0..2)
        .map(|_| {
            let (alice, path) = (alice.clone(), path.clone());
            // It may find its place taken by the question whether it waits.
            tokio::spawn(async move {
                eventually("a place", || async { Some(alice.get(&path).await).filter(|a| a.status != 429) })
                    .await
            })
        })
        .collect();
    eventually("both wait", || async {
        let answer = timeout(Duration::from_millis(200), alice.get(&path)).await.ok()?;
        let refused = answer.expect_problem(429, "too_many_connections");
        assert!(refused.headers.contains_key("retry-after"));
        Some(())
    })
    .await;
    // They take the places of sockets and streams as well; what does not wait needs none.
    assert_eq!(close_code(&app.base, &alice.token).await, Some(4003));
    Events::refused(&alice, &drawing, "", &[]).await.expect_problem(429, "too_many_connections");
    alice.get(&format!("/v1/drawings/{drawing}/ops?after=0&wait=0")).await.expect(200);
    alice.get(&format!("/v1/drawings/{drawing}/ops?after=0")).await.expect(200);
    let metrics = String::from_utf8(alice.get("/metrics").await.expect(200).bytes).unwrap();
    let gauge = metrics.lines().find_map(|line| line.strip_prefix("revcast_long_polls ")).unwrap();
    assert!(gauge.parse::<f64>().unwrap() >= 2.0, "{gauge}");
    assert!(metrics.contains("\nrevcast_event_streams "), "{metrics}");
    // Another user waits, too; what they wait for comes, and their places are free again.
    let waits = tokio::spawn({
        let (bob, path) = (bob.clone(), path.clone());
        async move { bob.get(&path).await }
    });
    alice.commit(&drawing, &[op(1)]).await.expect(200);
    for poll in polls.into_iter().chain([waits]) {
        poll.await.unwrap().expect(200);
    }
    assert_eq!(alice.get(&path).await.expect(200).json()["to"], 1);
    // One that its client gives up waits no more.
    let newer = format!("/v1/drawings/{drawing}/ops?after=1&wait=30");
    for _ in 0..3 {
        let _ = timeout(Duration::from_millis(100), alice.get(&newer)).await;
    }
    let open = || async { Socket::open(&app.base, &alice.token).await.ok() };
    let _sockets = (eventually("a place", open).await, eventually("another place", open).await);
    assert_eq!(close_code(&app.base, &alice.token).await, Some(4003));
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_under_way_count_as_subscriptions() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let mut drawings = Vec::new();
    for _ in 0..70 {
        drawings.push(alice.create_drawing().await);
    }
    let mut socket = alice.socket().await;
    // All at once, before one is answered.
    for drawing in &drawings {
        socket.send(&json!({"type": "subscribe", "drawing_id": drawing})).await.unwrap();
    }
    let (mut taken, mut refused) = (0, 0);
    while taken + refused < 70 {
        let answer = socket.receive().await.unwrap();
        match answer["type"].as_str().unwrap() {
            "subscribed" => taken += 1,
            "error" => {
                assert_eq!(answer["code"], "too_many_subscriptions");
                refused += 1;
            }
            _ => (),
        }
    }
    assert_eq!((taken, refused), (64, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn to_subscribe_again_and_again_ends_in_one_subscription() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 5).await;
    let mut socket = alice.socket().await;
    for after in [0, 1, 2, 3] {
        socket.send(&json!({"type": "subscribe", "drawing_id": drawing, "after": after})).await.unwrap();
    }
    // The last one is answered; of those before it, some may be, each with the ops from its place on.
    let mut position = None;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "the last one is not answered");
        let message = socket.receive().await.unwrap();
        match message["type"].as_str().unwrap() {
            "subscribed" => position = message["revision"].as_u64(),
            "ops" => {
                let revisions = crate::support::revisions(message["ops"].as_array().unwrap());
                let first = position.unwrap() + 1;
                assert_eq!(revisions, (first..=5).collect::<Vec<_>>());
                if position == Some(3) {
                    break;
                }
                position = Some(5);
            }
            _ => (),
        }
    }
    alice.commit(&drawing, &[op(1)]).await.expect(200);
    assert_eq!(crate::support::revisions(&socket.receive_ops().await.unwrap()), [6]);
    socket.send(&json!({"type": "unsubscribe", "drawing_id": drawing})).await.unwrap();
    alice.commit(&drawing, &[op(2)]).await.expect(200);
    socket.send(&json!({"type": "ping", "t": 1})).await.unwrap();
    assert_eq!(socket.receive().await.unwrap()["type"], "pong", "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_identity_is_the_one_that_counts_from_then_on() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut socket = alice.socket().await;
    socket.subscribe(&drawing, None).await.unwrap();
    // A ticket that ends soon takes the place of a token that does not.
    let soon = alice.post("/v1/dev/tokens", &json!({"sub": "alice", "ttl": 4})).await.expect(200).json();
    let soon = Client::with_token(&app.base, soon["token"].as_str().unwrap());
    let ticket = soon.post("/v1/tickets", &Value::Null).await.expect(200).json()["ticket"].take();
    socket.send(&json!({"type": "auth", "ticket": ticket})).await.unwrap();
    alice.commit(&drawing, &[op(1)]).await.expect(200);
    assert_eq!(socket.receive_ops().await.unwrap().len(), 1, "nothing was interrupted");
    assert_eq!(closed_with(&mut socket).await, 4100);
}

/// Reads until the server closes.
async fn closed_with(socket: &mut Socket) -> u16 {
    let closed = async {
        loop {
            if let Err(frame) = socket.receive_or_close().await.unwrap() {
                return frame.expect("a close frame has a code").code.into();
            }
        }
    };
    timeout(Duration::from_secs(30), closed).await.expect("it closes")
}
