//! A stop: readers are asked to come back elsewhere, and nothing is lost on the way.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use loadtest::{services::Revcast, socket::Socket};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    App, Client, events::Events, eventually, nats_url, new_database, op, revisions, within,
};

/// Reads until the server closes; returns the revisions, what `goaway` said, and the code.
async fn until_closed(socket: &mut Socket) -> (Vec<u64>, Option<u64>, u16) {
    within("the end of the socket", read_to_the_end(socket)).await
}

async fn read_to_the_end(socket: &mut Socket) -> (Vec<u64>, Option<u64>, u16) {
    let (mut got, mut reconnect_in_ms) = (Vec::new(), None);
    loop {
        match socket.receive_or_close().await.unwrap() {
            Ok(message) => match message["type"].as_str().unwrap() {
                "ops" => got.extend(revisions(message["ops"].as_array().unwrap())),
                "goaway" => {
                    assert_eq!(reconnect_in_ms, None, "once is enough");
                    reconnect_in_ms = message["reconnect_in_ms"].as_u64();
                }
                _ => (),
            },
            Err(frame) => return (got, reconnect_in_ms, frame.expect("a code").code.into()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_stopping_node_leave_one_by_one_and_have_every_op_once() {
    let (database_url, nats) = (new_database(), nats_url());
    let flags = ["--dev", "--database-url", &database_url, "--nats-url", &nats, "--drain-window", "3s"];
    let mut leaving = Revcast::start(Path::new(env!("CARGO_BIN_EXE_revcast")), &flags).unwrap();
    let staying = App::start(&database_url, &["--nats-url", &nats]).await;
    let alice = staying.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut sockets = Vec::new();
    for _ in 0..30 {
        let mut socket = alice.at(&leaving.base).socket().await;
        socket.subscribe(&drawing, Some(0)).await.unwrap();
        sockets.push(socket);
    }
    // Ops go on at the other node, from before the stop until after the last one has moved.
    let (writer, writes_to) = (alice.clone(), drawing.clone());
    let writing = tokio::spawn(async move {
        for x in 0.. {
            writer.commit(&writes_to, &[op(x)]).await.expect(200);
            tokio::task::yield_now().await;
        }
    });
    sockets[0].receive_ops().await.unwrap();
    let asked_at = Instant::now();
    let stopping = tokio::task::spawn_blocking(move || leaving.terminate().unwrap());
    let readers = sockets.into_iter().map(|mut socket| {
        let (alice, drawing) = (alice.clone(), drawing.clone());
        async move {
            let (mut got, reconnect_in_ms, code) = until_closed(&mut socket).await;
            assert_eq!(code, 4000);
            let after = got.last().copied().unwrap_or(0);
            let mut socket = alice.socket().await;
            assert_eq!(socket.subscribe(&drawing, Some(after)).await.unwrap()["type"], "subscribed");
            let more = after + 5;
            while got.last().copied().unwrap_or(0) < more {
                got.extend(revisions(&socket.receive_ops().await.unwrap()));
            }
            (got, reconnect_in_ms.expect("goaway comes before the end"), after)
        }
    });
    let moved = join_all(readers).await;
    writing.abort();
    stopping.await.unwrap();
    assert!(asked_at.elapsed() < Duration::from_secs(20), "{:?}", asked_at.elapsed());
    let mut moments: Vec<u64> = Vec::new();
    for (got, reconnect_in_ms, _) in &moved {
        let last = *got.last().unwrap();
        let first = got[0];
        // The first socket read an op of its own before.
        assert_eq!(*got, (first..=last).collect::<Vec<_>>());
        moments.push(*reconnect_in_ms);
    }
    assert!(moments.iter().all(|moment| *moment < 3_000), "{moments:?}");
    assert!(moments.iter().max() > moments.iter().min().map(|min| min + 500).as_ref(), "{moments:?}");
    // They went on hearing of ops until their moment: those who left late heard more.
    let (early, late) =
        (moved.iter().min_by_key(|m| m.1).unwrap(), moved.iter().max_by_key(|m| m.1).unwrap());
    assert!(late.2 > early.2, "{} after {}", late.2, early.2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_under_way_is_answered_and_told_before_the_readers_leave() {
    let mut app = App::sqlite_with(&["--drain-window", "0s"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut socket = alice.socket().await;
    socket.subscribe(&drawing, None).await.unwrap();
    let mut events = Events::open(&alice, &drawing, "", &[]).await;
    events.next().await.unwrap();
    let body = json!({"ops": [op(1)]}).to_string();
    let host = app.base.trim_start_matches("http://").to_owned();
    let mut half_sent = TcpStream::connect(&host).await.unwrap();
    let head = format!(
        "POST /v1/drawings/{drawing}/ops HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        alice.token,
        body.len(),
        &body[..10]
    );
    half_sent.write_all(head.as_bytes()).await.unwrap();
    // An answer on another connection tells that the server had time to see the first half.
    alice.get("/healthz").await.expect(200);
    app.stop();
    eventually("nobody is let in any more", || async {
        TcpStream::connect(&host).await.is_err().then_some(())
    })
    .await;
    half_sent.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(20), half_sent.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (got, reconnect_in_ms, code) = until_closed(&mut socket).await;
    assert_eq!((got, reconnect_in_ms, code), (vec![1], Some(0), 4000));
    timeout(Duration::from_secs(20), app.stopped()).await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_long_polls_end_with_the_node_and_are_told() {
    let mut app = App::sqlite_with(&["--drain-window", "2s"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut events = Events::open(&alice, &drawing, "", &[]).await;
    events.next().await.unwrap();
    let polling = {
        let (alice, drawing) = (alice.clone(), drawing.clone());
        tokio::spawn(async move { alice.get(&format!("/v1/drawings/{drawing}/ops?after=0&wait=30")).await })
    };
    let mut socket = alice.socket().await;
    socket.subscribe(&drawing, None).await.unwrap();
    let asked_at = Instant::now();
    app.stop();
    let goaway = events.next_of("goaway").await;
    let reconnect_in_ms = goaway.data["reconnect_in_ms"].as_u64().unwrap();
    assert!(reconnect_in_ms < 2_000);
    // A browser whose only node is down must not try again without a pause.
    assert_eq!((goaway.retry, goaway.id), (Some(reconnect_in_ms.max(1_000)), None));
    assert_eq!(events.next().await, None);
    let polled = polling.await.unwrap();
    assert!([200, 503].contains(&polled.status), "{polled:?}");
    let (_, reconnect_in_ms, code) = until_closed(&mut socket).await;
    assert_eq!(code, 4000);
    assert!(reconnect_in_ms.is_some());
    timeout(Duration::from_secs(20), app.stopped()).await.expect("it stops");
    assert!(asked_at.elapsed() < Duration::from_secs(15), "{:?}", asked_at.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_listen_does_not_keep_a_node_from_stopping() {
    let mut app = App::sqlite_with(&["--drain-window", "0s"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut deaf = Socket::open_narrow(&app.base, &alice.token, 4_096).await.unwrap();
    deaf.subscribe(&drawing, None).await.unwrap();
    fill(&alice, &drawing).await;
    let asked_at = Instant::now();
    app.stop();
    timeout(Duration::from_secs(30), app.stopped()).await.expect("it stops");
    assert!(asked_at.elapsed() < Duration::from_secs(15), "{:?}", asked_at.elapsed());
}

/// Commits more than the kernel holds for a socket that is not read from.
async fn fill(alice: &Client, drawing: &str) {
    let padding = "x".repeat(50_000);
    for _ in 0..30 {
        let mut large: Value = op(1);
        large["type"] = "custom.large".into();
        large["data"] = padding.as_str().into();
        large.as_object_mut().unwrap().retain(|key, _| ["op_id", "type", "data"].contains(&key.as_str()));
        alice.commit(drawing, &[large]).await.expect(200);
    }
}
