//! A swarm as a process of its own, so that it has its own file descriptors and its CPU is not
//! counted as that of the writers.
//!
//! On its standard input it takes the plan, which is too long for an argument, and then the heads that
//! all readers must have before it ends, each on a line; it ends at once when its input does. On its
//! standard output it says [`Started`] and in the end [`Outcome`], on a line each as well.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin},
    thread,
    time::Duration,
};

use anyhow::Context;
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, time::timeout};

use super::{Outcome, Plan, Started, Swarm, handle::Order};
use crate::services;

/// The hidden command of the bench that is such a process.
pub const COMMAND: &str = "swarm";

/// The time that a swarm may take to tell its outcome, its own patience included.
const END_PATIENCE: Duration = Duration::from_secs(60);

/// The handle of a swarm in another process, which ends with it.
#[derive(Debug)]
pub struct Apart {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    start_patience: Duration,
}

impl Apart {
    /// Starts to connect.
    pub fn start(plan: &Plan) -> anyhow::Result<Self> {
        let mut child = services::spawn_this(&[COMMAND])?;
        let stdout = child.stdout.take().context("the swarm has no output")?;
        let mut stdin = child.stdin.take();
        let input = stdin.as_mut().context("the swarm has no input")?;
        writeln!(input, "{}", serde_json::to_string(plan)?)?;
        let (sender, lines) = mpsc::channel(2);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, lines, start_patience: plan.start_patience() })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until each reader has subscribed or failed.
    pub async fn ready(&mut self) -> anyhow::Result<Started> {
        self.told(self.start_patience).await
    }

    /// Ends when all readers have these revisions, one for each drawing, or when that takes too long.
    pub async fn finish(mut self, heads: &[u64]) -> anyhow::Result<Outcome> {
        let stdin = self.stdin.as_mut().context("the swarm has no input")?;
        writeln!(stdin, "{}", serde_json::to_string(heads)?)?;
        self.told(END_PATIENCE).await
    }

    /// Ends at once.
    pub async fn stop(mut self) -> anyhow::Result<Outcome> {
        self.stdin = None;
        self.told(END_PATIENCE).await
    }

    async fn told<T: DeserializeOwned>(&mut self, patience: Duration) -> anyhow::Result<T> {
        let line = timeout(patience, self.lines.recv()).await.context("the swarm stays silent")?;
        Ok(serde_json::from_str(&line.context("the swarm has ended")?)?)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is such a process.
pub async fn serve() -> anyhow::Result<()> {
    let plan = std::io::stdin().lines().next().context("the swarm has no plan")??;
    let mut swarm = Swarm::start(serde_json::from_str(&plan)?)?;
    let orders = swarm.orders();
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if let Ok(heads) = serde_json::from_str(&line) {
                orders.give(Order::Until(heads));
            }
        }
        orders.give(Order::Stop);
    });
    println!("{}", serde_json::to_string(&swarm.ready().await?)?);
    println!("{}", serde_json::to_string(&swarm.outcome().await?)?);
    Ok(())
}
