//! The canvases of drawings that somebody asked for, kept in memory and brought up to the head for each request.
//!
//! Owns the way from a request to a canvas or a picture: who loads, who waits, who is sent away. `kept` owns what stays.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinHandle},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    kept::{HeldCanvas, Kept, KeptCanvas, UndoTurn, nudge_allocator},
    loader::{Base, LoadError, Loader, Reached},
    memory::LoadPurpose,
    picture::{Extent, Picture, SvgPicture},
};
use crate::{
    clock::{millis, now_ms},
    limits,
    model::{Branch, DrawingId, Epoch, History, Revision, Scope, UserId},
    offload::on_another_thread,
};

/// Time for which a canvas or a picture is kept that nobody asks for.
/// At the bound, it goes.
const CANVAS_IDLE: Duration = Duration::from_secs(60);

/// The interval at which canvases that nobody has asked for in a while are looked for.
const CANVAS_TIDY_INTERVAL: Duration = Duration::from_secs(5);
/// The share of its canvas that a picture is taken to need while it is made: one byte of so many.
const PICTURE_PART: u64 = 2;
/// Ops after which a canvas in memory is weighed again.
const CANVAS_WEIGH_OPS: u64 = 200;
/// Histories at one revision that are kept, one for each user who asked.
const HISTORIES_KEPT: usize = 1_000;

/// The number of times that a canvas is read anew because the log was another one meanwhile. One failover shows
/// twice: as a log that has lost its end, and then, with the first commit, as an epoch.
const BRANCH_CHANGES: usize = 2;

/// Canvases by drawing. Cheap to clone.
#[derive(Clone)]
pub struct Canvases(Arc<Shared>);

struct Shared {
    loader: Loader,
    kept: Kept,
    /// Places for those who load a canvas at the head from nothing, which takes memory and time.
    loads: Semaphore,
    /// The same for canvases of the past, so that looking back keeps nobody from the present.
    past_loads: Arc<Semaphore>,
    /// Places for those who load a canvas of the past or wait for that; who finds none is sent away.
    past_queue: Semaphore,
    /// Places for those who draw a picture as SVG.
    drawings: Semaphore,
    /// Where loading the present goes on when the client has hung up: the next one will ask for the same.
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The next steps of undo and redo, and the position at which they were found.
#[derive(Clone, Copy, Debug)]
pub struct PastSteps {
    /// The epoch of the revision, and how the log goes on from the one before.
    pub branch: Branch,
    /// The revision at which it was so.
    pub revision: Revision,
    /// The floor of the latest fold: what began at or below it is neither undone nor redone.
    pub floor: Revision,
    /// The steps.
    pub history: History,
}

impl Canvases {
    /// Empty caches in front of `loader`. Loading goes on in `tasks` until `stop`.
    #[must_use]
    pub fn new(loader: Loader, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self(Arc::new(Shared {
            kept: Kept::new(loader.memory()),
            loader,
            loads: Semaphore::new(limits::CANVAS_LOADS),
            past_loads: Arc::new(Semaphore::new(limits::PAST_LOADS)),
            past_queue: Semaphore::new(limits::PAST_QUEUE),
            drawings: Semaphore::new(limits::EXPORT_DRAWINGS),
            tasks,
            stop,
        }))
    }

    /// The next steps of undo and redo at the head of the log, or at a later one than when this was called: for
    /// one actor, or for all.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn history(&self, drawing: DrawingId, actor: Option<UserId>) -> Result<PastSteps, LoadError> {
        let this = self.clone();
        let asked_at = Instant::now();
        self.aside(async move {
            let mut held = this.up_to_date(drawing, asked_at).await?;
            let branch = held.branch.ok_or(LoadError::NoDrawing)?;
            let (revision, floor) = (held.canvas.revision(), held.canvas.floor());
            if let Some(history) = held.histories.get(&actor) {
                return Ok(PastSteps { branch, revision, floor, history: *history });
            }
            let look = move || {
                let scope = actor.as_ref().map_or(Scope::All, |actor| Scope::Mine(actor.as_str()));
                let history = held.canvas.history(scope);
                if held.histories.len() >= HISTORIES_KEPT {
                    held.histories.clear();
                }
                held.histories.insert(actor, history);
                history
            };
            let history = done(on_another_thread(look)).await;
            Ok(PastSteps { branch, revision, floor, history })
        })
        .await
    }

    /// The picture at the head of the log, or at a later one than when this was called.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn picture(&self, drawing: DrawingId, extent: Extent) -> Result<Arc<Picture>, LoadError> {
        let this = self.clone();
        let asked_at = Instant::now();
        self.aside(async move {
            let held = this.up_to_date(drawing, asked_at).await?;
            let branch = held.branch.ok_or(LoadError::NoDrawing)?;
            let key = (drawing, branch.epoch, held.canvas.revision(), extent);
            let at_hand = this.0.kept.picture(key).or_else(|| held.picture_under_way(branch.epoch, extent));
            if let Some(picture) = at_hand {
                return Ok(picture);
            }
            let memory = this.0.loader.memory();
            let share = memory.share(LoadPurpose::Present, held.weight / PICTURE_PART).await?;
            let draw = move || (Arc::new(Picture::new(branch, &held.canvas, extent, share)), held);
            // The canvas stays locked until the picture is at hand: those who wait want the same one.
            let (picture, mut held) = done(on_another_thread(draw)).await;
            held.told.insert(extent, Arc::downgrade(&picture));
            this.0.kept.pictures.insert(key, picture.clone());
            Ok(picture)
        })
        .await
    }

    /// The picture at `revision`, which must not be ahead of the head.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn picture_at(
        &self,
        drawing: DrawingId,
        epoch: Epoch,
        revision: Revision,
        extent: Extent,
    ) -> Result<Arc<Picture>, LoadError> {
        let key = (drawing, epoch, revision, extent);
        if let Some(picture) = self.0.kept.picture(key) {
            return Ok(picture);
        }
        let load = async {
            let _queued = self.0.past_queue.try_acquire().map_err(|_| LoadError::Overloaded)?;
            let place = self.0.past_loads.clone().acquire_owned();
            let place = timeout(limits::CANVAS_PATIENCE, place).await.map_err(|_| LoadError::Overloaded)?;
            let this = self.clone();
            // A load that has begun is finished, in its place, even if nobody waits for it any more.
            self.aside(async move {
                let _place = place;
                let (base, stand) = this.0.loader.load_for(LoadPurpose::Past, drawing, revision).await?;
                let Base { canvas, mut share, .. } = base;
                if !stand.branch.goes_on_from(epoch, revision) || canvas.revision() != revision {
                    return Err(LoadError::EpochChanged);
                }
                share.grow_to(share.bytes() + share.bytes() / PICTURE_PART).await?;
                let render = move || Arc::new(Picture::new(stand.branch, &canvas, extent, share));
                let picture = done(on_another_thread(render)).await;
                this.0.kept.pictures.insert(key, picture.clone());
                Ok(picture)
            })
            .await
        };
        // Those who want the same picture wait for the first of them.
        self.0.kept.pictures.get_or_insert_async(&key, load).await
    }

    /// A picture as SVG. Those who want the same one share it.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn drawing(&self, picture: Arc<Picture>) -> Result<Arc<SvgPicture>, LoadError> {
        let this = self.clone();
        self.aside(async move {
            let mut drawing = picture.drawing.lock().await;
            if let Some(drawing) = drawing.upgrade() {
                return Ok(drawing);
            }
            let place = timeout(limits::CANVAS_PATIENCE, this.0.drawings.acquire()).await;
            let _place = place.map_err(|_| LoadError::Overloaded)?;
            let share = this.0.loader.memory().share(LoadPurpose::Present, picture.drawing_weight()).await?;
            let source = picture.clone();
            let draw = move || source.draw(share).map(Arc::new).map_err(LoadError::Undrawable);
            let drawn = done(on_another_thread(draw)).await?;
            *drawing = Arc::downgrade(&drawn);
            Ok(drawn)
        })
        .await
    }

    /// Forgets what nobody has asked for in a while, until `stop`.
    pub async fn tidy(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(CANVAS_TIDY_INTERVAL);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => (),
            }
            self.forget_idle(now_ms() - millis(CANVAS_IDLE));
            nudge_allocator();
        }
    }

    /// Forgets what nobody has asked for since then, in milliseconds since 1970, and nobody is at.
    pub fn forget_idle(&self, since: i64) {
        self.0.kept.forget_idle(since);
    }

    /// About how much memory they take: those that are kept, those being loaded, and pictures.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.kept.canvas_bytes() + self.0.loader.memory().shared_out()
    }

    /// Waits for a turn at the undo and redo of a drawing.
    pub async fn turn(&self, drawing: DrawingId) -> UndoTurn {
        self.0.kept.lease(drawing).turn().await
    }

    /// The canvas at a head that was read after `asked_at`.
    async fn up_to_date(&self, drawing: DrawingId, asked_at: Instant) -> Result<HeldCanvas, LoadError> {
        let mut held = self.0.kept.lease(drawing).hold().await;
        if held.read_at.is_some_and(|read_at| read_at >= asked_at) {
            return Ok(held);
        }
        let mut outcome = self.catch_up(drawing, &mut held).await;
        for _ in 0..BRANCH_CHANGES {
            if !matches!(outcome, Err(LoadError::EpochChanged)) {
                break;
            }
            outcome = self.catch_up(drawing, &mut held).await;
        }
        // To weigh a canvas takes a look at all of it; a few ops change little.
        let revision = held.canvas.revision();
        if held.weighed == Revision(0) || revision.0.abs_diff(held.weighed.0) >= CANVAS_WEIGH_OPS {
            held.weighed = revision;
            let weigh = move || (held.canvas.weight() as u64, held);
            let (weight, weighed) = done(on_another_thread(weigh)).await;
            held = weighed;
            held.weight = limits::SLOT_WEIGHT + weight + weight / limits::CANVAS_OVERHEAD;
            self.0.kept.weigh(drawing, &held);
        }
        outcome.map(|()| held)
    }

    /// Brings a canvas up to the head. If the store fails on the way, the canvas keeps the ops that it has
    /// taken in.
    async fn catch_up(&self, drawing: DrawingId, held: &mut KeptCanvas) -> Result<(), LoadError> {
        let read_at = Instant::now();
        let before = held.canvas.revision();
        let outcome = self.read_up(drawing, held).await;
        if held.canvas.revision() != before {
            held.histories.clear();
        }
        match outcome {
            // A log that has become shorter is another one, too, even if nobody has given it a new epoch.
            Ok(stand) if stand.head >= held.canvas.revision() => {
                held.read_at = Some(read_at);
                Ok(())
            }
            Err(error @ (LoadError::Store(_) | LoadError::Blobs(_) | LoadError::Overloaded)) => {
                held.read_at = None;
                Err(error)
            }
            // The canvas in memory belongs to another time.
            outcome => {
                *held = KeptCanvas::default();
                outcome.and(Err(LoadError::EpochChanged))
            }
        }
    }

    /// Reads the ops up to the head; before them the newest snapshot, if nothing is known yet or much has
    /// happened since. If several steps read different epochs, nothing of it is good.
    async fn read_up(&self, drawing: DrawingId, held: &mut KeptCanvas) -> Result<Reached, LoadError> {
        let loader = &self.0.loader;
        if let Some(branch) = held.branch {
            let near = Revision(held.canvas.revision().0 + limits::SNAPSHOT_STRETCH);
            let before = held.canvas.revision();
            let (stand, _) = loader.advance(drawing, &mut held.canvas, Some(near), None).await?;
            // The canvas in memory has to belong to the log from which the rest was read.
            if !stand.branch.goes_on_from(branch.epoch, before) {
                return Err(LoadError::EpochChanged);
            }
            held.branch = Some(stand.branch);
            if stand.head <= near {
                return Ok(stand);
            }
        }
        let place = timeout(limits::CANVAS_PATIENCE, self.0.loads.acquire()).await;
        let _place = place.map_err(|_| LoadError::Overloaded)?;
        let stand = loader.stand(drawing).await?;
        let is_same = |reached: Reached| reached.branch.epoch == stand.branch.epoch;
        if held.branch.is_some_and(|branch| branch.epoch != stand.branch.epoch) {
            return Err(LoadError::EpochChanged);
        }
        let base = loader.base_for(LoadPurpose::Present, drawing, stand.head).await?;
        let Base { canvas: base, mut share, .. } = base;
        if held.branch.is_none() || base.revision() > held.canvas.revision() {
            held.canvas = base;
        }
        held.branch.get_or_insert(stand.branch);
        let (reached, _) = loader.advance(drawing, &mut held.canvas, None, Some(&mut share)).await?;
        if is_same(reached) { Ok(reached) } else { Err(LoadError::EpochChanged) }
    }

    /// Runs a load to its end, whether or not whoever asked still waits: the next one will ask for the same.
    async fn aside<T: Send + 'static>(
        &self,
        load: impl Future<Output = Result<T, LoadError>> + Send + 'static,
    ) -> Result<T, LoadError> {
        let stop = self.0.stop.clone();
        let until_stop = async move {
            tokio::select! {
                () = stop.cancelled() => Err(LoadError::Stopped),
                outcome = load => outcome,
            }
        };
        done(self.0.tasks.spawn(until_stop)).await
    }
}

/// The outcome of a task; its panic goes on here.
async fn done<T>(task: JoinHandle<T>) -> T {
    match task.await.map_err(JoinError::try_into_panic) {
        Ok(outcome) => outcome,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The process ends.
        Err(Err(_)) => std::future::pending().await,
    }
}

impl std::fmt::Debug for Canvases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canvases").finish_non_exhaustive()
    }
}
