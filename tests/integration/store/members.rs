//! The store: members and share links.

use futures_util::future::join_all;
use revcast::{
    model::{DrawingId, Role},
    store::{JoinedLink, Link, Member, MemberOutcome, Store},
};
use uuid::Uuid;

use crate::store::contract::{NOW, contract, new_drawing, new_drawing_id, user};

contract! {
    roles_are_given_changed_and_taken(store),
    the_last_owner_stays_owner(store),
    two_owners_who_demote_each_other_at_once_leave_one(one, other),
    members_of_one_drawing_are_nothing_in_another(store),
    a_link_makes_members(store),
    a_link_raises_a_role_and_never_lowers_it(store),
    a_link_works_until_it_expires(store),
    links_are_listed_oldest_first_and_removed_once(store),
    a_token_opens_one_link_alone(store),
    many_who_join_at_once_are_all_members(one, other),
}

async fn set(store: &dyn Store, id: DrawingId, name: &str, role: Option<Role>) -> MemberOutcome {
    store.set_member(id, &user(name), role, NOW).await.unwrap()
}

/// It was done; so was the role before.
fn changed(before: Option<Role>) -> MemberOutcome {
    MemberOutcome::Changed { before }
}

/// The members of a drawing as `(user id, role)`.
async fn members(store: &dyn Store, id: DrawingId) -> Vec<(String, Role)> {
    let members = store.members(id).await.unwrap();
    members.into_iter().map(|Member { user_id, role }| (user_id.to_string(), role)).collect()
}

fn owned(expected: &[(&str, Role)]) -> Vec<(String, Role)> {
    expected.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
}

async fn roles_are_given_changed_and_taken(store: &dyn Store) {
    let id = new_drawing(store).await;
    assert_eq!(set(store, id, "carol", Some(Role::Viewer)).await, changed(None));
    assert_eq!(set(store, id, "bob", Some(Role::Viewer)).await, changed(None));
    assert_eq!(set(store, id, "bob", Some(Role::Editor)).await, changed(Some(Role::Viewer)));
    assert_eq!(set(store, id, "bob", Some(Role::Editor)).await, changed(Some(Role::Editor)));
    let expected = [("alice", Role::Owner), ("bob", Role::Editor), ("carol", Role::Viewer)];
    assert_eq!(members(store, id).await, owned(&expected));
    assert_eq!(set(store, id, "carol", None).await, changed(Some(Role::Viewer)));
    assert_eq!(set(store, id, "carol", None).await, MemberOutcome::NotFound);
    assert_eq!(store.role(id, &user("carol")).await.unwrap(), None);
    assert_eq!(members(store, id).await, owned(&expected[..2]));
}

async fn the_last_owner_stays_owner(store: &dyn Store) {
    let id = new_drawing(store).await;
    set(store, id, "bob", Some(Role::Editor)).await;
    for role in [None, Some(Role::Editor), Some(Role::Viewer)] {
        assert_eq!(set(store, id, "alice", role).await, MemberOutcome::LastOwner);
        assert_eq!(store.role(id, &user("alice")).await.unwrap(), Some(Role::Owner));
    }
    assert_eq!(set(store, id, "alice", Some(Role::Owner)).await, changed(Some(Role::Owner)));
    set(store, id, "bob", Some(Role::Owner)).await;
    assert_eq!(set(store, id, "alice", None).await, changed(Some(Role::Owner)));
    assert_eq!(set(store, id, "bob", None).await, MemberOutcome::LastOwner);
    assert_eq!(members(store, id).await, owned(&[("bob", Role::Owner)]));
}

async fn two_owners_who_demote_each_other_at_once_leave_one(one: &dyn Store, other: &dyn Store) {
    for round in 0..16 {
        let id = new_drawing(one).await;
        set(one, id, "bob", Some(Role::Owner)).await;
        let role = [None, Some(Role::Viewer)][round % 2];
        let (bob, alice) = tokio::join!(set(one, id, "bob", role), set(other, id, "alice", role));
        let mut outcomes = [bob, alice];
        outcomes.sort_by_key(|outcome| *outcome == MemberOutcome::LastOwner);
        assert_eq!(outcomes, [changed(Some(Role::Owner)), MemberOutcome::LastOwner]);
        let owners = members(one, id).await.into_iter().filter(|(_, role)| *role == Role::Owner).count();
        assert_eq!(owners, 1);
    }
}

async fn members_of_one_drawing_are_nothing_in_another(store: &dyn Store) {
    let (id, other) = (new_drawing(store).await, new_drawing(store).await);
    set(store, id, "bob", Some(Role::Editor)).await;
    assert_eq!(store.role(other, &user("bob")).await.unwrap(), None);
    assert_eq!(set(store, other, "bob", None).await, MemberOutcome::NotFound);
    assert_eq!(store.role(id, &user("bob")).await.unwrap(), Some(Role::Editor));
    let unknown = new_drawing_id();
    assert_eq!(set(store, unknown, "bob", Some(Role::Editor)).await, MemberOutcome::NotFound);
    assert!(store.members(unknown).await.unwrap().is_empty());
}

// --- Links ------------------------------------------------------------------------------------------

fn link(drawing_id: DrawingId, role: Role) -> Link {
    Link {
        link_id: Uuid::now_v7(),
        drawing_id,
        role,
        created_by: user("alice"),
        created_at: NOW,
        expires_at: None,
    }
}

async fn join(store: &dyn Store, token: &str, name: &str, now_ms: i64) -> Option<Role> {
    let joined = store.join_link(token, &user(name), now_ms).await.unwrap();
    joined.map(|joined| joined.role)
}

async fn a_link_makes_members(store: &dyn Store) {
    let id = new_drawing(store).await;
    let link = link(id, Role::Editor);
    store.create_link(&link, "hash").await.unwrap();
    let joined = store.join_link("hash", &user("bob"), NOW).await.unwrap();
    let first = JoinedLink { drawing_id: id, link_id: link.link_id, before: None, role: Role::Editor };
    assert_eq!(joined, Some(first));
    let again = store.join_link("hash", &user("bob"), NOW).await.unwrap();
    assert_eq!(again, Some(JoinedLink { before: Some(Role::Editor), ..first }));
    assert_eq!(store.role(id, &user("bob")).await.unwrap(), Some(Role::Editor));
    assert_eq!(join(store, "hash", "bob", NOW).await, Some(Role::Editor), "again");
    assert_eq!(join(store, "hash", "carol", NOW).await, Some(Role::Editor), "a link opens for many");
    assert_eq!(join(store, "other", "dave", NOW).await, None);
    assert_eq!(store.role(id, &user("dave")).await.unwrap(), None);
}

async fn a_link_raises_a_role_and_never_lowers_it(store: &dyn Store) {
    let id = new_drawing(store).await;
    store.create_link(&link(id, Role::Viewer), "viewer").await.unwrap();
    store.create_link(&link(id, Role::Editor), "editor").await.unwrap();
    let steps = [
        ("bob", "viewer", Role::Viewer),
        ("bob", "editor", Role::Editor),
        ("bob", "viewer", Role::Editor),
        ("alice", "viewer", Role::Owner),
        ("alice", "editor", Role::Owner),
    ];
    for (name, token, role) in steps {
        assert_eq!(join(store, token, name, NOW).await, Some(role), "{name} by {token}");
        assert_eq!(store.role(id, &user(name)).await.unwrap(), Some(role), "{name} by {token}");
    }
}

async fn a_link_works_until_it_expires(store: &dyn Store) {
    let id = new_drawing(store).await;
    let passing = Link { expires_at: Some(NOW + 10), ..link(id, Role::Editor) };
    store.create_link(&passing, "hash").await.unwrap();
    assert_eq!(join(store, "hash", "bob", NOW + 9).await, Some(Role::Editor));
    for late in [NOW + 10, NOW + 11, i64::MAX] {
        assert_eq!(join(store, "hash", "carol", late).await, None);
    }
    assert_eq!(store.role(id, &user("carol")).await.unwrap(), None);
    assert_eq!(store.role(id, &user("bob")).await.unwrap(), Some(Role::Editor), "who is in stays in");
    assert_eq!(store.links(id).await.unwrap(), [passing], "it is listed still");
}

async fn links_are_listed_oldest_first_and_removed_once(store: &dyn Store) {
    let (id, neighbour) = (new_drawing(store).await, new_drawing(store).await);
    let new = Link { created_at: NOW + 2, ..link(id, Role::Viewer) };
    let old = Link { created_at: NOW + 1, expires_at: Some(NOW + 9), ..link(id, Role::Editor) };
    let elsewhere = link(neighbour, Role::Viewer);
    for (link, hash) in [(&new, "a"), (&old, "b"), (&elsewhere, "c")] {
        store.create_link(link, hash).await.unwrap();
    }
    assert_eq!(store.links(id).await.unwrap(), [old.clone(), new.clone()]);
    assert!(!store.delete_link(neighbour, old.link_id).await.unwrap(), "of another drawing");
    assert!(store.delete_link(id, old.link_id).await.unwrap());
    assert!(!store.delete_link(id, old.link_id).await.unwrap());
    assert_eq!(store.links(id).await.unwrap(), [new]);
    assert_eq!(join(store, "b", "bob", NOW).await, None);
    assert!(store.links(new_drawing_id()).await.unwrap().is_empty());
}

async fn a_token_opens_one_link_alone(store: &dyn Store) {
    let (id, other) = (new_drawing(store).await, new_drawing(store).await);
    store.create_link(&link(id, Role::Viewer), "hash").await.unwrap();
    assert!(store.create_link(&link(other, Role::Editor), "hash").await.is_err());
    assert!(store.create_link(&link(new_drawing_id(), Role::Viewer), "unknown").await.is_err());
    assert_eq!(join(store, "hash", "bob", NOW).await, Some(Role::Viewer));
    assert!(store.links(other).await.unwrap().is_empty());
}

async fn many_who_join_at_once_are_all_members(one: &dyn Store, other: &dyn Store) {
    let id = new_drawing(one).await;
    one.create_link(&link(id, Role::Viewer), "viewer").await.unwrap();
    one.create_link(&link(id, Role::Editor), "editor").await.unwrap();
    // Each of eight comes twice, through both links and both nodes.
    let attempts = (0..16).map(|nth| {
        let (store, token) = if nth < 8 { (one, "viewer") } else { (other, "editor") };
        async move { join(store, token, &format!("user{}", nth % 8), NOW).await }
    });
    assert!(join_all(attempts).await.into_iter().all(|role| role.is_some()));
    let members = members(one, id).await;
    assert_eq!(members.len(), 9);
    assert!(members.iter().all(|(name, role)| *role == Role::Editor || name == "alice"), "{members:?}");
}
