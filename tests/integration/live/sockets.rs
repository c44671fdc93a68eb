//! The socket: its messages, its limits and its close codes.

use loadtest::socket::{JSON, MESSAGE_PACK, Socket};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{App, Client, new_id, op, revisions};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_gets_what_is_committed_after_it_subscribed() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 3).await;
    let mut socket = alice.socket().await;
    let hello = &socket.hello;
    assert_eq!(
        (&hello["type"], &hello["protocol"], &hello["heartbeat_ms"]),
        (&json!("hello"), &json!(2), &json!(2000))
    );
    assert_eq!(hello["limits"]["drawings_per_socket"], 64);
    assert!(hello["connection_id"].is_string());
    let subscribed = socket.subscribe(&drawing, None).await.unwrap();
    assert_eq!((&subscribed["type"], &subscribed["revision"]), (&json!("subscribed"), &json!(3)));
    assert_eq!((&subscribed["role"], &subscribed["epoch"]), (&json!("owner"), &socket.hello["epoch"]));
    alice.commit(&drawing, &[op(1), op(2)]).await.expect(200);
    let frame = socket.receive_type("ops").await.unwrap();
    assert_eq!((&frame["drawing_id"], &frame["revision"]), (&json!(drawing), &json!(5)));
    assert_eq!(frame["ops"], json!(alice.read_all(&drawing, 3).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_room_tells_its_head_at_every_heartbeat() {
    let app = App::sqlite_with(&["--heartbeat", "100ms"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 2).await;
    let mut socket = alice.socket().await;
    socket.subscribe(&drawing, None).await.unwrap();
    for _ in 0..3 {
        let head = socket.receive_type("head").await.unwrap();
        assert_eq!(
            (&head["drawing_id"], &head["revision"], &head["epoch"]),
            (&json!(drawing), &json!(2), &socket.hello["epoch"])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_resumes_after_its_position_from_the_ring_or_the_store() {
    let app = App::postgres().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 10).await;
    // The first one's room has seen nothing yet: the store fills it up. The second finds ops in the ring too.
    for after in [4, 7] {
        let mut socket = alice.socket().await;
        let subscribed = socket.subscribe(&drawing, Some(after)).await.unwrap();
        assert_eq!(subscribed["revision"], after);
        alice.commit(&drawing, &[op(1)]).await.expect(200);
        let log = alice.read_all(&drawing, after).await;
        let mut ops = Vec::new();
        while ops.len() < log.len() {
            ops.extend(socket.receive_ops().await.unwrap());
        }
        assert_eq!(ops, log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_over_the_resume_limit_is_sent_to_rest() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 1_001).await;
    let mut socket = alice.socket().await;
    let reset = socket.subscribe(&drawing, Some(0)).await.unwrap();
    assert_eq!(
        (&reset["type"], &reset["reason"], &reset["revision"]),
        (&json!("reset"), &json!("too_far_behind"), &json!(1001))
    );
    assert_eq!(socket.subscribe(&drawing, Some(1)).await.unwrap()["type"], "subscribed");
    let mut received = Vec::new();
    while received.len() < 1_000 {
        received.extend(revisions(&socket.receive_ops().await.unwrap()));
    }
    assert_eq!(received, (2..=1_001).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_socket_follows_many_drawings_up_to_its_limit_and_stops_when_told() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let mut socket = alice.socket().await;
    let mut drawings = Vec::new();
    for _ in 0..65 {
        drawings.push(alice.create_drawing().await);
    }
    for drawing in &drawings[..64] {
        assert_eq!(socket.subscribe(drawing, None).await.unwrap()["type"], "subscribed");
    }
    let refused = socket.subscribe(&drawings[64], None).await.unwrap();
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("too_many_subscriptions")));
    // To subscribe again takes no further place.
    assert_eq!(socket.subscribe(&drawings[0], None).await.unwrap()["type"], "subscribed");
    socket.send(&json!({"type": "unsubscribe", "drawing_id": drawings[0]})).await.unwrap();
    assert_eq!(socket.subscribe(&drawings[64], None).await.unwrap()["type"], "subscribed");
    alice.commit(&drawings[0], &[op(1)]).await.expect(200);
    alice.commit(&drawings[64], &[op(1)]).await.expect(200);
    assert_eq!(socket.receive_type("ops").await.unwrap()["drawing_id"], json!(drawings[64]));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_answered_refused_or_ignored() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let mut socket = alice.socket().await;
    let exchanges = [
        (json!({"type": "ping", "t": {"a": [1]}}), Some(json!({"type": "pong", "t": {"a": [1]}}))),
        (json!({"type": "op", "op_id": new_id()}), Some(json!("write_over_rest"))),
        (json!({"type": "ops", "ops": []}), Some(json!("write_over_rest"))),
        (op(1), Some(json!("write_over_rest"))),
        (json!({"type": "undo", "unit": new_id()}), Some(json!("write_over_rest"))),
        (json!({"type": "redo"}), Some(json!("write_over_rest"))),
        (json!({"type": "canvas.clear"}), Some(json!("write_over_rest"))),
        (json!({"type": "stroke.append", "points": [[1, 2]]}), Some(json!("write_over_rest"))),
        (json!({"type": "object.create", "object_id": "a"}), Some(json!("write_over_rest"))),
        (json!({"type": "custom.dice", "data": 6}), Some(json!("write_over_rest"))),
        (json!({"type": "subscribe"}), Some(json!("invalid_request"))),
        (json!({"type": "subscribe", "drawing_id": "x"}), Some(json!("invalid_request"))),
        (json!([]), Some(json!("invalid_request"))),
        (json!({"type": "subscribe", "drawing_id": new_id()}), Some(json!("not_found"))),
        (json!({"type": "presence", "drawing_id": new_id(), "state": {}}), Some(json!("not_subscribed"))),
        (json!({"type": "from_the_future", "x": 1}), None),
        (json!({"type": "objects"}), None),
        (json!({"type": "undone", "drawing_id": new_id()}), None),
    ];
    for (sent, expected) in exchanges {
        socket.send_unchecked(&sent).await.unwrap();
        let expected = match expected {
            Some(expected) => expected,
            None => {
                socket.send(&json!({"type": "ping", "t": "next"})).await.unwrap();
                json!({"type": "pong", "t": "next"})
            }
        };
        let answer = socket.receive().await.unwrap();
        if expected.is_string() {
            assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &expected), "{sent}");
            assert!(answer["detail"].is_string());
        } else {
            assert_eq!(answer, expected, "{sent}");
        }
    }
    socket.send_frame(Message::text("{")).await.unwrap();
    assert_eq!(socket.receive().await.unwrap()["code"], "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_bears_the_drawing_that_the_message_names() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    for subprotocol in [JSON, MESSAGE_PACK] {
        let mut socket = Socket::open_with(&app.base, &alice.token, subprotocol).await.unwrap();
        let id = new_id();
        let named = [
            (json!({"type": "subscribe", "drawing_id": id, "after": -1}), "invalid_request"),
            (json!({"type": "subscribe", "drawing_id": id, "presence": "yes"}), "invalid_request"),
            (json!({"type": "subscribe", "drawing_id": id.to_uppercase(), "epoch": 7}), "invalid_request"),
            (json!({"type": "presence", "drawing_id": id}), "invalid_request"),
            (json!({"type": 7, "drawing_id": id}), "invalid_request"),
            (json!({"type": "undo", "drawing_id": id}), "write_over_rest"),
        ];
        let unnamed = [
            (json!({"type": "unsubscribe"}), "invalid_request"),
            (json!({"type": "unsubscribe", "drawing_id": "x"}), "invalid_request"),
            (json!({"type": "presence", "drawing_id": null, "state": {}}), "invalid_request"),
            (json!([id]), "invalid_request"),
            (json!({"type": "undo", "drawing_id": 7}), "write_over_rest"),
        ];
        let rows = named.into_iter().map(|row| (row, json!(id))).chain(unnamed.map(|row| (row, Value::Null)));
        for ((sent, code), drawing_id) in rows {
            socket.send_unchecked(&sent).await.unwrap();
            let answer = socket.receive().await.unwrap();
            assert_eq!((&answer["code"], &answer["drawing_id"]), (&json!(code), &drawing_id), "{sent}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_the_rules_is_closed_with_the_code_that_says_why() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let mut socket = alice.socket().await;
    socket.send_frame(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 4201);
    let mut socket = alice.socket().await;
    let fitting = format!(r#"{{"type":"ping","t":"{}"}}"#, "x".repeat(64 * 1024 - 22));
    assert_eq!(fitting.len(), 64 * 1024);
    socket.send_frame(Message::text(fitting.clone())).await.unwrap();
    assert_eq!(socket.receive().await.unwrap()["type"], "pong");
    socket.send_frame(Message::text(fitting + " ")).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 4202);
    let mut socket = alice.socket().await;
    for _ in 0..1_000 {
        // The server may close while we are still sending.
        if socket.send_unchecked(&json!({"type": "unknown"})).await.is_err() {
            break;
        }
    }
    assert_eq!(close_code(&mut socket).await, 4203);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_opens_by_ticket_or_bearer_token_and_not_otherwise() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let ticket = ticket(&alice).await;
    let open = |query: String| {
        tokio_tungstenite::connect_async(format!("{}/v1/ws{query}", app.base.replacen("http", "ws", 1)))
    };
    let (mut stream, response) = open(format!("?ticket={ticket}")).await.unwrap();
    assert!(response.headers().get("sec-websocket-protocol").is_none());
    let hello = futures_util::StreamExt::next(&mut stream).await.unwrap().unwrap();
    assert!(hello.to_text().unwrap().contains(r#""type":"hello""#));
    let (mut stream, _) = open("?ticket=forged".to_owned()).await.unwrap();
    match futures_util::StreamExt::next(&mut stream).await.unwrap().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 4101),
        other => panic!("{other:?}"),
    }
    match open(String::new()).await.unwrap_err() {
        tokio_tungstenite::tungstenite::Error::Http(response) => assert_eq!(response.status(), 401),
        other => panic!("{other:?}"),
    }
    alice.get("/v1/ws").await.expect_problem(400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_lives_as_long_as_its_identity_unless_it_is_renewed() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let short = alice.post("/v1/dev/tokens", &json!({"sub": "alice", "ttl": 8})).await.expect(200).json();
    let short = short["token"].as_str().unwrap();
    let mut expiring = Socket::open(&app.base, short).await.unwrap();
    let mut renewed = Socket::open(&app.base, short).await.unwrap();
    renewed.send(&json!({"type": "auth", "ticket": ticket(&alice).await})).await.unwrap();
    assert_eq!(close_code(&mut expiring).await, 4100);
    renewed.send(&json!({"type": "ping", "t": 1})).await.unwrap();
    assert_eq!(renewed.receive().await.unwrap()["type"], "pong");
    // A ticket of somebody else would hand over alice's subscriptions.
    let others = ticket(&app.client("bob").await).await;
    renewed.send(&json!({"type": "auth", "ticket": others})).await.unwrap();
    assert_eq!(close_code(&mut renewed).await, 4101);
}

async fn ticket(client: &Client) -> String {
    let ticket = client.post("/v1/tickets", &Value::Null).await.expect(200).json();
    ticket["ticket"].as_str().unwrap().to_owned()
}

/// Reads until the server closes.
async fn close_code(socket: &mut Socket) -> u16 {
    loop {
        if let Err(frame) = socket.receive_or_close().await.unwrap() {
            return frame.expect("a close frame has a code").code.into();
        }
    }
}
