//! One who draws. Requests have their times, which do not wait for answers: what is due while the request before is
//! still under way goes out as soon as that is answered, and counts from when it was due.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use loadtest::{http::Connection, swarm::now_ms};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    hand::{Hand, Wish},
    ledger::{Ledger, OpResult},
    measured::Measured,
    scenario::Scenario,
    target::{MAX_PAUSE, problem},
};

/// The time for which an answer is waited for before the request is sent again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// The time for which a request is sent again and again before the run is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(15);
/// Pause before a lost connection is made again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// The schedule of ops: the same for all writers, each of which begins at its own place within the first pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// The time at which the load begins, by both clocks.
    start: Instant,
    start_ms: f64,
    ramp: f64,
    /// Ops a second of one writer.
    rate: f64,
    /// Ops of one writer until the end.
    total: f64,
    /// The share of a pause by which this writer is behind the first.
    offset: f64,
}

impl Schedule {
    /// Returns the schedule of the nth writer.
    pub(crate) fn new(scenario: &Scenario, nth: usize, start: Instant, start_ms: f64) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a number of writers")]
        let (writers, nth) = (scenario.writers as f64, nth as f64);
        #[allow(clippy::cast_precision_loss, reason = "at most 500")]
        let batch = scenario.ops_per_request as f64;
        Self {
            start,
            start_ms,
            ramp: scenario.ramp.as_secs_f64(),
            rate: scenario.ops_per_second / writers,
            total: scenario.total_ops() / writers,
            offset: batch * nth / writers,
        }
    }

    /// The time at which the op after so many is due, in seconds after the start; `None` at the end. The rate grows
    /// evenly during the ramp.
    fn due(&self, ops: f64) -> Option<f64> {
        let ops = ops + self.offset;
        let ramped = self.rate * self.ramp / 2.0;
        (ops < self.total).then(|| {
            if ops < ramped {
                (2.0 * ops * self.ramp / self.rate).sqrt()
            } else {
                self.ramp / 2.0 + ops / self.rate
            }
        })
    }
}

/// The state that writers share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The scenario that they play.
    pub(crate) scenario: Scenario,
    /// Says that the load ends here. Requests under way are still waited for.
    pub(crate) end: CancellationToken,
    measured: Mutex<Measured>,
}

impl Shared {
    /// Nothing is counted yet.
    pub(crate) fn new(scenario: Scenario) -> Arc<Self> {
        Arc::new(Self { scenario, end: CancellationToken::new(), measured: Mutex::default() })
    }

    /// The counts.
    pub(crate) fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who draws.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) base: String,
    pub(crate) token: String,
    pub(crate) drawing: Uuid,
    pub(crate) hand: Hand,
    pub(crate) schedule: Schedule,
}

/// The part of an answer that matters.
#[derive(Deserialize)]
struct Answer {
    results: Vec<OpResult>,
}

/// The outcome of one attempt.
enum Attempt {
    Done(Vec<OpResult>),
    NothingToUndo,
    /// More of the same would only be refused again: the load ends.
    Refused(String),
    /// To be sent again after a pause.
    Again(String, Duration),
}

impl Writer {
    /// Draws until the end of the schedule, or of the load if that comes first. Even if it fails, all answers are in
    /// the ledger.
    pub(crate) async fn run(mut self, ledger: &mut Ledger) -> anyhow::Result<()> {
        let mut connection = None;
        let (mut emitted, batch) = (0.0, self.shared.scenario.ops_per_request);
        while let Some(due) = self.schedule.due(emitted) {
            let wish = self.hand.next(batch);
            #[allow(clippy::cast_precision_loss, reason = "at most 500")]
            let ops = wish.len() as f64;
            emitted += ops;
            let until_due = sleep_until(self.schedule.start + Duration::from_secs_f64(due));
            if self.shared.end.run_until_cancelled(until_due).await.is_none() {
                break;
            }
            let due_ms = self.schedule.start_ms + due * 1e3;
            self.shared.measured().sending(wish.len(), now_ms() - due_ms);
            self.send(&wish, due_ms, &mut connection, ledger).await?;
        }
        Ok(())
    }

    /// Sends a request until it is answered: each op has its id, so that it can be sent as often as needed.
    async fn send(
        &self,
        wish: &Wish,
        due_ms: f64,
        connection: &mut Option<Connection>,
        ledger: &mut Ledger,
    ) -> anyhow::Result<()> {
        let is_ramp = due_ms < self.schedule.start_ms + self.schedule.ramp * 1e3;
        let (path, ids, body) = self.request(wish, due_ms, is_ramp)?;
        let give_up = Instant::now() + GIVE_UP_AFTER;
        // An attempt without an answer may have been carried out.
        let mut is_unknown = false;
        loop {
            let attempt = self.attempt(&path, &body, connection, give_up).await;
            match attempt.inspect_err(|_| ledger.give_up(&ids))? {
                Attempt::Done(results) => {
                    self.shared.measured().answered(results.len(), body.len(), now_ms() - due_ms, is_ramp);
                    ledger.acknowledge(&ids, &results);
                    return Ok(());
                }
                Attempt::NothingToUndo => {
                    self.shared.measured().nothing_to_undo += 1;
                    return Ok(());
                }
                Attempt::Refused(why) => {
                    if is_unknown {
                        ledger.give_up(&ids);
                    } else {
                        ledger.refuse(&ids);
                    }
                    bail!("a request was answered {why}");
                }
                Attempt::Again(why, _) if Instant::now() >= give_up => {
                    ledger.give_up(&ids);
                    let seconds = GIVE_UP_AFTER.as_secs();
                    bail!("a request was not answered within {seconds} s; at last: {why}");
                }
                Attempt::Again(why, pause) => {
                    is_unknown = true;
                    self.shared.measured().hindered(&why);
                    // However long the server would have it.
                    sleep_until((Instant::now() + pause.min(MAX_PAUSE)).min(give_up)).await;
                }
            }
        }
    }

    async fn attempt(
        &self,
        path: &str,
        body: &[u8],
        connection: &mut Option<Connection>,
        give_up: Instant,
    ) -> anyhow::Result<Attempt> {
        let patience = || (Instant::now() + ANSWER_PATIENCE).min(give_up);
        let lost = |why: &str| Ok(Attempt::Again(why.to_owned(), RECONNECT_PAUSE));
        let mut open = match connection.take() {
            Some(open) => open,
            None => match timeout_at(patience(), Connection::open(&self.base, &self.token)).await {
                Ok(Ok(open)) => open,
                Ok(Err(_)) => return lost("connection refused"),
                Err(_) => return lost("no connection in time"),
            },
        };
        let status = match timeout_at(patience(), open.post(path, body)).await {
            Ok(Ok(status)) => status,
            Ok(Err(_)) => return lost("connection lost"),
            Err(_) => return lost("no answer in time"),
        };
        let pause = open.header("retry-after").and_then(|value| value.parse().ok()).unwrap_or(1);
        let is_closed = open.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let answer = open.body();
        let attempt = match status {
            200 => {
                let answer: Answer = serde_json::from_slice(answer).context("an answer cannot be read")?;
                Attempt::Done(answer.results)
            }
            409 if code(answer) == "nothing_to_undo" => Attempt::NothingToUndo,
            503 => Attempt::Again(format!("503 {}", code(answer)), Duration::from_secs(pause)),
            400..500 => Attempt::Refused(problem(status, answer)),
            _ => bail!("a request was answered {}", problem(status, answer)),
        };
        if !is_closed {
            *connection = Some(open);
        }
        Ok(attempt)
    }

    /// Path, ids and body.
    fn request(
        &self,
        wish: &Wish,
        due_ms: f64,
        is_ramp: bool,
    ) -> anyhow::Result<(String, Vec<Uuid>, Vec<u8>)> {
        let base = format!("/v1/drawings/{}", self.drawing);
        Ok(match wish {
            Wish::Undo(id) => (format!("{base}/undo"), vec![*id], serde_json::to_vec(&json!({"op_id": id}))?),
            Wish::Ops(ops) => {
                let name = if is_ramp { "ramp" } else { "sent" };
                let mut ops = ops.clone();
                let mut ids = Vec::with_capacity(ops.len());
                for op in &mut ops {
                    op["meta"] = json!({name: due_ms});
                    ids.push(op["op_id"].as_str().context("an op without an id")?.parse()?);
                }
                (format!("{base}/ops"), ids, serde_json::to_vec(&json!({"ops": ops}))?)
            }
        })
    }
}

fn code(body: &[u8]) -> String {
    let fields: Value = serde_json::from_slice(body).unwrap_or_default();
    fields["code"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(scenario: &Scenario, nth: usize) -> Vec<f64> {
        let schedule = Schedule::new(scenario, nth, Instant::now(), 0.0);
        (0..).map(f64::from).map_while(|ops| schedule.due(ops)).collect()
    }

    #[test]
    fn the_rate_is_kept_by_all_writers_together() {
        let scenario = Scenario {
            writers: 4,
            ops_per_second: 100.0,
            duration: Duration::from_secs(10),
            ..Scenario::default()
        };
        let mut all: Vec<f64> = (0..4).flat_map(|nth| times(&scenario, nth)).collect();
        all.sort_by(f64::total_cmp);
        assert_eq!(all.len(), 1_000);
        for (nth, due) in (0..).map(f64::from).zip(&all) {
            assert!((due - nth / 100.0).abs() < 1e-6, "{nth}: {due}");
        }
    }

    #[test]
    fn the_rate_grows_during_the_ramp_and_then_stays() {
        let scenario = Scenario {
            writers: 1,
            ops_per_second: 100.0,
            ramp: Duration::from_secs(4),
            duration: Duration::from_secs(6),
            ..Scenario::default()
        };
        let times = times(&scenario, 0);
        assert_eq!(times.len(), 800);
        let within = |from: f64, to: f64| times.iter().filter(|due| (from..to).contains(*due)).count();
        assert!((48..=52).contains(&within(0.0, 2.0)), "{}", within(0.0, 2.0));
        assert!((148..=152).contains(&within(2.0, 4.0)), "{}", within(2.0, 4.0));
        assert!((199..=201).contains(&within(7.0, 9.0)), "{}", within(7.0, 9.0));
        assert!(times.last().is_some_and(|last| (9.9..10.0).contains(last)));
    }
}
