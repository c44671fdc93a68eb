//! Outages: a killed server, a Postgres that restarts, a bus that is cut. G1 and G5 of the contract.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use loadtest::{
    proxy::Proxy,
    services::{Durability, Postgres, Revcast, TempFolder},
    socket::Socket,
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use crate::support::{
    App, Client, LIFTED_LIMITS, eventually, nats_port, nats_url, new_database, op, revisions,
};

const HEARTBEAT: Duration = Duration::from_millis(500);
/// The time that a machine that runs other tests beside this one may add.
const BUSY_MACHINE: Duration = Duration::from_secs(3);

/// Writes one op after the other, retrying each until it is acknowledged, as a client would;
/// reports each acknowledged op with its revision, and counts refusals that may be retried.
fn write_patiently(client: &Client, drawing: &str, acked: &mpsc::Sender<(String, u64)>) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        let (client, drawing, acked) = (client.clone(), drawing.to_owned(), acked.clone());
        writers.spawn(async move {
            for x in 0.. {
                let ops = [op(x)];
                let request = || {
                    let path = format!("/v1/drawings/{drawing}/ops");
                    client.request(reqwest::Method::POST, &path).json(&json!({"ops": ops}))
                };
                let revision = loop {
                    match Client::send(request()).await {
                        Ok(answer) if answer.status == 200 => {
                            break answer.json()["results"][0]["revision"].as_u64();
                        }
                        Ok(answer) => {
                            assert_eq!(answer.status, 503, "{answer:?}");
                            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
                        }
                        // The server is gone; so is the answer.
                        Err(_) => return,
                    }
                };
                let id = ops[0]["op_id"].as_str().unwrap().to_owned();
                if acked.send((id, revision.unwrap())).await.is_err() {
                    return;
                }
            }
        });
    }
    writers
}

/// Checks that every acknowledged op is in the log once, at the revision it was told.
fn check_log(log: &[Value], acked: &[(String, u64)]) {
    assert_eq!(revisions(log), (1..=log.len() as u64).collect::<Vec<_>>());
    for (id, revision) in acked {
        let found: Vec<u64> =
            log.iter().filter(|op| op["op_id"] == **id).map(|op| op["revision"].as_u64().unwrap()).collect();
        assert_eq!(found, [*revision], "op {id}");
    }
}

async fn survive_kill_9(database_url: &str) {
    let binary = Path::new(env!("CARGO_BIN_EXE_revcast"));
    let flags = [&["--dev", "--database-url", database_url], &LIFTED_LIMITS[..]].concat();
    let mut server = Revcast::start(binary, &flags).unwrap();
    let alice = Client::new(&server.base, "alice").await;
    let drawing = alice.create_drawing().await;
    let mut acked = Vec::new();
    let mut alice = alice;
    for _ in 0..3 {
        let (sender, mut receiver) = mpsc::channel(100_000);
        let mut writers = write_patiently(&alice, &drawing, &sender);
        for _ in 0..200 {
            acked.push(receiver.recv().await.unwrap());
        }
        server.kill().unwrap();
        while writers.join_next().await.is_some() {}
        while let Ok(last) = receiver.try_recv() {
            acked.push(last);
        }
        server = Revcast::start(binary, &flags).unwrap();
        // A development token outlives the process: its key is in the database.
        alice = alice.at(&server.base);
        check_log(&alice.read_all(&drawing, 0).await, &acked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_acknowledged_ops_survive_kill_9_on_sqlite() {
    let folder = TempFolder::new("kill").unwrap();
    survive_kill_9(&format!("sqlite://{}/revcast.db", folder.path().display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_acknowledged_ops_survive_kill_9_on_postgres() {
    survive_kill_9(&new_database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_postgres_restart_under_load_costs_503s_and_no_op() {
    let mut postgres = Postgres::start(Durability::Full).unwrap();
    let app = App::start(&postgres.create_database().unwrap(), &[]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let (sender, mut receiver) = mpsc::channel(100_000);
    let mut writers = write_patiently(&alice, &drawing, &sender);
    let mut acked = Vec::new();
    for _ in 0..200 {
        acked.push(receiver.recv().await.unwrap());
    }
    postgres.stop().unwrap();
    let refused = alice.commit(&drawing, &[op(1)]).await.expect_problem(503, "store_unavailable");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.json()["retryable"], true);
    alice.get("/readyz").await.expect(503);
    alice.get("/healthz").await.expect(200);
    while let Ok(last) = receiver.try_recv() {
        acked.push(last);
    }
    postgres.start_again().unwrap();
    for _ in 0..200 {
        acked.push(receiver.recv().await.unwrap());
    }
    drop(receiver);
    while writers.join_next().await.is_some() {}
    check_log(&alice.read_all(&drawing, 0).await, &acked);
    alice.get("/readyz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_with_nats_cut_readers_on_the_other_node_get_every_op_within_two_heartbeats() {
    let (writing_link, reading_link) =
        (Proxy::start(nats_port()).await.unwrap(), Proxy::start(nats_port()).await.unwrap());
    let database_url = new_database();
    let writing = start_behind(&database_url, &writing_link).await;
    let reading = start_behind(&database_url, &reading_link).await;
    let alice = writing.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut reader = alice.at(&reading.base).socket().await;
    reader.subscribe(&drawing, None).await.unwrap();
    commit_and_receive(&alice, &drawing, &mut reader, 1).await;
    for link in [&writing_link, &reading_link] {
        link.cut();
        for _ in 0..5 {
            let waited = commit_and_receive(&alice, &drawing, &mut reader, 20).await;
            assert!(waited < 2 * HEARTBEAT + BUSY_MACHINE, "{waited:?}");
        }
        let node = if std::ptr::eq(link, &writing_link) { &writing } else { &reading };
        eventually("the node says that it is degraded", || async {
            let ready = alice.at(&node.base).get("/readyz").await.expect(200).json();
            (ready["status"] == "degraded").then_some(())
        })
        .await;
        link.restore();
        eventually("the node has reconnected by itself", || async {
            let ready = alice.at(&node.base).get("/readyz").await.expect(200).json();
            (ready["status"] == "ready").then_some(())
        })
        .await;
    }
    // The same subscription is live again.
    commit_and_receive(&alice, &drawing, &mut reader, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_after_a_cut_ops_come_over_the_bus_again_without_a_heartbeat() {
    let link = Proxy::start(nats_port()).await.unwrap();
    let (database_url, nats) = (new_database(), nats_url());
    let link_url = format!("nats://127.0.0.1:{}", link.port);
    let writing = App::start(&database_url, &["--nats-url", &nats, "--heartbeat", "1h"]).await;
    let reading = App::start(&database_url, &["--nats-url", &link_url, "--heartbeat", "1h"]).await;
    let alice = writing.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut reader = alice.at(&reading.base).socket().await;
    reader.subscribe(&drawing, None).await.unwrap();
    link.cut();
    let is = |wanted: &'static str| {
        let client = alice.at(&reading.base);
        move || {
            let client = client.clone();
            async move { (client.get("/readyz").await.json()["status"] == wanted).then_some(()) }
        }
    };
    eventually("the node notices the cut", is("degraded")).await;
    alice.commit(&drawing, &[op(1)]).await.expect(200);
    link.restore();
    eventually("the node has reconnected", is("ready")).await;
    // The op that was missed comes with the next one, which reveals the hole.
    alice.commit(&drawing, &[op(2)]).await.expect(200);
    let mut received = Vec::new();
    while received.len() < 2 {
        received.extend(revisions(&reader.receive_ops().await.unwrap()));
    }
    assert_eq!(received, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_the_last_publish_lost_is_revealed_by_the_head() {
    let link = Proxy::start(nats_port()).await.unwrap();
    let database_url = new_database();
    let writing = start_behind(&database_url, &link).await;
    let reading = App::start(&database_url, &["--nats-url", &nats_url(), "--heartbeat", "500ms"]).await;
    let alice = writing.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut reader = alice.at(&reading.base).socket().await;
    reader.subscribe(&drawing, None).await.unwrap();
    link.cut();
    let started = Instant::now();
    alice.commit(&drawing, &[op(1)]).await.expect(200);
    assert_eq!(revisions(&reader.receive_ops().await.unwrap()), [1]);
    assert!(started.elapsed() < 2 * HEARTBEAT + BUSY_MACHINE);
    assert_eq!(reader.receive_type("head").await.unwrap()["revision"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_without_nats_and_finds_it_later() {
    let link = Proxy::start(nats_port()).await.unwrap();
    link.cut();
    let app = start_behind(&new_database(), &link).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut reader = alice.socket().await;
    reader.subscribe(&drawing, None).await.unwrap();
    commit_and_receive(&alice, &drawing, &mut reader, 1).await;
    assert_eq!(alice.get("/readyz").await.expect(200).json()["status"], "degraded");
    link.restore();
    eventually("the node is ready", || async {
        (alice.get("/readyz").await.json()["status"] == "ready").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_server_finishes_what_it_took_and_sends_its_readers_away() {
    let folder = TempFolder::new("drain").unwrap();
    let url = format!("sqlite://{}/revcast.db", folder.path().display());
    let binary = Path::new(env!("CARGO_BIN_EXE_revcast"));
    let flags = [&["--dev", "--database-url", &url], &LIFTED_LIMITS[..]].concat();
    let mut server = Revcast::start(binary, &flags).unwrap();
    let alice = Client::new(&server.base, "alice").await;
    let drawing = alice.create_drawing().await;
    let mut reader = alice.socket().await;
    reader.subscribe(&drawing, None).await.unwrap();
    let waiting = tokio::spawn({
        let (alice, drawing) = (alice.clone(), drawing.clone());
        async move { alice.get(&format!("/v1/drawings/{drawing}/ops?after=0&wait=30")).await }
    });
    let (sender, mut receiver) = mpsc::channel(100_000);
    let mut writers = write_patiently(&alice, &drawing, &sender);
    let mut acked = Vec::new();
    for _ in 0..50 {
        acked.push(receiver.recv().await.unwrap());
    }
    let stopping = tokio::task::spawn_blocking(move || {
        server.terminate().unwrap();
    });
    let goaway = loop {
        match reader.receive_or_close().await.unwrap() {
            Ok(message) if message["type"] == "goaway" => break message,
            Ok(_) => (),
            Err(frame) => panic!("closed without goaway: {frame:?}"),
        }
    };
    assert!(goaway["reconnect_in_ms"].as_u64().unwrap() < 5_000, "{goaway}");
    let closed = loop {
        if let Err(frame) = reader.receive_or_close().await.unwrap() {
            break frame;
        }
    };
    assert_eq!(u16::from(closed.unwrap().code), 4000);
    while writers.join_next().await.is_some() {}
    while let Ok(last) = receiver.try_recv() {
        acked.push(last);
    }
    waiting.await.unwrap().expect(200);
    stopping.await.unwrap();
    let server = Revcast::start(binary, &flags).unwrap();
    check_log(&alice.at(&server.base).read_all(&drawing, 0).await, &acked);
}

async fn start_behind(database_url: &str, link: &Proxy) -> App {
    let url = format!("nats://127.0.0.1:{}", link.port);
    App::start(database_url, &["--nats-url", &url, "--heartbeat", "500ms"]).await
}

/// Commits ops one by one, and receives as many; returns how long the last ones took after that.
async fn commit_and_receive(alice: &Client, drawing: &str, reader: &mut Socket, count: u64) -> Duration {
    let mut committed = Vec::new();
    for x in 0..count {
        let result = alice.commit(drawing, &[op(x)]).await.expect(200).json();
        committed.push(result["results"][0]["revision"].as_u64().unwrap());
    }
    let committed_at = Instant::now();
    let mut ops = Vec::new();
    while ops.len() < committed.len() {
        ops.extend(reader.receive_ops().await.unwrap());
    }
    assert_eq!(revisions(&ops), committed);
    committed_at.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn g10_with_nats_cut_a_revoked_reader_is_stopped_all_the_same() {
    let links = [Proxy::start(nats_port()).await.unwrap(), Proxy::start(nats_port()).await.unwrap()];
    let database_url = new_database();
    let nodes = [start_behind(&database_url, &links[0]).await, start_behind(&database_url, &links[1]).await];
    let (alice, bob) = (nodes[0].client("alice").await, nodes[0].client("bob").await);
    let drawing = alice.create_drawing().await;
    alice.grant(&drawing, "bob", "editor").await;
    let mut near = bob.socket().await;
    let mut far = bob.at(&nodes[1].base).socket().await;
    for socket in [&mut near, &mut far] {
        assert_eq!(socket.subscribe(&drawing, None).await.unwrap()["role"], "editor");
    }
    // The role has been looked at once before it changes.
    far.receive_type("head").await.unwrap();
    links.iter().for_each(Proxy::cut);
    alice.grant(&drawing, "bob", "viewer").await;
    for socket in [&mut near, &mut far] {
        assert_eq!(socket.receive_type("role").await.unwrap()["role"], "viewer");
    }
    let revoked_at = Instant::now();
    alice.revoke(&drawing, "bob").await;
    for socket in [&mut near, &mut far] {
        assert_eq!(socket.receive_type("role").await.unwrap()["role"], Value::Null);
    }
    assert!(revoked_at.elapsed() < 2 * HEARTBEAT + BUSY_MACHINE);
}
