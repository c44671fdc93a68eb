//! A run: rounds one after the other, each told, kept and, if it has failed, made smaller. The deployment of the next round
//! is started while this one is judged.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use tokio::task::{JoinSet, block_in_place};

use crate::{
    cluster::{Programs, Sabotage},
    list::{List, certain},
    plan::{Means, Plan},
    round::{self, Outcome, Stage},
    shrink::shrink,
    state::{Done, State},
};

/// Findings of a round that are printed; the others are in its folder.
const FINDINGS_PRINTED: usize = 12;

/// The settings of a run, from which everything in it follows.
#[derive(Clone, Debug)]
pub struct Run {
    /// The number that its plans follow from.
    pub seed: u64,
    /// The number of its rounds, which count from 1.
    pub rounds: u64,
    /// Faults that happen for certain.
    pub list: Option<List>,
    /// The most times that a round that failed is run again with fewer faults.
    pub shrink: usize,
    /// The programs that run.
    pub programs: Programs,
    /// The fault that is built in on purpose.
    pub sabotage: Sabotage,
    /// The folder for results, and for the histories of failed rounds.
    pub folder: PathBuf,
    /// Makes plans other than those of the seed, for tests.
    pub plans: Option<fn(u64) -> Plan>,
}

impl Run {
    /// The plan of a round.
    #[must_use]
    pub fn plan(&self, round: u64) -> Plan {
        let means = Means {
            has_previous: self.programs.previous.is_some(),
            has_faketime: self.programs.faketime.is_some(),
            has_node: self.programs.script.is_some(),
        };
        match self.plans {
            Some(plans) => plans(round),
            None => Plan::with(self.seed, round, means, &certain(self.list, round)),
        }
    }

    /// Runs all rounds, or those that are not done yet. Returns whether nothing was wrong in any of them.
    ///
    /// # Errors
    /// When a round cannot be run.
    pub async fn all(&self, is_resumed: bool) -> anyhow::Result<bool> {
        let state = State::open(&self.folder, self.seed, is_resumed)?;
        let before = state.done()?;
        let mut failed: Vec<u64> =
            before.iter().filter(|done| !done.is_good).map(|done| done.round).collect();
        let first = before.iter().map(|done| done.round).max().unwrap_or_default() + 1;
        // One at most. It ends with this run.
        let mut next: JoinSet<anyhow::Result<Stage>> = JoinSet::new();
        for number in first..=self.rounds {
            let plan = self.plan(number);
            println!("{plan}");
            let (began, folder) = (Instant::now(), state.folder.join(number.to_string()));
            let stage = match next.join_next().await {
                Some(stage) => stage??,
                None => Stage::raise(plan.clone(), &self.programs, self.sabotage, &folder).await?,
            };
            let ended = stage.play(&self.programs).await?;
            if number < self.rounds {
                let (run, folder) = (self.clone(), state.folder.join((number + 1).to_string()));
                next.spawn(async move {
                    Stage::raise(run.plan(number + 1), &run.programs, run.sabotage, &folder).await
                });
            }
            let outcome = block_in_place(|| ended.judge());
            report(&outcome, &folder)?;
            let (is_good, seconds) = (outcome.findings.is_empty(), began.elapsed().as_secs_f64());
            let faults = plan.faults.iter().map(|planned| planned.fault.to_string()).collect();
            state.add(&Done { round: number, is_good, seconds, faults, outcome })?;
            if is_good {
                fs::remove_dir_all(&folder)?;
            } else {
                failed.push(number);
                self.with_fewer(&plan).await?;
            }
            println!();
        }
        report_unexamined(&state.done()?);
        let (count, seed) = (self.rounds, self.seed);
        match failed.is_empty() {
            true => println!("{count} rounds of seed {seed}: all good"),
            false => println!(
                "{count} rounds of seed {seed}: failed are {failed:?}; see {}",
                state.folder.display()
            ),
        }
        Ok(failed.is_empty())
    }

    /// Runs one round by itself, whose history is kept however it ends. Returns whether nothing was wrong.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn one(&self, plan: &Plan) -> anyhow::Result<bool> {
        println!("{plan}");
        let folder = self.folder.join(self.seed.to_string());
        let mut folders = (1..).map(|nth| folder.join(format!("{}-again-{nth}", plan.round)));
        let folder = folders.find(|folder| !folder.exists()).context("there is always another number")?;
        let outcome = round::run(plan, &self.programs, self.sabotage, &folder).await?;
        report(&outcome, &folder)?;
        println!("  its history is in {}", folder.display());
        Ok(outcome.findings.is_empty())
    }

    /// Runs a round that has failed with fewer and fewer faults, and prints what is left. Returns the numbers of that.
    ///
    /// # Errors
    /// None that is known of.
    pub async fn with_fewer(&self, plan: &Plan) -> anyhow::Result<Vec<usize>> {
        let (seed, round) = (plan.seed, plan.round);
        let list = self.list.map_or("", List::argument);
        println!("  once more: make chaos SEED={seed} ROUND={round}{list}");
        let folder = self.folder.join(seed.to_string()).join(format!("{round}-fewer"));
        let left = shrink(plan.numbers(), self.shrink, |numbers| {
            let (plan, folder) = (plan.only(&numbers), &folder);
            async move {
                let outcome = round::run(&plan, &self.programs, self.sabotage, folder).await;
                let (word, fails) = match outcome {
                    Ok(outcome) if outcome.findings.is_empty() => ("good".to_owned(), false),
                    Ok(_) => ("fails".to_owned(), true),
                    // That says nothing about the server.
                    Err(error) => (format!("could not be run: {error:#}"), false),
                };
                println!("  with the faults {}: {word}", numbers_of(&numbers));
                Ok(fails)
            }
        });
        let left = left.await?;
        let plan = plan.only(&left);
        println!("  the fewest faults with which it was seen to fail:\n{plan}");
        println!("  once more: make chaos SEED={seed} ROUND={round} FAULTS={}{list}", numbers_of(&left));
        Ok(left)
    }
}

fn numbers_of(numbers: &[usize]) -> String {
    match numbers {
        [] => "none".to_owned(),
        numbers => numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
    }
}

/// Prints what came of a round, and keeps all of it beside its history.
fn report(outcome: &Outcome, folder: &Path) -> anyhow::Result<()> {
    let Outcome { findings, events, ops, unanswered, recovery_ms, verdict, .. } = outcome;
    let told = format!(
        "{events} events, {ops} ops, {unanswered} requests without an answer, ready {recovery_ms} ms after the last fault"
    );
    if findings.is_empty() {
        println!("  good: {told}");
    } else {
        println!("  FAILED: {told}; {} findings:", findings.len());
        findings.iter().take(FINDINGS_PRINTED).for_each(|finding| println!("  - {finding}"));
    }
    fs::write(folder.join("findings.txt"), findings.join("\n") + "\n\n" + verdict)?;
    Ok(())
}

/// Names the checks that have found nothing to examine in any round. That those have which must is a matter of each round.
fn report_unexamined(done: &[Done]) {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (check, examined) in done.iter().flat_map(|done| &done.outcome.examined) {
        *sums.entry(check).or_default() += examined;
    }
    let none: Vec<_> = sums.into_iter().filter(|(_, sum)| *sum == 0).map(|(check, _)| check).collect();
    if !none.is_empty() {
        println!("nothing was examined by {}", none.join(", "));
    }
}
