//! The owner of a drawing: makes it, lets people in, and takes roles away for a while.

use anyhow::ensure;
use serde_json::json;
use tokio::time::sleep;

use crate::hand::{Hand, Request};

/// Makes the drawing and gives `users` their roles.
///
/// # Errors
/// When the drawing is refused.
pub async fn set_up(hand: &mut Hand, users: &[(String, &'static str)]) -> anyhow::Result<()> {
    let create = Request::new("POST", "/v1/drawings".to_owned(), json!({"call": "create"}));
    let answer = hand.insist(&create.with(json!({"drawing_id": hand.drawing}))).await;
    ensure!(answer.status < 300, "a new drawing is refused: {answer:?}");
    for (user, role) in users {
        give(hand, user, role).await;
    }
    Ok(())
}

async fn give(hand: &mut Hand, user: &str, role: &str) {
    let line = json!({"call": "role", "user": user, "role": role});
    let request = Request::new("PUT", hand.path(&format!("/members/{user}")), line);
    hand.insist_in_order(&request.with(json!({"role": role}))).await;
}

async fn take(hand: &mut Hand, user: &str) {
    let line = json!({"call": "role", "user": user});
    hand.insist_in_order(&Request::new("DELETE", hand.path(&format!("/members/{user}")), line)).await;
}

/// Takes roles away and gives them back, until all of that has been done.
pub async fn rule(mut hand: Hand, users: Vec<(String, &'static str)>) {
    for _ in 0..hand.world.plan.revocations {
        sleep(hand.chance.millis(300, 3_000)).await;
        let Some((user, role)) = hand.chance.pick(&users).cloned() else { return };
        take(&mut hand, &user).await;
        sleep(hand.chance.millis(200, 3_000)).await;
        give(&mut hand, &user, role).await;
    }
}
