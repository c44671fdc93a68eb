//! The store: reading the log, heads, and the epoch.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use revcast::{
    model::{Branch, DrawingId, Revision},
    store::{LogPage, ReadRange, Stand, Store, StoredOp},
};

use crate::store::contract::{
    NOW, append, append_one, by_alice, contract, log, new_drawing, new_drawing_id, op, ops, with_body,
};

contract! {
    a_range_is_what_was_asked_for_and_no_more(store),
    a_page_ends_at_its_bytes_but_holds_one_op_at_least(store),
    a_page_keeps_to_its_bytes_whatever_comes_first(store),
    many_short_pages_are_the_whole_log(store),
    an_unknown_or_deleted_drawing_has_no_log(store),
    an_op_is_found_by_its_id_in_its_drawing(store),
    the_revision_at_a_time_is_that_of_the_last_op_by_then(store),
    the_revision_at_a_time_is_found_in_any_log(store),
    heads_are_those_of_the_drawings_that_exist(store),
    pages_and_heads_fit_together_while_others_write(one, other),
    a_new_epoch_is_everywhere_at_once(one, other),
    meta_is_the_same_on_every_node(one, other),
}

fn all(drawing_id: DrawingId) -> ReadRange {
    ReadRange { drawing_id, after: Revision(0), until: None, limit: 1_000, max_bytes: 1 << 20 }
}

fn revisions(page: &LogPage) -> Vec<u64> {
    page.ops.iter().map(|op| op.revision.0).collect()
}

async fn read(store: &dyn Store, range: ReadRange) -> LogPage {
    store.read(&range).await.unwrap().expect("the drawing exists")
}

async fn a_range_is_what_was_asked_for_and_no_more(store: &dyn Store) {
    let (drawing, neighbour) = (new_drawing(store).await, new_drawing(store).await);
    let empty = read(store, all(drawing)).await;
    assert_eq!((empty.head, revisions(&empty)), (Revision(0), vec![]));
    append(store, &[by_alice(drawing, &ops(10)), by_alice(neighbour, &ops(3))]).await;
    let beyond = u64::MAX;
    let cases: [(u64, Option<u64>, u32, &[u64]); 11] = [
        (0, None, 1_000, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (7, None, 1_000, &[8, 9, 10]),
        (0, Some(2), 1_000, &[1, 2]),
        (4, Some(6), 1_000, &[5, 6]),
        (4, Some(beyond), 1_000, &[5, 6, 7, 8, 9, 10]),
        (4, None, 2, &[5, 6]),
        (4, Some(5), 2, &[5]),
        (4, Some(4), 1_000, &[]),
        (6, Some(2), 1_000, &[]),
        (10, None, 1_000, &[]),
        (beyond, None, 1_000, &[]),
    ];
    for (after, until, limit, expected) in cases {
        let range = ReadRange { after: Revision(after), until: until.map(Revision), limit, ..all(drawing) };
        let page = read(store, range).await;
        assert_eq!(revisions(&page), expected, "{range:?}");
        assert_eq!(page.head, Revision(10), "{range:?}");
    }
}

async fn a_page_ends_at_its_bytes_but_holds_one_op_at_least(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    // Bytes count, not characters; and what the server adds counts, too.
    let body = format!(r#"{{"data":"{}"}}"#, "ä".repeat(44) + "x");
    let sent: Vec<_> = (0..10).map(|_| with_body(&op(), &body)).collect();
    append_one(store, by_alice(drawing, &sent)).await;
    let sizes: Vec<usize> =
        log(store, drawing).await.iter().map(|op| op.commit().unwrap().json.len() + 1).collect();
    let of = |count: usize| sizes[..count].iter().sum::<usize>();
    let (two, three) = (of(2), of(3));
    let rows =
        [(0, 1), (1, 1), (two - 1, 1), (two, 2), (three - 1, 2), (three, 3), (of(10) - 1, 9), (of(10), 10)];
    for (max_bytes, count) in rows {
        let page = read(store, ReadRange { max_bytes, ..all(drawing) }).await;
        assert_eq!(page.ops.len(), count, "{max_bytes} bytes");
        assert_eq!(page.head, Revision(10));
    }
}

/// The first ops of a log tell how large the rest may be; it may be otherwise.
async fn a_page_keeps_to_its_bytes_whatever_comes_first(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let sized = |len: usize| with_body(&op(), &format!(r#"{{"data":"{}"}}"#, "x".repeat(len)));
    let lens = (0..100).map(|_| 10).chain((0..30).map(|n| n * 1_000)).chain((0..100).map(|n| n % 7 * 300));
    let sent: Vec<_> = lens.map(sized).collect();
    append_one(store, by_alice(drawing, &sent)).await;
    let size = |op: &StoredOp| op.commit().unwrap().json.len() + 1;
    let whole = log(store, drawing).await;
    for max_bytes in [1_000, 10_000, 30_000, 100_000] {
        let mut rest = &whole[..];
        while let Some(first) = rest.first() {
            let after = Revision(first.revision.0 - 1);
            let page = read(store, ReadRange { after, max_bytes, ..all(drawing) }).await;
            let mut bytes = size(first);
            let fitting = rest[1..].iter().take_while(|op| {
                bytes += size(op);
                bytes <= max_bytes
            });
            assert_eq!(page.ops.len(), 1 + fitting.count(), "{max_bytes} bytes after {after}");
            rest = &rest[page.ops.len()..];
        }
    }
}

async fn many_short_pages_are_the_whole_log(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    append_one(store, by_alice(drawing, &ops(100))).await;
    let (mut after, mut ops) = (Revision(0), Vec::new());
    loop {
        // Pages that end at once by their bytes and by their limit must leave the connection usable.
        let page = read(store, ReadRange { after, limit: 7, max_bytes: 300, ..all(drawing) }).await;
        let Some(last) = page.ops.last() else { break };
        after = last.revision;
        ops.extend(page.ops);
    }
    assert_eq!(ops, log(store, drawing).await);
}

async fn an_unknown_or_deleted_drawing_has_no_log(store: &dyn Store) {
    assert!(store.read(&all(new_drawing_id())).await.unwrap().is_none());
    let drawing = new_drawing(store).await;
    append_one(store, by_alice(drawing, &[op()])).await;
    assert!(store.delete_drawing(drawing, NOW).await.unwrap());
    assert!(store.read(&all(drawing)).await.unwrap().is_none());
}

async fn an_op_is_found_by_its_id_in_its_drawing(store: &dyn Store) {
    let (drawing, neighbour) = (new_drawing(store).await, new_drawing(store).await);
    let sent = ops(3);
    append(store, &[by_alice(drawing, &sent), by_alice(neighbour, &ops(2))]).await;
    let log = log(store, drawing).await;
    for (op, stored) in sent.iter().zip(log) {
        assert_eq!(store.find_op(drawing, op.op_id).await.unwrap(), Some(stored));
    }
    let id = sent[1].op_id;
    assert_eq!(store.find_op(drawing, op().op_id).await.unwrap(), None);
    assert_eq!(store.find_op(neighbour, id).await.unwrap(), None);
    assert_eq!(store.find_op(new_drawing_id(), id).await.unwrap(), None);
    assert!(store.delete_drawing(drawing, NOW).await.unwrap());
    assert_eq!(store.find_op(drawing, id).await.unwrap(), None);
}

async fn revision_at(store: &dyn Store, drawing: DrawingId, at_ms: i64) -> Option<u64> {
    store.revision_at(drawing, at_ms).await.unwrap().map(|revision| revision.0)
}

async fn the_revision_at_a_time_is_that_of_the_last_op_by_then(store: &dyn Store) {
    let (drawing, empty) = (new_drawing(store).await, new_drawing(store).await);
    // Revisions 1 and 2 at one time, 3 later, 4 to 6 later still.
    for (after, count) in [(0, 2), (10, 1), (30, 3)] {
        store.append(&[by_alice(drawing, &ops(count))], NOW + after).await.unwrap();
    }
    let cases = [(i64::MIN, 0), (NOW - 1, 0), (NOW, 2), (NOW + 9, 2), (NOW + 10, 3), (NOW + 29, 3)];
    for (at, expected) in cases.into_iter().chain([(NOW + 30, 6), (i64::MAX, 6)]) {
        assert_eq!(revision_at(store, drawing, at).await, Some(expected), "at {at}");
    }
    assert_eq!(revision_at(store, empty, i64::MAX).await, Some(0));
    assert_eq!(revision_at(store, new_drawing_id(), NOW).await, None);
    assert!(store.delete_drawing(drawing, NOW).await.unwrap());
    assert_eq!(revision_at(store, drawing, NOW + 10).await, None);
}

async fn the_revision_at_a_time_is_found_in_any_log(store: &dyn Store) {
    let drawing = new_drawing(store).await;
    let neighbour = new_drawing(store).await;
    for head in 1..=40 {
        store.append(&[by_alice(drawing, &[op()]), by_alice(neighbour, &ops(2))], NOW + head).await.unwrap();
        for revision in 0..=head {
            assert_eq!(revision_at(store, drawing, NOW + revision).await, Some(revision.unsigned_abs()));
        }
    }
    // A node whose clock was behind: the answer is an op of about that time.
    store.append(&[by_alice(drawing, &ops(10))], NOW + 35).await.unwrap();
    let about = revision_at(store, drawing, NOW + 36).await.unwrap();
    assert!((36..=50).contains(&about), "{about}");
    assert_eq!(revision_at(store, drawing, NOW + 40).await, Some(50));
}

async fn heads_are_those_of_the_drawings_that_exist(store: &dyn Store) {
    let (one, two, deleted) = (new_drawing(store).await, new_drawing(store).await, new_drawing(store).await);
    append(store, &[by_alice(one, &ops(3)), by_alice(deleted, &ops(4))]).await;
    assert!(store.delete_drawing(deleted, NOW).await.unwrap());
    let epoch = store.meta().await.unwrap().epoch;
    let heads = store.heads(&[two, new_drawing_id(), one, deleted, one]).await.unwrap();
    assert_eq!(heads.epoch, epoch);
    let stand = |head| Stand { branch: Branch::cut(epoch), head: Revision(head), floor: Revision(0) };
    assert_eq!(heads.stands, [(one, stand(3)), (two, stand(0))].into_iter().collect());
    for none in [vec![], vec![new_drawing_id()]] {
        let heads = store.heads(&none).await.unwrap();
        assert_eq!((heads.epoch, heads.stands.len()), (epoch, 0));
    }
    // As many as the heartbeat of a node with many rooms asks for.
    let mut many: Vec<_> = (0..5_000).map(|_| new_drawing_id()).collect();
    many[2_500] = one;
    let heads = store.heads(&many).await.unwrap();
    assert_eq!(heads.stands, [(one, stand(3))].into_iter().collect());
}

async fn pages_and_heads_fit_together_while_others_write(one: &dyn Store, other: &dyn Store) {
    let (drawing, twin) = (new_drawing(one).await, new_drawing(one).await);
    let is_done = AtomicBool::new(false);
    let writer = async {
        for _ in 0..50 {
            // Both or neither: they are one transaction.
            append(one, &[by_alice(drawing, &ops(3)), by_alice(twin, &ops(3))]).await;
        }
        is_done.store(true, Ordering::Relaxed);
    };
    let reader = async {
        let mut last_head = 0;
        while !is_done.load(Ordering::Relaxed) {
            let page = read(other, all(drawing)).await;
            assert_eq!(revisions(&page), (1..=page.head.0).collect::<Vec<_>>(), "every op up to the head");
            assert!(page.head.0 % 3 == 0, "a request is there whole or not at all");
            let heads = other.heads(&[drawing, twin]).await.unwrap();
            let head = heads.head(drawing).unwrap();
            assert_eq!(Some(head), heads.head(twin));
            assert!(page.head.0 >= last_head && head >= page.head, "the log only grows");
            last_head = head.0;
        }
    };
    let both = async { tokio::join!(writer, reader) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("reading does not stop writing");
    assert_eq!(log(other, drawing).await.len(), 150);
}

async fn a_new_epoch_is_everywhere_at_once(one: &dyn Store, other: &dyn Store) {
    let drawing = new_drawing(one).await;
    append_one(one, by_alice(drawing, &[op()])).await;
    let before = one.meta().await.unwrap().epoch;
    let epoch = one.new_epoch().await.unwrap();
    assert_ne!(epoch, before);
    // It has nothing in common with the one before.
    let branch = Branch::cut(epoch);
    for store in [one, other] {
        assert_eq!(store.meta().await.unwrap().epoch, epoch);
        assert_eq!(read(store, all(drawing)).await.branch, branch);
        assert_eq!(store.heads(&[]).await.unwrap().epoch, epoch);
        let user = crate::store::contract::user("alice");
        assert_eq!(store.drawing(drawing, &user).await.unwrap().unwrap().branch, branch);
        assert_eq!(store.drawings(&user, None, 10).await.unwrap()[0].branch, branch);
        let retried = op();
        // New ops, a retry of them, and a refusal.
        for _ in 0..2 {
            let appended = store.append(&[by_alice(drawing, std::slice::from_ref(&retried))], NOW).await;
            assert_eq!(appended.unwrap().epoch, epoch);
        }
        let refused = store.append(&[by_alice(new_drawing_id(), &[op()])], NOW).await;
        assert_eq!(refused.unwrap().epoch, epoch);
    }
    // Revisions go on where they were.
    assert_eq!(log(one, drawing).await.len(), 3);
    let again = join_all([one.new_epoch(), other.new_epoch()]).await;
    let now = one.meta().await.unwrap().epoch;
    assert!(again.into_iter().any(|epoch| epoch.unwrap() == now));
}

async fn meta_is_the_same_on_every_node(one: &dyn Store, other: &dyn Store) {
    let (here, there) = (one.meta().await.unwrap(), other.meta().await.unwrap());
    assert_eq!((here.epoch, here.server_key), (there.epoch, there.server_key));
    for id in [here.epoch.0, here.server_key] {
        assert_eq!(id.get_version(), Some(uuid::Version::Random), "{id}");
    }
    assert_ne!(here.epoch.0, here.server_key);
}
