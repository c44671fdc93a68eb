//! Group commit: batches, bounds, publishing, and the end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use revcast::{
    bus::Delivery,
    commit::CommitError,
    limits,
    model::{DrawingId, OpId, Revision},
    store::{AppendRequest, OpOutcome},
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    commit::setup::{EPOCH, Setup, answer, next_range, queue, revisions},
    store::contract::{by_alice, new_drawing_id, op, ops, with_body},
};

// --- Folding ----------------------------------------------------------------------------------------

#[tokio::test]
async fn a_drawing_in_which_very_much_is_open_is_told_of_at_each_step() {
    let mut setup = Setup::new(1);
    setup.store.open();
    setup.store.state().before = limits::FOLD_UNATTENDED_OPEN - 2;
    let drawing = new_drawing_id();
    let mut grow = async |count: usize| {
        answer(queue(&setup.committer, by_alice(drawing, &ops(count))).unwrap()).await.unwrap();
        setup.is_unattended.try_recv().ok()
    };
    assert_eq!(grow(1).await, None);
    assert_eq!(grow(2).await, Some(drawing));
    assert_eq!(grow(1).await, None);
    setup.store.state().before += limits::FOLD_UNATTENDED_STEP - 4;
    assert_eq!(grow(1).await, None);
    assert_eq!(grow(1).await, Some(drawing));
    setup.store.state().before += limits::FOLD_UNATTENDED_STEP - 2;
    // A fold has closed what was open.
    setup.store.state().floor = Revision(3 * limits::FOLD_UNATTENDED_STEP);
    assert_eq!(grow(2).await, None);
}

// --- Batches ----------------------------------------------------------------------------------------

#[tokio::test]
async fn what_waited_together_is_written_together() {
    let setup = Setup::new(1);
    let drawing = new_drawing_id();
    let first = setup.occupy(by_alice(drawing, &[op()])).await;
    let others: Vec<_> = (0..5).map(|_| setup.queue(by_alice(new_drawing_id(), &ops(2))).unwrap()).collect();
    let last = setup.queue(by_alice(drawing, &[op()])).unwrap();
    setup.store.open();
    assert_eq!(revisions(&answer(first).await.unwrap()), [1]);
    for other in others {
        let committed = answer(other).await.unwrap();
        assert_eq!(
            (revisions(&committed), committed.head, committed.epoch),
            (vec![1, 2], Revision(2), EPOCH)
        );
    }
    assert_eq!(revisions(&answer(last).await.unwrap()), [2]);
    assert_eq!(setup.store.batch_sizes(), [1, 6]);
}

#[tokio::test]
async fn a_lone_request_waits_for_no_others() {
    let setup = Setup::new(4);
    setup.store.open();
    for revision in 1..=3 {
        let pending = setup.queue(by_alice(DrawingId(Uuid::nil()), &[op()])).unwrap();
        assert_eq!(revisions(&answer(pending).await.unwrap()), [revision]);
    }
    assert_eq!(setup.store.batch_sizes(), [1, 1, 1]);
}

#[tokio::test]
async fn a_batch_is_bounded_in_requests_and_in_ops() {
    let setup = Setup::new(1);
    let mut pending = vec![setup.occupy(by_alice(new_drawing_id(), &[op()])).await];
    for _ in 0..limits::MAX_BATCH_REQUESTS + 3 {
        pending.push(setup.queue(by_alice(new_drawing_id(), &[op()])).unwrap());
    }
    for _ in 0..6 {
        pending.push(setup.queue(by_alice(new_drawing_id(), &ops(limits::MAX_OPS_PER_REQUEST))).unwrap());
    }
    setup.store.open();
    for pending in pending {
        answer(pending).await.unwrap();
    }
    // The second batch is full of requests; the third of ops, three and four times five hundred.
    assert_eq!(setup.store.batch_sizes(), [1, limits::MAX_BATCH_REQUESTS, 7, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ops_of_one_drawing_keep_the_order_in_which_they_came() {
    let setup = Setup::new(4);
    let drawings: Vec<_> = (0..8).map(|_| new_drawing_id()).collect();
    let mut sent: HashMap<DrawingId, Vec<OpId>> = HashMap::new();
    let mut pending = Vec::new();
    for nth in 0..1_000 {
        if nth == 500 {
            // The second half comes while writers are at work.
            setup.store.open();
        }
        let drawing = drawings[nth % drawings.len()];
        let ops = ops(1 + nth % 3);
        sent.entry(drawing).or_default().extend(ops.iter().map(|op| op.op_id));
        pending.push(setup.queue(by_alice(drawing, &ops)).unwrap());
    }
    for pending in pending {
        answer(pending).await.unwrap();
    }
    assert!(setup.store.batch_sizes().len() < 1_000, "some waited together");
    assert_eq!(setup.store.state().logs, sent);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_stop_the_batch() {
    let setup = Setup::new(1);
    let drawing = new_drawing_id();
    let mut published = setup.bus.subscribe_ops(drawing).await;
    // One leaves while its batch is being written, one while it waits.
    drop(setup.occupy(by_alice(drawing, &[op()])).await);
    drop(setup.queue(by_alice(drawing, &[op()])).unwrap());
    let staying = setup.queue(by_alice(drawing, &[op()])).unwrap();
    setup.store.open();
    assert_eq!(revisions(&answer(staying).await.unwrap()), [3]);
    assert_eq!(next_range(&mut published).await.last, Revision(1));
    assert_eq!(next_range(&mut published).await.last, Revision(3));
}

// --- Bounds -----------------------------------------------------------------------------------------

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_takes_again_when_it_has_emptied() {
    let setup = Setup::new(1);
    let drawing = new_drawing_id();
    let mut pending = vec![setup.occupy(by_alice(drawing, &[op()])).await];
    for _ in 0..limits::COMMIT_QUEUE_REQUESTS {
        pending.push(setup.queue(by_alice(drawing, &[op()])).unwrap());
    }
    for _ in 0..3 {
        let refused = setup.queue(by_alice(drawing, &[op()]));
        assert!(matches!(refused, Err(CommitError::Overloaded)));
    }
    setup.store.open();
    let accepted = pending.len();
    for pending in pending {
        answer(pending).await.unwrap();
    }
    let after = answer(setup.queue(by_alice(drawing, &[op()])).unwrap()).await.unwrap();
    assert_eq!(revisions(&after), [accepted as u64 + 1], "what was refused was not committed");
}

#[tokio::test]
async fn the_bytes_that_wait_are_bounded_and_given_back() {
    let setup = Setup::new(1);
    let half = with_body(&op(), &"x".repeat(limits::COMMIT_QUEUE_BYTES / 2));
    let large = || by_alice(new_drawing_id(), std::slice::from_ref(&half));
    for _ in 0..2 {
        let first = setup.occupy(large()).await;
        let second = setup.queue(large()).unwrap();
        let refused = setup.queue(by_alice(new_drawing_id(), &[op()]));
        assert!(matches!(refused, Err(CommitError::Overloaded)));
        setup.store.gate.add_permits(2);
        answer(first).await.unwrap();
        answer(second).await.unwrap();
        // The bytes of a batch are given back with its answers.
        let small = setup.occupy(by_alice(new_drawing_id(), &[op()])).await;
        setup.store.gate.add_permits(1);
        answer(small).await.unwrap();
    }
}

#[tokio::test]
async fn writers_do_not_wait_for_each_other() {
    let setup = Setup::new(4);
    // Many more drawings than writers, so that each writer has some; none of them gets through.
    let pending: Vec<_> =
        (0..64).map(|_| setup.queue(by_alice(new_drawing_id(), &[op()])).unwrap()).collect();
    setup.until_batches(4).await;
    setup.store.open();
    for pending in pending {
        answer(pending).await.unwrap();
    }
}

// --- Publishing -------------------------------------------------------------------------------------

#[tokio::test]
async fn what_is_committed_is_published_as_one_contiguous_range_a_drawing() {
    let setup = Setup::new(1);
    let (drawing, other) = (new_drawing_id(), new_drawing_id());
    let mut of_drawing = setup.bus.subscribe_ops(drawing).await;
    let mut of_other = setup.bus.subscribe_ops(other).await;
    let old = op();
    let first = setup.occupy(by_alice(drawing, std::slice::from_ref(&old))).await;
    let body = r#"{"op_id":"x","type":"custom.y"}"#;
    let refused = AppendRequest { if_revision: Some(Revision(9)), ..by_alice(drawing, &[op()]) };
    let batch = [
        by_alice(drawing, &ops(2)),
        by_alice(other, &[with_body(&op(), body)]),
        by_alice(drawing, &[op(), old.clone(), op()]),
        refused,
        by_alice(drawing, std::slice::from_ref(&old)),
        by_alice(drawing, &[op()]),
    ];
    let pending: Vec<_> = batch.into_iter().map(|request| setup.queue(request).unwrap()).collect();
    setup.store.open();
    answer(first).await.unwrap();
    for pending in pending {
        // One of them is refused.
        let _ = answer(pending).await;
    }
    // The answers are there, so the messages are: the range is published first.
    assert_eq!(next_range(&mut of_drawing).await.last, Revision(1));
    let range = next_range(&mut of_drawing).await;
    assert_eq!((range.epoch, range.first, range.last), (EPOCH, Revision(2), Revision(6)));
    assert_eq!(range.ops.iter().map(|op| op.revision.0).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
    let range = next_range(&mut of_other).await;
    let now_ms = setup.store.state().batches[1].1;
    let expected = format!(r#"{{"revision":1,"actor":"alice","ts":{now_ms},{}"#, &body[1..]);
    assert_eq!(range.ops[0].json, expected);
    // A batch of nothing but duplicates is published as nothing.
    let again = answer(setup.queue(by_alice(drawing, &[old])).unwrap()).await.unwrap();
    assert_eq!(again.ops, [OpOutcome::Duplicate(Revision(1))]);
    assert!(of_drawing.next().now_or_never().is_none());
    assert!(of_other.next().now_or_never().is_none());
}

#[tokio::test]
async fn what_the_answer_tells_was_published_before_it() {
    let setup = Setup::new(1);
    setup.store.open();
    let drawing = new_drawing_id();
    let mut published = setup.bus.subscribe_ops(drawing).await;
    for revision in 1..=20 {
        answer(setup.queue(by_alice(drawing, &[op()])).unwrap()).await.unwrap();
        let range = published.next().now_or_never().flatten();
        let Some(Delivery::Message(range)) = range else { panic!("it was not published yet") };
        assert_eq!(range.first, Revision(revision));
    }
}

// --- The end ----------------------------------------------------------------------------------------

#[tokio::test]
async fn what_is_queued_at_shutdown_is_committed_and_what_comes_later_is_refused() {
    let setup = Setup::new(2);
    let mut pending = Vec::new();
    for _ in 0..20 {
        pending.push(setup.queue(by_alice(new_drawing_id(), &[op()])).unwrap());
    }
    setup.until_batches(2).await;
    setup.shutdown.cancel();
    setup.tasks.close();
    assert!(!setup.tasks.is_empty(), "the writers stay for what is queued");
    setup.store.open();
    for pending in pending {
        assert_eq!(revisions(&answer(pending).await.unwrap()), [1]);
    }
    timeout(Duration::from_secs(10), setup.tasks.wait()).await.expect("the writers end");
    for _ in 0..8 {
        let refused = setup.queue(by_alice(new_drawing_id(), &[op()]));
        assert!(matches!(refused, Err(CommitError::Draining)));
    }
    assert_eq!(setup.store.state().logs.len(), 20);
}

#[tokio::test]
async fn an_idle_committer_ends_at_once() {
    let setup = Setup::new(4);
    setup.tasks.close();
    setup.shutdown.cancel();
    timeout(Duration::from_secs(10), setup.tasks.wait()).await.expect("the writers end");
    assert!(matches!(setup.queue(by_alice(new_drawing_id(), &[op()])), Err(CommitError::Draining)));
}

#[tokio::test]
async fn a_committer_ends_even_while_requests_keep_coming() {
    let setup = Setup::new(1);
    let first = setup.occupy(by_alice(new_drawing_id(), &[op()])).await;
    let (committer, is_refused) = (setup.committer.clone(), Arc::new(Mutex::new(None)));
    let seen = is_refused.clone();
    let mut sent = 0;
    // Whenever the store is at work one more request comes, so that the queue is never empty.
    setup.store.state().while_writing = Some(Box::new(move || {
        sent += 1;
        match queue(&committer, by_alice(new_drawing_id(), &[op()])) {
            Ok(_) => assert!(sent < 1_000, "requests are still taken after the shutdown"),
            Err(error) => *seen.lock().unwrap() = Some(error),
        }
    }));
    let second = setup.queue(by_alice(new_drawing_id(), &[op()])).unwrap();
    setup.shutdown.cancel();
    setup.tasks.close();
    setup.store.open();
    answer(first).await.unwrap();
    answer(second).await.unwrap();
    timeout(Duration::from_secs(10), setup.tasks.wait()).await.expect("the writer ends");
    assert!(matches!(*is_refused.lock().unwrap(), Some(CommitError::Draining)));
}
