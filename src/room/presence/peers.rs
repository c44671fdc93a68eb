//! The place that the news of each other node has reached.
//!
//! Owns the numbers by which a lost message is noticed, and what is to be asked for. It never sees
//! who is present. Pure; time is passed in.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use uuid::Uuid;

use crate::{bus::PresenceEntry, limits};

/// Bus messages that such an answer may take. [`PRESENCE_MAX_LOCAL`] presences, all with the longest user id, name and
/// state, are cut into some 420.
/// At the bound, the answer is ignored.
const PRESENCE_MAX_PARTS: u32 = 512;

/// The other nodes that have been heard of lately.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: HashMap<Uuid, Peer>,
}

#[derive(Debug)]
struct Peer {
    /// The highest number of what was taken in.
    seq: u64,
    /// `true` if everything up to it was taken in.
    is_complete: bool,
    /// When it last said anything.
    heard_at: Instant,
    /// When it was last asked for everything.
    asked_at: Option<Instant>,
    /// Parts of its answer, until the last one has come.
    answer: Option<PartialAnswer>,
}

/// An answer of which parts are missing: at most `PRESENCE_MAX_PARTS` of them.
#[derive(Debug)]
struct PartialAnswer {
    seq: u64,
    parts: u32,
    received: BTreeMap<u32, Vec<Arc<PresenceEntry>>>,
}

/// One part of all that a node holds.
pub(super) struct AnswerPart {
    /// The number of the diff that the node was at.
    pub(super) seq: u64,
    /// The number of this part, from 0.
    pub(super) part: u32,
    /// The number of parts.
    pub(super) parts: u32,
    /// Its content.
    pub(super) set: Vec<Arc<PresenceEntry>>,
}

impl Peers {
    /// Returns `true` if the diff `seq` of `node` is news. A diff behind a gap is: it is newer than what is
    /// known, and the rest is asked for.
    pub(super) fn is_news(&mut self, node: Uuid, seq: u64, now: Instant) -> bool {
        let peer = self.heard(node, now);
        let is_news = seq > peer.seq;
        if is_news {
            peer.is_complete &= seq - 1 == peer.seq;
            peer.seq = seq;
        }
        is_news
    }

    /// Learns that `node` lives and has reached `seq`.
    pub(super) fn learn_seq(&mut self, node: Uuid, seq: u64, now: Instant) {
        let peer = self.heard(node, now);
        peer.is_complete &= seq <= peer.seq;
    }

    /// Takes in a part of what `node` holds; gives out all of it once the last part has come and it is
    /// news.
    pub(super) fn gather(
        &mut self,
        node: Uuid,
        part: AnswerPart,
        now: Instant,
    ) -> Option<Vec<Arc<PresenceEntry>>> {
        let peer = self.heard(node, now);
        let AnswerPart { seq, part, parts, set } = part;
        let is_outdated = seq < peer.seq || (seq == peer.seq && peer.is_complete);
        if is_outdated || part >= parts || parts > PRESENCE_MAX_PARTS {
            return None;
        }
        if peer.answer.as_ref().is_none_or(|answer| (answer.seq, answer.parts) != (seq, parts)) {
            peer.answer = Some(PartialAnswer { seq, parts, received: BTreeMap::new() });
        }
        let answer = peer.answer.as_mut()?;
        answer.received.insert(part, set);
        if answer.received.len() < usize::try_from(parts).unwrap_or(usize::MAX) {
            return None;
        }
        let PartialAnswer { received, .. } = peer.answer.take()?;
        (peer.seq, peer.is_complete) = (seq, true);
        Some(received.into_values().flatten().collect())
    }

    /// The nodes that are to be asked for everything they hold now.
    pub(super) fn due_to_ask(&mut self, now: Instant) -> Vec<Uuid> {
        let may_ask = |at: Option<Instant>| at.is_none_or(|at| now >= at + limits::PRESENCE_ASK_EVERY);
        let due = self.peers.iter_mut().filter(|(_, peer)| !peer.is_complete && may_ask(peer.asked_at));
        due.map(|(node, peer)| {
            peer.asked_at = Some(now);
            *node
        })
        .collect()
    }

    /// Forgets the nodes that have been silent for too long, and names them.
    pub(super) fn take_silent(&mut self, now: Instant) -> Vec<Uuid> {
        let is_silent = |_: &Uuid, peer: &mut Peer| now >= peer.heard_at + limits::PRESENCE_NODE_TTL;
        self.peers.extract_if(is_silent).map(|(node, _)| node).collect()
    }

    fn heard(&mut self, node: Uuid, now: Instant) -> &mut Peer {
        // A node has said nothing before its first diff, so nothing of it is missing yet.
        let unknown = || Peer { seq: 0, is_complete: true, heard_at: now, asked_at: None, answer: None };
        let peer = self.peers.entry(node).or_insert_with(unknown);
        peer.heard_at = peer.heard_at.max(now);
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: Uuid = Uuid::from_u128(1);

    fn part(seq: u64, part: u32, parts: u32) -> AnswerPart {
        AnswerPart { seq, part, parts, set: Vec::new() }
    }

    #[test]
    fn diffs_in_order_are_taken_once_and_nothing_is_asked_for() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        for (seq, is_news) in [(1, true), (2, true), (2, false), (1, false), (3, true)] {
            assert_eq!(peers.is_news(NODE, seq, now), is_news, "{seq}");
        }
        peers.learn_seq(NODE, 3, now);
        assert!(peers.due_to_ask(now).is_empty());
    }

    #[test]
    fn a_gap_is_asked_for_once_a_second_until_the_whole_has_come() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        assert!(peers.is_news(NODE, 1, now));
        assert!(peers.is_news(NODE, 3, now));
        assert_eq!(peers.due_to_ask(now), [NODE]);
        assert!(peers.due_to_ask(now).is_empty());
        assert!(peers.gather(NODE, part(2, 0, 1), now).is_none(), "it is older than what is known");
        let later = now + limits::PRESENCE_ASK_EVERY;
        assert_eq!(peers.due_to_ask(later), [NODE]);
        assert!(peers.gather(NODE, part(3, 1, 2), later).is_none());
        assert!(peers.gather(NODE, part(3, 0, 2), later).is_some());
        assert!(peers.gather(NODE, part(3, 0, 1), later).is_none(), "nothing new");
        assert!(peers.due_to_ask(later + limits::PRESENCE_ASK_EVERY).is_empty());
    }

    #[test]
    fn a_sign_of_life_reveals_what_was_lost_before_a_silence() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        assert!(peers.is_news(NODE, 1, now));
        peers.learn_seq(NODE, 2, now);
        peers.learn_seq(Uuid::from_u128(2), 5, now);
        let mut asked = peers.due_to_ask(now);
        asked.sort_unstable();
        assert_eq!(asked, [NODE, Uuid::from_u128(2)]);
    }

    #[test]
    fn a_silent_node_is_forgotten_and_one_that_speaks_is_not() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        peers.learn_seq(NODE, 0, now);
        peers.learn_seq(Uuid::from_u128(2), 0, now + limits::PRESENCE_ALIVE);
        assert_eq!(peers.take_silent(now + limits::PRESENCE_NODE_TTL), [NODE]);
    }

    #[test]
    fn parts_that_make_no_sense_are_left_out() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        for (nth, parts) in [(0, 0), (2, 2), (0, PRESENCE_MAX_PARTS + 1)] {
            assert!(peers.gather(NODE, part(1, nth, parts), now).is_none());
        }
        // Parts of two answers do not make a whole.
        assert!(peers.gather(NODE, part(1, 0, 2), now).is_none());
        assert!(peers.gather(NODE, part(2, 1, 2), now).is_none());
        assert!(peers.gather(NODE, part(2, 0, 2), now).is_some());
    }
}
