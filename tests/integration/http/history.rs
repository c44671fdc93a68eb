//! `GET …/history`, `POST …/undo` and `…/redo`: what the server picks, for whom, and what it answers.

use serde_json::{Value, json};

use crate::{
    http::snapshot::snapshot,
    support::{Answer, App, Client, new_id},
};

/// The history when there is nothing to undo or redo.
pub fn nothing() -> Value {
    json!({"can_undo": false, "can_redo": false, "undo_unit": null, "redo_unit": null})
}

/// An op that creates an object, which everybody sees.
pub fn rect(object_id: &str) -> Value {
    json!({"op_id": new_id(), "type": "object.create", "object_id": object_id, "kind": "rect", "props": {}})
}

/// Commits an op that begins a unit, and returns the unit.
pub async fn begin(client: &Client, drawing: &str, op: Value) -> Value {
    client.commit(drawing, std::slice::from_ref(&op)).await.expect(200);
    op["op_id"].clone()
}

pub fn path(drawing: &str, rest: &str) -> String {
    format!("/v1/drawings/{drawing}/{rest}")
}

/// Presses undo or redo.
pub async fn press(client: &Client, drawing: &str, what: &str, scope: &str) -> Answer {
    client.post(&path(drawing, what), &json!({"scope": scope})).await
}

/// Presses, and returns the unit that was picked.
async fn pressed(client: &Client, drawing: &str, what: &str, scope: &str) -> Value {
    press(client, drawing, what, scope).await.expect(200).json()["unit"].clone()
}

/// The history without where it was looked up, and without the floor.
pub async fn history(client: &Client, drawing: &str, scope: &str) -> Value {
    let answer = client.get(&path(drawing, &format!("history?scope={scope}"))).await.expect(200);
    let mut history = answer.json();
    let fields = history.as_object_mut().unwrap();
    assert!(["epoch", "revision", "undo_floor"].into_iter().all(|field| fields.remove(field).is_some()));
    history
}

pub fn told(undo: Option<&Value>, redo: Option<&Value>) -> Value {
    json!({"can_undo": undo.is_some(), "can_redo": redo.is_some(), "undo_unit": undo, "redo_unit": redo})
}

/// The ids of the objects that are seen.
pub async fn seen(client: &Client, drawing: &str) -> Vec<String> {
    let body = client.get(&snapshot(drawing, "?view=only")).await.expect(200).json();
    let objects = body["view"]["objects"].as_array().unwrap();
    objects.iter().map(|object| object["object_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_and_redo_answer_with_the_op_that_was_committed() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let empty = alice.get(&path(&id, "history")).await.expect(200).json();
        let epoch = empty["epoch"].clone();
        let mut expected = nothing();
        expected["epoch"] = epoch.clone();
        expected["revision"] = json!(0);
        expected["undo_floor"] = json!(0);
        assert_eq!(empty, expected);
        let unit = begin(&alice, &id, rect("a")).await;
        let given = new_id();
        // The first op has an id of the server's.
        for (revision, what, body) in [(2, "undo", json!({})), (3, "redo", json!({"op_id": given}))] {
            let answer = alice.post(&path(&id, what), &body).await.expect(200);
            assert_eq!(answer.headers["content-type"], "application/json");
            let log = alice.read_all(&id, revision - 1).await;
            let op_id = &log[0]["op_id"];
            assert_eq!(
                answer.json(),
                json!({"epoch": epoch, "latest_revision": revision, "unit": unit,
                       "results": [{"op_id": op_id, "revision": revision, "duplicate": false}]})
            );
            let ts = &log[0]["ts"];
            assert_eq!(
                log,
                [
                    json!({"revision": revision, "actor": "alice", "ts": ts, "op_id": op_id, "type": what, "unit": unit})
                ]
            );
            let is_seen = what == "redo";
            assert_eq!(seen(&alice, &id).await.len(), usize::from(is_seen));
            let expected = if is_seen { told(Some(&unit), None) } else { told(None, Some(&unit)) };
            assert_eq!(history(&alice, &id, "mine").await, expected);
        }
        assert_eq!(alice.read_all(&id, 2).await[0]["op_id"], json!(given));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mine_are_my_units_and_all_are_those_of_everybody() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "editor").await;
        let hers = begin(&alice, &id, rect("hers")).await;
        let his = begin(&bob, &id, rect("his")).await;
        for (client, mine) in [(&alice, &hers), (&bob, &his)] {
            let by_default = client.get(&path(&id, "history")).await.expect(200).json();
            assert_eq!(by_default["undo_unit"], *mine);
            assert_eq!(history(client, &id, "mine").await, told(Some(mine), None));
        }
        assert_eq!(history(&alice, &id, "all").await, told(Some(&his), None));
        assert_eq!(pressed(&alice, &id, "undo", "mine").await, hers);
        assert_eq!(pressed(&alice, &id, "undo", "all").await, his);
        assert_eq!(seen(&alice, &id).await, [""; 0]);
        press(&alice, &id, "undo", "all").await.expect_problem(409, "nothing_to_undo");
        // A unit that an owner undid is still bob's to redo; the last one that was undone comes back first.
        assert_eq!(history(&bob, &id, "mine").await, told(None, Some(&his)));
        assert_eq!(history(&alice, &id, "all").await, told(None, Some(&his)));
        assert_eq!(pressed(&bob, &id, "redo", "mine").await, his);
        assert_eq!(pressed(&alice, &id, "redo", "all").await, hers);
        press(&alice, &id, "redo", "all").await.expect_problem(409, "nothing_to_redo");
        assert_eq!(seen(&alice, &id).await, ["hers", "his"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_owners_undo_what_others_drew_and_viewers_undo_nothing() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob, eve) = (app.client("alice").await, app.client("bob").await, app.client("eve").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "editor").await;
        begin(&bob, &id, rect("his")).await;
        let head = alice.head(&id).await;
        let all = path(&id, "history?scope=all");
        bob.get(&all).await.expect_problem(403, "forbidden");
        for what in ["undo", "redo"] {
            press(&bob, &id, what, "all").await.expect_problem(403, "forbidden");
            press(&eve, &id, what, "mine").await.expect_problem(404, "not_found");
            press(&eve, &id, what, "all").await.expect_problem(404, "not_found");
            let nobody = Client::with_token(&app.base, "");
            press(&nobody, &id, what, "mine").await.expect_problem(401, "unauthenticated");
        }
        eve.get(&path(&id, "history")).await.expect_problem(404, "not_found");
        // Units that bob drew when he was an editor are not his to undo.
        alice.grant(&id, "bob", "viewer").await;
        assert_eq!(history(&bob, &id, "mine").await, nothing());
        bob.get(&all).await.expect_problem(403, "forbidden");
        for (what, scope) in [("undo", "mine"), ("undo", "all"), ("redo", "mine"), ("redo", "all")] {
            press(&bob, &id, what, scope).await.expect_problem(403, "forbidden");
        }
        assert_eq!(alice.head(&id).await, head);
        alice.delete(&format!("/v1/drawings/{id}")).await.expect(204);
        alice.get(&path(&id, "history")).await.expect_problem(404, "not_found");
        press(&alice, &id, "undo", "all").await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_whose_undoing_nobody_would_see_are_passed_over() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    press(&alice, &id, "undo", "mine").await.expect_problem(409, "nothing_to_undo");
    press(&alice, &id, "redo", "mine").await.expect_problem(409, "nothing_to_redo");
    let invisible = [
        json!({"op_id": new_id(), "type": "custom.roll", "data": 6}),
        json!({"op_id": new_id(), "type": "object.update", "object_id": "nobody", "set": {"x": 1}}),
        json!({"op_id": new_id(), "type": "object.delete", "object_ids": ["nobody"]}),
    ];
    alice.commit(&id, &invisible).await.expect(200);
    assert_eq!(history(&alice, &id, "mine").await, nothing());
    press(&alice, &id, "undo", "mine").await.expect_problem(409, "nothing_to_undo");
    let shown = begin(&alice, &id, rect("a")).await;
    let set = |x: u64| json!({"op_id": new_id(), "type": "object.update", "object_id": "a", "set": {"x": x}});
    let moved = begin(&alice, &id, set(1)).await;
    // The same value once more, and something that has no look.
    begin(&alice, &id, set(1)).await;
    begin(&alice, &id, json!({"op_id": new_id(), "type": "custom.roll", "data": 1})).await;
    let head = alice.head(&id).await;
    assert_eq!(history(&alice, &id, "mine").await["undo_unit"], shown);
    assert_eq!(pressed(&alice, &id, "undo", "mine").await, shown);
    assert_eq!(alice.head(&id).await, head + 1, "one op a press");
    assert_eq!(history(&alice, &id, "mine").await, told(None, Some(&shown)));
    assert_eq!(pressed(&alice, &id, "redo", "mine").await, shown);
    assert_ne!(shown, moved);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_undone_last_is_redone_first_until_its_actor_draws_anew() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "editor").await;
        let mut units = Vec::new();
        for object in ["a", "b", "c"] {
            units.push(begin(&alice, &id, rect(object)).await);
        }
        for unit in units.iter().rev() {
            assert_eq!(pressed(&alice, &id, "undo", "mine").await, *unit);
        }
        assert_eq!(pressed(&alice, &id, "redo", "mine").await, units[0]);
        // Bob's drawing does not end it.
        begin(&bob, &id, rect("his")).await;
        assert_eq!(pressed(&alice, &id, "redo", "mine").await, units[1]);
        begin(&alice, &id, json!({"op_id": new_id(), "type": "custom.roll", "data": 1})).await;
        assert_eq!(history(&alice, &id, "mine").await, told(Some(&units[1]), Some(&units[2])));
        let anew = begin(&alice, &id, rect("d")).await;
        assert_eq!(history(&alice, &id, "mine").await, told(Some(&anew), None));
        press(&alice, &id, "redo", "mine").await.expect_problem(409, "nothing_to_redo");
        press(&alice, &id, "redo", "all").await.expect_problem(409, "nothing_to_redo");
        assert_eq!(seen(&alice, &id).await, ["a", "b", "his", "d"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_out_of_reach_once_it_is_folded() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "viewer").await;
        let old = begin(&alice, &id, rect("old")).await;
        alice.commit_some(&id, 1_022).await;
        let last_closed = begin(&alice, &id, rect("last-closed")).await;
        let first_open = begin(&alice, &id, rect("first-open")).await;
        alice.commit_some(&id, 2_047 - 1_025).await;
        assert_eq!(alice.head(&id).await, 2_047);
        assert_eq!(history(&alice, &id, "mine").await, told(Some(&first_open), None));
        let old_of = |what: &str, unit: &Value| [json!({"op_id": new_id(), "type": what, "unit": unit})];
        alice.commit(&id, &old_of("undo", &first_open)).await.expect(200);
        // However long the log is, all of it is open before the first fold.
        assert_eq!(history(&alice, &id, "mine").await, told(Some(&last_closed), Some(&first_open)));
        assert_eq!(app.fold(&id, 0, 1_024).await, 2_049);
        for client in [&alice, &bob] {
            let history = client.get(&path(&id, "history")).await.expect(200).json();
            assert_eq!((&history["undo_floor"], &history["revision"]), (&json!(1_024), &json!(2_049)));
        }
        // It ends no redo.
        assert_eq!(history(&alice, &id, "mine").await, told(None, Some(&first_open)));
        let log = alice.read_all(&id, 2_048).await;
        assert_eq!(
            (&log[0]["type"], &log[0]["actor"], &log[0]["floor"], log[0].get("unit")),
            (&json!("fold"), &json!("revcast:fold"), &json!(1_024), None)
        );
        press(&alice, &id, "undo", "mine").await.expect_problem(409, "nothing_to_undo");
        for unit in [&old, &last_closed] {
            for what in ["undo", "redo"] {
                let refused = alice.commit(&id, &old_of(what, unit)).await;
                assert_eq!(refused.expect_problem(409, "unit_closed").json()["pointer"], "/ops/0/unit");
            }
        }
        assert_eq!(pressed(&alice, &id, "redo", "mine").await, first_open);
        assert_eq!(seen(&alice, &id).await.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_unit_is_undone_and_redone_as_a_whole_and_by_whom_it_belongs_to() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "editor").await;
        let first = rect("a");
        let joining = json!({"op_id": new_id(), "unit": first["op_id"], "type": "object.create", "object_id": "b", "kind": "rect", "props": {}});
        alice.commit(&id, &[first.clone(), joining.clone()]).await.expect(200);
        begin(&bob, &id, rect("c")).await;
        let act = |what: &str, unit: &Value| [json!({"op_id": new_id(), "type": what, "unit": unit})];
        let unit = &first["op_id"];
        for (what, objects) in [("undo", vec!["c"]), ("undo", vec!["c"]), ("redo", vec!["a", "b", "c"])] {
            bob.commit(&id, &act(what, unit)).await.expect_problem(403, "unit_forbidden");
            alice.commit(&id, &act(what, unit)).await.expect(200);
            assert_eq!(seen(&alice, &id).await, objects, "{what}");
        }
        // The id of an op that joined a unit, of an undo or of nothing is no unit.
        let undone = act("undo", unit);
        alice.commit(&id, &undone).await.expect(200);
        for no_unit in [&joining["op_id"], &undone[0]["op_id"], &json!(new_id())] {
            for what in ["undo", "redo"] {
                let refused = alice.commit(&id, &act(what, no_unit)).await;
                assert_eq!(refused.expect_problem(422, "unknown_unit").json()["pointer"], "/ops/0/unit");
            }
        }
        // An op that joins what is undone stays hidden with it.
        let late = json!({"op_id": new_id(), "unit": unit, "type": "object.create", "object_id": "d", "kind": "rect", "props": {}});
        alice.commit(&id, &[late]).await.expect(200);
        assert_eq!(seen(&alice, &id).await, ["c"]);
        assert_eq!(pressed(&alice, &id, "redo", "mine").await, *unit);
        assert_eq!(seen(&alice, &id).await, ["a", "b", "c", "d"]);
    }
}
