//! The talk between the nodes of one room, and what follows from it.
//!
//! Each node alone tells of the connections it holds. Its diffs are numbered. A node that misses one asks for
//! the whole, which is what the other node held at one such number. So every loss, repeat and change of order
//! is repaired within seconds, and a node that falls silent is forgotten with all it held.

use std::{collections::HashSet, sync::Arc, time::Instant};

use uuid::Uuid;

use super::{peers::AnswerPart, roster::Roster};
use crate::{
    bus::{ENVELOPE_BYTES, GONE_BYTES, PresenceEntry, PresenceMessage},
    limits,
    model::{ConnectionId, UserId},
};

/// When this node last said what to the others.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The time at which it last said that it lives.
    alive_at: Option<Instant>,
    /// The time at which it last told all that it holds.
    full_at: Option<Instant>,
    /// `true` if a node waits for all that it holds.
    owes_full: bool,
    /// The time at which it last asked for all that all others hold.
    asked_at: Option<Instant>,
    /// `true` if that question is to be put as soon as it may be.
    owes_ask: bool,
}

impl Roster {
    /// Takes in what another node tells; what comes from this one is known.
    pub(super) fn receive(&mut self, message: PresenceMessage, now: Instant) {
        if message.node() == self.me {
            return;
        }
        match message {
            PresenceMessage::Diff { node, seq, set, gone } => {
                if self.peers.is_news(node, seq, now) {
                    for connection in gone {
                        self.holdings.remove(node, connection);
                    }
                    self.take_all(node, set);
                }
            }
            PresenceMessage::Alive { node, seq } => self.peers.learn_seq(node, seq, now),
            PresenceMessage::Full { node, seq, part, parts, set } => {
                if let Some(all) = self.peers.gather(node, AnswerPart { seq, part, parts, set }, now) {
                    let kept: HashSet<_> = all.iter().map(|entry| entry.connection_id).collect();
                    self.holdings.retain_of(node, |connection| kept.contains(&connection));
                    self.take_all(node, all);
                }
            }
            // Whoever holds nothing has nothing to say, unless it is asked by name.
            PresenceMessage::Ask { of, .. } => {
                self.pace.owes_full |= of == Some(self.me) || (of.is_none() && self.local() > 0);
                self.pay_full(now);
            }
            PresenceMessage::Leave { connection_id, user_id, .. } => {
                self.leave_for(connection_id, &user_id);
            }
        }
        self.ask_who_is_behind(now);
    }

    /// Asks all nodes for what they hold: this one is new, or has missed it is not known what.
    pub(super) fn ask_all(&mut self, now: Instant) {
        self.pace.owes_ask = true;
        self.pay_ask(now);
    }

    /// Does what time demands; to be called every `PRESENCE_TICK`.
    pub(super) fn tick(&mut self, now: Instant) {
        self.expire(now);
        for node in self.peers.take_silent(now) {
            self.holdings.retain_of(node, |_| false);
        }
        self.pay_ask(now);
        self.pay_full(now);
        self.ask_who_is_behind(now);
        if self.local() > 0 && is_due(self.pace.alive_at, limits::PRESENCE_ALIVE, now) {
            self.pace.alive_at = Some(now);
            self.outbox.push(PresenceMessage::Alive { node: self.me, seq: self.seq });
        }
    }

    /// Tells the others what they do not know of the connections held here.
    pub(super) fn push_diff(&mut self) {
        let (mut set, mut gone) = (Vec::new(), Vec::new());
        for connection in self.untold.drain() {
            match self.holdings.of(self.me, connection) {
                Some(entry) => set.push(entry.clone()),
                None => gone.push(connection),
            }
        }
        for Portion { set, gone } in cut(set, gone) {
            self.seq += 1;
            self.outbox.push(PresenceMessage::Diff { node: self.me, seq: self.seq, set, gone });
        }
    }

    fn take_all(&mut self, node: Uuid, set: Vec<Arc<PresenceEntry>>) {
        for entry in set {
            if self.holdings.put(node, entry.clone()) {
                self.end_grace(&entry);
            }
            let mine = self.holdings.of(self.me, entry.connection_id);
            if mine.is_some_and(|mine| (mine.claim, self.me) < (entry.claim, node)) {
                // The connection has moved there.
                self.leave(entry.connection_id);
            }
        }
    }

    fn leave_for(&mut self, connection: ConnectionId, user: &UserId) {
        let mine = self.holdings.of(self.me, connection);
        if mine.is_some_and(|mine| mine.user_id == *user) {
            self.leave(connection);
        }
    }

    fn pay_ask(&mut self, now: Instant) {
        if self.pace.owes_ask && is_due(self.pace.asked_at, limits::PRESENCE_ASK_EVERY, now) {
            (self.pace.owes_ask, self.pace.asked_at) = (false, Some(now));
            self.outbox.push(PresenceMessage::Ask { node: self.me, of: None });
        }
    }

    /// Tells all that is held here, if somebody waits for it and the last time is long enough ago.
    fn pay_full(&mut self, now: Instant) {
        if !self.pace.owes_full || !is_due(self.pace.full_at, limits::PRESENCE_FULL_EVERY, now) {
            return;
        }
        (self.pace.owes_full, self.pace.full_at) = (false, Some(now));
        // The whole is what the latest diff led to, and in one order: two answers with the same number
        // are the same in each part.
        self.push_diff();
        let mut all: Vec<_> = self.holdings.all_of(self.me).cloned().collect();
        all.sort_unstable_by_key(|entry| entry.connection_id);
        let mut sets: Vec<_> = cut(all, Vec::new()).into_iter().map(|portion| portion.set).collect();
        if sets.is_empty() {
            sets.push(Vec::new());
        }
        let parts = u32::try_from(sets.len()).unwrap_or(u32::MAX);
        for (part, set) in (0..).zip(sets) {
            self.outbox.push(PresenceMessage::Full { node: self.me, seq: self.seq, part, parts, set });
        }
    }

    fn ask_who_is_behind(&mut self, now: Instant) {
        for node in self.peers.due_to_ask(now) {
            self.outbox.push(PresenceMessage::Ask { node: self.me, of: Some(node) });
        }
    }
}

fn is_due(last: Option<Instant>, period: std::time::Duration, now: Instant) -> bool {
    last.is_none_or(|last| now >= last + period)
}

/// Cuts what is to be told into portions that fit into one bus message each.
fn cut(set: Vec<Arc<PresenceEntry>>, gone: Vec<ConnectionId>) -> Vec<Portion> {
    let mut cutter = Cutter::default();
    for connection in gone {
        cutter.room_for(GONE_BYTES).gone.push(connection);
    }
    for entry in set {
        cutter.room_for(entry.encoded_bytes()).set.push(entry);
    }
    cutter.finish()
}

/// A part of what is to be told.
#[derive(Default)]
struct Portion {
    set: Vec<Arc<PresenceEntry>>,
    gone: Vec<ConnectionId>,
}

#[derive(Default)]
struct Cutter {
    full: Vec<Portion>,
    open: Portion,
    /// The size of the open portion.
    bytes: usize,
}

impl Cutter {
    /// A portion with room for `size` bytes more, which are counted.
    fn room_for(&mut self, size: usize) -> &mut Portion {
        if self.bytes + size > limits::MAX_BUS_MESSAGE_BYTES - ENVELOPE_BYTES {
            self.full.push(std::mem::take(&mut self.open));
            self.bytes = 0;
        }
        self.bytes += size;
        &mut self.open
    }

    fn finish(mut self) -> Vec<Portion> {
        if self.bytes > 0 {
            self.full.push(self.open);
        }
        self.full
    }
}
