//! `revcast-checker <history.ndjson>…`: judges a history. Ends with 0 if nothing is wrong, with 1 if something is, and with 2
//! if that could not be told.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use revcast_checker::{Options, generate, judge};

const USAGE: &str = "\
Usage: revcast-checker [--json] [--grace-ms N] <history.ndjson>…
       revcast-checker generate [--seed N] [--events N] [--drawings N]

Judges recorded histories (docs/history-format.md). All files together are one history.

  --json        print the verdict as JSON
  --grace-ms N  for how long a role that was taken away may still be served (1000)

`generate` prints a correct history, to try the checker on: about so many events (10000) of so many drawings (8).";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<bool> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|argument| argument == "generate").is_some() {
        return generate_history(arguments);
    }
    let (mut paths, mut options, mut as_json) = (Vec::new(), Options::default(), false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => as_json = true,
            "--grace-ms" => options = Options::with_grace_ms(number(&argument, arguments.next())?),
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(true);
            }
            flag if flag.starts_with('-') => bail!("there is no flag {flag}\n\n{USAGE}"),
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    if paths.is_empty() {
        bail!("no history is named\n\n{USAGE}");
    }
    let verdict = judge(&paths, options)?;
    if as_json {
        println!("{}", verdict.json()?);
    } else {
        print!("{}", verdict.table());
    }
    Ok(verdict.is_clean())
}

fn generate_history(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<bool> {
    let mut plan = generate::Plan::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => plan.seed = number(&argument, arguments.next())?,
            "--events" => plan.events = number(&argument, arguments.next())?,
            "--drawings" => plan.drawings = number(&argument, arguments.next())?,
            other => bail!("there is no flag {other}\n\n{USAGE}"),
        }
    }
    let lines = generate::history(plan);
    generate::write(&lines, std::io::stdout().lock()).context("the history cannot be written")?;
    Ok(true)
}

fn number<T: std::str::FromStr>(flag: &str, value: Option<String>) -> anyhow::Result<T> {
    let value = value.with_context(|| format!("{flag} wants a number"))?;
    value.parse().map_err(|_| anyhow::anyhow!("{flag} wants a number, not {value}"))
}
