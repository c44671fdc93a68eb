//! A writer who loses their role in mid-round, and goes on trying.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::{
    account::LEAVER,
    hand::{Hand, Scene},
};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(60);
/// A little more than the time for which the role may be served after it is gone.
const SERVED: Duration = Duration::from_millis(1_500);
/// The least number of attempts after that.
const ATTEMPTS: u64 = 10;

/// Appends to the first drawing at all nodes in turn, each op once, until `stop` and some time after the role is `gone`.
///
/// # Errors
/// When the history cannot be written.
pub(crate) async fn leave(
    scene: Arc<Scene>,
    mut gone: watch::Receiver<Option<Instant>>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut hand = Hand::new(&scene, LEAVER, LEAVER, 0)?;
    let drawing = scene.drawings[0].clone();
    let (mut made, mut late) = (0_u64, 0_u64);
    loop {
        let gone_at = *gone.borrow_and_update();
        // Whoever takes the role may have given up, which is told elsewhere.
        let is_over = match gone_at {
            Some(at) => {
                late += u64::from(at.elapsed() > SERVED);
                late > ATTEMPTS
            }
            None => gone.has_changed().is_err() || scene.is_too_late(),
        };
        if is_over && *stop.borrow() {
            return hand.recorder.finish();
        }
        made += 1;
        let op = json!({"op_id": Uuid::now_v7(), "type": "object.create", "object_id": format!("{LEAVER}-{made}"),
            "kind": "rect", "props": {"x": made}});
        // The judge decides whether it may be taken.
        hand.append_once(&drawing, &[op]).await?;
        hand.turn();
        sleep(PAUSE).await;
    }
}
