//! The way from the wish to follow a drawing to a place in its room.
//!
//! Owns the task in which a socket joins. It never holds the lock of the socket while it waits.

use std::sync::Arc;

use super::{gateway::Gateway, socket::Socket, subscription::JoinOutcome};
use crate::{
    model::{DrawingId, UserId},
    room::{JoinError, Outlet, Position},
};

/// Begins to follow a drawing; the answer comes when the room has found the place.
pub(super) fn subscribe(
    gateway: &Gateway,
    socket: &Arc<Socket>,
    drawing_id: DrawingId,
    position: Position,
    wants_presence: bool,
) {
    let Some((number, user)) = socket.lock().subscribe(drawing_id) else { return };
    let (node, socket) = (gateway.clone(), socket.clone());
    gateway.tasks.spawn(async move {
        let outcome = join(&node, drawing_id, &user, position, socket.clone(), number).await;
        socket.lock().settle_join(&node.rooms, number, outcome, wants_presence);
    });
}

/// Finds a place in the room of a drawing for a reader of `outlet`, if `user` may have it.
async fn join(
    gateway: &Gateway,
    drawing_id: DrawingId,
    user: &UserId,
    position: Position,
    outlet: Arc<dyn Outlet>,
    number: u64,
) -> JoinOutcome {
    // Before a room is made for it.
    let role = gateway.access.role(drawing_id, user).await.map_err(|_| JoinError::Unavailable)?;
    role.ok_or(JoinError::NoDrawing)?;
    let joined = gateway.rooms.join(drawing_id, user, position, outlet, number).await?;
    // Looked up again now that the reader hears of changes: none falls in between.
    let role = gateway.access.fresh_role(drawing_id, user).await.map_err(|_| JoinError::Unavailable)?;
    Ok((joined, role.ok_or(JoinError::NoDrawing)?))
}
