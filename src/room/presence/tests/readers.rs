//! The news that readers are told.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    limits,
    model::{CanvasPoint, DrawingId, Viewport},
    room::presence::{Presence, ViewState},
};

fn presence() -> Presence {
    Presence::new(DrawingId(Uuid::nil()), Uuid::from_u128(1))
}

/// One thing that happens in a room.
#[derive(Clone, Debug)]
enum Step {
    Publish(u8, PresenceState),
    Leave(u8),
    /// The room flushes, and the readers whose bit is set look.
    Flush(u8),
}

fn steps(numbers: std::ops::Range<u8>) -> impl Strategy<Value = Vec<Step>> {
    let at = (0..20i32, 0..20i32, any::<bool>()).prop_map(|(x, y, has_cursor)| {
        let json = if has_cursor { format!(r#"{{"cursor":[{x},{y}]}}"#) } else { format!(r#"{{"n":{x}}}"#) };
        PresenceState::parse(&json).unwrap()
    });
    let step = prop_oneof![
        4 => (numbers.clone(), at).prop_map(|(number, state)| Step::Publish(number, state)),
        3 => numbers.prop_map(Step::Leave),
        2 => any::<u8>().prop_map(Step::Flush),
    ];
    prop::collection::vec(step, 1..80)
}

fn happen(presence: &Presence, step: &Step) {
    match step {
        Step::Publish(number, state) => presence.publish(&present(*number, 1), state.clone()).unwrap(),
        Step::Leave(number) => presence.leave(connection(*number)),
        Step::Flush(_) => drop(presence.flush()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_reader_that_applies_what_it_is_told_has_the_roster_however_often_it_looks(
        steps in steps(0..8),
    ) {
        let presence = presence();
        let mut readers = vec![(Known::new(), 0u64); 8];
        for step in steps.iter().chain([&Step::Flush(u8::MAX)]) {
            happen(&presence, step);
            let Step::Flush(looking) = step else { continue };
            let roster = presence.roster();
            let everybody = entries(&roster.json);
            prop_assert_eq!(everybody.len(), roster.count);
            for (nth, (known, version)) in readers.iter_mut().enumerate() {
                if looking >> nth & 1 == 1 {
                    apply(known, version, &presence.since(*version));
                    prop_assert_eq!(&*known, &everybody);
                    prop_assert_eq!(*version, roster.version);
                }
            }
        }
    }

    #[test]
    fn a_reader_with_a_viewport_has_its_choice_in_a_large_room_and_everybody_in_a_small_one(
        steps in steps(180..215), views in prop::collection::vec((0..20i32, 0..8i32), 1..4),
    ) {
        let presence = presence();
        // A crowd beside those who come and go: about as many as make a room large.
        for number in 0..190u8 {
            let at = format!(r#"{{"cursor":[{},{}]}}"#, number % 20, number / 20);
            presence.publish(&present(number, 1), PresenceState::parse(&at).unwrap()).unwrap();
        }
        let me = 250;
        let mut readers = vec![(Known::new(), ViewState::new(0)); 3];
        for (nth, step) in steps.iter().chain([&Step::Flush(u8::MAX)]).enumerate() {
            let (x, width) = views[nth % views.len()];
            if nth % 7 == 0 {
                let view = format!(r#"{{"viewport":[{x},0,{width},5],"cursor":[{x},1]}}"#);
                presence.publish(&present(me, 2), PresenceState::parse(&view).unwrap()).unwrap();
            }
            happen(&presence, step);
            let Step::Flush(looking) = step else { continue };
            let expected = expected_view(&presence, connection(me));
            for (nth, (known, reader)) in readers.iter_mut().enumerate() {
                if looking >> nth & 1 == 1 {
                    let since = presence.view(connection(me), reader);
                    apply(known, &mut 0, &since);
                    prop_assert_eq!(&*known, &expected);
                    prop_assert_eq!(reader.version(), presence.flushed());
                }
            }
        }
    }
}

/// The view that a reader should have, by a full sort of the roster.
fn expected_view(presence: &Presence, me: ConnectionId) -> Known {
    let mut all = entries(&presence.roster().json);
    if !presence.wants_view(me) {
        return all;
    }
    assert!(all.len() > limits::PRESENCE_VIEWPORT_ABOVE);
    let number = |value: &Value, nth: usize| value[nth].as_f64();
    let mine = all[&me.to_string()]["state"]["viewport"].clone();
    let side = |nth| number(&mine, nth).unwrap();
    let view = Viewport { x: side(0), y: side(1), width: side(2), height: side(3) };
    let rank = |id: &String, entry: &Value| {
        let cursor = &entry["state"]["cursor"];
        let distance = number(cursor, 0)
            .zip(number(cursor, 1))
            .map_or(f64::INFINITY, |(x, y)| view.distance_squared(CanvasPoint { x, y }));
        if *id == me.to_string() { 0.0 } else { distance }
    };
    let mut others: Vec<_> = all.iter().map(|(id, entry)| (rank(id, entry), id.clone())).collect();
    others.retain(|(distance, _)| *distance > 0.0);
    others.sort_by(|(a, one), (b, other)| a.total_cmp(b).then(one.cmp(other)));
    for (_, id) in others.into_iter().skip(limits::PRESENCE_NEAREST) {
        all.remove(&id);
    }
    all
}

#[test]
fn readers_at_one_version_share_one_diff() {
    let presence = presence();
    presence.publish(&present(1, 1), state(1)).unwrap();
    presence.flush();
    let (Since::Diff(one), Since::Diff(other)) = (presence.since(0), presence.since(0)) else {
        panic!("there is news")
    };
    assert!(Arc::ptr_eq(&one, &other));
    assert!(Arc::ptr_eq(&presence.roster().json, &presence.roster().json));
    assert_eq!(presence.since(one.to), Since::Nothing);
}

#[test]
fn a_reader_that_lacks_forgotten_departures_needs_the_roster() {
    let presence = presence();
    let someone = |number: usize| Present {
        connection_id: ConnectionId(Uuid::from_u128(number as u128)),
        ..present(0, 1)
    };
    presence.publish(&someone(0), state(1)).unwrap();
    presence.flush();
    presence.leave(someone(0).connection_id);
    presence.flush();
    let first_departure = presence.flushed();
    let crowd = 1..=limits::PRESENCE_TOMBSTONES;
    for number in crowd.clone() {
        presence.publish(&someone(number), state(1)).unwrap();
    }
    presence.flush();
    assert!(matches!(presence.since(0), Since::Diff(_)));
    for number in crowd {
        presence.leave(someone(number).connection_id);
    }
    presence.flush();
    assert_eq!(presence.since(first_departure - 1), Since::TooOld);
    assert_eq!(presence.view(connection(1), &mut ViewState::new(first_departure - 1)), Since::TooOld);
    assert!(matches!(presence.since(0), Since::Diff(_)), "who was told of nobody lacks nobody's leave");
    assert!(matches!(presence.since(first_departure), Since::Diff(_)));
    assert_eq!(presence.since(u64::MAX), Since::TooOld, "a version of another life of the room");
}

#[test]
fn the_count_is_told_even_when_the_change_is_out_of_view() {
    let presence = presence();
    let far = PresenceState::parse(r#"{"cursor":[1000,1000]}"#).unwrap();
    let view = PresenceState::parse(r#"{"viewport":[0,0,1,1]}"#).unwrap();
    for number in 0..=limits::PRESENCE_VIEWPORT_ABOVE {
        presence.publish(&present(u8::try_from(number).unwrap(), 1), far.clone()).unwrap();
    }
    presence.publish(&present(254, 2), view).unwrap();
    presence.flush();
    let mut reader = ViewState::new(0);
    let Since::Diff(first) = presence.view(connection(254), &mut reader) else { panic!("there is news") };
    assert_eq!(first.count, limits::PRESENCE_VIEWPORT_ABOVE + 2);
    assert_eq!(entries(std::str::from_utf8(&first.set).unwrap()).len(), limits::PRESENCE_NEAREST + 1);
    // The last in the order of ids is not among the nearest.
    presence.publish(&present(253, 1), far.clone()).unwrap();
    presence.flush();
    let Since::Diff(second) = presence.view(connection(254), &mut reader) else {
        panic!("the count changed")
    };
    assert_eq!((second.count, &second.set[..]), (first.count + 1, &b"{}"[..]));
    presence.publish(&present(253, 1), PresenceState::parse(r#"{"cursor":[2000,0]}"#).unwrap()).unwrap();
    presence.flush();
    assert_eq!(presence.view(connection(254), &mut reader), Since::Nothing);
    assert_eq!(reader.version(), presence.flushed());
}
