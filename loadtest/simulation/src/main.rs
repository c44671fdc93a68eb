//! `revcast-simulation`: runs seeds, each in a process of its own. Ends with 0 if nothing contradicts a promise, with 1 if
//! something does, and with 2 if that could not be told.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write, pipe},
    num::NonZeroUsize,
    process::ExitCode,
    thread,
};

use anyhow::Context;
use clap::Parser;
use revcast_simulation::{Report, os};

/// Runs the server in virtual time, under faults that follow from a seed, and judges what clients saw.
#[derive(Debug, Parser)]
struct Arguments {
    /// Run this seed alone, and say what was found.
    #[arg(long)]
    seed: Option<u64>,
    /// Print the history of the seed.
    #[arg(long, requires = "seed")]
    print: bool,
    /// The number of seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// The number of seeds at a time; as many as there are cores by default.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Begin no further seed once something is found.
    #[arg(long)]
    fail_fast: bool,
}

/// The exit code when something was found.
const FOUND: u8 = 1;
/// The exit code when that could not be told.
const FAILED: u8 = 2;
/// Findings of a seed that are told.
const FINDINGS_TOLD: usize = 20;
/// Bytes of them that are told among many seeds: no more than a pipe takes at once.
const TOLD_BYTES: usize = 32 * 1024;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = revcast_simulation::prepare().and_then(|()| match arguments.seed {
        Some(seed) => run_one(seed, arguments.print),
        None => run_all(&arguments),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn run_one(seed: u64, prints: bool) -> anyhow::Result<bool> {
    let report = revcast_simulation::run(seed)?;
    if prints {
        let mut out = std::io::stdout().lock();
        report.lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    eprint!("{}", findings(&report));
    if !report.findings.is_empty() && !prints {
        eprintln!("\n{}", report.verdict);
    }
    Ok(report.findings.is_empty())
}

fn findings(report: &Report) -> String {
    let told = report.findings.iter().take(FINDINGS_TOLD);
    told.map(|(check, text)| format!("{check}: {text}\n")).collect()
}

/// Runs seeds in copies of this process, so many at a time.
fn run_all(arguments: &Arguments) -> anyhow::Result<bool> {
    let jobs = arguments.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let mut seeds = arguments.first..arguments.first + arguments.seeds;
    let mut running = Vec::new();
    let mut found = BTreeMap::new();
    let mut begun = 0;
    loop {
        while running.len() < jobs
            && (found.is_empty() || !arguments.fail_fast)
            && let Some(seed) = seeds.next()
        {
            let (from, to) = pipe().context("no pipe")?;
            begun += 1;
            match os::fork().context("no process")? {
                Some(child) => running.push((child, seed, from)),
                None => end(seed, to),
            }
        }
        if running.is_empty() {
            return Ok(report(begun, &found));
        }
        let (ended, code) = os::wait_for_child()?;
        let Some(nth) = running.iter().position(|(child, ..)| *child == ended) else { continue };
        let (_, seed, mut from) = running.swap_remove(nth);
        let mut text = String::new();
        from.read_to_string(&mut text).context("a run cannot be heard")?;
        if code != Some(0) {
            found.insert(seed, text);
        }
    }
}

/// Runs a seed in a copy, and says what was found.
fn end(seed: u64, mut to: impl Write) -> ! {
    let (text, code) = match revcast_simulation::run(seed) {
        Ok(report) => (findings(&report), if report.findings.is_empty() { 0 } else { FOUND }),
        Err(error) => (format!("failed: {error:#}\n"), FAILED),
    };
    let told = text.floor_char_boundary(TOLD_BYTES);
    // A parent that does not listen knows by the code.
    drop(to.write_all(&text.as_bytes()[..told]));
    os::end_child(code.into())
}

/// Says which seeds have found what; true if none has.
fn report(begun: u64, found: &BTreeMap<u64, String>) -> bool {
    let mut checks: BTreeMap<&str, u64> = BTreeMap::new();
    for (seed, text) in found {
        let names: BTreeSet<_> =
            text.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
        for name in &names {
            *checks.entry(name).or_default() += 1;
        }
        println!("seed {seed}: {}", names.into_iter().collect::<Vec<_>>().join(", "));
    }
    if let Some((seed, text)) = found.first_key_value() {
        println!("\nSeed {seed}:\n{text}\nTo run it again, or to see its history:");
        println!("  cargo run -p revcast-simulation -- --seed {seed}");
        println!("  cargo run -p revcast-simulation -- --seed {seed} --print\n");
    }
    for (check, seeds) in checks {
        println!("{check}: found by {seeds} seeds");
    }
    println!("{} of {begun} seeds found something", found.len());
    found.is_empty()
}
