//! One round: a deployment, clients, faults, the time in which all has to be well again, and the verdict.

mod course;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use revcast_checker::format::Role;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use uuid::Uuid;

use crate::{
    account::LEAVER,
    check::Check,
    cluster::{Cluster, Programs, Sabotage},
    fault::Happened,
    hand::{Complaints, Scene},
    leaver,
    looker::Owner,
    plan::Plan,
    pulse::{self, Pulse},
    reader::{self, Heads},
    recorder::Clock,
    scripts::{Person, Scripts},
    verdict::{self, Facts},
    writer,
};

pub use crate::verdict::Outcome;

/// The time after the last fault within which every node is ready again (G11).
const RECOVERY: Duration = Duration::from_secs(5);
/// The time that a machine that does other things as well may add to that.
const BUSY_MACHINE: Duration = Duration::from_secs(3);
/// The time after that within which every request has its answer, and every reader the whole log.
const ANSWERS: Duration = Duration::from_secs(10);
/// The time that a round may take besides its load.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs a round with its history and logs in a folder.
///
/// # Errors
/// When the round itself cannot be run: that says nothing about the server.
pub async fn run(
    plan: &Plan,
    programs: &Programs,
    sabotage: Sabotage,
    folder: &Path,
) -> anyhow::Result<Outcome> {
    let ended = Stage::raise(plan.clone(), programs, sabotage, folder).await?.play(programs).await?;
    Ok(tokio::task::block_in_place(|| ended.judge()))
}

/// A deployment that runs, with nobody in it yet.
#[derive(Debug)]
pub struct Stage {
    plan: Plan,
    sabotage: Sabotage,
    cluster: Cluster,
    history: PathBuf,
}

/// A round that is over, and not judged yet.
#[derive(Debug)]
pub struct Ended {
    plan: Plan,
    history: PathBuf,
    outcome: Outcome,
    facts: Known,
}

/// The facts that a round knows of itself, by the clock that all share, in nanoseconds.
#[derive(Debug, Default)]
struct Known {
    happened: Vec<Happened>,
    /// The time before which the asynchronous standby has all that was acknowledged.
    kept_until: Option<i64>,
    /// The time from which all is well.
    calm_from: Option<i64>,
    checks: Vec<Check>,
}

impl Stage {
    /// Starts what a round needs, with its logs in a folder that is emptied before.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn raise(
        plan: Plan,
        programs: &Programs,
        sabotage: Sabotage,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
        }
        let history = folder.join("history");
        fs::create_dir_all(&history).with_context(|| format!("{} cannot be made", history.display()))?;
        let cluster = Cluster::start(&plan, programs, sabotage, folder).await;
        let cluster = cluster.context("starting the deployment")?;
        Ok(Self { plan, sabotage, cluster, history })
    }

    /// Lets everybody do and everything happen.
    ///
    /// # Errors
    /// When the nodes cannot be asked how they are.
    pub async fn play(self, programs: &Programs) -> anyhow::Result<Ended> {
        let Self { plan, sabotage, cluster, history } = self;
        let scene = Arc::new(Scene {
            folder: history.clone(),
            clock: Clock::start(),
            issuer: cluster.issuer.clone(),
            nodes: cluster.addresses(),
            drawings: (0..plan.drawings).map(|_| Uuid::now_v7().to_string()).collect(),
            complaints: Complaints::default(),
            deadline: watch::Sender::new(None),
        });
        let pulse = Pulse::start(cluster.ports()?, scene.clock)?;
        let (outcome, known) = (Outcome::default(), Known::default());
        let mut round =
            Round { plan: &plan, sabotage, cluster, scene, outcome, known, holders: JoinSet::new() };
        match timeout(plan.load() + PATIENCE, round.live(programs)).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => round.outcome.findings.push(format!("the round breaks off: {error:#}")),
            Err(_) => round.outcome.findings.push("the round does not come to an end".to_owned()),
        }
        let Round { mut outcome, mut known, scene, cluster, .. } = round;
        let beats = pulse.stop().await;
        known.checks.extend(pulse::judge(&beats, &known.happened));
        // Nobody writes any more.
        tokio::task::block_in_place(|| drop(cluster));
        outcome.findings.extend(scene.complaints.take());
        Ok(Ended { plan, history, outcome, facts: known })
    }
}

impl Ended {
    /// Judges its history.
    #[must_use]
    pub fn judge(self) -> Outcome {
        let Self { plan, history, mut outcome, facts } = self;
        let Known { happened, kept_until, calm_from, checks } = facts;
        let facts = Facts { plan: &plan, happened: &happened, kept_until, calm_from, checks };
        if let Err(error) = verdict::judge_history(&history, facts, &mut outcome) {
            outcome.findings.push(format!("the history cannot be judged: {error:#}"));
        }
        outcome
    }
}

struct Round<'a> {
    plan: &'a Plan,
    sabotage: Sabotage,
    cluster: Cluster,
    scene: Arc<Scene>,
    outcome: Outcome,
    known: Known,
    /// The tasks that show a new key of the issuer to each node. Each returns whether its node has answered.
    holders: JoinSet<anyhow::Result<bool>>,
}

/// Everybody who takes part.
struct Cast {
    workers: JoinSet<anyhow::Result<()>>,
    readers: JoinSet<anyhow::Result<()>>,
    scripts: Option<Scripts>,
    /// The writer who loses their role.
    leaver: JoinSet<anyhow::Result<()>>,
    stop: watch::Sender<bool>,
    heads: watch::Sender<Option<Heads>>,
}

impl Round<'_> {
    async fn live(&mut self, programs: &Programs) -> anyhow::Result<()> {
        let mut owner = Owner::new(&self.scene, "owner", 0)?;
        self.scene.deadline.send_replace(Some(Instant::now() + ANSWERS));
        self.set_stage(&mut owner).await?;
        self.scene.deadline.send_replace(None);
        let (gone, is_gone) = watch::channel(None);
        let mut cast = self.enter(programs, is_gone)?;
        let (healed, revoked) = self.happen(gone).await?;
        self.recover(healed).await?;
        self.known.calm_from = Some(self.scene.clock.now());
        let deadline = Instant::now() + ANSWERS;
        self.scene.deadline.send_replace(Some(deadline));
        cast.stop.send_replace(true);
        if let Some(revoked) = revoked {
            self.wait_for(revoked, deadline, "taking roles away").await;
        }
        self.join(&mut cast.workers, deadline, "writers").await;
        self.hear_holders().await;
        if let Some(scripts) = &mut cast.scripts {
            let complaints = scripts.stop(ANSWERS);
            self.note_all(complaints);
        }
        self.inspect().await?;
        let deadline = Instant::now() + ANSWERS;
        self.scene.deadline.send_replace(Some(deadline));
        self.join(&mut cast.leaver, deadline, "the writer without a role").await;
        match owner.close(self.plan.is_lossless()).await {
            Ok(heads) => self.finish(&mut owner, &mut cast, heads).await?,
            Err(error) => self.outcome.findings.push(format!("{error:#}")),
        }
        owner.finish()?;
        let crashes = self.cluster.crashes()?;
        self.outcome.findings.extend(crashes);
        Ok(())
    }

    /// Asks of each node by itself all that it is for.
    async fn inspect(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + ANSWERS;
        self.scene.deadline.send_replace(Some(deadline));
        let mut inspections = JoinSet::new();
        for node in 0..self.plan.nodes() {
            inspections.spawn(Owner::at(&self.scene, "inspector", node)?.inspect());
        }
        self.join(&mut inspections, deadline, "those who ask each node").await;
        Ok(())
    }

    /// Makes drawings and gives roles.
    async fn set_stage(&mut self, owner: &mut Owner) -> anyhow::Result<()> {
        let Plan { writers, readers, scripts, .. } = *self.plan;
        for drawing in self.scene.drawings.clone() {
            owner.create(&drawing).await?;
            let editors = (0..writers).map(|nth| format!("writer{nth}"));
            let editors = editors.chain((0..scripts).map(|nth| format!("script{nth}")));
            for user in editors {
                owner.set_role(&drawing, &user, Some(Role::Editor)).await?;
            }
            for nth in 0..readers {
                owner.set_role(&drawing, &format!("reader{nth}"), Some(Role::Viewer)).await?;
            }
        }
        let first = self.scene.drawings[0].clone();
        owner.set_role(&first, LEAVER, Some(Role::Editor)).await?;
        Ok(())
    }

    /// Lets everybody begin.
    fn enter(&self, programs: &Programs, is_gone: watch::Receiver<Option<Instant>>) -> anyhow::Result<Cast> {
        let (plan, scene) = (self.plan, &self.scene);
        let (stop, stopped) = watch::channel(false);
        let (heads, told) = watch::channel(None);
        let seed = |nth: usize| plan.seed.wrapping_mul(31).wrapping_add(plan.round * 101 + nth as u64);
        let (mut workers, mut readers) = (JoinSet::new(), JoinSet::new());
        for nth in 0..plan.writers {
            let lossless = plan.is_lossless();
            workers.spawn(writer::write(scene.clone(), nth, seed(nth), lossless, stopped.clone()));
        }
        let mut leaver = JoinSet::new();
        leaver.spawn(leaver::leave(scene.clone(), is_gone, stopped.clone()));
        workers.spawn(Owner::new(scene, "looker", 1)?.look(seed(plan.writers), stopped));
        for nth in 0..plan.readers {
            let is_revoked = nth + 1 == plan.readers;
            readers.spawn(reader::follow(scene.clone(), nth, is_revoked, told.clone()));
        }
        let person = |nth: usize| Person {
            name: format!("script{nth}"),
            drawing: scene.drawings[nth % scene.drawings.len()].clone(),
            seed: seed(100 + nth),
            node: nth,
        };
        let people: Vec<_> = (0..plan.scripts).map(person).collect();
        let script = programs.script.as_ref().filter(|_| plan.scripts > 0);
        let scripts = script.map(|script| Scripts::start(script, scene, &people)).transpose()?;
        Ok(Cast { workers, readers, scripts, leaver, stop, heads })
    }

    /// Waits until every node is ready.
    async fn recover(&mut self, healed: Instant) -> anyhow::Result<()> {
        let patience =
            self.plan.faults.iter().map(|planned| planned.fault.patience()).max().unwrap_or_default();
        let deadline = healed + RECOVERY + BUSY_MACHINE + patience;
        let late = self.cluster.ready(deadline).await?;
        self.outcome.recovery_ms = u64::try_from(healed.elapsed().as_millis()).unwrap_or(u64::MAX);
        let findings = late.into_iter().map(|what| format!("not ready in time after the last fault: {what}"));
        self.outcome.findings.extend(findings);
        Ok(())
    }

    /// Waits until everybody has everything, and compares pictures.
    async fn finish(&mut self, owner: &mut Owner, cast: &mut Cast, heads: Heads) -> anyhow::Result<()> {
        self.outcome.ops = heads.iter().map(|(_, head)| head).sum();
        let deadline = Instant::now() + ANSWERS;
        self.scene.deadline.send_replace(Some(deadline));
        cast.heads.send_replace(Some(heads.clone()));
        self.join(&mut cast.readers, deadline, "readers").await;
        owner.compare(&heads).await?;
        owner.finish()?;
        let Some(scripts) = &mut cast.scripts else { return Ok(()) };
        let complaints = scripts.reach(&self.scene, &heads, ANSWERS);
        self.note_all(complaints);
        let log = self.scene.folder.join("owner.ndjson");
        // Also those that somebody has seen while faults happened.
        let shown = verdict::pictures(&self.scene.folder)?;
        for (nth, drawing) in self.scene.drawings.iter().enumerate() {
            let revisions = shown.get(drawing).cloned().unwrap_or_default();
            let path = self.scene.folder.join(format!("replay{nth}.ndjson"));
            if let Err(error) = scripts.replay(drawing, &log, &path, &revisions) {
                self.outcome.findings.push(format!("{error:#}"));
            }
        }
        Ok(())
    }

    async fn join(&mut self, tasks: &mut JoinSet<anyhow::Result<()>>, deadline: Instant, who: &str) {
        // They give up by themselves at the deadline, once their last request has run out.
        let last = deadline + RECOVERY;
        loop {
            match timeout_at(last, tasks.join_next()).await {
                Ok(None) => return,
                Ok(Some(Ok(Ok(())))) => (),
                Ok(Some(Ok(Err(error)))) => self.outcome.findings.push(format!("{who}: {error:#}")),
                Ok(Some(Err(error))) => self.outcome.findings.push(format!("{who}: {error}")),
                Err(_) => {
                    self.outcome.findings.push(format!("{who} have not come to an end"));
                    tasks.abort_all();
                    return;
                }
            }
        }
    }

    async fn wait_for(&mut self, task: course::Revoking, deadline: Instant, what: &str) {
        match timeout_at(deadline + RECOVERY, task).await {
            Ok(Ok(Ok(()))) => (),
            Ok(Ok(Err(error))) => self.outcome.findings.push(format!("{what}: {error:#}")),
            Ok(Err(error)) => self.outcome.findings.push(format!("{what}: {error}")),
            Err(_) => self.outcome.findings.push(format!("{what} does not come to an end")),
        }
    }

    fn note_all(&mut self, complaints: anyhow::Result<Vec<String>>) {
        match complaints {
            Ok(complaints) => self.outcome.findings.extend(complaints),
            Err(error) => self.outcome.findings.push(format!("{error:#}")),
        }
    }
}
