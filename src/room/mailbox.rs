//! The requests of others to a room, kept until its task looks.
//!
//! Takes memory only for what is in it, since a node has one for each drawing that somebody follows. Its size
//! is bounded: only the last heartbeat counts, and a connection waits for one room at a time.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use super::attach::PendingJoin;
use crate::model::{Epoch, Revision};

/// Where things lie that a room is asked.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    /// Held for a move.
    state: Mutex<State>,
    arrived: Notify,
    /// The number of those who are about to join the room: they found it, and are not counted among its readers
    /// yet.
    joining: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    mail: Mail,
    /// `true` once the room has ended.
    is_closed: bool,
}

/// The requests to a room.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// Those who want to follow the drawing.
    pub waiting: Vec<PendingJoin>,
    /// The head of the drawing in the store at the last heartbeat.
    pub heartbeat: Option<Heartbeat>,
    /// `true` if the drawing was deleted.
    pub is_deleted: bool,
}

/// The log as it stood when the node last looked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    pub epoch: Epoch,
    /// `None` when the drawing does not exist.
    pub head: Option<Revision>,
}

impl Mailbox {
    /// Somebody wants to follow the drawing; returns false when the room has ended. Its answer may be dropped: then the room
    /// ended before it looked.
    pub(super) fn attach(&self, waiting: PendingJoin) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        state.mail.waiting.push(waiting);
        self.arrived.notify_one();
        true
    }

    /// Notes that somebody is at joining the room until the value goes.
    pub(super) fn begin_joining(self: &Arc<Self>) -> Joining {
        self.joining.fetch_add(1, Ordering::AcqRel);
        Joining(self.clone())
    }

    /// Returns `true` if anybody is about to join the room.
    pub(super) fn is_joined(&self) -> bool {
        self.joining.load(Ordering::Acquire) > 0
    }

    /// Ends the room.
    pub(super) fn close(&self) {
        *self.lock() = State { mail: Mail::default(), is_closed: true };
        self.arrived.notify_one();
    }

    /// Returns `true` if the room has ended, or is to end.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
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
        self.0.close();
    }
}

/// Somebody who is at joining a room.
pub(super) struct Joining(Arc<Mailbox>);

impl Drop for Joining {
    fn drop(&mut self) {
        self.0.joining.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;
    use crate::room::Position;

    fn waiting() -> (PendingJoin, oneshot::Receiver<impl Sized>) {
        let (reply, answer) = oneshot::channel();
        (PendingJoin::new(Position { after: None, epoch: None }, reply), answer)
    }

    fn heartbeat(head: u64) -> Heartbeat {
        Heartbeat { epoch: Epoch(Uuid::nil()), head: Some(Revision(head)) }
    }

    #[tokio::test]
    async fn all_that_lies_there_is_taken_at_once_and_of_heartbeats_the_last() {
        let mailbox = Mailbox::default();
        let _open = OpenMailbox(&mailbox);
        assert!(mailbox.is_empty() && mailbox.next().now_or_never().is_none());
        let (first, _answer) = waiting();
        let (second, _other) = waiting();
        assert!(mailbox.attach(first) && mailbox.attach(second));
        mailbox.beat(heartbeat(1));
        mailbox.beat(heartbeat(2));
        assert!(!mailbox.is_empty());
        let mail = mailbox.next().await;
        assert_eq!((mail.waiting.len(), mail.is_deleted), (2, false));
        assert_eq!(mail.heartbeat.and_then(|heartbeat| heartbeat.head), Some(Revision(2)));
        assert!(mailbox.is_empty());
        mailbox.delete();
        assert!(mailbox.next().await.is_deleted);
    }

    #[tokio::test]
    async fn who_waits_when_the_room_ends_is_told_and_nobody_comes_after_that() {
        let mailbox = Mailbox::default();
        let open = OpenMailbox(&mailbox);
        let (early, answer) = waiting();
        assert!(mailbox.attach(early));
        drop(open);
        assert!(mailbox.is_closed());
        assert!(answer.await.is_err(), "it asks the next room");
        let (late, _answer) = waiting();
        assert!(!mailbox.attach(late));
    }
}
