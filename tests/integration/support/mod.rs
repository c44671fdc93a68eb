//! The parts of tests: servers in this process, clients, and conditions to wait for.

mod app;
pub mod asyncapi;
mod client;
mod counting;
pub mod crowd;
pub mod events;
mod fickle;
pub mod follower;
pub mod interop;
mod logs;
pub mod naive;
pub mod nats_users;
pub mod program;
pub mod random_log;
pub mod raw;
pub mod replica;
pub mod rooms;
mod s3;
pub mod scribblers;
pub mod scripted;
pub mod watched;

use std::{
    future::Future,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use loadtest::services::{Durability, Nats, Postgres};
use serde_json::{Value, json};
use uuid::Uuid;

pub use app::App;
pub use client::{Answer, Client};
pub use counting::CountingStore;
pub use fickle::FickleBus;
pub use loadtest::services::LIFTED_LIMITS;
pub use logs::Logs;
pub use s3::S3Server;

/// The cluster that tests share, each with a database of its own.
static POSTGRES: LazyLock<Postgres> =
    LazyLock::new(|| Postgres::start(Durability::Process).expect("Postgres starts"));
/// The NATS server that tests share; subjects bear the ids of drawings, so they do not meet.
static NATS: LazyLock<Nats> = LazyLock::new(|| Nats::start().expect("NATS starts"));

/// An empty database in the shared cluster.
pub fn new_database() -> String {
    // Two copies of the template at one time are refused.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    POSTGRES.create_database().expect("a database is created")
}

/// The address of the shared NATS server.
pub fn nats_url() -> String {
    NATS.url()
}

/// The port of the shared NATS server, for a proxy.
pub fn nats_port() -> u16 {
    NATS.port
}

/// A new op id.
pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// A small op that anyone who may write may commit: it moves one object.
pub fn op(x: u64) -> Value {
    json!({"op_id": new_id(), "type": "object.update", "object_id": "a", "set": {"x": x}})
}

/// Waits until `probe` gives something, asking again and again; panics with `what` after 20 s.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for what has a part in heartbeats, and so is never silent; panics with `what` after 60 s.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(Duration::from_secs(60), future).await;
    outcome.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// The revisions of ops, in the order given.
pub fn revisions(ops: &[Value]) -> Vec<u64> {
    ops.iter().map(|op| op["revision"].as_u64().expect("an op has a revision")).collect()
}
