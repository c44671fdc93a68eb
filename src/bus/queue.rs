//! A bounded queue for one subscriber inside the process.
//!
//! It takes memory for what waits in it alone: a node has one for each drawing that somebody follows, and most of them are
//! quiet. Publishing never waits; when the queue is full the oldest message goes, and the subscriber is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;

use super::{Delivery, Subscription};
use crate::limits;

/// The messages that wait for one subscriber.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Held for one message.
    waiting: Mutex<Queued<T>>,
    arrived: Notify,
}

#[derive(Debug)]
struct Queued<T> {
    messages: VecDeque<T>,
    /// `true` if messages were dropped and the subscriber does not know yet.
    has_lagged: bool,
}

/// Messages for which a queue keeps room while it is empty.
const ROOM_AT_REST: usize = 4;

impl<T: Send + 'static> Queue<T> {
    pub(super) fn new() -> Arc<Self> {
        let waiting = Queued { messages: VecDeque::new(), has_lagged: false };
        Arc::new(Self { waiting: Mutex::new(waiting), arrived: Notify::new() })
    }

    pub(super) fn push(&self, message: T) {
        {
            let mut waiting = self.lock();
            if waiting.messages.len() >= limits::SUBSCRIPTION_MESSAGES {
                waiting.messages.pop_front();
                waiting.has_lagged = true;
            }
            waiting.messages.push_back(message);
        }
        self.arrived.notify_one();
    }

    fn pop(&self) -> Option<Delivery<T>> {
        let mut waiting = self.lock();
        if std::mem::take(&mut waiting.has_lagged) {
            return Some(Delivery::Lagged);
        }
        let message = waiting.messages.pop_front()?;
        if waiting.messages.is_empty() && waiting.messages.capacity() > ROOM_AT_REST {
            waiting.messages.shrink_to(ROOM_AT_REST);
        }
        Some(Delivery::Message(message))
    }

    fn lock(&self) -> MutexGuard<'_, Queued<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages of the queue of `seat`, which is dropped with the subscription.
pub(super) fn follow<T, S>(seat: S) -> Subscription<T>
where
    T: Send + 'static,
    S: AsRef<Queue<T>> + Send + 'static,
{
    stream::unfold(seat, |seat| async {
        loop {
            let queue = seat.as_ref();
            if let Some(delivery) = queue.pop() {
                return Some((delivery, seat));
            }
            queue.arrived.notified().await;
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_for(queue: &Arc<Queue<usize>>) -> Subscription<usize> {
        struct Seat(Arc<Queue<usize>>);
        impl AsRef<Queue<usize>> for Seat {
            fn as_ref(&self) -> &Queue<usize> {
                &self.0
            }
        }
        follow(Seat(queue.clone()))
    }

    #[tokio::test]
    async fn messages_come_in_order_and_an_empty_queue_gives_its_room_back() {
        let queue = Queue::new();
        let mut messages = wait_for(&queue);
        let waiting = tokio::spawn(async move { (messages.next().await, messages) });
        tokio::task::yield_now().await;
        (0..1_000).for_each(|message| queue.push(message));
        let (first, mut messages) = waiting.await.unwrap();
        assert_eq!(first, Some(Delivery::Message(0)));
        for message in 1..1_000 {
            assert_eq!(messages.next().await, Some(Delivery::Message(message)));
        }
        assert!(queue.lock().messages.capacity() <= 2 * ROOM_AT_REST);
    }

    #[tokio::test]
    async fn a_full_queue_drops_the_oldest_and_says_so_once() {
        let queue = Queue::new();
        let mut messages = wait_for(&queue);
        (0..limits::SUBSCRIPTION_MESSAGES + 3).for_each(|message| queue.push(message));
        assert_eq!(messages.next().await, Some(Delivery::Lagged));
        for message in 3..limits::SUBSCRIPTION_MESSAGES + 3 {
            assert_eq!(messages.next().await, Some(Delivery::Message(message)));
        }
        assert!(queue.pop().is_none());
    }
}
