//! Many readers on several nodes: joining under load, and an outage of the bus in the middle.

use futures_util::future::join_all;
use loadtest::{proxy::Proxy, socket::Socket};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::support::{App, Client, eventually, nats_port, new_database, op, revisions};

/// Commits at each node in turn until it is aborted.
fn write_at(nodes: &[&App], client: &Client, drawing: &str) -> JoinHandle<()> {
    let clients: Vec<Client> = nodes.iter().map(|node| client.at(&node.base)).collect();
    let drawing = drawing.to_owned();
    tokio::spawn(async move {
        for x in 0.. {
            let client = &clients[usize::try_from(x).unwrap() % clients.len()];
            client.commit(&drawing, &[op(x), op(x)]).await.expect(200);
        }
    })
}

/// Receives until revision `last`, and checks that each op from `after` on came once and in order.
async fn receive_until(socket: &mut Socket, after: u64, last: u64) -> Vec<Value> {
    let mut got = Vec::new();
    while after + (got.len() as u64) < last {
        got.extend(socket.receive_ops().await.unwrap());
    }
    assert_eq!(revisions(&got), (after + 1..=after + got.len() as u64).collect::<Vec<_>>());
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_join_two_nodes_under_load_miss_nothing_and_get_nothing_twice() {
    let first = App::clustered().await;
    let second = first.second_node().await;
    let alice = first.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 20).await;
    let writing = write_at(&[&first, &second], &alice, &drawing);
    let readers = (0..60_u64).map(|nth| {
        let client = alice.at(if nth % 2 == 0 { &first.base } else { &second.base });
        let drawing = drawing.clone();
        async move {
            let mut socket = client.socket().await;
            let after = [None, Some(0), Some(7), Some(20)][usize::try_from(nth / 2 % 4).unwrap()];
            let subscribed = socket.subscribe(&drawing, after).await.unwrap();
            let after = subscribed["revision"].as_u64().unwrap();
            let got = receive_until(&mut socket, after, after + 60).await;
            (after, got)
        }
    });
    let received = join_all(readers).await;
    writing.abort();
    let log = alice.read_all(&drawing, 0).await;
    for (after, got) in received {
        let start = usize::try_from(after).unwrap();
        assert_eq!(got, log[start..start + got.len()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_follow_on_while_the_bus_is_cut_and_restored() {
    let links = [Proxy::start(nats_port()).await.unwrap(), Proxy::start(nats_port()).await.unwrap()];
    let database_url = new_database();
    let mut nodes = Vec::new();
    for link in &links {
        let url = format!("nats://127.0.0.1:{}", link.port);
        nodes.push(App::start(&database_url, &["--nats-url", &url, "--heartbeat", "300ms"]).await);
    }
    let alice = nodes[0].client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut sockets = Vec::new();
    for nth in 0..10 {
        let mut socket = alice.at(&nodes[nth % 2].base).socket().await;
        socket.subscribe(&drawing, Some(0)).await.unwrap();
        sockets.push((socket, 0));
    }
    let writing = write_at(&[&nodes[0], &nodes[1]], &alice, &drawing);
    let follow = async |sockets: &mut Vec<(Socket, u64)>, more: u64| {
        for (socket, at) in sockets {
            *at += receive_until(socket, *at, *at + more).await.len() as u64;
        }
    };
    follow(&mut sockets, 20).await;
    for (link, node) in links.iter().zip(&nodes) {
        link.cut();
        eventually("the node notices", || async {
            let ready = alice.at(&node.base).get("/readyz").await.json();
            (ready["status"] == "degraded").then_some(())
        })
        .await;
        follow(&mut sockets, 20).await;
        // A reader who joins now does so from the store.
        let mut late = alice.at(&node.base).socket().await;
        late.subscribe(&drawing, Some(sockets[0].1)).await.unwrap();
        receive_until(&mut late, sockets[0].1, sockets[0].1 + 10).await;
        link.restore();
        eventually("the node is back", || async {
            let ready = alice.at(&node.base).get("/readyz").await.json();
            (ready["status"] == "ready").then_some(())
        })
        .await;
        follow(&mut sockets, 20).await;
    }
    writing.abort();
}
