//! The promises G1–G4, G6, G7, G10 and G12 of the contract, each by name. Outages are in `faults`, G9 in `live::late_join`.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use loadtest::socket::Socket;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{App, Client, eventually, new_id, op, revisions};

fn contiguous(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_thirty_two_writers_on_one_drawing_make_contiguous_revisions() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let drawing = alice.create_drawing().await;
        let writers = (0..32).map(|_| {
            let (alice, drawing) = (alice.clone(), drawing.clone());
            async move {
                for x in 0..10 {
                    alice.commit(&drawing, &[op(x), op(x)]).await.expect(200);
                }
            }
        });
        join_all(writers).await;
        assert_eq!(revisions(&alice.read_all(&drawing, 0).await), contiguous(640));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_writers_on_two_nodes_share_one_order() {
    let first = App::clustered().await;
    let second = first.second_node().await;
    let alice = first.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut sockets = [alice.socket().await, alice.at(&second.base).socket().await];
    for socket in &mut sockets {
        socket.subscribe(&drawing, Some(0)).await.unwrap();
    }
    let writers = (0..8).map(|n| {
        let (client, drawing) = (alice.at([&first.base, &second.base][n % 2]), drawing.clone());
        async move {
            for x in 0..25 {
                client.commit(&drawing, &[op(x)]).await.expect(200);
            }
        }
    });
    join_all(writers).await;
    let log = alice.read_all(&drawing, 0).await;
    assert_eq!(revisions(&log), contiguous(200));
    for socket in &mut sockets {
        assert_eq!(receive(socket, 200).await, log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_a_retry_after_a_lost_answer_finds_its_first_revision() {
    let app = App::postgres().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let ops = [op(1), op(2)];
    // The request is sent, and the client is gone before the answer.
    let body = json!({"ops": ops}).to_string();
    let host = alice.base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!(
        "POST /v1/drawings/{drawing}/ops HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        alice.token,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    eventually("the ops are committed", || async {
        (alice.read_all(&drawing, 0).await.len() == 2).then_some(())
    })
    .await;
    drop(stream);
    let retried = alice.commit(&drawing, &ops).await.expect(200).json();
    for (result, revision) in retried["results"].as_array().unwrap().iter().zip(1..) {
        assert_eq!((&result["revision"], &result["duplicate"]), (&json!(revision), &json!(true)));
    }
    assert_eq!(alice.read_all(&drawing, 0).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_the_same_op_in_concurrent_requests_is_applied_once() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let drawing = alice.create_drawing().await;
        for x in 0..20 {
            let same = [op(x)];
            let answers = join_all((0..4).map(|_| alice.commit(&drawing, &same))).await;
            let results: Vec<Value> =
                answers.into_iter().map(|a| a.expect(200).json()["results"][0].take()).collect();
            assert!(results.iter().all(|result| result["revision"] == results[0]["revision"]), "{results:?}");
            assert_eq!(
                results.iter().filter(|result| result["duplicate"] == false).count(),
                1,
                "{results:?}"
            );
        }
        assert_eq!(revisions(&alice.read_all(&drawing, 0).await), contiguous(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_an_op_id_with_another_body_is_a_conflict_and_key_order_is_no_difference() {
    let app = App::postgres().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let id = new_id();
    let path = format!("/v1/drawings/{drawing}/ops");
    let post = |op: String| {
        let request = alice.request(reqwest::Method::POST, &path).header("content-type", "application/json");
        Client::send(request.body(format!(r#"{{"ops":[{op}]}}"#)))
    };
    let first = format!(r#"{{"op_id":"{id}","type":"custom.a","data":{{"x":1,"y":[2]}}}}"#);
    let reordered = format!(r#"{{"data":{{"y":[2.0],"x":1e0}},"type":"custom.a","op_id":"{id}"}}"#);
    let other = format!(r#"{{"op_id":"{id}","type":"custom.a","data":{{"x":1,"y":[3]}}}}"#);
    post(first).await.unwrap().expect(200);
    assert_eq!(post(reordered).await.unwrap().expect(200).json()["results"][0]["duplicate"], true);
    let conflict = post(other).await.unwrap().expect_problem(409, "op_id_conflict");
    assert_eq!(conflict.json()["pointer"], "/ops/0/op_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_a_request_commits_whole_or_not_at_all() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let drawing = alice.create_drawing().await;
        let known = op(1);
        alice.commit(&drawing, std::slice::from_ref(&known)).await.expect(200);
        let mut conflicting = known.clone();
        conflicting["set"]["x"] = json!(2);
        alice.commit(&drawing, &[op(3), conflicting]).await.expect_problem(409, "op_id_conflict");
        let stray = json!({"op_id": new_id(), "type": "undo", "unit": new_id()});
        alice.commit(&drawing, &[op(4), stray]).await.expect_problem(422, "unknown_unit");
        let invalid = json!({"op_id": new_id(), "type": "canvas.clear", "colour": 1});
        alice.commit(&drawing, &[op(5), invalid]).await.expect_problem(422, "invalid_op");
        assert_eq!(revisions(&alice.read_all(&drawing, 0).await), [1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_every_reader_gets_every_op_once_and_in_order_wherever_it_starts() {
    let app = App::clustered().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 300).await;
    let writing = tokio::spawn({
        let (alice, drawing) = (alice.clone(), drawing.clone());
        async move {
            for x in 0..300 {
                alice.commit(&drawing, &[op(x)]).await.expect(200);
            }
        }
    });
    // They join while ops are being committed, each at another place.
    let readers = (0..20).map(|n| {
        let (alice, drawing) = (alice.clone(), drawing.clone());
        async move {
            let mut socket = alice.socket().await;
            let subscribed = socket.subscribe(&drawing, (n % 4 > 0).then_some(n * 15)).await.unwrap();
            let after = subscribed["revision"].as_u64().unwrap();
            let ops = receive(&mut socket, 600 - after).await;
            assert_eq!(revisions(&ops), (after + 1..=600).collect::<Vec<_>>());
            (after, ops)
        }
    });
    let read = join_all(readers).await;
    writing.await.unwrap();
    let log = alice.read_all(&drawing, 0).await;
    for (after, ops) in read {
        assert_eq!(ops, log[usize::try_from(after).unwrap()..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_a_reader_stalled_for_30_s_is_told_where_to_resume_and_delays_nobody() {
    let app = App::postgres().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let (mut brisk, mut stalled) = (alice.socket().await, alice.socket().await);
    brisk.subscribe(&drawing, None).await.unwrap();
    stalled.subscribe(&drawing, None).await.unwrap();
    let started = Instant::now();
    let padding = "x".repeat(60_000);
    let mut committed = 0;
    // More than the sockets' buffers and the room's ring hold together, then a trickle until the time is over.
    while committed < 500 || started.elapsed() < Duration::from_secs(30) {
        let big = json!({"op_id": new_id(), "type": "custom.big", "data": if committed < 500 { &padding } else { "" }});
        alice.commit(&drawing, &[big]).await.expect(200);
        committed += 1;
        assert_eq!(revisions(&receive(&mut brisk, 1).await), [committed]);
    }
    // All that the network still held arrives first, in order; then the reset.
    let mut position = 0;
    let reset = loop {
        let message = stalled.receive().await.unwrap();
        match message["type"].as_str().unwrap() {
            "ops" => {
                for revision in revisions(message["ops"].as_array().unwrap()) {
                    assert_eq!(revision, position + 1);
                    position = revision;
                }
            }
            "reset" => break message,
            "head" => (),
            other => panic!("unexpected {other}"),
        }
    };
    assert_eq!(reset["reason"], "lagged");
    assert!(position < reset["revision"].as_u64().unwrap());
    assert_eq!(reset["epoch"], stalled.hello["epoch"]);
    let rest = alice.read_all(&drawing, position).await;
    assert_eq!(rest.len() as u64, committed - position);
    // From REST back to the socket.
    assert_eq!(stalled.subscribe(&drawing, Some(committed)).await.unwrap()["type"], "subscribed");
}

#[tokio::test(flavor = "multi_thread")]
async fn g7_a_position_of_another_epoch_or_ahead_of_the_head_is_refused() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 2).await;
    let path = format!("/v1/drawings/{drawing}/ops");
    let ahead = alice.get(&format!("{path}?after=3")).await.expect_problem(410, "revision_ahead").json();
    assert_eq!(ahead["latest_revision"], 2);
    let other = new_id();
    let changed =
        alice.get(&format!("{path}?after=1&epoch={other}")).await.expect_problem(410, "epoch_changed").json();
    let mut socket = alice.socket().await;
    assert_eq!(changed["epoch"], socket.hello["epoch"]);
    let reset = socket.subscribe(&drawing, Some(3)).await.unwrap();
    assert_eq!(
        (&reset["type"], &reset["reason"], &reset["revision"]),
        (&json!("reset"), &json!("revision_ahead"), &json!(2))
    );
    socket
        .send(&json!({"type": "subscribe", "drawing_id": drawing, "after": 1, "epoch": other}))
        .await
        .unwrap();
    let reset = socket.receive_type("reset").await.unwrap();
    assert_eq!((&reset["reason"], &reset["epoch"]), (&json!("epoch_changed"), &changed["epoch"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn g7_a_new_epoch_reaches_a_running_server_and_its_readers() {
    let app = App::clustered().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 2).await;
    let mut socket = alice.socket().await;
    let old = socket.subscribe(&drawing, Some(0)).await.unwrap()["epoch"].as_str().unwrap().to_owned();
    receive(&mut socket, 2).await;
    let binary = env!("CARGO_BIN_EXE_revcast");
    let output = std::process::Command::new(binary)
        .args(["new-epoch", "--log", "off", "--database-url", &app.database_url])
        .output()
        .unwrap();
    let new = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert_ne!(new, old);
    let reset = socket.receive_type("reset").await.unwrap();
    assert_eq!((&reset["reason"], &reset["epoch"]), (&json!("epoch_changed"), &json!(new)));
    let path = format!("/v1/drawings/{drawing}/ops?after=1&epoch={old}");
    alice.get(&path).await.expect_problem(410, "epoch_changed");
    let committed = alice.commit(&drawing, &[op(1)]).await.expect(200).json();
    assert_eq!(committed["epoch"], json!(new));
    let subscribed = socket.subscribe(&drawing, Some(2)).await.unwrap();
    assert_eq!(subscribed["epoch"], json!(new));
    assert_eq!(revisions(&receive(&mut socket, 1).await), [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn g10_nobody_reads_or_writes_without_a_role() {
    let app = App::sqlite().await;
    let (alice, mallory) = (app.client("alice").await, app.client("mallory").await);
    let drawing = alice.create_drawing().await;
    let path = format!("/v1/drawings/{drawing}");
    mallory.get(&path).await.expect_problem(404, "not_found");
    mallory.get(&format!("{path}/ops?after=0")).await.expect_problem(404, "not_found");
    mallory.get(&format!("{path}/members")).await.expect_problem(404, "not_found");
    mallory.commit(&drawing, &[op(1)]).await.expect_problem(404, "not_found");
    let mut socket = mallory.socket().await;
    assert_eq!(socket.subscribe(&drawing, None).await.unwrap()["code"], "not_found");
    alice.grant(&drawing, "mallory", "viewer").await;
    mallory.get(&format!("{path}/ops?after=0")).await.expect(200);
    mallory.commit(&drawing, &[op(1)]).await.expect_problem(403, "forbidden");
    assert_eq!(socket.subscribe(&drawing, None).await.unwrap()["role"], "viewer");
}

#[tokio::test(flavor = "multi_thread")]
async fn g10_a_revoked_role_stops_live_delivery_within_a_second_on_every_node() {
    let first = App::clustered().await;
    let second = first.second_node().await;
    let (alice, bob) = (first.client("alice").await, first.client("bob").await);
    let drawing = alice.create_drawing().await;
    alice.grant(&drawing, "bob", "editor").await;
    let mut sockets = [bob.socket().await, bob.at(&second.base).socket().await];
    for socket in &mut sockets {
        assert_eq!(socket.subscribe(&drawing, None).await.unwrap()["role"], "editor");
    }
    alice.grant(&drawing, "bob", "viewer").await;
    for socket in &mut sockets {
        assert_eq!(socket.receive_type("role").await.unwrap()["role"], "viewer");
    }
    alice.revoke(&drawing, "bob").await;
    let revoked_at = Instant::now();
    for socket in &mut sockets {
        assert_eq!(socket.receive_type("role").await.unwrap()["role"], Value::Null);
    }
    // A second by the contract, and two more for a machine that runs other tests beside this one.
    assert!(revoked_at.elapsed() < Duration::from_secs(3), "{:?}", revoked_at.elapsed());
    alice.commit(&drawing, &[op(1)]).await.expect(200);
    for (socket, app) in sockets.iter_mut().zip([&first, &second]) {
        // The pong comes after whatever the commit would have brought.
        eventually("the other node has the op", || async {
            (alice.at(&app.base).read_all(&drawing, 0).await.len() == 1).then_some(())
        })
        .await;
        socket.send(&json!({"type": "ping", "t": 1})).await.unwrap();
        assert_eq!(socket.receive().await.unwrap()["type"], "pong");
        bob.at(&app.base).get(&format!("/v1/drawings/{drawing}/ops")).await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g10_a_deleted_drawing_ends_for_its_readers_on_every_node() {
    let first = App::clustered().await;
    let second = first.second_node().await;
    let alice = first.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut socket = alice.at(&second.base).socket().await;
    socket.subscribe(&drawing, None).await.unwrap();
    alice.call(reqwest::Method::DELETE, &format!("/v1/drawings/{drawing}"), None).await.expect(204);
    assert_eq!(socket.receive_type("role").await.unwrap()["role"], Value::Null);
    assert_eq!(socket.subscribe(&drawing, None).await.unwrap()["code"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn g12_what_a_person_did_is_undone_whole_however_much_others_draw() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let drawing = alice.create_drawing().await;
        alice.grant(&drawing, "bob", "editor").await;
        let draw = async |client: &Client, ops: &[Value]| {
            for some in ops.chunks(500) {
                client.commit(&drawing, some).await.expect(200);
            }
        };
        let press = async |what: &str| {
            let answer = alice.post(&format!("/v1/drawings/{drawing}/{what}"), &json!({})).await;
            answer.expect(200).json()["unit"].clone()
        };
        let view = async || {
            alice.get(&format!("/v1/drawings/{drawing}/snapshot?view=only")).await.json()["view"].clone()
        };
        // Two thousand rectangles and a stroke, with thousands of ops of bob's before, in between and after.
        let unit = new_id();
        let of_unit = |nth: usize, op: Value| {
            let mut op = op;
            op["op_id"] = json!(if nth == 0 { unit.clone() } else { new_id() });
            if nth > 0 {
                op["unit"] = json!(unit);
            }
            op
        };
        let rects: Vec<_> = (0..2_200)
            .map(|nth| json!({"op_id": new_id(), "type": "object.create", "object_id": format!("r{nth}"), "kind": "rect",
                "props": {"x": nth}}))
            .collect();
        draw(&alice, &rects).await;
        let before = view().await;
        let moves: Vec<_> = (0..2_200)
            .map(|nth| {
                of_unit(
                    nth,
                    json!({"type": "object.update", "object_id": format!("r{nth}"), "set": {"x": -1}}),
                )
            })
            .collect();
        let others = || (0..2_200).map(op).collect::<Vec<_>>();
        draw(&alice, &moves[..1_000]).await;
        draw(&bob, &others()).await;
        draw(&alice, &moves[1_000..]).await;
        draw(&bob, &others()).await;
        let moved = view().await;
        assert_eq!(press("undo").await, json!(unit));
        assert_eq!(view().await, before);
        assert_eq!(press("redo").await, json!(unit));
        assert_eq!(view().await, moved);
    }
}

/// The next `count` ops of a socket, in the order in which they came.
async fn receive(socket: &mut Socket, count: u64) -> Vec<Value> {
    let mut ops = Vec::new();
    while (ops.len() as u64) < count {
        ops.extend(socket.receive_ops().await.unwrap());
    }
    ops
}
