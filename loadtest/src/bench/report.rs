//! The table of a run.

use std::time::Instant;

use crate::services::cpu_seconds;

/// CPU that each side used during a measurement, in cores.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cores {
    /// The load generator.
    pub client: f64,
    /// The server.
    pub server: f64,
    /// The database.
    pub database: f64,
}

/// Reads CPU before and after a measurement.
pub struct CpuMeter<'a> {
    started: Instant,
    before: [f64; 3],
    probes: [&'a dyn Fn() -> f64; 2],
}

impl std::fmt::Debug for CpuMeter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuMeter").field("started", &self.started).finish_non_exhaustive()
    }
}

impl<'a> CpuMeter<'a> {
    /// Starts now; `server` and `database` tell CPU seconds so far.
    pub fn start(server: &'a dyn Fn() -> f64, database: &'a dyn Fn() -> f64) -> Self {
        let before = [cpu_seconds(std::process::id()), server(), database()];
        Self { started: Instant::now(), before, probes: [server, database] }
    }

    /// Cores used since the start.
    pub fn stop(self) -> Cores {
        let elapsed = self.started.elapsed().as_secs_f64();
        let after = [cpu_seconds(std::process::id()), self.probes[0](), self.probes[1]()];
        let cores = |n: usize| (after[n] - self.before[n]) / elapsed;
        Cores { client: cores(0), server: cores(1), database: cores(2) }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Ops a second.
    pub rate: f64,
    /// CPU used.
    pub cores: Cores,
}

/// The measurements of one side, round by round.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Vec<Measured>);

impl Rounds {
    /// Adds a round.
    pub fn add(&mut self, measured: Measured) {
        self.0.push(measured);
    }

    /// The round with the median rate.
    pub fn median(&self) -> Measured {
        let mut rounds = self.0.clone();
        rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        rounds.get(rounds.len() / 2).copied().unwrap_or(Measured { rate: f64::NAN, cores: Cores::default() })
    }

    /// The median of the ratios to the other side, each of its own round.
    fn ratio_to(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(a, b)| a.rate / b.rate).collect())
    }
}

/// The rows so far.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<String>,
    notes: Vec<String>,
}

impl Report {
    /// Adds a row that compares the service with a limit.
    pub fn compare(&mut self, name: &str, limit: &Rounds, service: &Rounds, at_least: f64) {
        let ratio = service.ratio_to(limit);
        let (limit, service) = (limit.median(), service.median());
        let verdict = verdict(ratio >= at_least);
        let row = format!(
            "| {name} | {:.0} | {:.0} | {ratio:.2}× | {at_least}× {verdict} | {} | {} |",
            limit.rate,
            service.rate,
            cores(limit.cores),
            cores(service.cores)
        );
        eprintln!("{row}");
        self.rows.push(row);
    }

    /// Adds a line below the table.
    pub fn note(&mut self, note: String) {
        eprintln!("{note}");
        self.notes.push(note);
    }

    /// Prints everything.
    pub fn print(&self) {
        println!(
            "| row | limit, ops/s | service, ops/s | ratio | at least | limit: cores client/server/db | service: cores client/server/db |"
        );
        println!("|---|---|---|---|---|---|---|");
        for row in &self.rows {
            println!("{row}");
        }
        for note in &self.notes {
            println!("\n{note}");
        }
    }
}

fn cores(cores: Cores) -> String {
    format!("{:.2}/{:.2}/{:.2}", cores.client, cores.server, cores.database)
}

/// The word for a promise that was or was not kept.
pub(super) fn verdict(is_kept: bool) -> &'static str {
    if is_kept { "ok" } else { "SHORT" }
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(&values, 0.5)
}

/// The value below which `share` of the sorted values lie.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a list of measurements"
    )]
    let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
