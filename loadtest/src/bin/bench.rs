//! `make bench`: the limit and the service, one after the other, in one run.

use std::{path::PathBuf, str::FromStr};

use loadtest::{
    bench::{Bench, bare, report::Report, rows},
    swarm,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        // Parts of the load that are processes of their own; rows start them.
        [command] if command == swarm::COMMAND => swarm::serve().await,
        [command, rest @ ..] if command == bare::COMMAND => bare::serve(rest),
        _ => measure(arguments.first().map(String::as_str)).await,
    }
}

async fn measure(only: Option<&str>) -> anyhow::Result<()> {
    let binary =
        PathBuf::from(std::env::var("REVCAST_BIN").unwrap_or_else(|_| "target/release/revcast".to_owned()));
    let bench = Bench {
        binary,
        seconds: setting("BENCH_SECONDS", 4),
        crowd_seconds: setting("BENCH_CROWD_SECONDS", 60),
        max_readers: setting("BENCH_READERS", usize::MAX),
    };
    let mut report = Report::default();
    rows::run(&bench, only, &mut report).await?;
    report.print();
    Ok(())
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
