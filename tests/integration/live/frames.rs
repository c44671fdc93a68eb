//! Frames: the same ops in every encoding, encoded once, compressed where that is worth it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use loadtest::socket::{MESSAGE_PACK, Socket};
use revcast::{
    limits,
    wire::{Encoding, Encodings},
};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::{
    App, Client, new_id, op,
    raw::{RawSocket, Received, frame},
    rooms::Node,
    within,
};

/// A socket that speaks MessagePack.
async fn packed(client: &Client) -> Socket {
    Socket::open_with(&client.base, &client.token, MESSAGE_PACK).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_json_and_of_message_pack_get_the_same_ops() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 4).await;
    let (mut json, mut packed) = (alice.socket().await, packed(&alice).await);
    assert_eq!(packed.hello["limits"], json.hello["limits"]);
    // From the middle of what is one frame in the ring by then.
    json.subscribe(&drawing, Some(1)).await.unwrap();
    packed.send(&json!({"type": "subscribe", "drawing_id": drawing, "after": 1})).await.unwrap();
    assert_eq!(packed.receive_type("subscribed").await.unwrap()["revision"], 1);
    let mut values = vec![op(5)];
    for data in
        [json!(-1), json!(0.5), json!(1e300), json!([[], {}]), json!("ü \u{0} \u{1F58A}"), json!(null)]
    {
        values.push(json!({"op_id": new_id(), "type": "custom.any", "data": {"v": data}}));
    }
    alice.commit(&drawing, &values).await.expect(200);
    let log = alice.read_all(&drawing, 1).await;
    let (mut from_json, mut from_packed) = (Vec::new(), Vec::new());
    while from_json.len() < log.len() {
        from_json.extend(json.receive_ops().await.unwrap());
    }
    while from_packed.len() < log.len() {
        from_packed.extend(packed.receive_type("ops").await.unwrap()["ops"].as_array().unwrap().clone());
    }
    assert_eq!((&from_json, &from_packed), (&log, &log));
    packed.send(&json!({"type": "presence", "drawing_id": drawing, "state": {"n": 1}})).await.unwrap();
    packed.send(&json!({"type": "ping", "t": [1, null]})).await.unwrap();
    assert_eq!(packed.receive_type("pong").await.unwrap()["t"], json!([1, null]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_keeps_its_last_bit_on_every_way() {
    // Hard to round: a parser that is only nearly right gives a neighbour.
    let texts =
        ["9.009004917506228e-14", "0.1", "5e-324", "1.7976931348623157e308", "2.2250738585072011e-308"];
    let exact: Vec<f64> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut packed = packed(&alice).await;
    packed.send(&json!({"type": "subscribe", "drawing_id": drawing})).await.unwrap();
    packed.receive_type("subscribed").await.unwrap();
    let mut plain = alice.socket().await;
    plain.subscribe(&drawing, None).await.unwrap();
    let id = new_id();
    let body = |numbers: &str| {
        format!(r#"{{"ops":[{{"op_id":"{id}","type":"custom.numbers","data":[{numbers}]}}]}}"#)
    };
    let path = format!("/v1/drawings/{drawing}/ops");
    alice.post_bytes(&path, body(&texts.join(","))).await.expect(200);
    let doubles = |op: &Value| -> Vec<f64> {
        op["data"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    assert_eq!(doubles(&packed.receive_type("ops").await.unwrap()["ops"][0]), exact);
    assert_eq!(doubles(&plain.receive_ops().await.unwrap()[0]), exact);
    let page = alice.get_with(&format!("{path}?after=0"), &[("accept", "application/msgpack")]).await;
    let page: Value = rmp_serde::from_slice(&page.expect(200).bytes).unwrap();
    assert_eq!(doubles(&page["ops"][0]), exact);
    // And a neighbour is another number.
    let other = body(&texts.join(",").replace("6228e-14", "6229e-14"));
    alice.post_bytes(&path, other).await.expect_problem(409, "op_id_conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_readers_of_a_room_share_one_frame_and_its_bytes() {
    let node = Node::start(Duration::from_secs(3_600)).await;
    let drawing = node.drawing_with(1).await;
    let listeners = join_all((0..100).map(|_| node.join(drawing, Some(1)))).await;
    let last = node.commit(drawing, 3).await;
    let mut bytes = Vec::new();
    for listener in &listeners {
        listener.expect(2, last).await;
        let item = listener.heard().items[0].clone();
        bytes.push(item.bytes(Encoding::MessagePack).as_ptr());
    }
    assert!(bytes.iter().all(|at| *at == bytes[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn who_needs_an_encoding_at_the_same_time_waits_for_the_one_who_makes_it() {
    for encoding in Encoding::ALL {
        let (encodings, made) = (Arc::new(Encodings::default()), Arc::new(AtomicUsize::new(0)));
        let start = Arc::new(Barrier::new(8));
        let readers = (0..8).map(|_| {
            let (encodings, made, start) = (encodings.clone(), made.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                let make = || {
                    made.fetch_add(1, Ordering::Relaxed);
                    // Long enough for the others to come.
                    std::hint::black_box((0..1_000_000_u32).map(std::hint::black_box).count());
                    Bytes::from_static(b"frame")
                };
                encodings.get(encoding, make).clone()
            })
        });
        for read in join_all(readers).await {
            assert_eq!(read.unwrap(), "frame");
        }
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}

/// Receives until a message with ops has come; returns its size on the wire and what it says.
async fn receive_ops(socket: &mut RawSocket) -> (bool, usize, Value) {
    within("ops", async {
        loop {
            let (received, first, size) = socket.receive_sized().await;
            if let Received::Message(message) = received
                && message["type"] == "ops"
            {
                return (first & 0x40 != 0, size, message);
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_compressed_above_a_size_and_only_where_that_makes_them_smaller() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let bearer = format!("Bearer {}", alice.token);
    let mut headers = RawSocket::opening(&bearer);
    let mut plain = RawSocket::handshake(&alice.base, "GET", "/v1/ws", &headers).await;
    headers.push(("Sec-WebSocket-Extensions", "permessage-deflate"));
    let mut deflating = RawSocket::handshake(&alice.base, "GET", "/v1/ws", &headers).await;
    let subscribe = json!({"type": "subscribe", "drawing_id": drawing, "after": 0}).to_string();
    for socket in [&mut plain, &mut deflating] {
        assert!(socket.send(&frame(0x81, subscribe.as_bytes()), usize::MAX).await);
    }
    // A compressor gains little on the ids and nothing on such characters.
    let mut state = 1_u64;
    let mut noise = |count: usize| -> String {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from_u32(0x1_0000 + u32::try_from(state >> 33).unwrap() % 0xf_0000).unwrap()
        };
        (0..count).map(|_| next()).collect()
    };
    let mut data = vec!["x".repeat(2_000)];
    data.extend((0..60).step_by(3).map(&mut noise));
    for data in &data {
        let ops = [json!({"op_id": new_id(), "type": "custom.any", "data": {"v": data}})];
        alice.commit(&drawing, &ops).await.expect(200);
        let (was_plain, plain_size, expected) = receive_ops(&mut plain).await;
        let (was_deflated, size, message) = receive_ops(&mut deflating).await;
        assert_eq!((message["ops"][0]["data"]["v"].as_str(), &message), (Some(data.as_str()), &expected));
        assert!(!was_plain);
        assert_eq!(was_deflated, size < plain_size, "{size} of {plain_size}");
        if data.len() == 2_000 {
            assert!(size < plain_size / 2, "{size} of {plain_size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_at_most_the_limit_is_never_compressed() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let bearer = format!("Bearer {}", alice.token);
    let mut headers = RawSocket::opening(&bearer);
    headers.push(("Sec-WebSocket-Extensions", "permessage-deflate"));
    let mut socket = RawSocket::handshake(&alice.base, "GET", "/v1/ws", &headers).await;
    // The pong that bears so many characters is that long.
    for (length, is_compressed) in
        [(limits::DEFLATE_ABOVE_BYTES, false), (limits::DEFLATE_ABOVE_BYTES + 1, true)]
    {
        let fill = "x".repeat(length - r#"{"type":"pong","t":""}"#.len());
        let ping = json!({"type": "ping", "t": fill}).to_string();
        assert!(socket.send(&frame(0x81, ping.as_bytes()), usize::MAX).await);
        loop {
            let (received, first, _) = socket.receive_sized().await;
            if received == Received::Message(json!({"type": "pong", "t": fill})) {
                assert_eq!(first & 0x40 != 0, is_compressed, "{length}");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ops_that_come_while_readers_are_busy_share_frames_and_in_a_quiet_room_each_has_its_own() {
    let node = Node::start(Duration::from_secs(3_600)).await;
    let drawing = node.drawing_with(0).await;
    let listener = node.join(drawing, Some(0)).await;
    for revision in 1..=10 {
        node.commit(drawing, 1).await;
        listener.expect(1, revision).await;
    }
    assert_eq!(listener.heard().frames(), 10);
    {
        // The broadcaster waits for this reader meanwhile, and what comes waits together.
        let mut messages = Vec::new();
        for _ in 0..100 {
            messages.push(node.append(drawing, 1).await);
        }
        let heard = listener.heard();
        node.publish_all(messages);
        drop(heard);
    }
    listener.expect(1, 110).await;
    let frames = listener.heard().frames() - 10;
    assert!(frames < 50, "{frames} frames for 100 ops");
}
