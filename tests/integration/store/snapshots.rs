//! The store: which snapshots there are and are due, and which blobs are to go.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use revcast::{
    limits,
    model::{DrawingId, Revision},
    store::{Claim, Snapshot, Store},
};
use uuid::Uuid;

use crate::store::contract::{
    NOW, append_one, by_alice, contract, new_drawing, new_drawing_id, op, ops, user,
};

contract! {
    a_snapshot_is_due_once_the_head_is_far_enough_past_the_newest(store),
    a_large_snapshot_is_due_once_half_its_size_has_come_or_a_stretch(store),
    a_snapshot_that_lies_on_no_log_of_now_is_not_added(one, other),
    pages_of_due_drawings_neither_repeat_nor_skip(store),
    snapshots_are_listed_newest_first_from_a_revision_down(store),
    a_drawing_tells_its_newest_snapshot(store),
    a_snapshot_is_retired_once(one, other),
    waste_is_listed_until_it_is_forgotten(store),
    what_a_deleted_drawing_had_is_waste(store),
}

/// The number of revisions that make a snapshot due.
pub const EVERY: u64 = 3;
/// The time at which claims of these tests expire.
pub const UNTIL: i64 = NOW + 60_000;

pub async fn drawing_with_ops(store: &dyn Store, count: usize) -> DrawingId {
    let drawing = new_drawing(store).await;
    if count > 0 {
        append_one(store, by_alice(drawing, &ops(count))).await;
    }
    drawing
}

pub async fn claim(store: &dyn Store, drawing: DrawingId, id: Uuid, now_ms: i64) -> Claim {
    store.claim_snapshot(drawing, id, EVERY, now_ms, UNTIL).await.unwrap()
}

/// Claims with a new id, which must do.
pub async fn claimed(store: &dyn Store, drawing: DrawingId) -> Uuid {
    let id = Uuid::now_v7();
    let claim = claim(store, drawing, id, NOW).await;
    assert!(matches!(claim, Claim::Claimed { .. }), "{claim:?}");
    id
}

pub fn snapshot(revision: u64, snapshot_id: Uuid) -> Snapshot {
    let (revision, checksum) = (Revision(revision), format!("checksum of {revision}"));
    Snapshot { revision, snapshot_id, checksum, bytes: 1, log_bytes: 0, created_at: NOW }
}

/// Makes a claimed id a snapshot, built in the epoch that is now.
pub async fn add(store: &dyn Store, drawing: DrawingId, snapshot: &Snapshot) -> bool {
    let epoch = store.meta().await.unwrap().epoch;
    store.add_snapshot(drawing, epoch, snapshot).await.unwrap()
}

/// Claims and adds a snapshot at this revision.
pub async fn added(store: &dyn Store, drawing: DrawingId, revision: u64) -> Snapshot {
    let snapshot = snapshot(revision, claimed(store, drawing).await);
    assert!(add(store, drawing, &snapshot).await);
    snapshot
}

pub async fn listed(store: &dyn Store, drawing: DrawingId) -> Vec<Snapshot> {
    store.snapshots(drawing, Revision(u64::MAX), 1_000).await.unwrap()
}

pub async fn waste(store: &dyn Store) -> BTreeSet<(DrawingId, Uuid)> {
    store.snapshot_waste(Uuid::nil(), 10_000).await.unwrap().into_iter().collect()
}

#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    Claimed,
    Snapshot,
    Waste,
}

/// The place of an id of a drawing, which must be one.
pub async fn place(store: &dyn Store, drawing: DrawingId, id: Uuid) -> Place {
    let is_claimed = store.renew_claim(drawing, id, UNTIL).await.unwrap();
    let is_snapshot = listed(store, drawing).await.iter().any(|snapshot| snapshot.snapshot_id == id);
    match (is_claimed, is_snapshot, waste(store).await.contains(&(drawing, id))) {
        (false, false, false) => Place::Nowhere,
        (true, false, false) => Place::Claimed,
        (false, true, false) => Place::Snapshot,
        (false, false, true) => Place::Waste,
        places => panic!("an id is in one place, not in {places:?}"),
    }
}

// --- What is due, what there is -----------------------------------------------------------------------

async fn due(store: &dyn Store, every: u64) -> Vec<DrawingId> {
    store.due_snapshots(None, every, 1_000).await.unwrap().due
}

async fn a_snapshot_is_due_once_the_head_is_far_enough_past_the_newest(store: &dyn Store) {
    let drawing = drawing_with_ops(store, 2).await;
    let (empty, gone) = (new_drawing(store).await, drawing_with_ops(store, 9).await);
    store.delete_drawing(gone, NOW).await.unwrap();
    assert_eq!(due(store, EVERY).await, []);
    for drawing in [drawing, empty] {
        assert_eq!(claim(store, drawing, Uuid::now_v7(), NOW).await, Claim::NotDue);
    }
    for missing in [gone, new_drawing_id()] {
        assert_eq!(claim(store, missing, Uuid::now_v7(), NOW).await, Claim::NoDrawing);
    }
    append_one(store, by_alice(drawing, &[op()])).await;
    assert_eq!(due(store, EVERY).await, [drawing]);
    let id = Uuid::now_v7();
    assert_eq!(claim(store, drawing, id, NOW).await, Claim::Claimed { head: Revision(3) });
    // It is due for as long as it is only claimed.
    assert_eq!(due(store, EVERY).await, [drawing]);
    assert!(add(store, drawing, &snapshot(3, id)).await);
    for head in 3..6 {
        assert_eq!((head, due(store, EVERY).await), (head, vec![]));
        assert_eq!(claim(store, drawing, Uuid::now_v7(), NOW).await, Claim::NotDue);
        append_one(store, by_alice(drawing, &[op()])).await;
    }
    assert_eq!(due(store, EVERY).await, [drawing]);
    assert_eq!(due(store, EVERY + 1).await, []);
    assert_eq!(claim(store, drawing, Uuid::now_v7(), NOW).await, Claim::Claimed { head: Revision(6) });
}

async fn a_large_snapshot_is_due_once_half_its_size_has_come_or_a_stretch(store: &dyn Store) {
    let drawing = drawing_with_ops(store, 3).await;
    let each = op().body.len() as u64;
    // Half of it is four ops and a byte.
    let sized =
        |revision, id, bytes| Snapshot { bytes, log_bytes: revision * each, ..snapshot(revision, id) };
    let id = claimed(store, drawing).await;
    assert!(add(store, drawing, &sized(3, id, 8 * each + 1)).await);
    for head in 4..=7 {
        append_one(store, by_alice(drawing, &[op()])).await;
        assert_eq!((head, due(store, EVERY).await), (head, vec![]));
        assert_eq!(claim(store, drawing, Uuid::now_v7(), NOW).await, Claim::NotDue);
    }
    append_one(store, by_alice(drawing, &[op()])).await;
    assert_eq!(due(store, EVERY).await, [drawing]);
    let id = claimed(store, drawing).await;
    assert!(add(store, drawing, &sized(8, id, 1 << 40)).await);
    append_one(store, by_alice(drawing, &ops(usize::try_from(limits::SNAPSHOT_STRETCH).unwrap() - 1))).await;
    assert_eq!(due(store, EVERY).await, []);
    append_one(store, by_alice(drawing, &[op()])).await;
    assert_eq!(due(store, EVERY).await, [drawing]);
    claimed(store, drawing).await;
}

async fn a_snapshot_that_lies_on_no_log_of_now_is_not_added(one: &dyn Store, other: &dyn Store) {
    let drawing = drawing_with_ops(one, 3).await;
    let id = claimed(one, drawing).await;
    assert!(!add(one, drawing, &snapshot(4, id)).await, "it is ahead of the head");
    assert_eq!(place(one, drawing, id).await, Place::Claimed);
    let before = one.meta().await.unwrap().epoch;
    let epoch = other.new_epoch().await.unwrap();
    for (epoch, is_added) in [(before, false), (epoch, true)] {
        assert_eq!(one.add_snapshot(drawing, epoch, &snapshot(3, id)).await.unwrap(), is_added);
    }
    assert_eq!(listed(one, drawing).await, [snapshot(3, id)]);
}

async fn pages_of_due_drawings_neither_repeat_nor_skip(store: &dyn Store) {
    let mut expected = Vec::new();
    for (nth, id) in [0, 1, 5, 6, 7, 20, u128::MAX].into_iter().enumerate() {
        let id = DrawingId(Uuid::from_u128(id));
        store.create_drawing(id, "", &user("alice"), NOW).await.unwrap();
        append_one(store, by_alice(id, &ops(2 + nth % 2))).await;
        if nth % 2 == 1 {
            expected.push(id);
        }
    }
    for limit in 1..10 {
        let (mut after, mut seen, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = store.due_snapshots(after, EVERY, limit).await.unwrap();
            (seen, pages) = ([seen, page.due].concat(), pages + 1);
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        assert_eq!(seen, expected, "{limit} a page");
        assert_eq!(pages, 7 / limit + 1);
    }
}

async fn snapshots_are_listed_newest_first_from_a_revision_down(store: &dyn Store) {
    let (drawing, neighbour) = (new_drawing(store).await, drawing_with_ops(store, 3).await);
    added(store, neighbour, 3).await;
    let mut expected = Vec::new();
    for revision in [3, 6, 9] {
        append_one(store, by_alice(drawing, &ops(3))).await;
        expected.insert(0, added(store, drawing, revision).await);
    }
    let cases = [(u64::MAX, 9, 0..3), (9, 9, 0..3), (8, 9, 1..3), (8, 1, 1..2), (3, 9, 2..3), (2, 9, 0..0)];
    for (at, limit, range) in cases {
        assert_eq!(store.snapshots(drawing, Revision(at), limit).await.unwrap(), expected[range], "at {at}");
    }
    assert_eq!(listed(store, new_drawing_id()).await, []);
}

async fn a_drawing_tells_its_newest_snapshot(store: &dyn Store) {
    let (drawing, neighbour) = (drawing_with_ops(store, 3).await, drawing_with_ops(store, 3).await);
    let told = async |id| {
        let alone = store.drawing(id, &user("alice")).await.unwrap().unwrap();
        let listed = store.drawings(&user("alice"), None, 10).await.unwrap();
        assert!(listed.contains(&alone));
        alone.snapshot_revision
    };
    let first = added(store, drawing, 2).await;
    append_one(store, by_alice(drawing, &ops(3))).await;
    let second = added(store, drawing, 6).await;
    assert_eq!((told(drawing).await, told(neighbour).await), (Some(Revision(6)), None));
    store.retire_snapshots(drawing, &[second.snapshot_id]).await.unwrap();
    assert_eq!(told(drawing).await, Some(first.revision));
    store.retire_snapshots(drawing, &[first.snapshot_id]).await.unwrap();
    assert_eq!(told(drawing).await, None);
}

// --- Waste --------------------------------------------------------------------------------------------

async fn a_snapshot_is_retired_once(one: &dyn Store, other: &dyn Store) {
    let (drawing, neighbour) = (drawing_with_ops(one, 3).await, drawing_with_ops(one, 3).await);
    let first = added(one, drawing, 3).await.snapshot_id;
    append_one(one, by_alice(drawing, &ops(3))).await;
    let second = added(one, drawing, 6).await.snapshot_id;
    let elsewhere = added(one, neighbour, 3).await.snapshot_id;
    append_one(one, by_alice(drawing, &ops(3))).await;
    let held = claimed(one, drawing).await;
    let orders = [[first, second, elsewhere, held], [held, elsewhere, second, first]];
    let attempts = (0..8).map(|nth| {
        let store = if nth % 2 == 0 { one } else { other };
        store.retire_snapshots(drawing, &orders[nth % 2])
    });
    let counts: u64 = join_all(attempts).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(counts, 2, "each is retired by one");
    assert_eq!(waste(one).await, [(drawing, first), (drawing, second)].into());
    assert_eq!(place(one, drawing, held).await, Place::Claimed);
    assert_eq!(place(one, neighbour, elsewhere).await, Place::Snapshot);
    assert_eq!(one.retire_snapshots(new_drawing_id(), &[elsewhere]).await.unwrap(), 0);
}

async fn waste_is_listed_until_it_is_forgotten(store: &dyn Store) {
    let mut expected = BTreeSet::new();
    for _ in 0..5 {
        let drawing = drawing_with_ops(store, 3).await;
        let id = claimed(store, drawing).await;
        store.drop_claim(drawing, id).await.unwrap();
        expected.insert((drawing, id));
    }
    assert_eq!(waste(store).await, expected);
    let some = store.snapshot_waste(Uuid::nil(), 3).await.unwrap();
    assert_eq!(some.len(), 3);
    let ids: Vec<_> = some.iter().map(|(_, id)| *id).collect();
    for ids in [&ids[..], &ids, &[], &[Uuid::now_v7()]] {
        store.forget_waste(ids).await.unwrap();
    }
    expected.retain(|waste| !some.contains(waste));
    assert_eq!(waste(store).await, expected);
}

async fn what_a_deleted_drawing_had_is_waste(store: &dyn Store) {
    let (drawing, neighbour) = (drawing_with_ops(store, 3).await, drawing_with_ops(store, 3).await);
    let mut had = BTreeSet::from([(drawing, added(store, drawing, 3).await.snapshot_id)]);
    append_one(store, by_alice(drawing, &ops(3))).await;
    had.insert((drawing, added(store, drawing, 6).await.snapshot_id));
    append_one(store, by_alice(drawing, &ops(3))).await;
    let held = claimed(store, drawing).await;
    had.insert((drawing, held));
    let kept = added(store, neighbour, 3).await.snapshot_id;
    assert!(store.delete_drawing(drawing, NOW).await.unwrap());
    assert_eq!(waste(store).await, had);
    assert_eq!(listed(store, drawing).await, []);
    // The worker that was building it finds out, and leaves nothing behind.
    assert!(!store.renew_claim(drawing, held, UNTIL).await.unwrap());
    assert!(!add(store, drawing, &snapshot(9, held)).await);
    store.drop_claim(drawing, held).await.unwrap();
    assert_eq!(claim(store, drawing, Uuid::now_v7(), NOW).await, Claim::NoDrawing);
    assert_eq!(waste(store).await, had);
    assert_eq!(place(store, neighbour, kept).await, Place::Snapshot);
}
