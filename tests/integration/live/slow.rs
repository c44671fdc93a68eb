//! Slow readers: nobody waits for them, presence is shed first, and they are told where they stand.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use loadtest::{
    services::{Revcast, TempFolder},
    socket::Socket,
};
use revcast::limits;
use serde_json::{Value, json};

use crate::{
    live::presence::Watcher,
    support::{App, Client, LIFTED_LIMITS, eventually, new_id, revisions, within},
};

/// Receive buffer of a reader that is to stop the server soon, in bytes.
const NARROW: u32 = 4_096;
/// Size of an op of which a few dozen fill what the kernel holds for one socket.
const LARGE: usize = 32 * 1024;

fn large(size: usize) -> Value {
    json!({"op_id": new_id(), "type": "custom.large", "data": "x".repeat(size)})
}

/// Commits large ops, and checks that a brisk reader gets each before the next is sent.
async fn flood(client: &Client, drawing: &str, brisk: &mut Socket, count: usize) {
    for _ in 0..count {
        let committed = client.commit(drawing, &[large(LARGE)]).await.expect(200).json();
        let told = brisk.receive_ops().await.unwrap();
        assert_eq!(told[0]["revision"], committed["latest_revision"]);
    }
}

/// A socket that reads only when it is told to.
async fn narrow(client: &Client) -> Socket {
    Socket::open_narrow(&client.base, &client.token, NARROW).await.unwrap()
}

/// Reads the messages that a slow reader has waiting when it reads on, until `is_last`.
async fn read_on(slow: &mut Socket, mut is_last: impl FnMut(&Value) -> bool) {
    let reading = async { while !is_last(&slow.receive().await.unwrap()) {} };
    within("what the slow reader waits for", reading).await;
}

/// Waits until the server says that so many sockets are behind.
async fn until_behind(client: &Client) {
    eventually("a socket is behind", || async {
        let metrics = client.get("/metrics").await.expect(200);
        let text = String::from_utf8(metrics.bytes).unwrap();
        let line =
            text.lines().find(|line| line.starts_with("revcast_connections_behind ")).unwrap().to_owned();
        (!line.ends_with(" 0")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_every_op_and_one_diff_that_makes_its_presence_whole() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut slow = narrow(&alice).await;
    slow.watch(&drawing).await.unwrap();
    let mut brisk = Watcher::new(&alice, &drawing).await;
    let mut showing = Watcher::new(&alice, &drawing).await;
    // Messages that fit into the kernel's buffers are on their way already; the rest has to wait for the reader.
    flood(&alice, &drawing, &mut brisk.socket, 50).await;
    let id = showing.id.clone();
    for n in 0..50 {
        showing.show(json!({"n": n, "fill": "x".repeat(900)})).await;
        brisk.expect(&[(&id, json!(n))]).await;
    }
    flood(&alice, &drawing, &mut brisk.socket, 30).await;
    let (mut got, mut diffs, mut after_ops) = (Vec::new(), 0, None);
    read_on(&mut slow, |message| {
        match message["type"].as_str().unwrap() {
            "ops" => got.extend(revisions(message["ops"].as_array().unwrap())),
            "presence" => {
                diffs += 1;
                if got.len() == 80 {
                    after_ops = Some(message.clone());
                }
            }
            "head" => (),
            other => panic!("unexpected {other}"),
        }
        after_ops.is_some()
    })
    .await;
    assert_eq!(got, (1..=80).collect::<Vec<_>>());
    assert_eq!(diffs, 1, "what it missed meanwhile is one diff, behind the ops");
    let entry = &after_ops.unwrap()["set"][&id];
    assert_eq!(entry["state"]["n"], 49);
    // It is as quick as the others again.
    showing.show(json!({"n": "next"})).await;
    assert_eq!(slow.receive_type("presence").await.unwrap()["set"][&id]["state"]["n"], "next");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_behind_the_ring_is_reset_and_goes_on_from_rest() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut slow = narrow(&alice).await;
    slow.subscribe(&drawing, None).await.unwrap();
    let mut brisk = alice.socket().await;
    brisk.subscribe(&drawing, None).await.unwrap();
    let count = 2 * limits::ROOM_RING_BYTES / LARGE;
    flood(&alice, &drawing, &mut brisk, count).await;
    let (mut got, mut reset) = (Vec::new(), Value::Null);
    read_on(&mut slow, |message| {
        match message["type"].as_str().unwrap() {
            "ops" => got.extend(revisions(message["ops"].as_array().unwrap())),
            "reset" => reset = message.clone(),
            _ => (),
        }
        !reset.is_null()
    })
    .await;
    let position = got.len() as u64;
    assert_eq!(got, (1..=position).collect::<Vec<_>>());
    assert_eq!((&reset["reason"], &reset["revision"]), (&json!("lagged"), &json!(count)));
    assert!(position < count as u64);
    let rest = alice.read_all(&drawing, position).await;
    slow.subscribe(&drawing, Some(position + rest.len() as u64)).await.unwrap();
    alice.commit(&drawing, &[large(1)]).await.expect(200);
    assert_eq!(revisions(&slow.receive_ops().await.unwrap()), [count as u64 + 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_whose_role_is_revoked_gets_nothing_that_was_told_later() {
    let app = App::sqlite().await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let drawing = alice.create_drawing().await;
    alice.grant(&drawing, "bob", "viewer").await;
    let mut slow = narrow(&bob).await;
    slow.subscribe(&drawing, None).await.unwrap();
    let mut brisk = alice.socket().await;
    brisk.subscribe(&drawing, None).await.unwrap();
    flood(&alice, &drawing, &mut brisk, 60).await;
    alice.revoke(&drawing, "bob").await;
    flood(&alice, &drawing, &mut brisk, 20).await;
    let (mut got, mut is_revoked) = (Vec::new(), false);
    // While it is behind, an answer goes before ops: after a few of them, ops would have come as well.
    for t in 0..5 {
        slow.send(&json!({"type": "ping", "t": t})).await.unwrap();
        read_on(&mut slow, |message| {
            match message["type"].as_str().unwrap() {
                "ops" => {
                    assert!(!is_revoked, "ops after the end");
                    got.extend(revisions(message["ops"].as_array().unwrap()));
                }
                "role" => is_revoked = message["role"].is_null(),
                _ => (),
            }
            message["type"] == "pong"
        })
        .await;
    }
    assert!(is_revoked);
    assert_eq!(got, (1..=got.len() as u64).collect::<Vec<_>>());
    assert!(got.len() < 60, "what waited for it was dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_slow_reader_come_before_the_ops_that_wait_for_it() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (drawing, other) = (alice.create_drawing().await, alice.create_drawing().await);
    let mut slow = narrow(&alice).await;
    slow.subscribe(&drawing, None).await.unwrap();
    let mut brisk = alice.socket().await;
    brisk.subscribe(&drawing, None).await.unwrap();
    flood(&alice, &drawing, &mut brisk, 60).await;
    // More questions than answers are kept for it: it has to take some before it may ask on.
    let questions = 3 * limits::SOCKET_ANSWERS;
    for t in 0..questions {
        slow.send(&json!({"type": "ping", "t": t})).await.unwrap();
    }
    slow.send(&json!({"type": "subscribe", "drawing_id": other})).await.unwrap();
    let (mut got, mut pongs, mut is_answered) = (0, Vec::new(), None);
    read_on(&mut slow, |message| {
        match message["type"].as_str().unwrap() {
            "ops" => got += message["ops"].as_array().unwrap().len(),
            "pong" => pongs.push(message["t"].as_u64().unwrap()),
            "subscribed" => is_answered = Some(got),
            _ => (),
        }
        got == 60 && pongs.len() == questions && is_answered.is_some()
    })
    .await;
    assert!(is_answered < Some(60), "the ops came first");
    assert_eq!(pongs, (0..questions as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_takes_nothing_is_closed_after_a_while() {
    let (server, _folder) = server_process();
    let alice = Client::new(&server.base, "alice").await;
    let drawing = alice.create_drawing().await;
    let (mut stalled, mut brisk) = (narrow(&alice).await, alice.socket().await);
    stalled.subscribe(&drawing, None).await.unwrap();
    brisk.subscribe(&drawing, None).await.unwrap();
    flood(&alice, &drawing, &mut brisk, 40).await;
    until_behind(&alice).await;
    // The server counts how it closes; the client that does not read cannot see it.
    let closed = || async {
        let metrics = alice.get("/metrics").await.expect(200);
        let text = String::from_utf8(metrics.bytes).unwrap();
        text.contains(r#"revcast_socket_closes_total{code="4001"}"#).then_some(())
    };
    let deadline = limits::SOCKET_STALL_TIMEOUT + Duration::from_secs(20);
    let waiting = async {
        while closed().await.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(deadline, waiting).await.expect("it is closed as too slow");
    flood(&alice, &drawing, &mut brisk, 1).await;
    // Messages that it had not taken are lost; the end is not a silence.
    while let Ok(Ok(_)) = stalled.receive_or_close().await {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_lagged_and_stays_behind_is_closed_however_steadily_it_reads() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (lost, steady) = (alice.create_drawing().await, alice.create_drawing().await);
    let mut slow = narrow(&alice).await;
    for drawing in [&lost, &steady] {
        slow.subscribe(drawing, None).await.unwrap();
    }
    for _ in 0..90 {
        alice.commit(&steady, &[large(LARGE)]).await.expect(200);
    }
    for _ in 0..3 * limits::ROOM_RING_BYTES / LARGE / 2 {
        alice.commit(&lost, &[large(LARGE)]).await.expect(200);
    }
    // For each op that it reads, another one comes: it takes what it is sent, and never catches up.
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let mut lagged_at = None;
    let code = loop {
        match slow.receive_or_close().await.unwrap() {
            Ok(message) if message["type"] == "reset" => {
                assert_eq!((&message["reason"], &message["drawing_id"]), (&json!("lagged"), &json!(lost)));
                lagged_at = Some(Instant::now());
            }
            Ok(message) if message["drawing_id"] == *steady && message["type"] == "ops" => {
                pace.tick().await;
                alice.commit(&steady, &[large(LARGE)]).await.expect(200);
            }
            Ok(_) => (),
            Err(frame) => break u16::from(frame.expect("a close frame has a code").code),
        }
        let stays = limits::SOCKET_LAG_TIMEOUT + Duration::from_secs(20);
        assert!(lagged_at.is_none_or(|at: Instant| at.elapsed() < stays), "it may stay for ever");
    };
    assert_eq!(code, 4001);
    assert!(lagged_at.is_some());
}

/// A server whose memory and metrics are its own.
fn server_process() -> (Revcast, TempFolder) {
    let folder = TempFolder::new("slow").unwrap();
    let database_url = format!("sqlite://{}/revcast.db", folder.path().display());
    let binary = Path::new(env!("CARGO_BIN_EXE_revcast"));
    let flags = [&["--dev", "--database-url", &database_url], &LIFTED_LIMITS[..]].concat();
    (Revcast::start(binary, &flags).unwrap(), folder)
}

/// The memory that a process holds, in bytes.
fn resident_bytes(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_take_nothing_cost_no_memory_of_their_own() {
    let (server, _folder) = server_process();
    let alice = Client::new(&server.base, "alice").await;
    let drawing = alice.create_drawing().await;
    let mut stalled = Vec::new();
    for _ in 0..40 {
        let mut socket = narrow(&alice).await;
        socket.watch(&drawing).await.unwrap();
        stalled.push(socket);
    }
    let mut brisk = alice.socket().await;
    brisk.subscribe(&drawing, None).await.unwrap();
    flood(&alice, &drawing, &mut brisk, limits::ROOM_RING_BYTES / LARGE).await;
    let before = resident_bytes(server.pid());
    flood(&alice, &drawing, &mut brisk, 2 * limits::ROOM_RING_BYTES / LARGE).await;
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    // One copy each of what was told since would be 320 MB.
    assert!(grown < 64 << 20, "{grown}");
}
