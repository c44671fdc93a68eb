//! `revcast-load`: a load test that checks order, gaps and acknowledgements while it measures.
//!
//! - `cli`, `scenario`: what is to be done
//! - `target`, `stage`: the server, and what has to be there before
//! - `hand`, `writer`, `measured`, `readers`: the load, and what is seen of it
//! - `ledger`, `checks`: whether all is well
//! - `run`: one after the other
//! - `result`, `table`, `page`: what is told
//!
//! It ends with 0 when every promise was kept, with 1 when one was not, and with 2 when there was no run.

mod checks;
mod cli;
mod hand;
mod ledger;
mod measured;
mod page;
mod readers;
mod result;
mod run;
mod scenario;
mod stage;
mod table;
mod target;
mod writer;

use std::{path::Path, process::ExitCode};

use anyhow::{Context, ensure};
use clap::Parser;
use loadtest::swarm;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{cli::Cli, result::RunResult, scenario::Scenario, table::Table, target::Target};

/// Descriptors that a process needs besides its sockets.
const OTHER_DESCRIPTORS: u64 = 100;
/// Exit code of a run in which a promise was broken.
const BROKEN: u8 = 1;
/// Exit code without a run.
const NO_RUN: u8 = 2;

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("revcast-load: {error:#}");
            ExitCode::from(NO_RUN)
        }
    }
}

fn start() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // The readers are this program again, as a process of its own.
    if std::env::args().nth(1).is_some_and(|command| command == swarm::COMMAND) {
        runtime.block_on(swarm::serve())?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime.block_on(measure(Cli::parse()))
}

async fn measure(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut scenario = cli.scenario.as_deref().map_or_else(|| Ok(Scenario::default()), Scenario::read)?;
    cli.load.apply(&mut scenario);
    cli.target.apply(&mut scenario);
    scenario.check()?;
    check_descriptors(&scenario)?;
    let target = Target::new(&cli.target, &scenario).await?;
    let result = run::run(&target, &scenario, cli.quiet).await?;
    report(&cli, &result)?;
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}

fn report(cli: &Cli, result: &RunResult) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(result)?;
    match cli.json.as_deref() {
        Some(path) if path == Path::new("-") => {
            eprint!("{}", Table(result));
            println!("{json}");
        }
        path => {
            print!("{}", Table(result));
            if let Some(path) = path {
                write(path, &json)?;
            }
        }
    }
    if let Some(path) = &cli.html {
        write(path, &page::html(result)?)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Raises the limit of open files as far as it goes, and says when that is not far enough.
fn check_descriptors(scenario: &Scenario) -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
            .context("the limit of open files")?;
    }
    let needed = scenario.readers.max(scenario.writers) as u64 + OTHER_DESCRIPTORS;
    let is_enough = maximum.is_none_or(|maximum| maximum >= needed);
    ensure!(
        is_enough,
        "the system lets a process have {} files open, and {needed} are needed: raise it with ulimit -n",
        maximum.unwrap_or_default()
    );
    Ok(())
}
