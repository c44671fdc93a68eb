//! The course of a round, with each thing at its time: faults begin and end, roles are taken away, new keys are
//! shown.

use loadtest::services::{PostgresTrio, Standby};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use super::{ANSWERS, Round};
use crate::{
    account::{LEAVER, REVOKER},
    check::Check,
    cluster::Sabotage,
    fault::{Fault, Happened, Target},
    inject,
    lie::Lie,
    looker::Owner,
};

/// The task that takes two roles away.
pub(super) type Revoking = JoinHandle<anyhow::Result<()>>;

/// An event that happens at a time.
enum Event {
    Begin(usize),
    End(usize),
    Revoke,
}

impl Round<'_> {
    /// Lets the faults happen, each at its time. Returns when the last one was over, and who takes the roles away, who may
    /// not have done.
    pub(super) async fn happen(
        &mut self,
        gone: watch::Sender<Option<Instant>>,
    ) -> anyhow::Result<(Instant, Option<Revoking>)> {
        let mut events = vec![(self.plan.revoked_at, Event::Revoke)];
        for (index, planned) in self.plan.faults.iter().enumerate() {
            events.push((planned.at, Event::Begin(index)));
            events.push((planned.at + planned.lasts, Event::End(index)));
        }
        // The sort is stable, so that a fault that begins and ends at one time begins first.
        events.sort_by_key(|(at, _)| *at);
        let (began, mut revoking, mut gone) = (Instant::now(), None, Some(gone));
        let (mut healed, mut aftermaths) = (began, JoinSet::new());
        let mut begun_at = vec![0; self.plan.faults.len()];
        for (at, event) in events {
            sleep_until(began + at).await;
            match event {
                Event::Begin(index) => {
                    let fault = self.plan.faults[index].fault;
                    begun_at[index] = self.scene.clock.now();
                    self.begin(fault).await?;
                    let is_lossy = fault == Fault::FailOver(Standby::Asynchronous);
                    if is_lossy && self.cluster.store.as_ref().is_some_and(PostgresTrio::has_parted) {
                        self.known.kept_until = Some(begun_at[index]);
                    }
                }
                Event::End(index) => {
                    let fault = self.plan.faults[index].fault;
                    if let Err(error) = inject::end(&mut self.cluster, fault).await {
                        self.outcome.findings.push(format!("cannot be undone: {fault}: {error:#}"));
                    }
                    healed = Instant::now();
                    let (from, to) = (begun_at[index], self.scene.clock.now());
                    if let Some(store) =
                        self.cluster.store.as_ref().filter(|_| fault.target() == Target::Store)
                    {
                        let (clock, nth) = (self.scene.clock, self.known.happened.len());
                        let is_over = store.commits_go_on();
                        aftermaths
                            .spawn(async move { is_over.await.map(|()| (nth, clock.now(), Instant::now())) });
                    }
                    self.known.happened.push(Happened { fault, from, to });
                }
                Event::Revoke => revoking = gone.take().map(|gone| self.revoke(gone)).transpose()?,
            }
        }
        // The database is well again once its commits go on, which is not for the server to bring about.
        while let Some(aftermath) = aftermaths.join_next().await {
            match aftermath? {
                Ok((nth, to, at)) => {
                    let happened = &mut self.known.happened[nth];
                    happened.to = happened.to.max(to);
                    healed = healed.max(at);
                }
                Err(error) => self.outcome.findings.push(format!("{error:#}")),
            }
        }
        Ok((healed, revoking))
    }

    async fn begin(&mut self, fault: Fault) -> anyhow::Result<()> {
        if let Err(error) = inject::begin(&mut self.cluster, fault).await {
            self.outcome.findings.push(format!("cannot be done: {fault}: {error:#}"));
        }
        if self.sabotage == Sabotage::SwallowedAfter(fault) {
            self.cluster.lie(Lie::Swallow).await?;
        }
        if fault == Fault::ReplaceKeys {
            for node in 0..self.plan.nodes() {
                self.holders.spawn(Owner::at(&self.scene, "holder", node)?.show_new_key());
            }
        }
        Ok(())
    }

    /// Takes the roles of the last reader and of a writer away, however long that takes.
    fn revoke(&self, gone: watch::Sender<Option<Instant>>) -> anyhow::Result<Revoking> {
        let last = self.plan.readers - 1;
        let (first, drawing) =
            (self.scene.drawings[0].clone(), self.scene.drawings[last % self.scene.drawings.len()].clone());
        let mut owner = Owner::new(&self.scene, REVOKER, 2)?;
        Ok(tokio::spawn(async move {
            owner.set_role(&drawing, &format!("reader{last}"), None).await?;
            if owner.set_role(&first, LEAVER, None).await? {
                gone.send_replace(Some(Instant::now()));
            }
            owner.finish()
        }))
    }

    /// Waits until each node has answered to the new key that it was shown, and adds the check of it.
    pub(super) async fn hear_holders(&mut self) {
        let mut check =
            Check::new("keys_read", "a node reads a key that it has not seen within 10 s of being shown it");
        let answers = std::mem::take(&mut self.holders).join_all();
        match timeout(ANSWERS, answers).await {
            Ok(answers) => {
                for answer in answers {
                    match answer {
                        Ok(true) => check.examine(),
                        Ok(false) => check.find("a node has not answered in time".to_owned()),
                        Err(error) => check.find(format!("{error:#}")),
                    }
                }
            }
            Err(_) => check.find("nodes have not answered in time".to_owned()),
        }
        self.known.checks.push(check);
    }
}
