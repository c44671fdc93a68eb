//! `make bench`: the limit and the service, one after the other, in one run.

use std::path::PathBuf;

use loadtest::bench::{Bench, report::Report, rows};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let only = std::env::args().nth(1);
    let binary =
        PathBuf::from(std::env::var("REVCAST_BIN").unwrap_or_else(|_| "target/release/revcast".to_owned()));
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(4);
    let bench = Bench { binary, seconds };
    let mut report = Report::default();
    rows::run(&bench, only.as_deref(), &mut report).await?;
    report.print();
    Ok(())
}
