//! The store: drawings from their creation to their last op.

use futures_util::future::join_all;
use revcast::{
    model::{Branch, DrawingId, Revision, Role},
    store::{CreateOutcome, Drawing, DrawingCursor, Link, ReadRange, Store},
};
use uuid::Uuid;

use crate::store::contract::{
    NOW, append, append_one, by_alice, contract, new_drawing, new_drawing_id, op, ops, user,
};

contract! {
    a_new_drawing_belongs_to_its_creator(store),
    creating_again_is_told_from_taking(store),
    of_concurrent_creators_one_creates(one, other),
    a_drawing_shows_itself_to_its_members_alone(store),
    renaming_changes_the_title_and_its_time(store),
    a_deleted_drawing_is_gone_with_all_that_belongs_to_it(store),
    the_id_of_a_deleted_drawing_is_never_given_again(store),
    purging_removes_ops_of_deleted_drawings_alone(store),
    drawings_are_listed_newest_first(store),
    pages_of_drawings_neither_repeat_nor_skip(store),
    titles_are_kept_as_they_came(store),
    odd_user_ids_are_kept_as_they_came(store),
}

async fn drawing(store: &dyn Store, id: DrawingId, name: &str) -> Option<Drawing> {
    store.drawing(id, &user(name)).await.unwrap()
}

async fn create(store: &dyn Store, id: DrawingId, owner: &str) -> CreateOutcome {
    store.create_drawing(id, "title", &user(owner), NOW).await.unwrap()
}

async fn a_new_drawing_belongs_to_its_creator(store: &dyn Store) {
    let id = new_drawing_id();
    assert_eq!(create(store, id, "alice").await, CreateOutcome::Created);
    let expected = Drawing {
        drawing_id: id,
        title: "title".to_owned(),
        created_by: user("alice"),
        created_at: NOW,
        updated_at: NOW,
        branch: Branch::cut(store.meta().await.unwrap().epoch),
        head: Revision(0),
        snapshot_revision: None,
        role: Role::Owner,
    };
    assert_eq!(drawing(store, id, "alice").await, Some(expected));
    assert_eq!(store.role(id, &user("alice")).await.unwrap(), Some(Role::Owner));
    append_one(store, by_alice(id, &ops(2))).await;
    assert_eq!(drawing(store, id, "alice").await.unwrap().head, Revision(2));
}

async fn creating_again_is_told_from_taking(store: &dyn Store) {
    let id = new_drawing_id();
    create(store, id, "alice").await;
    append_one(store, by_alice(id, &ops(2))).await;
    store.rename_drawing(id, "renamed", NOW + 1).await.unwrap();
    assert_eq!(create(store, id, "alice").await, CreateOutcome::Exists);
    assert_eq!(create(store, id, "bob").await, CreateOutcome::Taken);
    let present = drawing(store, id, "alice").await.unwrap();
    assert_eq!((&*present.title, present.head), ("renamed", Revision(2)), "nothing was changed");
    assert_eq!(drawing(store, id, "bob").await, None);
}

async fn of_concurrent_creators_one_creates(one: &dyn Store, other: &dyn Store) {
    for _ in 0..8 {
        let id = new_drawing_id();
        let attempts = (0..8).map(|nth| {
            let (store, owner) = if nth % 2 == 0 { (one, "alice") } else { (other, "bob") };
            create(store, id, owner)
        });
        let outcomes = join_all(attempts).await;
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        let counts = [CreateOutcome::Created, CreateOutcome::Exists, CreateOutcome::Taken].map(count);
        assert_eq!(counts, [1, 3, 4]);
        assert_eq!(one.members(id).await.unwrap().len(), 1);
    }
}

async fn a_drawing_shows_itself_to_its_members_alone(store: &dyn Store) {
    let id = new_drawing(store).await;
    assert_eq!(drawing(store, id, "bob").await, None);
    assert_eq!(store.role(id, &user("bob")).await.unwrap(), None);
    assert!(store.drawings(&user("bob"), None, 10).await.unwrap().is_empty());
    store.set_member(id, &user("bob"), Some(Role::Viewer), NOW).await.unwrap();
    assert_eq!(drawing(store, id, "bob").await.unwrap().role, Role::Viewer);
    assert_eq!(store.drawings(&user("bob"), None, 10).await.unwrap()[0].role, Role::Viewer);
    assert_eq!(store.drawings(&user("alice"), None, 10).await.unwrap()[0].role, Role::Owner);
    assert_eq!(drawing(store, new_drawing_id(), "alice").await, None);
}

async fn renaming_changes_the_title_and_its_time(store: &dyn Store) {
    let (id, neighbour) = (new_drawing(store).await, new_drawing(store).await);
    assert!(store.rename_drawing(id, "other", NOW + 5).await.unwrap());
    let renamed = drawing(store, id, "alice").await.unwrap();
    assert_eq!((&*renamed.title, renamed.created_at, renamed.updated_at), ("other", NOW, NOW + 5));
    assert_eq!(drawing(store, neighbour, "alice").await.unwrap().title, "a drawing");
    assert!(!store.rename_drawing(new_drawing_id(), "other", NOW).await.unwrap());
}

async fn a_deleted_drawing_is_gone_with_all_that_belongs_to_it(store: &dyn Store) {
    let (id, neighbour) = (new_drawing(store).await, new_drawing(store).await);
    for drawing in [id, neighbour] {
        store.set_member(drawing, &user("bob"), Some(Role::Editor), NOW).await.unwrap();
        let link = Link {
            link_id: Uuid::now_v7(),
            drawing_id: drawing,
            role: Role::Viewer,
            created_by: user("alice"),
            created_at: NOW,
            expires_at: None,
        };
        store.create_link(&link, &format!("token of {drawing}")).await.unwrap();
    }
    assert!(store.delete_drawing(id, NOW).await.unwrap());
    assert!(!store.delete_drawing(id, NOW).await.unwrap(), "once");
    assert!(!store.delete_drawing(new_drawing_id(), NOW).await.unwrap());
    for name in ["alice", "bob"] {
        assert_eq!(drawing(store, id, name).await, None);
        assert_eq!(store.role(id, &user(name)).await.unwrap(), None);
        let listed = store.drawings(&user(name), None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|drawing| drawing.drawing_id).collect::<Vec<_>>(), [neighbour]);
    }
    assert!(store.members(id).await.unwrap().is_empty());
    assert!(store.links(id).await.unwrap().is_empty());
    assert!(!store.rename_drawing(id, "other", NOW).await.unwrap());
    let join = async |id| store.join_link(&format!("token of {id}"), &user("carol"), NOW).await.unwrap();
    assert_eq!(join(id).await, None);
    let joined = join(neighbour).await.map(|joined| (joined.drawing_id, joined.role));
    assert_eq!(joined, Some((neighbour, Role::Viewer)));
}

async fn the_id_of_a_deleted_drawing_is_never_given_again(store: &dyn Store) {
    let id = new_drawing(store).await;
    append_one(store, by_alice(id, &[op()])).await;
    store.delete_drawing(id, NOW).await.unwrap();
    for _ in 0..2 {
        assert_eq!(create(store, id, "alice").await, CreateOutcome::Taken);
        assert_eq!(create(store, id, "bob").await, CreateOutcome::Taken);
        store.purge_deleted(1_000).await.unwrap();
    }
}

async fn purging_removes_ops_of_deleted_drawings_alone(store: &dyn Store) {
    let (id, empty, neighbour) =
        (new_drawing(store).await, new_drawing(store).await, new_drawing(store).await);
    append(store, &[by_alice(id, &ops(25)), by_alice(neighbour, &ops(7))]).await;
    assert_eq!(store.purge_deleted(10).await.unwrap(), 0);
    for drawing in [id, empty] {
        store.delete_drawing(drawing, NOW).await.unwrap();
    }
    for removed in [10, 10, 5, 0] {
        assert_eq!(store.purge_deleted(10).await.unwrap(), removed);
    }
    let range = ReadRange {
        drawing_id: neighbour,
        after: Revision(0),
        until: None,
        limit: 100,
        max_bytes: usize::MAX,
    };
    assert_eq!(store.read(&range).await.unwrap().unwrap().ops.len(), 7);
}

// --- The list of drawings ---------------------------------------------------------------------------

async fn drawings_are_listed_newest_first(store: &dyn Store) {
    let mut expected = Vec::new();
    // Two of the same moment stand by their ids, the higher first.
    for (n, created_at) in [(1, NOW), (3, NOW + 1), (2, NOW + 1), (0, NOW + 2)] {
        let id = DrawingId(Uuid::from_u128(n));
        store.create_drawing(id, "", &user("alice"), created_at).await.unwrap();
        expected.push((created_at, id));
    }
    // Later changes move nothing.
    store.rename_drawing(expected[0].1, "renamed", NOW + 9).await.unwrap();
    append_one(store, by_alice(expected[1].1, &[op()])).await;
    expected.sort_unstable();
    expected.reverse();
    let listed = store.drawings(&user("alice"), None, 10).await.unwrap();
    let places: Vec<_> = listed.iter().map(|drawing| (drawing.created_at, drawing.drawing_id)).collect();
    assert_eq!(places, expected);
}

async fn pages_of_drawings_neither_repeat_nor_skip(store: &dyn Store) {
    let mut expected = Vec::new();
    for n in 0..23 {
        let id = new_drawing_id();
        // Several of each moment, so that pages end between two of them.
        store.create_drawing(id, "", &user("alice"), NOW + n / 5).await.unwrap();
        expected.push(id);
    }
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let page = store.drawings(&user("alice"), cursor, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        cursor = Some(DrawingCursor { created_at: last.created_at, drawing_id: last.drawing_id });
        seen.extend(page.iter().map(|drawing| drawing.drawing_id));
        if seen.len() == 8 {
            // The drawing at the cursor may go, and newer ones may come, between two pages.
            store.delete_drawing(last.drawing_id, NOW).await.unwrap();
            store.create_drawing(new_drawing_id(), "", &user("alice"), NOW + 99).await.unwrap();
        }
    }
    assert_eq!(seen.len(), 23);
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

// --- Strings ------------------------------------------------------------------------------------------

/// Text that has broken databases: SQL, wildcards, the ends of Unicode, marks that combine.
const ODD: [&str; 8] = [
    "'; DROP TABLE ops; --",
    "%_\\$1 ? :x {}",
    "😀\u{10ffff}\u{ffff}\u{feff}",
    "e\u{301} is not \u{e9}",
    "\u{202e}right to left",
    "\u{200b}",
    "ﷺ\u{fffd}",
    " surrounded by spaces ",
];

async fn titles_are_kept_as_they_came(store: &dyn Store) {
    for title in ODD.into_iter().chain([""]) {
        let id = new_drawing_id();
        store.create_drawing(id, title, &user("alice"), NOW).await.unwrap();
        assert_eq!(drawing(store, id, "alice").await.unwrap().title, title);
        let other = format!("{title}{title}");
        store.rename_drawing(id, &other, NOW).await.unwrap();
        assert_eq!(drawing(store, id, "alice").await.unwrap().title, other);
    }
    // No store keeps a NUL alike; the edge refuses it, and a store keeps it or says so.
    let id = new_drawing_id();
    if store.create_drawing(id, "a\0b", &user("alice"), NOW).await.is_ok() {
        assert_eq!(drawing(store, id, "alice").await.unwrap().title, "a\0b");
    } else {
        assert_eq!(drawing(store, id, "alice").await, None);
        assert_eq!(create(store, id, "alice").await, CreateOutcome::Created, "the store goes on");
    }
}

async fn odd_user_ids_are_kept_as_they_came(store: &dyn Store) {
    assert!("a\0b".parse::<revcast::model::UserId>().is_err(), "a NUL never comes this far");
    let id = new_drawing(store).await;
    for name in ODD {
        let odd = user(name);
        store.set_member(id, &odd, Some(Role::Editor), NOW).await.unwrap();
        assert_eq!(store.role(id, &odd).await.unwrap(), Some(Role::Editor), "{name:?}");
        assert_eq!(store.role(id, &user(&format!("{name}x"))).await.unwrap(), None);
        let mut request = by_alice(id, &[op()]);
        request.actor = odd.clone();
        append_one(store, request).await;
        let of_odd = new_drawing_id();
        store.create_drawing(of_odd, "", &odd, NOW).await.unwrap();
        assert_eq!(store.drawing(of_odd, &odd).await.unwrap().unwrap().created_by, odd);
    }
    let log = crate::store::contract::log(store, id).await;
    assert_eq!(log.iter().map(|op| &*op.actor).collect::<Vec<_>>(), ODD);
    // The list of members is by user id, byte by byte, on every back end.
    let mut expected: Vec<_> = ODD.into_iter().chain(["alice"]).map(user).collect();
    expected.sort_unstable();
    let members: Vec<_> = store.members(id).await.unwrap().into_iter().map(|m| m.user_id).collect();
    assert_eq!(members, expected);
}
