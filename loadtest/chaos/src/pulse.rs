//! Asks each node all the time whether it lives and whether it is ready, past all proxies, and judges what it says.

use std::time::Duration;

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    check::Check,
    fault::{Fault, Happened, NodeId, Reach},
    recorder::Clock,
};

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(200);
/// Time for an answer. The node gives itself 2 s to tell whether it is ready.
const PATIENCE: Duration = Duration::from_secs(4);
/// The time after a fault within which a node is ready again, in nanoseconds: the 5 s of G11, and 1 s on a machine
/// that does other things as well.
const READY: i64 = 6_000_000_000;

/// An answer of a node, and when it was asked and had answered by the clock that all share, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Beat {
    node: NodeId,
    from: i64,
    to: i64,
    /// The fault, if there is one.
    alive: Result<(), String>,
    ready: Result<(), String>,
}

/// The tasks that ask nodes whether they are well. They end with their handle.
#[derive(Debug)]
pub(crate) struct Pulse {
    askers: JoinSet<Vec<Beat>>,
    stop: watch::Sender<bool>,
}

impl Pulse {
    /// Begins to ask the nodes that listen on these ports.
    ///
    /// # Errors
    /// When no client can be made.
    pub(crate) fn start(ports: Vec<u16>, clock: Clock) -> anyhow::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut askers = JoinSet::new();
        for (node, port) in ports.into_iter().enumerate() {
            let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
            askers.spawn(ask(http, node, port, clock, stopped.clone()));
        }
        Ok(Self { askers, stop })
    }

    /// Asks no more. Returns what was said.
    pub(crate) async fn stop(self) -> Vec<Beat> {
        self.stop.send_replace(true);
        let beats = timeout(PATIENCE * 2, self.askers.join_all()).await;
        beats.unwrap_or_default().into_iter().flatten().collect()
    }
}

async fn ask(
    http: reqwest::Client,
    node: NodeId,
    port: u16,
    clock: Clock,
    stop: watch::Receiver<bool>,
) -> Vec<Beat> {
    let mut beats = Vec::new();
    while !*stop.borrow() {
        let from = clock.now();
        let alive = get(&http, port, "healthz", "\"ok\"").await;
        let ready = get(&http, port, "readyz", "\"ready\"").await;
        beats.push(Beat { node, from, to: clock.now(), alive, ready });
        sleep(PAUSE).await;
    }
    beats
}

/// Asks for a status.
async fn get(http: &reqwest::Client, port: u16, path: &str, wanted: &str) -> Result<(), String> {
    let answer = async {
        let response = http.get(format!("http://127.0.0.1:{port}/{path}")).send().await?;
        let status = response.status();
        Ok::<_, reqwest::Error>((status, response.text().await?))
    };
    match answer.await {
        Ok((status, text)) if status == 200 && text.contains(wanted) => Ok(()),
        Ok((status, text)) => Err(format!("{status} {text}")),
        Err(error) => Err(format!("{:#}", anyhow::Error::from(error.without_url()))),
    }
}

/// Holds what nodes said against what has happened to them.
pub(crate) fn judge(beats: &[Beat], happened: &[Happened]) -> [Check; 2] {
    let mut alive = Check::new("stays_alive", "a node that runs says that it lives");
    let mut ready = Check::new("ready_in_time", "a node is ready within 5 s of each fault that it feels");
    for beat in beats {
        look(beat, &beat.alive, happened, Fault::silences, &mut alive);
        look(beat, &beat.ready, happened, Fault::hinders, &mut ready);
    }
    [alive, ready]
}

fn look(
    beat: &Beat,
    said: &Result<(), String>,
    happened: &[Happened],
    reach: impl Fn(Fault) -> Reach,
    check: &mut Check,
) {
    let is_excused = happened.iter().any(|Happened { fault, from, to }| {
        let patience = i64::try_from(fault.patience().as_nanos()).unwrap_or(i64::MAX);
        let felt_until = to.saturating_add(READY).saturating_add(patience);
        reach(*fault).has(beat.node) && *from <= beat.to && beat.from <= felt_until
    });
    if is_excused {
        return;
    }
    check.examine();
    if let Err(said) = said {
        let (node, at) = (beat.node, beat.from / 1_000_000);
        check.find(format!("node {node}, asked {at} ms after the beginning: {said}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Link, Trouble};

    const SECOND: i64 = 1_000_000_000;

    fn found(at: i64, fault: Fault) -> [usize; 2] {
        let wrong = || Err("no".to_owned());
        let beat = Beat { node: 1, from: at * SECOND, to: at * SECOND, alive: wrong(), ready: wrong() };
        let happened = [Happened { fault, from: 10 * SECOND, to: 12 * SECOND }];
        judge(&[beat], &happened).map(|check| check.findings().len())
    }

    #[test]
    fn only_what_touches_a_node_excuses_it_and_not_for_ever() {
        assert_eq!(found(9, Fault::Kill(1)), [1, 1]);
        assert_eq!(found(11, Fault::Kill(1)), [0, 0]);
        assert_eq!(found(18, Fault::Kill(1)), [0, 0]);
        assert_eq!(found(19, Fault::Kill(1)), [1, 1]);
        assert_eq!(found(11, Fault::Kill(0)), [1, 1]);
        assert_eq!(found(11, Fault::FreezeStore), [1, 0]);
        assert_eq!(found(11, Fault::Link(Link::Blobs(1), Trouble::Cut)), [1, 0]);
        assert_eq!(found(11, Fault::Link(Link::Blobs(2), Trouble::Cut)), [1, 1]);
        assert_eq!(found(11, Fault::Link(Link::Clients(1), Trouble::Cut)), [1, 1]);
    }
}
