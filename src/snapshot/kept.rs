//! Canvases and pictures that are kept for whoever asks next.
//!
//! Owns two caches, both bounded by bytes: canvases, from which the next request goes on with the few ops
//! since, and pictures, which all who want the same revision share. A caller at work on a canvas has a lease of
//! its slot. An entry that nobody has asked for in a while goes; one that is not there is loaded again. It
//! loads nothing itself.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle, EntryAction, EntryResult},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    memory::Memory,
    picture::{Extent, Picture},
};
use crate::{
    clock::now_ms,
    limits,
    model::{Branch, Canvas, DrawingId, Epoch, History, Revision, UserId},
};

/// Canvases that one node is expected to keep; sizes the tables of the caches.
const CANVAS_CACHE_ENTRIES: usize = 10_000;

/// Canvases and pictures that are kept.
pub(super) struct Kept {
    slots: Cache<DrawingId, CacheSlot, SlotWeight>,
    pub pictures: Cache<PictureKey, Arc<Picture>, PictureWeight>,
}

/// A picture, and how much of the canvas it tells.
pub(super) type PictureKey = (DrawingId, Epoch, Revision, Extent);

/// The place of one drawing in the cache.
#[derive(Clone)]
pub(super) struct CacheSlot {
    content: Arc<SlotContent>,
    /// About how many bytes the canvas took when it was last put here.
    weight: u64,
}

/// The canvas of one drawing, and the turn at it.
#[derive(Default)]
struct SlotContent {
    /// All that is known of its canvas; held while it is brought up to date, so that those who wait share that.
    held: Arc<Mutex<KeptCanvas>>,
    /// Held by whoever resolves an undo, from the look at the canvas to the commit.
    turn: Arc<Mutex<()>>,
    /// The time at which somebody last asked for it, in milliseconds since 1970.
    asked_at: AtomicI64,
    /// The number of leases.
    leases: AtomicUsize,
}

/// The use of a slot, which is not forgotten for want of use before this is dropped. For want of room it may be, and the
/// next one who asks gets another.
pub(super) struct SlotLease(Arc<SlotContent>);

/// The canvas of a slot, for whoever is at it.
pub(super) struct HeldCanvas {
    // Let go before the lease.
    held: OwnedMutexGuard<KeptCanvas>,
    lease: SlotLease,
}

/// A turn at one drawing: who holds it resolves undo and redo, others on this node wait.
#[derive(Debug)]
pub struct UndoTurn {
    // Let go before the lease.
    _turn: OwnedMutexGuard<()>,
    _lease: SlotLease,
}

/// A canvas, and what is known of it.
#[derive(Default)]
pub(super) struct KeptCanvas {
    pub canvas: Canvas,
    /// The branch of the log from which the canvas comes; `None` before anything was read.
    pub branch: Option<Branch>,
    /// The revision at which the canvas was last weighed.
    pub weighed: Revision,
    /// About how many bytes it took then.
    pub weight: u64,
    /// When the last read began that brought it up to the head: whoever came before is served with that.
    pub read_at: Option<Instant>,
    /// The steps that can be undone at this revision, by user, as far as somebody has asked; `None` stands for
    /// all.
    pub histories: HashMap<Option<UserId>, History>,
    /// The pictures that were last made of it. One that is too large to be kept is there for as long as somebody is told
    /// it, and all who ask meanwhile share it.
    pub told: HashMap<Extent, Weak<Picture>>,
}

impl KeptCanvas {
    /// The picture of this revision that somebody is being told, or one that tells more.
    pub(super) fn picture_under_way(&self, epoch: Epoch, extent: Extent) -> Option<Arc<Picture>> {
        let is_this = |picture: &Arc<Picture>| {
            (picture.branch.epoch, picture.revision) == (epoch, self.canvas.revision())
        };
        let told = |extent| self.told.get(&extent).and_then(Weak::upgrade).filter(is_this);
        told(extent).or_else(|| told(Extent::Whole))
    }
}

/// Counts canvases by what they took when they were last weighed, up to as much as a cache takes: one that is too large to
/// be kept would be loaded from nothing for each request.
#[derive(Clone)]
pub(super) struct SlotWeight {
    most: u64,
}

impl Weighter<DrawingId, CacheSlot> for SlotWeight {
    fn weight(&self, _: &DrawingId, slot: &CacheSlot) -> u64 {
        slot.weight.min(self.most)
    }
}

/// Counts pictures by what they take: one that is larger than the cache is not kept, since it has its share of the memory
/// for as long as it is there.
#[derive(Clone)]
pub(super) struct PictureWeight;

impl Weighter<PictureKey, Arc<Picture>> for PictureWeight {
    fn weight(&self, _: &PictureKey, picture: &Arc<Picture>) -> u64 {
        picture.weight()
    }
}

impl Kept {
    pub(super) fn new(memory: &Memory) -> Self {
        let (canvases, pictures) = (memory.kept_canvases(), memory.kept_pictures());
        let weight = SlotWeight { most: largest_in(canvases) };
        Self { slots: cache(canvases, weight), pictures: cache(pictures, PictureWeight) }
    }

    /// The use of the place of a drawing, which is made if there is none.
    pub(super) fn lease(&self, drawing: DrawingId) -> SlotLease {
        // Taken under the lock of the cache: what has a lease is not forgotten, and what was forgotten gets none.
        match self.slots.entry(&drawing, None, |_, slot| EntryAction::Retain(SlotLease::new(&slot.content))) {
            EntryResult::Retained(lease) => lease,
            EntryResult::Vacant(place) => {
                let content = Arc::default();
                let lease = SlotLease::new(&content);
                // Somebody else may have put one there meanwhile, which has its weight by now: this one serves all the same.
                let _ = place.insert(CacheSlot { content, weight: limits::SLOT_WEIGHT });
                lease
            }
            EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => {
                unreachable!("an entry that is there is retained, and one that is made is waited for")
            }
        }
    }

    /// Takes note of how many bytes the canvas of a drawing takes.
    pub(super) fn weigh(&self, drawing: DrawingId, held: &HeldCanvas) {
        self.slots.insert(drawing, CacheSlot { content: held.lease.0.clone(), weight: held.weight });
    }

    /// The picture that is at hand, or one that tells more.
    pub(super) fn picture(&self, (drawing, epoch, revision, extent): PictureKey) -> Option<Arc<Picture>> {
        let get = |extent| self.pictures.get(&(drawing, epoch, revision, extent));
        let kept = get(extent).or_else(|| get(Extent::Whole))?;
        kept.touch();
        Some(kept)
    }

    /// Forgets what nobody has asked for since then, in milliseconds since 1970, and nobody is at.
    pub(super) fn forget_idle(&self, since: i64) {
        self.pictures.retain(|_, picture| !picture.is_idle_since(since));
        // Whoever is at it, or has the turn, has a lease.
        self.slots.retain(|_, slot| slot.content.is_used_since(since));
    }

    /// About how many bytes the canvases take.
    pub(super) fn canvas_bytes(&self) -> u64 {
        self.slots.weight()
    }
}

impl SlotContent {
    fn is_used_since(&self, since: i64) -> bool {
        self.asked_at.load(Ordering::Relaxed) >= since || self.leases.load(Ordering::Acquire) > 0
    }
}

impl SlotLease {
    fn new(content: &Arc<SlotContent>) -> Self {
        content.leases.fetch_add(1, Ordering::Relaxed);
        content.asked_at.store(now_ms(), Ordering::Relaxed);
        Self(content.clone())
    }

    /// Waits for the canvas.
    pub(super) async fn hold(self) -> HeldCanvas {
        HeldCanvas { held: self.0.held.clone().lock_owned().await, lease: self }
    }

    /// Waits for a turn.
    pub(super) async fn turn(self) -> UndoTurn {
        UndoTurn { _turn: self.0.turn.clone().lock_owned().await, _lease: self }
    }
}

impl Drop for SlotLease {
    fn drop(&mut self) {
        self.0.leases.fetch_sub(1, Ordering::Release);
    }
}

impl Deref for HeldCanvas {
    type Target = KeptCanvas;
    fn deref(&self) -> &KeptCanvas {
        &self.held
    }
}

impl DerefMut for HeldCanvas {
    fn deref_mut(&mut self) -> &mut KeptCanvas {
        &mut self.held
    }
}

impl std::fmt::Debug for SlotLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotLease").finish_non_exhaustive()
    }
}

/// More than the allocator keeps for itself when it is freed, in bytes.
const NUDGE_BYTES: usize = 1 << 20;

/// Has the allocator look for what it may give back to the system: it does so when a large piece of memory is freed, and an
/// idle process frees none.
pub(super) fn nudge_allocator() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(NUDGE_BYTES)));
}

/// The most that one thing counts for in a cache of so many bytes, so that a larger one is kept all the same.
fn largest_in(cache: u64) -> u64 {
    cache * 9 / 10
}

/// A cache that is not cut into parts, none of which could take a large canvas.
fn cache<K: Eq + std::hash::Hash, V: Clone, W: Weighter<K, V> + Clone>(
    bytes: u64,
    weighter: W,
) -> Cache<K, V, W> {
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(CANVAS_CACHE_ENTRIES)
        .weight_capacity(bytes)
        .build();
    // Only missing figures can be refused.
    let options = options.unwrap_or_else(|_| unreachable!("both figures are given"));
    Cache::with_options(options, weighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
}
