//! The AsyncAPI document: valid, complete, and strict enough that messages which drift from it are seen.

use std::{collections::BTreeSet, process::Command};

use loadtest::socket::{Direction, JSON, MESSAGE_PACK, Socket};
use revcast::wire::CloseCode;
use serde_json::{Value, json};

use crate::support::{App, asyncapi::fault_of, interop, new_id, op};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/asyncapi.yaml");

#[test]
fn the_document_is_valid_by_the_parser_of_the_asyncapi_initiative() {
    let output = Command::new("node").arg(interop::file("asyncapi.mjs")).arg(FILE).output();
    let output = output.expect("node can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_message_has_words_and_an_example_that_is_as_documented() {
    let document = revcast::wire::asyncapi_document();
    let messages = document["components"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), 15, "{:?}", messages.keys());
    for (key, message) in messages {
        assert!(message["description"].as_str().is_some_and(|words| words.len() > 10), "{key}");
        let direction = if key.starts_with("client") { Direction::Sent } else { Direction::Received };
        let example = &message["examples"][0]["payload"];
        assert_eq!(fault_of(direction, example), None, "{key}: {example}");
    }
}

#[test]
fn every_close_code_is_in_the_table_of_the_socket() {
    let document = revcast::wire::asyncapi_document();
    let words = document["channels"]["socket"]["description"].as_str().unwrap();
    for code in CloseCode::ALL {
        assert!(words.contains(&format!("\n| {} | ", code as u16)), "{code:?} is missing: {words}");
    }
}

#[test]
fn a_message_that_drifts_from_the_document_is_seen() {
    let committed = |change: Value| {
        let mut op = op(1);
        op["revision"] = 1.into();
        op["actor"] = "alice".into();
        op["ts"] = 1.into();
        op.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"type": "ops", "drawing_id": new_id(), "revision": 1, "ops": [op]})
    };
    assert_eq!(fault_of(Direction::Received, &committed(json!({}))), None);
    let drifted = [
        (Direction::Received, json!({"type": "wave"})),
        (Direction::Received, json!({"type": "ping", "t": 1})),
        (Direction::Received, json!({"type": "pong"})),
        (Direction::Received, json!({"type": "pong", "t": 1, "more": 1})),
        (Direction::Received, json!({"type": "goaway", "reconnect_in_ms": "1"})),
        (Direction::Received, json!({"type": "role", "drawing_id": new_id()})),
        (Direction::Received, json!({"type": "role", "drawing_id": "x", "role": null})),
        (Direction::Received, json!({"type": "error", "code": "sorry", "detail": ""})),
        (Direction::Received, committed(json!({"revision": null}))),
        (Direction::Received, committed(json!({"more": 1}))),
        (Direction::Received, committed(json!({"type": "object.wave"}))),
        (Direction::Sent, json!({"type": "pong", "t": 1})),
        (Direction::Sent, json!({"type": "subscribe"})),
        (Direction::Sent, json!({"type": "presence", "drawing_id": new_id(), "state": 1})),
    ];
    for (direction, message) in drifted {
        assert!(fault_of(direction, &message).is_some(), "{direction:?}: {message}");
    }
}

/// Sockets hold each message against the document as they receive it.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_every_message_of_the_document_as_it_is_documented() {
    for subprotocol in [JSON, MESSAGE_PACK] {
        let app = App::sqlite_with(&["--heartbeat", "100ms", "--drain-window", "0s"]).await;
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let drawing = alice.create_drawing().await;
        alice.grant(&drawing, "bob", "editor").await;
        let subscribe = json!({"type": "subscribe", "drawing_id": drawing, "presence": true});
        let present = |state: Value| json!({"type": "presence", "drawing_id": drawing, "state": state});

        let mut hers = Socket::open_with(&app.base, &alice.token, subprotocol).await.unwrap();
        hers.send(&subscribe).await.unwrap();
        hers.receive_type("subscribed").await.unwrap();
        hers.send(&present(json!({"cursor": [1, 2]}))).await.unwrap();
        let shown = hers.receive_type("presence").await.unwrap();
        assert_eq!(shown["count"], 1);

        let mut his = Socket::open_with(&app.base, &bob.token, subprotocol).await.unwrap();
        his.send(&subscribe).await.unwrap();
        let subscribed = his.receive_type("subscribed").await.unwrap();
        assert_eq!(subscribed["presence"], shown["set"]);
        hers.send(&present(Value::Null)).await.unwrap();
        assert_eq!(his.receive_type("presence").await.unwrap()["gone"].as_array().unwrap().len(), 1);
        alice.commit(&drawing, &[op(1)]).await.expect(200);
        his.receive_type("ops").await.unwrap();
        his.receive_type("head").await.unwrap();
        alice.grant(&drawing, "bob", "viewer").await;
        his.receive_type("role").await.unwrap();
        his.send_unchecked(&json!({"type": "subscribe"})).await.unwrap();
        his.receive_type("error").await.unwrap();
        his.send(&json!({"type": "ping", "t": [null, 1.5]})).await.unwrap();
        his.receive_type("pong").await.unwrap();
        assert_eq!(his.subscribe(&drawing, Some(99)).await.unwrap()["type"], "reset");
        drop(app);
        his.receive_type("goaway").await.unwrap();

        let said = "hello subscribed presence ops head role error pong reset goaway";
        let document = revcast::wire::asyncapi_document();
        let messages = document["operations"]["tellSocket"]["messages"].as_array().unwrap();
        let keys = messages.iter().filter_map(|message| message["$ref"].as_str()?.rsplit("/server").next());
        let documented: BTreeSet<_> = keys.map(str::to_lowercase).collect();
        assert_eq!(documented, said.split(' ').map(str::to_owned).collect());
    }
}
