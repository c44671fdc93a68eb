//! Follows the control messages of all nodes.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::Hints;
use crate::{
    access::Access,
    bus::{Bus, ControlMessage, Delivery},
    room::Rooms,
};

/// Brings news of roles to the cache and to the rooms of this node, and hints to its worker.
pub async fn follow_control(
    bus: Arc<dyn Bus>,
    access: Access,
    rooms: Rooms,
    hints: Hints,
    stop: CancellationToken,
) {
    let mut news = bus.subscribe_control().await;
    loop {
        let delivery = tokio::select! {
            () = stop.cancelled() => return,
            delivery = news.next() => delivery,
        };
        match delivery {
            Some(Delivery::Message(ControlMessage::Grown { drawing_id })) => hints.give(drawing_id),
            Some(Delivery::Message(message)) => {
                access.apply(&message);
                rooms.apply(&message);
            }
            Some(Delivery::Lagged) => tracing::warn!("news of roles was lost; caches expire within a second"),
            None => return,
        }
    }
}
