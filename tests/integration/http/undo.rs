//! `POST …/undo` and `…/redo` as requests: sent again, by many at once and to any node, within limits.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    http::history::{begin, path, press, rect, seen},
    support::{Answer, App, Client, new_id, op, revisions},
};

const UNITS: usize = 20;

/// A drawing of alice's, of which bob is an owner too, with units that `client` began.
async fn drawing_with_units(alice: &Client, client: &Client) -> (String, BTreeSet<String>) {
    let id = alice.create_drawing().await;
    alice.grant(&id, "bob", "owner").await;
    let mut units = BTreeSet::new();
    for nth in 0..UNITS {
        let unit = begin(client, &id, rect(&format!("o{nth}"))).await;
        units.insert(unit.as_str().unwrap().to_owned());
    }
    (id, units)
}

/// Presses so often at once, by these clients in turn.
async fn press_all(clients: &[Client], drawing: &str, what: &str, scope: &str, count: usize) -> Vec<Answer> {
    let presses = clients.iter().cycle().take(count).map(|client| {
        let (client, drawing) = (client.clone(), drawing.to_owned());
        let (what, scope) = (what.to_owned(), scope.to_owned());
        tokio::spawn(async move { press(&client, &drawing, &what, &scope).await })
    });
    join_all(presses).await.into_iter().map(Result::unwrap).collect()
}

/// The units of those that were answered 200, each of which must be there once.
fn picked(answers: &[Answer]) -> BTreeSet<String> {
    let successes = answers.iter().filter(|answer| answer.status == 200);
    let units: Vec<String> =
        successes.map(|answer| answer.json()["unit"].as_str().unwrap().to_owned()).collect();
    let distinct: BTreeSet<String> = units.iter().cloned().collect();
    assert_eq!(distinct.len(), units.len(), "two presses picked one unit: {units:?}");
    distinct
}

/// Presses until all is undone and once more until all is back; of what is too much each is told.
async fn expect_each_to_have_one(clients: &[Client], drawing: &str, units: &BTreeSet<String>, scope: &str) {
    let owner = &clients[0];
    for (what, count) in [("undo", UNITS), ("redo", UNITS + 10), ("undo", UNITS + 10), ("redo", UNITS)] {
        let head = owner.head(drawing).await;
        let answers = press_all(clients, drawing, what, scope, count).await;
        assert_eq!(picked(&answers), *units, "{what} {count}");
        for refused in answers.into_iter().filter(|answer| answer.status != 200) {
            refused.expect_problem(409, &format!("nothing_to_{what}"));
        }
        assert_eq!(owner.head(drawing).await, head + UNITS as u64);
        assert_eq!(seen(owner, drawing).await.len(), if what == "undo" { 0 } else { UNITS });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn presses_of_one_user_at_once_each_have_a_unit_of_their_own() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let (id, units) = drawing_with_units(&alice, &alice).await;
        expect_each_to_have_one(&[alice], &id, &units, "mine").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn presses_on_two_nodes_at_once_each_have_a_unit_of_their_own() {
    let one = App::clustered().await;
    let other = one.second_node().await;
    let alice = one.client("alice").await;
    let (id, units) = drawing_with_units(&alice, &alice).await;
    expect_each_to_have_one(&[alice.clone(), alice.at(&other.base)], &id, &units, "mine").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presses_of_two_owners_at_once_each_have_a_unit_of_their_own() {
    let one = App::clustered().await;
    let other = one.second_node().await;
    let (alice, bob) = (one.client("alice").await, other.client("bob").await);
    let (id, units) = drawing_with_units(&alice, &alice).await;
    expect_each_to_have_one(&[alice.clone(), bob.clone()], &id, &units, "all").await;
    expect_each_to_have_one(&[alice.clone(), bob.at(&one.base)], &id, &units, "all").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presses_leave_alone_what_another_has_just_undone_by_name() {
    let one = App::clustered().await;
    let other = one.second_node().await;
    let (alice, bob) = (one.client("alice").await, other.client("bob").await);
    let (id, units) = drawing_with_units(&alice, &bob).await;
    let by_name = units.iter().map(|unit| {
        let op = json!({"op_id": new_id(), "type": "undo", "unit": unit});
        let (alice, id) = (alice.clone(), id.clone());
        tokio::spawn(async move { alice.commit(&id, &[op]).await.expect(200) })
    });
    let by_name: Vec<_> = by_name.collect();
    let answers = press_all(&[bob.clone(), bob.at(&one.base)], &id, "undo", "mine", UNITS).await;
    for outcome in join_all(by_name).await {
        outcome.unwrap();
    }
    picked(&answers);
    for refused in answers.into_iter().filter(|answer| answer.status != 200) {
        refused.expect_problem(409, "nothing_to_undo");
    }
    assert_eq!(seen(&alice, &id).await, [""; 0]);
    let mut undone = BTreeSet::new();
    for op in alice.read_all(&id, UNITS as u64).await {
        let is_first = undone.insert(op["unit"].to_string());
        // Alice's own come twice where bob was faster, which changes nothing.
        assert!(is_first || op["actor"] == "alice", "{op}");
    }
    assert_eq!(undone.len(), UNITS);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_press_sent_to_two_nodes_at_once_undoes_one_unit() {
    let one = App::clustered().await;
    let other = one.second_node().await;
    let alice = one.client("alice").await;
    let (id, units) = drawing_with_units(&alice, &alice).await;
    // The last rounds find one unit, and then none.
    for round in 0..=UNITS {
        let body = json!({"op_id": new_id()});
        let presses = [&one, &other, &one, &other].map(|node| {
            let (alice, path, body) = (alice.at(&node.base), format!("/v1/drawings/{id}/undo"), body.clone());
            tokio::spawn(async move { alice.post(&path, &body).await })
        });
        let answers: Vec<Answer> = join_all(presses).await.into_iter().map(Result::unwrap).collect();
        if round == UNITS {
            for answer in answers {
                answer.expect_problem(409, "nothing_to_undo");
            }
            continue;
        }
        let bodies: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200).json()).collect();
        let revision = UNITS + 1 + round;
        for answer in &bodies {
            assert_eq!(
                (&answer["unit"], &answer["results"][0]["revision"]),
                (&bodies[0]["unit"], &json!(revision))
            );
            assert!(units.contains(answer["unit"].as_str().unwrap()));
        }
        let originals = bodies.iter().filter(|body| body["results"][0]["duplicate"] == false).count();
        assert_eq!(originals, 1, "one of them has done it: {bodies:?}");
    }
    assert_eq!(alice.head(&id).await, 2 * UNITS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_that_is_sent_again_is_answered_as_the_first_one() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "owner").await;
        let units = [begin(&alice, &id, rect("a")).await, begin(&alice, &id, rect("b")).await];
        let (op_id, redo_id) = (new_id(), new_id());
        let again =
            async |what: &str, op_id: &str| alice.post(&path(&id, what), &json!({"op_id": op_id})).await;
        let first = again("undo", &op_id).await.expect(200).json();
        assert_eq!(first["unit"], units[1]);
        let result =
            |op_id: &str, revision: u64| json!([{"op_id": op_id, "revision": revision, "duplicate": true}]);
        for (head, then) in [(3, None), (4, Some("redo")), (5, Some("undo")), (6, Some("undo"))] {
            if let Some(then) = then {
                press(&alice, &id, then, "mine").await.expect(200);
            }
            let repeated = again("undo", &op_id).await.expect(200).json();
            assert_eq!((&repeated["unit"], &repeated["latest_revision"]), (&units[1], &json!(head)));
            assert_eq!(repeated["results"], result(&op_id, 3));
        }
        // There is nothing left to undo, and it is still the answer. A plain retry knows it, too.
        press(&alice, &id, "undo", "mine").await.expect_problem(409, "nothing_to_undo");
        let plain = json!({"op_id": op_id, "type": "undo", "unit": units[1]});
        assert_eq!(alice.commit(&id, &[plain]).await.expect(200).json()["results"], result(&op_id, 3));
        again("redo", &redo_id).await.expect(200);
        assert_eq!(again("redo", &redo_id).await.expect(200).json()["results"], result(&redo_id, 7));
        // As another op, or of another user, it is another matter.
        let head = alice.head(&id).await;
        again("redo", &op_id).await.expect_problem(409, "op_id_conflict");
        again("undo", &redo_id).await.expect_problem(409, "op_id_conflict");
        again("undo", units[0].as_str().unwrap()).await.expect_problem(409, "op_id_conflict");
        let of_bob = bob.post(&path(&id, "undo"), &json!({"op_id": op_id, "scope": "all"})).await;
        of_bob.expect_problem(409, "op_id_conflict");
        assert_eq!(alice.head(&id).await, head);
        // In another drawing it is free.
        let other = alice.create_drawing().await;
        begin(&alice, &other, rect("a")).await;
        alice.post(&path(&other, "undo"), &json!({"op_id": op_id})).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_is_a_wish_or_left_out() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let undo = path(&id, "undo");
    for nth in 0..4 {
        begin(&alice, &id, rect(&format!("o{nth}"))).await;
    }
    alice.call(Method::POST, &undo, None).await.expect(200);
    alice.post_bytes(&undo, "{}").await.expect(200);
    alice.post_bytes(&undo, r#"{"scope":"all","op_id":null}"#).await.expect(200);
    assert_eq!(seen(&alice, &id).await, ["o0"]);
    let head = alice.head(&id).await;
    let faulty = [
        r#"{"unit":"00000000-0000-7000-8000-000000000000"}"#,
        r#"{"scope":"MINE"}"#,
        r#"{"scope":"bob"}"#,
        r#"{"scope":""}"#,
        r#"{"scope":null}"#,
        r#"{"scope":["mine"]}"#,
        r#"{"scope":"mine","scope":"mine"}"#,
        r#"{"op_id":"x"}"#,
        r#"{"op_id":1}"#,
        r#"["mine"]"#,
        "[]",
        "\"mine\"",
        "{",
        " ",
    ];
    for what in ["undo", "redo"] {
        for body in faulty {
            let refused = alice.post_bytes(&path(&id, what), body).await;
            assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{what}: {body}");
        }
        let text =
            alice.request(Method::POST, &path(&id, what)).header("content-type", "text/plain").body("{}");
        Client::send(text).await.unwrap().expect_problem(415, "unsupported_media_type");
        let large = " ".repeat(1 << 20) + "{}";
        alice.post_bytes(&path(&id, what), large).await.expect_problem(413, "too_large");
    }
    for query in ["scope=", "scope=bob", "scope=Mine", "scope=mine&scope=mine", "at=1", "mine"] {
        let refused = alice.get(&path(&id, &format!("history?{query}"))).await;
        assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{query}");
    }
    assert_eq!(alice.head(&id).await, head);
}

/// Generated clients say that there is JSON when there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_be_absent_whatever_its_type() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let json = Some("application/json");
    for (content_type, body) in [(None, ""), (json, ""), (Some("text/plain"), ""), (json, " null\n")] {
        let post = |path: &str| {
            let request = alice.request(Method::POST, path);
            let request = content_type.into_iter().fold(request, |r, value| r.header("content-type", value));
            Client::send(request.body(body))
        };
        let made = post("/v1/drawings").await.unwrap().expect(201).json();
        let id = made["drawing_id"].as_str().unwrap();
        let unit = begin(&alice, id, rect("a")).await;
        let undone = post(&path(id, "undo")).await.unwrap().expect(200).json();
        assert_eq!(undone["unit"], json!(unit), "{content_type:?} {body:?}");
        post(&path(id, "redo")).await.unwrap().expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_reaches_live_readers_as_any_op() {
    for app in [App::sqlite().await, App::clustered().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let unit = begin(&alice, &id, rect("a")).await;
        let mut socket = alice.socket().await;
        assert_eq!(socket.subscribe(&id, Some(1)).await.unwrap()["type"], "subscribed");
        for (revision, what) in [(2, "undo"), (3, "redo")] {
            press(&alice, &id, what, "mine").await.expect(200);
            let heard = socket.receive_type("ops").await.unwrap();
            assert_eq!((&heard["drawing_id"], &heard["revision"]), (&json!(id), &json!(revision)));
            let ops = heard["ops"].as_array().unwrap();
            assert_eq!(revisions(ops), [revision]);
            assert_eq!(
                (&ops[0]["type"], &ops[0]["unit"], &ops[0]["actor"]),
                (&json!(what), &unit, &json!("alice"))
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_counts_as_a_write_of_one_op() {
    let by_request = ["--write-requests-per-second", "3", "--write-ops-per-second", "0"];
    let by_op = ["--write-requests-per-second", "0", "--write-ops-per-second", "3"];
    for flags in [by_request, by_op] {
        let app = App::sqlite_with(&flags).await;
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "editor").await;
        begin(&bob, &id, op(1)).await;
        let mut statuses = Vec::new();
        // Far more than pass in the time that they take.
        for _ in 0..12 {
            let answer = press(&alice, &id, "undo", "mine").await;
            statuses.push(answer.status);
            if answer.status == 429 {
                assert_eq!(answer.headers["retry-after"], "1");
                answer.expect_problem(429, "rate_limited");
            } else {
                answer.expect_problem(409, "nothing_to_undo");
            }
        }
        assert_eq!(statuses[0], 409);
        assert!(statuses.contains(&429), "{statuses:?}");
        // Nothing is taken from others, and to look is free.
        press(&bob, &id, "undo", "mine").await.expect_problem(409, "nothing_to_undo");
        alice.get(&path(&id, "history")).await.expect(200);
    }
}
