//! The store: its rows as they are, for whoever verifies them.

use revcast::{
    model::{DrawingId, Revision, Role},
    store::{AppendRequest, InspectedOps, Store},
};
use uuid::Uuid;

use crate::{
    store::contract::{
        NOW, append_one, by_alice, contract, fog, joining, log, new_drawing, new_drawing_id, op, ops, user,
    },
    store::import::imported,
};

contract! {
    drawings_are_listed_by_id_page_by_page(store),
    a_drawing_is_shown_as_its_rows_are(store),
    ops_are_shown_as_their_rows_are(store),
}

async fn list(store: &dyn Store, limit: u32) -> Vec<DrawingId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_drawings(after, limit).await.unwrap();
        assert!(page.len() <= limit as usize);
        let Some(last) = page.last() else { return all };
        after = Some(*last);
        all.extend(page);
    }
}

async fn drawings_are_listed_by_id_page_by_page(store: &dyn Store) {
    assert!(list(store, 10).await.is_empty());
    let mut expected = Vec::new();
    // In another order than that of their ids; and the last one that there can be.
    for id in (1..=7u128).rev().map(Uuid::from_u128).chain([Uuid::max()]) {
        store.create_drawing(DrawingId(id), "", &user("alice"), NOW).await.unwrap();
        expected.push(DrawingId(id));
    }
    expected.sort_unstable();
    let (deleted, importing) = (new_drawing(store).await, new_drawing_id());
    store.delete_drawing(deleted, NOW).await.unwrap();
    store.begin_import(importing, "", &user("alice"), NOW).await.unwrap();
    store.import_ops(importing, &imported(1, &ops(3))).await.unwrap();
    for limit in [1, 3, 8, 100] {
        assert_eq!(list(store, limit).await, expected, "{limit} a page");
    }
    for id in [deleted, importing, new_drawing_id()] {
        assert_eq!(store.inspect_drawing(id).await.unwrap(), None);
        assert_eq!(store.inspect_ops(id, Revision(0), Revision(9), 9).await.unwrap(), None);
    }
}

async fn a_drawing_is_shown_as_its_rows_are(store: &dyn Store) {
    let id = new_drawing(store).await;
    let empty = store.inspect_drawing(id).await.unwrap().unwrap();
    let head = empty.head.unwrap();
    assert_eq!((empty.ends, head.revision, head.bytes, head.has_fog), (None, 0, 0, false));
    let sent = [ops(2), vec![fog("f")]].concat();
    append_one(store, AppendRequest { role: Role::Owner, ..by_alice(id, &sent) }).await;
    let shown = store.inspect_drawing(id).await.unwrap().unwrap();
    let head = shown.head.unwrap();
    let bytes: usize = sent.iter().map(|op| op.body.len()).sum();
    assert_eq!(shown.ends, Some((1, 3)));
    assert_eq!((head.revision, head.floor, head.ts, head.has_fog), (3, 0, NOW, true));
    assert_eq!((head.bytes.unsigned_abs(), head.epoch), (bytes as u64, store.meta().await.unwrap().epoch));
}

async fn ops_are_shown_as_their_rows_are(store: &dyn Store) {
    let id = new_drawing(store).await;
    let first = op();
    let sent = [first.clone(), joining(&first), op(), op()];
    append_one(store, by_alice(id, &sent)).await;
    let show = async |after, until, limit| -> InspectedOps {
        store.inspect_ops(id, Revision(after), Revision(until), limit).await.unwrap().unwrap()
    };
    let whole = show(0, u64::MAX, 100).await;
    assert_eq!((whole.head, whole.ops.len()), (4, 4));
    for ((row, op), logged) in whole.ops.iter().zip(&sent).zip(log(store, id).await) {
        assert_eq!((row.op_id, Some(row.unit)), (op.op_id.0, op.unit.map(|unit| unit.0)));
        assert_eq!((row.revision, row.ts), (logged.revision, logged.ts));
        assert_eq!((&row.actor[..], &row.body[..]), (logged.actor.as_bytes(), op.body.as_bytes()));
    }
    assert_eq!(show(1, 3, 100).await.ops, whole.ops[1..3]);
    assert_eq!(show(1, 4, 1).await.ops, whole.ops[1..2]);
    assert!(show(4, 9, 9).await.ops.is_empty());
}
