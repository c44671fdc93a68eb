//! `POST /v1/drawings/{id}/ops`: results, bytes, conditions, retries and permissions.

use serde_json::{Value, json};

use crate::support::{App, Client, new_id, op, revisions};

fn create(object_id: &str, kind: &str) -> Value {
    json!({"op_id": new_id(), "type": "object.create", "object_id": object_id, "kind": kind, "props": {}})
}

fn with_id(mut op: Value) -> Value {
    op["op_id"] = new_id().into();
    op
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_answers_with_one_result_an_op_in_their_order() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let epoch = alice.get(&format!("/v1/drawings/{id}")).await.json()["epoch"].clone();
        let (a, b, c) = (op(1), op(2), op(3));
        let first = alice.commit(&id, &[a.clone(), b.clone()]).await.expect(200);
        assert_eq!(first.headers["content-type"], "application/json");
        assert_eq!(
            first.json(),
            json!({"epoch": epoch, "latest_revision": 2, "results": [
                {"op_id": a["op_id"], "revision": 1, "duplicate": false},
                {"op_id": b["op_id"], "revision": 2, "duplicate": false},
            ]})
        );
        // A retry beside something new: each op has the revision it has had from the first.
        let second = alice.commit(&id, &[b.clone(), c.clone(), a.clone()]).await.expect(200).json();
        assert_eq!(
            second,
            json!({"epoch": epoch, "latest_revision": 3, "results": [
                {"op_id": b["op_id"], "revision": 2, "duplicate": true},
                {"op_id": c["op_id"], "revision": 3, "duplicate": false},
                {"op_id": a["op_id"], "revision": 1, "duplicate": true},
            ]})
        );
        assert_eq!(revisions(&alice.read_all(&id, 0).await), [1, 2, 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_stands_twice_in_one_request_is_committed_once() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let a = op(1);
    let answer = alice.commit(&id, &[a.clone(), a.clone()]).await.expect(200).json();
    let results = answer["results"].as_array().unwrap();
    assert_eq!((revisions(results), alice.head(&id).await), (vec![1, 1], 1));
    let mut other = a.clone();
    other["set"]["x"] = json!(2);
    let fresh = op(3);
    alice.commit(&id, &[fresh, a, other]).await.expect_problem(409, "op_id_conflict");
    assert_eq!(alice.head(&id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_op_id_with_another_body_is_a_conflict_and_commits_nothing() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "editor").await;
        let op_id = new_id();
        let path = format!("/v1/drawings/{id}/ops");
        let body = |fields: &str| format!(r#"{{"ops":[{{"op_id":"{op_id}",{fields}}}]}}"#);
        let first = r#""type":"object.update","object_id":"a","set":{"x":1.50,"y":[1,2]}"#;
        alice.post_bytes(&path, body(first)).await.expect(200);
        // The same JSON value, spelt otherwise.
        let same = r#" "set" : {"y":[1.0,2],"x":15e-1}, "object_id":"\u0061","type":"object.update""#;
        let again = alice.post_bytes(&path, body(same)).await.expect(200).json();
        assert_eq!(again["results"], json!([{"op_id": op_id, "revision": 1, "duplicate": true}]));
        let others = [
            r#""type":"object.update","object_id":"a","set":{"x":1.5,"y":[2,1]}"#,
            r#""type":"object.update","object_id":"a","set":{"x":1.5,"y":[1,2],"z":null}"#,
            r#""type":"object.update","object_id":"a","set":{"x":"1.5","y":[1,2]}"#,
            r#""type":"object.update","object_id":"A","set":{"x":1.5,"y":[1,2]}"#,
            r#""type":"custom.a","data":1"#,
        ];
        for other in others {
            let refused = alice.post_bytes(&path, body(other)).await.expect_problem(409, "op_id_conflict");
            assert_eq!(refused.json()["pointer"], "/ops/0/op_id", "{other}");
        }
        // Whoever sends it: the op is in the log.
        bob.post_bytes(&path, body(first)).await.expect(200);
        assert_eq!(revisions(&alice.read_all(&id, 0).await), [1]);
        // The id is free in another drawing.
        let other = alice.create_drawing().await;
        let answer =
            alice.post_bytes(&format!("/v1/drawings/{other}/ops"), body(others[4])).await.expect(200);
        assert_eq!(answer.json()["results"][0]["duplicate"], false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_is_delivered_as_the_bytes_that_came_without_white_space() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice \"the\\ ä").await;
        let id = alice.create_drawing().await;
        let path = format!("/v1/drawings/{id}/ops");
        let op_id = new_id();
        let sent = format!(
            "{{ \"ops\" : [ {{ \"type\":\"object.create\",\r\n\t\"z\" : \"a 1\", \"op_id\":\"{op_id}\", \
             \"props\":{{\"b\":1.50,\"a\":-0.0,\"e\":1E+2,\"s\":\"\\u00e4 \\/ \\u0000 é 😀\",\"n\":null , \"t\":true}},\
             \"kind\":\"rect\",\"object_id\":\"o\",\"meta\":{{\"k\":[ ]}} }} ] }}"
        );
        alice.post_bytes(&path, sent).await.expect(200);
        let answer = alice.get(&format!("{path}?after=0")).await.expect(200);
        let text = String::from_utf8(answer.bytes.clone()).unwrap();
        let delivered = format!(
            "\"type\":\"object.create\",\"z\":\"a 1\",\"op_id\":\"{op_id}\",\
             \"props\":{{\"b\":1.50,\"a\":-0.0,\"e\":1E+2,\"s\":\"\\u00e4 \\/ \\u0000 é 😀\",\"n\":null,\"t\":true}},\
             \"kind\":\"rect\",\"object_id\":\"o\",\"meta\":{{\"k\":[]}}}}]}}"
        );
        let op = &answer.json()["ops"][0];
        let envelope = format!(
            "\"ops\":[{{\"revision\":1,\"actor\":\"alice \\\"the\\\\ ä\",\"ts\":{},",
            op["ts"].as_u64().unwrap()
        );
        assert!(text.ends_with(&(envelope + &delivered)), "{text}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let age = u64::try_from(now.as_millis()).unwrap().abs_diff(op["ts"].as_u64().unwrap());
        assert!(age < 60_000, "ts is the server's clock, in milliseconds: {op}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ids_of_an_op_are_in_lower_case_whichever_case_was_sent() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let mut socket = alice.socket().await;
        socket.subscribe(&id, None).await.unwrap();
        let ids = [new_id(), new_id(), new_id()];
        // One gesture and its undo.
        let ops = |spell: fn(&str) -> String| {
            let [begun, joined, undone] = [0, 1, 2].map(|nth| spell(&ids[nth]));
            let mut first = create("Oval-A", "rect");
            first["op_id"] = json!(begun);
            [
                first,
                json!({"op_id": joined, "type": "object.update", "object_id": "Oval-A", "set": {"x": 1}, "unit": begun}),
                json!({"op_id": undone, "type": "undo", "unit": begun, "meta": {"unit": "ABC"}}),
            ]
        };
        let (lower, upper) = (ops(str::to_owned), ops(str::to_uppercase));
        let results = |is_duplicate: bool| -> Value {
            (1..)
                .zip(&ids)
                .map(|(n, id)| json!({"op_id": id, "revision": n, "duplicate": is_duplicate}))
                .collect()
        };
        // In the one case and then in the other, it is the same op.
        for (spelled, is_duplicate) in [(&upper, false), (&lower, true), (&upper, true)] {
            let answer = alice.commit(&id, spelled).await.expect(200).json();
            assert_eq!(answer["results"], results(is_duplicate));
        }
        let mut log = alice.read_all(&id, 0).await;
        assert_eq!(socket.receive_ops().await.unwrap(), log, "live readers get the same");
        for op in &mut log {
            for added in ["revision", "actor", "ts"] {
                op.as_object_mut().unwrap().remove(added);
            }
        }
        assert_eq!(log, lower);
        let mut other = upper[1].clone();
        other["set"]["x"] = json!(2);
        alice.commit(&id, &[other]).await.expect_problem(409, "op_id_conflict");
        // A press names its op in either case, too.
        let op_id = new_id();
        for (spelled, is_duplicate) in [(op_id.to_uppercase(), false), (op_id.clone(), true)] {
            let pressed = alice.post(&format!("/v1/drawings/{id}/redo"), &json!({"op_id": spelled})).await;
            let result = json!([{"op_id": op_id, "revision": 4, "duplicate": is_duplicate}]);
            assert_eq!(pressed.expect(200).json()["results"], result);
        }
        let last = alice.read_all(&id, 3).await.remove(0);
        assert_eq!((&last["op_id"], &last["unit"]), (&json!(op_id), &json!(ids[0])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_forms_of_a_uuid_are_refused() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let uuid = new_id();
    for form in [uuid.replace('-', ""), format!("{{{uuid}}}"), format!("urn:uuid:{uuid}"), format!(" {uuid}")]
    {
        let named = json!({"op_id": form, "type": "canvas.clear"});
        alice.commit(&id, &[named]).await.expect_problem(422, "invalid_op");
        let joining = json!({"op_id": uuid, "type": "canvas.clear", "unit": form});
        alice.commit(&id, &[joining]).await.expect_problem(422, "invalid_op");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_commits_whole_or_not_at_all_and_names_every_faulty_op() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let typo = json!({"op_id": new_id(), "type": "object.update", "object_id": "a", "sett": {}});
    let stroke =
        json!({"op_id": new_id(), "type": "stroke.append", "object_id": "a", "index": 0, "points": []});
    let refused = alice.commit(&id, &[op(1), typo, op(2), stroke]).await.expect_problem(422, "invalid_op");
    let problem = refused.json();
    assert_eq!(problem["pointer"], "/ops/1");
    assert_eq!(problem["errors"][1]["pointer"], "/ops/3/index");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
    let many: Vec<Value> = (0..40).map(|_| json!({"op_id": new_id(), "type": "draw"})).collect();
    let problem = alice.commit(&id, &many).await.expect_problem(422, "invalid_op").json();
    assert_eq!(problem["errors"].as_array().unwrap().len(), 16);
    assert_eq!(alice.head(&id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn if_revision_commits_at_that_head_alone() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let path = format!("/v1/drawings/{id}/ops");
        let epoch = alice.get(&format!("/v1/drawings/{id}")).await.json()["epoch"].clone();
        let first = json!({"if_revision": 0, "ops": [op(1), op(2)]});
        alice.post(&path, &first).await.expect(200);
        for stale in [0, 1, 3, 1_u64 << 53] {
            let body = json!({"if_revision": stale, "ops": [op(3)]});
            let refused = alice.post(&path, &body).await.expect_problem(409, "revision_conflict").json();
            assert_eq!((&refused["epoch"], &refused["latest_revision"]), (&epoch, &json!(2)), "{stale}");
        }
        assert_eq!(alice.head(&id).await, 2);
        for beyond in [(1_u64 << 53) + 1, u64::MAX] {
            let body = json!({"if_revision": beyond, "ops": [op(3)]});
            let refused = alice.post(&path, &body).await.expect_problem(422, "invalid_field");
            assert_eq!(refused.json()["pointer"], "/if_revision");
        }
        alice.post(&path, &json!({"if_revision": 2, "ops": [op(4)]})).await.expect(200);
        // The retry of a request whose answer was lost is no conflict.
        let again = alice.post(&path, &first).await.expect(200).json();
        assert_eq!(revisions(again["results"].as_array().unwrap()), [1, 2]);
        assert_eq!(again["latest_revision"], 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_epoch_if_revision_is_a_position_and_folds_after_it_do_not_count() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let path = format!("/v1/drawings/{id}/ops");
        let epoch = alice.get(&format!("/v1/drawings/{id}")).await.json()["epoch"].clone();
        alice.commit_some(&id, 3).await;
        let at =
            |epoch: &Value, revision: u64| json!({"if_revision": revision, "epoch": epoch, "ops": [op(1)]});
        let other = json!(new_id());
        for body in [at(&other, 3), at(&other, 0), at(&epoch, 2), at(&epoch, 4)] {
            let refused = alice.post(&path, &body).await.expect_problem(409, "revision_conflict").json();
            assert_eq!((&refused["epoch"], &refused["latest_revision"]), (&epoch, &json!(3)), "{body}");
        }
        let alone = |epoch: &Value| json!({"epoch": epoch, "ops": [op(1)]});
        let refused = alice.post(&path, &alone(&other)).await.expect_problem(410, "epoch_changed").json();
        assert_eq!((&refused["epoch"], &refused["latest_revision"]), (&epoch, &json!(3)));
        assert_eq!(alice.head(&id).await, 3);
        assert_eq!(app.fold(&id, 0, 2).await, 4);
        alice.post(&path, &at(&epoch, 2)).await.expect_problem(409, "revision_conflict");
        let committed = alice.post(&path, &at(&epoch, 3)).await.expect(200).json();
        assert_eq!(committed["results"][0]["revision"], 5);
        alice.post(&path, &alone(&epoch)).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_server_writes_is_refused_whoever_sends_it() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        alice.commit_some(&id, 3).await;
        let rows = [
            json!({"type": "fold", "floor": 1}),
            json!({"type": "fold", "floor": 9}),
            json!({"type": "fold"}),
            json!({"type": "fold", "floor": 1, "unit": new_id()}),
            json!({"type": "lesson.start"}),
            json!({"type": "score.update", "step_id": "a"}),
        ];
        for mut row in rows {
            row["op_id"] = new_id().into();
            let refused = alice.commit(&id, &[op(1), row.clone()]).await.expect_problem(403, "server_only");
            assert_eq!(refused.json()["pointer"], "/ops/1/type", "{row}");
        }
        assert_eq!(alice.head(&id).await, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_at_one_head_exactly_one_commits() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let calls: Vec<_> = (0..16)
            .map(|n| {
                let (alice, path) = (alice.clone(), format!("/v1/drawings/{id}/ops"));
                let body = json!({"if_revision": 0, "ops": [op(n)]});
                tokio::spawn(async move { alice.post(&path, &body).await.status })
            })
            .collect();
        let mut statuses = Vec::new();
        for call in calls {
            statuses.push(call.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![200], vec![409; 15]].concat());
        assert_eq!(alice.head(&id).await, 1);
    }
}

/// A row of the table of roles: an op, and whether an editor may commit it.
fn permission_rows(own_unit: &str) -> Vec<(Value, bool)> {
    let rows = [
        (json!({"type": "object.create", "object_id": "a", "kind": "rect", "props": {}}), true),
        (json!({"type": "object.create", "object_id": "f", "kind": "fog", "props": {}}), false),
        (json!({"type": "object.update", "object_id": "a", "set": {"x": 1}}), true),
        (json!({"type": "object.delete", "object_ids": ["a"]}), true),
        (json!({"type": "stroke.begin", "object_id": "s", "tool": "pen", "props": {}, "points": []}), true),
        (json!({"type": "stroke.append", "object_id": "s", "index": 1, "points": [[1, 2]]}), true),
        (json!({"type": "stroke.end", "object_id": "s", "count": 1}), true),
        (json!({"type": "undo", "unit": own_unit}), true),
        (json!({"type": "redo", "unit": own_unit}), true),
        (json!({"type": "custom.roll", "data": 6}), true),
        (json!({"type": "canvas.set", "set": {"background": "#fff"}}), false),
        (json!({"type": "canvas.clear"}), false),
    ];
    rows.into_iter().map(|(op, editor)| (with_id(op), editor)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_permission_table_holds() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        for (user, role) in [("olga", "owner"), ("ed", "editor"), ("vera", "viewer")] {
            let client = app.client(user).await;
            alice.grant(&id, user, "editor").await;
            let own = op(1);
            client.commit(&id, std::slice::from_ref(&own)).await.expect(200);
            alice.grant(&id, user, role).await;
            client.get(&format!("/v1/drawings/{id}/ops?after=0")).await.expect(200);
            for (op, editor) in permission_rows(own["op_id"].as_str().unwrap()) {
                let before = alice.head(&id).await;
                let answer = client.commit(&id, std::slice::from_ref(&op)).await;
                if role == "owner" || (role == "editor" && editor) {
                    answer.expect(200);
                    assert_eq!(alice.head(&id).await, before + 1);
                } else {
                    answer.expect_problem(403, "forbidden");
                    assert_eq!(alice.head(&id).await, before, "{role}: {op}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_undone_by_its_actor_or_an_owner() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "editor").await;
        let (hers, his) = (op(1), op(2));
        alice.commit(&id, std::slice::from_ref(&hers)).await.expect(200);
        bob.commit(&id, std::slice::from_ref(&his)).await.expect(200);
        let act = |kind: &str, unit: &Value| [with_id(json!({"type": kind, "unit": unit}))];
        for kind in ["undo", "redo"] {
            let refused = bob.commit(&id, &act(kind, &hers["op_id"])).await;
            assert_eq!(refused.expect_problem(403, "unit_forbidden").json()["pointer"], "/ops/0/unit");
            bob.commit(&id, &act(kind, &his["op_id"])).await.expect(200);
            alice.commit(&id, &act(kind, &his["op_id"])).await.expect(200);
            let unknown = json!(new_id());
            alice.commit(&id, &act(kind, &unknown)).await.expect_problem(422, "unknown_unit");
        }
        // To join a unit is for its actor alone, owner or not.
        let mut joining = op(3);
        joining["unit"] = his["op_id"].clone();
        alice.commit(&id, std::slice::from_ref(&joining)).await.expect_problem(403, "unit_forbidden");
        bob.commit(&id, &[joining]).await.expect(200);
    }
}

async fn expect_fog_is_closed(client: &Client, drawing: &str) {
    let touching = [
        json!({"type": "object.update", "object_id": "mist", "set": {"x": 1}}),
        json!({"type": "object.update", "object_id": "mist", "z": "b"}),
        json!({"type": "object.update", "object_id": "mist", "unset": ["x"]}),
        json!({"type": "object.delete", "object_ids": ["mist"]}),
        json!({"type": "object.delete", "object_ids": ["a", "mist"]}),
        json!({"type": "object.create", "object_id": "mist", "kind": "rect", "props": {}}),
        json!({"type": "object.create", "object_id": "mist", "kind": "fog", "props": {}}),
        json!({"type": "stroke.begin", "object_id": "mist", "tool": "pen", "props": {}, "points": []}),
        json!({"type": "stroke.append", "object_id": "mist", "index": 1, "points": []}),
        json!({"type": "stroke.end", "object_id": "mist", "count": 0}),
    ];
    let before = client.head(drawing).await;
    for op in touching {
        client.commit(drawing, &[create("free", "rect"), with_id(op)]).await.expect_problem(403, "forbidden");
    }
    assert_eq!(client.head(drawing).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_may_not_touch_what_an_owner_made_as_fog() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "editor").await;
        let before = op(0);
        bob.commit(&id, std::slice::from_ref(&before)).await.expect(200);
        alice.commit(&id, &[create("mist", "fog")]).await.expect(200);
        expect_fog_is_closed(&bob, &id).await;
        // Owners may; and what was fog stays closed when it is deleted or made anew as something else.
        let delete = json!({"type": "object.delete", "object_ids": ["mist"]});
        alice.commit(&id, &[with_id(delete)]).await.expect(200);
        expect_fog_is_closed(&bob, &id).await;
        alice.commit(&id, &[create("mist", "rect")]).await.expect(200);
        expect_fog_is_closed(&bob, &id).await;
        // An object that is not fog is open, and a duplicate is no touch.
        bob.commit(&id, &[op(1), before]).await.expect(200);
        alice.grant(&id, "bob", "owner").await;
        let update = json!({"type": "object.update", "object_id": "mist", "set": {"x": 1}});
        bob.commit(&id, &[with_id(update)]).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_becomes_fog_for_the_ops_behind_it_in_the_same_batch() {
    let app = App::sqlite().await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let id = alice.create_drawing().await;
    alice.grant(&id, "bob", "editor").await;
    let update = json!({"type": "object.update", "object_id": "mist", "set": {"x": 1}});
    alice.commit(&id, &[create("mist", "fog"), with_id(update.clone())]).await.expect(200);
    bob.commit(&id, &[with_id(update)]).await.expect_problem(403, "forbidden");
}
