//! Presence on sockets of one node: who is told what, and when somebody is gone.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use loadtest::socket::Socket;
use revcast::{
    limits,
    model::{ConnectionId, PresenceState},
    room::presence::Present,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    App, Client, op,
    raw::{RawSocket, Received, frame},
    rooms::Node,
};

/// A socket and what it was told of presence.
pub struct Watcher {
    pub socket: Socket,
    pub id: String,
    drawing: String,
    /// Each present connection with the number in its state.
    pub known: BTreeMap<String, Value>,
    /// The number of connections that were said to be present.
    pub count: u64,
}

impl Watcher {
    /// A socket that watches a drawing.
    pub async fn new(client: &Client, drawing: &str) -> Self {
        let mut socket = client.socket().await;
        let id = socket.hello["connection_id"].as_str().unwrap().to_owned();
        let subscribed = socket.watch(drawing).await.unwrap();
        let roster = subscribed["presence"].as_object().expect("the roster comes with the place");
        let known = roster.iter().map(|(id, entry)| (id.clone(), entry["state"]["n"].clone())).collect();
        Self { socket, id, drawing: drawing.to_owned(), known, count: roster.len() as u64 }
    }

    /// Shows a state of its own.
    pub async fn show(&mut self, state: Value) {
        let message = json!({"type": "presence", "drawing_id": self.drawing, "state": state});
        self.socket.send(&message).await.unwrap();
    }

    /// Takes in the next diff.
    pub async fn hear(&mut self) {
        let diff = self.socket.receive_type("presence").await.unwrap();
        assert_eq!(diff["drawing_id"], self.drawing);
        for (id, entry) in diff["set"].as_object().unwrap() {
            assert!(entry["user_id"].is_string() && entry.get("name").is_some(), "{entry}");
            self.known.insert(id.clone(), entry["state"]["n"].clone());
        }
        for id in diff["gone"].as_array().unwrap() {
            self.known.remove(id.as_str().unwrap());
        }
        self.count = diff["count"].as_u64().unwrap();
    }

    /// Hears until it knows of these, and of nobody else.
    pub async fn expect(&mut self, expected: &[(&str, Value)]) {
        let expected: BTreeMap<_, _> = expected.iter().map(|(id, n)| ((*id).to_owned(), n.clone())).collect();
        while self.known != expected {
            self.hear().await;
        }
        assert_eq!(self.count, expected.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_shows_something_else_and_leaves_is_told_to_all_who_watch() {
    let app = App::sqlite().await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let drawing = alice.create_drawing().await;
    alice.grant(&drawing, "bob", "viewer").await;
    let (mut one, mut other) = (Watcher::new(&alice, &drawing).await, Watcher::new(&bob, &drawing).await);
    let (a, b) = (one.id.clone(), other.id.clone());
    one.show(json!({"n": 1})).await;
    other.show(json!({"n": 2})).await;
    for watcher in [&mut one, &mut other] {
        watcher.expect(&[(&a, json!(1)), (&b, json!(2))]).await;
    }
    // The last value wins, however many came before it.
    for n in 0..100 {
        other.show(json!({"n": n, "cursor": [n, n]})).await;
    }
    other.show(json!({"n": "last"})).await;
    for watcher in [&mut one, &mut other] {
        watcher.expect(&[(&a, json!(1)), (&b, json!("last"))]).await;
    }
    // A reader who comes later has it all at once.
    let late = Watcher::new(&alice, &drawing).await;
    assert_eq!(late.known, one.known);
    other.show(Value::Null).await;
    for watcher in [&mut one, &mut other] {
        watcher.expect(&[(&a, json!(1))]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_unsubscribes_is_gone_at_once_and_who_does_not_watch_is_told_nothing() {
    let app = App::sqlite_with(&["--heartbeat", "200ms"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut one = Watcher::new(&alice, &drawing).await;
    let mut blind = alice.socket().await;
    let subscribed = blind.subscribe(&drawing, None).await.unwrap();
    assert!(subscribed.get("presence").is_none());
    let b = blind.hello["connection_id"].as_str().unwrap().to_owned();
    // It may be seen all the same.
    blind.send(&json!({"type": "presence", "drawing_id": drawing, "state": {"n": 2}})).await.unwrap();
    one.expect(&[(&b, json!(2))]).await;
    let asked_at = Instant::now();
    blind.send(&json!({"type": "unsubscribe", "drawing_id": drawing})).await.unwrap();
    one.expect(&[]).await;
    assert!(asked_at.elapsed() < limits::PRESENCE_GRACE, "nobody is waited for who has said goodbye");
    blind.send(&json!({"type": "presence", "drawing_id": drawing, "state": {"n": 3}})).await.unwrap();
    let error = blind.receive_type("error").await.unwrap();
    assert_eq!((&error["code"], &error["drawing_id"]), (&json!("not_subscribed"), &json!(drawing)));
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_before_subscribed_is_kept_and_shown() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let bearer = format!("Bearer {}", alice.token);
    for n in 0..5 {
        // A room that nobody has opened yet takes a moment to join.
        let drawing = alice.create_drawing().await;
        let mut socket = RawSocket::handshake(&app.base, "GET", "/v1/ws", &RawSocket::opening(&bearer)).await;
        let Received::Message(hello) = socket.receive().await else { panic!("hello comes first") };
        let id = hello["connection_id"].as_str().unwrap();
        // All are sent at once, before anything is answered; of the states the last one counts.
        let presence = |state: Value| json!({"type": "presence", "drawing_id": drawing, "state": state});
        let subscribe = json!({"type": "subscribe", "drawing_id": drawing});
        let messages = [subscribe, presence(json!({"n": "early"})), presence(json!({"n": n}))];
        let frames: Vec<u8> =
            messages.iter().flat_map(|message| frame(0x81, message.to_string().as_bytes())).collect();
        assert!(socket.send(&frames, usize::MAX).await);
        let Received::Message(subscribed) = socket.receive().await else { panic!("it is answered") };
        assert_eq!(subscribed["type"], "subscribed");
        let mut watcher = Watcher::new(&alice, &drawing).await;
        watcher.expect(&[(id, json!(n))]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_breaks_a_rule_is_refused_and_the_one_before_stays() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let (mut watcher, mut shower) =
        (Watcher::new(&alice, &drawing).await, Watcher::new(&alice, &drawing).await);
    let id = shower.id.clone();
    let sized = |size: usize| {
        let fill = size - r#"{"n":1,"x":""}"#.len();
        json!({"n": 1, "x": "x".repeat(fill)})
    };
    shower.show(sized(limits::MAX_PRESENCE_STATE_BYTES)).await;
    watcher.expect(&[(&id, json!(1))]).await;
    let mut deep = json!(2);
    for _ in 0..limits::MAX_JSON_DEPTH {
        deep = json!([deep]);
    }
    for state in
        [sized(limits::MAX_PRESENCE_STATE_BYTES + 1), json!([1]), json!(1), json!("{}"), json!({"n": deep})]
    {
        let message = json!({"type": "presence", "drawing_id": drawing, "state": state});
        shower.socket.send_unchecked(&message).await.unwrap();
        let error = shower.socket.receive_type("error").await.unwrap();
        assert_eq!(
            (&error["code"], &error["drawing_id"]),
            (&json!("invalid_field"), &json!(drawing)),
            "{error}"
        );
    }
    let stateless = json!({"type": "presence", "drawing_id": drawing});
    shower.socket.send_unchecked(&stateless).await.unwrap();
    assert_eq!(shower.socket.receive_type("error").await.unwrap()["code"], "invalid_request");
    assert_eq!(Watcher::new(&alice, &drawing).await.known, BTreeMap::from([(id, json!(1))]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_socket_is_waited_for_unless_its_user_is_back_or_may_not_be_here() {
    let app = App::sqlite().await;
    let (alice, bob, carol) = (app.client("alice").await, app.client("bob").await, app.client("carol").await);
    let drawing = alice.create_drawing().await;
    for user in ["bob", "carol"] {
        alice.grant(&drawing, user, "editor").await;
    }
    let mut watcher = Watcher::new(&alice, &drawing).await;
    let (mut bobs, mut carols) = (Watcher::new(&bob, &drawing).await, Watcher::new(&carol, &drawing).await);
    let (b, c) = (bobs.id.clone(), carols.id.clone());
    bobs.show(json!({"n": 1})).await;
    carols.show(json!({"n": 2})).await;
    watcher.expect(&[(&b, json!(1)), (&c, json!(2))]).await;
    let dropped_at = Instant::now();
    drop((bobs, carols));
    // Bob is back: his new connection takes the place of the old one. Carol is expected for a while.
    let mut back = Watcher::new(&bob, &drawing).await;
    assert!(back.known.contains_key(&c));
    back.show(json!({"n": 3})).await;
    watcher.expect(&[(&back.id, json!(3)), (&c, json!(2))]).await;
    assert!(dropped_at.elapsed() < limits::PRESENCE_GRACE, "that was the grace, not his return");
    watcher.expect(&[(&back.id, json!(3))]).await;
    assert!(dropped_at.elapsed() >= limits::PRESENCE_GRACE, "{:?}", dropped_at.elapsed());
    // A role that is taken away ends presence at once.
    let revoked_at = Instant::now();
    alice.revoke(&drawing, "bob").await;
    watcher.expect(&[]).await;
    assert!(revoked_at.elapsed() < limits::PRESENCE_GRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn ops_and_presence_share_a_socket_and_neither_holds_the_other_up() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let (mut watcher, mut shower) =
        (Watcher::new(&alice, &drawing).await, Watcher::new(&alice, &drawing).await);
    let id = shower.id.clone();
    for n in 0..20 {
        shower.show(json!({"n": n})).await;
        alice.commit(&drawing, &[op(n)]).await.expect(200);
        assert_eq!(watcher.socket.receive_ops().await.unwrap()[0]["revision"], n + 1);
    }
    shower.show(json!({"n": "end"})).await;
    watcher.expect(&[(&id, json!("end"))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_large_room_a_reader_is_told_of_those_in_its_view_and_the_nearest_others() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let (mut seeing, mut plain) =
        (Watcher::new(&alice, &drawing).await, Watcher::new(&alice, &drawing).await);
    seeing.show(json!({"n": -1, "cursor": [5, 5], "viewport": [0, 0, 1_000, 1_000]})).await;
    seeing.hear().await;
    let path = format!("/v1/drawings/{drawing}/presence");
    // 100 in view, and 130 to the right of it, each farther than the one before.
    let ids: Vec<String> = (0..230).map(|_| Uuid::new_v4().to_string()).collect();
    for (nth, group) in ids.chunks(46).enumerate() {
        let client = app.client(&format!("user-{nth}")).await;
        alice.grant(&drawing, &format!("user-{nth}"), "viewer").await;
        let posts = group.iter().zip(nth * 46..).map(|(id, n)| {
            let x = if n < 100 { n } else { 10 * n + 1_000 };
            let body = json!({"connection_id": id, "state": {"n": n, "cursor": [x, 10]}});
            let (client, path) = (&client, &path);
            async move { client.post(path, &body).await.expect(200) }
        });
        join_all(posts).await;
    }
    let part = 100 + limits::PRESENCE_NEAREST;
    let mut expected: Vec<(&str, Value)> =
        ids[..part].iter().zip(0..).map(|(id, n)| (id.as_str(), json!(n))).collect();
    let me = seeing.id.clone();
    expected.push((&me, json!(-1)));
    let expected: BTreeMap<String, Value> = expected.into_iter().map(|(id, n)| (id.to_owned(), n)).collect();
    while seeing.count < 231 || seeing.known != expected {
        seeing.hear().await;
    }
    while plain.known.len() < 231 {
        plain.hear().await;
    }
    assert_eq!((seeing.count, plain.count), (231, 231));
    // A connection that moves into view is shown, and the farthest of the others makes room.
    let mover = &ids[229];
    let client = app.client("user-4").await;
    let body = json!({"connection_id": mover, "state": {"n": 229, "cursor": [500, 500]}});
    client.post(&path, &body).await.expect(200);
    while !seeing.known.contains_key(mover) {
        seeing.hear().await;
    }
    assert_eq!(seeing.known.len(), part + 2);
    // One who looks elsewhere is told of others, and of those gone from view that they are.
    seeing.show(json!({"n": -1, "cursor": [9_000, 9_000], "viewport": [9_000, 9_000, 10, 10]})).await;
    while seeing.known.len() != limits::PRESENCE_NEAREST + 1 {
        seeing.hear().await;
    }
    assert_eq!(seeing.count, 231);
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_presence_never_touches_the_store() {
    let node = Node::start(Duration::from_secs(3_600)).await;
    let drawing = node.drawing_with(1).await;
    let listener = node.join(drawing, None).await;
    let presence = node.rooms.presence(drawing);
    let calls = node.store.calls();
    for n in 0..2_000_u32 {
        let who = Present {
            connection_id: ConnectionId(Uuid::from_u128(u128::from(n % 50))),
            user_id: "alice".parse().unwrap(),
            name: None,
        };
        let state = PresenceState::parse(&format!(r#"{{"n":{n}}}"#)).unwrap();
        match n % 3 {
            0 => presence.publish(&who, state).unwrap(),
            1 => drop(presence.publish_http(&who, state).unwrap()),
            _ => presence.leave(who.connection_id),
        }
        drop(presence.roster());
    }
    presence.synced().await;
    assert!(presence.flushed() > 0);
    assert_eq!((node.store.calls(), listener.heard().revisions.len()), (calls, 0));
}
