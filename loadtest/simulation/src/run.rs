//! One run, from the seed to its report.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use revcast::{model::DrawingId, store::Log};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    chance::Chance,
    hand::Hand,
    judge::{self, Report},
    os, owner,
    plan::Plan,
    reader::{Read, Reader, Shown},
    storm,
    world::{self, World},
    writer::Writer,
};

/// Stack of the one thread: futures are large without optimisation.
const STACK_BYTES: usize = 32 << 20;
/// The time after which everything that has begun in the storm has ended: calls of the store that are done late, and
/// those that wait.
const SETTLING: Duration = Duration::from_secs(10);
/// The interval at which it is checked that readers are told in time.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The time that an op may take to a reader besides the heartbeat: a look at the store, and the way.
const WAY: Duration = Duration::from_millis(500);

/// Makes what a process makes once, before its first run and in real time: the same in every process.
///
/// # Errors
/// When a node does not start.
pub fn prepare() -> anyhow::Result<()> {
    os::seed(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(world::warm_up())?;
    os::thaw();
    Ok(())
}

/// Runs a seed after [`prepare`]. Once in a process: what a process has at its beginning is part of what a seed decides.
///
/// # Errors
/// When the run cannot be made, or its history cannot be judged.
pub fn run(seed: u64) -> anyhow::Result<Report> {
    ensure!(cfg!(target_os = "linux"), "the simulation stands in for the C library of Linux");
    os::seed(seed);
    os::freeze();
    // A thread of its own begins with keys of its own for its hash maps.
    let builder = std::thread::Builder::new().name("simulation".to_owned()).stack_size(STACK_BYTES);
    let thread = builder.spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build()?;
        let report = runtime.block_on(async {
            os::start_clock();
            let report = play(Plan::new(seed)).await;
            os::thaw();
            report
        });
        // Tasks of crashed nodes wait for ever.
        runtime.shutdown_background();
        report
    });
    let outcome = thread.context("no thread")?.join();
    os::thaw();
    outcome.map_err(|_| anyhow::anyhow!("the simulation panicked"))?
}

async fn play(plan: Plan) -> anyhow::Result<Report> {
    let chance = Chance::new(plan.seed).split("drawings");
    let drawings: Vec<Uuid> = (0..plan.drawings).map(|_| chance.uuid()).collect();
    let world = World::start(plan).await?;
    let end = CancellationToken::new();
    let (mut writers, mut readers, mut shown) = (JoinSet::new(), JoinSet::new(), Vec::new());
    for (nth, drawing) in drawings.iter().enumerate() {
        let plan = &world.plan;
        let writing = (0..plan.writers).map(|writer| (format!("writer-{nth}-{writer}"), "editor"));
        let reading = (0..plan.readers).map(|reader| (format!("reader-{nth}-{reader}"), "viewer"));
        let people: Vec<(String, &'static str)> = writing.chain(reading).collect();
        let name = format!("owner-{nth}");
        let mut owner = Hand::new(&world, *drawing, &name, &name)?;
        owner::set_up(&mut owner, &people).await?;
        for (name, role) in &people {
            // Some people have two devices.
            let user = if *role == "editor" && chance.happens(300) { &people[0].0 } else { name };
            let hand = Hand::new(&world, *drawing, name, user)?;
            if *role == "editor" {
                writers.spawn(Writer::new(hand, name).run());
            } else {
                let reader = Reader::new(hand, end.clone());
                shown.push((*drawing, reader.shown()));
                let drawing = *drawing;
                readers.spawn(async move { (drawing, reader.run().await) });
            }
        }
        writers.spawn(owner::rule(owner, people));
    }
    let mut storm = tokio::spawn(storm::rage(world.clone(), drawings.clone()));
    let watching = tokio::spawn(watch_freshness(world.clone(), shown));
    (&mut storm).await.context("the storm panicked")?;
    while let Some(ended) = writers.join_next().await {
        ended.context("a writer panicked")?;
    }
    sleep(SETTLING + 3 * world.plan.heartbeat).await;
    watching.abort();
    audit(&world, &drawings).await?;
    end.cancel();
    let mut reads: Vec<(Uuid, Read)> = Vec::new();
    while let Some(read) = readers.join_next().await {
        reads.push(read.context("a reader panicked")?);
    }
    judge::conclude(&world, &drawings, reads).await
}

/// Reads each drawing once more when all is quiet, as its owner.
async fn audit(world: &Arc<World>, drawings: &[Uuid]) -> anyhow::Result<()> {
    for (nth, drawing) in drawings.iter().enumerate() {
        let mut auditor = Hand::new(world, *drawing, &format!("auditor-{nth}"), &format!("owner-{nth}"))?;
        auditor.snapshot().await.context("a snapshot cannot be had in the calm")?;
        auditor.page(0, None, None).await.context("a page cannot be had in the calm")?;
    }
    Ok(())
}

/// While the store does its work and stays what it is, no reader that follows without a break is behind what was the head a
/// heartbeat ago, whatever becomes of messages.
async fn watch_freshness(world: Arc<World>, readers: Vec<(Uuid, Arc<Shown>)>) {
    let plan = &world.plan;
    if plan.failovers > 0 || plan.cuts_epoch || !judge::is_sound(&plan.store) {
        return;
    }
    let bound = plan.heartbeat + WAY;
    let mut past: Vec<(Instant, Vec<u64>)> = Vec::new();
    loop {
        sleep(LOOK_EVERY).await;
        let now = Instant::now();
        let ids: Vec<DrawingId> = readers.iter().map(|(drawing, _)| DrawingId(*drawing)).collect();
        let Ok(heads) = world.store.heads(&ids).await else { return };
        let heads = ids.iter().map(|id| heads.head(*id).unwrap_or_default().0).collect();
        past.push((now, heads));
        let old = past.iter().take_while(|(at, _)| *at + bound <= now).count();
        let Some((at, heads)) = old.checked_sub(1).map(|last| past[last].clone()) else { continue };
        past.drain(..old - 1);
        for ((drawing, shown), head) in readers.iter().zip(heads) {
            let (revision, since) = shown.look();
            if since.is_some_and(|since| since <= at) && revision < head {
                world.object(format!("a reader of {drawing} has {revision} when {head} is {bound:?} old"));
            }
        }
    }
}
