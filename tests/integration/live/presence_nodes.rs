//! Presence across nodes.

use std::{path::Path, time::Instant};

use loadtest::services::Revcast;
use revcast::limits;
use serde_json::json;

use crate::{
    live::presence::Watcher,
    support::{App, Client, nats_url, new_database, new_id},
};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_tell_each_other_who_is_present_in_both_directions() {
    let first = App::clustered().await;
    let second = first.second_node().await;
    let (alice, bob) = (first.client("alice").await, first.client("bob").await);
    let bob = bob.at(&second.base);
    let drawing = alice.create_drawing().await;
    alice.grant(&drawing, "bob", "viewer").await;
    let (mut here, mut there) = (Watcher::new(&alice, &drawing).await, Watcher::new(&bob, &drawing).await);
    let (a, b) = (here.id.clone(), there.id.clone());
    here.show(json!({"n": 1})).await;
    there.show(json!({"n": 2})).await;
    // One more without a socket, posted at the other node.
    let posted = new_id();
    let path = format!("/v1/drawings/{drawing}/presence");
    bob.post(&path, &json!({"connection_id": posted, "state": {"n": 3}})).await.expect(200);
    for watcher in [&mut here, &mut there] {
        watcher.expect(&[(&a, json!(1)), (&b, json!(2)), (&posted, json!(3))]).await;
    }
    for n in 0..50 {
        here.show(json!({"n": n})).await;
        there.show(json!({"n": -n})).await;
    }
    let gone = json!({"connection_id": posted, "state": null});
    bob.at(&first.base).post(&path, &gone).await.expect(200);
    for watcher in [&mut here, &mut there] {
        watcher.expect(&[(&a, json!(49)), (&b, json!(-49))]).await;
    }
    // Somebody whom the node has to ask the others for.
    let third = first.second_node().await;
    let mut late = Watcher::new(&alice.at(&third.base), &drawing).await;
    late.expect(&[(&a, json!(49)), (&b, json!(-49))]).await;
    here.show(json!(null)).await;
    for watcher in [&mut here, &mut there, &mut late] {
        watcher.expect(&[(&b, json!(-49))]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_comes_back_at_another_node_is_there_once() {
    let first = App::clustered().await;
    let second = first.second_node().await;
    let (alice, bob) = (first.client("alice").await, first.client("bob").await);
    let drawing = alice.create_drawing().await;
    alice.grant(&drawing, "bob", "viewer").await;
    let mut watcher = Watcher::new(&alice, &drawing).await;
    let mut before = Watcher::new(&bob, &drawing).await;
    before.show(json!({"n": 1})).await;
    watcher.expect(&[(&before.id, json!(1))]).await;
    let dropped_at = Instant::now();
    drop(before);
    let mut back = Watcher::new(&bob.at(&second.base), &drawing).await;
    back.show(json!({"n": 2})).await;
    watcher.expect(&[(&back.id, json!(2))]).await;
    assert!(dropped_at.elapsed() < limits::PRESENCE_GRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_node_held_goes_after_a_while_and_a_stopped_one_says_goodbye() {
    let (database_url, nats) = (new_database(), nats_url());
    let binary = Path::new(env!("CARGO_BIN_EXE_revcast"));
    let flags = ["--dev", "--database-url", &database_url, "--nats-url", &nats, "--drain-window", "0s"];
    let mut killed = Revcast::start(binary, &flags).unwrap();
    let mut stopped = Revcast::start(binary, &flags).unwrap();
    let staying = App::start(&database_url, &["--nats-url", &nats]).await;
    let alice = staying.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut watcher = Watcher::new(&alice, &drawing).await;
    let users: [Client; 2] = [staying.client("bob").await, staying.client("carol").await];
    let mut others = Vec::new();
    for (user, (name, node)) in users.iter().zip([("bob", &killed), ("carol", &stopped)]) {
        alice.grant(&drawing, name, "viewer").await;
        let mut other = Watcher::new(&user.at(&node.base), &drawing).await;
        other.show(json!({"n": name})).await;
        others.push(other);
    }
    watcher.expect(&[(&others[0].id, json!("bob")), (&others[1].id, json!("carol"))]).await;
    let ended_at = Instant::now();
    killed.kill().unwrap();
    tokio::task::spawn_blocking(move || stopped.terminate().unwrap()).await.unwrap();
    watcher.expect(&[(&others[0].id, json!("bob"))]).await;
    assert!(ended_at.elapsed() < limits::PRESENCE_NODE_TTL, "who says goodbye is not waited for");
    watcher.expect(&[]).await;
}
