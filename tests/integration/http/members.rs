//! Members and share links: who may do what, and how they got there.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, eventually, new_id};

fn now_ms() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

async fn new_link(client: &Client, drawing: &str, body: Value) -> Value {
    client.post(&format!("/v1/drawings/{drawing}/links"), &body).await.expect(201).json()
}

async fn join(client: &Client, token: &str) -> Answer {
    client.call(Method::POST, &format!("/v1/links/{token}/join"), None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_give_and_take_roles_and_members_see_each_other() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        let members = format!("/v1/drawings/{id}/members");
        bob.get(&members).await.expect_problem(404, "not_found");
        let given = alice.put(&format!("{members}/bob"), &json!({"role": "viewer"})).await.expect(200).json();
        assert_eq!(given, json!({"user_id": "bob", "role": "viewer"}));
        alice.grant(&id, "bob", "editor").await;
        assert_eq!(
            bob.get(&members).await.expect(200).json(),
            json!({"members": [{"user_id": "alice", "role": "owner"}, {"user_id": "bob", "role": "editor"}]})
        );
        alice.revoke(&id, "bob").await;
        bob.get(&members).await.expect_problem(404, "not_found");
        alice.delete(&format!("{members}/bob")).await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_owners_manage_members() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let members = format!("/v1/drawings/{id}/members");
    alice.grant(&id, "carol", "viewer").await;
    for role in ["editor", "viewer"] {
        let bob = app.client("bob").await;
        alice.grant(&id, "bob", role).await;
        for body in [json!({"role": "owner"}), json!({"role": "viewer"})] {
            bob.put(&format!("{members}/bob"), &body).await.expect_problem(403, "forbidden");
            bob.put(&format!("{members}/eve"), &body).await.expect_problem(403, "forbidden");
        }
        bob.delete(&format!("{members}/carol")).await.expect_problem(403, "forbidden");
        bob.delete(&format!("{members}/alice")).await.expect_problem(403, "forbidden");
    }
    let eve = app.client("eve").await;
    eve.put(&format!("{members}/eve"), &json!({"role": "viewer"})).await.expect_problem(404, "not_found");
    eve.delete(&format!("{members}/eve")).await.expect_problem(404, "not_found");
    eve.delete(&format!("{members}/alice")).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_can_neither_leave_nor_step_down() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        let me = format!("/v1/drawings/{id}/members/alice");
        alice.grant(&id, "bob", "editor").await;
        alice.delete(&me).await.expect_problem(409, "last_owner");
        alice.put(&me, &json!({"role": "editor"})).await.expect_problem(409, "last_owner");
        assert_eq!(alice.get(&format!("/v1/drawings/{id}")).await.expect(200).json()["role"], "owner");
        alice.put(&me, &json!({"role": "owner"})).await.expect(200);
        alice.grant(&id, "bob", "owner").await;
        alice.put(&me, &json!({"role": "viewer"})).await.expect(200);
        bob.delete(&format!("/v1/drawings/{id}/members/bob")).await.expect_problem(409, "last_owner");
        bob.revoke(&id, "alice").await;
        alice.get(&format!("/v1/drawings/{id}")).await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_who_leave_at_once_leave_one_behind() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        for _ in 0..5 {
            let id = alice.create_drawing().await;
            alice.grant(&id, "bob", "owner").await;
            let path = |user: &str| format!("/v1/drawings/{id}/members/{user}");
            let (a, b) = (path("alice"), path("bob"));
            let (a, b) = tokio::join!(alice.delete(&a), bob.delete(&b));
            let mut statuses = [a.status, b.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [204, 409]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_may_leave_by_themselves() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    for role in ["viewer", "editor"] {
        let bob = app.client("bob").await;
        alice.grant(&id, "bob", role).await;
        bob.delete(&format!("/v1/drawings/{id}/members/bob")).await.expect(204);
        bob.get(&format!("/v1/drawings/{id}")).await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_role_serves_at_once() {
    let app = App::sqlite().await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let id = alice.create_drawing().await;
    alice.grant(&id, "bob", "viewer").await;
    bob.commit(&id, &[crate::support::op(1)]).await.expect_problem(403, "forbidden");
    alice.grant(&id, "bob", "editor").await;
    bob.commit(&id, &[crate::support::op(1)]).await.expect(200);
    alice.grant(&id, "bob", "viewer").await;
    bob.commit(&id, &[crate::support::op(1)]).await.expect_problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_ids_may_hold_what_identity_providers_put_there() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let longest = "ä".repeat(128);
        let users = [
            ("auth0|123", "auth0%7C123"),
            ("a/b", "a%2Fb"),
            ("bob smith", "bob%20smith"),
            ("100%", "100%25"),
            ("\"'\\", "%22%27%5C"),
            (&*longest, &*longest),
        ];
        for (user, in_path) in users {
            let path = format!("/v1/drawings/{id}/members/{in_path}");
            let given = alice.put(&path, &json!({"role": "editor"})).await.expect(200).json();
            assert_eq!(given["user_id"], user);
            let client = app.client(user).await;
            client.commit(&id, &[crate::support::op(1)]).await.expect(200);
            assert_eq!(client.read_all(&id, 0).await.last().unwrap()["actor"], user);
            alice.delete(&path).await.expect(204);
            client.get(&format!("/v1/drawings/{id}")).await.expect_problem(404, "not_found");
        }
        for odd in ["a%00b", "a%0Ab", "%FF", &"a".repeat(129)] {
            let path = format!("/v1/drawings/{id}/members/{odd}");
            let refused = alice.put(&path, &json!({"role": "editor"})).await;
            assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{odd}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_has_one_of_three_names() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let path = format!("/v1/drawings/{id}/members/bob");
    for body in [
        json!({"role": "admin"}),
        json!({"role": "Owner"}),
        json!({"role": null}),
        json!({"role": {"viewer": null}}),
        json!({}),
        json!(["viewer"]),
        json!({"role": "viewer", "since": 1}),
    ] {
        let refused = alice.put(&path, &body).await;
        assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_makes_its_bearer_a_member_and_shows_its_token_once() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        let expires_at = u64::try_from(now_ms()).unwrap() + 3_600_000;
        let link = new_link(&alice, &id, json!({"role": "editor", "expires_at": expires_at})).await;
        let other = new_link(&alice, &id, json!({"role": "viewer"})).await;
        assert_eq!((&link["role"], &link["expires_at"]), (&json!("editor"), &json!(expires_at)));
        assert_eq!(other["expires_at"], json!(null));
        assert_ne!(link["token"], other["token"]);
        let joined = join(&bob, link["token"].as_str().unwrap()).await.expect(200).json();
        assert_eq!(joined, json!({"drawing_id": id, "role": "editor"}));
        bob.commit(&id, &[crate::support::op(1)]).await.expect(200);
        let links = alice.get(&format!("/v1/drawings/{id}/links")).await.expect(200).json();
        let mut shown = [link, other];
        for link in &mut shown {
            link.as_object_mut().unwrap().remove("token");
        }
        assert_eq!(links, json!({"links": shown}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_never_lowers_a_role() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let viewer = new_link(&alice, &id, json!({"role": "viewer"})).await;
    let editor = new_link(&alice, &id, json!({"role": "editor"})).await;
    let (viewer, editor) = (viewer["token"].as_str().unwrap(), editor["token"].as_str().unwrap());
    let bob = app.client("bob").await;
    for (token, role) in [(viewer, "viewer"), (viewer, "viewer"), (editor, "editor"), (viewer, "editor")] {
        assert_eq!(join(&bob, token).await.expect(200).json()["role"], role);
    }
    assert_eq!(join(&alice, viewer).await.expect(200).json()["role"], "owner");
    assert_eq!(alice.get(&format!("/v1/drawings/{id}")).await.expect(200).json()["role"], "owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_gives_editor_or_viewer_and_ends_in_the_future() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let path = format!("/v1/drawings/{id}/links");
    let refused = alice.post(&path, &json!({"role": "owner"})).await.expect_problem(422, "invalid_field");
    assert_eq!(refused.json()["pointer"], "/role");
    let now = u64::try_from(now_ms()).unwrap();
    // In seconds rather than milliseconds, a moment ago, long ago, before 1970.
    for end in [json!(now / 1_000 + 3_600), json!(now - 1), json!(0), json!(i64::MIN)] {
        let body = json!({"role": "viewer", "expires_at": end});
        let refused = alice.post(&path, &body).await.expect_problem(422, "invalid_field");
        assert_eq!(refused.json()["pointer"], "/expires_at");
    }
    for body in [
        json!({"role": "guest"}),
        json!({}),
        json!({"role": "viewer", "expires_at": "soon"}),
        json!({"role": "viewer", "expires_at": 1.5e13}),
        json!({"role": "viewer", "expires_at": u64::MAX}),
    ] {
        alice.post(&path, &body).await.expect_problem(400, "invalid_request");
    }
    assert_eq!(alice.get(&path).await.expect(200).json(), json!({"links": []}));
    let last = 1_u64 << 53;
    alice.post(&path, &json!({"role": "viewer", "expires_at": last})).await.expect(201);
    for end in [last + 1, i64::MAX.cast_unsigned()] {
        let refused = alice.post(&path, &json!({"role": "viewer", "expires_at": end})).await;
        refused.expect_problem(422, "invalid_field");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_link_opens_nothing() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        let end = u64::try_from(now_ms()).unwrap() + 1_500;
        let link = new_link(&alice, &id, json!({"role": "editor", "expires_at": end})).await;
        let token = link["token"].as_str().unwrap();
        join(&bob, token).await.expect(200);
        let refused = eventually("the link expires", || async {
            let answer = join(&bob, token).await;
            (answer.status != 200).then_some(answer)
        })
        .await;
        refused.expect_problem(404, "not_found");
        assert!(now_ms() >= u128::from(end), "it served for as long as it was said to");
        join(&app.client("carol").await, token).await.expect_problem(404, "not_found");
        bob.get(&format!("/v1/drawings/{id}")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_link_opens_nothing_and_its_members_stay() {
    let app = App::sqlite().await;
    let (alice, bob, eve) = (app.client("alice").await, app.client("bob").await, app.client("eve").await);
    let (id, other) = (alice.create_drawing().await, alice.create_drawing().await);
    let link = new_link(&alice, &id, json!({"role": "editor"})).await;
    let (token, link_id) = (link["token"].as_str().unwrap(), link["link_id"].as_str().unwrap());
    join(&bob, token).await.expect(200);
    let path = format!("/v1/drawings/{id}/links/{link_id}");
    alice.delete(&format!("/v1/drawings/{other}/links/{link_id}")).await.expect_problem(404, "not_found");
    for spelled in [link_id.replace('-', ""), format!("urn:uuid:{link_id}"), "x".to_owned()] {
        let refused = alice.delete(&format!("/v1/drawings/{id}/links/{spelled}")).await;
        refused.expect_problem(400, "invalid_request");
    }
    alice.delete(&path).await.expect(204);
    alice.delete(&path).await.expect_problem(404, "not_found");
    join(&eve, token).await.expect_problem(404, "not_found");
    bob.commit(&id, &[crate::support::op(1)]).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_owners_handle_links_and_nothing_else_opens_one() {
    let app = App::sqlite().await;
    let (alice, bob, eve) = (app.client("alice").await, app.client("bob").await, app.client("eve").await);
    let id = alice.create_drawing().await;
    alice.grant(&id, "bob", "editor").await;
    let link = new_link(&alice, &id, json!({"role": "viewer"})).await;
    let path = format!("/v1/drawings/{id}/links");
    let one = format!("{path}/{}", link["link_id"].as_str().unwrap());
    for (who, status, code) in [(&bob, 403, "forbidden"), (&eve, 404, "not_found")] {
        who.post(&path, &json!({"role": "editor"})).await.expect_problem(status, code);
        who.get(&path).await.expect_problem(status, code);
        who.delete(&one).await.expect_problem(status, code);
    }
    let long = "x".repeat(5_000);
    let guesses = [link["link_id"].as_str().unwrap(), &id, "x", "%00", &long, &new_id()];
    for guess in guesses {
        join(&eve, guess).await.expect_problem(404, "not_found");
    }
}
