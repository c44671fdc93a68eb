//! A failover that loses ops, as readers see it: those who had not seen them go on, those who had are reset.

use loadtest::socket::Socket;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    failover::setup::{Forked, KEPT, Lineage, expect_good, expect_refused, read_patiently},
    support::{Answer, Client, events::Events, follower::Follower, revisions, within},
};

const NDJSON: &str = "application/x-ndjson";
const MSGPACK: &str = "application/msgpack";

/// A long-poll after a position, under way.
fn long_poll(client: &Client, drawing: &str, after: u64, epoch: &str) -> tokio::task::JoinHandle<Answer> {
    let path = format!("/v1/drawings/{drawing}/ops?after={after}&epoch={epoch}&wait=30");
    let client = client.clone();
    tokio::spawn(async move { read_patiently(&client, &path).await })
}

/// The next `count` ops of a socket.
async fn receive(socket: &mut Socket, count: usize) -> Vec<Value> {
    let mut ops = Vec::new();
    while ops.len() < count {
        ops.extend(socket.receive_ops().await.unwrap());
    }
    ops
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_are_level_go_on_without_reading_anew() {
    let mut forked = Forked::start().await;
    let (alice, drawing, old) = (forked.alice_far(), forked.drawing.clone(), forked.epoch.clone());
    let mut follower = Follower::start(&alice, &drawing, KEPT).await;
    let mut socket = alice.socket().await;
    socket.subscribe(&drawing, Some(KEPT)).await.unwrap();
    let mut events = Events::open(&alice, &drawing, &format!("?after={KEPT}"), &[]).await;
    events.next_of("subscribed").await;
    let waiting = long_poll(&alice, &drawing, KEPT, &old);
    let new = forked.fork().await;
    let expected = forked.lineage(&new);
    // The epoch comes first, then the ops that are in it.
    let mut last = None;
    let first = loop {
        let message = socket.receive().await.unwrap();
        match message["type"].as_str().unwrap() {
            "head" => last = Some(Lineage::of(&message)),
            "ops" => break message,
            other => panic!("unexpected {other}: {message}"),
        }
    };
    assert_eq!(last.as_ref(), Some(&expected));
    assert_eq!(first["ops"][0]["revision"], KEPT + 1);
    let mut last = None;
    let first = within("the first ops on the stream", async {
        loop {
            let event = events.next().await.expect("the stream goes on");
            match event.name.as_str() {
                "head" => last = Some(Lineage::of(&event.data)),
                "ops" => break event,
                "" => (),
                other => panic!("unexpected {other}: {event:?}"),
            }
        }
    })
    .await;
    assert_eq!(last.as_ref(), Some(&expected));
    assert!(first.id.unwrap().starts_with(&format!("{new}/")));
    let page = within("the long-poll", waiting).await.unwrap().expect(200).json();
    assert_eq!(Lineage::of(&page), expected);
    assert_eq!(page["from"], KEPT + 1);
    follower.follow_to(&new, KEPT + 2).await;
    assert_eq!((follower.pages, follower.restarts), (0, 0));
    assert_eq!(follower.log, alice.read_all(&drawing, 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_are_behind_go_on_from_where_they_are() {
    let mut forked = Forked::start().await;
    let (drawing, old) = (forked.drawing.clone(), forked.epoch.clone());
    let new = forked.fork().await;
    for alice in [forked.alice.clone(), forked.alice_far()] {
        for after in [0, 3, KEPT] {
            expect_good(&alice, &drawing, after, &old).await;
            expect_good(&alice, &drawing, after, &new).await;
        }
        let log = alice.read_all(&drawing, 0).await;
        let mut socket = alice.socket().await;
        let subscribed = socket.resume(&drawing, 3, &old).await.unwrap();
        assert_eq!(Lineage::of(&subscribed), forked.lineage(&new));
        assert_eq!(receive(&mut socket, log.len() - 3).await, log[3..]);
        let last = format!("{old}/3");
        let mut events = Events::open(&alice, &drawing, "", &[("last-event-id", &last)]).await;
        assert_eq!(Lineage::of(&events.next_of("subscribed").await.data), forked.lineage(&new));
        assert_eq!(events.ops(log.len() - 3).await, log[3..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_are_ahead_are_reset() {
    let mut forked = Forked::start().await;
    let (alice, drawing, old) = (forked.alice.clone(), forked.drawing.clone(), forked.epoch.clone());
    let mut follower = Follower::start(&alice, &drawing, KEPT).await;
    let mut socket = alice.socket().await;
    socket.subscribe(&drawing, Some(KEPT)).await.unwrap();
    let mut events = Events::open(&alice, &drawing, &format!("?after={KEPT}"), &[]).await;
    let lost = forked.commit_what_is_lost(2).await;
    follower.follow_to(&old, KEPT + 2).await;
    assert_eq!(follower.log.last().unwrap()["op_id"], lost[1]["op_id"]);
    let log = follower.log[usize::try_from(KEPT).unwrap()..].to_vec();
    assert_eq!(receive(&mut socket, 2).await, log);
    assert_eq!(events.ops(2).await, log);
    let waiting = long_poll(&alice, &drawing, KEPT + 2, &old);
    forked.fail_over().await;
    let new = forked.commit_in_place(2).await;
    // The head falls back before the epoch changes, and a heartbeat may show that.
    let is_reason = |reason: &Value| *reason == "epoch_changed" || *reason == "revision_ahead";
    let reset = loop {
        let message = socket.receive().await.unwrap();
        match message["type"].as_str().unwrap() {
            "reset" => break message,
            "head" => assert_eq!(message["epoch"], old, "{message}"),
            other => panic!("unexpected {other}: {message}"),
        }
    };
    assert!(is_reason(&reset["reason"]), "{reset}");
    let reset = events.next_of("reset").await;
    assert!(is_reason(&reset.data["reason"]), "{reset:?}");
    assert_eq!(events.next().await, None);
    let refused = within("the long-poll", waiting).await.unwrap().expect(410);
    assert!(is_reason(&json!(refused.code())), "{refused:?}");
    for revision in [KEPT + 1, KEPT + 2] {
        expect_refused(&alice, &drawing, revision, &old).await;
        expect_refused(&forked.alice_far(), &drawing, revision, &old).await;
        let last = format!("{old}/{revision}");
        let mut events = Events::open(&alice, &drawing, "", &[("last-event-id", &last)]).await;
        let reset = events.next().await.unwrap();
        assert_eq!((reset.name.as_str(), &reset.data["reason"]), ("reset", &json!("epoch_changed")));
        assert_eq!(Lineage::of(&reset.data), forked.lineage(&new));
    }
    follower.follow_to(&new, KEPT + 2).await;
    assert_eq!(follower.restarts, 1);
    assert_eq!(follower.log, alice.read_all(&drawing, 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_socket_is_behind_what_it_has_read_starts_anew() {
    let mut forked = Forked::start().await;
    let (alice, drawing) = (forked.alice_far(), forked.drawing.clone());
    // The socket stands at 7; over HTTP the reader has 8.
    let mut follower = Follower::start(&alice, &drawing, KEPT).await;
    let lost = forked.commit_what_is_lost(1).await;
    follower.read_ahead(&forked.alice).await;
    assert_eq!((follower.revision(), &follower.log.last().unwrap()["op_id"]), (KEPT + 1, &lost[0]["op_id"]));
    forked.fail_over().await;
    let new = forked.commit_in_place(2).await;
    follower.follow_to(&new, KEPT + 2).await;
    assert_eq!(follower.restarts, 1);
    assert_eq!(follower.log, alice.read_all(&drawing, 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_first_shows_an_epoch_bears_its_lineage() {
    let mut forked = Forked::start().await;
    let (alice, drawing, old) = (forked.alice.clone(), forked.drawing.clone(), forked.epoch.clone());
    let none = Lineage { epoch: old.clone(), before: None };
    assert_eq!(lineages(&alice, &drawing).await, vec![none; 9]);
    let new = forked.fork().await;
    let expected = forked.lineage(&new);
    for alice in [alice, forked.alice_far()] {
        assert_eq!(lineages(&alice, &drawing).await, vec![expected.clone(); 9]);
        let mut socket = alice.socket().await;
        let reset = socket.resume(&drawing, KEPT + 1, &old).await.unwrap();
        assert_eq!(Lineage::of(&reset), expected);
        // A drawing without an op in the new epoch has all of its log in common with the one before.
        let idle = alice.create_drawing().await;
        let expected = Lineage { epoch: new.clone(), before: Some((old.clone(), 0)) };
        assert_eq!(lineages(&alice, &idle).await, vec![expected; 9]);
    }
}

/// The lineages that all answers and first messages about a drawing tell.
async fn lineages(client: &Client, drawing: &str) -> Vec<Lineage> {
    let path = |rest: &str| format!("/v1/drawings/{drawing}{rest}");
    let mut found = Vec::new();
    for rest in ["", "/ops?after=0", "/snapshot", "/snapshot?view=only", "/history"] {
        found.push(Lineage::of(&read_patiently(client, &path(rest)).await.expect(200).json()));
    }
    for form in [NDJSON, MSGPACK] {
        let request = client.request(Method::GET, &path("/ops?after=0")).header("accept", form);
        let answer = Client::send(request).await.unwrap().expect(200);
        found.push(Lineage::of_headers(&answer.headers));
        if form == MSGPACK {
            let page: Value = rmp_serde::from_slice(&answer.bytes).unwrap();
            assert_eq!(found.last(), Some(&Lineage::of(&page)));
            assert_eq!(page["from"], 1, "{:?}", revisions(page["ops"].as_array().unwrap()));
        }
    }
    let mut socket = client.socket().await;
    found.push(Lineage::of(&socket.subscribe(drawing, None).await.unwrap()));
    let mut events = Events::open(client, drawing, "", &[]).await;
    found.push(Lineage::of(&events.next_of("subscribed").await.data));
    found
}
