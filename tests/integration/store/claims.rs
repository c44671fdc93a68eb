//! The store: who builds the next snapshot.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use revcast::{
    model::{DrawingId, Revision},
    store::{Claim, Store},
};
use uuid::Uuid;

use crate::{
    store::contract::{NOW, append_one, by_alice, contract, new_drawing, new_drawing_id, op},
    store::snapshots::{
        EVERY, Place, UNTIL, add, added, claim, claimed, drawing_with_ops, listed, place, snapshot, waste,
    },
};

contract! {
    a_claim_is_held_until_it_expires(store),
    a_renewed_claim_is_held_for_longer(store),
    of_concurrent_claimers_one_wins(one, other),
    only_who_holds_the_claim_adds_the_snapshot(store),
    a_claim_that_is_given_up_is_waste(store),
    expired_claims_become_waste_a_few_at_a_time(store),
    an_id_is_in_one_place_whatever_happens_at_once(one, other),
}

async fn a_claim_is_held_until_it_expires(store: &dyn Store) {
    let (drawing, neighbour) = (drawing_with_ops(store, 3).await, drawing_with_ops(store, 3).await);
    let (first, second) = (claimed(store, drawing).await, Uuid::now_v7());
    assert_eq!(claim(store, drawing, second, UNTIL - 1).await, Claim::Busy);
    assert_eq!(place(store, drawing, second).await, Place::Nowhere);
    assert_eq!(claim(store, neighbour, second, NOW).await, Claim::Claimed { head: Revision(3) });
    let third = Uuid::now_v7();
    assert_eq!(claim(store, drawing, third, UNTIL).await, Claim::Claimed { head: Revision(3) });
    assert_eq!(place(store, drawing, first).await, Place::Waste);
    assert_eq!(place(store, drawing, third).await, Place::Claimed);
}

async fn a_renewed_claim_is_held_for_longer(store: &dyn Store) {
    let drawing = drawing_with_ops(store, 3).await;
    let id = claimed(store, drawing).await;
    assert!(store.renew_claim(drawing, id, UNTIL + 9).await.unwrap());
    assert_eq!(claim(store, drawing, Uuid::now_v7(), UNTIL + 8).await, Claim::Busy);
    assert_eq!(store.expire_claims(UNTIL + 8, 10).await.unwrap(), 0);
    let heir = Uuid::now_v7();
    assert_eq!(claim(store, drawing, heir, UNTIL + 9).await, Claim::Claimed { head: Revision(3) });
    for (drawing, id) in [(drawing, id), (new_drawing_id(), heir)] {
        assert!(!store.renew_claim(drawing, id, UNTIL + 99).await.unwrap());
    }
    assert_eq!(place(store, drawing, heir).await, Place::Claimed);
}

async fn of_concurrent_claimers_one_wins(one: &dyn Store, other: &dyn Store) {
    let drawing = drawing_with_ops(one, 3).await;
    let mut holder = None;
    // First there is no claim; then it has expired each time.
    for round in 0..8 {
        let (now, until) = (NOW + round, NOW + round + 1);
        let ids: Vec<_> = (0..16).map(|_| Uuid::now_v7()).collect();
        let attempts = (0..16).map(|nth| {
            let store = if nth % 2 == 0 { one } else { other };
            store.claim_snapshot(drawing, ids[nth], EVERY, now, until)
        });
        let outcomes: Vec<_> = join_all(attempts).await.into_iter().map(Result::unwrap).collect();
        let won = Claim::Claimed { head: Revision(3) };
        let losers = outcomes.iter().filter(|outcome| **outcome == Claim::Busy).count();
        assert_eq!(losers, 15, "{outcomes:?}");
        let winner = ids[outcomes.iter().position(|outcome| *outcome == won).unwrap()];
        if let Some(before) = holder.replace(winner) {
            assert_eq!(place(one, drawing, before).await, Place::Waste);
        }
        assert_eq!(waste(other).await.len() as u64, round.unsigned_abs());
        assert!(other.renew_claim(drawing, winner, until).await.unwrap());
    }
}

async fn only_who_holds_the_claim_adds_the_snapshot(store: &dyn Store) {
    let (drawing, neighbour) = (drawing_with_ops(store, 3).await, drawing_with_ops(store, 3).await);
    let unclaimed = Uuid::now_v7();
    let id = claimed(store, drawing).await;
    for (drawing, snapshot) in [(drawing, snapshot(3, unclaimed)), (neighbour, snapshot(3, id))] {
        assert!(!add(store, drawing, &snapshot).await);
    }
    assert_eq!(place(store, drawing, id).await, Place::Claimed);
    let heir = Uuid::now_v7();
    assert_eq!(claim(store, drawing, heir, UNTIL).await, Claim::Claimed { head: Revision(3) });
    assert!(!add(store, drawing, &snapshot(3, id)).await, "it was taken over");
    assert!(add(store, drawing, &snapshot(3, heir)).await);
    assert!(!add(store, drawing, &snapshot(3, heir)).await, "once");
    assert_eq!(listed(store, drawing).await, [snapshot(3, heir)]);
    let places = [place(store, drawing, id).await, place(store, drawing, heir).await];
    assert_eq!(places, [Place::Waste, Place::Snapshot]);
    assert_eq!(place(store, drawing, unclaimed).await, Place::Nowhere);
}

async fn a_claim_that_is_given_up_is_waste(store: &dyn Store) {
    let drawing = drawing_with_ops(store, 3).await;
    let id = claimed(store, drawing).await;
    store.drop_claim(drawing, Uuid::now_v7()).await.unwrap();
    store.drop_claim(new_drawing_id(), id).await.unwrap();
    assert_eq!(place(store, drawing, id).await, Place::Claimed);
    store.drop_claim(drawing, id).await.unwrap();
    assert_eq!(place(store, drawing, id).await, Place::Waste);
    let next = added(store, drawing, 3).await;
    for id in [id, next.snapshot_id] {
        store.drop_claim(drawing, id).await.unwrap();
    }
    assert_eq!(place(store, drawing, next.snapshot_id).await, Place::Snapshot);
    assert_eq!(waste(store).await, [(drawing, id)].into());
}

async fn expired_claims_become_waste_a_few_at_a_time(store: &dyn Store) {
    let mut held = Vec::new();
    for _ in 0..5 {
        let drawing = drawing_with_ops(store, 3).await;
        held.push((drawing, claimed(store, drawing).await));
    }
    let (drawing, id) = held.pop().unwrap();
    assert!(store.renew_claim(drawing, id, UNTIL + 1).await.unwrap());
    assert_eq!(store.expire_claims(UNTIL - 1, 10).await.unwrap(), 0);
    for count in [3, 1, 0] {
        assert_eq!(store.expire_claims(UNTIL, 3).await.unwrap(), count);
    }
    assert_eq!(waste(store).await, held.into_iter().collect());
    assert_eq!(place(store, drawing, id).await, Place::Claimed);
}

// --- At once ------------------------------------------------------------------------------------------

/// Builds, gives up or abandons a snapshot, again and again, as a worker whose clock is at `round`.
async fn work(store: &dyn Store, drawing: DrawingId, worker: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for round in 0..12 {
        let (id, now) = (Uuid::now_v7(), NOW + round);
        append_one(store, by_alice(drawing, &[op()])).await;
        let claim = store.claim_snapshot(drawing, id, 1, now, now + 2).await.unwrap();
        let Claim::Claimed { head } = claim else { continue };
        ids.push(id);
        match (worker + ids.len()) % 4 {
            0 => store.drop_claim(drawing, id).await.unwrap(),
            1 => (),
            _ => {
                store.renew_claim(drawing, id, now + 3).await.unwrap();
                if add(store, drawing, &snapshot(head.0, id)).await && worker.is_multiple_of(2) {
                    store.retire_snapshots(drawing, &[id]).await.unwrap();
                }
            }
        }
        store.expire_claims(now, 10).await.unwrap();
    }
    ids
}

async fn an_id_is_in_one_place_whatever_happens_at_once(one: &dyn Store, other: &dyn Store) {
    let (drawing, deleted) = (new_drawing(one).await, new_drawing(one).await);
    let workers = (0..12).map(|worker| {
        let store = if worker % 2 == 0 { one } else { other };
        async move {
            let kept = work(store, drawing, worker).await;
            let gone = work(store, deleted, worker).await;
            if worker == 0 {
                store.delete_drawing(deleted, NOW).await.unwrap();
            }
            (kept, gone)
        }
    });
    let (kept, gone): (Vec<_>, Vec<_>) = join_all(workers).await.into_iter().unzip();
    let (kept, gone) = (kept.concat(), gone.concat());
    assert!(!kept.is_empty() && !gone.is_empty());
    for id in &kept {
        assert_ne!(place(one, drawing, *id).await, Place::Nowhere);
    }
    for id in &gone {
        assert_eq!(place(one, deleted, *id).await, Place::Waste);
    }
    let ids: BTreeSet<Uuid> = waste(one).await.into_iter().map(|(_, id)| id).collect();
    assert!(ids.iter().all(|id| kept.contains(id) || gone.contains(id)), "nothing else is waste");
}
