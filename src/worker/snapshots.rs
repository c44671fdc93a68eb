//! Looks for drawings that have grown, and has their snapshots built, one after the other.
//!
//! Two ways lead here. A node that commits past a multiple of the step says so on the bus: a hint, which may be lost. And
//! all heads are gone through, a stretch at a time, which finds whatever the hints have missed.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::builder::{BuildError, Builder, Built, OpenHistory};
use crate::{
    limits,
    model::DrawingId,
    snapshot::loader::LoadError,
    store::{Snapshots, call},
};

/// The interval at which a worker looks at the next stretch of heads.
const SNAPSHOT_SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Heads in one such stretch.
const SNAPSHOT_SWEEP_HEADS: u32 = 5_000;
/// Hints that may wait for a worker; further ones are dropped, and their drawings found by the sweep.
const SNAPSHOT_HINTS: usize = 4_096;
/// The time for which a worker leaves a drawing alone of which a build has failed.
const SNAPSHOT_FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// The time for which a worker leaves a drawing alone whose log is damaged.
const SNAPSHOT_DAMAGE_PAUSE: Duration = Duration::from_secs(60);
/// The rest of a worker after a build, as a multiple of the time that the build took.
const SNAPSHOT_REST_FACTOR: u32 = 3;
/// Longest such rest.
const SNAPSHOT_MAX_REST: Duration = Duration::from_secs(2);
/// Batches of blobs removed between two looks at heads.
const SNAPSHOT_WASTE_BATCHES: u32 = 10;

/// Where hints are given. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hints(mpsc::Sender<DrawingId>);

/// The other end of [`Hints`].
#[derive(Debug)]
pub struct Hinted(mpsc::Receiver<DrawingId>);

/// A channel for hints.
#[must_use]
pub fn hints() -> (Hints, Hinted) {
    let (sender, receiver) = mpsc::channel(SNAPSHOT_HINTS);
    (Hints(sender), Hinted(receiver))
}

impl Hints {
    /// Says that a snapshot of `drawing` may be due. A hint too many is dropped: the drawing is found later.
    pub fn give(&self, drawing: DrawingId) {
        let _ = self.0.try_send(drawing);
    }
}

/// Builds what is due until the server stops.
pub struct Worker {
    /// Says which drawings are due.
    snapshots: Arc<dyn Snapshots>,
    builder: Builder,
    /// Where it tells what can still be undone in the drawings that it has built a snapshot of.
    open: mpsc::Sender<OpenHistory>,
    /// The build under way, and the claim to it. Held for a look only.
    building: Mutex<Option<(DrawingId, Uuid)>>,
}

impl Worker {
    /// Has `builder` build what is due by its own measure, and tells `open` what it has found.
    #[must_use]
    pub fn new(snapshots: Arc<dyn Snapshots>, builder: Builder, open: mpsc::Sender<OpenHistory>) -> Self {
        Self { snapshots, builder, open, building: Mutex::default() }
    }

    /// Works until `stop`, which cuts a build off; its claim is given up.
    pub async fn run(self, mut hinted: Hinted, stop: CancellationToken) {
        let work = async {
            let mut rounds = Rounds::default();
            let mut sweeps = tokio::time::interval(SNAPSHOT_SWEEP_INTERVAL);
            sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                let mut due = HashSet::new();
                tokio::select! {
                    // A sweep falls due now and then, and so keeps nobody waiting for long.
                    biased;
                    _ = sweeps.tick() => self.sweep(&mut rounds).await,
                    Some(first) = hinted.0.recv() => {
                        due.insert(first);
                    }
                    () = std::future::ready(()), if !rounds.on_the_way.is_empty() => (),
                }
                while let Ok(next) = hinted.0.try_recv() {
                    due.insert(next);
                }
                // One stretch of each, then whoever else is due.
                due.extend(std::mem::take(&mut rounds.on_the_way));
                self.build_all(due, &mut rounds).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => (),
            () = work => (),
        }
        let building = self.building().take();
        if let Some((drawing, id)) = building {
            self.builder.give_up(drawing, id).await;
        }
    }

    fn building(&self) -> MutexGuard<'_, Option<(DrawingId, Uuid)>> {
        self.building.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes through the next stretch of heads, and removes what is not needed any more.
    async fn sweep(&self, rounds: &mut Rounds) {
        let due = self.snapshots.due_snapshots(rounds.after, self.builder.every(), SNAPSHOT_SWEEP_HEADS);
        match call(due).await {
            Ok(page) => {
                rounds.after = page.next;
                self.build_all(page.due, rounds).await;
            }
            Err(error) => return rounds.fail(&error.into()),
        }
        for _ in 0..SNAPSHOT_WASTE_BATCHES {
            match self.builder.remove_waste().await {
                Ok(removed) => {
                    rounds.is_failing = false;
                    if removed < limits::SNAPSHOT_WASTE_BATCH as usize {
                        return;
                    }
                }
                Err(error) => return rounds.fail(&error),
            }
        }
    }

    async fn build_all(&self, due: impl IntoIterator<Item = DrawingId>, rounds: &mut Rounds) {
        for drawing in due {
            if !rounds.is_paused(drawing) {
                self.build(drawing, rounds).await;
            }
        }
    }

    async fn build(&self, drawing: DrawingId, rounds: &mut Rounds) {
        let (started, id) = (Instant::now(), Uuid::now_v7());
        *self.building() = Some((drawing, id));
        let built = self.builder.build_as(drawing, id).await;
        *self.building() = None;
        match built {
            Ok(Built::Snapshot(open)) => {
                tracing::debug!(%drawing, revision = %open.revision, "built a snapshot");
                rounds.is_failing_to_build = false;
                // One too many is found again at the next snapshot.
                let _ = self.open.try_send(open);
            }
            Ok(Built::Stretch(revision)) => {
                tracing::debug!(%drawing, %revision, "built a snapshot on the way to the head");
                rounds.is_failing_to_build = false;
                rounds.on_the_way.insert(drawing);
            }
            Ok(Built::Overtaken) => {
                tracing::warn!(%drawing, "a snapshot was given up: its claim ran out, or the drawing is gone");
            }
            Ok(Built::Nothing) => return,
            // Those who ask for canvases come first.
            Err(BuildError::Load(LoadError::Overloaded)) => {
                rounds.pause(drawing, SNAPSHOT_FAILURE_PAUSE);
            }
            // Told by the store. The drawing is looked at again, in case somebody has mended its log.
            Err(error) if error.is_damage() => rounds.pause(drawing, SNAPSHOT_DAMAGE_PAUSE),
            Err(error) => {
                rounds.fail_build(drawing, &error);
                rounds.pause(drawing, SNAPSHOT_FAILURE_PAUSE);
                // A fault is mostly there for the next drawing, too.
                tokio::time::sleep(limits::SNAPSHOT_RETRY_PAUSE).await;
            }
        }
        // Live reads and writes come first: building takes a part of one core, however much there is to build.
        tokio::time::sleep(rest(started.elapsed())).await;
    }
}

/// The time to rest after a build.
fn rest(build: Duration) -> Duration {
    (build * SNAPSHOT_REST_FACTOR).min(SNAPSHOT_MAX_REST)
}

/// The memory of a worker from one round to the next.
#[derive(Debug, Default)]
struct Rounds {
    /// The last head that has been looked at.
    after: Option<DrawingId>,
    /// `true` if the last round failed, which has been told.
    is_failing: bool,
    /// `true` if the last build failed, which has been told.
    is_failing_to_build: bool,
    /// The drawings of which a stretch was built, and the next one is due.
    on_the_way: HashSet<DrawingId>,
    /// The drawings of which a build has failed, and until when they are left alone.
    paused: HashMap<DrawingId, Instant>,
}

impl Rounds {
    fn fail(&mut self, error: &BuildError) {
        if !error.is_outage() && !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(%error, "snapshots cannot be looked after; trying again");
        }
    }

    fn fail_build(&mut self, drawing: DrawingId, error: &BuildError) {
        if error.is_outage() || std::mem::replace(&mut self.is_failing_to_build, true) {
            tracing::debug!(%drawing, %error, "a snapshot could not be built");
        } else {
            tracing::warn!(%drawing, %error, "a snapshot could not be built; trying again");
        }
    }

    fn pause(&mut self, drawing: DrawingId, pause: Duration) {
        self.paused.insert(drawing, Instant::now() + pause);
    }

    /// Forgets what is over, so that it stays as small as there are recent failures.
    fn is_paused(&mut self, drawing: DrawingId) -> bool {
        let now = Instant::now();
        self.paused.retain(|_, until| *until > now);
        self.paused.contains_key(&drawing)
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("builder", &self.builder).finish_non_exhaustive()
    }
}
