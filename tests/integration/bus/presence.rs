//! The rules of the bus about presence; `bus::contract` runs them on every carrier.

use std::sync::Arc;

use revcast::{
    bus::{Bus, PresenceEntry, PresenceMessage},
    model::{ConnectionId, PresenceState},
};
use uuid::Uuid;

use crate::bus::contract::{commit, new_drawing, next_message, waiting};

pub async fn presence_arrives_as_it_was_sent_and_in_order(publisher: &dyn Bus, subscriber: &dyn Bus) {
    let drawing = new_drawing();
    let mut subscription = subscriber.subscribe_presence(drawing).await;
    let (node, state) = (Uuid::now_v7(), format!(r#"{{"a":"ä😀","b":"{}"}}"#, "x".repeat(900)));
    let entry = |nth: usize| PresenceEntry {
        connection_id: ConnectionId(Uuid::new_v4()),
        user_id: "ä \"quoted\"".parse().unwrap(),
        name: nth.is_multiple_of(2).then(|| "Ä".into()),
        claim: 1,
        state: PresenceState::parse(&state).unwrap(),
    };
    // Almost as large as a message may be.
    let set: Vec<_> = (0..110).map(|nth| Arc::new(entry(nth))).collect();
    let gone = vec![ConnectionId(Uuid::new_v4())];
    let sent = [
        PresenceMessage::Ask { node, of: None },
        PresenceMessage::Full { node, seq: 1, part: 0, parts: 1, set: set.clone() },
        PresenceMessage::Diff { node, seq: 2, set: set[..2].to_vec(), gone },
        PresenceMessage::Alive { node, seq: 2 },
    ];
    for message in &sent {
        publisher.publish_presence(drawing, message.clone());
    }
    for message in sent {
        assert_eq!(next_message(&mut subscription).await, message);
    }
}

pub async fn presence_and_ops_do_not_mix(publisher: &dyn Bus, subscriber: &dyn Bus) {
    let (one, other) = (new_drawing(), new_drawing());
    let alive = |seq| PresenceMessage::Alive { node: Uuid::nil(), seq };
    let mut presence = subscriber.subscribe_presence(one).await;
    let mut ops = subscriber.subscribe_ops(one).await;
    publisher.publish_presence(other, alive(1));
    publisher.publish_presence(one, alive(2));
    publisher.publish_ops(commit(one, 1));
    publisher.publish_presence(one, alive(3));
    publisher.publish_ops(commit(one, 2));
    assert_eq!(next_message(&mut presence).await, alive(2));
    assert_eq!(next_message(&mut presence).await, alive(3));
    assert_eq!(next_message(&mut ops).await, commit(one, 1));
    assert_eq!(next_message(&mut ops).await, commit(one, 2));
    assert!(waiting(&mut presence).is_empty() && waiting(&mut ops).is_empty());
}
