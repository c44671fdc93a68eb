//! The notice before a stop: balancers are told to send nothing more, and everything that comes is served.

use std::time::{Duration, Instant};

use loadtest::services::{Revcast, TempFolder};
use reqwest::{Method, header::CONNECTION};
use tokio::{net::TcpStream, task::spawn_blocking};

use crate::support::{App, Client, eventually, op, program, revisions};

/// A node on an SQLite file, with these flags.
fn start(folder: &TempFolder, flags: &[&str]) -> Revcast {
    let database = format!("sqlite://{}/revcast.db", folder.path().display());
    Revcast::start(program::binary(), &[&["--dev", "--database-url", &database], flags].concat()).unwrap()
}

async fn until_told(client: &Client) {
    eventually("balancers are told", || async {
        let answer = client.get("/readyz").await;
        (answer.json()["status"] == "draining").then(|| assert_eq!(answer.status, 503))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_serves_everything_until_the_notice_is_over() {
    let folder = TempFolder::new("notice").unwrap();
    let mut node = start(&folder, &["--drain-notice", "60s", "--drain-window", "0s"]);
    let alice = Client::new(&node.base, "alice").await;
    let drawing = alice.create_drawing().await;
    node.ask_to_stop().unwrap();
    until_told(&alice).await;

    // On the connections that are there, and on new ones.
    for client in [alice.clone(), Client::with_token(&node.base, &alice.token)] {
        client.commit(&drawing, &[op(1)]).await.expect(200);
        client.get(&format!("/v1/drawings/{drawing}/ops?after=0")).await.expect(200);
        let ticket = client.call(Method::POST, "/v1/tickets", None).await.expect(200);
        // They are told to look elsewhere by /readyz alone.
        assert_eq!(ticket.headers.get(CONNECTION), None);
    }
    let mut socket = alice.socket().await;
    socket.subscribe(&drawing, Some(0)).await.unwrap();
    assert_eq!(revisions(&socket.receive_ops().await.unwrap()), [1, 2]);
    let polling = {
        let (alice, path) = (alice.clone(), format!("/v1/drawings/{drawing}/ops?after=2&wait=30"));
        tokio::spawn(async move { alice.get(&path).await })
    };
    alice.commit(&drawing, &[op(2)]).await.expect(200);
    assert_eq!(polling.await.unwrap().expect(200).json()["to"], 3);
    assert_eq!(revisions(&socket.receive_ops().await.unwrap()), [3]);

    // Another signal ends the notice.
    let asked_at = Instant::now();
    let host = node.base.trim_start_matches("http://").to_owned();
    let stopping = spawn_blocking(move || node.terminate().unwrap());
    let goaway = socket.receive_type("goaway").await.unwrap();
    assert_eq!(goaway["reconnect_in_ms"], 0);
    assert!(TcpStream::connect(&host).await.is_err());
    stopping.await.unwrap();
    assert!(asked_at.elapsed() < Duration::from_secs(30), "{:?}", asked_at.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_ends_by_itself() {
    let notice = Duration::from_millis(600);
    let mut app = App::sqlite_with(&["--drain-notice", "600ms", "--drain-window", "0s"]).await;
    let alice = app.client("alice").await;
    let asked_at = Instant::now();
    app.stop();
    until_told(&alice).await;
    app.stopped().await;
    assert!(asked_at.elapsed() >= notice, "{:?}", asked_at.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_notice_nobody_is_let_in_after_the_first_signal() {
    let folder = TempFolder::new("notice").unwrap();
    let mut node = start(&folder, &["--drain-notice", "0", "--drain-window", "0s"]);
    let host = node.base.trim_start_matches("http://").to_owned();
    let stopping = spawn_blocking(move || node.terminate().unwrap());
    stopping.await.unwrap();
    assert!(TcpStream::connect(&host).await.is_err());
}
