//! The truth about a drawing: its logs, the line of its epochs, and where a position of one of them lies on that
//! line.
//!
//! Owns the rule of lineage. A position goes on into the next epoch as long as it is at or below the base; one above it
//! is void: nobody is held to it any more, but all who have seen that branch have to have seen the same.

use std::collections::{HashMap, hash_map::Entry as Slot};

use crate::{
    clock::Place,
    history::{Entry, EpochId, History, Log, Outcome, Position, Request, Seen, Trunk},
    ids::{Digest, OpId},
};

/// The logs of a drawing, and how they hang together.
#[derive(Debug)]
pub(crate) struct Truth<'a> {
    /// The log of each epoch, if it was recorded.
    logs: Vec<Option<Recorded<'a>>>,
    /// The epoch before each epoch.
    trunks: Vec<Option<Trunk>>,
    /// The epoch after each epoch, the revision up to which both are one, and whether nothing may be lost between
    /// them.
    next: Vec<Option<(EpochId, u64, bool)>>,
    /// The ops that were seen where no log was recorded.
    seen: HashMap<Position, (OpId, Digest, Place)>,
}

/// A recorded log.
#[derive(Debug)]
pub(crate) struct Recorded<'a> {
    /// The log that was recorded.
    pub(crate) log: &'a Log,
    /// The ops, by revision.
    pub(crate) entries: Vec<&'a Entry>,
}

/// A position after the line of epochs was followed as far as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The same position in the latest epoch that has it.
    pub(crate) position: Position,
    /// The next epoch, if the log went on without the position, and the revision up to which that is the same.
    pub(crate) void: Option<Void>,
}

/// The reason why a position is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Void {
    /// The epoch that went on without it.
    pub(crate) next: EpochId,
    /// The revision after which it went on.
    pub(crate) base: u64,
    /// True if nothing may be lost all the same.
    pub(crate) lossless: bool,
}

/// The op at a position, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word<'a> {
    /// The op of the log.
    Entry(&'a Entry),
    /// The log does not have it.
    Absent,
    /// There is no log; this is what somebody has seen there.
    Seen(OpId, Digest, Place),
    /// There is no log, and nobody has seen anything.
    Nothing,
}

impl<'a> Truth<'a> {
    /// Puts together what was recorded.
    #[must_use]
    pub(crate) fn new(history: &'a History) -> Self {
        let count = history.epochs.len();
        let mut this = Self {
            logs: (0..count).map(|_| None).collect(),
            trunks: vec![None; count],
            next: vec![None; count],
            seen: HashMap::new(),
        };
        for log in history.logs.iter().filter(|log| log.head.is_some()) {
            let mut entries: Vec<_> = log.entries.iter().collect();
            entries.sort_by_key(|entry| entry.revision);
            this.logs[usize::from(log.epoch)] = Some(Recorded { log, entries });
        }
        // The word of a log goes before what anybody was told.
        let of_logs = history.said.iter().filter(|said| history.logs.iter().any(|log| log.at == said.at));
        for said in of_logs.chain(&history.said) {
            let Some(trunk) = said.trunk else { continue };
            let lossless = history.logs.iter().any(|log| log.epoch == said.epoch && log.lossless);
            this.trunks[usize::from(said.epoch)].get_or_insert(trunk);
            this.next[usize::from(trunk.epoch)].get_or_insert((said.epoch, trunk.base, lossless));
        }
        this.look(history);
        this
    }

    /// Gathers what was seen where there is no log: answers to commits first, then pages, then live readers.
    fn look(&mut self, history: &History) {
        for call in &history.calls {
            let Outcome::Committed { epoch, results, .. } = &call.outcome else { continue };
            for (sent, placed) in call.ops().iter().zip(results) {
                let position = Position { epoch: *epoch, revision: placed.revision };
                self.note(position, sent.op_id, sent.digest, call.sent);
            }
        }
        for call in &history.calls {
            let (Outcome::Page { epoch, ops, .. }, Request::Page(_)) = (&call.outcome, &call.request) else {
                continue;
            };
            for op in ops {
                self.note(Position { epoch: *epoch, revision: op.revision }, op.op_id, op.digest, call.sent);
            }
        }
        for reader in &history.readers {
            crate::follow::follow(reader, &mut |note| {
                if let crate::follow::Note::Op(at, position, op) = note {
                    self.note(position, op.op_id, op.digest, at);
                }
            });
        }
    }

    fn note(&mut self, position: Position, op_id: OpId, digest: Digest, at: Place) {
        let position = self.settle(position).position;
        if self.log(position.epoch).is_none()
            && let Slot::Vacant(slot) = self.seen.entry(position)
        {
            slot.insert((op_id, digest, at));
        }
    }

    /// The recorded log of an epoch.
    #[must_use]
    pub(crate) fn log(&self, epoch: EpochId) -> Option<&Recorded<'a>> {
        self.logs[usize::from(epoch)].as_ref()
    }

    /// All recorded logs.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &Recorded<'a>> {
        self.logs.iter().flatten()
    }

    /// The epoch with which one goes on.
    #[must_use]
    pub(crate) fn trunk(&self, epoch: EpochId) -> Option<Trunk> {
        self.trunks[usize::from(epoch)]
    }

    /// True if no other epoch goes on with this one.
    #[must_use]
    pub(crate) fn is_last(&self, epoch: EpochId) -> bool {
        self.next[usize::from(epoch)].is_none()
    }

    /// Follows a position along the line.
    #[must_use]
    pub(crate) fn settle(&self, mut position: Position) -> Settled {
        // A line that bites its own tail is a finding of `lineage_agrees`, not a loop.
        for _ in 0..self.next.len() {
            match self.next[usize::from(position.epoch)] {
                Some((next, base, _)) if position.revision <= base => position.epoch = next,
                Some((next, base, lossless)) => {
                    return Settled { position, void: Some(Void { next, base, lossless }) };
                }
                None => break,
            }
        }
        Settled { position, void: None }
    }

    /// Returns what is known of a position.
    #[must_use]
    pub(crate) fn word(&self, position: Position) -> Word<'a> {
        let position = self.settle(position).position;
        match &self.logs[usize::from(position.epoch)] {
            Some(recorded) => recorded.at(position.revision).map_or(Word::Absent, Word::Entry),
            None => match self.seen.get(&position) {
                Some(&(op_id, digest, at)) => Word::Seen(op_id, digest, at),
                None => Word::Nothing,
            },
        }
    }

    /// Returns what speaks against an op that was read at a position: the words for it, and where the other op
    /// stands.
    #[must_use]
    pub(crate) fn contradiction(&self, position: Position, op: &Seen) -> Option<(String, Place)> {
        let (op_id, digest, at, whose) = match self.word(position) {
            Word::Entry(entry) => (entry.op_id, entry.digest, entry.at, "the log has"),
            Word::Seen(op_id, digest, at) => (op_id, digest, at, "another one was told"),
            Word::Absent => return Some(("the log does not reach so far".to_owned(), NOWHERE)),
            Word::Nothing => return None,
        };
        if op_id != op.op_id {
            return Some((format!("{whose} the op {op_id} there"), at));
        }
        (digest != op.digest).then(|| (format!("{whose} another body of it there"), at))
    }
}

/// The place of what is not there.
pub(crate) const NOWHERE: Place = Place { client: crate::clock::NOBODY, nth: 0, file: 0, line: 0, t: 0 };

impl<'a> Recorded<'a> {
    /// The op at a revision.
    #[must_use]
    pub(crate) fn at(&self, revision: u64) -> Option<&'a Entry> {
        // The log is contiguous unless something is wrong with it.
        let direct = usize::try_from(revision).ok().and_then(|index| self.entries.get(index.checked_sub(1)?));
        if let Some(entry) = direct.filter(|entry| entry.revision == revision) {
            return Some(entry);
        }
        self.entries
            .binary_search_by_key(&revision, |entry| entry.revision)
            .ok()
            .map(|index| self.entries[index])
    }
}
