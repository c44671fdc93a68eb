//! The memory that canvases may take, and the shares of it.
//!
//! Half of it is for canvases that are kept, which a cache bounds by itself. The other half is shared out here:
//! to callers that load a canvas, and to the pictures made of canvases, for as long as anybody has one.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The unit of sharing, in bytes.
const GRAIN: u64 = 1 << 10;

/// The memory for the canvases of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Inner>);

struct Inner {
    bytes: u64,
    /// The time that a caller waits for a share.
    patience: Duration,
    /// First the part that is for the past, so that looking back keeps nobody from the present; then all of it.
    lanes: [MemoryShare; 2],
}

/// A part of the memory.
struct MemoryShare {
    free: Arc<Semaphore>,
    /// The most that one may have. Pictures that are kept take up the rest; whoever needs more than this works alone.
    most: u64,
}

/// The purpose for which a canvas is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadPurpose {
    /// Somebody wants the present.
    Present,
    /// Somebody looks back.
    Past,
}

/// There is not enough memory, and there was none for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many canvases are being loaded")]
pub struct OutOfMemory;

/// A part of the memory, which is given back when this goes.
#[derive(Debug)]
pub struct Share {
    memory: Memory,
    purpose: LoadPurpose,
    /// The part of each lane that it has.
    permits: [Option<OwnedSemaphorePermit>; 2],
}

impl Memory {
    /// So many bytes, which one waits for as long as `patience`.
    #[must_use]
    pub fn new(bytes: u64, patience: Duration) -> Self {
        let kept_pictures = kept_pictures(bytes);
        let lane = |bytes: u64| MemoryShare {
            free: Arc::new(Semaphore::new(usize::try_from(bytes / GRAIN).unwrap_or(Semaphore::MAX_PERMITS))),
            most: (bytes - kept_pictures) / GRAIN,
        };
        // The present finds an eighth of the memory, whatever the past takes.
        let lanes = [lane(bytes * 3 / 8), lane(bytes / 2)];
        Self(Arc::new(Inner { bytes, patience, lanes }))
    }

    /// The bytes of canvases that may be kept.
    pub(crate) fn kept_canvases(&self) -> u64 {
        self.0.bytes / 2
    }

    /// The bytes of pictures that may be kept.
    pub(crate) fn kept_pictures(&self) -> u64 {
        kept_pictures(self.0.bytes)
    }

    /// The bytes that are shared out.
    pub(crate) fn shared_out(&self) -> u64 {
        let [_, all] = &self.0.lanes;
        (self.0.bytes / 2).saturating_sub(all.free.available_permits() as u64 * GRAIN)
    }

    /// Waits for a share of about so many bytes, as long as it has patience.
    ///
    /// # Errors
    /// When there is not so much.
    pub async fn share(&self, purpose: LoadPurpose, bytes: u64) -> Result<Share, OutOfMemory> {
        let mut share = Share { memory: self.clone(), purpose, permits: [None, None] };
        share.grow_to(bytes).await?;
        Ok(share)
    }
}

/// An eighth of the memory.
fn kept_pictures(bytes: u64) -> u64 {
    bytes / 8
}

impl Share {
    /// Waits until it has about so many bytes, as long as the memory has patience; it has no fewer than before.
    ///
    /// # Errors
    /// When there is not so much.
    pub async fn grow_to(&mut self, bytes: u64) -> Result<(), OutOfMemory> {
        let patience = self.memory.0.patience;
        let first = if self.purpose == LoadPurpose::Past { 0 } else { 1 };
        for (lane, permit) in self.memory.0.lanes.iter().zip(&mut self.permits).skip(first) {
            let wanted = bytes.div_ceil(GRAIN).min(lane.most);
            let has = permit.as_ref().map_or(0, |permit| permit.num_permits() as u64);
            let Ok(more) = u32::try_from(wanted.saturating_sub(has)) else { return Err(OutOfMemory) };
            if more == 0 {
                continue;
            }
            let acquired = timeout(patience, lane.free.clone().acquire_many_owned(more)).await;
            let Ok(Ok(acquired)) = acquired else { return Err(OutOfMemory) };
            match permit {
                Some(permit) => permit.merge(acquired),
                None => *permit = Some(acquired),
            }
        }
        Ok(())
    }

    /// Gives back what is beyond so many bytes.
    pub fn shrink_to(&mut self, bytes: u64) {
        for permit in self.permits.iter_mut().flatten() {
            let wanted = usize::try_from(bytes.div_ceil(GRAIN)).unwrap_or(usize::MAX);
            drop(permit.split(permit.num_permits().saturating_sub(wanted)));
        }
    }

    /// The bytes that it has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.permits[1].as_ref().map_or(0, |permit| permit.num_permits() as u64 * GRAIN)
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn memory() -> Memory {
        Memory::new(64 * MIB, Duration::from_millis(20))
    }

    #[tokio::test]
    async fn there_is_no_more_than_there_is() {
        let memory = memory();
        let mut one = memory.share(LoadPurpose::Present, 20 * MIB).await.unwrap();
        let two = memory.share(LoadPurpose::Present, 12 * MIB).await.unwrap();
        assert_eq!(memory.share(LoadPurpose::Present, MIB).await.unwrap_err(), OutOfMemory);
        one.shrink_to(10 * MIB);
        assert_eq!((one.bytes(), two.bytes()), (10 * MIB, 12 * MIB));
        let mut three = memory.share(LoadPurpose::Present, 8 * MIB).await.unwrap();
        assert!(three.grow_to(11 * MIB).await.is_err());
        drop(one);
        three.grow_to(11 * MIB).await.unwrap();
        assert_eq!(three.bytes(), 11 * MIB);
    }

    #[tokio::test]
    async fn one_that_is_larger_than_all_is_worked_on_alone() {
        let memory = memory();
        let large = memory.share(LoadPurpose::Present, 1 << 40).await.unwrap();
        // Pictures that are kept have their part.
        assert_eq!(large.bytes(), (32 - 8) * MIB);
        assert!(memory.share(LoadPurpose::Present, 9 * MIB).await.is_err());
        let small = memory.share(LoadPurpose::Present, 8 * MIB).await.unwrap();
        drop(large);
        assert!(memory.share(LoadPurpose::Present, 1 << 40).await.is_ok());
        drop(small);
    }

    #[tokio::test]
    async fn the_past_leaves_some_to_the_present() {
        let memory = memory();
        let mut past = Vec::new();
        while let Ok(share) = memory.share(LoadPurpose::Past, 3 * MIB).await {
            past.push(share);
        }
        assert_eq!(past.iter().map(Share::bytes).sum::<u64>(), 24 * MIB);
        assert!(memory.share(LoadPurpose::Present, 8 * MIB).await.is_ok());
    }
}
