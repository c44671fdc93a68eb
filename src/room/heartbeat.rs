//! The regular look of a node at all its rooms at once: at the heads of their logs, and at the roles of their
//! readers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{mailbox::Heartbeat, map::RoomEntry, shared::RoomServices};
use crate::{
    bus::ControlMessage,
    limits,
    model::{DrawingId, UserId},
    store::{self, StoreError},
};

/// Roles of live readers that are looked up in one query.
/// At the bound, the rest is looked up in another query.
const ROLE_CHECK_BATCH: usize = 4_096;

/// Reads the heads of all rooms in one query at every beat, and tells each its own.
pub(super) async fn beat(shared: Arc<RoomServices>) {
    let mut beats = tokio::time::interval(shared.heartbeat);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = beats.tick() => (),
        }
        let rooms = shared.rooms.all();
        shared.metrics.rooms.set(f64::from(u32::try_from(rooms.len()).unwrap_or(u32::MAX)));
        let ids: Vec<_> = rooms.iter().map(|(id, _)| *id).collect();
        match store::call(shared.store.heads(&ids)).await {
            Ok(heads) => {
                shared.epoch.send_if_modified(|epoch| std::mem::replace(epoch, heads.epoch) != heads.epoch);
                for (id, room) in &rooms {
                    shared.presence.note_readers(*id, room.ring.reader_count());
                    room.mailbox.beat(Heartbeat { epoch: heads.epoch, head: heads.head(*id) });
                }
            }
            Err(error) => crate::store::log_store_failure!(error, "the heads could not be read"),
        }
    }
}

/// Looks after the roles of all readers: the safety net under control messages.
pub(super) async fn watch_roles(shared: Arc<RoomServices>) {
    let mut ticks = tokio::time::interval(limits::ROLE_CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = ticks.tick() => (),
        }
        let rooms = shared.rooms.all();
        match store::call(check_roles(&shared, &rooms)).await {
            Ok(()) => (),
            Err(error) => crate::store::log_store_failure!(error, "the roles of readers could not be read"),
        }
    }
}

/// Reads the roles of all readers in one query, and tells the rooms what no message told them.
async fn check_roles(shared: &RoomServices, rooms: &[(DrawingId, RoomEntry)]) -> Result<(), StoreError> {
    let users_of = |(id, room): &(DrawingId, RoomEntry)| {
        room.audience.users().into_iter().map(|user| (*id, user)).collect::<Vec<_>>()
    };
    let pairs: Vec<(DrawingId, UserId)> = rooms.iter().flat_map(users_of).collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let mut roles = HashMap::new();
    for some in pairs.chunks(ROLE_CHECK_BATCH) {
        roles.extend(shared.store.roles(some).await?);
    }
    let asked: HashSet<_> = pairs.into_iter().collect();
    for (drawing_id, room) in rooms {
        for user_id in room.audience.users() {
            let role = roles.get(&(*drawing_id, user_id.clone())).copied();
            // A user who sat down after the query is for the next beat.
            let was_asked = role.is_some() || asked.contains(&(*drawing_id, user_id.clone()));
            if was_asked && room.audience.learn_role(&user_id, role) {
                if role.is_none() {
                    let (drawing_id, user_id) = (*drawing_id, user_id.clone());
                    shared.presence.apply(&ControlMessage::Role { drawing_id, user_id, role });
                }
                room.audience.change_role(&user_id, role);
            }
        }
    }
    Ok(())
}
