//! The result for a terminal.

use std::fmt::{self, Display, Formatter};

use loadtest::swarm::{Latency, as_f64};

use crate::result::RunResult;

/// A result, to be printed.
pub(crate) struct Table<'a>(pub &'a RunResult);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let result = self.0;
        let (scenario, totals, cores) = (&result.scenario, &result.totals, &result.cores);
        writeln!(f, "{}: {}", scenario.name, load(result))?;
        writeln!(f)?;
        writeln!(
            f,
            "{:28} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "in ms", "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
        times(f, "request due → answer", &result.answer)?;
        times(f, "op due → reader", &result.delivery)?;
        writeln!(f)?;
        writeln!(
            f,
            "{:.0} ops/s acknowledged, {:.0} ops/s delivered, {:.2} MB/s of ops and {:.2} MB/s of presence, {:.1} ops a frame",
            totals.ops_per_second,
            totals.deliveries_per_second,
            totals.bytes_per_second / 1e6,
            totals.presence_bytes_per_second / 1e6,
            as_f64(totals.delivered) / as_f64(totals.frames.max(1)),
        )?;
        if result.is_started {
            writeln!(
                f,
                "cores: server {:.2}, database {:.2}, writers {:.2}; memory of a node {:.0} MiB",
                cores.server,
                cores.database,
                cores.client,
                as_f64(cores.server_rss) / 1024.0,
            )?;
        }
        if totals.late > 0 {
            writeln!(
                f,
                "{} of {} requests went out more than 100 ms late, since the one before had no answer yet",
                totals.late, totals.requests
            )?;
        }
        for (why, count) in &result.hindrances {
            writeln!(f, "{count} times a request was sent again: {why}")?;
        }
        writeln!(f)?;
        for check in &result.checks {
            writeln!(f, "{}  {}: {}", if check.ok { "ok  " } else { "FAIL" }, check.name, check.detail)?;
        }
        Ok(())
    }
}

fn times(f: &mut Formatter<'_>, name: &str, latency: &Latency) -> fmt::Result {
    let Latency { count, p50, p90, p99, p999, max } = latency;
    // The arrows of the names are one column wide, and several bytes.
    writeln!(f, "{name:28} {count:>10} {p50:>9.2} {p90:>9.2} {p99:>9.2} {p999:>9.2} {max:>9.2}")
}

/// The load in a sentence.
pub(crate) fn load(result: &RunResult) -> String {
    let scenario = &result.scenario;
    let cursors = match scenario.cursors {
        0 => String::new(),
        count => format!(", {count} cursors that move {} times a second", scenario.cursor_rate),
    };
    let nodes = result.nodes.len();
    format!(
        "{} readers and {} writers in {} drawing{}, {} ops/s, {} op{} a request{cursors}, {}{}, {} node{}, {}",
        scenario.readers,
        scenario.writers,
        scenario.drawings,
        plural(scenario.drawings),
        scenario.ops_per_second,
        scenario.ops_per_request,
        plural(scenario.ops_per_request),
        scenario.encoding.name(),
        if scenario.deflate { " deflated" } else { "" },
        nodes,
        plural(nodes),
        humantime::format_duration(scenario.duration),
    )
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
