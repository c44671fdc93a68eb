//! `revcast-chaos`: runs rounds. Ends with 0 if all were good, with 1 if one was not, and with 2 if there was no run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
};

use anyhow::{Context, ensure};
use clap::Parser;
use revcast_chaos::{
    cluster::{Programs, Sabotage},
    list::List,
    run::Run,
};

/// Exit code of a run in which a round failed.
const BROKEN: u8 = 1;
/// Exit code without a run.
const NO_RUN: u8 = 2;
/// Threads for clients and proxies, some of which wait for processes now and then.
const WORKERS: usize = 4;

/// Lets faults happen to a whole deployment under load, and judges what its clients were told (docs/chaos.md)
#[derive(Debug, Parser)]
#[command(name = "revcast-chaos", version)]
struct Cli {
    /// The number that the rounds follow from
    #[arg(long, env = "SEED", default_value = "1")]
    seed: Given<u64>,
    /// The number of rounds
    #[arg(long, env = "ROUNDS", default_value = "5")]
    rounds: Given<u64>,
    /// This round alone
    #[arg(long, env = "ROUND", default_value = "", hide_default_value = true)]
    round: Given<u64>,
    /// Only these faults of that round: numbers separated by commas; `none` for none
    #[arg(long, env = "FAULTS", default_value = "", hide_default_value = true)]
    faults: Given<String>,
    /// Goes on after the last round of the run before with the same seed
    #[arg(long)]
    resume: bool,
    /// Prints the plans and runs nothing
    #[arg(long)]
    plan: bool,
    /// Lets the faults of a list happen for certain, spread over five rounds, and others as they come
    #[arg(long, value_enum)]
    list: Option<List>,
    /// The most times that a round that failed is run again with fewer faults
    #[arg(long, default_value_t = 8)]
    shrink: usize,
    /// The server
    #[arg(long, env = "REVCAST_BIN", default_value = "target/debug/revcast")]
    binary: PathBuf,
    /// The server of the version before, which then runs beside the other in some rounds
    #[arg(long, env = "PREVIOUS", default_value = "", hide_default_value = true)]
    previous: Given<PathBuf>,
    /// The folder for results, and for the histories of failed rounds
    #[arg(long, default_value = "target/chaos")]
    folder: PathBuf,
}

/// A value that is not given where it is empty, as variables are that make passes on.
#[derive(Clone, Debug)]
struct Given<T>(Option<T>);

impl<T: FromStr> FromStr for Given<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(Some).map(Self) }
    }
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
    let run = Run {
        programs: programs(&cli)?,
        seed: cli.seed.0.unwrap_or(1),
        rounds: cli.rounds.0.unwrap_or(5),
        list: cli.list,
        shrink: cli.shrink,
        sabotage: Sabotage::None,
        folder: cli.folder,
        plans: None,
    };
    ensure!(run.rounds > 0, "a run has one round at least");
    let Some(round) = cli.round.0 else {
        ensure!(cli.faults.0.is_none(), "faults are those of one round: give ROUND as well");
        if cli.plan {
            (1..=run.rounds).for_each(|round| println!("{}\n", run.plan(round)));
            return Ok(true);
        }
        return run.all(cli.resume).await;
    };
    let plan = match cli.faults.0.as_deref() {
        None => run.plan(round),
        Some("none") => run.plan(round).only(&[]),
        Some(list) => {
            let numbers = list.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
            run.plan(round).only(&numbers.context("FAULTS are numbers, separated by commas")?)
        }
    };
    if cli.plan {
        println!("{plan}");
        return Ok(true);
    }
    run.one(&plan).await
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
        previous: cli.previous.0.as_deref().map(absolute).transpose()?,
        faketime,
        script: Some(script),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_given() {
        let cli = Cli::try_parse_from([
            "revcast-chaos",
            "--seed",
            "",
            "--round",
            "",
            "--faults",
            "",
            "--previous",
            "",
        ]);
        let cli = cli.unwrap();
        assert!(cli.seed.0.is_none() && cli.round.0.is_none());
        assert!(cli.faults.0.is_none() && cli.previous.0.is_none());
        assert_eq!(Cli::try_parse_from(["revcast-chaos", "--round", "7"]).unwrap().round.0, Some(7));
        assert!(Cli::try_parse_from(["revcast-chaos", "--round", "x"]).is_err());
    }
}
