//! One round: a deployment, clients, faults, the time in which all has to be well again, and the verdict.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use loadtest::services::{PostgresTrio, Standby};
use revcast_checker::format::Role;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout, timeout_at},
};
use uuid::Uuid;

use crate::{
    cluster::{Cluster, Programs, Sabotage},
    fault::Fault,
    hand::{Complaints, Scene},
    inject,
    looker::Owner,
    plan::Plan,
    reader::{self, Heads},
    recorder::Clock,
    scripts::{Person, Scripts},
    verdict, writer,
};

pub use crate::verdict::Outcome;

/// Within how long after the last fault every node is ready again (G11).
const RECOVERY: Duration = Duration::from_secs(5);
/// What a machine that does other things as well may add to that.
const BUSY_MACHINE: Duration = Duration::from_secs(3);
/// Within how long after that every request has its answer, and every reader the whole log.
const ANSWERS: Duration = Duration::from_secs(10);
/// How long a round may take besides its load.
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
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    let history = folder.join("history");
    fs::create_dir_all(&history).with_context(|| format!("{} cannot be made", history.display()))?;
    let cluster =
        Cluster::start(plan, programs, sabotage, folder).await.context("starting the deployment")?;
    let scene = Arc::new(Scene {
        folder: history.clone(),
        clock: Clock::start(),
        issuer: cluster.issuer.clone(),
        nodes: cluster.addresses(),
        drawings: (0..plan.drawings).map(|_| Uuid::now_v7().to_string()).collect(),
        complaints: Complaints::default(),
        deadline: watch::Sender::new(None),
    });
    let outcome = Outcome::default();
    let mut round = Round { plan, cluster, scene, outcome, windows: Vec::new(), kept_until: None };
    match timeout(plan.load() + PATIENCE, round.live(programs)).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => round.outcome.findings.push(format!("the round breaks off: {error:#}")),
        Err(_) => round.outcome.findings.push("the round does not come to an end".to_owned()),
    }
    let Round { mut outcome, windows, scene, cluster, kept_until, .. } = round;
    // Nobody writes any more.
    tokio::task::block_in_place(|| drop(cluster));
    outcome.findings.extend(scene.complaints.take());
    match verdict::judge_history(&history, &windows, kept_until) {
        Ok(verdict) => verdict.add_to(&mut outcome),
        Err(error) => outcome.findings.push(format!("the history cannot be judged: {error:#}")),
    }
    Ok(outcome)
}

struct Round<'a> {
    plan: &'a Plan,
    cluster: Cluster,
    scene: Arc<Scene>,
    outcome: Outcome,
    /// When faults happened that keep messages from arriving, by the clock of all, in nanoseconds.
    windows: Vec<(i64, i64)>,
    /// Before this the asynchronous standby has all that was acknowledged, in nanoseconds.
    kept_until: Option<i64>,
}

/// Everybody who takes part.
struct Cast {
    workers: JoinSet<anyhow::Result<()>>,
    readers: JoinSet<anyhow::Result<()>>,
    scripts: Option<Scripts>,
    stop: watch::Sender<bool>,
    heads: watch::Sender<Option<Heads>>,
}

/// Who takes the role of a reader away.
type Revoking = JoinHandle<anyhow::Result<()>>;

/// What happens at a time.
enum Event {
    Begin(usize),
    End(usize),
    Revoke,
}

impl Round<'_> {
    async fn live(&mut self, programs: &Programs) -> anyhow::Result<()> {
        let mut owner = Owner::new(&self.scene, "owner", 0)?;
        self.scene.deadline.send_replace(Some(Instant::now() + ANSWERS));
        self.set_stage(&mut owner).await?;
        self.scene.deadline.send_replace(None);
        let mut cast = self.enter(programs)?;
        let (healed, revoked) = self.happen().await?;
        self.recover(healed).await?;
        let deadline = Instant::now() + ANSWERS;
        self.scene.deadline.send_replace(Some(deadline));
        cast.stop.send_replace(true);
        if let Some(revoked) = revoked {
            self.wait_for(revoked, deadline, "taking a role away").await;
        }
        self.join(&mut cast.workers, deadline, "writers").await;
        if let Some(scripts) = &mut cast.scripts {
            let complaints = scripts.stop(ANSWERS);
            self.note_all(complaints);
        }
        self.inspect().await?;
        self.scene.deadline.send_replace(Some(Instant::now() + ANSWERS));
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
            inspections.spawn(Owner::at(&self.scene, node)?.inspect());
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
        Ok(())
    }

    /// Lets everybody begin.
    fn enter(&self, programs: &Programs) -> anyhow::Result<Cast> {
        let (plan, scene) = (self.plan, &self.scene);
        let (stop, stopped) = watch::channel(false);
        let (heads, told) = watch::channel(None);
        let seed = |nth: usize| plan.seed.wrapping_mul(31).wrapping_add(plan.round * 101 + nth as u64);
        let (mut workers, mut readers) = (JoinSet::new(), JoinSet::new());
        for nth in 0..plan.writers {
            let lossless = plan.is_lossless();
            workers.spawn(writer::write(scene.clone(), nth, seed(nth), lossless, stopped.clone()));
        }
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
        Ok(Cast { workers, readers, scripts, stop, heads })
    }

    /// Lets the faults happen, each at its time. Returns when the last one was over, and who takes the role away, who may
    /// not have done.
    async fn happen(&mut self) -> anyhow::Result<(Instant, Option<Revoking>)> {
        let mut events = vec![(self.plan.revoked_at, Event::Revoke)];
        for (index, planned) in self.plan.faults.iter().enumerate() {
            events.push((planned.at, Event::Begin(index)));
            events.push((planned.at + planned.lasts, Event::End(index)));
        }
        // What begins and ends at one time begins first: the sort is stable.
        events.sort_by_key(|(at, _)| *at);
        let (began, mut revoking) = (Instant::now(), None);
        let mut healed = began;
        let mut begun_at = vec![0; self.plan.faults.len()];
        for (at, event) in events {
            sleep_until(began + at).await;
            match event {
                Event::Begin(index) => {
                    let fault = self.plan.faults[index].fault;
                    begun_at[index] = self.scene.clock.now();
                    if let Err(error) = inject::begin(&mut self.cluster, fault).await {
                        self.outcome.findings.push(format!("cannot be done: {fault}: {error:#}"));
                    }
                    let is_lossy = fault == Fault::FailOver(Standby::Asynchronous);
                    if is_lossy && self.cluster.store.as_ref().is_some_and(PostgresTrio::has_parted) {
                        self.kept_until = Some(begun_at[index]);
                    }
                }
                Event::End(index) => {
                    let fault = self.plan.faults[index].fault;
                    if let Err(error) = inject::end(&mut self.cluster, fault).await {
                        self.outcome.findings.push(format!("cannot be undone: {fault}: {error:#}"));
                    }
                    healed = Instant::now();
                    if fault.delays_delivery() {
                        self.windows.push((begun_at[index], self.scene.clock.now()));
                    }
                }
                Event::Revoke => revoking = Some(self.revoke()?),
            }
        }
        Ok((healed, revoking))
    }

    /// Takes the role of the last reader away, however long that takes.
    fn revoke(&self) -> anyhow::Result<Revoking> {
        let last = self.plan.readers - 1;
        let drawing = self.scene.drawings[last % self.scene.drawings.len()].clone();
        let mut owner = Owner::new(&self.scene, verdict::REVOKER, 2)?;
        Ok(tokio::spawn(async move {
            owner.set_role(&drawing, &format!("reader{last}"), None).await?;
            owner.finish()
        }))
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

    async fn wait_for(&mut self, task: Revoking, deadline: Instant, what: &str) {
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
