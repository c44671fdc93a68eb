//! The rules of the ring: what one reader sees, whatever happens around it.

mod chance;

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::{
    model::{CommittedOp, Epoch, Trunk},
    wire::Encoding,
};

/// Size of a frame that takes a quarter of the ring.
const LARGE: usize = limits::ROOM_RING_BYTES / 4;

fn drawing() -> DrawingId {
    DrawingId(Uuid::from_u128(1))
}

fn epoch(number: u64) -> Epoch {
    Epoch(Uuid::from_u128(number.into()))
}

/// A log that has nothing in common with another one.
fn branch(number: u64) -> Branch {
    Branch::cut(epoch(number))
}

/// Log `number`, which goes on with the one before from `base` on.
fn going_on(number: u64, base: u64) -> Branch {
    Branch { epoch: epoch(number), trunk: Some(Trunk { epoch: epoch(number - 1), base: Revision(base) }) }
}

/// Revisions `first..=last` of a log as one frame of at least `size` bytes.
fn frame_of(log: u64, first: u64, last: u64, size: usize) -> Frame {
    let ops: Vec<_> = (first..=last)
        .map(|revision| {
            let padding = "x".repeat(if revision == first { size } else { 0 });
            let json = format!(r#"{{"revision":{revision},"log":{log},"pad":"{padding}"}}"#);
            CommittedOp { revision: Revision(revision), json: json.into() }
        })
        .collect();
    Frame::seal(drawing(), epoch(log), &ops).unwrap()
}

fn frame(first: u64, last: u64) -> Frame {
    frame_of(0, first, last, 0)
}

/// A ring that has told these frames of one log.
fn ring(frames: &[(u64, u64)]) -> Arc<Ring> {
    let ring = Arc::new(Ring::new(drawing()));
    for (first, last) in frames {
        push(&ring, frame(*first, *last));
    }
    ring
}

fn push(ring: &Ring, frame: Frame) {
    let (branch, last) = (Branch::cut(frame.epoch), frame.last);
    ring.push(News::Ops(frame), branch, last);
}

fn restart(ring: &Ring, log: u64, head: u64, reason: ResetReason) {
    let (branch, revision) = (branch(log), Revision(head));
    ring.push(News::Restarted { reason, branch, revision }, branch, revision);
}

fn join(ring: &Arc<Ring>, after: u64, head: u64) -> Option<Reader> {
    ring.join(branch(0), Revision(after), Revision(head))
}

/// The revisions of an item.
fn revisions(item: &Item) -> Vec<u64> {
    match &item.news {
        News::Ops(frame) => frame.ops_after(Revision(0)).map(|op| op.revision.0).collect(),
        _ => Vec::new(),
    }
}

/// All that a reader finds now, as revisions; panics when it is told anything else.
fn read_all(reader: &mut Reader) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        match reader.read() {
            Next::Item(item) => all.extend(revisions(&item)),
            Next::Empty => return all,
            lagged @ Next::Lagged { .. } => panic!("{lagged:?}"),
        }
    }
}

fn expect_lagged(next: &Next, expected: ResetReason, log: u64, head: u64) {
    let Next::Lagged { reason, branch: at, revision } = next else { panic!("{next:?}") };
    assert_eq!((*reason, at.epoch, *revision), (expected, epoch(log), Revision(head)));
}

#[test]
fn a_reader_sees_each_op_once_and_in_order_from_where_it_joined() {
    let ring = ring(&[(1, 2), (3, 3)]);
    let mut early = join(&ring, 0, 3).unwrap();
    let mut late = join(&ring, 3, 3).unwrap();
    push(&ring, frame(4, 6));
    assert_eq!(read_all(&mut early), [1, 2, 3, 4, 5, 6]);
    assert_eq!(read_all(&mut late), [4, 5, 6]);
    assert_eq!((read_all(&mut early), early.position()), (vec![], (branch(0), Revision(6))));
    push(&ring, frame(7, 7));
    assert_eq!(read_all(&mut early), [7]);
}

#[test]
fn who_joins_in_the_middle_of_a_frame_gets_the_rest_of_it() {
    let ring = ring(&[(1, 3), (4, 9)]);
    for after in 3..9 {
        let mut reader = join(&ring, after, 9).unwrap();
        assert_eq!(read_all(&mut reader), (after + 1..=9).collect::<Vec<_>>());
    }
}

#[test]
fn a_position_before_the_ring_has_no_place_in_it() {
    let ring = ring(&[(5, 6)]);
    assert!(join(&ring, 3, 6).is_none());
    assert!(join(&ring, 4, 6).is_some());
    assert!(join(&Arc::new(Ring::new(drawing())), 3, 6).is_none(), "what was told is not there any more");
}

#[test]
fn the_ring_is_bounded_by_bytes_and_a_slow_reader_is_told_where_the_log_stands() {
    let ring = ring(&[(1, 1)]);
    let mut slow = join(&ring, 0, 1).unwrap();
    for revision in 2..10 {
        push(&ring, frame_of(0, revision, revision, LARGE));
        let state = ring.lock();
        let held: usize = state.items().map(|(_, item)| item.size()).sum();
        assert_eq!(held, state.bytes);
        assert!(held <= limits::ROOM_RING_BYTES);
    }
    expect_lagged(&slow.read(), ResetReason::Lagged, 0, 9);
    // One that is larger than the bound is told all the same.
    let mut brisk = join(&ring, 9, 9).unwrap();
    push(&ring, frame_of(0, 10, 10, limits::ROOM_RING_BYTES));
    assert_eq!(read_all(&mut brisk), [10]);
}

#[test]
fn what_is_old_is_forgotten_and_nobody_who_has_it_notices() {
    let ring = ring(&[(1, 2)]);
    let (mut has_all, mut has_none) = (join(&ring, 2, 2).unwrap(), join(&ring, 0, 2).unwrap());
    ring.forget_before(Instant::now());
    assert_eq!(ring.first_revision(), None);
    push(&ring, frame(3, 3));
    assert_eq!(read_all(&mut has_all), [3]);
    expect_lagged(&has_none.read(), ResetReason::Lagged, 0, 3);
}

#[test]
fn frames_before_the_first_are_taken_as_far_as_they_fit_and_leave_no_hole() {
    let ring = ring(&[(7, 8)]);
    ring.prepend(vec![frame(1, 2), frame_of(0, 3, 4, 4 * LARGE), frame(5, 6)], Revision(8));
    assert_eq!(ring.first_revision(), Some(Revision(5)), "the large one does not fit");
    ring.prepend(vec![frame(1, 3)], Revision(8));
    assert_eq!(ring.first_revision(), Some(Revision(5)), "4 would be missing");
    ring.prepend(vec![frame(1, 4)], Revision(8));
    assert_eq!(read_all(&mut join(&ring, 0, 8).unwrap()), (1..=8).collect::<Vec<_>>());
}

#[test]
fn an_empty_ring_takes_only_what_ends_at_the_head() {
    let ring = Arc::new(Ring::new(drawing()));
    ring.prepend(vec![frame(1, 4)], Revision(6));
    assert!(join(&ring, 2, 6).is_none(), "5 and 6 would be missing");
    ring.prepend(vec![frame(1, 4), frame(5, 6)], Revision(6));
    assert_eq!(read_all(&mut join(&ring, 2, 6).unwrap()), [3, 4, 5, 6]);
}

#[test]
fn a_replaced_log_ends_every_reader_of_the_one_before_even_one_that_comes_late() {
    for reason in [ResetReason::EpochChanged, ResetReason::RevisionAhead] {
        let log = u64::from(reason == ResetReason::EpochChanged);
        let ring = ring(&[(1, 3)]);
        let (mut brisk, mut slow) = (join(&ring, 3, 3).unwrap(), join(&ring, 1, 3).unwrap());
        let mut late = join(&ring, 3, 3).unwrap();
        let behind = ring.end();
        restart(&ring, log, 5, reason);
        let Next::Item(item) = brisk.read() else { panic!("it is told") };
        assert!(matches!(item.news, News::Restarted { .. }));
        expect_lagged(&slow.read(), reason, log, 5);
        // Somebody joins the new log: what comes before it is read back, to the places of the old one.
        ring.prepend(vec![frame_of(log, 1, 5, 0)], Revision(5));
        let mut new = ring.join(branch(log), Revision(0), Revision(5)).unwrap();
        assert!(!late.take(&ring.batch(behind)), "it is of another log");
        expect_lagged(&late.read(), reason, log, 5);
        expect_lagged(&brisk.read(), reason, log, 5);
        assert_eq!(read_all(&mut new), [1, 2, 3, 4, 5]);
    }
}

#[test]
fn frames_that_were_joined_are_not_those_that_come_to_their_places_later() {
    let ring = ring(&[(3, 3), (4, 4)]);
    assert_eq!(read_all(&mut join(&ring, 2, 4).unwrap()), [3, 4]);
    ring.forget_before(Instant::now());
    // Two frames again, in the places of those before, of which the first begins earlier.
    ring.prepend(vec![frame(1, 3), frame(4, 4)], Revision(4));
    assert_eq!(read_all(&mut join(&ring, 1, 4).unwrap()), [2, 3, 4]);
}

#[test]
fn a_log_that_goes_on_in_a_new_epoch_tells_so_between_the_ops_of_both() {
    let ring = ring(&[(1, 2), (3, 3)]);
    let (mut reads, mut takes) = (join(&ring, 0, 3).unwrap(), join(&ring, 3, 3).unwrap());
    let (from, now) = (ring.end(), going_on(1, 3));
    ring.push(News::Head { branch: now, revision: Revision(3) }, now, Revision(3));
    for revision in [4, 5] {
        ring.push(News::Ops(frame_of(1, revision, revision, 0)), now, Revision(revision));
    }
    assert!(takes.take(&ring.batch(from)));
    assert_eq!(takes.position(), (now, Revision(5)));
    // A reader that has something to catch up on gets the small frames of each epoch as one, and never those of
    // two.
    let mut told = Vec::new();
    while let Next::Item(item) = reads.read() {
        told.push(match &item.news {
            News::Ops(frame) => (frame.epoch, frame.first.0, frame.last.0),
            News::Head { branch, revision } => (branch.epoch, revision.0, 0),
            News::Restarted { .. } => panic!("{item:?}"),
        });
    }
    assert_eq!(told, [(epoch(0), 1, 3), (epoch(1), 3, 0), (epoch(1), 4, 5)]);
    assert_eq!(reads.position(), (now, Revision(5)));
    // A reader that joins in the new epoch reads what both logs share from the ring.
    let mut late = ring.join(now, Revision(1), Revision(5)).unwrap();
    assert_eq!(read_all(&mut late), [2, 3, 4, 5]);
    assert_eq!(late.position(), (now, Revision(5)));
}

fn kept_bytes(ring: &Ring) -> usize {
    ring.lock().items().map(|(_, item)| item.size()).sum()
}

fn head(ring: &Ring, revision: u64) {
    ring.push(News::Head { branch: branch(0), revision: Revision(revision) }, branch(0), Revision(revision));
}

#[test]
fn a_quiet_ring_keeps_the_last_head_alone() {
    let ring = ring(&[(1, 2)]);
    let (mut slow, mut next) = (join(&ring, 0, 2).unwrap(), join(&ring, 2, 2).unwrap());
    let kept = || ring.lock().items().count();
    for _ in 0..100 {
        let from = ring.end();
        head(&ring, 2);
        assert!(next.take(&ring.batch(from)));
        assert_eq!(kept(), 2);
    }
    let counted = kept_bytes(&ring);
    assert_eq!(ring.lock().bytes, counted);
    push(&ring, frame(3, 3));
    head(&ring, 3);
    assert_eq!(kept(), 4, "what stands between frames stays");
    // A reader that missed all of them reads the ops, and a head.
    let mut told = Vec::new();
    while let Next::Item(item) = slow.read() {
        told.push(match &item.news {
            News::Head { revision, .. } => vec![revision.0, 0],
            _ => revisions(&item),
        });
    }
    assert_eq!(told, [vec![1, 2, 3], vec![3, 0]]);
    // One who looks from the place of a head that is gone gets what came after it.
    let batch = ring.batch(ring.end() - 50);
    assert_eq!((batch.items.len(), batch.end()), (3, ring.end()));
    ring.forget_before(Instant::now());
    assert!(ring.lock().slots.is_empty());
}

#[test]
fn what_a_quiet_ring_has_superseded_is_forgotten_with_time() {
    let ring = ring(&[]);
    let mut reader = join(&ring, 0, 0).unwrap();
    let mut told_at = Vec::new();
    for _ in 0..1_000 {
        let from = ring.end();
        head(&ring, 0);
        assert!(reader.take(&ring.batch(from)));
        told_at.push(ring.lock().slots.back().unwrap().pushed_at());
    }
    ring.forget_before(told_at[990]);
    let (kept, room) = {
        let state = ring.lock();
        (state.slots.len(), state.slots.capacity())
    };
    assert!((1..=10).contains(&kept) && room <= 64, "{kept} places, room for {room}");
    let from = ring.end();
    head(&ring, 0);
    assert!(reader.take(&ring.batch(from)), "who has all of it misses nothing");
}

#[test]
fn a_head_that_tells_of_an_epoch_is_not_superseded() {
    let ring = ring(&[(1, 1)]);
    let mut reader = join(&ring, 1, 1).unwrap();
    let now = going_on(1, 1);
    for _ in 0..3 {
        ring.push(News::Head { branch: now, revision: Revision(1) }, now, Revision(1));
    }
    let heads: Vec<_> = std::iter::from_fn(|| match reader.read() {
        Next::Item(item) => Some(item),
        _ => None,
    })
    .collect();
    assert_eq!(heads.len(), 2, "the one that tells it, and the last");
    assert_eq!(reader.position(), (now, Revision(1)));
}

#[test]
fn a_batch_is_taken_only_by_who_stands_right_before_it() {
    let ring = ring(&[(1, 2)]);
    let (mut next, mut behind) = (join(&ring, 2, 2).unwrap(), join(&ring, 0, 2).unwrap());
    let from = ring.end();
    push(&ring, frame(3, 4));
    ring.push(News::Head { branch: branch(0), revision: Revision(4) }, branch(0), Revision(4));
    let mut inside = join(&ring, 3, 4).unwrap();
    let batch = ring.batch(from);
    assert!(next.take(&batch));
    assert_eq!(next.position(), (branch(0), Revision(4)));
    assert!(!next.take(&batch), "not twice");
    assert!(!behind.take(&batch));
    assert!(!inside.take(&batch), "it has a part of the frame");
    assert_eq!(read_all(&mut inside), [4]);
    restart(&ring, 1, 4, ResetReason::EpochChanged);
    assert!(!next.take(&ring.batch(batch.end())), "who reads must be told why it ends");
    let empty = ring.batch(ring.end());
    assert!(empty.items.is_empty());
}

#[test]
fn a_batch_is_joined_once_for_each_encoding() {
    let ring = ring(&[(1, 1), (2, 2)]);
    let batch = ring.batch(FIRST_ITEM);
    let joined = batch.bytes(Encoding::Json);
    let each: Vec<u8> = batch.items.iter().flat_map(|item| item.bytes(Encoding::Json).to_vec()).collect();
    assert_eq!((batch.items.len(), joined), (2, &Bytes::from(each)));
    assert_eq!(batch.bytes(Encoding::Json).as_ptr(), joined.as_ptr(), "it is there");
    assert_ne!(batch.bytes(Encoding::MessagePack), joined);
}

#[test]
fn who_leaves_is_not_counted() {
    let ring = ring(&[(1, 1)]);
    let (one, other) = (join(&ring, 1, 1), join(&ring, 0, 1));
    assert_eq!(ring.reader_count(), 2);
    drop(one);
    assert_eq!(ring.reader_count(), 1);
    drop(other);
    assert_eq!(ring.reader_count(), 0);
}
