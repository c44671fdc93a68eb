//! Several nodes with one room.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::{
    bus::PresenceMessage,
    limits,
    room::presence::{PresenceError, shown::Board},
};

/// Nodes, and what is on its way between them.
struct Net {
    nodes: Vec<Roster>,
    /// Messages that have not arrived, each with the node it goes to.
    wire: Vec<(usize, PresenceMessage)>,
    now: Instant,
}

impl Net {
    fn new(nodes: u128) -> Self {
        let nodes = (1..=nodes).map(|node| Roster::new(Uuid::from_u128(node))).collect();
        Self { nodes, wire: Vec::new(), now: Instant::now() }
    }

    /// Every node flushes and says what it has to say.
    fn send(&mut self) {
        for from in 0..self.nodes.len() {
            self.nodes[from].flush();
            for message in self.nodes[from].take_outbox() {
                // The bus of the test is as the real one: a node's own messages come back to it, too.
                let message = PresenceMessage::decode(&message.encode()).unwrap();
                assert!(message.encode().len() <= limits::MAX_BUS_MESSAGE_BYTES);
                self.wire.extend((0..self.nodes.len()).map(|to| (to, message.clone())));
            }
        }
    }

    fn deliver(&mut self) {
        for (to, message) in std::mem::take(&mut self.wire) {
            self.nodes[to].receive(message, self.now);
        }
    }

    /// A time in which nothing is lost.
    fn settle(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.nodes.iter_mut().for_each(|node| node.tick(self.now));
            self.exchange();
        }
    }

    /// Everything that is said arrives, and so do the answers.
    fn exchange(&mut self) {
        for _ in 0..4 {
            self.send();
            self.deliver();
        }
    }

    fn publish(&mut self, node: usize, number: u8, n: i32) {
        self.nodes[node].publish(&present(number, number / 4), state(n)).unwrap();
    }

    fn publish_http(&mut self, node: usize, number: u8, n: i32) {
        self.nodes[node].publish_http(&present(number, number / 4), state(n), self.now).unwrap();
    }

    fn numbers(&mut self, node: usize) -> Vec<u128> {
        who(&mut self.nodes[node]).into_keys().map(|connection| connection.0.as_u128()).collect()
    }

    fn expect_everywhere(&mut self, expected: &[u128]) {
        for node in 0..self.nodes.len() {
            assert_eq!(self.numbers(node), expected, "node {node}");
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Socket(usize, u8, i32),
    Http(usize, u8, i32),
    Leave(usize, u8),
    LeaveHttp(usize, u8),
    Drop(usize, u8),
    Tick(u8),
    Send,
    Lose(prop::sample::Index),
    Repeat(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Deliver,
}

fn step() -> impl Strategy<Value = Step> {
    let (node, number, n) = (0..3usize, 0..12u8, 0..5i32);
    let any = any::<prop::sample::Index>;
    prop_oneof![
        4 => (node.clone(), number.clone(), n.clone()).prop_map(|(node, who, n)| Step::Socket(node, who, n)),
        3 => (node.clone(), number.clone(), n).prop_map(|(node, who, n)| Step::Http(node, who, n)),
        2 => (node.clone(), number.clone()).prop_map(|(node, who)| Step::Leave(node, who)),
        1 => (node.clone(), number.clone()).prop_map(|(node, who)| Step::LeaveHttp(node, who)),
        2 => (node, number).prop_map(|(node, who)| Step::Drop(node, who)),
        1 => (1..12u8).prop_map(Step::Tick),
        6 => Just(Step::Send),
        3 => any().prop_map(Step::Lose),
        2 => any().prop_map(Step::Repeat),
        3 => (any(), any()).prop_map(|(one, other)| Step::Swap(one, other)),
        3 => Just(Step::Deliver),
    ]
}

fn happen(net: &mut Net, step: &Step) {
    let waiting = net.wire.len();
    match step {
        Step::Socket(node, number, n) => net.publish(*node, *number, *n),
        Step::Http(node, number, n) => net.publish_http(*node, *number, *n),
        Step::Leave(node, number) => net.nodes[*node].leave(connection(*number)),
        Step::LeaveHttp(node, number) => {
            net.nodes[*node].leave_http(&present(*number, *number / 4)).unwrap();
        }
        Step::Drop(node, number) => net.nodes[*node].socket_dropped(connection(*number), net.now),
        Step::Tick(seconds) => {
            net.now += Duration::from_secs((*seconds).into());
            net.nodes.iter_mut().for_each(|node| node.tick(net.now));
        }
        Step::Send => net.send(),
        Step::Deliver => net.deliver(),
        Step::Lose(_) | Step::Repeat(_) | Step::Swap(..) if waiting == 0 => (),
        Step::Lose(which) => drop(net.wire.remove(which.index(waiting))),
        Step::Repeat(which) => net.wire.push(net.wire[which.index(waiting)].clone()),
        Step::Swap(one, other) => net.wire.swap(one.index(waiting), other.index(waiting)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn nodes_agree_again_whatever_was_lost_repeated_or_late(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut net = Net::new(3);
        for step in &steps {
            happen(&mut net, step);
        }
        net.deliver();
        net.settle(limits::PRESENCE_NODE_TTL.as_secs() + 5);
        let expected = who(&mut net.nodes[0]);
        for node in 1..3 {
            prop_assert_eq!(&who(&mut net.nodes[node]), &expected, "node {}", node);
        }
        // Nobody is held twice, and nobody is there whom no node holds.
        let held: usize = net.nodes.iter().map(Roster::local).sum();
        prop_assert_eq!(held, expected.len());
    }
}

#[test]
fn a_change_is_on_the_other_nodes_after_one_message() {
    let mut net = Net::new(3);
    net.publish(0, 1, 1);
    net.publish(1, 2, 1);
    net.send();
    net.deliver();
    net.expect_everywhere(&[1, 2]);
    net.nodes[0].leave(connection(1));
    net.send();
    net.deliver();
    net.expect_everywhere(&[2]);
}

#[test]
fn a_new_node_asks_and_is_told_everything_at_once() {
    let mut net = Net::new(2);
    net.publish(0, 1, 1);
    net.send();
    net.wire.clear();
    net.nodes[1].ask_all(net.now);
    net.exchange();
    net.expect_everywhere(&[1]);
}

#[test]
fn a_large_answer_comes_in_parts_and_counts_when_all_are_there() {
    let mut net = Net::new(2);
    let large = PresenceState::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000))).unwrap();
    for number in 0..=u8::MAX {
        net.nodes[0].publish(&present(number, 1), large.clone()).unwrap();
    }
    net.send();
    assert!(net.wire.len() > 2, "the diff is cut too");
    net.wire.clear();
    net.nodes[1].ask_all(net.now);
    net.send();
    net.deliver();
    net.send();
    let last = net.wire.pop().unwrap();
    assert!(matches!(last.1, PresenceMessage::Full { parts: 2.., .. }));
    net.deliver();
    assert_eq!(net.nodes[1].count(), 0);
    net.wire.push(last);
    net.deliver();
    assert_eq!(net.nodes[1].count(), 256);
}

#[test]
fn many_who_ask_get_one_answer_a_second() {
    let mut net = Net::new(2);
    net.publish(0, 1, 1);
    net.exchange();
    let fulls = |net: &mut Net| {
        let said = net.nodes[0].take_outbox();
        said.iter().filter(|message| matches!(message, PresenceMessage::Full { .. })).count()
    };
    let ask = |number| PresenceMessage::Ask { node: Uuid::from_u128(number), of: None };
    let start = net.now;
    for asker in 10..20 {
        net.nodes[0].receive(ask(asker), start);
    }
    assert_eq!(fulls(&mut net), 1);
    net.nodes[0].tick(start + limits::PRESENCE_FULL_EVERY);
    assert_eq!(fulls(&mut net), 1, "those who came too late are answered together");
    net.nodes[0].tick(start + 2 * limits::PRESENCE_FULL_EVERY);
    assert_eq!(fulls(&mut net), 0);
}

#[test]
fn the_presences_of_a_dead_node_go_after_its_time() {
    let mut net = Net::new(2);
    net.publish(0, 1, 1);
    net.publish(1, 2, 1);
    net.exchange();
    net.settle(limits::PRESENCE_NODE_TTL.as_secs() * 3);
    net.expect_everywhere(&[1, 2]);
    net.nodes.truncate(1);
    net.settle(limits::PRESENCE_NODE_TTL.as_secs() - 3);
    assert_eq!(net.numbers(0), [1, 2]);
    net.settle(3);
    assert_eq!(net.numbers(0), [1]);
}

#[test]
fn a_posted_connection_moves_between_nodes_and_none_loses_it() {
    let mut net = Net::new(3);
    net.publish_http(0, 1, 1);
    net.exchange();
    net.settle(20);
    net.publish_http(1, 1, 2);
    net.exchange();
    net.expect_everywhere(&[1]);
    assert_eq!((net.nodes[0].local(), net.nodes[1].local()), (0, 1));
    // The first node's time is over; the second one's is not.
    net.settle(20);
    net.expect_everywhere(&[1]);
    let stranger = present(1, 9);
    assert_eq!(net.nodes[2].publish_http(&stranger, state(3), net.now), Err(PresenceError::NotYours));
    net.nodes[2].leave_http(&present(1, 0)).unwrap();
    net.exchange();
    net.expect_everywhere(&[]);
}

#[test]
fn a_departure_told_by_one_node_does_not_end_what_another_one_holds() {
    let mut net = Net::new(3);
    net.publish_http(0, 1, 1);
    net.exchange();
    net.publish_http(1, 1, 2);
    net.send();
    // Before it hears that the connection has moved, the first node ends it.
    net.nodes[0].leave(connection(1));
    net.send();
    net.wire.reverse();
    net.deliver();
    net.exchange();
    net.expect_everywhere(&[1]);
}

#[test]
fn a_user_who_is_back_at_another_node_ends_the_grace_at_the_first() {
    let mut net = Net::new(2);
    net.publish(0, 1, 1);
    net.exchange();
    net.nodes[0].socket_dropped(connection(1), net.now);
    net.publish(1, 2, 1);
    net.exchange();
    net.expect_everywhere(&[2]);
}

#[test]
fn readers_of_a_node_are_told_of_those_at_others() {
    let mut net = Net::new(2);
    let mut board = Board::new(crate::model::DrawingId(Uuid::nil()));
    net.publish(0, 1, 1);
    net.send();
    net.deliver();
    assert!(board.apply(net.nodes[1].flush()));
    assert_eq!(entries(&board.text().json).len(), 1);
    // The same state from another node is no change.
    net.publish(1, 1, 1);
    assert!(!board.apply(net.nodes[1].flush()));
}
