//! Building snapshots when the process, the store or the blob store fails at any step: nothing is built twice,
//! nothing stays behind.

use std::time::{Duration, Instant};

use revcast::{
    limits,
    model::{DrawingId, Revision},
    store::StoreError,
    worker::{BuildError, Built},
};
use uuid::Uuid;

use crate::{
    snapshot::setup::{EVERY, Setup, on_both_stores},
    store::contract::{Database, NOW},
    support::scripted::{Fault, Script},
};

on_both_stores! {
    a_build_that_is_killed_at_any_step_is_made_up_for_by_the_next,
    a_build_that_fails_at_any_step_gives_its_claim_up,
    a_builder_that_wakes_after_its_claim_was_taken_over_changes_nothing,
    waste_removal_that_breaks_off_at_any_step_is_made_up_for_by_the_next,
}

/// Snapshots before the one that is to be built: the next one supersedes one of them.
const BEFORE: u64 = 4;
const HEAD: Revision = Revision((BEFORE + 1) * EVERY);
/// Steps of such a build, more or less.
const STEPS: usize = 8;

/// A drawing of which the next snapshot is due.
async fn due_drawing(setup: &Setup) -> DrawingId {
    let drawing = setup.drawing_with_snapshots(BEFORE).await;
    setup.grow(drawing, EVERY).await;
    drawing
}

/// There must be one snapshot at the head, right at every revision, and nothing else; and builds go on.
async fn assert_made_up_for(setup: &Setup, drawing: DrawingId) {
    let revisions = setup.revisions(drawing).await;
    assert_eq!(revisions.iter().filter(|revision| **revision == HEAD.0).count(), 1, "{revisions:?}");
    setup.assert_exact(drawing).await;
    setup.assert_nothing_dangles().await;
    setup.grow(drawing, EVERY).await;
    setup.builder().build(drawing).await.unwrap();
    assert_eq!(setup.revisions(drawing).await, [60, 50, 40]);
    setup.assert_nothing_dangles().await;
}

async fn a_build_that_is_killed_at_any_step_is_made_up_for_by_the_next(setup: Setup) {
    for fault in [Fault::HangsBefore, Fault::HangsAfter, Fault::Down] {
        for nth in 1.. {
            let drawing = due_drawing(&setup).await;
            let script = Script::at(nth, fault);
            // Its claim has run out by the time that anyone else looks.
            let builder = setup.scripted_builder(&script).with_lease(Duration::ZERO);
            tokio::select! {
                _ = builder.build(drawing) => (),
                () = script.is_reached() => (),
            }
            setup.builder().build(drawing).await.unwrap();
            assert_made_up_for(&setup, drawing).await;
            if script.calls() < nth {
                assert!(nth > STEPS, "it took {nth} calls");
                break;
            }
        }
    }
    assert_eq!(setup.counter("revcast_snapshots_damaged_total"), 0);
}

async fn a_build_that_fails_at_any_step_gives_its_claim_up(setup: Setup) {
    for fault in [Fault::FailsBefore, Fault::FailsAfter] {
        for nth in 1.. {
            let drawing = due_drawing(&setup).await;
            let script = Script::at(nth, fault);
            let outcome = setup.scripted_builder(&script).build(drawing).await;
            // At once, though claims hold for long.
            let again = setup.builder().build(drawing).await.unwrap();
            if let Ok(built) = outcome {
                assert_eq!(
                    (built, again),
                    (setup.built(drawing, HEAD.0).await, Built::Nothing),
                    "call {nth}"
                );
            }
            assert_made_up_for(&setup, drawing).await;
            if script.calls() < nth {
                assert!(nth > STEPS, "it took {nth} calls");
                break;
            }
        }
    }
    assert_eq!(setup.counter("revcast_snapshots_damaged_total"), 0);
}

async fn a_builder_that_wakes_after_its_claim_was_taken_over_changes_nothing(setup: Setup) {
    let mut overtaken = 0;
    for nth in 1.. {
        let drawing = due_drawing(&setup).await;
        let script = Script::at(nth, Fault::Pauses);
        let builder = setup.scripted_builder(&script).with_lease(Duration::ZERO);
        let mut sleeper = tokio::spawn(async move { builder.build(drawing).await.unwrap() });
        let woken = tokio::select! {
            built = &mut sleeper => built.unwrap(),
            () = script.is_reached() => {
                setup.builder().build(drawing).await.unwrap();
                // The blob that the sleeper may write is looked for, and not found yet.
                setup.builder().remove_waste().await.unwrap();
                script.go_on();
                sleeper.await.unwrap()
            }
        };
        overtaken += usize::from(woken == Built::Overtaken);
        assert_made_up_for(&setup, drawing).await;
        if script.calls() < nth {
            break;
        }
    }
    assert!(overtaken > 4, "it was overtaken {overtaken} times");
}

async fn waste_removal_that_breaks_off_at_any_step_is_made_up_for_by_the_next(setup: Setup) {
    for fault in [Fault::HangsBefore, Fault::HangsAfter, Fault::FailsBefore, Fault::FailsAfter] {
        for nth in 1.. {
            let (drawing, deleted) = (due_drawing(&setup).await, setup.drawing_with_snapshots(2).await);
            setup.builder().build(drawing).await.unwrap();
            setup.store.delete_drawing(deleted, NOW).await.unwrap();
            let script = Script::at(nth, fault);
            let builder = setup.scripted_builder(&script);
            tokio::select! {
                _ = builder.remove_waste() => (),
                () = script.is_reached() => (),
            }
            assert_made_up_for(&setup, drawing).await;
            if script.calls() < nth {
                assert!(nth > 6, "it took {nth} calls");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_blob_that_will_not_go_keeps_no_other() {
    let setup = Setup::new(Database::sqlite()).await;
    let drawing = setup.drawing_with_snapshots(3).await;
    setup.store.delete_drawing(drawing, NOW).await.unwrap();
    // After two calls of the store and one of the blob store.
    let script = Script::at(4, Fault::FailsBefore);
    setup.scripted_builder(&script).remove_waste().await.unwrap_err();
    assert_eq!(setup.store.snapshot_waste(Uuid::nil(), 10).await.unwrap().len(), 1);
    setup.assert_nothing_dangles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_never_answers_holds_a_builder_up_for_no_longer_than_its_bound() {
    let setup = Setup::new(Database::sqlite()).await;
    let drawing = setup.drawing(EVERY).await;
    let script = Script::at(1, Fault::HangsAfter);
    let started = Instant::now();
    let outcome = setup.scripted_builder(&script).build(drawing).await;
    assert!(matches!(outcome, Err(BuildError::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    assert!(started.elapsed() < 2 * limits::STORE_CALL_TIMEOUT, "{:?}", started.elapsed());
    assert_eq!(setup.builder().build(drawing).await.unwrap(), setup.built(drawing, EVERY).await);
}
