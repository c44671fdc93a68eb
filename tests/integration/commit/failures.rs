//! Group commit: a store that fails, breaks off, or refuses.

use revcast::{
    commit::CommitError,
    limits,
    model::Revision,
    store::{AppendRequest, OpOutcome, Refusal, StoreError},
};

use crate::{
    commit::setup::{EPOCH, Setup, answer, failed, next_range, revisions, unavailable},
    store::contract::{by_alice, new_drawing_id, op, ops},
};

#[tokio::test]
async fn a_failed_batch_is_taken_apart_and_only_the_guilty_request_fails() {
    let setup = Setup::new(1);
    let drawing = new_drawing_id();
    let mut published = setup.bus.subscribe_ops(drawing).await;
    let first = setup.occupy(by_alice(drawing, &[op()])).await;
    let guilty = op();
    setup.store.state().poison = Some(guilty.op_id);
    let batch = [vec![op()], vec![op(), guilty], ops(2)];
    let pending: Vec<_> = batch.iter().map(|ops| setup.queue(by_alice(drawing, ops)).unwrap()).collect();
    setup.store.open();
    answer(first).await.unwrap();
    let mut answers = Vec::new();
    for pending in pending {
        answers.push(answer(pending).await);
    }
    assert_eq!(revisions(answers[0].as_ref().unwrap()), [2]);
    let Err(CommitError::Store(error)) = &answers[1] else { panic!("{answers:?}") };
    assert!(matches!(**error, StoreError::Failed(_)));
    assert_eq!(revisions(answers[2].as_ref().unwrap()), [3, 4]);
    assert_eq!(setup.store.batch_sizes(), [1, 3, 1, 1, 1]);
    // Every committed op is published, whichever way it was written.
    let mut position = 0;
    while position < 4 {
        let range = next_range(&mut published).await;
        assert_eq!(range.first.0, position + 1);
        position = range.last.0;
    }
}

#[tokio::test]
async fn a_store_that_breaks_off_is_tried_again_with_the_same_batch() {
    let setup = Setup::new(1);
    setup.store.state().failures.extend((1..limits::COMMIT_ATTEMPTS).map(|_| unavailable()));
    setup.store.open();
    let drawing = new_drawing_id();
    let pending = setup.queue(by_alice(drawing, &ops(2))).unwrap();
    assert_eq!(revisions(&answer(pending).await.unwrap()), [1, 2]);
    let state = setup.store.state();
    assert_eq!(state.batches.len(), limits::COMMIT_ATTEMPTS as usize);
    let ids = |batch: &[AppendRequest]| batch[0].ops.iter().map(|op| op.op_id).collect::<Vec<_>>();
    for (batch, now_ms) in &state.batches {
        assert_eq!((ids(batch), *now_ms), (ids(&state.batches[0].0), state.batches[0].1));
    }
}

#[tokio::test]
async fn a_store_that_stays_away_is_reported_and_the_next_batch_is_tried_anew() {
    let setup = Setup::new(1);
    let drawing = new_drawing_id();
    setup.store.state().failures.extend((0..limits::COMMIT_ATTEMPTS).map(|_| unavailable()));
    let first = setup.occupy(by_alice(drawing, &[op()])).await;
    let second = setup.queue(by_alice(drawing, &[op()])).unwrap();
    setup.store.open();
    let Err(CommitError::Store(error)) = answer(first).await else { panic!("the store was away") };
    assert!(matches!(*error, StoreError::Unavailable(_)));
    assert_eq!(revisions(&answer(second).await.unwrap()), [1]);
}

#[tokio::test]
async fn every_request_of_a_batch_learns_that_the_store_is_away() {
    let setup = Setup::new(1);
    let first = setup.occupy(by_alice(new_drawing_id(), &[op()])).await;
    let others: Vec<_> = (0..3).map(|_| setup.queue(by_alice(new_drawing_id(), &[op()])).unwrap()).collect();
    setup.store.gate.add_permits(1);
    answer(first).await.unwrap();
    setup.until_batches(2).await;
    setup.store.state().failures.extend((0..limits::COMMIT_ATTEMPTS).map(|_| unavailable()));
    setup.store.open();
    for other in others {
        let Err(CommitError::Store(error)) = answer(other).await else { panic!("the store was away") };
        assert!(matches!(*error, StoreError::Unavailable(_)));
    }
    // An outage is nobody's fault: the batch is not taken apart.
    assert!(setup.store.batch_sizes()[1..].iter().all(|size| *size == 3));
}

#[tokio::test]
async fn a_lone_failure_is_reported_without_another_attempt() {
    let setup = Setup::new(1);
    setup.store.state().failures.push_back(failed());
    setup.store.open();
    let pending = setup.queue(by_alice(new_drawing_id(), &[op()])).unwrap();
    assert!(matches!(answer(pending).await, Err(CommitError::Store(_))));
    assert_eq!(setup.store.batch_sizes(), [1]);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_a_duplicate_on_the_second_attempt() {
    let setup = Setup::new(1);
    setup.store.state().breaks_after_writing = true;
    setup.store.open();
    let drawing = new_drawing_id();
    let committed = answer(setup.queue(by_alice(drawing, &ops(2))).unwrap()).await.unwrap();
    assert_eq!(committed.ops, [1, 2].map(|revision| OpOutcome::Duplicate(Revision(revision))));
    assert_eq!(setup.store.state().logs[&drawing].len(), 2);
}

#[tokio::test]
async fn a_refusal_reaches_its_caller_alone() {
    let setup = Setup::new(1);
    let drawing = new_drawing_id();
    let first = setup.occupy(by_alice(drawing, &[op()])).await;
    let refused = AppendRequest { if_revision: Some(Revision(9)), ..by_alice(drawing, &[op()]) };
    let refused = setup.queue(refused).unwrap();
    let last = setup.queue(by_alice(drawing, &[op()])).unwrap();
    setup.store.open();
    answer(first).await.unwrap();
    assert!(matches!(answer(refused).await, Err(CommitError::Refused(EPOCH, Refusal::NoDrawing))));
    assert_eq!(revisions(&answer(last).await.unwrap()), [2]);
}
