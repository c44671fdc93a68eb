//! Logs and metrics: how the process is watched.
//!
//! Owns the names of all metrics and the format of logs. Modules count through [`Metrics`], whose
//! handles are made once, so that counting on the hot path is one atomic addition.

use std::{
    io::{self, IsTerminal, Write},
    panic,
    sync::OnceLock,
};

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The filter of the log by default. The clients of a bucket, of NATS and of the database tell of each attempt that failed or was
/// slow; we tell of the outcome.
pub const LOG_FILTER: &str = "info,async_nats=off,object_store=warn,sqlx=error";

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// Standard error, because standard output is for the result.
    Stderr,
}

/// Sends logs to `output`; `filter` has the syntax of `RUST_LOG`.
pub fn init_logs(format: LogFormat, filter: &str, output: LogOutput) {
    let (filter, invalid) = match EnvFilter::try_new(filter) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(LOG_FILTER), Some(error)),
    };
    let (writer, is_terminal) = match output {
        LogOutput::Stdout => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        LogOutput::Stderr => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A second call, as by tests in one process, changes nothing.
    let _ = match format {
        LogFormat::Pretty => builder.with_ansi(is_terminal).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Some(error) = invalid {
        tracing::warn!(%error, default = LOG_FILTER, "what is to be logged is malformed; the default is logged");
    }
}

/// Has every panic logged, with its place in the code, rather than printed. Once logs are initialized.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or_default();
        tracing::error!(panic = message, location, "a task panicked");
    }));
}

/// Tells in one sentence why the process ends: in the log where programs read it, on standard error where people do, or
/// where no errors are logged.
pub fn report_fatal(error: &anyhow::Error, format: LogFormat) {
    let sentence = sentence(error);
    if format == LogFormat::Json && tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(error = sentence, "the program cannot go on");
    } else {
        // Nobody is left to tell when this fails, too.
        let _ = writeln!(io::stderr(), "error: {sentence}");
    }
}

/// The error and its causes on one line, each once: many a message has that of its cause in it.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain() {
        let cause = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if sentence.contains(&cause) {
            continue;
        }
        if !sentence.is_empty() {
            sentence.push_str(": ");
        }
        sentence.push_str(&cause);
    }
    sentence
}

/// A metric, as `/metrics` has it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The unit of its value: `Count`, `Bytes` or `Seconds`.
    pub unit: &'static str,
    /// Its label, if it has one.
    pub label: Option<&'static str>,
    /// The thing that it counts or measures.
    pub help: &'static str,
}

macro_rules! metrics {
    (
        $($kind:ident $field:ident = $name:literal, $unit:ident, $doc:literal;)+
        $(@other $other_kind:ident $other_name:literal $(($label:literal))?, $other_unit:ident, $other_doc:literal;)+
    ) => {
        /// Every metric: those with a handle, then the others.
        pub const METRICS: &[Metric] = &[
            $(metrics!(@row $kind $name, $unit, None, $doc),)+
            $(metrics!(@row $other_kind $other_name, $other_unit, metrics!(@label $($label)?), $other_doc),)+
        ];

        /// Handles of every metric without labels; the names stand in `/metrics`.
        #[allow(missing_docs, reason = "each field is described by its metric, below")]
        pub struct Metrics { $(pub $field: metrics!(@type $kind),)+ }

        impl Metrics {
            /// Handles into the recorder of the process, which is installed if it is not yet.
            #[must_use]
            pub fn new() -> Self {
                prometheus();
                $(metrics!(@describe $kind)($name, Unit::$unit, $doc);)+
                $(metrics!(@describe $other_kind)($other_name, Unit::$other_unit, $other_doc);)+
                gauge!("revcast_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
                Self { $($field: metrics!(@make $kind $name),)+ }
            }
        }
    };
    (@row $kind:ident $name:literal, $unit:ident, $label:expr, $doc:literal) => {
        Metric { name: $name, kind: stringify!($kind), unit: stringify!($unit), label: $label, help: $doc }
    };
    (@label) => { None };
    (@label $label:literal) => { Some($label) };
    (@type counter) => { Counter };
    (@type gauge) => { Gauge };
    (@type histogram) => { Histogram };
    (@describe counter) => { (|name: &'static str, unit, doc: &'static str| describe_counter!(name, unit, doc)) };
    (@describe gauge) => { (|name: &'static str, unit, doc: &'static str| describe_gauge!(name, unit, doc)) };
    (@describe histogram) => { (|name: &'static str, unit, doc: &'static str| describe_histogram!(name, unit, doc)) };
    (@make counter $name:literal) => { metrics::counter!($name) };
    (@make gauge $name:literal) => { metrics::gauge!($name) };
    (@make histogram $name:literal) => { metrics::histogram!($name) };
}

metrics! {
    counter commits = "revcast_commits_total", Count, "Requests whose ops were committed.";
    counter refusals = "revcast_refusals_total", Count, "Requests that the log refused.";
    counter ops = "revcast_ops_total", Count, "Ops committed.";
    counter duplicates = "revcast_duplicates_total", Count, "Ops that were in the log already.";
    counter overloads = "revcast_overloads_total", Count, "Requests refused because the commit queue was full.";
    counter rate_limited = "revcast_rate_limited_total", Count, "Requests refused because their user writes too fast, or all users of a drawing together do.";
    counter addresses_limited = "revcast_address_limited_total", Count, "Requests refused because their client's address sends too many (`--limit-by-address`).";
    histogram batch_requests = "revcast_batch_requests", Count, "Requests in one batch.";
    histogram batch_ops = "revcast_batch_ops", Count, "Ops in one batch.";
    gauge queue_depth = "revcast_commit_queue_depth", Count, "Requests waiting to be written.";
    histogram commit_seconds = "revcast_commit_seconds", Seconds, "From the queue to the outcome, one request.";
    counter snapshots_built = "revcast_snapshots_built_total", Count, "Snapshots built.";
    counter snapshots_damaged = "revcast_snapshots_damaged_total", Count, "Snapshots given up because they could not be used.";
    histogram snapshot_seconds = "revcast_snapshot_seconds", Seconds, "From the claim of a snapshot to its row.";
    counter log_damage = "revcast_log_damage_total", Count, "Reads that met a hole in a log, or an op that cannot be read.";
    counter folds = "revcast_folds_total", Count, "Folds committed: what is older cannot be undone any more.";
    counter publish_failures = "revcast_publish_failures_total", Count, "Bus messages that were lost on the way out.";
    counter repairs = "revcast_repairs_total", Count, "Reads of the store that gave a room ops the bus had not.";
    counter room_reads = "revcast_room_reads_total", Count, "Reads of the store by rooms: for their position, to close a hole, to fill up who joins.";
    counter renewals = "revcast_bus_renewals_total", Count, "Bus subscriptions renewed because they had missed something.";
    counter rooms_refused = "revcast_rooms_refused_total", Count, "Joins and presences refused because this node follows as many drawings as it may (`--max-rooms`).";
    gauge rooms = "revcast_rooms", Count, "Drawings followed by this node.";
    gauge connections = "revcast_connections", Count, "Open sockets.";
    gauge event_streams = "revcast_event_streams", Count, "Open event streams.";
    gauge long_polls = "revcast_long_polls", Count, "Long-polls that wait.";
    counter handshakes = "revcast_handshakes_total", Count, "Handshakes of sockets.";
    counter handshakes_refused = "revcast_handshakes_refused_total", Count, "Handshakes refused because too many came at once.";
    counter users_refused = "revcast_user_connections_refused_total", Count, "Sockets, event streams and long-polls refused because their user has too many.";
    counter connections_refused = "revcast_connections_refused_total", Count, "Connections that found no place: told that the node is overloaded, or how it is.";
    gauge behind = "revcast_connections_behind", Count, "Open sockets that take less than they are sent.";
    counter deliveries = "revcast_deliveries_total", Count, "Writes to sockets, each of one frame or several.";
    counter delivered_bytes = "revcast_delivered_bytes_total", Bytes, "Bytes written to sockets.";
    counter panics = "revcast_panics_total", Count, "Requests that ended in a panic.";
    @other counter "revcast_resets_total" ("reason"), Count, "Readers told to go to REST, by reason.";
    @other counter "revcast_socket_closes_total" ("code"), Count, "Sockets closed, by close code; 1006: gone without a word.";
    @other counter "revcast_http_responses_total" ("class"), Count, "Responses, by class of status: `1xx` to `5xx`.";
    @other gauge "revcast_canvas_bytes", Bytes, "Memory that canvases take, about: those that are kept, those being loaded, and answers made of them.";
    @other gauge "revcast_store_writable", Count, "1 while the store takes writes, as far as is known, and 0 while it does not.";
    @other gauge "revcast_build_info" ("version"), Count, "1, with the version of the program, which `revcast --version` prints.";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Counts a reader that was told to go to REST.
pub fn count_reset(reason: &'static str) {
    counter!("revcast_resets_total", "reason" => reason).increment(1);
}

/// Counts a read that met a damaged log.
pub fn count_log_damage() {
    counter!("revcast_log_damage_total").increment(1);
}

/// Counts a socket that was closed.
pub fn count_close(code: u16) {
    counter!("revcast_socket_closes_total", "code" => code.to_string()).increment(1);
}

/// Tells how much memory canvases take; whoever reads the metrics asks for it.
pub fn record_canvas_bytes(bytes: u64) {
    #[allow(clippy::cast_precision_loss, reason = "bytes of memory are far below 2^53")]
    gauge!("revcast_canvas_bytes").set(bytes as f64);
}

/// The text of `/metrics`.
#[must_use]
pub fn render_metrics() -> String {
    prometheus().render()
}

/// Folds what the histograms gathered; to be called every few seconds, or they grow.
pub fn tidy_metrics() {
    prometheus().run_upkeep();
}

fn prometheus() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let seconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
        let counts = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)
            .and_then(|b| b.set_buckets_for_metric(Matcher::Prefix("revcast_batch".to_owned()), &counts))
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Another recorder can only be there if the host program installed one of its own.
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed; /metrics stays empty");
        }
        handle
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_sentence_that_names_each_cause_once() {
        let error = anyhow::anyhow!("it is\n  a directory")
            .context("reading: it is a directory")
            .context("opening a");
        assert_eq!(sentence(&error), "opening a: reading: it is a directory");
        let error = anyhow::anyhow!("no such file").context("opening b");
        assert_eq!(sentence(&error), "opening b: no such file");
    }
}
