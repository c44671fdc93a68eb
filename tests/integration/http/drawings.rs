//! `/v1/drawings`: create, list, read, rename, delete.

use std::collections::HashSet;

use serde_json::json;

use crate::support::{App, new_id, op};

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_drawing_makes_the_caller_its_owner() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = new_id();
    let answer = alice.post("/v1/drawings", &json!({"drawing_id": id, "title": "Cave"})).await.expect(201);
    assert_eq!(answer.headers["location"], format!("/v1/drawings/{id}"));
    let made = answer.json();
    assert_eq!(made["drawing_id"], id);
    assert_eq!(made["title"], "Cave");
    assert_eq!(made["created_by"], "alice");
    assert_eq!(made["role"], "owner");
    assert_eq!(made["latest_revision"], 0);
    assert_eq!(made["snapshot_revision"], json!(null));
    assert!(made["created_at"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{made}");
    assert_eq!(made["updated_at"], made["created_at"]);
    assert!(made["epoch"].as_str().is_some_and(|epoch| epoch.len() == 36), "{made}");
    assert_eq!(alice.get(&format!("/v1/drawings/{id}")).await.expect(200).json(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_finds_the_drawing_it_made() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let body = json!({"drawing_id": new_id(), "title": "Cave"});
    let first = alice.post("/v1/drawings", &body).await.expect(201).json();
    assert_eq!(alice.post("/v1/drawings", &body).await.expect(200).json(), first);
    // Twenty at once: one of them makes it.
    let body = json!({"drawing_id": new_id()});
    let calls = (0..20).map(|_| {
        let (alice, body) = (alice.clone(), body.clone());
        tokio::spawn(async move { alice.post("/v1/drawings", &body).await.status })
    });
    let mut statuses = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        statuses.push(call.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 19], vec![201]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawing_needs_neither_body_nor_title_nor_id() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let bare = alice.call(reqwest::Method::POST, "/v1/drawings", None).await.expect(201).json();
    let empty = alice.post("/v1/drawings", &json!({})).await.expect(201).json();
    assert_eq!((&bare["title"], &empty["title"]), (&json!(""), &json!("")));
    assert_ne!(bare["drawing_id"], empty["drawing_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_taken_or_was_deleted_is_never_given_again() {
    let app = App::sqlite().await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let id = alice.create_drawing().await;
    let body = json!({"drawing_id": id});
    bob.post("/v1/drawings", &body).await.expect_problem(409, "drawing_id_taken");
    alice.delete(&format!("/v1/drawings/{id}")).await.expect(204);
    alice.post("/v1/drawings", &body).await.expect_problem(409, "drawing_id_taken");
    bob.post("/v1/drawings", &body).await.expect_problem(409, "drawing_id_taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_ends_at_200_characters_and_is_seen_as_it_reads() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let longest = "ä".repeat(200);
        let id = new_id();
        let made = alice.post("/v1/drawings", &json!({"drawing_id": id, "title": longest})).await.expect(201);
        assert_eq!(made.json()["title"], longest);
        let path = format!("/v1/drawings/{id}");
        let faulty = [longest.clone() + "ä", "a\u{0}b".to_owned(), "a\nb".to_owned()];
        let unseen = [" ", "\u{200b}", "\u{202e}", "\u{3164}\u{2800}\u{ad}", "\u{301}\u{fe0f}"];
        for title in faulty.into_iter().chain(unseen.map(str::to_owned)) {
            let body = json!({"title": title});
            let refused = alice.post("/v1/drawings", &body).await.expect_problem(422, "invalid_field");
            assert_eq!(refused.json()["pointer"], "/title");
            alice.patch(&path, &body).await.expect_problem(422, "invalid_field");
        }
        assert_eq!(alice.get(&path).await.expect(200).json()["title"], longest);
        let list = alice.get("/v1/drawings").await.expect(200).json();
        assert_eq!(list["drawings"].as_array().unwrap().len(), 1, "the refused ones were not made");
        for (title, shown) in [
            ("a\u{202e}b\u{2067}", "ab"),
            ("👩\u{200d}🚀 می\u{200c}خواهم", "👩\u{200d}🚀 می\u{200c}خواهم"),
            ("", ""),
        ] {
            assert_eq!(alice.patch(&path, &json!({"title": title})).await.expect(200).json()["title"], shown);
            assert_eq!(alice.get(&path).await.expect(200).json()["title"], shown);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_as_documented_are_malformed() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let bodies = [
        " ",
        "{",
        "7",
        "\"Cave\"",
        "[]",
        r#"["0198f0a0-7d2c-7aaa-8bbb-0123456789ab","Cave"]"#,
        r#"{"title":7}"#,
        r#"{"title":"a","title":"b"}"#,
        r#"{"titel":"a"}"#,
        r#"{"drawing_id":"7"}"#,
        r#"{"drawing_id":"0198f0a07d2c7aaa8bbb0123456789ab"}"#,
        r#"{"title":"\ud800"}"#,
        r#"{"title":"a"} {}"#,
    ];
    for body in bodies {
        let refused = alice.post_bytes("/v1/drawings", body).await;
        assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{body}");
    }
    for body in ["[\"Cave\"]", "{}", r#"{"title":null}"#] {
        let request = alice.request(reqwest::Method::PATCH, &format!("/v1/drawings/{id}"));
        let request = request.header("content-type", "application/json").body(body);
        crate::support::Client::send(request).await.unwrap().expect_problem(400, "invalid_request");
    }
    assert_eq!(alice.get("/v1/drawings").await.json()["drawings"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_newest_first_each_drawing_once() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let mut made = Vec::new();
        for _ in 0..7 {
            made.push(alice.create_drawing().await);
        }
        let shared = bob.create_drawing().await;
        bob.grant(&shared, "alice", "viewer").await;
        made.push(shared);
        bob.create_drawing().await;
        let (mut seen, mut path, mut pages) = (Vec::new(), "/v1/drawings?limit=3".to_owned(), Vec::new());
        loop {
            let page = alice.get(&path).await.expect(200).json();
            let drawings = page["drawings"].as_array().unwrap();
            pages.push(drawings.len());
            seen.extend(
                drawings.iter().map(|d| {
                    (d["created_at"].as_i64().unwrap(), d["drawing_id"].as_str().unwrap().to_owned())
                }),
            );
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/v1/drawings?limit=3&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(pages, [3, 3, 2]);
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
        let seen: HashSet<_> = seen.into_iter().map(|(_, id)| id).collect();
        assert_eq!(seen, made.into_iter().collect());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_list_ends_at_100_drawings_and_the_last_has_no_cursor() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    for _ in 0..100 {
        alice.create_drawing().await;
    }
    let exact = alice.get("/v1/drawings").await.expect(200).json();
    assert_eq!(exact["drawings"].as_array().unwrap().len(), 100);
    assert_eq!(exact.get("next_cursor"), None);
    alice.create_drawing().await;
    for path in ["/v1/drawings", "/v1/drawings?limit=100"] {
        let page = alice.get(path).await.expect(200).json();
        assert_eq!(page["drawings"].as_array().unwrap().len(), 100, "{path}");
        assert!(page["next_cursor"].is_string(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_a_list_that_do_not_fit_are_malformed() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let faulty = [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=4294967296",
        "limit=1&limit=2",
        "cursor=",
        "cursor=x",
        "cursor=1_x",
        "cursor=99999999999999999999_0198f0a0-7d2c-7aaa-8bbb-0123456789ab",
        "page=2",
    ];
    for query in faulty {
        let refused = alice.get(&format!("/v1/drawings?{query}")).await;
        assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{query}");
    }
    let extreme = format!("/v1/drawings?cursor={}_{}", i64::MIN, new_id());
    assert_eq!(alice.get(&extreme).await.expect(200).json(), json!({"drawings": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_owners_rename_and_a_rename_is_seen_by_all() {
    let app = App::sqlite().await;
    let (alice, bob, eve) = (app.client("alice").await, app.client("bob").await, app.client("eve").await);
    let id = alice.create_drawing().await;
    alice.grant(&id, "bob", "editor").await;
    let path = format!("/v1/drawings/{id}");
    let body = json!({"title": "Crypt"});
    bob.patch(&path, &body).await.expect_problem(403, "forbidden");
    eve.patch(&path, &body).await.expect_problem(404, "not_found");
    let renamed = alice.patch(&path, &body).await.expect(200).json();
    assert_eq!(renamed["title"], "Crypt");
    assert!(renamed["updated_at"].as_i64() >= renamed["created_at"].as_i64());
    let seen = bob.get(&path).await.expect(200).json();
    assert_eq!((&seen["title"], &seen["role"]), (&json!("Crypt"), &json!("editor")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_drawing_is_gone_for_everyone_and_on_every_path() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob, eve) = (app.client("alice").await, app.client("bob").await, app.client("eve").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "editor").await;
        bob.commit_some(&id, 3).await;
        let path = format!("/v1/drawings/{id}");
        let link = alice.post(&format!("{path}/links"), &json!({"role": "viewer"})).await.expect(201).json();
        bob.delete(&path).await.expect_problem(403, "forbidden");
        eve.delete(&path).await.expect_problem(404, "not_found");
        alice.delete(&path).await.expect(204);
        for who in [&alice, &bob] {
            who.get(&path).await.expect_problem(404, "not_found");
            who.get(&format!("{path}/ops?after=0")).await.expect_problem(404, "not_found");
            for rest in
                ["members", "links", "presence", "snapshot", "snapshot?at=1", "history", "export?format=svg"]
            {
                who.get(&format!("{path}/{rest}")).await.expect_problem(404, "not_found");
            }
            for rest in ["undo", "redo"] {
                who.post(&format!("{path}/{rest}"), &json!({})).await.expect_problem(404, "not_found");
            }
            who.commit(&id, &[op(1)]).await.expect_problem(404, "not_found");
            who.patch(&path, &json!({"title": "x"})).await.expect_problem(404, "not_found");
            who.delete(&path).await.expect_problem(404, "not_found");
            who.put(&format!("{path}/members/eve"), &json!({"role": "viewer"}))
                .await
                .expect_problem(404, "not_found");
            assert_eq!(who.get("/v1/drawings").await.expect(200).json(), json!({"drawings": []}));
        }
        let join = format!("/v1/links/{}/join", link["token"].as_str().unwrap());
        eve.call(reqwest::Method::POST, &join, None).await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawing_one_may_not_know_of_looks_like_one_that_is_not_there() {
    let app = App::sqlite().await;
    let (alice, eve) = (app.client("alice").await, app.client("eve").await);
    let (hidden, absent) = (alice.create_drawing().await, new_id());
    let paths = |id: &str| {
        let ids =
            ["", "/ops?after=0", "/members", "/links", "/snapshot?at=9", "/history", "/export?format=json"];
        ids.map(|rest| format!("/v1/drawings/{id}{rest}"))
    };
    for (hidden, absent) in paths(&hidden).iter().zip(paths(&absent)) {
        let (hidden, absent) = (eve.get(hidden).await.expect(404), eve.get(&absent).await.expect(404));
        assert_eq!(hidden.json(), absent.json());
    }
    // Not even what is wrong with the ops is told.
    let faulty = [json!({"op_id": "x", "type": "draw"})];
    let (hidden, absent) = (eve.commit(&hidden, &faulty).await, eve.commit(&absent, &faulty).await);
    assert_eq!(hidden.expect_problem(404, "not_found").json(), absent.expect(404).json());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_a_path_has_the_one_form_of_a_uuid() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    for odd in
        [id.replace('-', ""), format!("%7B{id}%7D"), "7".to_owned(), "%00".to_owned(), "%FF".to_owned()]
    {
        let refused = alice.get(&format!("/v1/drawings/{odd}")).await;
        assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{odd}");
    }
    alice.get(&format!("/v1/drawings/{}", id.to_uppercase())).await.expect(200);
}
