//! `revcast-chaos`: runs rounds, tells of each, and shrinks those that fail. Ends with 0 if all were good, with 1 if one was
//! not, and with 2 if there was no run.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, ensure};
use clap::Parser;
use revcast_chaos::{
    cluster::{Programs, Sabotage},
    plan::{Means, Plan},
    round::{self, Outcome},
    shrink::shrink,
    state::{Done, State},
};

/// Exit code of a run in which a round failed.
const BROKEN: u8 = 1;
/// Exit code without a run.
const NO_RUN: u8 = 2;
/// Threads for clients and proxies, some of which wait for processes now and then.
const WORKERS: usize = 4;
/// Findings of a round that are printed; the others are in its folder.
const FINDINGS_PRINTED: usize = 12;

/// Lets faults happen to a whole deployment under load, and judges what its clients were told (docs/chaos.md)
#[derive(Debug, Parser)]
#[command(name = "revcast-chaos", version)]
struct Cli {
    /// What the rounds follow from
    #[arg(long, env = "SEED", default_value_t = 1)]
    seed: u64,
    /// How many rounds are run
    #[arg(long, env = "ROUNDS", default_value_t = 5)]
    rounds: u64,
    /// This round alone
    #[arg(long, env = "ROUND")]
    round: Option<u64>,
    /// Of that round, these faults alone: numbers separated by commas; `none` for none
    #[arg(long, env = "FAULTS", requires = "round")]
    faults: Option<String>,
    /// Goes on after the last round of the run before with the same seed
    #[arg(long)]
    resume: bool,
    /// Prints the plans and runs nothing
    #[arg(long)]
    plan: bool,
    /// How often a round that failed is run again with fewer faults, at most
    #[arg(long, default_value_t = 8)]
    shrink: usize,
    /// The server
    #[arg(long, env = "REVCAST_BIN", default_value = "target/debug/revcast")]
    binary: PathBuf,
    /// The server of the version before, which then runs beside the other in some rounds
    #[arg(long, env = "PREVIOUS")]
    previous: Option<PathBuf>,
    /// Where results, and the histories of failed rounds, are kept
    #[arg(long, default_value = "target/chaos")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    match start() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BROKEN),
        Err(error) => {
            eprintln!("revcast-chaos: {error:#}");
            ExitCode::from(NO_RUN)
        }
    }
}

fn start() -> anyhow::Result<bool> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let is_good = runtime.block_on(run(cli));
    // A node that never starts is waited for by a thread of its own, and ends with this process.
    runtime.shutdown_background();
    is_good
}

async fn run(cli: Cli) -> anyhow::Result<bool> {
    let programs = programs(&cli)?;
    let means = Means {
        has_previous: programs.previous.is_some(),
        has_faketime: programs.faketime.is_some(),
        has_node: programs.script.is_some(),
    };
    if let Some(round) = cli.round {
        return run_one(&cli, &programs, Plan::new(cli.seed, round, means)).await;
    }
    if cli.plan {
        (1..=cli.rounds).for_each(|round| println!("{}\n", Plan::new(cli.seed, round, means)));
        return Ok(true);
    }
    let state = State::open(&cli.folder, cli.seed, cli.resume)?;
    let before = state.done()?;
    let mut failed: Vec<u64> = before.iter().filter(|done| !done.is_good).map(|done| done.round).collect();
    let first = before.iter().map(|done| done.round).max().unwrap_or_default() + 1;
    for number in first..=cli.rounds {
        let plan = Plan::new(cli.seed, number, means);
        println!("{plan}");
        let (began, folder) = (Instant::now(), state.folder.join(number.to_string()));
        let outcome = round::run(&plan, &programs, Sabotage::None, &folder).await?;
        tell(&outcome, &folder)?;
        let (is_good, seconds) = (outcome.findings.is_empty(), began.elapsed().as_secs_f64());
        let faults = plan.faults.iter().map(|planned| planned.fault.to_string()).collect();
        state.add(&Done { round: number, is_good, seconds, faults, outcome })?;
        if is_good {
            fs::remove_dir_all(&folder)?;
        } else {
            failed.push(number);
            run_fewer(&cli, &programs, &plan).await?;
        }
        println!();
    }
    tell_unexamined(&state.done()?);
    let count = cli.rounds;
    match failed.is_empty() {
        true => println!("{count} rounds of seed {}: all good", cli.seed),
        false => println!(
            "{count} rounds of seed {}: failed are {failed:?}; see {}",
            cli.seed,
            state.folder.display()
        ),
    }
    Ok(failed.is_empty())
}

/// One round by itself, whose history is kept however it ends.
async fn run_one(cli: &Cli, programs: &Programs, plan: Plan) -> anyhow::Result<bool> {
    let plan = match cli.faults.as_deref() {
        None => plan,
        Some("none") => plan.only(&[]),
        Some(list) => {
            let numbers = list.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
            plan.only(&numbers.context("--faults are numbers, separated by commas")?)
        }
    };
    println!("{plan}");
    if cli.plan {
        return Ok(true);
    }
    let folder = cli.folder.join(cli.seed.to_string());
    let mut folders = (1..).map(|nth| folder.join(format!("{}-again-{nth}", plan.round)));
    let folder = folders.find(|folder| !folder.exists()).context("there is always another number")?;
    let outcome = round::run(&plan, programs, Sabotage::None, &folder).await?;
    tell(&outcome, &folder)?;
    println!("  its history is in {}", folder.display());
    Ok(outcome.findings.is_empty())
}

/// Runs a round that has failed with fewer and fewer faults, and prints what is left.
async fn run_fewer(cli: &Cli, programs: &Programs, plan: &Plan) -> anyhow::Result<()> {
    let (seed, round) = (plan.seed, plan.round);
    println!("  once more: make chaos SEED={seed} ROUND={round}");
    let folder = cli.folder.join(seed.to_string()).join(format!("{round}-fewer"));
    let left = shrink(plan.numbers(), cli.shrink, |numbers| {
        let (plan, folder) = (plan.only(&numbers), &folder);
        async move {
            let (word, fails) = match round::run(&plan, programs, Sabotage::None, folder).await {
                Ok(outcome) if outcome.findings.is_empty() => ("good".to_owned(), false),
                Ok(_) => ("fails".to_owned(), true),
                // That says nothing about the server.
                Err(error) => (format!("could not be run: {error:#}"), false),
            };
            println!("  with the faults {}: {word}", list(&numbers));
            Ok(fails)
        }
    });
    let left = left.await?;
    let plan = plan.only(&left);
    println!("  the fewest faults with which it was seen to fail:\n{plan}");
    println!("  once more: make chaos SEED={seed} ROUND={round} FAULTS={}", list(&left));
    Ok(())
}

fn list(numbers: &[usize]) -> String {
    match numbers {
        [] => "none".to_owned(),
        numbers => numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
    }
}

/// Prints what came of a round, and keeps all of it beside its history.
fn tell(outcome: &Outcome, folder: &Path) -> anyhow::Result<()> {
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

/// Names the checks that have found nothing to examine in any round.
fn tell_unexamined(done: &[Done]) {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (check, examined) in done.iter().flat_map(|done| &done.outcome.examined) {
        *sums.entry(check).or_default() += examined;
    }
    let none: Vec<_> = sums.into_iter().filter(|(_, sum)| *sum == 0).map(|(check, _)| check).collect();
    if !none.is_empty() {
        println!("nothing was examined by {}", none.join(", "));
    }
}

fn programs(cli: &Cli) -> anyhow::Result<Programs> {
    let absolute = |path: &Path| {
        let path = fs::canonicalize(path);
        path.with_context(|| "the server is not there: make servers builds it".to_owned())
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("script/clients.mjs");
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/typescript/dist/index.js");
    ensure!(client.exists(), "the TypeScript client is not built: make client builds it");
    let libraries = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let library = libraries.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let faketime = library.into_iter().find(|path| path.exists());
    if faketime.is_none() {
        println!("without libfaketime no clock is set wrong: make setup installs it\n");
    }
    Ok(Programs {
        revcast: absolute(&cli.binary)?,
        previous: cli.previous.as_deref().map(absolute).transpose()?,
        faketime,
        script: Some(script),
    })
}
