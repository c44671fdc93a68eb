//! The bus over NATS when the server is away, and what the server sees of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::StreamExt;
use loadtest::{proxy::Proxy, services::Nats};
use revcast::{
    bus::{Bus, ControlMessage, Delivery, NatsBus, NatsOptions, OpsMessage, Subscription},
    limits,
    model::DrawingId,
    telemetry::Metrics,
};
use tokio::time::timeout;

use crate::{
    bus::contract::{commit, connect, new_drawing, next_message, waiting},
    support::{eventually, nats_port, nats_url},
};

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_subscription_ends_it_at_the_server() {
    let bus = connect(&nats_url()).await;
    let observer = async_nats::connect(nats_url()).await.unwrap();
    let drawing = new_drawing();
    let subscription = bus.subscribe_ops(drawing).await;
    // The server answers a request at once when nobody listens to its subject.
    let is_followed = || {
        let (observer, subject) = (observer.clone(), format!("revcast.{drawing}.ops"));
        async move {
            let answer = timeout(Duration::from_millis(200), observer.request(subject, Bytes::new())).await;
            answer.is_err()
        }
    };
    assert!(is_followed().await);
    drop(subscription);
    eventually("the server forgets the subscription", || {
        let is_followed = is_followed();
        async move { (!is_followed.await).then_some(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_message_is_passed_over() {
    let bus = connect(&nats_url()).await;
    let other = async_nats::connect(nats_url()).await.unwrap();
    let drawing = new_drawing();
    let mut ops = bus.subscribe_ops(drawing).await;
    let mut control = bus.subscribe_control().await;
    for damage in ["", "{", "{\"type\":\"later\"}", "\u{1}short", "\u{63}of a version to come"] {
        for subject in ["ops", "control"] {
            other.publish(format!("revcast.{drawing}.{subject}"), damage.into()).await.unwrap();
        }
    }
    other.flush().await.unwrap();
    bus.publish_ops(commit(drawing, 1));
    assert_eq!(next_message(&mut ops).await, commit(drawing, 1));
    bus.publish_control(ControlMessage::Deleted { drawing_id: drawing });
    while next_message(&mut control).await.drawing_id() != drawing {}
}

/// Waits until the bus says that it is connected, or that it is not.
async fn until_connected(bus: &NatsBus, wanted: bool) {
    let what = if wanted { "the bus is connected" } else { "the bus notices the cut" };
    eventually(what, || async { (bus.is_connected() == wanted).then_some(()) }).await;
}

/// Publishes new messages until one arrives, and returns it.
async fn until_carried(
    bus: &NatsBus,
    subscription: &mut Subscription<OpsMessage>,
    drawing: DrawingId,
    first: u64,
) -> OpsMessage {
    let deadline = Instant::now() + Duration::from_secs(20);
    for revision in first.. {
        bus.publish_ops(commit(drawing, revision));
        if let Ok(Some(Delivery::Message(message))) =
            timeout(Duration::from_millis(50), subscription.next()).await
        {
            return message;
        }
        assert!(Instant::now() < deadline, "nothing arrived");
    }
    unreachable!("there are more revisions than that")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_bus_never_makes_a_publisher_wait_and_comes_back_with_its_subscriptions() {
    let proxy = Proxy::start(nats_port()).await.unwrap();
    let cut_off = connect(&format!("nats://127.0.0.1:{}", proxy.port)).await;
    let other = connect(&nats_url()).await;
    let (drawing, neighbour) = (new_drawing(), new_drawing());
    let mut subscription = cut_off.subscribe_ops(drawing).await;
    let mut control = cut_off.subscribe_control().await;
    other.publish_ops(commit(drawing, 1));
    assert_eq!(next_message(&mut subscription).await, commit(drawing, 1));

    proxy.cut();
    // At once, before the client has noticed, and far more than its queue holds.
    let publish_many = |many: u64| {
        let started = Instant::now();
        for revision in 1..=many {
            cut_off.publish_ops(commit(neighbour, revision));
        }
        assert!(started.elapsed() < Duration::from_secs(2), "publishing took {:?}", started.elapsed());
    };
    publish_many(3 * limits::PUBLISH_QUEUE_MESSAGES as u64);
    until_connected(&cut_off, false).await;
    publish_many(3 * limits::PUBLISH_QUEUE_MESSAGES as u64);
    timeout(Duration::from_secs(1), cut_off.flush()).await.expect("flushing does not wait for the server");
    let late = timeout(Duration::from_secs(2), cut_off.subscribe_ops(neighbour));
    let mut late = late.await.expect("subscribing does not wait for the server");
    assert!(waiting(&mut subscription).is_empty());

    proxy.restore();
    until_connected(&cut_off, true).await;
    let received = until_carried(&other, &mut subscription, drawing, 2).await;
    assert!(received.first.0 >= 2, "nothing is repeated");
    until_carried(&other, &mut late, neighbour, 1_000_000).await;
    // The way out works as well, for both kinds of messages.
    let mut seen = other.subscribe_ops(neighbour).await;
    until_carried(&cut_off, &mut seen, neighbour, 2_000_000).await;
    other.publish_control(ControlMessage::Deleted { drawing_id: drawing });
    while next_message(&mut control).await.drawing_id() != drawing {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_outlives_several_restarts_of_the_server() {
    let mut nats = Nats::start().unwrap();
    let bus = connect(&nats.url()).await;
    let drawing = new_drawing();
    let mut subscription = bus.subscribe_ops(drawing).await;
    for round in 1..=3 {
        nats.stop().unwrap();
        until_connected(&bus, false).await;
        nats.start_again().unwrap();
        until_connected(&bus, true).await;
        until_carried(&bus, &mut subscription, drawing, round * 1_000).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_may_start_before_its_server() {
    let mut nats = Nats::start().unwrap();
    nats.stop().unwrap();
    let patience = limits::NATS_CONNECT_TIMEOUT * 3;
    let bus = timeout(patience, connect(&nats.url())).await.expect("it goes on without a server");
    assert!(!bus.is_connected());
    let drawing = new_drawing();
    let mut subscription = bus.subscribe_ops(drawing).await;
    bus.publish_ops(commit(drawing, 1));
    nats.start_again().unwrap();
    until_connected(&bus, true).await;
    until_carried(&bus, &mut subscription, drawing, 2).await;
}

#[tokio::test]
async fn an_address_that_is_none_is_an_error() {
    for url in ["", " , ", "not an address", "http://127.0.0.1:4222"] {
        let options = NatsOptions { url: url.to_owned(), ..NatsOptions::default() };
        let connected =
            timeout(Duration::from_secs(10), NatsBus::connect(&options, Arc::new(Metrics::new())));
        assert!(connected.await.expect("it ends").is_err(), "{url:?}");
    }
}
