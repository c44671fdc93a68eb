//! The readers that wait for a place in a room, and what each of them still needs.
//!
//! Pure: it decides who can join and which read would help; the room's task reads.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    join::{JoinError, Position},
    ring::{Reader, Ring},
};
use crate::{
    limits,
    model::{Branch, Misplaced, Revision},
    wire::ResetReason,
};

/// Where a new reader stands.
#[derive(Debug)]
pub(super) enum Attached {
    /// It has everything up to `revision`, and reads what comes after.
    Live { branch: Branch, revision: Revision, reader: Reader },
    /// It must go to REST first.
    Reset { reason: ResetReason, branch: Branch, revision: Revision },
}

/// Where a room stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The epoch, and how the log goes on from the one before.
    pub branch: Branch,
    /// Everything up to here was delivered.
    pub head: Revision,
    /// An op that the store does not have, or cannot read, as far as that is known.
    pub damage: Option<Revision>,
}

impl From<Misplaced> for ResetReason {
    fn from(misplaced: Misplaced) -> Self {
        match misplaced {
            Misplaced::EpochChanged => Self::EpochChanged,
            Misplaced::RevisionAhead => Self::RevisionAhead,
        }
    }
}

/// The purpose of a read of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadPurpose {
    /// Reads the ops after the position of the room, and the head.
    Follow { after: Revision },
    /// Reads the ops before the ring.
    Fill,
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct PendingJoin {
    position: Position,
    reply: oneshot::Sender<Result<Attached, JoinError>>,
    /// The read under way answers it.
    is_asked: bool,
    /// The head was read after it came.
    is_settled: bool,
    /// Reads for what it lacks so far.
    fills: u32,
    need: Need,
}

/// The thing that a reader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// The head of the log in the store.
    Head,
    /// Ops that the ring does not hold.
    Ops,
}

/// Reads for one reader's ops, before it is told to get them over REST: a wide one that serves others
/// too, and one of just what those lack who wait.
const FILL_ATTEMPTS: u32 = 2;

impl PendingJoin {
    pub(super) fn new(position: Position, reply: oneshot::Sender<Result<Attached, JoinError>>) -> Self {
        Self { position, reply, is_asked: false, is_settled: false, fills: 0, need: Need::Head }
    }

    /// Decides where the reader begins in a log; `Err` tells what it needs first.
    fn place(&self, ring: &Arc<Ring>, log: Standing) -> Result<Attached, Need> {
        let Standing { branch, head, damage } = log;
        let revision = self.position.after.unwrap_or(head);
        let reset = |reason| Ok(Attached::Reset { reason, branch, revision: head });
        // Both may be news that the room has not heard yet.
        if let Err(misplaced) = branch.check(self.position.epoch, self.position.after, head) {
            return if self.is_settled { reset(misplaced.into()) } else { Err(Need::Head) };
        }
        if head.0 - revision.0 > limits::RESUME_LIMIT {
            return reset(ResetReason::TooFarBehind);
        }
        match ring.join(branch, revision, head) {
            Some(reader) => Ok(Attached::Live { branch, revision, reader }),
            // The store does not have what it lacks.
            None if damage.is_some_and(|damage| revision < damage) => reset(ResetReason::LogDamaged),
            None if self.fills < FILL_ATTEMPTS => Err(Need::Ops),
            // More than a room keeps for anybody.
            None => reset(ResetReason::TooFarBehind),
        }
    }
}

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Waitlist(Vec<PendingJoin>);

impl Waitlist {
    pub(super) fn extend(&mut self, waiting: Vec<PendingJoin>) {
        self.0.extend(waiting);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Answers everybody who can be answered by a room at the head of `log`, which the store confirmed a moment ago
    /// if it `is_fresh`.
    pub(super) fn attach(&mut self, ring: &Arc<Ring>, log: Standing, is_fresh: bool) {
        for mut waiting in std::mem::take(&mut self.0) {
            if !is_fresh && !waiting.is_settled {
                if !waiting.is_asked {
                    waiting.need = Need::Head;
                }
                self.0.push(waiting);
                continue;
            }
            match waiting.place(ring, log) {
                // Whoever hung up leaves the room again with the reader that is dropped here.
                Ok(attached) => drop(waiting.reply.send(Ok(attached))),
                Err(need) => {
                    waiting.need = need;
                    self.0.push(waiting);
                }
            }
        }
    }

    /// Returns `true` if a reader needs a read that is not under way.
    pub(super) fn wants_read(&self) -> bool {
        self.0.iter().any(|waiting| !waiting.is_asked)
    }

    pub(super) fn wants_head(&self) -> bool {
        self.0.iter().any(|waiting| waiting.need == Need::Head)
    }

    /// A read begins; it answers those who need this.
    pub(super) fn ask(&mut self, purpose: ReadPurpose) {
        let need = if purpose == ReadPurpose::Fill { Need::Ops } else { Need::Head };
        for waiting in &mut self.0 {
            waiting.is_asked |= waiting.need == need;
        }
    }

    /// The head was read and the room has caught up with it.
    pub(super) fn settle_asked(&mut self) {
        for waiting in &mut self.0 {
            waiting.is_settled |= waiting.is_asked;
            waiting.is_asked = false;
        }
    }

    /// The ops before the ring were read.
    pub(super) fn note_filled(&mut self) {
        for waiting in self.0.iter_mut().filter(|waiting| waiting.is_asked) {
            waiting.fills += 1;
            waiting.is_asked = false;
        }
    }

    /// The read failed.
    pub(super) fn fail_asked(&mut self, error: JoinError) {
        for waiting in self.0.extract_if(.., |waiting| waiting.is_asked) {
            // Whoever hung up needs no answer.
            let _ = waiting.reply.send(Err(error));
        }
    }

    pub(super) fn fail_all(&mut self, error: JoinError) {
        for waiting in self.0.drain(..) {
            let _ = waiting.reply.send(Err(error));
        }
    }

    /// Where to read from when the head is unknown: whoever can be filled up at all is at most
    /// `RESUME_LIMIT` behind the one who is farthest. Without positions, the head alone.
    pub(super) fn first_wanted(&self) -> Revision {
        let farthest = self.0.iter().filter_map(|waiting| waiting.position.after).max();
        farthest.map_or(Revision(u64::MAX), |after| Revision(after.0.saturating_sub(limits::RESUME_LIMIT)))
    }

    /// The range to read for those who lack ops, as `(after, until]`.
    pub(super) fn fill_range(&self, ring: &Ring, head: Revision) -> (Revision, Revision) {
        let until = ring.first_revision().map_or(head, |first| Revision(first.0.saturating_sub(1)));
        let lacking = || self.0.iter().filter(|waiting| waiting.need == Need::Ops);
        // Others will come who lack a little more; but where all of that is too much, only what is asked.
        let is_wide = lacking().all(|waiting| waiting.fills == 0);
        let wide = Revision(head.0.saturating_sub(limits::RESUME_LIMIT));
        let narrow = lacking().filter_map(|waiting| waiting.position.after).min().unwrap_or(wide);
        (if is_wide { wide } else { narrow }, until)
    }
}

#[cfg(test)]
mod tests;
