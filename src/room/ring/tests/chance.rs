//! Whatever happens to a ring, in any order: no reader misses or repeats anything unknowingly.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many ops are told in one frame, which may be large.
    Push {
        count: u64,
        is_large: bool,
    },
    Head,
    /// The log goes on in a new epoch.
    GoOn,
    /// The ops before the ring are read from there on, in frames of so many ops; perhaps not to their end.
    Prepend {
        from: u64,
        size: u64,
        is_cut: bool,
    },
    Forget,
    Restart {
        head: u64,
        keeps_epoch: bool,
    },
    Join {
        behind: u64,
    },
    Read {
        reader: prop::sample::Index,
        times: u8,
    },
    /// The broadcaster looks at the ring.
    Gather,
    /// It offers what it saw.
    Offer,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..6_u64, prop::bool::weighted(0.25)).prop_map(|(count, is_large)| Step::Push { count, is_large }),
        1 => Just(Step::Head),
        1 => Just(Step::GoOn),
        4 => (0..20_u64, 1..5_u64, prop::bool::weighted(0.25))
            .prop_map(|(from, size, is_cut)| Step::Prepend { from, size, is_cut }),
        1 => Just(Step::Forget),
        1 => (0..20_u64, any::<bool>()).prop_map(|(head, keeps_epoch)| Step::Restart { head, keeps_epoch }),
        4 => (0..20_u64).prop_map(|behind| Step::Join { behind }),
        6 => (any::<prop::sample::Index>(), 1..4_u8).prop_map(|(reader, times)| Step::Read { reader, times }),
        3 => Just(Step::Gather),
        3 => Just(Step::Offer),
    ]
}

/// A reader and what it may be told.
struct Watched {
    reader: Reader,
    /// The number of the replacement of the log after which it joined.
    life: u64,
    log: u64,
    position: u64,
}

struct World {
    ring: Arc<Ring>,
    life: u64,
    log: u64,
    head: u64,
    why: ResetReason,
    readers: Vec<Watched>,
    /// The log as it is told.
    branch: Branch,
    /// The revision up to which each log is that of the one before.
    bases: Vec<u64>,
    /// Where the broadcaster stands, and what it saw there.
    offered: u64,
    batch: Option<Batch>,
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Push { count, is_large } => {
                let size = if is_large { LARGE } else { 0 };
                let frame = frame_of(self.log, self.head + 1, self.head + count, size);
                self.head += count;
                self.ring.push(News::Ops(frame), self.branch, Revision(self.head));
            }
            Step::Head => {
                let (branch, revision) = (self.branch, Revision(self.head));
                self.ring.push(News::Head { branch, revision }, branch, revision);
            }
            Step::GoOn => {
                self.log += 1;
                self.bases.push(self.head);
                self.branch = going_on(self.log, self.head);
                let (branch, revision) = (self.branch, Revision(self.head));
                self.ring.push(News::Head { branch, revision }, branch, revision);
            }
            Step::Prepend { from, size, is_cut } => {
                let until = self.ring.first_revision().map_or(self.head, |first| first.0 - 1);
                let until = until.saturating_sub(u64::from(is_cut));
                let starts = (from + 1..=until).step_by(usize::try_from(size).unwrap());
                let frames = starts.map(|at| frame_of(self.log, at, until.min(at + size - 1), 0)).collect();
                self.ring.prepend(frames, Revision(self.head));
            }
            Step::Forget => self.ring.forget_before(Instant::now()),
            Step::Restart { head, keeps_epoch } => {
                self.life += 1;
                self.log += u64::from(!keeps_epoch);
                self.bases.resize(usize::try_from(self.log).unwrap() + 1, 0);
                self.branch = branch(self.log);
                self.head = head;
                self.why = if keeps_epoch { ResetReason::RevisionAhead } else { ResetReason::EpochChanged };
                restart(&self.ring, self.log, head, self.why);
            }
            Step::Join { behind } => {
                let after = self.head.saturating_sub(behind);
                let joined = self.ring.join(self.branch, Revision(after), Revision(self.head));
                let (life, log) = (self.life, self.log);
                self.readers.extend(joined.map(|reader| Watched { reader, life, log, position: after }));
            }
            Step::Read { reader, times } => {
                for _ in 0..times {
                    if !self.readers.is_empty() {
                        self.read(reader.index(self.readers.len()));
                    }
                }
            }
            Step::Gather => self.batch = Some(self.ring.batch(self.offered)),
            Step::Offer => self.offer(),
        }
    }

    fn offer(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        self.offered = batch.end();
        for nth in (0..self.readers.len()).rev() {
            let watched = &mut self.readers[nth];
            if watched.reader.take(&batch) {
                batch.items.iter().for_each(|item| watched.note(item, &self.bases));
                assert_eq!(watched.reader.position().1, Revision(watched.position));
            } else {
                while self.read(nth) {}
            }
        }
    }

    /// Lets a reader read once; false when there is nothing more for it.
    fn read(&mut self, nth: usize) -> bool {
        let watched = &mut self.readers[nth];
        let is_current = watched.life == self.life;
        match watched.reader.read() {
            Next::Item(item) => {
                if let News::Restarted { .. } = item.news {
                    assert!(!is_current, "it is told of the log it reads");
                    drop(self.readers.swap_remove(nth));
                    return false;
                }
                watched.note(&item, &self.bases);
                true
            }
            Next::Empty => {
                assert!(is_current, "nobody told it that its log is gone");
                assert_eq!(watched.position, self.head, "it lacks what was told");
                false
            }
            lagged @ Next::Lagged { .. } => {
                let reason = if is_current { ResetReason::Lagged } else { self.why };
                expect_lagged(&lagged, reason, self.log, self.head);
                drop(self.readers.swap_remove(nth));
                false
            }
        }
    }
}

impl Watched {
    /// Checks that it gets an item of its log, and right after what it has.
    fn note(&mut self, item: &Item, bases: &[u64]) {
        match &item.news {
            News::Ops(frame) => {
                let log = usize::try_from(frame.epoch.0.as_u128()).unwrap();
                let is_told = log as u64 <= self.log;
                assert!(is_told || frame.last.0 <= bases[log], "the epoch is told before its own ops");
                assert_eq!(frame.first, Revision(self.position + 1));
                assert_eq!(revisions(item), (frame.first.0..=frame.last.0).collect::<Vec<_>>());
                self.position = frame.last.0;
            }
            News::Head { branch, revision } => {
                // A reader that joined in a later epoch hears of earlier ones again.
                self.log = self.log.max(u64::try_from(branch.epoch.0.as_u128()).unwrap());
                assert!(revision.0 <= self.position, "the head is told before the ops");
            }
            News::Restarted { .. } => panic!("a batch with a new log is not taken"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn whatever_happens_a_reader_gets_what_comes_next_or_is_told_to_start_anew(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let ring = Arc::new(Ring::new(drawing()));
        let why = ResetReason::EpochChanged;
        let offered = ring.end();
        let (readers, bases) = (Vec::new(), vec![0]);
        let mut world = World { ring, life: 0, log: 0, head: 0, why, readers, branch: branch(0), bases, offered, batch: None };
        for step in steps {
            world.step(step);
            let held = world.ring.lock().bytes;
            prop_assert!(held <= limits::ROOM_RING_BYTES);
        }
        for nth in (0..world.readers.len()).rev() {
            while world.read(nth) {}
        }
    }
}
