//! What is kept of canvases for whoever asks next.
//!
//! Owns two caches, both bounded by bytes: canvases, from which the next request goes on with the few ops since, and
//! pictures, which all who want the same revision share. What nobody has asked for in a while goes; whatever is not there is
//! loaded again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use tokio::sync::Mutex;

use super::{
    memory::Memory,
    picture::{Extent, Picture},
};
use crate::{
    clock::now_ms,
    limits,
    model::{Branch, Canvas, DrawingId, Epoch, History, Revision, UserId},
};

/// Canvases and pictures that are kept.
pub(super) struct Kept {
    slots: Cache<DrawingId, Slot, SlotWeight>,
    pub pictures: Cache<PictureKey, Arc<Picture>, PictureWeight>,
}

/// A picture, and how much of the canvas it tells.
pub(super) type PictureKey = (DrawingId, Epoch, Revision, Extent);

/// The place of one drawing.
#[derive(Clone)]
pub(super) struct Slot {
    /// What is known of its canvas; held while it is brought up to date, so that those who wait share that.
    pub held: Arc<Mutex<Held>>,
    /// Held by whoever resolves an undo, from the look at the canvas to the commit.
    pub turn: Arc<Mutex<()>>,
    /// About how many bytes the canvas took when it was last put here.
    weight: u64,
    /// When somebody last asked for it, in milliseconds since 1970.
    asked_at: Arc<AtomicI64>,
}

/// A canvas, and what is known of it.
#[derive(Default)]
pub(super) struct Held {
    pub canvas: Canvas,
    /// That of the log from which the canvas comes; `None` before anything was read.
    pub branch: Option<Branch>,
    /// The revision at which the canvas was last weighed.
    pub weighed: Revision,
    /// About how many bytes it took then.
    pub weight: u64,
    /// When the last read began that brought it up to the head: whoever came before is served with that.
    pub read_at: Option<Instant>,
    /// What can be undone at this revision, by whom, as far as somebody has asked; `None` stands for all.
    pub histories: HashMap<Option<UserId>, History>,
    /// The pictures that were last made of it. One that is too large to be kept is there for as long as somebody is told
    /// it, and all who ask meanwhile share it.
    pub told: HashMap<Extent, Weak<Picture>>,
}

impl Held {
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

impl Weighter<DrawingId, Slot> for SlotWeight {
    fn weight(&self, _: &DrawingId, slot: &Slot) -> u64 {
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

    /// The place of a drawing, made if there is none.
    pub(super) fn slot(&self, drawing: DrawingId) -> Slot {
        let empty = || -> Result<Slot, std::convert::Infallible> {
            let (held, turn, asked_at) = Default::default();
            Ok(Slot { held, turn, asked_at, weight: limits::SLOT_WEIGHT })
        };
        let slot = match self.slots.get_or_insert_with(&drawing, empty) {
            Ok(slot) => slot,
            Err(never) => match never {},
        };
        slot.asked_at.store(now_ms(), Ordering::Relaxed);
        slot
    }

    /// Takes note of how many bytes the canvas of a drawing takes.
    pub(super) fn weigh(&self, drawing: DrawingId, slot: Slot, weight: u64) {
        self.slots.insert(drawing, Slot { weight, ..slot });
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
        // Whoever is at it, or has the turn, has another handle.
        let is_used = |slot: &Slot| Arc::strong_count(&slot.held) > 1 || Arc::strong_count(&slot.turn) > 1;
        self.slots.retain(|_, slot| slot.asked_at.load(Ordering::Relaxed) >= since || is_used(slot));
    }

    /// About how many bytes the canvases take.
    pub(super) fn canvas_bytes(&self) -> u64 {
        self.slots.weight()
    }
}

/// More than the allocator keeps for itself when it is freed, in bytes.
const NUDGE_BYTES: usize = 1 << 20;

/// Has the allocator look for what it may give back to the system: it does so when a large piece of memory is freed, and an
/// idle process frees none.
pub(super) fn nudge_allocator() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(NUDGE_BYTES)));
}

/// What one thing counts for at most in a cache of so many bytes, so that one that is larger is kept all the same.
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
        .estimated_items_capacity(limits::CANVAS_CACHE_ENTRIES)
        .weight_capacity(bytes)
        .build();
    // Only missing figures can be refused.
    let options = options.unwrap_or_else(|_| unreachable!("both figures are given"));
    Cache::with_options(options, weighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
}
