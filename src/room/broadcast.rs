//! Hands what a room tells to its readers, on as many cores as are worth it.
//!
//! Owns the broadcasters of a room: tasks that each have a share of the readers. A reader is a
//! [`Recipient`]; what it does with the bytes is its own business, but it must not wait.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    outlet::Recipient,
    ring::{Batch, Ring},
};
use crate::{limits, trace, wire::News};

/// Time between two looks of a broadcaster without news for readers that are gone.
const BROADCAST_PURGE: Duration = Duration::from_secs(5);

/// The share of its readers, one in so many, that a broadcaster tells of presence after each round of ops,
/// however many ops there are.
const PRESENCE_SHARE: usize = 8;

/// Readers that a broadcaster tells of presence before it looks for ops, which go first.
/// At the bound, other work runs first.
const PRESENCE_STRIDE: usize = 16;

/// Broadcasters of one room, or as many as there are cores if these are fewer.
/// At the bound, all share the readers.
const BROADCASTERS_MAX: usize = 8;

/// Readers that the first broadcaster of a room tells by itself.
/// At the bound, the next broadcaster helps.
const BROADCAST_ALONE: usize = 128;

/// The broadcasters of one room.
#[derive(Debug)]
pub(super) struct Broadcast {
    ring: Arc<Ring>,
    shards: Box<[Shard]>,
    tasks: TaskTracker,
    /// Ends the broadcasters with the room.
    stop: CancellationToken,
}

/// One broadcaster.
#[derive(Debug)]
struct Shard {
    /// `true` while its task runs.
    is_running: AtomicBool,
    wake: Notify,
    /// `true` if presence has changed since its readers were told of it.
    has_presence: AtomicBool,
    /// The readers that came since its last round. Held to add one, or to take all.
    joined: Mutex<Vec<Recipient>>,
    /// Its readers, roughly: those who left are counted until the next round.
    size: AtomicUsize,
}

impl Broadcast {
    pub(super) fn new(ring: &Arc<Ring>, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let cores = Handle::current().metrics().num_workers();
        let shard = |_| Shard {
            is_running: AtomicBool::new(false),
            wake: Notify::new(),
            has_presence: AtomicBool::new(false),
            joined: Mutex::default(),
            size: AtomicUsize::new(0),
        };
        let shards = (0..cores.min(BROADCASTERS_MAX)).map(shard).collect();
        Self { ring: ring.clone(), shards, tasks: tasks.clone(), stop }
    }

    /// Adds a reader, which will be offered what is pushed from now on.
    pub(super) fn join(self: &Arc<Self>, member: Recipient) {
        let first = self.shards.iter().position(|shard| shard.size() < BROADCAST_ALONE);
        let least = || (0..self.shards.len()).min_by_key(|nth| self.shards[*nth].size());
        let Some(nth) = first.or_else(least) else { return };
        let shard = &self.shards[nth];
        shard.size.fetch_add(1, Ordering::Relaxed);
        shard.joined.lock().unwrap_or_else(PoisonError::into_inner).push(member);
        if !shard.is_running.swap(true, Ordering::AcqRel) {
            self.tasks.spawn(run(self.clone(), nth, self.ring.end()));
        }
        // Whoever joined reads by themselves first; from then on the broadcaster must know them.
        shard.wake.notify_one();
    }

    /// Lets all broadcasters look at presence, once they have told all ops.
    pub(super) fn wake_for_presence(&self) {
        for shard in &self.shards {
            shard.has_presence.store(true, Ordering::Release);
        }
        self.wake();
    }

    /// Lets all broadcasters look at the ring.
    pub(super) fn wake(&self) {
        for shard in &self.shards {
            if shard.is_running.load(Ordering::Acquire) {
                shard.wake.notify_one();
            }
        }
    }
}

impl Shard {
    fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }
}

/// Tells the readers of one shard until the room ends, from item `position` on.
async fn run(broadcast: Arc<Broadcast>, nth: usize, mut position: u64) {
    let shard = &broadcast.shards[nth];
    let mut members: Vec<Recipient> = Vec::new();
    // Those at the front who are still to be told of presence.
    let mut untold = 0;
    let mut purges = tokio::time::interval(BROADCAST_PURGE);
    loop {
        let is_purge = tokio::select! {
            () = broadcast.stop.cancelled() => return,
            () = shard.wake.notified() => false,
            _ = purges.tick() => true,
        };
        members.append(&mut shard.joined.lock().unwrap_or_else(PoisonError::into_inner));
        let batch = broadcast.ring.batch(position);
        position = batch.end();
        // Without news, whoever is gone is found now and then.
        if is_purge || !batch.items.is_empty() {
            offer(shard, &mut members, &batch).await;
            trace_delivery(&broadcast.ring, &batch, members.len());
        }
        if shard.has_presence.swap(false, Ordering::AcqRel) {
            untold = members.len();
        }
        untold = untold.min(members.len());
        // Ops go first, but presence is not to starve while they never end.
        let share = untold.saturating_sub(members.len().div_ceil(PRESENCE_SHARE));
        while untold > share || (untold > 0 && !broadcast.ring.has_after(position)) {
            let stride = untold.saturating_sub(PRESENCE_STRIDE)..untold;
            untold = stride.start;
            for member in &members[stride] {
                member.outlet.offer_presence(member.reader);
            }
            tokio::task::yield_now().await;
        }
        if untold > 0 {
            // Ops first; then the rest.
            shard.wake.notify_one();
        }
    }
}

/// Says at level `debug` which ops were offered to how many readers; otherwise it costs a look at a flag.
fn trace_delivery(ring: &Ring, batch: &Batch, readers: usize) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let frames = || {
        batch.items.iter().filter_map(|item| match &item.news {
            News::Ops(frame) => Some(frame),
            _ => None,
        })
    };
    if let (Some(first), Some(last)) = (frames().next(), frames().next_back()) {
        let (drawing, first, last) = (ring.drawing_id, first.first.0, last.last.0);
        tracing::debug!(node = trace::node(), %drawing, first, last, readers, "delivered");
    }
}

/// Offers a batch to all members, and forgets those who are gone.
async fn offer(shard: &Shard, members: &mut Vec<Recipient>, batch: &Batch) {
    let mut at = 0;
    while at < members.len() {
        let stop = members.len().min(at + limits::BROADCAST_STRIDE);
        while at < stop.min(members.len()) {
            let member = &members[at];
            if member.outlet.offer(member.reader, batch) {
                at += 1;
            } else {
                members.swap_remove(at);
                shard.size.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if at < members.len() {
            // A large room must not keep writes and other rooms waiting.
            tokio::task::yield_now().await;
        }
    }
}
