//! What others ask of a room, until its task looks.
//!
//! Takes memory for what is in it alone: a node has one for each drawing that somebody follows. It is bounded by itself: of
//! heartbeats the last one counts, and a connection waits for one room at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::attach::Waiting;
use crate::model::{Epoch, Revision};

/// Where things lie that a room is asked.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    /// Held for a move.
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    mail: Mail,
    /// Whether the room has ended.
    is_closed: bool,
}

/// What a room is asked.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// Those who want to follow the drawing.
    pub waiting: Vec<Waiting>,
    /// The head of the drawing in the store at the last heartbeat.
    pub heartbeat: Option<Heartbeat>,
    /// Whether the drawing was deleted.
    pub is_deleted: bool,
}

/// How the log stood when a node last looked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    pub epoch: Epoch,
    /// `None` when the drawing does not exist.
    pub head: Option<Revision>,
}

impl Mailbox {
    /// Somebody wants to follow the drawing; returns false when the room has ended. Its answer may be dropped: then the room
    /// ended before it looked.
    pub(super) fn attach(&self, waiting: Waiting) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        state.mail.waiting.push(waiting);
        self.arrived.notify_one();
        true
    }

    pub(super) fn beat(&self, heartbeat: Heartbeat) {
        self.lock().mail.heartbeat = Some(heartbeat);
        self.arrived.notify_one();
    }

    pub(super) fn delete(&self) {
        self.lock().mail.is_deleted = true;
        self.arrived.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.mail.waiting.is_empty() && state.mail.heartbeat.is_none() && !state.mail.is_deleted
    }

    /// Waits until there is something. Nothing is lost when it is dropped while it waits.
    pub(super) async fn next(&self) -> Mail {
        self.arrived.notified().await;
        std::mem::take(&mut self.lock().mail)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mailbox while its room runs. Whoever waits for an answer when it ends asks the next room.
pub(super) struct OpenMailbox<'a>(pub &'a Mailbox);

impl Drop for OpenMailbox<'_> {
    fn drop(&mut self) {
        *self.0.lock() = State { mail: Mail::default(), is_closed: true };
    }
}
